"""Kinds of frames whose marks do not show where one begins: those without any, such as Modbus RTU, and those whose
start mark is their stop mark too."""

from __future__ import annotations

from decoders.framing.measure import NOT_THIS, UNSOUND, Buffer, Measure, Seen
from decoders.framing.plan import ComputedSize, FrameKind


def only_sound(measure: Measure, kind: FrameKind) -> Measure:
    """`measure`, which takes a whole frame for one only where its check values are right; at other places the framer
    goes on with the next byte. Costs one check of at most `max_bytes` for each byte of garbage."""
    sound = kind.sound
    if sound is None or kind.shared >= 0:
        return measure

    def checked(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        size = measure(buffer, start, end, seen)
        return UNSOUND if size > 0 and not sound(bytes(buffer[start : start + size])) else size

    return checked


def not_between(measure: Measure, kind: FrameKind) -> Measure:
    """`measure`, which takes two marks in a row for the space between frames, where the size is computed from more than
    the byte behind the mark (HDLC)."""
    mark = kind.shared
    if mark < 0 or not isinstance(kind.size, ComputedSize) or kind.size.size(bytes((mark, mark))) is not None:
        return measure

    def behind_the_mark(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        if start + 1 < end and buffer[start + 1] == mark:
            return NOT_THIS
        return measure(buffer, start, end, seen)

    return behind_the_mark
