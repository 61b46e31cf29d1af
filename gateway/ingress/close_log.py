"""One log line per ended connection: who it was, why it ended, how much it said.

Place in the walk: the very end. Lines that a crowd of strangers can cause are rate-limited; the metrics count all.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from gateway.domain.errors import CloseReason

__all__ = ["CloseLog"]

_log = structlog.get_logger(__name__)

LINES = 20
WINDOW_MS = 10_000
"""So many lines of `LIMITED` reasons in so much time pass for each listener."""

LIMITED = frozenset(CloseReason) - {
    CloseReason.PEER_CLOSED,
    CloseReason.CONNECTION_LOST,
    CloseReason.IDLE_TIMEOUT,
    CloseReason.TAKEOVER,
    CloseReason.SHUTDOWN,
}


class CloseLog:
    """The lines of one listener."""

    __slots__ = ("_left", "_listener", "_suppressed", "_window_ms")

    def __init__(self, listener: str) -> None:
        self._listener = listener
        self._left = LINES
        self._window_ms = 0
        self._suppressed = 0

    def write(self, reason: CloseReason, now_ms: int, fields: Mapping[str, object]) -> None:
        """now_ms: of the steady clock. A line that passes tells how many did not before it (`suppressed_lines`)."""
        more: dict[str, object] = {}
        if reason in LIMITED:
            if now_ms - self._window_ms >= WINDOW_MS:
                self._window_ms = now_ms
                self._left = LINES
            if not self._left:
                self._suppressed += 1
                return
            self._left -= 1
            if self._suppressed:
                more["suppressed_lines"] = self._suppressed
                self._suppressed = 0
        _log.info("connection_closed", listener=self._listener, reason=reason.value, **fields, **more)

    def bare_connect(self, peer: str) -> None:
        """A connection without a byte: a health check, usually."""
        _log.debug("bare_connect", listener=self._listener, peer=peer)
