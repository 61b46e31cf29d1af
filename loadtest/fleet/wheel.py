"""A timing wheel: thousands of deadlines (heartbeats, reconnects, slow bytes) behind one timer.

Place in the walk: the fleet turns it in its main loop. Nothing is cancelled: who is called
looks whether it still wants.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Wheel"]

TICK_S = 0.01


class Wheel:
    """clock: in seconds."""

    def __init__(self, clock: Callable[[], float], tick_s: float = TICK_S) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._began = clock()
        self._turned = 0  # ticks that are done
        self._slots: dict[int, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Calls back at the first turn that is so much later than now, at the next tick at the earliest."""
        tick = max(self._turned + 1, -int(-(self._clock() + seconds - self._began) // self._tick_s))
        self._slots.setdefault(tick, []).append(call)

    def turn(self) -> None:
        """Calls whoever is due, in the order of their deadlines; who is added meanwhile waits for the next turn."""
        tick = int((self._clock() - self._began) / self._tick_s)
        first, self._turned = self._turned + 1, max(tick, self._turned)
        if tick - first > len(self._slots):  # after a long stop
            due = sorted(slot for slot in self._slots if slot <= tick)
        else:
            due = [slot for slot in range(first, tick + 1) if slot in self._slots]
        for slot in due:
            for call in self._slots.pop(slot):
                call()
