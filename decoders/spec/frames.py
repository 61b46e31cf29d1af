"""`frame:` / `frames:` of a spec -> how its stream is cut, and header and trailer of every message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from decoders.check_places import CheckPlace, frame_checks
from decoders.errors import DecodeError
from decoders.formula import FormulaError
from decoders.framing.escape import unescape
from decoders.framing.plan import (
    ComputedSize,
    Escape,
    FixedSize,
    FrameKind,
    HexText,
    LengthField,
    SizeRule,
    StopBytes,
    Transcoding,
    WholeChunk,
)
from decoders.layout import (
    BytesWire,
    Counts,
    IntWire,
    Node,
    Nodes,
    Span,
    Until,
    Value,
    fixed_size,
    least_size,
)
from decoders.spec import model
from decoders.spec.check_rows import UNRESOLVED, Spans, resolve_check, too_many_checks
from decoders.spec.frame_marks import MAX_BEGINS, byte_pattern, const_bytes, hex_pattern, mark_row, tail_pattern
from decoders.spec.notes import Path, Structure
from decoders.spec.optional_trailer import Choice, choices, told_apart, without_nothing
from decoders.spec.rows import RowBuilder
from decoders.spec.size_formulas import DIGITS, counted_by, size_formula
from decoders.spec.text_rows import mark_of
from decoders.spec.words import is_whole

DEFAULT_MAX_BYTES = 2048
MAX_PAYLOAD_BYTES = 1 << 16
"""Of a product without frames: a broker or server has cut them, and knows a limit of its own."""


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
    text: bool = False
    split: bytes = b""
    mark: int = 0  # bytes of the start mark
    document: str = ""  # `json` or `csv`: the body is a document, which its messages' rows do not read
    lines: model.CsvSpec | None = None
    marks_only: bool = False  # nothing but marks stands around the body
    said: dict[str, int] = field(default_factory=dict)  # the flag of the header that tells of its trailer


def build_frames(spec: model.SpecFile, rows: RowBuilder) -> list[FramePlan]:
    """All frame kinds in the order of the spec. A product without `frame` has one kind: the whole payload."""
    given: list[tuple[str, model.FrameSpec, Path]]
    if spec.frame is not None:
        given = [("frame", spec.frame, ("frame",))]
    elif spec.frames:
        given = [(name, frame, ("frames", name)) for name, frame in spec.frames.items()]
    else:
        given = [("payload", model.FrameSpec(), ())]
    kinds = [
        (name, frame if choice is None else choice.frame, path, choice)
        for name, frame, path in given
        for choice in choices(frame, path, rows)
    ]
    return [
        _FrameBuilder(name, frame, path, index, rows, choice).build()
        for index, (name, frame, path, choice) in enumerate(kinds)
    ]


class _FrameBuilder:
    def __init__(
        self, name: str, frame: model.FrameSpec, path: Path, index: int, rows: RowBuilder, choice: Choice | None
    ) -> None:
        self.name = name
        self.frame = frame
        self.path = path
        self.index = index
        self.rows = rows
        self.choice = choice

    def build(self) -> FramePlan:
        frame = self.frame
        notes = Structure()
        split = self._split()
        with self.rows.reading(text=frame.format == "text", split=split):
            header = self.rows.build(frame.header, (*self.path, "header"), notes)
            trailer = without_nothing(self.rows.build(frame.trailer, (*self.path, "trailer"), notes))
        if frame.start is not None:
            header = (mark_row("start", frame.start), *header)
        stop = frame.stop or frame.until
        if stop is not None:
            trailer = (*trailer, mark_row("stop", stop), *self._behind(notes))
        elif frame.tail:
            self.rows.report((*self.path, "tail"), "there is no `stop` that it could stand behind", "use `trailer`")
        trailer_size = fixed_size(trailer)
        if trailer_size is None:
            self.rows.report((*self.path, "trailer"), "a trailer has a fixed size", "put other rows into the body")
            trailer_size = 0
        spans = _Spans(header, trailer, trailer_size, self)
        header = spans.resolve(header, frame.header, (*self.path, "header"))
        trailer = spans.resolve(trailer, [*frame.trailer, *frame.tail], (*self.path, "trailer"))
        if isinstance(frame.size, str) and frame.format == "binary" and not (frame.escape or frame.tail or self.choice):
            header = self._sized(frame.size, header)
        least = least_size(header) + trailer_size
        self._check_sizes(self._on_wire(least))
        kind = FrameKind(
            name=self.name,
            index=self.index,
            begins=self._begins(header),
            size=self._size_rule(header, trailer_size, bytes.fromhex(stop or "")),
            min_bytes=frame.min_bytes or max(self._on_wire(least), 1 if self.path else 0),
            max_bytes=frame.max_bytes or (DEFAULT_MAX_BYTES if self.path else MAX_PAYLOAD_BYTES),
            escape=self._escape(),
            text=frame.format == "text",
            delimiter=self._delimiter(),
        )
        if isinstance(kind.size, StopBytes) and (frame.format == "text" or frame.tail):
            kind = replace(kind, size=replace(kind.size, tail=tail_pattern(trailer)))
        if self.choice is not None:
            kind = told_apart(self.rows, self.choice, kind, header, trailer)
        kind = self._in_streams(kind, header, trailer, trailer_size, bytes.fromhex(stop or ""))
        plan = FramePlan(kind, header, trailer, trailer_size, self.path, frame.format in ("json", "csv"), notes)
        plan.text, plan.split = frame.format == "text", split
        if plan.json:
            plan.document, plan.lines = frame.format, frame.csv
            plan.marks_only = not frame.header and not frame.trailer
        elif frame.csv is not None:
            self.rows.report((*self.path, "csv"), "`csv` is for frames that are lines of CSV", "add `format: csv`")
        plan.mark = len(frame.start or "") // 2
        if self.choice is not None and self.choice.test.isidentifier():
            plan.said = {self.choice.test: int(self.choice.there)}
        return plan

    def _in_streams(self, kind: FrameKind, header: Nodes, trailer: Nodes, trailer_size: int, stop: bytes) -> FrameKind:
        """How frames of the kind follow each other: with one mark between two of them, or with none at all."""
        places = [place for place in frame_checks(header, trailer, trailer_size) if not place.flag]
        unknown = not places or any(place.span == UNRESOLVED for place in places)
        sound = None if unknown else partial(_is_sound, kind.escape, places)
        hdlc = self.frame.escape.xor is not None if self.frame.escape is not None else self.frame.size is not None
        if hdlc and len(stop) == 1 and not self.frame.tail and kind.begins[:1] == (frozenset(stop),):
            return replace(kind, shared=stop[0], sound=sound)
        marked = any(allowed is not None and len(allowed) == 1 for allowed in kind.begins)
        if marked or stop or kind.escape is not None or kind.text or isinstance(kind.size, WholeChunk):
            return kind
        return replace(kind, sound=sound)

    def _check_sizes(self, least: int) -> None:
        """Keys that contradict each other. least: bytes on the wire of a frame without a body."""
        frame, report = self.frame, self.rows.report
        if frame.until is not None:
            for key in ("stop", "size"):
                if getattr(frame, key) is not None:
                    report((*self.path, key), f"`until` and `{key}` both say where the frame ends", "keep one of them")
        most = frame.max_bytes or DEFAULT_MAX_BYTES
        if isinstance(frame.size, int) and frame.size < 1:
            report((*self.path, "size"), "a frame has at least one byte", "such as 24, or a formula")
        elif frame.size is not None and is_whole(str(frame.size)):
            size = int(frame.size) * (2 if frame.format == "hex" else 1)
            if size < least:
                report((*self.path, "size"), f"header and trailer alone have {least} bytes", "the whole frame counts")
            elif size > most:
                report((*self.path, "size"), f"frames have at most {most} bytes", f"`max_bytes: {size}`")
        least = max(frame.min_bytes or 0, least)
        if least > most:
            report((*self.path, "max_bytes"), f"frames have at least {least} bytes", "raise it")

    def _delimiter(self) -> bytes:
        """What only parts the frames of a stream."""
        frame = self.frame
        return bytes.fromhex(frame.until or "") if frame.format in model.TEXT_FORMATS and not frame.tail else b""

    def _behind(self, notes: Structure) -> Nodes:
        """The rows behind the stop mark."""
        if not self.frame.tail:
            return ()
        path = (*self.path, "tail")
        if self.frame.escape is not None or self.frame.format not in ("binary", "text"):
            self.rows.report(path, "nothing can stand behind the stop mark of such a frame", "remove `tail`")
        with self.rows.reading(text=False, split=b""):
            return self.rows.build(self.frame.tail, path, notes)

    def _split(self) -> bytes:
        """What stands between the values of a text frame; b"" for nothing."""
        given = self.frame.split
        if given is None:
            return b""
        if self.frame.format != "text":
            self.rows.report((*self.path, "split"), "`split` is for text", "add `format: text`")
            return b""
        with self.rows.reading(text=True, split=b""):
            return mark_of(self.rows, given, (*self.path, "split")) or b""

    def _hex_text(self) -> HexText | None:
        if self.frame.format != "hex":
            return None
        return HexText(len(self.frame.start or "") // 2, len(self.frame.stop or self.frame.until or "") // 2)

    def _on_wire(self, size: int) -> int:
        """Bytes on the wire of a frame that has so many for its rows."""
        hexed = self._hex_text()
        return size if hexed is None else 2 * size - hexed.raw_prefix - hexed.raw_suffix

    def _escape(self) -> Transcoding | None:
        given = self.frame.escape
        if given is None:
            return self._hex_text()
        if self.frame.format == "hex":
            self.rows.report((*self.path, "escape"), "hex text needs no byte stuffing", "remove `escape` or `format`")
            return None
        frame = self.frame
        stop = bytes.fromhex(frame.stop or frame.until or "")
        if not stop:
            self.rows.report((*self.path, "escape"), "byte stuffing needs a mark at the end", "`stop`, or `until`")
            return None
        start = bytes.fromhex(frame.start or "")
        if given.xor is None:
            return Escape(given.mark, dict(given.table), len(start), len(stop))
        table = {byte ^ given.xor: byte for byte in range(256)}
        return Escape(given.mark, table, len(start), len(stop), frozenset((given.mark, *start, *stop)))

    def _begins(self, header: Nodes) -> tuple[frozenset[int] | None, ...]:
        if self.frame.begins is not None:
            try:
                return byte_pattern(self.frame.begins)
            except ValueError as error:
                self.rows.report((*self.path, "begins"), str(error), "such as `78 78 00-14 17|69 ??`")
                return ()
        pattern: list[frozenset[int] | None] = []
        if self.frame.format == "json" and not header and len(self.rows.spec.frames) > 1:
            return (frozenset(b"{["),)  # else it would take what is a frame of the kinds behind it
        for node in header:  # constants in front name the kind; what lies between them may be anything
            if not isinstance(node, Value):
                break
            size = fixed_size((node,))
            if size is None:
                if isinstance(node.wire, BytesWire) and isinstance(node.wire.size, Until):
                    pattern.extend(frozenset({byte}) for byte in const_bytes(node) or b"")
                break
            constant = const_bytes(node)
            pattern.extend([None] * size if constant is None else [frozenset({byte}) for byte in constant])
        hexed = self._hex_text()
        if hexed is not None:
            pattern = [*pattern[: hexed.raw_prefix], *hex_pattern(pattern[hexed.raw_prefix :])]
        while pattern and pattern[-1] is None:
            pattern.pop()
        return tuple(pattern[:MAX_BEGINS])

    def _size_rule(self, header: Nodes, trailer_size: int, stop: bytes) -> SizeRule:
        frame = self.frame
        if frame.until is not None or (frame.escape is not None and stop):
            return StopBytes((stop,))
        if frame.format == "hex" and (frame.size is not None or not stop):
            return self._hex_size(header, trailer_size, stop)
        end = b"" if frame.tail else stop  # what the last bytes are
        if isinstance(frame.size, str) and is_whole(frame.size):
            return FixedSize(int(frame.size), end)
        if isinstance(frame.size, int):
            return FixedSize(frame.size, end)
        if frame.size is not None:
            return self._computed(frame.size, header, end)
        field_rule = self._length_field(header, trailer_size, end)
        if field_rule is not None:
            return field_rule
        if stop:
            return StopBytes((stop,))
        for node in header:
            if isinstance(node, Value) and node.counts is not None and "tcp" in self.rows.spec.transports:
                origin = self.rows.origins.of(node)
                path = self.path if origin is None else (*origin.path, "counts")
                what = "a stream cannot be cut by it: the header changes its size"
                self.rows.report(path, what, "add `stop`, `until`, or `size` as a formula")
        return WholeChunk()

    def _hex_size(self, header: Nodes, trailer_size: int, stop: bytes) -> SizeRule:
        """The size of hex text without a mark at its end: `size` and length fields say bytes, each is two digits."""
        hexed = self._hex_text() or HexText()
        marks = hexed.raw_prefix + hexed.raw_suffix
        given = self.frame.size
        if given is not None and is_whole(str(given)):
            return FixedSize(2 * int(given) - marks, stop)
        rule = self._length_field(header, trailer_size, stop)
        if given is not None or (rule is not None and not rule.big and rule.size > 1):
            self.rows.report((*self.path, "size"), "hex text has no length of this kind", "give `stop` or `until`")
            return WholeChunk()
        if rule is None:
            return WholeChunk()
        offset = hexed.raw_prefix + 2 * (rule.offset - hexed.raw_prefix)
        return replace(rule, offset=offset, size=2 * rule.size, base=16, unit=2 * rule.unit, add=2 * rule.add - marks)

    def _length_field(self, header: Nodes, trailer_size: int, stop: bytes) -> LengthField | None:
        offset = 0
        for node in header:
            if not isinstance(node, Value) or not isinstance(node.wire, IntWire | BytesWire):
                return None
            counts, mask, shift = node.counts, 0, 0
            for bit in node.bits:
                if bit.counts is not None:
                    counts, mask, shift = bit.counts, (1 << bit.width) - 1, bit.at
            width = node.wire.size
            if counts is not None and isinstance(width, int):
                outside = counts.span.start + counts.span.tail if counts.span else None
                if outside is None:
                    whole = fixed_size(header)
                    if whole is None:
                        return None
                    outside = whole + trailer_size
                big = not isinstance(node.wire, IntWire) or node.wire.big
                base = DIGITS.get(node.wire.form, 0) if isinstance(node.wire, BytesWire) else 0
                return LengthField(offset, width, big, outside + counts.adjust, mask, shift, base=base, stop=stop)
            size = fixed_size((node,))
            if size is None:
                return None
            offset += size
        return None

    def _sized(self, text: str, header: Nodes) -> Nodes:
        """The header with the field that says the frame's size."""
        made = counted_by(text, header)
        for before, after in zip(header, made, strict=True):
            self.rows.origins.moved(before, after)
        return made

    def _computed(self, text: str, header: Nodes, stop: bytes) -> SizeRule:
        try:
            return ComputedSize(size_formula(text, header), stop)
        except FormulaError as error:
            self.rows.report((*self.path, "size"), str(error), "a number or a formula with u8(n), u16(n), digits(n, 4)")
            return FixedSize(1, stop)


def _is_sound(escape: Transcoding | None, places: Sequence[CheckPlace], wire: bytes) -> bool:
    """Whether all check values of a frame are right."""
    try:
        data = wire if escape is None else unescape(escape, wire)
    except DecodeError:
        return False
    return not any(place.difference(data) for place in places)


class _Spans(Spans):
    """Finds where `a..b` of `counts` and `over` start and end, counted from the frame's two ends."""

    def __init__(self, header: Nodes, trailer: Nodes, trailer_size: int, owner: _FrameBuilder) -> None:
        super().__init__(header, trailer, trailer_size, len(owner.frame.start or "") // 2)
        self.owner = owner
        too_many_checks(owner.rows, (*header, *trailer), owner.path)

    def resolve(self, nodes: Nodes, rows: Sequence[Any], path: Path) -> Nodes:
        texts = {getattr(row, "name", ""): row for row in rows if isinstance(row, model.ValueRow)}
        resolved: list[Node] = []
        for node in nodes:
            if isinstance(node, Value) and node.name in texts:
                whole = self._value(node, texts[node.name], path)
                self.owner.rows.origins.moved(node, whole)
                node = whole
            resolved.append(node)
        return tuple(resolved)

    def _value(self, node: Value, row: model.ValueRow, path: Path) -> Value:
        if node.check is not None:
            node = resolve_check(self.owner.rows, self, node, path)
        origin = self.owner.rows.origins.of(node)
        path = path if origin is None else origin.path
        if node.counts is not None and row.counts == "rest":
            node = replace(node, counts=self._rest(node, row.adjust, path))
        elif node.counts is not None and node.counts.span is not None:
            counted = self._span(row.counts or "", path, "counts")
            node = replace(node, counts=Counts(counted, row.adjust))
        if any(bit.counts is not None and bit.counts.span is not None for bit in node.bits):
            message = f"bits of `{node.name}` cannot count that"
            self.owner.rows.report((*path, "bits"), message, "only `counts: body` is possible")
        return node

    def _rest(self, node: Value, adjust: int, path: Path) -> Counts:
        """What stands behind a row. Where its end has no fixed place: the body, with what has around it."""
        size, start = fixed_size((node,)), self.starts.get(node.name)
        if size is not None and start is not None:
            return Counts(Span(start + size, 0), adjust)
        place = next((index for index, other in enumerate(self.header) if other is node), len(self.header))
        behind = fixed_size(self.header[place + 1 :])
        if behind is None:
            hint = "put the rows behind it into the body, or use `counts: body`"
            self.owner.rows.report((*path, "counts"), "rows of changing size stand before and behind it", hint)
        return Counts(None, adjust - (behind or 0) - self.trailer_size)

    def _span(self, text: str, path: Path, key: str) -> Span | None:
        rows = self.owner.rows
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
