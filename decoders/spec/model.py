"""The spec language as a data model: what a `spec.yaml` may say.

One class per kind of row. Descriptions end up in the JSON Schema for editors and in the language reference.
Meaning is given by `decoders.spec.layout_of`; here only shape and closed sets are checked.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


def _name(value: Any) -> Any:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError("a name starts with a letter and has at most 64 letters, digits and underscores")
    return value


Name = Annotated[str, BeforeValidator(_name)]


def _expression(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return str(value)
    return value


Expression = Annotated[str, BeforeValidator(_expression)]
"""A formula over raw integers of earlier fields (layout) or over values (`formula`)."""

Endian = Literal["big", "little"]
EnumMap = dict[int | str, str | int | float | bool | None]
"""Raw value, `a..b` range, or `_` for every other value -> name; null: no value."""


def _hex_bytes(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:0{2 + (len(f'{value:x}') - 1) // 2 * 2}x}" if value >= 0 else value
    if isinstance(value, str):
        compact = value.replace(" ", "")
        if len(compact) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]+", compact):
            return compact.lower()
    raise ValueError('expected bytes in hex, such as "0D 0A"')


HexBytes = Annotated[str, BeforeValidator(_hex_bytes)]


class BitField(Model):
    """Part of an integer."""

    at: int | str = Field(description="Bit number, or `low-high`; bit 0 is the lowest.")
    invert: bool = Field(False, description="True when the bit is 0.")
    signed: bool = Field(False, description="Two's complement over its bits.")
    enum: EnumMap | str | None = Field(None, description="Names of its values.")
    flags: dict[int, str] | str | None = Field(None, description="Bit number, counted from its lowest bit -> name.")
    scale: float | str = Field(1, description="Value = raw * scale + offset; `1/256` is allowed.")
    offset: float | str = Field(0, description="Added after scaling.")
    unit: str = Field("", description="Unit of the value.")
    formula: Expression | None = Field(None, description="Value by formula; `x` is the scaled value.")
    range: tuple[float, float] | None = Field(None, description="Contract: smallest and largest value.")
    absent: list[int] | int | None = Field(None, description="Raw values that mean: not available.")
    hidden: bool | None = Field(None, description="Read, but not shown as a value. Default: true for `counts`.")
    metric: bool | None = Field(None, description="Whether it becomes a metric; default: as its row.")
    counts: str | None = Field(None, description="These bits hold a length in bytes: `first..last` field, or `body`.")
    note: str = ""


class ValueOptions(Model):
    """What rows with a value of their own share."""

    if_: Expression | None = Field(None, alias="if", description="The row is there only when this is true.")
    unit: str = Field("", description='Unit of the value, such as "°C".')
    range: tuple[float, float] | None = Field(None, description="Contract: smallest and largest value.")
    required: bool = Field(False, description="Contract: a record without this value breaks it.")
    hidden: bool | None = Field(
        None, description="Read and usable in formulas, but not shown. Default: true for const, counts and bits rows."
    )
    metric: bool | None = Field(None, description="Whether it becomes a metric; a header field only if true.")
    identity: Literal["device", "hub", "child"] | None = Field(None, description="Who the data is about.")
    timestamp: Literal["device", "hub"] | None = Field(None, description="The record's time.")
    session: Literal["zone", "keep"] | None = Field(None, description="Kept for later frames of the connection.")
    note: str = Field("", description="For people: what the field means.")


class ValueRow(ValueOptions):
    """A field that reads bytes."""

    name: Name
    type: str = Field(description="u8 i16le u24 f32 bcd hex text mac unix32 ymdhms ...; see the table of types.")
    bytes: Expression | None = Field(None, description="Size where the type has none: number, formula, or `rest`.")
    prefix: str | None = Field(None, description="Type of the length that stands before the value.")
    const: int | HexBytes | None = Field(None, description="The only value allowed here.")
    scale: float | str = Field(1, description="Value = raw * scale + offset; `1/1800000` is allowed.")
    offset: float | str = Field(0, description="Added after scaling.")
    decimals: int | None = Field(None, ge=0, le=12, description="Round the value to this many decimals.")
    formula: Expression | None = Field(None, description="Value by formula; `x` is the scaled value.")
    negate: Expression | None = Field(None, description="The value is negative when this formula is true.")
    absent: list[int | str] | int | str | None = Field(None, description="Raw values that mean: not available.")
    enum: EnumMap | str | None = Field(None, description="Names of raw values, or the name of a shared list.")
    bits: dict[Name, int | str | BitField] | None = Field(None, description="Named parts of the integer.")
    flags: dict[int, str] | str | None = Field(None, description="Bit number -> name; the value lists the set ones.")
    zone: str | None = Field(None, description="Zone of a local time: `+08:00`; default: the spec's or the login's.")
    encoding: Literal["ascii", "utf-8", "gbk", "latin-1", "utf-16be", "utf-16le"] | None = None
    trim: bool | None = Field(None, description="Remove NUL and blanks at both ends of a text (default).")
    digits: int | None = Field(None, ge=1, le=64, description="Keep the last n digits of a BCD number.")
    counts: str | None = Field(None, description="Length of `first..last` field, `body`, or `rest`, in bytes.")
    adjust: int = Field(0, description="Added to the length read by `counts`.")
    crc: str | None = Field(None, description="Check value by this algorithm.")
    over: str | None = Field(None, description="Fields that the check value covers, `first..last`.")
    equals: str | None = Field(None, description="Must equal this earlier field.")
    default: int | str | None = Field(None, description="Value when a message is built and nothing else gives one.")
    endian: Endian | None = None


class FormulaRow(ValueOptions):
    """A value computed from others of the same structure."""

    name: Name
    formula: Expression
    decimals: int | None = Field(None, ge=0, le=12)


class UseRow(Model):
    """Rows of a shared block, put in here."""

    use: str
    if_: Expression | None = Field(None, alias="if")
    note: str = ""


class SkipRow(Model):
    """Bytes that mean nothing."""

    skip: Expression = Field(description="Number of bytes, formula, or `rest`.")
    if_: Expression | None = Field(None, alias="if")
    note: str = ""


class GroupRow(Model):
    """Rows that belong together: a nested object when `group` names it; bounded when a size is given."""

    group: Name | None
    fields: list[Row]
    bytes: Expression | None = None
    prefix: str | None = None
    prefix_counts_itself: bool = False
    rest: Literal["refuse", "skip"] = Field("refuse", description="Bytes of the group left over by its rows.")
    if_: Expression | None = Field(None, alias="if")
    note: str = ""


class ListRow(Model):
    """A list of equal structures."""

    list_: Name = Field(alias="list")
    fields: list[Row]
    count: Expression | None = Field(None, description="Number of items; without it and `bytes`: to the end.")
    count_type: str | None = Field(None, description="Type of a count that stands right before the items.")
    bytes: Expression | None = Field(None, description="Size of all items together.")
    until_left: Expression | None = Field(None, description="Items go on while more than this many bytes are left.")
    item_prefix: str | None = Field(None, description="Type of the length before each item.")
    keep: Expression | None = Field(None, description="Items for which this (over values) is false are dropped.")
    max: int = Field(1000, ge=1, le=65536, description="More items than this are refused.")
    if_: Expression | None = Field(None, alias="if")
    metric: bool = Field(True)
    note: str = ""


class SwitchRow(Model):
    """One of several row lists, by an earlier value."""

    switch: Expression = Field(description="Name or formula over raw integers.")
    cases: dict[int | str, list[Row]] = Field(description="Value, `a..b`, or `a, b, c` -> rows.")
    default: list[Row] | Literal["refuse"] = Field("refuse", description="Rows for every other value.")
    if_: Expression | None = Field(None, alias="if")
    note: str = ""


class UnknownTag(Model):
    """What a tag that the list does not name becomes."""

    into: Name = Field(description="Values go into an object of this name, by key.")
    type: str | None = Field(None, description="Type of the value; default: hex text of its bytes.")


class ItemsSpec(Model):
    """Tag list: key, perhaps length, value, again and again."""

    key: str = Field(description="Type of the key: u8, u16 ...")
    length: str | int | None = Field(None, description="Type of the length, or size of every value; none: by tag.")
    length_counts: Literal["value", "key_and_value"] = Field("value", description="What the length includes.")
    length_first: bool = Field(False, description="The length stands before the key and counts key and value.")
    count: Expression | None = Field(None, description="Number of items.")
    count_type: str | None = Field(None, description="Type of a count that stands right before the items.")
    bytes: Expression | None = None
    tags: dict[int, TagRows] | Name = Field(
        default_factory=dict,
        description="Key -> row (or list of rows) of its value; or the name of a shared table. Of a shared table, a "
        "list with a fixed `length` uses the rows of this size.",
    )
    on_unknown: Literal["skip", "stop", "refuse"] | UnknownTag = "skip"
    raw: Name | None = Field(None, description="Also keep every item in a list of this name: {id, value: hex}.")
    max: int = Field(500, ge=1, le=65536)


class ItemsRow(Model):
    """A tag list among other rows."""

    items: ItemsSpec
    if_: Expression | None = Field(None, alias="if")
    note: str = ""


def _row_kind(row: Any) -> str:
    if not isinstance(row, dict):
        return "value"
    for kind in ("use", "list", "switch", "items", "skip", "group"):
        if kind in row:
            return kind
    return "formula" if "formula" in row and "type" not in row else "value"


Row = Annotated[
    Annotated[ValueRow, Tag("value")]
    | Annotated[FormulaRow, Tag("formula")]
    | Annotated[UseRow, Tag("use")]
    | Annotated[SkipRow, Tag("skip")]
    | Annotated[GroupRow, Tag("group")]
    | Annotated[ListRow, Tag("list")]
    | Annotated[SwitchRow, Tag("switch")]
    | Annotated[ItemsRow, Tag("items")],
    Discriminator(_row_kind),
]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


TagRows = Annotated[list[Row], BeforeValidator(_as_list)]


def _checkless(row: Any) -> Any:
    """In header and trailer a check or start/stop row needs no type of its own."""
    if isinstance(row, dict) and "type" not in row and "formula" not in row:
        if "crc" in row:
            return {**row, "type": "check"}
        if "const" in row and isinstance(row["const"], str):
            return {**row, "type": "hex", "bytes": len(row["const"].replace(" ", "")) // 2}
    return row


FrameRow = Annotated[Row, BeforeValidator(_checkless)]


class EscapeSpec(Model):
    """Byte stuffing between start and stop."""

    mark: int = Field(ge=0, le=255)
    table: dict[int, int] = Field(description="Byte after the mark -> byte that both stand for.")


class FrameSpec(Model):
    """How one kind of frame looks on the wire."""

    start: HexBytes | None = Field(None, description="Bytes that every frame starts with.")
    begins: str | None = Field(None, description="Pattern of the first bytes, such as `78 78 00-14 17|69`.")
    stop: HexBytes | None = Field(None, description="Bytes that every frame ends with.")
    until: HexBytes | None = Field(None, description="The frame ends with the first of these bytes (text lines).")
    size: int | Expression | None = Field(None, description="Fixed size, or a formula that may read `u8(n)`, `u16(n)`.")
    escape: EscapeSpec | None = None
    header: list[FrameRow] = Field(default_factory=list)
    trailer: list[FrameRow] = Field(default_factory=list)
    min_bytes: int | None = Field(None, ge=1)
    max_bytes: int | None = Field(None, ge=1, le=1 << 20)
    format: Literal["binary", "json"] = "binary"


class Reply(Model):
    """One answer to a message."""

    message: str | None = Field(None, description="A downlink message of this spec, built from the request.")
    with_: dict[Name, Expression] = Field(
        default_factory=dict, alias="with", description="Its values: formulas over the request's values and `now`."
    )
    hex: HexBytes | None = Field(None, description="These bytes.")
    text: str | None = Field(None, description="This text; `{name}` and `{now:%Y%m%d%H%M%S}` are filled in.")
    if_: Expression | None = Field(None, alias="if", description="Only when this formula over values is true.")

    @model_validator(mode="after")
    def _one_kind(self) -> Reply:
        if sum(part is not None for part in (self.message, self.hex, self.text)) != 1:
            raise ValueError("a reply has exactly one of `message`, `hex`, `text`")
        return self


def _reply(value: Any) -> Any:
    return {"message": value} if isinstance(value, str) else value


Replies = list[Annotated[Reply, BeforeValidator(_reply)]]
RecordKind = Literal["telemetry", "event", "alert", "control", "firmware", "file", "master", "presence", "log", "none"]
Selector = int | str | list[int | str]


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
    replies: Replies = Field(default_factory=list)
    json_: dict[Name, str] | bool | None = Field(
        None, alias="json", description="The message also comes as JSON: true, or value name -> path."
    )
    note: str = ""


class SpecFile(Model):
    """A product."""

    product: str = Field(pattern=_ID, description="Id of the product on the wire and in records.")
    title: str = ""
    vendor: str = ""
    source: str = Field("", description="The protocol document this spec was written from.")
    version: int = Field(1, ge=1, description="Raise it with every change that consumers see.")
    transports: list[Literal["tcp", "udp", "mqtt", "rest"]] = ["tcp"]
    endian: Endian = "big"
    zone: str = Field("UTC", description="Zone of local times: `UTC` or `+08:00`.")
    frame: FrameSpec | None = None
    frames: dict[Name, FrameSpec] = Field(default_factory=dict)
    enums: dict[Name, EnumMap] = Field(default_factory=dict)
    flags: dict[Name, dict[int, str]] = Field(default_factory=dict)
    blocks: dict[Name, list[Row]] = Field(default_factory=dict)
    tags: dict[Name, dict[int, TagRows]] = Field(default_factory=dict, description="Tables that `items` share.")
    messages: dict[Name, MessageSpec]
    unknown_message: Replies = Field(
        default_factory=list, description="Replies to a well-formed frame that no message answers to."
    )
    contract: Literal["flag", "reject"] = Field("flag", description="What a broken contract does.")
    variants: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="Variant -> keys that it changes; objects are merged."
    )
    note: str = ""

    @field_validator("messages")
    @classmethod
    def _some(cls, value: dict[str, MessageSpec]) -> dict[str, MessageSpec]:
        if not value:
            raise ValueError("a product has at least one message")
        return value

    @model_validator(mode="after")
    def _frames(self) -> SpecFile:
        if self.frame is not None and self.frames:
            raise ValueError("use `frame` for one kind of frame or `frames` for several, not both")
        return self


for _model in (GroupRow, ListRow, SwitchRow, ItemsSpec, ItemsRow, FrameSpec, MessageSpec, SpecFile):
    _model.model_rebuild()
