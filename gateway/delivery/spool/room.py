"""How much the spool may still take: bytes on the disk, bytes in memory, and whether the disk itself is full."""

from __future__ import annotations

from collections.abc import Callable

UNCOMMITTED_HIGH_BYTES = 16 * 1024 * 1024
UNCOMMITTED_MAX_BYTES = 64 * 1024 * 1024

_SLACK_BYTES = 16 * 1024 * 1024


class Room:
    """The door closes when the spool is some way below `max_bytes` (or much waits for its commit) and opens again at
    three quarters: whoever was reading may still bring what it has, up to the cap.

    callbacks: called with False when it closes and True when it opens.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.callbacks: list[Callable[[bool], None]] = []
        self.is_open = True
        self.disk_full = False  # says the disk; takes effect with the next `update`
        self._high = max_bytes - min(_SLACK_BYTES, max_bytes // 8)
        self._low = max_bytes // 4 * 3
        self._disk = 0
        self._uncommitted = 0

    def take(self, size: int) -> bool:
        """Takes so many bytes into memory. False: there is no room for them."""
        uncommitted = self._uncommitted + size
        if self.disk_full or uncommitted > UNCOMMITTED_MAX_BYTES or self._disk + uncommitted > self.max_bytes:
            return False
        self._uncommitted = uncommitted
        if self.is_open and (uncommitted >= UNCOMMITTED_HIGH_BYTES or self._disk + uncommitted >= self._high):
            self._set(False)
        return True

    def give_back(self, size: int) -> None:
        """So many bytes are no longer in memory only; `update` follows."""
        self._uncommitted -= size

    def update(self, disk: int) -> None:
        """disk: bytes on it now."""
        self._disk = disk
        total = disk + self._uncommitted
        if self.is_open:
            if self.disk_full or total >= self._high or self._uncommitted >= UNCOMMITTED_HIGH_BYTES:
                self._set(False)
        elif not self.disk_full and total <= self._low and self._uncommitted <= UNCOMMITTED_HIGH_BYTES // 2:
            self._set(True)

    def _set(self, is_open: bool) -> None:
        self.is_open = is_open
        for callback in self.callbacks:
            callback(is_open)
