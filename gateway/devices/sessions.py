"""Which session speaks for which device, in this process.

Place in the walk: a session takes its device's place when it is admitted, and the older one is closed: devices that
lost their network connect again long before the old connection is known to be dead, so the newest is the true one.
"""

from __future__ import annotations

from typing import Protocol

from gateway.domain.device import DeviceKey
from gateway.domain.errors import CloseReason

__all__ = ["LiveSession", "SessionRegistry"]


class LiveSession(Protocol):
    def close(self, reason: CloseReason) -> None: ...


class SessionRegistry:
    """Live sessions by device. takeovers: how often a device's older session was closed."""

    __slots__ = ("_sessions", "takeovers")

    def __init__(self) -> None:
        self._sessions: dict[DeviceKey, LiveSession] = {}
        self.takeovers = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, key: DeviceKey) -> LiveSession | None:
        return self._sessions.get(key)

    def take(self, key: DeviceKey, session: LiveSession) -> None:
        """The session now speaks for the device; an older one is closed with TAKEOVER."""
        older = self._sessions.get(key)
        self._sessions[key] = session
        if older is not None and older is not session:
            self.takeovers += 1
            older.close(CloseReason.TAKEOVER)

    def release(self, key: DeviceKey, session: LiveSession) -> None:
        """The session no longer speaks for the device. Nothing happens if another one does."""
        if self._sessions.get(key) is session:
            del self._sessions[key]
