"""One log line per ended connection: who it was, why it ended, how much it said.

Place in the walk: the very end. Lines that a crowd of strangers can cause are rate-limited; the metrics count all.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from gateway.domain.errors import CloseReason
from gateway.observe.logs import RateLimited

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

    __slots__ = ("_limit", "_listener", "_now_ms")

    def __init__(self, listener: str) -> None:
        self._listener = listener
        self._now_ms = 0
        self._limit = RateLimited(LINES, WINDOW_MS, clock=lambda: self._now_ms)

    def write(self, reason: CloseReason, now_ms: int, fields: Mapping[str, object]) -> None:
        """now_ms: of the steady clock. A line that passes tells how many did not before it (`suppressed_lines`)."""
        more: dict[str, object] = {}
        if reason in LIMITED:
            self._now_ms = now_ms
            suppressed = self._limit.allow(self._listener)
            if suppressed is None:
                return
            if suppressed:
                more["suppressed_lines"] = suppressed
        _log.info("connection_closed", listener=self._listener, reason=reason.value, **fields, **more)

    def bare_connect(self, peer: str) -> None:
        """A connection without a byte: a health check, usually."""
        _log.debug("bare_connect", listener=self._listener, peer=peer)
