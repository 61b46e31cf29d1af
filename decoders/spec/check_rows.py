"""Check values: rows with `crc` -> nodes, and which bytes of the frame `over` and `counts` mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from decoders.check_places import place_in
from decoders.checksum import UnknownChecksum, checksum, parameters
from decoders.checksum import names as checksum_names
from decoders.convert import PLAIN
from decoders.layout import BytesWire, Check, Condition, IntWire, Node, Nodes, Span, Value, fixed_size, walk
from decoders.spec import model
from decoders.spec.notes import Path
from decoders.spec.words import integer, is_whole

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

UNRESOLVED = Span(-1, -1)
_OFFSET = re.compile(r"-?\d{1,6}")
_MAX_DIGITS = 20
_MAX_CHECKS = 16


def check_row(rows: RowBuilder, row: model.ValueRow, path: Path, *, big: bool) -> Nodes:
    """A check value. One that is wrong keeps its place, so that it causes no further problems."""
    assert row.crc is not None
    name, bits = _algorithm(rows, row.crc, (*path, "crc"))
    wire: IntWire | BytesWire | None
    written = row.written or ("HEX" if rows.text else "")
    if written:
        wire = _digits(rows, row, path, written, bits)
    else:
        if row.bytes is not None:
            rows.report((*path, "bytes"), "a check value has its own size", "`type: u16`, or `written: hex`")
        wire = integer(row.type or f"u{bits}", big)
        wire = wire and replace(wire, sign="unsigned")
        if wire is None:
            rows.report((*path, "type"), f"a check value is an integer, not `{row.type}`", "such as u16")
    check = Check(name, UNRESOLVED, row.over or "", written, row.on_wrong == "flag")
    hidden = row.hidden is not False
    return (Value(row.name, wire or IntWire(2), PLAIN, hidden=hidden, check=check if name else None),)


def _algorithm(rows: RowBuilder, given: str | model.CheckSpec, path: Path) -> tuple[str, int]:
    """Name of the algorithm, "" for an unknown one, and its bits."""
    if isinstance(given, model.CheckSpec):
        most = (1 << given.bits) - 1
        for key in ("poly", "init", "xor_out"):
            value = getattr(given, key)
            if value is not None and value > most:
                rows.report((*path, key), f"0x{value:x} has more than {given.bits} bits", f"at most 0x{most:x}")
                return "", given.bits
        if given.sum and given.reflect:
            rows.report((*path, "reflect"), "only a CRC can be reflected", "remove it, or give `poly`")
        kind = given.sum or ""
        return parameters(given.bits, given.poly, kind, given.init, given.reflect, given.xor_out), given.bits
    try:
        algorithm = checksum(given)
    except UnknownChecksum as error:
        close = error.nearest or next(iter(difflib.get_close_matches(given, checksum_names(), 1, 0.4)), "")
        known = f"did you mean `{close}`?" if close else f"there are {', '.join(checksum_names())}"
        rows.report(path, f"unknown check value `{given}`", error.hint or known)
        return "", 16
    return algorithm.name, algorithm.bits


def _digits(rows: RowBuilder, row: model.ValueRow, path: Path, written: str, bits: int) -> BytesWire:
    digits = bits // 4
    if row.bytes is not None:
        if is_whole(row.bytes) and 1 <= int(row.bytes) <= _MAX_DIGITS:
            digits = int(row.bytes)
        else:
            rows.report((*path, "bytes"), f"`{row.bytes}` is no number of digits", f"1 to {_MAX_DIGITS}")
    elif written == "decimal":
        rows.report(path, "how many decimal digits?", "such as `bytes: 3`")
    return BytesWire(digits, "text", trim=False)


class Spans:
    """Where rows of header, body and trailer start and end, counted from the frame's two ends.

    starts: from the frame's start; ends: bytes behind the row, to the frame's end; stops: as `ends`, but from the
    frame's start; befores: as `starts`, but from the frame's end, negative.
    """

    def __init__(
        self,
        header: Nodes,
        trailer: Nodes,
        trailer_size: int,
        mark: int,
        body: Sequence[Node] = (),
        *,
        skip_rest: bool = False,
    ) -> None:
        """mark: bytes of the start mark. skip_rest: the body may go on behind its rows."""
        self.mark = mark
        self.header = header
        self.trailer_size = trailer_size
        self.starts: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.stops: dict[str, int] = {}
        self.befores: dict[str, int] = {}
        self.trailer = trailer
        self.body = body
        self._forwards((*header, *body), len(header))
        behind: int | None = 0
        for node in reversed(trailer if skip_rest else (*body, *trailer)):
            if behind is None:
                break
            size = fixed_size((node,))
            if isinstance(node, Value):
                self.ends.setdefault(node.name, behind)
                if size is not None:
                    self.befores.setdefault(node.name, -(behind + size))
            behind = None if size is None else behind + size

    def _forwards(self, nodes: Sequence[Node], headers: int) -> None:
        offset: int | None = 0
        for index, node in enumerate(nodes):
            if index == headers and offset is not None:
                self.starts.setdefault("body", offset)
            if offset is None:
                return
            size = fixed_size((node,))
            if isinstance(node, Value):
                self.starts.setdefault(node.name, offset)
                if size is not None:
                    self.stops.setdefault(node.name, offset + size)
            offset = None if size is None else offset + size
        if len(nodes) == headers and offset is not None:
            self.starts.setdefault("body", offset)

    def first(self, word: str) -> int | None:
        """`start` of the span that begins with this row, or at this offset; None for neither."""
        if _OFFSET.fullmatch(word):
            return int(word)
        return self.starts.get(word, self.befores.get(word))

    def last(self, word: str) -> int | None:
        """`tail` of the span that ends with this row, or at this offset, both among it; None for neither."""
        if _OFFSET.fullmatch(word):
            return -int(word) - 1
        if word == "body":
            return self.trailer_size
        stop = self.stops.get(word)
        return self.ends.get(word, None if stop is None else -stop)

    def over(self, check: Value) -> Span | None:
        """The span of a check value's `over`; None for one that names none."""
        assert check.check is not None
        text = check.check.over
        if not text:
            return self._default(check)
        first, dots, last = text.partition("..")
        start, tail = self.first(first.strip()), self.last((last if dots else first).strip())
        return None if start is None or tail is None else Span(start, tail)

    def _default(self, check: Value) -> Span | None:
        """From behind the start mark to right before the check value; of NMEA to before its asterisk."""
        assert check.check is not None
        asterisk = int(_asterisk_before(check, (*self.body, *self.trailer)))
        if check.name in self.befores:
            return Span(self.mark, -self.befores[check.name] + asterisk)
        start = self.starts.get(check.name)
        return None if start is None or start - asterisk <= 0 else Span(self.mark, asterisk - start)

    def holds(self, span: Span, check: Value) -> bool:
        """True for a span that the check value itself is in."""
        first, before = self.starts.get(check.name), self.befores.get(check.name)
        behind = (first is not None and first < span.start) or (before is not None and before < span.start < 0)
        if behind or span.tail < 0:
            return False
        return span.tail < -before if before is not None else first is not None

    def running(self, check: Value) -> Span | None:
        """From where a check value covers all up to itself, where its place changes with the rows before it."""
        assert check.check is not None
        nodes = (*self.header, *self.body)
        index = next((index for index, node in enumerate(nodes) if node is check or check in inline_checks(node)), 0)
        if not index or check.name in self.starts or check.name in self.befores or _asterisk_before(check, nodes):
            return None
        first, _, last = (part.strip() for part in check.check.over.partition(".."))
        before = [node.name for node in walk(nodes[index - 1 : index]) if isinstance(node, Value)]
        if not first:
            return Span(self.mark, 0)
        start = self.first(first)
        return Span(start, 0) if start is not None and start >= 0 and (last or first) in before[-1:] else None

    def reversed(self, first: str, last: str) -> bool:
        """True where the row `last` stands before the row `first`."""
        names = [node.name for node in (*self.header, *self.body, *self.trailer) if isinstance(node, Value)]
        return first in names and last in names and names.index(first) > names.index(last)

    @property
    def words(self) -> str:
        first = ", ".join(dict.fromkeys((*self.starts, *self.befores)))
        last = ", ".join(dict.fromkeys((*self.stops, *self.ends, "body")))
        return f"`first..last`: first one of {first}; last one of {last}; or bytes such as `2..-3`"


def _asterisk_before(check: Value, nodes: Sequence[Node]) -> bool:
    """True for a sum of NMEA 0183 behind its asterisk, which is not among what it covers."""
    places = [index for index, node in enumerate(nodes) if node is check]
    before = nodes[places[0] - 1] if places and places[0] else None
    return isinstance(before, Value) and before.const == "2a" and check.check is not None and bool(check.check.written)


def inline_checks(node: Node) -> list[Value]:
    """The check values that are there under a condition."""
    rows = node.nodes if isinstance(node, Condition) else ()
    return [row for row in rows if isinstance(row, Value) and row.check is not None]


def resolve_check(rows: RowBuilder, spans: Spans, node: Value, path: Path) -> Value:
    """The check value with its span. One without a place is reported."""
    assert node.check is not None
    span, origin = spans.over(node), rows.origins.of(node)
    path = path if origin is None else origin.path
    first, dots, last = (part.strip() for part in node.check.over.partition(".."))
    if span is not None and dots and spans.reversed(first, last):
        rows.report((*path, "over"), f"`{node.check.over}` ends before it begins", f"`{last}..{first}`")
    elif span is not None and spans.holds(span, node):
        rows.report((*path, "over"), f"`{node.check.over}` holds the check value itself", "let it end before it")
    if span is not None:
        return replace(node, check=replace(node.check, span=span))
    running = spans.running(node)
    if running is not None:
        if node.check.flag:
            rows.report((*path, "on_wrong"), "a check value whose place changes refuses the frame", "remove `on_wrong`")
        return replace(node, check=replace(node.check, span=running, running=True))
    if first == "body" and "body" not in spans.starts:
        hint = f"`over: {next(iter(spans.starts), 'first')}..body`, or a kind of frame for each size of the header"
        rows.report((*path, "over"), "the body begins behind rows of changing size, so nothing tells where", hint)
    elif node.check.over:
        rows.report((*path, "over"), f"`{node.check.over}` names no span of this frame", spans.words)
    else:
        rows.report(path, f"`{node.name}`: say what the check value covers", "`over: first..last`, or `over: 2..-3`")
    return node


def too_many_checks(rows: RowBuilder, nodes: Sequence[Node], path: Path) -> bool:
    """Reports more check values than any frame has: each of them goes over the whole frame."""
    many = sum(isinstance(node, Value) and node.check is not None for node in nodes) > _MAX_CHECKS
    if many:
        rows.report(path, f"more than {_MAX_CHECKS} check values", "a frame has one or two")
    return many


def body_with_checks(
    rows: RowBuilder,
    header: Nodes,
    body: Nodes,
    trailer: Nodes,
    trailer_size: int,
    mark: int,
    path: Path,
    *,
    skip_rest: bool,
) -> Nodes:
    """The rows of a message with their check values resolved. mark: bytes of the start mark. skip_rest: the message may
    go on behind its rows."""
    if not any(isinstance(node, Value) and node.check is not None for node in walk(body)):
        return body
    if too_many_checks(rows, body, path):
        return tuple(node for node in body if not isinstance(node, Value) or node.check is None)
    spans = Spans(header, trailer, trailer_size, mark, body, skip_rest=skip_rest)
    found: list[Node] = []
    for index, node in enumerate(body):
        if isinstance(node, Value) and node.check is not None:
            origin = rows.origins.of(node)
            here = origin.path if origin is not None else path
            known = place_in(header, body, index, trailer_size, skip_rest=skip_rest) is not None
            if not known and spans.running(node) is None:
                rows.report(
                    here,
                    f"the place of `{node.name}` changes with the values around it",
                    "a check value stands a fixed number of bytes from the frame's start or end",
                )
            whole = resolve_check(rows, spans, node, here)
            rows.origins.moved(node, whole)
            found.append(whole)
            continue
        inline = inline_checks(node)
        if isinstance(node, Condition) and inline:
            resolved = tuple(
                resolve_check(rows, spans, row, path) if isinstance(row, Value) and row.check is not None else row
                for row in node.nodes
            )
            for before, after in zip(node.nodes, resolved, strict=True):
                rows.origins.moved(before, after)
            found.append(replace(node, nodes=resolved))
            rows.origins.moved(node, found[-1])
            continue
        inner = next((part for part in walk((node,)) if isinstance(part, Value) and part.check is not None), None)
        if inner is not None:
            origin = rows.origins.of(inner)
            rows.report(
                origin.path if origin is not None else path,
                f"the check value `{inner.name}` stands within other rows",
                "put it among the message's own rows, without `if`, or into header or trailer",
            )
        found.append(node)
    return tuple(found)
