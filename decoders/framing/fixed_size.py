"""Size rule: every frame of the kind has the same number of bytes."""

from __future__ import annotations

from decoders.framing.measure import NO_STOP, TOO_LONG, TOO_SHORT, Buffer, Measure, Seen
from decoders.framing.plan import FixedSize, FrameKind


def measure_fixed_size(kind: FrameKind, rule: FixedSize) -> Measure:
    size, stop = rule.size, rule.stop
    stop_at = size - len(stop)
    if size > kind.max_bytes:
        return lambda buffer, start, end, seen: TOO_LONG
    if size < max(kind.min_bytes, len(kind.begins), len(stop), 1):
        return lambda buffer, start, end, seen: TOO_SHORT

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        if end - start < size:
            return -size
        if stop and not buffer.startswith(stop, start + stop_at):
            return NO_STOP
        return size

    return measure
