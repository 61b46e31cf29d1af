"""Values -> bytes of a message: what replies and downlinks are built with.

construct builds header, body and trailer from raw values; then lengths and check values are filled in (`seal`) and the
frame is stuffed. `seal` also makes a changed frame sound again, which is how codecs are proven on changed bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decoders import times
from decoders.convert import Convert
from decoders.errors import DecodeError, EncodeError
from decoders.framing.escape import stuff
from decoders.framing.plan import Escape
from decoders.layout import Counts, IntWire, MessageLayout, Value, fixed_size, walk
from decoders.reference.codec import CheckPlace, FrameLayout
from decoders.reference.raw_tree import Scope, Window
from decoders.reference.read import builder, reader


def to_raw(name: str, convert: Convert, value: Any, zone_s: int) -> Any:
    """The inverse of `Convert`: value -> raw value. Raises EncodeError when there is none."""
    if convert.plain:
        return value
    try:
        if convert.clock:
            return _clock(convert, value, zone_s)
        if convert.boolean:
            return int(bool(value) != convert.invert)
        if convert.flags is not None:
            return sum(1 << bit for bit, word in convert.flags.items() if word in value)
        if convert.enum is not None:
            for raw, word in convert.enum.items():
                if word == value:
                    return raw
            if isinstance(value, str):
                raise EncodeError(name, f"{value!r} is none of {', '.join(map(str, convert.enum.values()))}")
        if convert.linear is not None:
            step = convert.linear
            return round((value * step.denominator - step.add) / step.numerator)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(name, f"{value!r} cannot be written: {error}") from None
    if convert.formula is not None:
        raise EncodeError(name, "a value by formula cannot be turned back into bytes")
    return value


def _clock(convert: Convert, value: Any, zone_s: int) -> Any:
    unix_ms = times.unix_ms_from_iso(value) if isinstance(value, str) else int(value)
    zone = zone_s if convert.zone_s is None else convert.zone_s
    match convert.clock:
        case "unix":
            return unix_ms // 1000
        case "unix_ms":
            return unix_ms
        case "since2000":
            return unix_ms // 1000 - times.SINCE_2000_S
        case "six":
            return times.six_from_ms(unix_ms, zone)
    return times.bcd_six_from_ms(unix_ms, zone)


class Encoder:
    """Builds one message in one kind of frame."""

    def __init__(self, frame: FrameLayout, message: MessageLayout, escape: Escape | None) -> None:
        self.frame = frame
        self.escape = escape
        self.nodes = (*message.header, *message.body, *message.trailer)
        self.fields: dict[str, Convert] = {}
        for node in walk(self.nodes):
            if isinstance(node, Value):
                self.fields[node.name] = node.convert
                self.fields.update({bit.name: bit.convert for bit in node.bits})
        self.build = builder(self.nodes)

    def encode(self, values: Mapping[str, Any], zone_s: int = 0, raw: Mapping[str, Any] | None = None) -> bytes:
        """The frame as it goes on the wire, from values and raw values. Those that have no field are ignored.
        Raises EncodeError."""
        scope = Scope(raw=dict(raw or {}))
        for name, convert in self.fields.items():
            if name in values:
                scope.raw[name] = to_raw(name, convert, values[name], zone_s)
        data = bytearray(self.build(scope))
        seal(self.frame, data, scope)
        return stuff(self.escape, bytes(data)) if self.escape is not None else bytes(data)


def seal(frame: FrameLayout, data: bytearray, scope: Scope | None = None) -> None:
    """Fills in the length fields at fixed places and all check values, in place."""
    offset: int | None = 0
    for node in frame.header:
        if offset is None:
            break
        if isinstance(node, Value) and isinstance(node.wire, IntWire):
            _fill_counts(frame, data, node, node.wire, offset, scope)
        size = fixed_size((node,))
        offset = None if size is None else offset + size
    for place in frame.checks:
        value = place.algorithm.function(bytes(data[place.start : len(data) - place.tail]))
        _store(data, place, value)


def _fill_counts(
    frame: FrameLayout, data: bytearray, node: Value, wire: IntWire, offset: int, scope: Scope | None
) -> None:
    def counted(counts: Counts) -> int:
        if counts.span is not None:
            return len(data) - counts.span.start - counts.span.tail - counts.adjust
        return len(data) - _header_size(frame, data, scope) - frame.trailer_size - counts.adjust

    order = "big" if wire.big else "little"
    place = slice(offset, offset + wire.size)
    if node.counts is not None:
        data[place] = counted(node.counts).to_bytes(wire.size, order)  # type: ignore[arg-type]
    for bit in node.bits:
        if bit.counts is not None:
            whole = int.from_bytes(data[place], order)  # type: ignore[arg-type]
            mask = ((1 << bit.width) - 1) << bit.at
            data[place] = (whole & ~mask | counted(bit.counts) << bit.at & mask).to_bytes(wire.size, order)  # type: ignore[arg-type]


def _header_size(frame: FrameLayout, data: bytearray, scope: Scope | None) -> int:
    size = fixed_size(frame.header)
    if size is not None:
        return size
    if scope is not None:
        return len(builder(frame.header)(Scope(raw=dict(scope.raw))))
    window = Window(bytes(data), 0)
    try:
        reader(frame.header)(window, Scope(), None)
    except DecodeError as error:
        raise EncodeError("header", f"its size depends on its values: {error}") from None
    return window.tell()


def _store(data: bytearray, place: CheckPlace, value: int) -> None:
    start = place.at(data)
    data[start : start + place.wire.size] = value.to_bytes(place.wire.size, "big" if place.wire.big else "little")
