"""The spec language as a data model: what a `spec.yaml` may say. Rows are in `decoders.spec.model_rows`.

Descriptions end up in the JSON Schema for editors and in the language reference. Meaning is given by
`decoders.compile`; here only shape and closed sets are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from decoders.spec.model_conversion import BitField, BitOrder, BitPart, Conversion, Endian, EnumMap, FlagMap, Model
from decoders.spec.model_rows import (
    CheckSpec,
    FormulaRow,
    GroupRow,
    ItemsRow,
    ItemsSpec,
    ListRow,
    LiteralRow,
    Row,
    SkipRow,
    SwitchRow,
    TagRows,
    UnknownTag,
    UseRow,
    ValueOptions,
    ValueRow,
)
from decoders.spec.model_words import Expression, HexBytes, Id, Mark, Name, NamePath

__all__ = [
    "BitField",
    "BitPart",
    "CheckSpec",
    "Conversion",
    "CsvSpec",
    "DedupSpec",
    "EscapeSpec",
    "FormulaRow",
    "FrameSpec",
    "GroupRow",
    "HexBytes",
    "ItemsRow",
    "ItemsSpec",
    "JsonSpec",
    "ListRow",
    "LiteralRow",
    "MessageSpec",
    "Model",
    "Reply",
    "Row",
    "SkipRow",
    "SpecFile",
    "SwitchRow",
    "UnknownTag",
    "UseRow",
    "ValueOptions",
    "ValueRow",
]

SHORT = "uplink"
"""Name of the message of a spec whose rows stand at its top."""
TEXT_FORMATS = frozenset({"text", "hex", "json", "csv"})
"""Formats of frames whose marks are given as text."""


class EscapeSpec(Model):
    """Byte stuffing between start and stop."""

    mark: int = Field(ge=0, le=255)
    table: dict[int, int] = Field(default_factory=dict, description="Byte after the mark -> byte that both stand for.")
    xor: int | None = Field(
        None, ge=1, le=255, description="In place of `table`: the byte after the mark is the one meant XOR this (0x20)."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> EscapeSpec:
        if bool(self.table) == (self.xor is not None):
            raise ValueError("byte stuffing has either a `table` or `xor`")
        if not all(0 <= byte <= 255 for pair in self.table.items() for byte in pair):
            raise ValueError("the table of byte stuffing has bytes, 0 to 255")
        return self


def _marks(frame: Any) -> Any:
    """Marks of text formats are written as text and kept as hex like all others."""
    if not isinstance(frame, dict) or frame.get("format", "binary") not in TEXT_FORMATS:
        return frame
    found = dict(frame)
    for key in ("start", "stop", "until"):
        if isinstance(found.get(key), str):
            found[key] = found[key].encode().hex()
    return found


class FrameSpec(Model):
    """How one kind of frame looks on the wire."""

    start: Mark | None = Field(None, description="Bytes that every frame starts with: hex, in text formats text.")
    begins: str | None = Field(None, description="Pattern of the first bytes, such as `78 78 00-14 17|69`.")
    stop: Mark | None = Field(None, description="Bytes that every frame ends with: hex, in text formats text.")
    until: Mark | None = Field(None, description="The frame ends with the first of these bytes (text lines).")
    size: int | Expression | None = Field(
        None, description="Fixed size, or a formula that may read `u8(n)`, `u16(n)`, `digits(n, count)`."
    )
    escape: EscapeSpec | None = None
    header: list[Row] = Field(default_factory=list)
    trailer: list[Row] = Field(default_factory=list)
    tail: list[Row] = Field(
        default_factory=list, description="Rows behind the stop mark, of fixed size; bytes also in text frames."
    )
    min_bytes: int | None = Field(None, ge=1)
    max_bytes: int | None = Field(None, ge=1, le=1 << 20)
    format: Literal["binary", "text", "hex", "json", "csv"] = Field(
        "binary",
        description="`text`: rows read characters; `hex`: the frame between its marks is hex text of the bytes that "
        "header, body and trailer read; `json`: one object; `csv`: one line.",
    )
    split: str | None = Field(None, description="Text: what stands between values, such as `,`.")
    csv: CsvSpec | None = Field(None, description="Columns of a `csv` frame.")

    @model_validator(mode="before")
    @classmethod
    def _text_marks(cls, value: Any) -> Any:
        return _marks(value)


class CsvSpec(Model):
    """How a line of CSV reads."""

    columns: list[str] = Field(
        default_factory=list,
        description="Value of each column in order; `-` for a column that means nothing. Empty: the first line says.",
    )
    values: dict[Name, str] = Field(
        default_factory=dict, description="Value -> what the first line calls its column, such as `Temp (C)`."
    )
    header: bool = Field(
        False, description="With `columns`: the first line of a connection or payload names the columns all the same."
    )
    delimiter: str = Field(",", min_length=1, max_length=1)
    message: str | None = Field(None, description="Message that a line is; default: the only one with `csv`.")
    encoding: Literal["utf-8", "cp949", "gbk", "latin-1", "shift-jis"] = "utf-8"


class JsonSpec(Model):
    """How a message reads as JSON."""

    when: dict[str, str | int | bool] = Field(default_factory=dict, description="Path -> value that it must have.")
    values: dict[Name, str] = Field(default_factory=dict, description="Value -> path, such as `data.temp` or `a[0].b`.")
    records: str | None = Field(None, description="Path of the list whose items become the items of `records`.")
    items: dict[Name, str] = Field(
        default_factory=dict,
        description="Value of an item -> path within the item, or (`sensors[].id`) in an item of a list around it.",
    )


def _paths(value: Any) -> Any:
    """`{group: {name: 5}}` is `{group.name: 5}`."""
    if not isinstance(value, Mapping):
        return value
    found: dict[Any, Any] = {}
    for name, given in value.items():
        inner = _paths(given) if isinstance(given, Mapping) and given else None
        found |= {name: given} if inner is None else {f"{name}.{step}": each for step, each in inner.items()}
    return found


Formulas = Annotated[
    dict[NamePath, Expression], BeforeValidator(_paths, json_schema_input_type=dict[str, Expression | dict[str, Any]])
]
"""Formulas of values by name; those of a group as an object, or by `group.name`."""


class Reply(Model):
    """One answer to a message."""

    message: str | None = Field(None, description="A downlink message of this spec, built from the request.")
    with_: Formulas = Field(
        default_factory=dict,
        alias="with",
        description="Its values: formulas over the request's values and `now`. Those of a group: `{group: {name: 5}}`, "
        "or `group.name: 5`.",
    )
    hex: HexBytes | None = Field(None, description="These bytes.")
    text: str | None = Field(
        None,
        description="This text; `{name}`, numbers such as `{n:04X}` or `{t:.1f}`, and times such as "
        "`{now:%Y%m%d%H%M%S}`, in the session's or spec's zone, are filled in.",
    )
    if_: Expression | None = Field(None, alias="if", description="Only when this formula over values is true.")

    @model_validator(mode="after")
    def _one_kind(self) -> Reply:
        if sum(part is not None for part in (self.message, self.hex, self.text)) != 1:
            raise ValueError("a reply has exactly one of `message`, `hex`, `text`")
        return self


def _reply(value: Any) -> Any:
    return {"message": value} if isinstance(value, str) else value


Replies = Annotated[
    list[Annotated[Reply, BeforeValidator(_reply, json_schema_input_type=Reply | str)]], Field(max_length=16)
]


class DedupSpec(Model):
    """What a copy of a message is known by: a device that got no answer sends it again."""

    key: NamePath | Annotated[list[NamePath], Field(min_length=1, max_length=16)] = Field(
        description="Values that no two messages of a device share, such as `[serial, time]`; of a group `group.name`. "
        "`frame`: all bytes of the frame. Where one of them is missing nothing is a copy."
    )
    window_s: float = Field(600, gt=0, le=604_800, description="A copy arrives within so many seconds.")
    count: int = Field(
        128,
        ge=1,
        le=4096,
        description="So many messages of a device are remembered; of several such numbers the largest.",
    )


RecordKind = Literal["telemetry", "event", "alert", "control", "firmware", "file", "master", "presence", "log", "none"]
Selector = int | str | list[int | str]


def _json_form(value: Any) -> Any:
    """`json: {temperature: data.temp}` is short for its `values`."""
    nested = isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values())
    if isinstance(value, dict) and value and not nested and not value.keys() <= set(JsonSpec.model_fields):
        return {"values": value}
    return value


class MessageSpec(Model):
    """One message: when a frame is it, what it holds, what it becomes."""

    title: str = ""
    when: dict[str, Selector] = Field(
        default_factory=dict,
        description="Header field (or `port`, `length`, `first`) -> value, `a..b`, or list; all must hold.",
    )
    frame: str | list[str] | None = Field(None, description="Frame kinds it comes in; default: those with its fields.")
    fields: list[Row] = Field(default_factory=list)
    items: ItemsSpec | None = Field(None, description="The whole body is a tag list.")
    rest: Literal["refuse", "skip"] = Field("refuse", description="Bytes left over by the fields.")
    downlink: bool = Field(False, description="The gateway sends it.")
    record: RecordKind | None = Field(None, description="Default: telemetry when it has metrics, else none.")
    records: str | None = Field(None, description="Name of the list whose items become one record each.")
    measurement: str = ""
    data_type: str = Field("", description="`periodic`, `event` ...: copied into the record.")
    contract: Literal["flag", "reject"] | None = Field(None, description="What a broken contract does.")
    dedup: DedupSpec | Literal[False] | None = Field(
        None, description="In place of the `dedup` at the top; false: every message counts, however alike."
    )
    replies: Replies = Field(default_factory=list)
    json_: Annotated[
        JsonSpec | bool | None,
        BeforeValidator(_json_form, json_schema_input_type=JsonSpec | dict[Name, str] | bool | None),
    ] = Field(
        None, alias="json", description="The message also comes as JSON: true, value name -> path, or the long form."
    )
    csv: bool = Field(False, description="The message also comes as CSV.")
    extra: Literal["drop", "keep"] = Field(
        "drop", description="What becomes of values that a JSON document has and `fields` does not name."
    )
    note: str = ""


class SpecFile(Model):
    """A product."""

    product: Id = Field(description="Id of the product on the wire and in records.")
    extends: str | None = Field(
        None, description="Id of the product whose spec this one changes: objects are merged, `null` removes a key."
    )
    title: str = ""
    vendor: str = ""
    source: str = Field("", description="The protocol document this spec was written from.")
    version: int = Field(1, ge=1, description="Raise it with every change that consumers see.")
    transports: list[Literal["tcp", "udp", "mqtt", "rest"]] = Field(
        default_factory=list, description="Default: `tcp` with a frame, `mqtt` and `rest` without."
    )
    endian: Endian = "big"
    bit_order: BitOrder = Field("lsb", description="Which bit of an integer has number 0: the lowest or the highest.")
    zone: str = Field("UTC", description="Zone of local times: `UTC` or `+08:00`.")
    frame: FrameSpec | None = None
    frames: dict[Name, FrameSpec] = Field(default_factory=dict, max_length=32)
    enums: dict[Name, EnumMap] = Field(default_factory=dict)
    flags: dict[Name, FlagMap] = Field(default_factory=dict)
    blocks: dict[Name, list[Row]] = Field(default_factory=dict)
    tags: dict[Name, dict[int | str, TagRows]] = Field(default_factory=dict, description="Tables that `items` share.")
    messages: dict[Name, MessageSpec] = Field(
        default_factory=dict,
        max_length=500,
        description="A spec with `fields` or `items` at its top has one message, `uplink`.",
    )
    unknown_message: Replies = Field(
        default_factory=list, description="Replies to a well-formed frame that no message answers to."
    )
    contract: Literal["flag", "reject"] = Field("flag", description="What a broken contract does.")
    dedup: DedupSpec | None = Field(
        None, description="How copies of messages are known; holds for the messages that have all values of its key."
    )
    variants: dict[Id, dict[str, Any]] = Field(
        default_factory=dict, max_length=100, description="Variant -> keys that it changes; objects are merged."
    )
    note: str = ""
    fields: list[Row] = Field(default_factory=list, description="Rows of the only message.")
    items: ItemsSpec | None = Field(None, description="The only message is a tag list.")

    @model_validator(mode="before")
    @classmethod
    def _spoken(cls, value: Any) -> Any:
        if isinstance(value, dict) and "transports" not in value:
            return {**value, "transports": ["tcp"] if "frame" in value or "frames" in value else ["mqtt", "rest"]}
        return value

    @model_validator(mode="after")
    def _sound(self) -> SpecFile:
        if self.frame is not None and self.frames:
            raise ValueError("use `frame` for one kind of frame or `frames` for several, not both")
        short = bool(self.fields) or self.items is not None
        if short and self.messages:
            raise ValueError("use `fields` or `items` at the top for one message, or `messages` for several, not both")
        if not short and not self.messages and not self.variants:
            raise ValueError("a product has at least one message: `fields`, `items` or `messages`, perhaps of variants")
        if short:  # from here on it is a message like all others
            self.messages[SHORT] = MessageSpec.model_construct(fields=self.fields, items=self.items)
        return self

    def place_of(self, message: str) -> tuple[str, ...]:
        """Where a message stands in the file: its rows are `fields` and `items` of what stands there."""
        return () if self.fields or self.items is not None else ("messages", message)


for _model in (FrameSpec, MessageSpec, SpecFile):
    _model.model_rebuild()
