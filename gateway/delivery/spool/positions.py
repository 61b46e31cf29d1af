"""Which sequences are delivered: all below a low water, and ranges above it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class Positions:
    """Ranges are half-open, disjoint, never touch each other or `low`, and rise."""

    __slots__ = ("_ends", "_starts", "low")

    def __init__(self, low: int, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self.low = low
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add_range(start, end)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return list(zip(self._starts, self._ends, strict=True))

    @property
    def range_count(self) -> int:
        return len(self._starts)

    @property
    def top(self) -> int:
        """The sequence after the highest one that is delivered."""
        return self._ends[-1] if self._ends else self.low

    def has(self, sequence: int) -> bool:
        if sequence < self.low:
            return True
        i = bisect_right(self._starts, sequence)
        return i > 0 and sequence < self._ends[i - 1]

    def add(self, sequences: Iterable[int]) -> None:
        """In any order, known ones too."""
        start = end = -1
        for sequence in sorted(sequences):
            if sequence == end:
                end += 1
            elif sequence > end:
                if end >= 0:
                    self.add_range(start, end)
                start, end = sequence, sequence + 1
        if end >= 0:
            self.add_range(start, end)

    def add_range(self, start: int, end: int) -> None:
        """From `start` up to but without `end`."""
        if end <= self.low or end <= start:
            return
        starts, ends = self._starts, self._ends
        if start <= self.low:
            self.low = end
            if starts and starts[0] <= end:
                reached = bisect_right(starts, end)
                self.low = max(end, ends[reached - 1])
                del starts[:reached], ends[:reached]
            return
        i = bisect_left(ends, start)  # the first range that reaches `start`
        j = bisect_right(starts, end)  # the first one behind `end`
        if i == j:
            starts.insert(i, start)
            ends.insert(i, end)
            return
        starts[i] = min(starts[i], start)
        ends[i] = max(ends[j - 1], end)
        del starts[i + 1 : j], ends[i + 1 : j]
