"""Size rule: the product's own function reads the size out of the first bytes."""

from __future__ import annotations

from collections.abc import Callable

from decoders.framing.measure import BAD_LENGTH, NO_STOP, NOT_THIS, TOO_LONG, Buffer, Measure, Seen
from decoders.framing.plan import ComputedSize, FrameKind

_HEAD_BYTES = 64  # most sizes can be told from so many


def measure_computed_size(kind: FrameKind, rule: ComputedSize) -> Measure:
    compute, stop, stop_bytes = rule.size, rule.stop, len(rule.stop)
    least, most = max(kind.min_bytes, len(kind.begins), stop_bytes, 1), kind.max_bytes

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        have = end - start
        size = _compute_at(compute, buffer, start, min(have, most)) if start else compute(buffer)
        if size is None:
            return -(have + 1) if have < most else TOO_LONG
        if size > most:
            return TOO_LONG
        if size < least:
            return NOT_THIS if size < 0 else BAD_LENGTH
        if have < size:
            return -size
        if stop and not buffer.startswith(stop, start + size - stop_bytes):
            return NO_STOP
        return size

    return measure


def _compute_at(
    compute: Callable[[bytes | bytearray], int | None], buffer: Buffer, start: int, limit: int
) -> int | None:
    """Asks with a short copy first: one copy of all that follows, at each position of a long run of garbage, would
    cost the square of its length."""
    width = _HEAD_BYTES
    while width < limit:
        size = compute(buffer[start : start + width])
        if size is not None:
            return size
        width *= 8
    return compute(buffer[start : start + limit])
