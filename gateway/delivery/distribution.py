"""Distribution: everything behind one spool, a feed and a sender for each sink.

Place in the walk: the outbox hands over what is committed; each feed brings it to its sink at its own pace, so that a
slow sink never holds up another. What no feed needs any more leaves the spool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from gateway.delivery.estate import UNKNOWN, Estate
from gateway.delivery.feed import Feed
from gateway.delivery.lanes import Entry
from gateway.delivery.routes import Routes
from gateway.delivery.sender import Sender
from gateway.delivery.spool.spool import Put, Spool

_COMPACT_EVERY_S = 30.0
_BURY_AGAIN_S = 5.0

_log = structlog.get_logger("gateway.delivery.distribution")


class DistributionOwner(Protocol):
    """Who waits for deliveries, and keeps dead letters (the outbox)."""

    def delivered(self, entries: Sequence[Entry]) -> None:
        """One sink keeps these records; there may be others that are owed them."""
        ...

    def bury(self, entry: Entry, sink: str, detail: str, kept: Callable[[bool], None]) -> None:
        """Keeps a record that a sink will never take as a dead letter. `kept` is called once, with False if that was
        not possible now."""
        ...


class Distribution:
    """The feeds of one spool; the `FeedOwner` of each.

    senders: by sink name, as configured. What is still owed to a sink that has a cursor in the spool and is configured
    no more goes where today's routes send it.
    `start`, then `run` for as long as the gateway lives.
    """

    def __init__(
        self,
        spool: Spool,
        senders: Mapping[str, Sender],
        routes: Routes,
        owner: DistributionOwner,
    ) -> None:
        self.spool = spool
        self.senders = senders
        self.feeds: list[Feed] = []
        self._routes = routes
        self._owner = owner
        self._estate: Estate | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """The spool is open already. OperatorError: a sink can never work as configured."""
        spool = self.spool
        estate = self._estate = await self._open_estate()
        for name, sender in self.senders.items():
            cursor = spool.cursor(name)
            cursor.reopen()
            if estate is None:
                self.feeds.append(Feed(name, spool, cursor, sender, self))
            else:
                heir = estate.heir(cursor)
                self.feeds.append(Feed(name, spool, heir, sender, self, owes=heir.owes))
        await spool.save_cursors()
        # At the same time: each that is out of reach costs some seconds.
        results = await asyncio.gather(*(sender.start() for sender in self.senders.values()), return_exceptions=True)
        for error in results:
            if error is not None:
                raise error

    async def _open_estate(self) -> Estate | None:
        """None: no sink is gone that is owed anything."""
        spool = self.spool
        names = spool.cursor_names()
        if not names and spool.first_sequence < spool.next_sequence:
            names = [UNKNOWN]
        end = spool.next_sequence
        gone = [cursor for cursor in map(spool.cursor, names) if cursor.name not in self.senders]
        for cursor in gone:
            if cursor.closed and cursor.low <= spool.first_sequence:  # no record of its time is left
                await self._forget(cursor.name)
            elif cursor.low >= end:
                cursor.close(end)
        owing = [cursor for cursor in gone if not cursor.closed]
        for cursor in owing:
            records, detail = end - cursor.low, "what it was owed goes where today's routes send it"
            _log.warning("sink_gone", sink=cursor.name or "unknown", records=records, detail=detail)
        return Estate(owing, self.senders, self._routes, end) if owing else None

    async def _forget(self, sink: str) -> None:
        try:
            await self.spool.drop_cursor(sink)
        except OSError as error:  # the next start tries again
            _log.warning("cursor_not_deleted", sink=sink, detail=str(error))

    async def run(self) -> None:
        """Delivers until cancelled. Any exception is an error of ours, or an OperatorError that came up late."""
        async with asyncio.TaskGroup() as tasks:
            for feed in self.feeds:
                tasks.create_task(feed.run(), name=f"feed-{feed.name}")
                tasks.create_task(feed.sender.run(feed), name=f"sender-{feed.name}")
            tasks.create_task(self._compact(), name="compaction")
            if self._estate is not None:
                tasks.create_task(self._settle(self._estate), name="estate")

    def committed(self, batch: Sequence[Put]) -> None:
        for feed in self.feeds:
            feed.committed(batch)
        self._release()  # segments that hold states alone: no feed will ever report progress on them

    def hurry(self) -> None:
        """From now on no request waits for more records."""
        for sender in self.senders.values():
            sender.hurry()

    @property
    def done(self) -> bool:
        """Whether every sink has all that it is owed."""
        return all(feed.done for feed in self.feeds)

    async def until_done(self) -> None:
        while not self.done:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """After `run` has ended; the spool is closed by its owner."""
        for name, sender in self.senders.items():
            try:
                await sender.sink.close()
            except Exception:  # the others, and the spool, are to be closed as well
                _log.exception("sink_not_closed", sink=name)

    # From the feeds.

    def delivered(self, feed: Feed, entries: Sequence[Entry]) -> None:
        self._owner.delivered(entries)

    def bury(self, feed: Feed, entry: Entry, detail: str) -> None:
        def kept(was_kept: bool) -> None:
            if was_kept:
                feed.buried(entry)
            else:  # it is in the spool as long as it is not kept elsewhere
                asyncio.get_running_loop().call_later(_BURY_AGAIN_S, self.bury, feed, entry, detail)

        self._owner.bury(entry, feed.name, detail, kept)

    def progressed(self, feed: Feed) -> None:
        self._release()
        self._changed.set()

    def _release(self) -> None:
        if self.feeds:
            self.spool.release(min(feed.cursor.low for feed in self.feeds))

    async def _compact(self) -> None:
        """Frees the space of records that are delivered but stand between others that are not."""
        while True:
            await asyncio.sleep(_COMPACT_EVERY_S)
            if self.spool.is_crowded:
                await self.spool.compact(self._is_wanted)

    def _is_wanted(self, sequence: int, targets: tuple[str, ...]) -> bool:
        inherited = self._estate is not None and self._estate.waits(sequence, targets)
        return any((inherited or feed.name in targets) and not feed.cursor.has(sequence) for feed in self.feeds)

    async def _settle(self, estate: Estate) -> None:
        await estate.settled.wait()
        for cursor in estate.gone.values():
            cursor.close(cursor.low)
        for feed in self.feeds:  # the spool tells its own cursors of sequences that are never used
            feed.cursor = self.spool.cursor(feed.name)
        if self.feeds:
            self.progressed(self.feeds[0])
