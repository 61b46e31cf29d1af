"""Size rule: what arrives together is one frame (a datagram, an MQTT payload, a request body)."""

from __future__ import annotations

from decoders.framing.measure import CANNOT, NOT_THIS, TOO_LONG, TOO_SHORT, Buffer, Measure, Seen
from decoders.framing.plan import FrameKind


def measure_whole_chunk(kind: FrameKind) -> Measure:
    least, most = max(kind.min_bytes, len(kind.begins)), kind.max_bytes

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        if start:
            return NOT_THIS  # the rest of a chunk is no chunk
        if end < least:
            return TOO_SHORT
        return end if end <= most else TOO_LONG

    return measure


def never_waits(measure: Measure) -> Measure:
    """`measure`, with "ask again" turned into "too short": nothing can follow a chunk."""

    def at_once(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        size = measure(buffer, start, end, seen)
        return TOO_SHORT if CANNOT < size < 0 else size

    return at_once
