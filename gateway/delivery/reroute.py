"""Reroute: the end of a feed whose sink is configured no more.

What the sink was still owed goes back into the spool, owed to the sinks that today's routes name. A crash in between
may do that twice for a record, never lose one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.delivery.feed import EntrySender
from gateway.delivery.lanes import Entry
from gateway.delivery.routes import Routes
from gateway.delivery.sender import EntryOwner
from gateway.delivery.spool.spool import Put, Spool
from gateway.domain.record import Record

_AGAIN_S = 1.0
_MAX_RECORDS = 256  # of one commit


class Reroute(EntrySender):
    """Stands where a feed has its sender. One commit at a time, so that the order stays."""

    def __init__(self, spool: Spool, routes: Routes) -> None:
        self._spool = spool
        self._routes = routes
        self._waiting: deque[Entry] = deque()
        self._wake = asyncio.Event()

    def put(self, entries: Sequence[Entry], size: int) -> None:
        self._waiting.extend(entries)
        self._wake.set()

    def depth(self, lane: str) -> int:
        return 0

    async def run(self, owner: EntryOwner) -> None:
        waiting = self._waiting
        while True:
            while not waiting:
                self._wake.clear()
                await self._wake.wait()
            entries = [waiting.popleft() for _ in range(min(len(waiting), _MAX_RECORDS))]
            await self._spooled([record for record, _ in entries])
            owner.delivered(entries, sum(len(record.body) for record, _ in entries))

    async def _spooled(self, records: Sequence[Record]) -> None:
        targets = [self._routes.sinks(record) for record in records]
        while True:
            ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            if self._spool.put(Put(records, targets, (), ended)) is None and await ended:
                return
            await asyncio.sleep(_AGAIN_S)  # no room: the other sinks will make some
