"""`frame:` / `frames:` of a spec -> how its stream is cut, and header and trailer of every message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.convert import PLAIN
from decoders.formula import Formula, FormulaError, compile_formula
from decoders.framing.plan import (
    ComputedSize,
    Escape,
    FixedSize,
    FrameKind,
    LengthField,
    SizeRule,
    StopBytes,
    WholeChunk,
)
from decoders.layout import (
    BytesWire,
    Check,
    Counts,
    IntWire,
    Node,
    Nodes,
    Span,
    Value,
    fixed_size,
    least_size,
)
from decoders.spec import model
from decoders.spec.notes import Path, Structure
from decoders.spec.rows import RowBuilder

DEFAULT_MAX_BYTES = 2048


@dataclass(slots=True)
class FramePlan:
    """One kind of frame: how it is cut, and what stands before and after the body."""

    kind: FrameKind
    header: Nodes
    trailer: Nodes
    trailer_size: int
    path: Path
    json: bool = False
    notes: Structure = field(default_factory=Structure)


def build_frames(spec: model.SpecFile, rows: RowBuilder) -> list[FramePlan]:
    """All frame kinds in the order of the spec. A product without `frame` has one kind: the whole payload."""
    given: list[tuple[str, model.FrameSpec, Path]]
    if spec.frame is not None:
        given = [("frame", spec.frame, ("frame",))]
    elif spec.frames:
        given = [(name, frame, ("frames", name)) for name, frame in spec.frames.items()]
    else:
        given = [("payload", model.FrameSpec(), ())]
    return [_FrameBuilder(name, frame, path, index, rows).build() for index, (name, frame, path) in enumerate(given)]


class _FrameBuilder:
    def __init__(self, name: str, frame: model.FrameSpec, path: Path, index: int, rows: RowBuilder) -> None:
        self.name = name
        self.frame = frame
        self.path = path
        self.index = index
        self.rows = rows

    def build(self) -> FramePlan:
        frame = self.frame
        notes = Structure()
        header = self.rows.build(frame.header, (*self.path, "header"), notes)
        trailer = self.rows.build(frame.trailer, (*self.path, "trailer"), notes)
        if frame.start is not None:
            header = (_mark("start", frame.start), *header)
        stop = frame.stop or frame.until
        if stop is not None:
            trailer = (*trailer, _mark("stop", stop))
        trailer_size = fixed_size(trailer)
        if trailer_size is None:
            self.rows.report((*self.path, "trailer"), "a trailer has a fixed size", "put other rows into the body")
            trailer_size = 0
        spans = _Spans(header, trailer, trailer_size, self)
        header = spans.resolve(header, frame.header, (*self.path, "header"))
        trailer = spans.resolve(trailer, frame.trailer, (*self.path, "trailer"))
        least = least_size(header) + trailer_size
        kind = FrameKind(
            name=self.name,
            index=self.index,
            begins=self._begins(header),
            size=self._size_rule(header, trailer_size, bytes.fromhex(stop or "")),
            min_bytes=frame.min_bytes or max(least, 1),
            max_bytes=frame.max_bytes or DEFAULT_MAX_BYTES,
            escape=self._escape(),
        )
        return FramePlan(kind, header, trailer, trailer_size, self.path, frame.format == "json", notes)

    def _escape(self) -> Escape | None:
        given = self.frame.escape
        if given is None:
            return None
        if self.frame.start is None or self.frame.stop is None:
            self.rows.report((*self.path, "escape"), "byte stuffing needs `start` and `stop`", "")
            return None
        return Escape(given.mark, dict(given.table), len(self.frame.start) // 2, len(self.frame.stop) // 2)

    def _begins(self, header: Nodes) -> tuple[frozenset[int] | None, ...]:
        if self.frame.begins is not None:
            try:
                return byte_pattern(self.frame.begins)
            except ValueError as error:
                self.rows.report((*self.path, "begins"), str(error), "such as `78 78 00-14 17|69 ??`")
                return ()
        pattern: list[frozenset[int] | None] = []
        for node in header:  # constants in front name the kind; what lies between them may be anything
            if not isinstance(node, Value):
                break
            size = fixed_size((node,))
            if size is None:
                break
            constant = _const_bytes(node)
            pattern.extend([None] * size if constant is None else [frozenset({byte}) for byte in constant])
        while pattern and pattern[-1] is None:
            pattern.pop()
        return tuple(pattern)

    def _size_rule(self, header: Nodes, trailer_size: int, stop: bytes) -> SizeRule:
        frame = self.frame
        if frame.until is not None or (frame.escape is not None and stop):
            return StopBytes((stop,))
        if isinstance(frame.size, str) and frame.size.isdigit():
            return FixedSize(int(frame.size), stop)
        if isinstance(frame.size, int):
            return FixedSize(frame.size, stop)
        if frame.size is not None:
            return self._computed(frame.size, header, stop)
        field_rule = self._length_field(header, trailer_size, stop)
        if field_rule is not None:
            return field_rule
        return StopBytes((stop,)) if stop else WholeChunk()

    def _length_field(self, header: Nodes, trailer_size: int, stop: bytes) -> LengthField | None:
        offset = 0
        for node in header:
            if not isinstance(node, Value) or not isinstance(node.wire, IntWire | BytesWire):
                return None
            if isinstance(node.wire, IntWire):
                counts, mask, shift = node.counts, 0, 0
                for bit in node.bits:
                    if bit.counts is not None:
                        counts, mask, shift = bit.counts, (1 << bit.width) - 1, bit.at
                if counts is not None:
                    outside = counts.span.start + counts.span.tail if counts.span else None
                    if outside is None:
                        whole = fixed_size(header)
                        if whole is None:
                            return None
                        outside = whole + trailer_size
                    return LengthField(
                        offset, node.wire.size, node.wire.big, outside + counts.adjust, mask, shift, stop=stop
                    )
            size = fixed_size((node,))
            if size is None:
                return None
            offset += size
        return None

    def _computed(self, text: str, header: Nodes, stop: bytes) -> SizeRule:
        reader = _Bytes()
        try:
            formula = compile_formula(text, {"u8": reader.u8, "u16": reader.u16})
        except FormulaError as error:
            self.rows.report((*self.path, "size"), str(error), "a number or a formula with u8(n), u16(n)")
            return FixedSize(1, stop)
        places: dict[str, tuple[int, int, bool]] = {}
        offset = 0
        for node in header:
            size = fixed_size((node,))
            if size is None:
                break
            if isinstance(node, Value) and isinstance(node.wire, IntWire):
                places[node.name] = (offset, node.wire.size, node.wire.big)
            offset += size
        for name in formula.names:
            if name not in places:
                self.rows.report((*self.path, "size"), f"`{name}` has no fixed place in the header", "use u8(n)")
                return FixedSize(1, stop)
        return ComputedSize(reader.rule(formula, [places[name] for name in formula.names]), stop)


class _Bytes:
    """Lets a size formula read the buffer that the framer has so far."""

    def __init__(self) -> None:
        self.buffer: bytes | bytearray = b""

    def u8(self, offset: int) -> int:
        if offset < 0:
            raise ValueError("offsets count from the frame's start")
        return self.buffer[offset]

    def u16(self, offset: int) -> int:
        return self.u8(offset) << 8 | self.buffer[offset + 1]

    def rule(
        self, formula: Formula, places: Sequence[tuple[int, int, bool]]
    ) -> Callable[[bytes | bytearray], int | None]:
        def size(buffer: bytes | bytearray) -> int | None:
            values = []
            for offset, width, big in places:
                if len(buffer) < offset + width:
                    return None
                values.append(int.from_bytes(buffer[offset : offset + width], "big" if big else "little"))
            self.buffer = buffer
            result = formula.function(*values)
            self.buffer = b""
            return None if result is None else int(result)

        return size


class _Spans:
    """Finds where `a..b` of `counts` and `over` start and end, counted from the frame's two ends."""

    def __init__(self, header: Nodes, trailer: Nodes, trailer_size: int, owner: _FrameBuilder) -> None:
        self.owner = owner
        self.starts: dict[str, int] = {}
        self.ends: dict[str, int] = {}  # bytes behind the node, to the frame's end
        self.header_names: list[str] = []
        offset: int | None = 0
        for node in header:
            if offset is None:
                break
            size = fixed_size((node,))
            if isinstance(node, Value):
                self.starts[node.name] = offset
            offset = None if size is None else offset + size
        left = trailer_size
        for node in trailer:
            size = fixed_size((node,)) or 0
            left -= size
            if isinstance(node, Value):
                self.ends[node.name] = left
        self.trailer_size = trailer_size

    def resolve(self, nodes: Nodes, rows: Sequence[Any], path: Path) -> Nodes:
        texts = {getattr(row, "name", ""): row for row in rows if isinstance(row, model.ValueRow)}
        resolved: list[Node] = []
        for node in nodes:
            if isinstance(node, Value) and node.name in texts:
                node = self._value(node, texts[node.name], path)
            resolved.append(node)
        return tuple(resolved)

    def _value(self, node: Value, row: model.ValueRow, path: Path) -> Value:
        if node.check is not None:
            span = self._default_check_span(node) if row.over is None else self._span(row.over, path, "over")
            if span is not None:
                node = replace(node, check=Check(node.check.algorithm, span))
            elif row.over is None:
                self.owner.rows.report(path, f"`{node.name}`: say what the check value covers", "`over: first..last`")
        if node.counts is not None and node.counts.span is not None:
            counted = self._span(row.counts or "", path, "counts", node)
            node = replace(node, counts=Counts(counted, row.adjust))
        if any(bit.counts is not None and bit.counts.span is not None for bit in node.bits):
            self.owner.rows.report(path, f"bits of `{node.name}`: only `counts: body` is possible", "")
        return node

    def _default_check_span(self, node: Value) -> Span | None:
        """From behind the start mark to right before the check value."""
        start = len(self.owner.frame.start or "") // 2
        behind = self.ends.get(node.name)
        if behind is None:
            return None
        return Span(start, behind + node.wire.size) if isinstance(node.wire, IntWire) else None

    def _span(self, text: str, path: Path, key: str, node: Value | None = None) -> Span | None:
        rows = self.owner.rows
        if text == "rest" and node is not None:
            size = fixed_size((node,)) or 0
            return Span(self.starts.get(node.name, 0) + size, 0)
        first, dots, last = text.partition("..")
        if not dots or first not in self.starts or (last not in self.ends and last != "body"):
            fixed = ", ".join(self.starts)
            rows.report(
                (*path, key),
                f"`{text}` names no span of this frame",
                f"`first..last`: first one of {fixed}; last one of {', '.join([*self.ends, 'body'])}",
            )
            return None
        return Span(self.starts[first], self.trailer_size if last == "body" else self.ends[last])


def _mark(name: str, hex_text: str) -> Value:
    return Value(name, BytesWire(len(hex_text) // 2, "hex"), PLAIN, hidden=True, const=hex_text)


def _const_bytes(node: Value) -> bytes | None:
    if node.const is None:
        return None
    if isinstance(node.const, str):
        return bytes.fromhex(node.const)
    if isinstance(node.wire, IntWire):
        return node.const.to_bytes(node.wire.size, "big" if node.wire.big else "little")
    return None


def byte_pattern(text: str) -> tuple[frozenset[int] | None, ...]:
    """`78 78 00-14 17|69 ??` -> the values that each of the first bytes may have. Raises ValueError."""
    pattern: list[frozenset[int] | None] = []
    for word in text.split():
        if word == "??":
            pattern.append(None)
            continue
        values: set[int] = set()
        for part in word.split("|"):
            low, dash, high = part.partition("-")
            if not 1 <= len(low) <= 2 or (dash and not 1 <= len(high) <= 2):
                raise ValueError(f"`{word}` is no byte pattern")
            try:
                values.update(range(int(low, 16), int(high if dash else low, 16) + 1))
            except ValueError:
                raise ValueError(f"`{word}` is no byte pattern") from None
        if not values:
            raise ValueError(f"`{word}` fits no byte")
        pattern.append(frozenset(values))
    if not pattern or len(pattern) > 16:
        raise ValueError("a pattern has 1 to 16 bytes")
    return tuple(pattern)
