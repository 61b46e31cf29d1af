"""The order of answers: uplinks in flight stand here in order of arrival until their receipts are settled.

Place in the walk: the session puts an uplink in before the pipeline sees it; when receipts settle, in whatever order,
the session takes out the settled run at the head and answers that run in one write.
"""

from __future__ import annotations

from collections import deque

from gateway.domain.uplink import Uplink

__all__ = ["AckOrder"]


class AckOrder:
    """Uplinks of one session that are not answered yet, oldest first.

    waiting: read-only for others. waiting_bytes: sum of their raw frames; both are what limits "frames in flight".
    """

    __slots__ = ("waiting", "waiting_bytes")

    def __init__(self) -> None:
        self.waiting: deque[Uplink] = deque()
        self.waiting_bytes = 0

    def put(self, uplink: Uplink) -> None:
        self.waiting.append(uplink)
        self.waiting_bytes += len(uplink.raw)

    def take_settled(self) -> list[Uplink]:
        """The uplinks at the head whose receipts are settled, oldest first; they are no longer in flight."""
        waiting = self.waiting
        run: list[Uplink] = []
        while waiting and waiting[0].receipt.outcome is not None:
            uplink = waiting.popleft()
            self.waiting_bytes -= len(uplink.raw)
            run.append(uplink)
        return run

    def clear(self) -> None:
        """Forgets all: nobody is left to be answered."""
        self.waiting.clear()
        self.waiting_bytes = 0
