"""Layout: what a message's bytes are, compiled from the spec and the same for every codec.

A layout is a tuple of nodes read one after the other in a window of bytes. Codecs read *raw* values by it (integers,
texts, bytes as they are on the wire); `Convert` turns raw values into values, with one source for all codecs.
Conditions, counts and sizes inside a layout see raw values; `formula` and `negate` see values, once their structure
is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from decoders.convert import Convert
from decoders.formula import Formula


@dataclass(slots=True, frozen=True)
class IntWire:
    """An integer of `size` bytes. sign: `unsigned`, `twos` complement or `magnitude` (top bit is the sign)."""

    size: int
    sign: str = "unsigned"
    big: bool = True


@dataclass(slots=True, frozen=True)
class FloatWire:
    """IEEE 754, 4 or 8 bytes."""

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


Size: TypeAlias = int | Formula | Rest | Prefix


@dataclass(slots=True, frozen=True)
class BytesWire:
    """Bytes of some size, read as `form`: hex, text, bcd, mac, raw (six bytes of a clock) or an integer (uint, int,
    uintle, intle)."""

    size: Size
    form: str = "hex"
    encoding: str = "ascii"
    trim: bool = True
    digits: int = 0


Wire: TypeAlias = IntWire | FloatWire | BytesWire


@dataclass(slots=True, frozen=True)
class Span:
    """Bytes of a frame but for the first `start` and the last `tail`."""

    start: int
    tail: int


@dataclass(slots=True, frozen=True)
class Counts:
    """The integer plus `adjust` is the number of bytes of `span` (None: of the body)."""

    span: Span | None
    adjust: int = 0


@dataclass(slots=True, frozen=True)
class Check:
    """The integer is the check value of `span`."""

    algorithm: str
    span: Span


@dataclass(slots=True, frozen=True)
class Bit:
    """Part of an integer: `width` bits from bit `at` upwards (bit 0 is the lowest)."""

    name: str
    at: int
    width: int
    convert: Convert
    hidden: bool = False
    counts: Counts | None = None


@dataclass(slots=True, frozen=True)
class Value:
    """Reads one raw value. `hidden`: not among the values. `negate`: the value changes its sign when true."""

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
class Condition:
    """The nodes are there only when the formula over raw values is true."""

    test: Formula
    nodes: Nodes


@dataclass(slots=True, frozen=True)
class Branch:
    """One of several node lists, by a raw value: the first whose ranges hold it, else `default` (None: refuse)."""

    on: Formula
    cases: tuple[tuple[tuple[tuple[int | str, int | str], ...], Nodes], ...]
    default: Nodes | None


@dataclass(slots=True, frozen=True)
class Group:
    """Nodes in a window of their own. `name` "": their values belong to the structure around."""

    name: str
    nodes: Nodes
    size: Size | None = None
    skip_rest: bool = False


@dataclass(slots=True, frozen=True)
class Repeat:
    """Equal structures. Exactly one of count, prefix count, size, or none of them: to the window's end, where
    `left` bytes may remain. `keep`: items for which it is false are dropped."""

    name: str
    nodes: Nodes
    count: Formula | None = None
    count_wire: IntWire | None = None
    size: Size | None = None
    left: Formula | None = None
    item_prefix: IntWire | None = None
    keep: Formula | None = None
    max_items: int = 1000


@dataclass(slots=True, frozen=True)
class Tags:
    """Key, perhaps length, value, again and again.

    length: an integer on the wire, a fixed size for every value, or None (each tag's nodes say their own size).
    length_first: the length stands before the key and counts key and value.
    unknown: skip | stop | refuse | into:<name>. raw: name of a list that keeps every item as {id, value}.
    """

    key: IntWire
    length: IntWire | int | None
    tags: tuple[tuple[int, Nodes], ...]
    unknown: str = "skip"
    unknown_wire: Wire | None = None
    raw: str = ""
    length_counts_key: bool = False
    length_first: bool = False
    count: Formula | None = None
    count_wire: IntWire | None = None
    size: Size | None = None
    max_items: int = 500


Node: TypeAlias = Value | Derived | Skip | Condition | Branch | Group | Repeat | Tags
Nodes: TypeAlias = tuple[Node, ...]


@dataclass(slots=True, frozen=True)
class MessageLayout:
    """One message in one kind of frame: header, body and trailer in wire order.

    `trailer_size` bytes at the end are the trailer; the body is what is between. skip_rest: bytes of the body that
    its nodes leave over are ignored instead of refused.
    """

    message: str
    header: Nodes
    body: Nodes
    trailer: Nodes
    trailer_size: int
    skip_rest: bool = False
    names: frozenset[str] = field(default_factory=frozenset)


def fixed_size(nodes: Sequence[Node]) -> int | None:
    """Bytes that the nodes take, or None when that depends on what they read."""
    total = 0
    for node in nodes:
        match node:
            case Derived():
                continue
            case Value(wire=IntWire(size=size) | FloatWire(size=size)) | Skip(size=int(size)):
                total += size
            case Value(wire=BytesWire(size=int(size))) | Group(size=int(size)):
                total += size
            case Group(nodes=inner, size=None):
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
            case Group(nodes=inner, size=None):
                total += least_size(inner)
            case Branch(cases=cases, default=default):
                sizes = [least_size(rows) for _, rows in cases]
                total += min([*sizes, least_size(default or ())])
            case Repeat(count_wire=IntWire(size=size)) | Tags(count_wire=IntWire(size=size)):
                total += size
    return total


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """All nodes, outer ones first."""
    for node in nodes:
        yield node
        match node:
            case Condition(nodes=inner) | Group(nodes=inner) | Repeat(nodes=inner):
                yield from walk(inner)
            case Branch(cases=cases, default=default):
                for _, rows in cases:
                    yield from walk(rows)
                yield from walk(default or ())
            case Tags(tags=tags):
                for _, rows in tags:
                    yield from walk(rows)
