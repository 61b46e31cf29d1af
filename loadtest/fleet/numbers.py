"""The frames of one device by their numbers: which were due, written and answered, and when each was due.

Place in the walk: every device holds one; the balance compares it with what the sink has. Frames are numbered from 1.
Number n has the device time `START_MS` and n seconds, so that each record names the frame that it was made of.
"""

from __future__ import annotations

import time
from array import array

from decoders.times import unix_ms_from_iso

__all__ = ["START_MS", "Numbers", "ms_of", "number_of"]

_BACK_S = 12 * 3600
"""The first frame is so old: a device's clock may be off by a day before its records are flagged."""

START_MS = (int(time.time()) - _BACK_S) * 1000
"""Device time of frame 0."""


class Numbers:
    """due: when each frame was due, on the clock of the run. acknowledged: all up to this number are answered, as
    answers come in the order of the frames."""

    __slots__ = ("_most_written", "acknowledged", "device_id", "due", "sent_again", "written")

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.due = array("d")
        self.acknowledged = 0
        self.written = 0  # on this connection, or answered
        self.sent_again = 0
        self._most_written = 0

    @property
    def sent(self) -> int:
        """Frames that were due, those that still wait in the device included."""
        return len(self.due)

    def add(self, moment: float) -> None:
        """One more frame is due."""
        self.due.append(moment)

    def take(self, window: int) -> int:
        """The number to be written next; 0: none is due, or so many wait for their answers."""
        if self.written >= len(self.due) or self.written - self.acknowledged >= window:
            return 0
        self.written += 1
        if self.written <= self._most_written:
            self.sent_again += 1
        else:
            self._most_written = self.written
        return self.written

    def answered(self) -> float:
        """The next answer has come; returns when its frame was due."""
        moment = self.due[self.acknowledged]
        self.acknowledged += 1
        return moment

    def start_again(self) -> None:
        """A new connection: what was not answered is sent again."""
        self.written = self.acknowledged


def ms_of(number: int) -> int:
    """Unix ms of the device's clock."""
    return START_MS + number * 1000


def number_of(device_timestamp: str) -> int:
    """The number of the frame that a record was made of. ValueError: no time."""
    return (unix_ms_from_iso(device_timestamp) - START_MS) // 1000
