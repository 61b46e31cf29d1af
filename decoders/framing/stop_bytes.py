"""Size rule: the frame ends with a mark."""

from __future__ import annotations

import re

from decoders.framing.begins import constant, sequence
from decoders.framing.measure import RESTARTS, TOO_LONG, TOO_SHORT, Buffer, Measure, Seen
from decoders.framing.plan import Escape, FrameKind, StopBytes


def measure_stop_bytes(kind: FrameKind, rule: StopBytes, slot: int) -> Measure:
    """`slot`, and one more for each further stop, are this kind's own places in `seen`: bytes that a search has
    covered are not searched again, neither when a frame trickles in nor when its start is dropped for the next one.

    With several stops the one that is complete first ends the frame.
    """
    if rule.tail:
        return _measure_tail(kind, rule, slot)
    least, most, several = kind.min_bytes, kind.max_bytes, len(rule.stops) > 1
    stops = tuple((slot + index, stop, len(stop), _first_place(kind, stop)) for index, stop in enumerate(rule.stops))
    restart = _restart_mark(kind, rule)
    remember = several or bool(restart)

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        limit = start + most
        if limit > end:
            limit = end
        size = 0
        for place, stop, width, first in stops:
            at = start + first
            if seen and seen.get(place, 0) > at:
                at = seen[place]
            found = buffer.find(stop, at, limit)
            if found < 0:
                if limit - width >= at:
                    seen[place] = limit - width + 1
                continue
            if remember:
                seen[place] = found
            if not size or found + width - start < size:
                size = found + width - start
        if size:
            if restart and buffer.find(restart, start + len(restart), start + size) >= 0:
                return RESTARTS
            return size if size >= least else TOO_SHORT
        have = end - start
        return -(have + 1) if have < most else TOO_LONG

    return measure


def _restart_mark(kind: FrameKind, rule: StopBytes) -> bytes:
    """The start mark of a frame with byte stuffing, where it cannot be content: inside a frame it begins another one.
    b"" where there is none, or where it is the stop mark too."""
    escape = kind.escape
    if not isinstance(escape, Escape) or not escape.raw_prefix:
        return b""
    mark = constant(kind.begins[: escape.raw_prefix])
    if not mark or len(mark) < escape.raw_prefix or any(mark.startswith(stop[:1]) for stop in rule.stops):
        return b""
    sent_as_pairs = escape.stuffed or frozenset((escape.mark, *escape.table.values()))
    return mark if mark[0] in sent_as_pairs else b""


def _measure_tail(kind: FrameKind, rule: StopBytes, slot: int) -> Measure:
    """The same where more than the stop shows the end."""
    least, most, width = kind.min_bytes, kind.max_bytes, len(rule.tail)
    search = re.compile(sequence(rule.tail), re.DOTALL).search
    first = max(least - width, len(kind.begins) - width, 0)

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        limit = min(start + most, end)
        at = max(start + first, seen.get(slot, 0))
        found = search(buffer, at, limit)
        if found is not None:
            size = found.end() - start
            return size if size >= least else TOO_SHORT
        if limit - width >= at:
            seen[slot] = limit - width + 1
        have = end - start
        return -(have + 1) if have < most else TOO_LONG

    return measure


def _first_place(kind: FrameKind, stop: bytes) -> int:
    """Where in the frame the stop may first stand: where it ends the shortest frame, or earlier if it is a mark that
    cannot be content. Such a mark too early in the frame shows that this is none: between 7E and 7E lies nothing, and
    the second one starts the next frame."""
    starts_frames = list(kind.begins[: len(stop)]) == [frozenset({value}) for value in stop]
    if starts_frames:
        return len(stop)
    if isinstance(kind.escape, Escape) and len(stop) == 1 and stop[0] in kind.escape.table.values():
        return max(kind.escape.raw_prefix, 1)
    return max(kind.min_bytes - len(stop), len(kind.begins))
