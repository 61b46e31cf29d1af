"""When to commit: at once when there is little to do, in larger groups under load."""

from __future__ import annotations

import time
from collections.abc import Callable

FULL_GROUP = 12
"""Records in the longest pause from which on it is used to the full. A commit costs the CPU of about a hundred, but
the rate must also be one at which a pause of that length brings something to each commit."""

_SHORTEST_S = 0.0005  # what is shorter is not worth a timer
_IN_VAIN = 0.25  # of what the rate promises: when pauses bring less, everybody waits for our answers
_AGAIN = -1.0  # about 60 commits until pauses are tried again


class Pace:
    """Keeps the starts of two commits apart: by nothing when few records come, by up to `max_s` when many do.

    Clients that wait for an answer before they send more bring nothing during a pause: then there is none.
    """

    def __init__(self, max_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_s = max_s
        self._clock = clock
        self._last = 0.0
        self._interval_s = 0.0
        self._waiting = 0  # records, when the pause began
        self._paused_s = 0.0
        self._use = 1.0  # what pauses bring, as a part of what the rate promises

    def pause_s(self, waiting: int, full: bool) -> float:
        """How long the next commit should wait. waiting: its records so far. full: they fill a commit already."""
        pause = self._last + self._interval_s - self._clock()
        if full or pause <= _SHORTEST_S:
            return 0.0
        self._waiting, self._paused_s = waiting, pause
        return pause

    def started(self, records: int) -> None:
        """A commit of so many records starts now."""
        now = self._clock()
        rate = records / max(now - self._last, 1e-6)
        self._last = now
        if self._paused_s:
            came = (records - self._waiting) / max(rate * self._paused_s, 1e-6)
            self._paused_s = 0.0
            self._use += (min(came, 1.0) - self._use) / 8
            if self._use < _IN_VAIN:
                self._use = _AGAIN
        else:
            self._use += (1.0 - self._use) / 64
        wish = self._max_s * min(1.0, rate * self._max_s / FULL_GROUP) if self._use >= _IN_VAIN else 0.0
        self._interval_s += (wish - self._interval_s) / 4
