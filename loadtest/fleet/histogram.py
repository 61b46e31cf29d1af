"""Durations in buckets: log-linear, as HdrHistogram has them; percentiles are at most 1/128 too high.

Place in the walk: every face, and every second of a run, counts its durations in one of these; they are merged at will.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Histogram"]

_BITS = 7
"""Buckets of one power of two: 2^7."""
_MOST = (1 << 40) - 1
"""12 days in microseconds; what is longer counts as that."""


class Histogram:
    """Counts of durations in whole microseconds. count, total, least, greatest: exact."""

    __slots__ = ("_counts", "count", "greatest", "least", "total")

    def __init__(self) -> None:
        self._counts: list[int] = []  # by bucket, as far as needed
        self.count = 0
        self.total = 0
        self.least = 0
        self.greatest = 0

    def record(self, seconds: float) -> None:
        """Takes one duration; what is below 0 (two clocks) counts as 0."""
        us = round(seconds * 1e6)
        if not 0 <= us <= _MOST:
            us = 0 if us < 0 else _MOST
        if us < self.least or not self.count:
            self.least = us
        if us > self.greatest:
            self.greatest = us
        self.count += 1
        self.total += us
        shift = us.bit_length() - _BITS - 1
        index = us if shift <= 0 else (shift << _BITS) + (us >> shift)
        try:
            self._counts[index] += 1
        except IndexError:
            self._add(index, 1)

    def merge(self, other: Histogram) -> None:
        """Takes in what another one has counted."""
        if not other.count:
            return
        for index, count in enumerate(other._counts):
            if count:
                self._add(index, count)
        self.least = other.least if not self.count else min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        self.count += other.count
        self.total += other.total

    def percentile(self, percent: float) -> float:
        """Milliseconds below or at which so many per cent of the durations are; 0 without any."""
        if not self.count:
            return 0.0
        wanted = min(self.count, max(1, -int(-self.count * percent // 100)))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return min(_highest(index), self.greatest) / 1000
        return self.greatest / 1000

    @property
    def mean_ms(self) -> float:
        return self.total / self.count / 1000 if self.count else 0.0

    def figures(self, percents: Sequence[float] = (50, 90, 99, 99.9)) -> dict[str, float]:
        """What reports show, in milliseconds: `p50`, ..., `max`; {} without durations."""
        if not self.count:
            return {}
        shown = {f"p{percent:g}": round(self.percentile(percent), 3) for percent in percents}
        return {**shown, "max": round(self.greatest / 1000, 3), "mean": round(self.mean_ms, 3)}

    def curve(self) -> Iterator[tuple[float, float]]:
        """Per cent and milliseconds of every bucket that has any, rising."""
        seen = 0
        for index, count in enumerate(self._counts):
            if count:
                seen += count
                yield 100 * seen / self.count, min(_highest(index), self.greatest) / 1000

    def _add(self, index: int, count: int) -> None:
        counts = self._counts
        if index >= len(counts):
            counts.extend([0] * (index + 1 - len(counts)))
        counts[index] += count


def _highest(index: int) -> int:
    """The longest duration of a bucket."""
    shift = (index >> _BITS) - 1
    if shift <= 0:
        return index
    return ((index - (shift << _BITS) + 1) << shift) - 1
