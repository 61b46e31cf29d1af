"""Layout: what a message's bytes are, compiled from the spec and the same for every codec.

A layout is a tuple of nodes read one after the other in a window of bytes. Codecs read *raw* values by it (integers,
texts, bytes as they are on the wire); `Convert` turns raw values into values, with one source for all codecs.
Conditions, counts and sizes inside a layout see raw values; `formula` and `negate` see values: formulas where they
stand, if what they read is there (see `decoders.moments`), else, as `negate`, once their structure is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from decoders.convert import Convert
from decoders.formula import Formula
from decoders.naming import Naming


@dataclass(slots=True, frozen=True)
class IntWire:
    """An integer of `size` bytes. sign: `unsigned`, `twos` complement or `magnitude` (top bit is the sign)."""

    size: int
    sign: str = "unsigned"
    big: bool = True


@dataclass(slots=True, frozen=True)
class FloatWire:
    """IEEE 754, 2, 4 or 8 bytes."""

    size: int
    big: bool = True


@dataclass(slots=True, frozen=True)
class Rest:
    """All bytes of the window that are left."""


@dataclass(slots=True, frozen=True)
class Prefix:
    """As many bytes as the integer right before them says; `itself`: the integer's own bytes are counted too."""

    wire: IntWire
    itself: bool = False


@dataclass(slots=True, frozen=True)
class Until:
    """The bytes before `mark`, which is read too. Where it is missing: truncated if `needed`, else all that is left.
    Not needed, in a window that is read to its end: nothing is left where no mark stands right before (`a,b,` has
    three tokens, `a,b` two); a window of its own has one token even when it is empty. unit: the mark begins at a whole
    number of so many bytes (of the code units of a text)."""

    mark: bytes
    needed: bool = True
    unit: int = 1


@dataclass(slots=True, frozen=True)
class CharRun:
    """The longest run of these bytes, at most MAX_RUN; may be empty."""

    chars: bytes


MAX_RUN = 256
Size: TypeAlias = int | Formula | Rest | Prefix | Until | CharRun


@dataclass(slots=True, frozen=True)
class BytesWire:
    """Bytes of some size, read as `form`: hex, text, bcd, mac, raw (six bytes of a clock) or a number (uint, int,
    uintle, intle, bcdnumber, bcdnumberle), or a number written as text (the forms of `decoders.text_forms`).

    strip: characters that are removed at both ends beside NUL and blanks. blank: nothing (after trimming) is no value:
    the raw value is None. words: texts that stand in the place of a number; the raw value is then this text."""

    size: Size
    form: str = "hex"
    encoding: str = "ascii"
    trim: bool = True
    digits: int = 0
    strip: str = ""
    blank: bool = False
    words: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class RecordWire:
    """What the self-describing record around it holds; reads no bytes. part: its `value`, or its `raw` number or text.
    absent: raw numbers, texts or spans that are no value."""

    part: str = "value"
    absent: tuple[int | float | str | bytes | tuple[float, float], ...] = ()
    size: int = 0


@dataclass(slots=True, frozen=True)
class PythonWire:
    """Bytes that the registered function `name` makes a value of (`decoders.custom`)."""

    size: Size
    name: str


@dataclass(slots=True, frozen=True)
class FormulaWire:
    """What a formula over raw integers gives where it stands; reads no bytes."""

    formula: Formula
    size: int = 0


Wire: TypeAlias = IntWire | FloatWire | BytesWire | RecordWire | PythonWire | FormulaWire


@dataclass(slots=True, frozen=True)
class Span:
    """Bytes of a frame but for the first `start` and the last `tail`. A negative `start` counts from the end; a
    negative `tail` says how many bytes from the frame's start on the span ends."""

    start: int
    tail: int

    def of(self, size: int) -> slice:
        """The span in a frame of this size."""
        return slice(self.start, size - self.tail if self.tail >= 0 else -self.tail)


@dataclass(slots=True, frozen=True)
class Counts:
    """The integer times `unit` plus `adjust` is the number of bytes of `span` (None: of the body)."""

    span: Span | None
    adjust: int = 0
    unit: int = 1


@dataclass(slots=True, frozen=True)
class Check:
    """The value is the check value of `span`; `over` is what the spec says of it. written: as digits, `hex`, `HEX` or
    `decimal`, instead of an integer. flag: a wrong one does not refuse the frame. running: it stands where the rows
    before it end, and covers what is from `span.start` up to there."""

    algorithm: str
    span: Span
    over: str = ""
    written: str = ""
    flag: bool = False
    running: bool = False


STATUS = "_status"
"""Behind the name of a value: the name of the word of its sentinel."""


@dataclass(slots=True, frozen=True)
class Place:
    """Where a value goes beside its plain name. naming: the name is built from raw values. repeat: several of this name
    become a `list`, or are called `name_1`, `name_2` ... (`number`)."""

    naming: Naming | None = None
    repeat: str = ""


@dataclass(slots=True, frozen=True)
class Bit:
    """Part of an integer: `width` bits from bit `at` upwards (bit 0 is the lowest), or put together from `parts`,
    each (lowest bit, width), the most significant first. bcd: the bits are decimal digits. status: gives the value
    `<name>_status`, the word of a sentinel. const: the only number allowed."""

    name: str
    at: int
    width: int
    convert: Convert
    hidden: bool = False
    counts: Counts | None = None
    parts: tuple[tuple[int, int], ...] = ()
    bcd: bool = False
    status: Convert | None = None
    place: Place | None = None
    const: int | None = None


@dataclass(slots=True, frozen=True)
class Value:
    """Reads one raw value. Where it is one of its sentinels, its bits have no value either. `hidden`: not among the
    values. `negate`: the value changes its sign when true. status: gives the value `<name>_status`, the word of a
    sentinel. place: None for a value that goes under its name."""

    name: str
    wire: Wire
    convert: Convert
    hidden: bool = False
    bits: tuple[Bit, ...] = ()
    negate: Formula | None = None
    const: int | str | None = None
    counts: Counts | None = None
    check: Check | None = None
    equals: str = ""
    default: int | str | None = None
    status: Convert | None = None
    place: Place | None = None

    @property
    def parts(self) -> tuple[Value | Bit, ...]:
        """The value itself and its bits."""
        return (self, *self.bits)


@dataclass(slots=True, frozen=True)
class Given:
    """A value that stands in the spec. raw: layout formulas read it too."""

    name: str
    value: int | float | str | bool
    raw: bool = False
    place: Place | None = None
    hidden: bool = False


@dataclass(slots=True, frozen=True)
class Derived:
    """A value by formula over values of its structure; none when `test`, over values too, is false."""

    name: str
    formula: Formula
    convert: Convert
    hidden: bool = False
    test: Formula | None = None


@dataclass(slots=True, frozen=True)
class Skip:
    size: Size


@dataclass(slots=True, frozen=True)
class OptionalMark:
    """These bytes are read when they stand here."""

    data: bytes


@dataclass(slots=True, frozen=True)
class Condition:
    """The nodes are there only when the formula over raw values is true. optional: the formula asks for bytes that are
    left; in a message that is built the nodes are there when all of their values are. otherwise: what is there
    instead."""

    test: Formula
    nodes: Nodes
    optional: bool = False
    otherwise: tuple[Given, ...] = ()


@dataclass(slots=True, frozen=True)
class Branch:
    """One of several node lists, by a raw value: the first whose ranges hold it, else `default` (None: refuse)."""

    on: Formula
    cases: tuple[tuple[tuple[tuple[int | str, int | str], ...], Nodes], ...]
    default: Nodes | None


@dataclass(slots=True, frozen=True)
class Group:
    """Nodes in a window of their own. `name` "": their values belong to the structure around. encoded: `hex` or
    `base64` text in the window (without a size: all that is left); the nodes read the bytes that it stands for.
    Or `add:51`, `xor:90`: what was done to each byte."""

    name: str
    nodes: Nodes
    size: Size | None = None
    skip_rest: bool = False
    encoded: str = ""
    place: Place | None = None

    @property
    def byte_for_byte(self) -> bool:
        """True when the nodes read as many bytes as stand in the window."""
        return self.encoded.startswith(("add:", "xor:")) or not self.encoded


@dataclass(slots=True, frozen=True)
class Entry(Group):
    """What the rows of a tag give as one entry of the object `name`, under the tag's `key`: the value `only`, or with
    "" an object of all of them."""

    only: str = ""


@dataclass(slots=True, frozen=True)
class Repeat:
    """Equal structures. At most one of count, prefix count, size; without a count to the window's end, where `left`
    bytes may remain. going: over raw values of the structure and of the item before; items end when it is false.
    `keep`: items for which it is false are dropped. plain: each item is the value of its only node, which has the
    list's name. item_until: each item is a window that ends before these bytes, or, unless `marked`, where the list
    ends. into: the n-th item adds its values to the n-th item of this earlier list. numbered: no list; the values of
    the n-th item are called `name_n` in the structure around."""

    name: str
    nodes: Nodes
    count: Formula | None = None
    count_wire: IntWire | None = None
    size: Size | None = None
    left: Formula | None = None
    item_prefix: IntWire | None = None
    keep: Formula | None = None
    max_items: int = 1000
    going: Formula | None = None
    plain: bool = False
    into: str = ""
    numbered: bool = False
    hidden: bool = False
    item_until: bytes = b""
    marked: bool = False

    @property
    def item_size(self) -> Size | None:
        """What bounds each item."""
        if self.item_until:
            return Until(self.item_until, needed=self.marked)
        return None if self.item_prefix is None else Prefix(self.item_prefix)


Keys: TypeAlias = tuple[tuple[int, int], ...]
"""Keys of a tag: from lowest to highest, both among them."""


@dataclass(slots=True, frozen=True)
class Tags:
    """Key, perhaps length, value, again and again.

    header: nodes before each item, whose raw values formulas of this list and of the tags' nodes may read. key,
    length: an integer on the wire, or a formula over the header; a length may also be a fixed size for every value, or
    None (each tag's nodes say their own size). escapes: keys, the lowest first, behind which more of the key follows.
    The tags' nodes may read the key as `key`, unless a node here has that name.
    length_first: the length stands before the key and counts key and value.
    going: over raw values and what comes next; items end when it is false. left: bytes that may remain.
    unknown: skip | stop | refuse | into:<name> | rows: the last of `tags`, which has no keys, is for all others.
    raw: name of a list that keeps every item as {id, value}.
    """

    key: IntWire | Formula
    length: IntWire | int | Formula | None
    tags: tuple[tuple[Keys, Nodes], ...]
    unknown: str = "skip"
    unknown_wire: Wire | None = None
    raw: str = ""
    length_counts_key: bool = False
    length_first: bool = False
    count: Formula | None = None
    count_wire: IntWire | None = None
    size: Size | None = None
    max_items: int = 500
    escapes: tuple[tuple[int, IntWire], ...] = ()
    header: Nodes = ()
    going: Formula | None = None
    left: Formula | None = None

    @property
    def entry(self) -> Entry | None:
        """What reads unknown ones into an object, by rows."""
        others = self.tags[-1][1] if self.unknown == "rows" else ()
        return others[0] if others and isinstance(others[0], Entry) else None

    @property
    def into(self) -> str:
        """The object that unknown ones go into; "" where they go into none."""
        if self.entry is not None:
            return self.entry.name
        return self.unknown.removeprefix("into:") if self.unknown.startswith("into:") else ""


@dataclass(slots=True, frozen=True)
class TextTags(Tags):
    """A tag list of text: key, `assign`, value, `split`, again and again; blanks around a key and empty items mean
    nothing. words: the keys of each of `tags`, which are numbered from 0; the values' windows end before `split`. An
    item without `assign` is a key with an empty value. unknown_wire reads the text of an unknown value; `raw` keeps
    texts."""

    assign: bytes = b"="
    split: bytes = b","
    words: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True, frozen=True)
class Records(Tags):
    """Records that describe themselves, to the end of the window or as far as `format` (of `decoders.metering.formats`)
    says. words: the records that each of `tags`, which are numbered from 0, is for. unknown: as for tags; `into:` alone
    gives every record its readable name in the structure around, unless a row gives a value of that name."""

    format: str = "mbus"
    words: tuple[tuple[str, ...], ...] = ()


Node: TypeAlias = Value | Given | Derived | Skip | OptionalMark | Condition | Branch | Group | Repeat | Tags
Nodes: TypeAlias = tuple[Node, ...]


@dataclass(slots=True, frozen=True)
class MessageLayout:
    """One message in one kind of frame: header, body and trailer in wire order.

    `trailer_size` bytes at the end are the trailer; the body is what is between. skip_rest: bytes of the body that
    its nodes leave over are ignored instead of refused. text: the frame is text, cut by marks that may be missing.
    """

    message: str
    header: Nodes
    body: Nodes
    trailer: Nodes
    trailer_size: int
    skip_rest: bool = False
    text: bool = False


def calls_python(nodes: Sequence[Node]) -> bool:
    """True when registered functions read some of the bytes: they see all raw values before them."""
    return any(
        isinstance(node.wire, PythonWire)
        if isinstance(node, Value)
        else isinstance(node, Group) and node.encoded.startswith("python:")
        for node in walk(nodes)
    )


def fixed_size(nodes: Sequence[Node]) -> int | None:
    """Bytes that the nodes take, or None when that depends on what they read."""
    total = 0
    for node in nodes:
        match node:
            case Derived() | Given():
                continue
            case Value(wire=IntWire(size=size) | FloatWire(size=size)) | Skip(size=int(size)):
                total += size
            case Value(wire=BytesWire(size=int(size))) | Group(size=int(size)):
                total += size
            case Group(nodes=inner, size=None, encoded=""):
                part = fixed_size(inner)
                if part is None:
                    return None
                total += part
            case _:
                return None
    return total


def least_size(nodes: Sequence[Node]) -> int:
    """Fewest bytes that the nodes can take."""
    total = 0
    for node in nodes:
        match node:
            case Value(wire=IntWire(size=size) | FloatWire(size=size)) | Skip(size=int(size)):
                total += size
            case Value(wire=BytesWire(size=int(size))) | Group(size=int(size)):
                total += size
            case (
                Value(wire=BytesWire(size=Prefix(wire=IntWire(size=size))))
                | Group(size=Prefix(wire=IntWire(size=size)))
            ):
                total += size
            case Value(wire=BytesWire(size=Until(mark=mark, needed=True))) | Skip(size=Until(mark=mark, needed=True)):
                total += len(mark)
            case Group(size=Until(mark=mark, needed=True)):
                total += len(mark)
            case Group(nodes=inner, size=None) if node.byte_for_byte:
                total += least_size(inner)
            case Branch(cases=cases, default=default):
                sizes = [least_size(rows) for _, rows in cases]
                total += min([*sizes, least_size(default or ())])
            case Repeat(count_wire=IntWire(size=size)) | Tags(count_wire=IntWire(size=size)):
                total += size
    return total


MAX_EMPTY_ITEMS = 1 << 16
"""Items of one frame that may take no bytes: nothing else bounds lists of them, one in another."""


def may_be_empty(node: Repeat | Tags) -> bool:
    """True for a list whose items may take no bytes, so that the bytes do not bound their number. A list of always one
    item adds none."""
    if isinstance(node, Tags):
        return isinstance(node.key, Formula) and not isinstance(node.length, IntWire) and least_size(node.header) == 0
    if node.item_prefix is not None or node.item_until or (node.count is not None and node.count.text == "1"):
        return False
    return least_size(node.nodes) == 0 and not any(
        isinstance(getattr(part.wire if isinstance(part, Value) else part, "size", None), Until) for part in node.nodes
    )


def open_ended(nodes: Sequence[Node]) -> bool:
    """True when a value, or an item of a list, may end with its window in place of a mark: what reads it is then behind
    the window's end."""
    for node in walk(nodes):
        if isinstance(node, TextTags) or (isinstance(node, Repeat) and node.item_until and not node.marked):
            return True
        size = getattr(node.wire if isinstance(node, Value) else node, "size", None)
        if isinstance(size, Until) and not size.needed:
            return True
    return False


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """All nodes, outer ones first."""
    for node in nodes:
        yield node
        match node:
            case Condition(nodes=inner, otherwise=otherwise):
                yield from walk(inner)
                yield from otherwise
            case Group(nodes=inner) | Repeat(nodes=inner):
                yield from walk(inner)
            case Branch(cases=cases, default=default):
                for _, rows in cases:
                    yield from walk(rows)
                yield from walk(default or ())
            case Tags(header=header, tags=tags):
                yield from walk(header)
                for _, rows in tags:
                    yield from walk(rows)


def raw_names(nodes: Sequence[Node]) -> set[str]:
    """Names of all raw values that the nodes read."""
    names: set[str] = set()
    for node in walk(nodes):
        if isinstance(node, Value):
            names.add(node.name)
            names.update(bit.name for bit in node.bits)
    return names
