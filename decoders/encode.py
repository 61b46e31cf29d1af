"""Values -> bytes of a message: what replies and downlinks are built with.

construct builds header, body and trailer from raw values; then lengths and check values are filled in (`seal`) and the
frame is stuffed. `seal` also makes a changed frame sound again, which is how codecs are proven on changed bodies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from decoders.check_places import fill_in
from decoders.convert import Convert
from decoders.errors import DecodeError, EncodeError
from decoders.framing.escape import stuff
from decoders.framing.plan import Transcoding
from decoders.inverse import to_raw  # noqa: F401 - callers find it here
from decoders.layout import (
    BytesWire,
    Counts,
    Given,
    Group,
    IntWire,
    MessageLayout,
    Node,
    Repeat,
    Skip,
    Value,
    fixed_size,
    walk,
)
from decoders.reference.codec import FrameLayout
from decoders.reference.draft import Draft, Work
from decoders.reference.fields import Fields, fields_of, own_rows, told_names
from decoders.reference.raw_tree import Scope, Window
from decoders.reference.read import BuildRows, builder, reader
from decoders.text_forms import text_of_number
from decoders.times import Zone

_MOST_TRIES = 8
"""A field that counts bytes may change the size of another that does: so often a message is built anew."""


class Encoder:
    """Builds one message in one kind of frame.

    when: raw values that make a frame this message; they stand where nothing else is given. `port` may be among them.
    first: bytes that the body begins with; they are written where the spec skips bytes. zone: of local clocks.
    """

    def __init__(
        self,
        frame: FrameLayout,
        message: MessageLayout,
        escape: Transcoding | None,
        when: Mapping[str, Any] | None = None,
        first: bytes = b"",
        zone: Zone = 0,
    ) -> None:
        self.frame = frame
        self.message = message
        self.escape = escape
        self.when = dict(when or {})
        self.first = first
        self.zone = zone
        self.nodes = (*message.header, *message.body, *message.trailer)
        self.fields: dict[str, Convert] = {}
        self.told = told_names(self.nodes)
        for node in walk(self.nodes):
            if isinstance(node, Value):
                self.fields[node.name] = node.convert
                self.fields.update({bit.name: bit.convert for bit in node.bits})

    # What builds is made when the first message is built: most messages are only read.

    @cached_property
    def root(self) -> Fields:
        return fields_of(self.nodes)

    @cached_property
    def front(self) -> BuildRows:
        return builder((*self.message.header, *self.message.body))

    @cached_property
    def back(self) -> BuildRows:
        return builder(self.message.trailer)

    @cached_property
    def build_header(self) -> BuildRows:
        return builder(self.message.header)

    @property
    def names(self) -> frozenset[str]:
        """Names of the values that the message is built from; those built from numbers are not among them."""
        return self.root.names

    def encode(
        self,
        values: Mapping[str, Any],
        zone_s: Zone | None = None,
        raw: Mapping[str, Any] | None = None,
        *,
        fill: bool = False,
    ) -> bytes:
        """The frame as it goes on the wire, from values as decoding gives them and raw values of header, body and
        trailer. Those that have no field are ignored. zone_s: of the device's clock; None: as the spec says. fill:
        hidden fields that nothing gives become 0. Raises EncodeError, which names the field."""
        work = Work(self.zone if zone_s is None else zone_s, fill, int(self.when.get("port", 0)), self.told)
        for _ in range(_MOST_TRIES):
            work.changed = False
            draft = self._draft(values, raw, work)
            data = bytearray(self.front(draft) + self.back(draft))  # a mark that parts values stands before no trailer
            if not work.changed:
                break
            work.before = Window(bytes(data[: len(data) - self.frame.trailer_size]), 0)
        else:
            raise EncodeError("", "the lengths and counts of this message contradict each other")
        draft.finish()
        header = fixed_size(self.message.header)
        if header is None:
            header = len(self.build_header(self._draft(values, raw, work)))
        self._begin(data, header)
        seal(self.frame, data, header, self.message.message)
        return stuff(self.escape, bytes(data)) if self.escape is not None else bytes(data)

    def _draft(self, values: Mapping[str, Any], raw: Mapping[str, Any] | None, work: Work) -> Draft:
        return Draft(values=values, fields=self.root, work=work, given=raw or {}, fallback=self.when)

    def _begin(self, data: bytearray, place: int) -> None:
        """Writes the bytes that the body, which starts at `place`, is known by over those that the spec skips."""
        left = self.first
        for node in self.message.body:
            size = fixed_size((node,))
            if size is None or not left:
                return
            if isinstance(node, Skip):
                data[place : place + len(left[:size])] = left[:size]
            left, place = left[size:], place + size


def seal(frame: FrameLayout, data: bytearray, header: int | None = None, message: str = "") -> None:
    """Fills in the length fields at fixed places and all check values, in place. header: its size, where that is
    known. message: whose check values are among its rows. Raises EncodeError or OverflowError."""
    offset: int | None = 0
    for node in frame.header:
        if offset is None:
            break
        if isinstance(node, Value) and isinstance(node.wire, IntWire):
            _fill_counts(frame, data, node, node.wire, offset, header)
        elif isinstance(node, Value) and isinstance(node.wire, BytesWire) and node.counts is not None:
            _fill_digits(frame, data, node, node.counts, node.wire, offset, header)
        size = fixed_size((node,))
        offset = None if size is None else offset + size
    fill_in(frame.checks_of(message), data)


def _fill_counts(
    frame: FrameLayout, data: bytearray, node: Value, wire: IntWire, offset: int, header: int | None
) -> None:
    def counted(counts: Counts) -> int:
        return _counted(frame, data, counts, header)

    order = "big" if wire.big else "little"
    place = slice(offset, offset + wire.size)
    if node.counts is not None:
        data[place] = counted(node.counts).to_bytes(wire.size, order)  # type: ignore[arg-type]
    for bit in node.bits:
        if bit.counts is not None:
            whole = int.from_bytes(data[place], order)  # type: ignore[arg-type]
            mask = ((1 << bit.width) - 1) << bit.at
            data[place] = (whole & ~mask | counted(bit.counts) << bit.at & mask).to_bytes(wire.size, order)  # type: ignore[arg-type]


def _fill_digits(
    frame: FrameLayout, data: bytearray, node: Value, counts: Counts, wire: BytesWire, offset: int, header: int | None
) -> None:
    """A length that is written as text."""
    size = wire.size
    if not isinstance(size, int):
        raise EncodeError(node.name, "a length in digits has a fixed number of them")
    text = text_of_number(_counted(frame, data, counts, header), wire.form, size)
    if len(text) > size:
        raise EncodeError(node.name, f"{text.decode()} has more than {size} digits")
    data[offset : offset + size] = text


def _counted(frame: FrameLayout, data: bytearray, counts: Counts, header: int | None) -> int:
    if counts.span is not None:
        return len(data) - counts.span.start - counts.span.tail - counts.adjust
    return len(data) - (_header_size(frame, data) if header is None else header) - frame.trailer_size - counts.adjust


def _header_size(frame: FrameLayout, data: bytearray) -> int:
    size = fixed_size(frame.header)
    if size is not None:
        return size
    window = Window(bytes(data), 0)
    try:
        reader(frame.header)(window, Scope(), None)
    except DecodeError as error:
        raise EncodeError("header", f"its size depends on its values: {error}") from None
    return window.tell()


def strangers(nodes: Sequence[Node], values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Paths of values that no row is for, and the names that there are instead."""
    fields = fields_of(nodes)
    known = {*fields.names, *fields.values, *fields.bits}
    known |= {node.name for node in own_rows(nodes) if isinstance(node, Given)}
    inner = {node.name: node.nodes for node in own_rows(nodes) if isinstance(node, Group | Repeat)}
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if name not in known and not fields.told({name: value or 0}):
            yield here, sorted(fields.names)
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if name in inner and isinstance(item, Mapping):
                place = f"{here}[{index}]" if isinstance(value, list) else here
                parallel = [node.nodes for node in own_rows(nodes) if isinstance(node, Repeat) and node.into == name]
                yield from strangers((*inner[name], *(row for rows in parallel for row in rows)), item, place)
