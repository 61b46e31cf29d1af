"""Rows of the spec language as a data model: values, groups, lists, switches, tag lists.

One class per kind of row. Descriptions end up in the JSON Schema for editors and in the language reference.
Here only shape and closed sets are checked; `decoders.spec.rows` gives rows their meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from decoders.spec.model_conversion import BitField, BitOrder, BitPart, Conversion, Encoding, Endian, Model
from decoders.spec.model_words import Encoded, Expression, Name, NameTemplate


class ValueOptions(Conversion):
    """What rows with a value of their own share."""

    if_: Expression | None = Field(None, alias="if", description="The row is there only when this is true.")
    identity: Literal["device", "hub", "child"] | None = Field(None, description="Who the data is about.")
    timestamp: Literal["device", "hub"] | None = Field(None, description="The record's time.")
    session: Literal["zone", "keep"] | None = Field(None, description="Kept for later frames of the connection.")


class CheckSpec(Model):
    """A check value by its parameters, where it has no name."""

    bits: Literal[8, 16, 24, 32] = Field(description="Width.")
    poly: int | None = Field(None, ge=0, description="Polynomial of a CRC, highest bit left out.")
    sum: Literal["sum", "xor"] | None = Field(None, description="Instead of `poly`: sum or XOR of all bytes.")
    init: int = Field(0, ge=0, description="Start value.")
    reflect: bool = Field(False, description="Bits are taken from the lowest on, in and out.")
    xor_out: int = Field(0, ge=0, description="XORed with the result.")

    @model_validator(mode="after")
    def _one_kind(self) -> CheckSpec:
        if (self.poly is None) == (self.sum is None):
            raise ValueError("a check value has exactly one of `poly` and `sum`")
        return self


class ValueRow(ValueOptions):
    """A field that reads bytes."""

    name: NameTemplate = Field(description="Name of the value; `chn_{k}` builds it from raw integers.")
    type: str = Field(
        "", description="u8 i16le u24 f32 bcd hex text number mac unix32 ymdhms ...; in text frames `text` if left out."
    )
    raw: Expression | None = Field(
        None, description="In place of a type: the raw value is this formula over raw integers; no bytes are read."
    )
    bytes: Expression | None = Field(None, description="Size where the type has none: number, formula, or `rest`.")
    prefix: str | None = Field(None, description="Type of the length that stands before the value.")
    until: str | None = Field(
        None, description="The value ends before these bytes, which are read too: hex, in text frames text."
    )
    chars: str | None = Field(
        None, description="Text: the value is the longest run of these characters, such as `0-9.`; may be empty."
    )
    optional: bool = Field(False, description="The row is there only when any byte is left for it.")
    else_: int | float | str | bool | None = Field(None, alias="else", description="Value when the row is not there.")
    repeat: Literal["list", "number"] | None = Field(
        None,
        description="Several values of this name become a list, or `name_1`, `name_2` ...; default: the last one.",
    )
    const: int | str | None = Field(
        None, description="The only value allowed here: a number, or bytes in hex (in text frames text)."
    )
    negate: Expression | None = Field(None, description="The value is negative when this formula is true.")
    bits: dict[NameTemplate, int | str | list[int | str] | BitField] | list[BitPart] | None = Field(
        None, description="Named parts of the integer: by place, or a list in the order of the protocol's table."
    )
    bit_order: BitOrder | None = Field(None, description="Which bit has number 0; default: the spec's.")
    encoding: Encoding | None = Field(None, description="Of a text.")
    trim: bool | str | None = Field(
        None, description="Remove NUL and blanks at both ends of a text (default), or also these characters."
    )
    digits: int | None = Field(None, ge=1, le=64, description="Keep the last n digits of a BCD number.")
    counts: str | None = Field(None, description="Length of `first..last` field, `body`, or `rest`, in bytes.")
    adjust: int = Field(0, description="Added to the length read by `counts`.")
    crc: str | CheckSpec | None = Field(None, description="Check value by this algorithm.")
    over: str | None = Field(
        None, description="What the check value covers: fields `first..last`, or bytes `2..-3` from start and end."
    )
    written: Literal["hex", "HEX", "decimal"] | None = Field(
        None,
        description="The check value is written as hex digits (upper case when sent as `HEX`; read in both), or as "
        "`decimal` ones, so many as `bytes` says. Default in text frames: `HEX`.",
    )
    on_wrong: Literal["refuse", "flag"] = Field("refuse", description="What a wrong check value does.")
    equals: str | None = Field(None, description="Must equal this earlier field.")
    default: int | str | None = Field(None, description="Value when a message is built and nothing else gives one.")
    endian: Endian | None = None


class FormulaRow(ValueOptions):
    """A value computed from others of the same structure."""

    name: Name
    formula: Expression | None = None
    clock: str | list[Expression] | None = Field(  # type: ignore[assignment]
        None, description="As for fields; or a list of formulas: [year, month, day, hour, minute, second]."
    )

    @model_validator(mode="after")
    def _has_source(self) -> FormulaRow:
        if (self.formula is None) != isinstance(self.clock, list):
            raise ValueError("a value without a type has a `formula`, or a `clock` that lists year to second")
        return self


def bit_fields(row: ValueRow, width: int, order: BitOrder | None = None) -> dict[str, BitField]:
    """The named bits of an integer of `width` bits, whose order the row or the spec may say. A list of parts begins
    with the highest bit, with `lsb` with the lowest; its places then count in this order."""
    if isinstance(row.bits, dict):
        return {name: bit if isinstance(bit, BitField) else BitField(at=bit) for name, bit in row.bits.items()}
    found: dict[str, BitField] = {}
    used = 0
    order = row.bit_order or order
    for part in row.bits or ():
        size = part.skip or part.width or 0
        low = width - used - size if order is None else used
        used += size
        if part.name is not None:
            options = part.model_dump(exclude={"name", "width", "skip"}, exclude_unset=True)
            found[part.name] = BitField(at=f"{low}-{low + size - 1}" if size > 1 else low, **options)
    return found


class UseRow(Model):
    """Rows of a shared block, put in here."""

    use: str
    if_: Expression | None = Field(None, alias="if")
    note: str = ""


class SkipRow(Model):
    """Bytes that mean nothing."""

    skip: Expression | None = Field(None, description="Number of bytes, formula, or `rest`.")
    until: str | None = Field(None, description="Skip up to and with these bytes: hex, in text frames text.")
    chars: str | None = Field(None, description="Text: skip the longest run of these characters.")
    if_: Expression | None = Field(None, alias="if")
    optional: bool = False
    note: str = ""


class LiteralRow(Model):
    """Bytes that must stand here: hex, in text frames text."""

    literal: str
    if_: Expression | None = Field(None, alias="if")
    optional: bool = Field(False, description="It may be missing.")
    note: str = ""


class GroupRow(Model):
    """Rows that belong together: a nested object when `group` names it; bounded when a size is given."""

    group: NameTemplate | None
    fields: list[Row]
    bytes: Expression | None = None
    prefix: str | None = None
    prefix_counts_itself: bool = False
    until: str | None = Field(None, description="The group ends before these bytes, which are read too.")
    encoded: Encoded | None = Field(
        None,
        description="`text`: rows read the group's bytes as those of a text frame. Or the bytes stand for others, "
        "which its rows read: `hex` or `base64` text, what the registered function of `python:name` makes of them, or "
        "with `{add: 0x33}` or `{xor: 0x5A}` bytes to each of which this was done.",
    )
    split: str | None = Field(None, description="Text: what stands between the group's values.")
    rest: Literal["refuse", "skip"] = Field("refuse", description="Bytes of the group left over by its rows.")
    repeat: Literal["list", "number"] | None = Field(
        None, description="Several groups of this name become a list, or `name_1`, `name_2` ...; default: the last one."
    )
    if_: Expression | None = Field(None, alias="if")
    optional: bool = False
    note: str = ""


class ListRow(Conversion):
    """A list of equal structures, or of plain values when `type` is given."""

    list_: NameTemplate = Field(alias="list")
    fields: list[Row] = Field(default_factory=list)
    type: str | None = Field(None, description="The items are plain values of this type, in place of `fields`.")
    count: Expression | None = Field(None, description="Number of items; without it and `bytes`: to the end.")
    count_type: str | None = Field(None, description="Type of a count that stands right before the items.")
    bytes: Expression | None = Field(None, description="Size of all items together.")
    until_left: Expression | None = Field(None, description="Items go on while more than this many bytes are left.")
    while_: Expression | None = Field(
        None, alias="while", description="Items go on while this formula over what comes next is true."
    )
    until: str | None = Field(
        None,
        description="Items end where these bytes stand in place of one, which are read too: one or two bytes in hex, "
        "in text frames text.",
    )
    item_prefix: str | None = Field(None, description="Type of the length before each item.")
    item_bytes: Expression | None = Field(
        None, description="Size of each plain value whose type has none, and of text that nothing parts."
    )
    item_until: str | None = Field(None, description="Each item ends before these bytes: hex, in text frames text.")
    split: str | None = Field(None, description="Text: what stands between the values of an item.")
    keep: Expression | None = Field(None, description="Items for which this (over values) is false are dropped.")
    into: Name | None = Field(
        None, description="The n-th item adds its values to the n-th item of this earlier list (parallel lists)."
    )
    numbered: bool = Field(False, description="No list: the values are called `name_1`, `name_2`, ...")
    max: int = Field(1000, ge=1, le=65536, description="More items than this are refused.")
    if_: Expression | None = Field(None, alias="if")
    optional: bool = False
    metric: bool | None = Field(None, description="Whether it becomes a metric; default: yes.")

    @model_validator(mode="after")
    def _one_kind(self) -> ListRow:
        if bool(self.fields) == (self.type is not None):
            raise ValueError("a list has either `fields` or the `type` of its values")
        return self


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
    fields: list[Row] = Field(
        default_factory=list,
        description="In place of `type`: rows that read the value. Where they give one value this is the entry, else "
        "an object of all of them.",
    )


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _unknown_kind(value: Any) -> str:
    """What `on_unknown` is: a word, an object that values go into, or rows."""
    if isinstance(value, str):
        return "word"
    is_object = isinstance(value, UnknownTag) or (isinstance(value, dict) and "into" in value and "list" not in value)
    return "object" if is_object else "rows"


class ItemsSpec(Model):
    """Tag list: key, perhaps length, value, again and again. Or self-describing records (`format`)."""

    format: Literal["tags", "mbus", "dlms"] = Field(
        "tags", description="`mbus`: DIF/VIF records (EN 13757-3); `dlms`: A-XDR with OBIS codes (IEC 62056)."
    )
    key: str | None = Field(
        None,
        description="Type of the key: u8, u16 ...; `text` in text frames; with `header` a formula over its fields.",
    )
    escape: dict[int, str] = Field(
        default_factory=dict,
        description="Keys that are followed by more of the key: `{0xFF: u8}`; the key is then 0xFF00 | next.",
    )
    header: list[Row] = Field(default_factory=list, description="Rows before each value, in place of key and length.")
    length: str | int | None = Field(
        None,
        description="Type of the length, or size of every value; none: by tag. With `header` a formula over it.",
    )
    length_counts: Literal["value", "key_and_value"] = Field("value", description="What the length includes.")
    length_first: bool = Field(False, description="The length stands before the key and counts key and value.")
    assign: str | None = Field(None, description="Text: what stands between key and value, such as `=`.")
    split: str | None = Field(None, description="Text: what stands between items; default: the frame's `split`.")
    count: Expression | None = Field(None, description="Number of items.")
    count_type: str | None = Field(None, description="Type of a count that stands right before the items.")
    bytes: Expression | None = None
    until_left: Expression | None = Field(None, description="Items go on while more than this many bytes are left.")
    while_: Expression | None = Field(
        None, alias="while", description="Items go on while this formula over what comes next is true."
    )
    until: str | None = Field(
        None, description="Items end where these bytes (one or two, in hex) stand in place of one, which are read too."
    )
    tags: dict[int | str, TagRows] | Name = Field(
        default_factory=dict,
        description="Key, `a..b` or `a, b` -> row (or list of rows) of its value; or the name of a shared table. Of a "
        "shared table, a list with a fixed `length` uses the rows of this size.",
    )
    on_unknown: OnUnknown = Field(
        "skip", description="A key that is not in `tags`: a word, `{into: name}`, or rows that read its value."
    )
    raw: Name | None = Field(None, description="Also keep every item in a list of this name: {id, value: hex}.")
    max: int = Field(500, ge=1, le=65536)


class ItemsRow(Model):
    """A tag list among other rows."""

    items: ItemsSpec
    if_: Expression | None = Field(None, alias="if")
    optional: bool = False
    note: str = ""


def _row_kind(row: Any) -> str:
    if not isinstance(row, dict):
        return "value"
    for kind in ("use", "list", "switch", "items", "group", "literal"):
        if kind in row:
            return kind
    if "name" not in row and ("skip" in row or "until" in row or "chars" in row):
        return "skip"
    computed = "formula" in row or isinstance(row.get("clock"), list)
    reads = any(key in row for key in ("type", "bytes", "prefix", "until", "chars", "crc"))
    return "formula" if computed and not reads else "value"


Row = Annotated[
    Annotated[ValueRow, Tag("value")]
    | Annotated[FormulaRow, Tag("formula")]
    | Annotated[UseRow, Tag("use")]
    | Annotated[SkipRow, Tag("skip")]
    | Annotated[LiteralRow, Tag("literal")]
    | Annotated[GroupRow, Tag("group")]
    | Annotated[ListRow, Tag("list")]
    | Annotated[SwitchRow, Tag("switch")]
    | Annotated[ItemsRow, Tag("items")],
    Discriminator(_row_kind),
]
TagRows = Annotated[list[Row], BeforeValidator(_as_list, json_schema_input_type=list[Row] | Row)]
OnUnknown = Annotated[
    Annotated[Literal["skip", "stop", "refuse"], Tag("word")]
    | Annotated[UnknownTag, Tag("object")]
    | Annotated[TagRows, Tag("rows")],
    Discriminator(_unknown_kind),
]

for _model in (GroupRow, ListRow, SwitchRow, UnknownTag, ItemsSpec, ItemsRow):
    _model.model_rebuild()
