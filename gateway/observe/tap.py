"""The seam through which every frame, decision and reply can be watched. Implements `gateway.domain.ports.FrameTap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import structlog

Subscriber: TypeAlias = Callable[[str, str, bytes, str], None]
"""session_id, direction (`in`, `out`, ...), bytes as on the wire, note."""

_MAX_LOGGED_BYTES = 2048  # a line must stay below the 16 KiB at which log drivers cut

_log = structlog.get_logger("gateway.observe.tap")


class Tap:
    """Off unless frames are logged or somebody watches; callers look at `enabled` before they call `frame`.

    log_frames: write each one as a debug line.
    """

    __slots__ = ("_log_frames", "_subscribers", "enabled")

    def __init__(self, *, log_frames: bool = False) -> None:
        self._log_frames = log_frames
        self._subscribers: list[Subscriber] = []
        self.enabled = log_frames

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Calls `subscriber` for every frame, synchronously, on the event loop; it must return at once.

        Returns the function that ends the subscription. A subscriber that raises is logged and removed.
        """
        self._subscribers.append(subscriber)
        self.enabled = True
        return lambda: self._remove(subscriber)

    def frame(self, session_id: str, direction: str, data: bytes, note: str) -> None:
        if self._log_frames:
            shown = data[:_MAX_LOGGED_BYTES].hex()
            _log.debug("frame", session_id=session_id, direction=direction, size=len(data), hex=shown, note=note)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(session_id, direction, data, note)
            except Exception:
                # Who watches must never harm a session.
                _log.exception("tap_subscriber_failed", session_id=session_id)
                self._remove(subscriber)

    def _remove(self, subscriber: Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
        self.enabled = self._log_frames or bool(self._subscribers)
