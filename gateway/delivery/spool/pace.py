"""When to commit: at once when there is little to do, in larger groups under load."""

from __future__ import annotations

import time
from collections.abc import Callable

FULL_GROUP = 48
"""Records that share a commit before another one is worth waiting for: a commit costs the CPU of about so many."""

_SHORTEST_S = 0.0005  # what is shorter is not worth a timer


class Pace:
    """Keeps the starts of two commits apart: by nothing when a group would be of few records, by up to `max_s` when
    so many records come that a group is full in that time."""

    def __init__(self, max_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_s = max_s
        self._clock = clock
        self._last = 0.0
        self._interval_s = 0.0

    def started(self, records: int) -> None:
        """A commit of so many records starts now."""
        now = self._clock()
        rate = records / max(now - self._last, 1e-6)
        self._last = now
        wish = self._max_s * min(1.0, rate * self._max_s / FULL_GROUP)
        self._interval_s += (wish - self._interval_s) / 4

    def pause_s(self, full: bool) -> float:
        """How long the next commit should wait. full: what waits fills a commit already."""
        if full:
            return 0.0
        pause = self._last + self._interval_s - self._clock()
        return pause if pause > _SHORTEST_S else 0.0
