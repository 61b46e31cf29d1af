"""LoopWatch: a timer that measures how late the event loop is, and does what has to be done about once a second.

A loop that is late is the first sign of too much work: every device's answer is late by as much.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry, Histogram

__all__ = ["LoopWatch"]

_INTERVAL_S = 0.5
_CHORE_EVERY = 2  # intervals

_log = structlog.get_logger("gateway.observe.loop_watch")


class LoopWatch:
    """Life: start, stop. chores: called on the loop; they return at once. clock: seconds, rising, never cached by the
    loop."""

    def __init__(
        self,
        registry: CollectorRegistry,
        chores: Sequence[Callable[[], object]] = (),
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._lag = Histogram(
            "iotlink_event_loop_lag_seconds",
            f"How late a timer of the event loop was, every {_INTERVAL_S:g} s.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=registry,
        )
        self._chores = chores
        self._clock = clock
        self._due = 0.0
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turn(self) -> None:
        """What the timer does."""
        self._lag.observe(max(0.0, self._clock() - self._due))  # below 0: the loop's own clock stands for one turn
        self._turns += 1
        if self._turns % _CHORE_EVERY == 0:
            for chore in self._chores:
                try:
                    chore()
                except Exception:
                    _log.exception("chore_failed")
        self._arm()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self.turn)
        self._due = self._clock() + _INTERVAL_S
