"""Size rule: a field near the frame's start says how long it is."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Literal

from decoders.framing.measure import BAD_LENGTH, CANNOT, NO_STOP, TOO_LONG, Buffer, Measure, Seen
from decoders.framing.plan import FrameKind, LengthField

_DIGITS = {10: b"0123456789", 16: b"0123456789abcdefABCDEF"}


def declared_bytes(rule: LengthField) -> Callable[[Buffer, int], int]:
    """read(buffer, at): the frame's size by the field that stands at `at` in full; CANNOT for what is no number."""
    add, unit, shift, size = rule.add, rule.unit, rule.shift, rule.size
    order: Literal["big", "little"] = "big" if rule.big else "little"
    if rule.base:
        return _declared_in_digits(rule)
    if rule.mask or shift or unit != 1:
        mask = rule.mask or -1
        return lambda buffer, at: (int.from_bytes(buffer[at : at + size], order) >> shift & mask) * unit + add
    if size == 1:
        return lambda buffer, at: buffer[at] + add
    if size == 2 and rule.big:
        return lambda buffer, at: (buffer[at] << 8 | buffer[at + 1]) + add
    if size == 4:
        word = Struct(">I" if rule.big else "<I").unpack_from
        return lambda buffer, at: int(word(buffer, at)[0]) + add
    return lambda buffer, at: int.from_bytes(buffer[at : at + size], order) + add


def _declared_in_digits(rule: LengthField) -> Callable[[Buffer, int], int]:
    mask, digits = rule.mask or -1, _DIGITS[rule.base]

    def read(buffer: Buffer, at: int) -> int:
        text = buffer[at : at + rule.size]
        if text.strip(digits):  # int() would also take signs, spaces and underscores
            return CANNOT
        return (int(text, rule.base) >> rule.shift & mask) * rule.unit + rule.add

    return read


def measure_length_field(kind: FrameKind, rule: LengthField) -> Measure:
    declared = declared_bytes(rule)
    offset, stop, stop_bytes = rule.offset, rule.stop, len(rule.stop)
    header = offset + rule.size
    least, most = max(kind.min_bytes, header + stop_bytes, len(kind.begins)), kind.max_bytes

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        have = end - start
        if have < header:
            return -header
        size = declared(buffer, start + offset)
        if size > most:
            return TOO_LONG  # decided by the field alone: a lie about the length never makes us wait or hold bytes
        if size < least:
            return BAD_LENGTH
        if have < size:
            return -size
        if stop and not buffer.startswith(stop, start + size - stop_bytes):
            return NO_STOP
        return size

    return measure
