"""What the devices of one face have seen: counts, and durations from the moment at which things were due.

Place in the walk: devices count here; progress, samples and the report read it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from loadtest.fleet.histogram import Histogram

__all__ = ["Tally"]

_MAX_ERRORS = 20


@dataclass(slots=True)
class Tally:
    """measured_from: answers to frames that were due earlier count, but their durations do not; until it is set, none
    do.

    answers: from due to answered. logins: from when a connection was due until the device was let in. second: answers
    since the last `take_second`. wrong: answers other than the spec's. lost_connections: those that the other end, or
    the network, closed.
    """

    face: str
    measured_from: float = math.inf
    sent: int = 0
    acknowledged: int = 0
    connected: int = 0
    open: int = 0
    refused: int = 0
    lost_connections: int = 0
    wrong: int = 0
    heartbeats: int = 0
    heartbeats_answered: int = 0
    put_off: int = 0  # answers that said: later
    answers: Histogram = field(default_factory=Histogram)
    logins: Histogram = field(default_factory=Histogram)
    second: Histogram = field(default_factory=Histogram)
    errors: dict[str, int] = field(default_factory=dict)

    def answered(self, due: float, now: float) -> None:
        """A frame that was due then has its answer."""
        self.acknowledged += 1
        self.second.record(now - due)
        if due >= self.measured_from:
            self.answers.record(now - due)

    def let_in(self, due: float, now: float) -> None:
        """A device whose connection was due then may send."""
        self.connected += 1
        self.open += 1
        if due >= self.measured_from:
            self.logins.record(now - due)

    def note(self, error: str) -> None:
        """Counts an error by its text; only so many different ones."""
        if error in self.errors or len(self.errors) < _MAX_ERRORS:
            self.errors[error] = self.errors.get(error, 0) + 1

    def take_second(self) -> Histogram:
        taken, self.second = self.second, Histogram()
        return taken
