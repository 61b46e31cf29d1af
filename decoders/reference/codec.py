"""The reference codec of one kind of frame: header, check value, message, body, values.

Every codec looks at a frame in this order, so that all give the same error code: size, check value, header, trailer,
length fields, equal fields, message, body, left-over bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.checksum import Checksum, checksum
from decoders.errors import DecodeCode, DecodeError
from decoders.layout import Counts, IntWire, MessageLayout, Nodes, Value, least_size
from decoders.reference.finish import Finisher
from decoders.reference.raw_tree import Scope, Trace, Window, within
from decoders.reference.read import reader
from decoders.types import SessionContext

Spans = tuple[tuple[int | str, int | str], ...]


@dataclass(slots=True, frozen=True)
class Selector:
    """When a frame is this message: every named raw value lies in one of its ranges.

    Names: integers of the header, `port`, `length` (bytes of the body); `first`: hex texts that the body starts with.
    """

    message: str
    tests: tuple[tuple[str, Spans], ...]

    def fits(self, find: Mapping[str, Any], body_hex: str) -> bool:
        for name, spans in self.tests:
            if name == "first":
                if not any(body_hex.startswith(str(low)) for low, _ in spans):
                    return False
                continue
            value = find.get(name)
            if not any(within(value, low, high) for low, high in spans):
                return False
        return True


@dataclass(slots=True, frozen=True)
class CheckPlace:
    """Where a check value stands: in the trailer, `offset` bytes before the frame's end, or in the header."""

    name: str
    algorithm: Checksum
    wire: IntWire
    start: int
    tail: int
    offset: int
    from_end: bool

    def at(self, data: bytes | bytearray) -> int:
        return len(data) - self.offset if self.from_end else self.offset

    def stored(self, data: bytes | bytearray) -> int:
        place = self.at(data)
        return int.from_bytes(data[place : place + self.wire.size], "big" if self.wire.big else "little")


@dataclass(slots=True, frozen=True)
class FrameLayout:
    """Header, trailer and messages of one kind of frame."""

    name: str
    header: Nodes
    trailer: Nodes
    trailer_size: int
    messages: Mapping[str, MessageLayout]
    selectors: Sequence[Selector]
    checks: Sequence[CheckPlace]

    @property
    def least(self) -> int:
        return least_size(self.header) + self.trailer_size


def check_places(header: Nodes, trailer: Nodes, trailer_size: int) -> list[CheckPlace]:
    """All check values of a frame, with where they stand."""
    places = []
    offset = 0
    for node in header:
        if isinstance(node, Value) and node.check is not None and isinstance(node.wire, IntWire):
            places.append(_place(node, node.wire, offset, from_end=False))
        offset += least_size((node,))
    left = trailer_size
    for node in trailer:
        if isinstance(node, Value) and node.check is not None and isinstance(node.wire, IntWire):
            places.append(_place(node, node.wire, left, from_end=True))
        left -= least_size((node,))
    return places


def _place(node: Value, wire: IntWire, offset: int, *, from_end: bool) -> CheckPlace:
    assert node.check is not None
    span = node.check.span
    return CheckPlace(node.name, checksum(node.check.algorithm), wire, span.start, span.tail, offset, from_end)


class ReferenceCodec:
    """Decodes by construct: slow, exact in its errors, the truth for the fast codec."""

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout
        self.header = reader(layout.header)
        self.trailer = reader(layout.trailer)
        self.bodies = {name: reader(message.body) for name, message in layout.messages.items()}
        self.finishers = {
            name: Finisher((*message.header, *message.body, *message.trailer))
            for name, message in layout.messages.items()
        }
        self.bare = Finisher((*layout.header, *layout.trailer))

    def decode(
        self, data: bytes, context: SessionContext, zone_s: int, trace: list[Trace] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Unescaped frame -> message name and values. Raises DecodeError with offset, field and partial values."""
        scope = Scope()
        name = ""
        try:
            body = self._frame(data, scope, trace)
            name = self._select(data, body, scope, context)
            scope.raw["length"] = body.size
            scope.raw["port"] = context.port
            self.bodies[name](body, scope, trace)
            if body.remaining and not self.layout.messages[name].skip_rest:
                raise DecodeError(
                    DecodeCode.TRAILING_BYTES, f"{body.remaining} bytes left after the fields", offset=body.place
                )
        except DecodeError as error:
            error.message = name
            finisher = self.finishers.get(name, self.bare)
            error.values = finisher.finish(_known(scope, finisher), zone_s)
            raise
        return name, self.finishers[name].finish(scope, zone_s)

    def _frame(self, data: bytes, scope: Scope, trace: list[Trace] | None) -> Window:
        layout = self.layout
        if len(data) < layout.least:
            raise DecodeError(DecodeCode.TRUNCATED, f"needs at least {layout.least} bytes, has {len(data)}", offset=0)
        for place in layout.checks:
            expected, found = place.algorithm.function(data[place.start : len(data) - place.tail]), place.stored(data)
            if expected != found:
                width = place.wire.size * 2
                raise DecodeError(
                    DecodeCode.BAD_CHECK,
                    f"{place.algorithm.name} is 0x{expected:0{width}x}, the frame says 0x{found:0{width}x}",
                    offset=place.at(data),
                    field=place.name,
                )
        end = len(data) - layout.trailer_size
        front = Window(data[:end], 0)
        self.header(front, scope, trace)
        self.trailer(Window(data[end:], end), scope, trace)
        body = Window(data[front.tell() : end], front.tell())
        self._lengths(data, body, scope)
        return body

    def _lengths(self, data: bytes, body: Window, scope: Scope) -> None:
        for node in (*self.layout.header, *self.layout.trailer):
            if not isinstance(node, Value):
                continue
            counted: list[tuple[str, Counts]] = [(node.name, node.counts)] if node.counts else []
            counted += [(bit.name, bit.counts) for bit in node.bits if bit.counts]
            for name, counts in counted:
                size = body.size if counts.span is None else len(data) - counts.span.start - counts.span.tail
                said = scope.raw[name] + counts.adjust
                if said != size:
                    raise DecodeError(DecodeCode.BAD_LENGTH, f"says {said} bytes, there are {size}", field=name)
        for node in (*self.layout.header, *self.layout.trailer):
            if isinstance(node, Value) and node.equals and scope.raw[node.name] != scope.raw.get(node.equals):
                raise DecodeError(
                    DecodeCode.BAD_LENGTH,
                    f"{scope.raw[node.name]} differs from `{node.equals}` {scope.raw.get(node.equals)}",
                    field=node.name,
                )

    def _select(self, data: bytes, body: Window, scope: Scope, context: SessionContext) -> str:
        find = {**scope.raw, "port": context.port, "length": body.size}
        body_hex = body.getvalue()[:16].hex()
        for selector in self.layout.selectors:
            if selector.fits(find, body_hex):
                return selector.message
        names = dict.fromkeys(name for selector in self.layout.selectors for name, _ in selector.tests)
        seen = ", ".join(f"{name} {_shown(find.get(name))}" for name in names if name != "first")
        raise DecodeError(
            DecodeCode.UNKNOWN_MESSAGE, f"no message of the spec for {seen or 'this frame'}", offset=body.base
        )


def _shown(value: Any) -> str:
    return f"{value} (0x{value:02x})" if isinstance(value, int) and not isinstance(value, bool) else repr(value)


def _known(scope: Scope, finisher: Finisher) -> Scope:
    """What was read so far, as far as this finisher knows it."""
    known = Scope(raw=scope.raw)
    known.taken = [
        (node, raw)
        for node, raw in scope.taken
        if id(node) in finisher.converts or id(node) in finisher.inner or not isinstance(node, Value)
    ]
    return known
