"""Whether new data may be taken now: the outbox has room, and the gateway is not going down.

Place in the walk: asked before a body is read, and by uploads between two pieces of theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.domain.ports import OutboxPort
from gateway.observe.problems import Problem, ProblemCode

__all__ = ["Intake"]

_LIMIT = "spool.max_bytes"
_RETRY_FULL_S = 5
_RETRY_DRAINING_S = 2  # behind a load balancer the next connection goes to another gateway


class Intake:
    """One for all requests. `drain` ends it for good."""

    def __init__(self, outbox: OutboxPort) -> None:
        self._outbox = outbox
        self._changed: list[asyncio.Future[None]] = []
        self._reading: set[asyncio.Timeout] = set()
        self.draining = False
        outbox.on_room(self._room_changed)

    def check(self) -> None:
        """Raises Problem(503) when nothing is taken."""
        if self.draining:
            raise _draining()
        if not self._outbox.has_room():
            raise _no_room()

    async def wait(self, timeout_s: float) -> None:
        """Until there is room. Raises Problem(503) if that takes longer than `timeout_s`, or the gateway goes down."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self.draining and not self._outbox.has_room():
            changed = loop.create_future()
            self._changed.append(changed)
            try:
                async with asyncio.timeout_at(deadline):
                    await changed
            except TimeoutError:
                raise _no_room() from None
            finally:
                if changed in self._changed:
                    self._changed.remove(changed)
        if self.draining:
            raise _draining()

    async def next_piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """The next piece of a body, None at its end. Raises Problem(503) when the gateway goes down meanwhile, besides
        what reading raises."""
        if self.draining:
            raise _draining()
        try:
            async with asyncio.timeout(None) as end:
                self._reading.add(end)
                return await anext(pieces, None)
        except TimeoutError:
            if not end.expired():
                raise
            raise _draining() from None
        finally:
            self._reading.discard(end)

    def drain(self) -> None:
        """From here on nothing new is taken, also of bodies that are under way; what was taken is answered."""
        if self.draining:
            return
        self.draining = True
        self._wake()
        now = asyncio.get_running_loop().time()
        for end in self._reading:
            end.reschedule(now)

    def _room_changed(self, has_room: bool) -> None:
        if has_room:
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, []
        for future in changed:
            if not future.done():
                future.set_result(None)


def _no_room() -> Problem:
    detail = "the gateway has no room for more until what it holds is delivered"
    more = {"limit": {"name": _LIMIT}}
    return Problem(503, ProblemCode.NO_ROOM, detail, retry_after_s=_RETRY_FULL_S, more=more)


def _draining() -> Problem:
    detail = "this gateway is going down: send it to another one, or again later"
    headers = {"Connection": "close"}
    return Problem(503, ProblemCode.DRAINING, detail, retry_after_s=_RETRY_DRAINING_S, headers=headers)
