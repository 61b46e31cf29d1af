"""Time and ids for the faces; the layers below get both as arguments."""

from __future__ import annotations

import os
import time

from gateway.domain.ids import uuid7

__all__ = ["Clock", "IdSource"]

_DIGITS = 19
"""Random hex digits of one id, of which the fourth gives only two bits."""

_POOL_IDS = 512
"""Ids for which random bytes are fetched at once: a system call per id would cost more than the id."""

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


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
    """Makes UUIDv7 ids (RFC 9562): `uuid7` with its head kept for a millisecond and random digits from a pool."""

    __slots__ = ("_head", "_offset", "_pool", "_unix_ms")

    def __init__(self) -> None:
        self._unix_ms = -1
        self._head = ""  # 48 bits of time and the version: `019ca6b1-dc00-7`
        self._pool = ""
        self._offset = 0

    def make(self, unix_ms: int) -> str:
        """A new id for something that happened at `unix_ms`."""
        if unix_ms != self._unix_ms:
            self._unix_ms = unix_ms
            self._head = uuid7(unix_ms, 0)[:15]
        offset = self._offset
        if offset == len(self._pool):
            self._pool = os.urandom(_POOL_IDS * _DIGITS // 2).hex()
            offset = 0
        self._offset = offset + _DIGITS
        digits = self._pool[offset : offset + _DIGITS]
        return f"{self._head}{digits[:3]}-{_VARIANT[digits[3]]}{digits[4:7]}-{digits[7:]}"
