"""The reference codec of one kind of frame: header, check value, message, body, values.

Every codec looks at a frame in this order, so that all give the same error code: size, check value, header, trailer,
length fields, equal fields, message, body, left-over bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from decoders.check_places import CheckPlace
from decoders.errors import DecodeCode, DecodeError
from decoders.faults import lifted, without_faults
from decoders.formula import Formula
from decoders.layout import Counts, MessageLayout, Nodes, Value, least_size, walk
from decoders.reference.finish import Finisher
from decoders.reference.raw_tree import Scope, Trace, Window, evaluate, within
from decoders.reference.read import ReadRows, reader
from decoders.times import Zone
from decoders.types import SessionContext

MAX_FIRST = 64
"""Bytes of the body that `when: {first: ...}` sees."""
Spans = tuple[tuple[int | str, int | str], ...]


@dataclass(slots=True, frozen=True)
class Selector:
    """When a frame is this message: every named raw value lies in one of its ranges.

    Names: integers of the header, else `port`, `length` (bytes of the body); `first`: hex texts that the body starts
    with; or the text of one of `formulas`, which are layout formulas that stand at the start of the body.
    """

    message: str
    tests: tuple[tuple[str, Spans], ...]
    formulas: Mapping[str, Formula] = field(default_factory=dict)

    def fits(self, find: Mapping[str, Any], body_hex: str, compute: Callable[[Formula], Any]) -> bool:
        for name, spans in self.tests:
            if name == "first":
                if not any(body_hex.startswith(str(low)) for low, _ in spans):
                    return False
                continue
            formula = self.formulas.get(name)
            value = find.get(name) if formula is None else compute(formula)
            if not any(within(value, low, high) for low, high in spans):
                return False
        return True


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
    kept: frozenset[str] = frozenset()  # values that a login keeps for the messages behind it
    body_checks: Mapping[str, Sequence[CheckPlace]] = field(default_factory=dict)  # of messages that have some

    @property
    def least(self) -> int:
        return least_size(self.header) + self.trailer_size

    @property
    def rows(self) -> int:
        """Rows of all messages, those of header and trailer counted for each: a measure of what codecs cost."""
        around = sum(1 for _ in walk((*self.header, *self.trailer)))
        return sum(around + sum(1 for _ in walk(message.body)) for message in self.messages.values())

    def checks_of(self, message: str) -> list[CheckPlace]:
        """All check values of a message; "" for those of the frame alone."""
        return [*self.body_checks.get(message, ()), *self.checks]


def session_values(context: SessionContext, kept: frozenset[str]) -> dict[str, Any]:
    """What formulas read of the session: `received` (Unix seconds of arrival), `device_id`, `port`, the kept values."""
    found: dict[str, Any] = {"port": context.port}
    found |= {name: context.values[name] for name in kept if context.values.get(name) is not None}
    if context.received_ms:
        found["received"] = context.received_ms / 1000
    if context.device_id:
        found["device_id"] = context.device_id
    return found


def _verify(checks: Sequence[CheckPlace], data: bytes) -> None:
    """Raises DecodeError(BAD_CHECK) for the first wrong check value that refuses a frame."""
    for place in checks:
        wrong = "" if place.flag else place.difference(data)
        if wrong:
            raise DecodeError(DecodeCode.BAD_CHECK, wrong, offset=place.at(data), field=place.name)


class ReferenceCodec:
    """Decodes by construct: slow, exact in its errors, the truth for the fast codec."""

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout
        self._bodies: dict[str, ReadRows] = {}
        self._finishers: dict[str, Finisher] = {}

    # Each part is built when the first frame asks for it: most messages are read by the fused codec.

    @cached_property
    def header(self) -> ReadRows:
        return reader(self.layout.header)

    @cached_property
    def trailer(self) -> ReadRows:
        return reader(self.layout.trailer)

    def body(self, name: str) -> ReadRows:
        """Reads the body of a message."""
        if name not in self._bodies:
            self._bodies[name] = reader(self.layout.messages[name].body)
        return self._bodies[name]

    def finisher(self, name: str) -> Finisher:
        """Converts what was read of a message, of header and trailer alone for ""."""
        if name not in self._finishers:
            known = self.layout.messages.get(name)
            body = known.body if known is not None else ()
            self._finishers[name] = Finisher((*self.layout.header, *body), self.layout.trailer)
        return self._finishers[name]

    def decode(
        self, data: bytes, context: SessionContext, zone_s: Zone, trace: list[Trace] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Unescaped frame -> message name and values, with why some are missing under `FAULTS` (`decoders.faults`).
        Raises DecodeError with offset, field and partial values."""
        around = (session_values(context, self.layout.kept),)
        scope = Scope(outer=Scope(raw=around[0]))
        name = ""
        try:
            body = self._frame(data, scope, trace)
            name = self._select(data, body, scope, context)
            _verify(self.layout.body_checks.get(name, ()), data)
            around[0]["length"] = body.size
            _know_body(scope, body)
            self.body(name)(body, scope, trace)
            if body.remaining and not self.layout.messages[name].skip_rest:
                raise DecodeError(
                    DecodeCode.TRAILING_BYTES, f"{body.remaining} bytes left after the fields", offset=body.place
                )
        except DecodeError as error:
            error.message = name
            finisher = self.finisher(name)
            error.values = without_faults(finisher.finish(_known(scope, finisher), zone_s, around, context))
            raise
        return name, lifted(self.finisher(name).finish(scope, zone_s, around, context))

    def open(self, data: bytes, context: SessionContext, zone_s: Zone) -> tuple[bytes, dict[str, Any]]:
        """The body of a frame whose messages are no layouts, and the values around it. Raises DecodeError."""
        around = (session_values(context, self.layout.kept),)
        scope = Scope(outer=Scope(raw=around[0]))
        body = self._frame(data, scope, None)
        return body.getvalue()[body.tell() :], lifted(self.finisher("").finish(scope, zone_s, around, context))

    def attempt(self, data: bytes, context: SessionContext, trace: list[Trace], *, whole: bool) -> str:
        """Reads what can be read of a frame that `decode` refuses before its body: name of the message, "" for none.
        whole: the frame is there to its end, so that its trailer is where it should be."""
        layout, scope = self.layout, Scope(outer=Scope(raw=session_values(context, self.layout.kept)))
        name = ""
        end = max(len(data) - layout.trailer_size, 0) if whole else len(data)
        front = Window(data[:end], 0, b"")
        try:
            self.header(front, scope, trace)
            if whole:
                self.trailer(Window(data[end:], end), scope, trace)
            start = min(front.tell(), end)
            body = Window(data[start:end], start, data[:start])
            name = self._select(data, body, scope, context)
            _know_body(scope, body)
            self.body(name)(body, scope, trace)
        except DecodeError:
            pass  # the trace has what was read
        return name

    def _frame(self, data: bytes, scope: Scope, trace: list[Trace] | None) -> Window:
        layout = self.layout
        if len(data) < layout.least:
            raise DecodeError(DecodeCode.TRUNCATED, f"needs at least {layout.least} bytes, has {len(data)}", offset=0)
        _verify(layout.checks, data)
        end = len(data) - layout.trailer_size
        front = Window(data[:end], 0, b"")
        self.header(front, scope, trace)
        self.trailer(Window(data[end:], end), scope, trace)
        start = min(front.tell(), end)
        body = Window(data[start:end], start, data[:start])
        body.seek(front.tell() - start)
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
                raw = scope.raw[name]
                said = raw * counts.unit + counts.adjust if isinstance(raw, int) else raw
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
        find = {"port": context.port, "length": body.size, **scope.raw, "_body": body.data}  # a row may be called so
        known = Scope(raw=find, outer=scope.outer)

        def compute(formula: Formula) -> Any:
            return evaluate(formula, known, body)

        body_hex = body.getvalue()[:MAX_FIRST].hex()
        for selector in self.layout.selectors:
            if selector.fits(find, body_hex, compute):
                return selector.message
        names = dict.fromkeys(name for selector in self.layout.selectors for name, _ in selector.tests)
        formulas = {name: formula for selector in self.layout.selectors for name, formula in selector.formulas.items()}
        find |= {name: compute(formula) for name, formula in formulas.items()}
        seen = ", ".join(f"{name} {_shown(find.get(name))}" for name in names if name != "first")
        raise DecodeError(
            DecodeCode.UNKNOWN_MESSAGE, f"no message of the spec for {seen or 'this frame'}", offset=body.base
        )


def _shown(value: Any) -> str:
    return f"{value} (0x{value:02x})" if isinstance(value, int) and not isinstance(value, bool) else repr(value)


def _know_body(scope: Scope, body: Window) -> None:
    """What layout formulas read of the body. A row of header or trailer may be called `length` too."""
    scope.raw.setdefault("length", body.size)
    scope.raw["_body"] = body.data


def _known(scope: Scope, finisher: Finisher) -> Scope:
    """What was read so far, as far as this finisher knows it."""
    known = Scope(raw=scope.raw)
    known.taken = [
        (node, raw)
        for node, raw in scope.taken
        if id(node) in finisher.converts or id(node) in finisher.inner or not isinstance(node, Value)
    ]
    return known
