"""Time and ids for the faces; the layers below get both as arguments."""

from __future__ import annotations

import os
import time

from gateway.domain.ids import uuid7

__all__ = ["Clock", "IdSource"]

_POOL_BYTES = 10 * 512
"""Random bytes fetched at once: a system call per id would cost more than the id."""


class Clock:
    """The two clocks. Tests bring their own with the same two methods."""

    __slots__ = ()

    def unix_ms(self) -> int:
        """Unix time in milliseconds; may jump."""
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        """Milliseconds of a clock that never jumps: for deadlines."""
        return time.monotonic_ns() // 1_000_000


class IdSource:
    """Makes UUIDv7 ids (RFC 9562)."""

    __slots__ = ("_offset", "_pool")

    def __init__(self) -> None:
        self._pool = b""
        self._offset = 0

    def make(self, unix_ms: int) -> str:
        """A new id for something that happened at `unix_ms`."""
        offset = self._offset
        if offset >= len(self._pool):
            self._pool = os.urandom(_POOL_BYTES)
            offset = 0
        self._offset = offset + 10
        return uuid7(unix_ms, int.from_bytes(self._pool[offset : offset + 10], "big"))
