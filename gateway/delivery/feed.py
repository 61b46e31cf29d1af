"""Feed: what one sink still has to get out of one spool.

Place in the walk: behind the spool's commit, before the sink's sender. As long as the sink keeps up, records go to the
sender as they are committed, out of memory. When they would need more memory than the window, the feed falls behind:
from there on it reads the spool, block by block, until it has come to its end again. What was committed last is held
in memory meanwhile, or else it would never get there while more and more comes.

A lane that is slower than the others (a device that sends more than its lane can carry) must not fill the window: its
further records are deferred, left on the disk, and read in a second pass when the window has room. The order within
each lane is that of the spool in any case.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway.delivery.lanes import Entry
from gateway.delivery.sender import EntryOwner
from gateway.delivery.spool.spool import Place, Put, Spool, SpoolReader, Stored
from gateway.domain.record import Record

_READ_BYTES = 1024 * 1024
_HELD_BYTES = 2 * _READ_BYTES  # what comes during a read is less
_MAX_RANGES = 32_768  # of delivered sequences above the low-water mark: beyond, nothing new is loaded
_READ_AGAIN_S = 1.0
_AGE_EVERY = 512  # records between two marks of the backlog's age
_MAX_AGE_MARKS = 65_536

_log = structlog.get_logger("gateway.delivery.feed")


class EntrySender(Protocol):
    """What a feed needs of a sender."""

    def put(self, entries: Sequence[Entry], size: int) -> None:
        """Takes records, in the order of their lanes; `size` is the sum of their bodies."""
        ...

    def depth(self, lane: str) -> int:
        """How many records wait, or are in flight, with those of this lane."""
        ...

    async def run(self, owner: EntryOwner) -> None:
        """Sends until cancelled."""
        ...


class FeedOwner(Protocol):
    """Who is told of progress, and keeps what the sink will never take."""

    def delivered(self, feed: Feed, entries: Sequence[Entry]) -> None:
        """The feed's sink keeps these."""
        ...

    def bury(self, feed: Feed, entry: Entry, detail: str) -> None:
        """The sink will never take this one. To be kept elsewhere, and then reported by `feed.buried`."""
        ...

    def progressed(self, feed: Feed) -> None:
        """The feed needs less of the spool than before."""
        ...


@dataclass(slots=True)
class _Run:
    """Records that were committed together, with the targets of each."""

    first: int
    records: list[Record]
    targets: list[tuple[str, ...]]

    @property
    def end(self) -> int:
        return self.first + len(self.records)


class Feed:
    """One sink's way through one spool; the `EntryOwner` of its sender. All methods are called on the event loop.

    window_bytes: bodies that may be in memory, waiting or in flight. lane_records: how many of them one key of the
    sender (lane or stripe) may have once the window is half full. used_bytes: of the window.
    owes: whether a stored record that the cursor does not have is for this sink, unless its targets alone say so.
    """

    def __init__(
        self,
        name: str,
        spool: Spool,
        cursor: Place,
        sender: EntrySender,
        owner: FeedOwner,
        *,
        window_bytes: int = 16 * 1024 * 1024,
        lane_records: int = 2048,
        owes: Callable[[Stored], bool] | None = None,
    ) -> None:
        self.name = name
        self.cursor = cursor
        self.sender = sender
        self.used_bytes = 0
        self._spool = spool
        self._owner = owner
        self._owes = owes or self._is_target
        self._window_bytes = window_bytes
        self._lane_records = lane_records
        self._behind = True  # until the first pass over what the spool held at the start has ended
        self._position = cursor.low  # while behind: the next sequence to be read
        self._held: list[_Run] = []  # while behind: the last ones that were committed
        self._held_bytes = 0
        self._deferred: dict[str, int] = {}  # by lane: its first record that is not loaded
        self._ages: deque[tuple[int, int]] = deque()  # sequence and arrival (Unix ms), now and then
        self._age_from = 0
        self._wake = asyncio.Event()

    @property
    def done(self) -> bool:
        """Whether the sink has everything that is committed."""
        return self.cursor.low >= self._spool.next_sequence

    @property
    def backlog(self) -> int:
        """Records from the oldest that is not delivered to the spool's end; some of them may be delivered."""
        return max(0, self._spool.next_sequence - self.cursor.low)

    def oldest_ms(self) -> int | None:
        """Arrival (Unix ms) of about the oldest record that is not delivered; None: there is none, or none was read."""
        ages = self._ages
        while len(ages) > 1 and ages[1][0] <= self.cursor.low:
            ages.popleft()
        return ages[0][1] if ages and not self.done else None

    # From the spool.

    def committed(self, batch: Sequence[Put]) -> None:
        """These are durable now; their sequences follow each other."""
        run = _Run(
            batch[0].sequence,
            [record for put in batch for record in put.records],
            [names for put in batch for names in put.targets],
        )
        if self._behind:
            self._hold(run)
            self._wake.set()
        else:
            self._take(run)

    def _take(self, run: _Run) -> None:
        """Gives the sender what is for this sink, or falls behind."""
        name, targets = self.name, run.targets
        sequences = range(run.first, run.end)
        entries = list(zip(run.records, sequences, strict=True))
        skipped: list[int] = []
        if targets.count((name,)) != len(entries):  # some go elsewhere, too
            skipped = [sequence for sequence, names in zip(sequences, targets, strict=True) if name not in names]
            entries = [entry for entry, names in zip(entries, targets, strict=True) if name in names]
        size = sum([len(record.body) for record, _ in entries])
        if self.used_bytes + size > self._window_bytes or self.cursor.ranges > _MAX_RANGES:
            self._behind = True
            self._position = run.first
            self._hold(run)
            self._wake.set()
            return
        if self._deferred or self.used_bytes * 2 > self._window_bytes:
            entries = [entry for entry in entries if not self._defers(*entry)]
            size = sum(len(record.body) for record, _ in entries)
        self._put(entries, size)
        if skipped:
            self._owed_no_longer(skipped)

    def _hold(self, run: _Run) -> None:
        size = sum([len(record.body) for record in run.records])
        if self._held_bytes + size > _HELD_BYTES:
            self._drop_held()
        if size <= _HELD_BYTES:
            self._held.append(run)
            self._held_bytes += size

    def _drop_held(self) -> None:
        self._held, self._held_bytes = [], 0

    def _is_target(self, stored: Stored) -> bool:
        return self.name in stored.targets

    def _defers(self, record: Record, sequence: int) -> bool:
        """Whether a record stays on the disk for now: its lane has enough in memory, or was deferred before."""
        lane = record.lane
        if lane in self._deferred:
            return True
        if self.used_bytes * 2 > self._window_bytes and self.sender.depth(lane) >= self._lane_records:
            self._deferred[lane] = sequence
            return True
        return False

    def _put(self, entries: Sequence[Entry], size: int) -> None:
        if not entries:
            return
        self.used_bytes += size
        record, sequence = entries[0]
        if sequence >= self._age_from and len(self._ages) < _MAX_AGE_MARKS:
            self._ages.append((sequence, record.received_ms))
            self._age_from = sequence + _AGE_EVERY
        self.sender.put(entries, size)

    # From the sender.

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        """The sink keeps these; `size` is the sum of their bodies."""
        self._released(size)
        self._owner.delivered(self, entries)
        self._owed_no_longer([sequence for _, sequence in entries])

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        """The sink will never take this one. It counts as undelivered, and fills the window, until it is kept as a
        dead letter."""
        self._owner.bury(self, entry, f"{code}: {detail}")

    def buried(self, entry: Entry) -> None:
        """The record is kept as a dead letter: nothing is owed to the sink any more."""
        self._released(len(entry[0].body))
        self._owed_no_longer((entry[1],))

    def _released(self, size: int) -> None:
        self.used_bytes -= size
        if self._behind or self._deferred:
            self._wake.set()

    def _owed_no_longer(self, sequences: Sequence[int]) -> None:
        self.cursor.delivered(sequences)
        self._owner.progressed(self)

    # From the disk.

    async def run(self) -> None:
        """Reads from the spool what memory had no room for, until cancelled."""
        while True:
            if self._behind:
                await self._catch_up()
            elif self._may_load_deferred():
                await self._load_deferred()
            else:
                await self._woken()

    async def _woken(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    async def _catch_up(self) -> None:
        """Reads from `_position` to the end of the spool; live from then on."""
        started = self._position
        reader = self._spool.reader(started, self.cursor)  # what the spool holds no more is owed no more
        while True:
            await self._until_room()
            found = await self._read(reader)
            self._load(found)
            self._position = reader.position
            self._owner.progressed(self)
            if self._goes_live():
                break
        if self._position - started > self._lane_records:
            _log.info("caught_up", sink=self.name, records=self._position - started)

    def _goes_live(self) -> bool:
        """True: it is not behind any more. What was not read yet was held in memory, and there is room for it."""
        rest = [run for run in self._held if run.end > self._position]
        if self._position < self._spool.next_sequence:
            is_held = bool(rest) and rest[0].first == self._position
            if not is_held or (self.used_bytes + self._held_bytes) * 2 > self._window_bytes:
                return False
        self._behind = False
        self._drop_held()
        for run in rest:
            if self._behind:
                self._hold(run)
            else:
                self._take(run)
        return True

    async def _until_room(self) -> None:
        """Waits until the window takes what one read brings, and the cursor more ranges."""
        while self.used_bytes + _READ_BYTES > self._window_bytes or self.cursor.ranges > _MAX_RANGES:
            if self._may_load_deferred():  # what was deferred are the holes between the ranges
                await self._load_deferred()
            elif not self.used_bytes and not self._deferred:
                return
            else:
                await self._woken()

    async def _read(self, reader: SpoolReader) -> list[Stored]:
        while True:
            try:
                return await reader.read(_READ_BYTES)
            except OSError:  # logged by the reader, which gives a place up after some attempts
                await asyncio.sleep(_READ_AGAIN_S)

    def _load(self, found: Sequence[Stored]) -> None:
        entries: list[Entry] = []
        skipped: list[int] = []
        size = 0
        owes, cursor = self._owes, self.cursor
        for stored in found:
            sequence, record = stored.sequence, stored.record
            if cursor.has(sequence):
                continue
            if not owes(stored):
                skipped.append(sequence)
            elif not self._defers(record, sequence):
                entries.append((record, sequence))
                size += len(record.body)
        self._put(entries, size)
        if skipped:
            self._owed_no_longer(skipped)

    def _may_load_deferred(self) -> bool:
        # Up to half of the window may be held by lanes that get nowhere: the others must not wait for these.
        return self.used_bytes * 3 <= self._window_bytes * 2 and any(map(self._is_short, self._deferred))

    def _is_crowded(self, more: int = 0) -> bool:
        return (self.used_bytes + more) * 4 > self._window_bytes * 3

    def _is_short(self, lane: str) -> bool:
        return self.sender.depth(lane) * 2 < self._lane_records

    async def _load_deferred(self) -> None:
        """One pass over the spool from the first deferred record on, for those of the deferred lanes that are short.
        One that has enough may begin far behind: a pass must not read all that lies between."""
        deferred = self._deferred
        short = set(filter(self._is_short, deferred))
        reader = self._spool.reader(min(deferred[lane] for lane in short))
        while short:
            found = await self._read(reader)
            end = self._position if self._behind else self._spool.next_sequence
            entries: list[Entry] = []
            size = 0
            for stored in found:
                sequence, record = stored.sequence, stored.record
                lane = record.lane
                if lane not in short or not deferred[lane] <= sequence < end:
                    continue
                if self.cursor.has(sequence) or not self._owes(stored):
                    continue
                if self._is_crowded(size) or self.sender.depth(lane) >= self._lane_records:
                    short.discard(lane)  # it has enough until the next pass
                    deferred[lane] = sequence
                    continue
                entries.append((record, sequence))
                size += len(record.body)
                deferred[lane] = sequence + 1
            self._put(entries, size)
            if reader.position >= end:
                for lane in short:
                    del deferred[lane]
                break
            if self._is_crowded():  # there is no room for those that were not met yet
                break
