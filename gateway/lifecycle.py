"""The phases of the gateway's life. Only the composition root moves it; everyone may look and listen."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Phase(StrEnum):
    STARTING = "starting"  # opening files, reaching the sink, binding ports
    RUNNING = "running"
    DRAINING = "draining"  # no new connections; what was taken in is being settled
    STOPPED = "stopped"


_ORDER = list(Phase)


class Lifecycle:
    """The phase, and since when. Phases go forward only; some may be skipped (a start that fails stops).

    clock: any clock that rises, in seconds; `since` is its time at the last change.
    """

    __slots__ = ("_clock", "_listeners", "phase", "since")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._listeners: list[Callable[[Phase], None]] = []
        self.phase = Phase.STARTING
        self.since = clock()

    @property
    def accepting(self) -> bool:
        """True while new connections and uplinks are taken."""
        return self.phase is Phase.RUNNING

    def on_change(self, callback: Callable[[Phase], None]) -> None:
        """Calls back with the new phase, synchronously, in the order of registration."""
        self._listeners.append(callback)

    def move(self, phase: Phase) -> None:
        """Enters a later phase. Nothing happens when it is the present one; ValueError for an earlier one."""
        if phase is self.phase:
            return
        if _ORDER.index(phase) < _ORDER.index(self.phase):
            raise ValueError(f"the gateway is {self.phase} and cannot go back to {phase}")
        self.phase = phase
        self.since = self._clock()
        for callback in list(self._listeners):
            callback(phase)
