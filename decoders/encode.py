"""Values -> bytes of a message: what replies and downlinks are built with.

construct builds header, body and trailer from raw values; then lengths and check values are filled in (`seal`) and the
frame is stuffed. `seal` also makes a changed frame sound again, which is how codecs are proven on changed bodies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from decoders.check_places import fill_in
from decoders.convert import Convert
from decoders.errors import DecodeError, EncodeError
from decoders.framing.escape import stuff
from decoders.framing.plan import Transcoding
from decoders.layout import (
    BytesWire,
    Condition,
    Counts,
    Given,
    Group,
    IntWire,
    MessageLayout,
    Node,
    Repeat,
    Rest,
    Skip,
    Until,
    Value,
    fixed_size,
    walk,
)
from decoders.reference.codec import FrameLayout
from decoders.reference.draft import Draft, Work
from decoders.reference.fields import Fields, fields_of, own_rows, told_names
from decoders.reference.raw_tree import Scope, Trace, Window
from decoders.reference.read import BuildRows, builder, reader
from decoders.text_forms import text_of_number
from decoders.times import Zone

_MOST_TRIES = 8
"""A field that counts bytes may change the size of another that does: so often a message is built anew."""


class Encoder:
    """Builds one message in one kind of frame.

    when: raw values that make a frame this message; they stand where nothing else is given. `port` may be among them.
    known: bytes of the body, by place, that make it so too; they are written where the spec skips bytes, and are the
    raw values of rows there that nothing else gives. zone: of local clocks.
    """

    def __init__(
        self,
        frame: FrameLayout,
        message: MessageLayout,
        escape: Transcoding | None,
        when: Mapping[str, Any] | None = None,
        known: Mapping[int, int] | None = None,
        zone: Zone = 0,
    ) -> None:
        self.frame = frame
        self.message = message
        self.escape = escape
        self.when = dict(when or {})
        self.known = dict(known or {})
        self.zone = zone
        self.nodes = (*message.header, *message.body, *message.trailer)
        self.fields: dict[str, Convert] = {}
        self.told = told_names(self.nodes)
        self.fallback = {**_known_rows(message.body, self.known), **self.when} if known else self.when
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
    def before_trailer(self) -> bytes:
        """What parts the values of a text, where its trailer begins with one; it stands before no literal and no check
        value."""
        first = self.message.trailer[0] if self.message.trailer else None
        if not self.message.text or not isinstance(first, Value) or first.const is not None or first.check is not None:
            return b""
        size = getattr(next(_ends(self.message.body), None), "size", None)
        return size.mark if isinstance(size, Until) and not size.needed else b""

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
        strict: bool = True,
        session: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The frame as it goes on the wire, from values as decoding gives them and raw values of header, body and
        trailer. Those that have no field are ignored. zone_s: of the device's clock; None: as the spec says. fill:
        hidden fields that nothing gives become 0. strict: a value of a row that is not there, since the condition that
        it stands under is false, is an error. session: what formulas read of the login. Raises EncodeError, which
        names the field."""
        port = int(self.when.get("port", 0))
        work = Work(self.zone if zone_s is None else zone_s, fill, port, self.told, strict)
        work.body_at = fixed_size(self.message.header)
        work.session = session or {}
        for _ in range(_MOST_TRIES):
            work.changed = False
            draft = self._draft(values, raw, work)
            work.known = self.known
            data = bytearray(self.front(draft))
            work.known = {}
            data += self.before_trailer + self.back(draft)
            if not work.changed:
                break
            work.before = Window(bytes(data[: len(data) - self.frame.trailer_size]), 0)
            body = bytes(data[self._header_size(values, raw, work) : len(data) - self.frame.trailer_size])
            work.around = {"length": len(body), "_body": body}
        else:
            raise EncodeError("", "the lengths and counts of this message contradict each other")
        draft.finish()
        if self.known:
            self._begin(data, self._header_size(values, raw, work))
        try:
            seal(self.frame, data, self.message.message)
        except OverflowError as error:
            raise EncodeError("", f"its lengths and check values do not fit: {error}") from None
        return stuff(self.escape, bytes(data)) if self.escape is not None else bytes(data)

    def _draft(self, values: Mapping[str, Any], raw: Mapping[str, Any] | None, work: Work) -> Draft:
        return Draft(values=values, fields=self.root, work=work, given=raw or {}, fallback=self.fallback)

    def _header_size(self, values: Mapping[str, Any], raw: Mapping[str, Any] | None, work: Work) -> int:
        header = fixed_size(self.message.header)
        return len(self.build_header(self._draft(values, raw, work))) if header is None else header

    def _begin(self, data: bytearray, place: int) -> None:
        """Writes the bytes that the body, which starts at `place`, is known by over those that the spec skips."""
        size = len(data) - place - self.frame.trailer_size
        known = {at if at >= 0 else size + at: byte for at, byte in self.known.items()}
        start = 0
        for node in self.message.body:
            width = fixed_size((node,))
            if width is None and isinstance(node, Skip) and isinstance(node.size, Rest):
                width = size - start
            if width is None:
                break
            if isinstance(node, Skip):
                for at in range(start, start + width):
                    data[place + at] = known.get(at, data[place + at])
            start += width
        else:
            for at in range(start, size):  # bytes that nothing reads
                data[place + at] = known.get(at, data[place + at])


def _ends(nodes: Sequence[Node]) -> Iterator[Any]:
    """What has the size of the last row, whether it is there or not."""
    for node in reversed(nodes):
        match node:
            case Value():
                yield node.wire
            case Condition(nodes=inner) | Group(nodes=inner, size=None, encoded=""):
                yield from _ends(inner)
            case Group() | Repeat() | Skip():
                yield node


def _known_rows(body: Sequence[Node], known: Mapping[int, int]) -> dict[str, Any]:
    """Raw values of rows whose bytes are known."""
    found: dict[str, Any] = {}
    place = 0
    for node in body:
        size = fixed_size((node,))
        if size is None:
            break
        if isinstance(node, Value) and node.const is None and all(at in known for at in range(place, place + size)):
            data = bytes(known[at] for at in range(place, place + size))
            scope = Scope()
            try:
                reader((node,))(Window(data, 0), scope, None)
            except DecodeError:
                pass
            else:
                found |= scope.raw
        place += size
    return found


def seal(frame: FrameLayout, data: bytearray, message: str = "") -> None:
    """Fills in the length fields of the header and all check values, in place. message: whose check values are among
    its rows. Raises EncodeError or OverflowError."""
    for name in [node.name for node in frame.header if isinstance(node, Value) and _counts(node)]:
        places, header = _header_places(frame, data)  # anew: digits of another length move what stands behind them
        node, place = places[name]
        if isinstance(node.wire, IntWire):
            _fill_integer(frame, data, node, node.wire, place, header)
        elif isinstance(node.wire, BytesWire) and node.counts is not None:
            size = node.wire.size if isinstance(node.wire.size, int) else None
            text = text_of_number(_counted(frame, data, node.counts, header), node.wire.form, size)
            if size is not None and len(text) > size:
                raise EncodeError(node.name, f"{text.decode()} has more than {size} digits")
            data[place] = text
    fill_in(frame.checks_of(message), data)


def _counts(node: Value) -> bool:
    return any(part.counts is not None for part in node.parts)


def _header_places(frame: FrameLayout, data: bytearray) -> tuple[dict[str, tuple[Value, slice]], int]:
    """The values of the header with the bytes that they take, and the header's size."""
    places: dict[str, tuple[Value, slice]] = {}
    if fixed_size(frame.header) is not None:
        offset = 0
        for node in frame.header:
            size = fixed_size((node,)) or 0
            if isinstance(node, Value):
                places[node.name] = node, slice(offset, offset + size)
            offset += size
        return places, offset
    window, trace = Window(bytes(data), 0), list[Trace]()
    try:
        reader(frame.header)(window, Scope(), trace)
    except DecodeError as error:
        raise EncodeError("header", f"its size depends on its values: {error}") from None
    for item in trace:
        if isinstance(item.node, Value):
            places[item.node.name] = item.node, slice(item.offset, item.offset + item.size)
    return places, window.tell()


def _fill_integer(frame: FrameLayout, data: bytearray, node: Value, wire: IntWire, place: slice, header: int) -> None:
    """Lengths that are an integer or bits of one."""
    order: Literal["big", "little"] = "big" if wire.big else "little"
    if node.counts is not None:
        data[place] = _counted(frame, data, node.counts, header).to_bytes(wire.size, order)
    for bit in node.bits:
        if bit.counts is not None:
            whole = int.from_bytes(data[place], order)
            mask = ((1 << bit.width) - 1) << bit.at
            counted = _counted(frame, data, bit.counts, header) << bit.at & mask
            data[place] = (whole & ~mask | counted).to_bytes(wire.size, order)


def _counted(frame: FrameLayout, data: bytearray, counts: Counts, header: int) -> int:
    size = len(data) - header - frame.trailer_size
    if counts.span is not None:
        size = len(data) - counts.span.start - counts.span.tail
    units, rest = divmod(size - counts.adjust, counts.unit)
    if rest:
        raise EncodeError("", f"{size} bytes are no whole number of {counts.unit}, plus {counts.adjust}")
    return units


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
