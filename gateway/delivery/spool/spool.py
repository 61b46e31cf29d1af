"""The spool as the outbox sees it: puts become durable, readers read them back, what nobody needs is deleted.

Everything here runs on the event loop; the disk has two threads: one commits, the other reads, deletes, rewrites and
saves cursors, so that a slow one of these never delays an acknowledgement.

    <directory>/lock, segments/<first sequence>.seg, cursors/<sink>.cur
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from gateway.delivery.disk import DiskThread
from gateway.delivery.spool.adoption import adoptable
from gateway.delivery.spool.blocks import MAX_STATE_BYTES, BodyTooLarge, encode_record, encode_state
from gateway.delivery.spool.compaction import Wanted, compact
from gateway.delivery.spool.cursors import Cursor, cursor_path, write_cursor
from gateway.delivery.spool.lock import DirectoryLock
from gateway.delivery.spool.opening import Opened, open_directory, remove_directory
from gateway.delivery.spool.pace import Pace
from gateway.delivery.spool.positions import Positions
from gateway.delivery.spool.reader import SpoolReader
from gateway.delivery.spool.room import Room
from gateway.delivery.spool.segments import Segment, Shelf, segment_name
from gateway.delivery.spool.values import Batch, Place, Put, SpoolOwner, StateKeeper, Stored
from gateway.delivery.spool.writer import Commit, Roll, SegmentWriter, is_roomy
from gateway.domain.errors import OperatorError, RefuseReason
from gateway.domain.state import StateKind
from gateway.observe.metrics import SpoolCounters

__all__ = ["Cursor", "Place", "Put", "Spool", "SpoolOwner", "SpoolReader", "StateKeeper", "Stored", "adoptable"]

COMMIT_BYTES = 8 * 1024 * 1024
"""A commit takes no more than this of what waits (but at least one put)."""

_TICK_S = 1.0  # cursors are saved and space is looked for so often
_PROBE_BYTES = 1024 * 1024
_CLOSE_S = 5.0  # how long a disk that hangs may hold up the end of the process
_MAX_FAILURES = 2

_log = structlog.get_logger("gateway.delivery.spool")


class Spool:
    """One spool directory, locked while it is open. `start`, then `run` in a task, then `close`.

    max_bytes: cap of the files; `has_room` turns False some way below it and True again at three quarters. Segments
    are `segment_bytes` long, or an eighth of the cap if that is less. keepers: who holds which states; each segment
    begins with all of them. adopted: the spool of a dead instance: `put` refuses; read, delivered, `remove`d.
    """

    def __init__(
        self,
        directory: Path,
        counters: SpoolCounters,
        *,
        max_bytes: int,
        segment_bytes: int,
        commit_interval_max_ms: float,
        keepers: Mapping[StateKind, StateKeeper],
        adopted: bool = False,
    ) -> None:
        self.directory = directory
        self._counters = counters
        self._keepers = keepers
        self._adopted = adopted
        self._segment_bytes = min(segment_bytes, max_bytes // 8)
        self._commit_bytes = min(COMMIT_BYTES, self._segment_bytes)
        if not adopted:
            counters.capacity_bytes = max_bytes
        self._room = Room(max_bytes)
        self._pace = Pace(commit_interval_max_ms / 1000)
        self._commit_thread = DiskThread("spool-commit")
        self._file_thread = DiskThread("spool-files")
        self._writer = SegmentWriter()
        self._shelf = Shelf([], 1)
        self._opened: Opened | None = None
        self._active: Segment | None = None  # the one that is appended to
        self._roll_at = 0  # its size at which the next one is begun
        self._keep_from: Segment | None = None  # the newest one that begins with all states
        self._cursors: dict[str, Cursor] = {}
        self._filling = Batch()  # takes puts, and goes with the next commit
        self._full: deque[Batch] = deque()  # those that go before it
        self._wake = asyncio.Event()
        self._failures = 0  # of the disk, in a row
        self._failed = False  # for good
        self._released = 0
        self._compacting = False
        self._counted = (0, 0, 0)

    # Places.

    @property
    def next_sequence(self) -> int:
        """That the next record gets. May jump: numbers that may stand in a damaged place are not given again."""
        return self._shelf.end

    @property
    def first_sequence(self) -> int:
        """Of the oldest entry that is still on the disk; `next_sequence` if there is none."""
        return self._shelf.first

    @property
    def disk_bytes(self) -> int:
        return self._shelf.bytes

    @property
    def is_disk_full(self) -> bool:
        """The last commit found no space, and none was found since."""
        return self._room.disk_full

    @property
    def is_crowded(self) -> bool:
        """More than half of max_bytes are used: if a slow lane pins old segments, `compact`."""
        return self._shelf.bytes > self._room.max_bytes // 2

    # Its life.

    async def start(self) -> None:
        """Locks and opens the directory (made if it is not there), cuts what a crash tore, gives the keepers their
        states. Reads the newest segment only.

        OperatorError: in use by another process, written by a newer version, or not writable.
        """
        self._file_thread.start()
        self._commit_thread.start()
        try:
            opened = await self._file_thread.call(lambda: open_directory(self.directory, self._counters))
        except OperatorError:
            await self._end_threads(lambda: None)
            raise
        self._opened = opened
        self._shelf = Shelf(opened.segments, opened.end)
        self._keep_from = opened.keep_from
        self._cursors = opened.cursors
        for kind, payload in opened.states:
            self._restore(kind, payload)
        self._count()
        _log.info(
            "spool_opened",
            directory=str(self.directory),
            segments=len(opened.segments),
            bytes=self._shelf.bytes,
            first_sequence=self.first_sequence,
            next_sequence=self.next_sequence,
        )

    async def run(self, owner: SpoolOwner) -> None:
        """Commits, saves cursors and looks for space until cancelled; then the commit under way is finished and
        reported, and what waits is reported as not committed (sink_failed).

        OperatorError: the disk failed twice in a row; nothing can be made durable there any more.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._commit_for_ever(owner), name="spool-commits")
                tasks.create_task(self._look_after(), name="spool-upkeep")
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1 and isinstance(group.exceptions[0], OperatorError):
                raise group.exceptions[0] from None
            raise
        finally:
            self.refuse_rest(owner)

    def refuse_rest(self, owner: SpoolOwner) -> None:
        """Takes nothing any more, and reports what waits as not committed. `run` ends with it."""
        self._failed = True
        self._refuse(owner, self._take_all(), RefuseReason.SINK_FAILED)

    async def close(self) -> None:
        """Saves the cursors and gives the directory free. Call when `run` has ended."""
        if await self._end_threads(self._save_all_cursors) and self._opened is not None:
            self._opened.lock.release()
            self._opened = None

    async def remove(self) -> None:
        """Closes an adopted spool of which everything is delivered, and deletes its directory."""
        assert self._adopted, "only an adopted spool is removed"
        opened, self._opened = self._opened, None

        def remove(lock: DirectoryLock) -> None:
            self._save_all_cursors()  # a removal may break off
            remove_directory(self.directory, lock)

        if opened is not None:
            await self._end_threads(lambda: remove(opened.lock))
        self._shelf = Shelf([], self._shelf.end)
        self._count()

    # Into it.

    def put(self, put: Put) -> RefuseReason | None:
        """None: taken; `committed` or `not_committed` follows. Else why it is refused, now and as a whole.

        ValueError: a text, body or state of it is more than an entry can hold.
        """
        if self._failed or self._adopted:
            return self._count_refused(RefuseReason.SINK_FAILED, 1)
        entries = []
        size = 0
        try:
            for record in put.records:
                entry = encode_record(record)
                entries.append(entry)
                size += len(entry)
        except BodyTooLarge:
            return self._count_refused(RefuseReason.TOO_LARGE, 1)
        states = []
        if put.states:
            states = [encode_state(state.kind, state.payload) for state in put.states]
            size += sum(map(len, states))
        if not self._room.take(size):
            return self._count_refused(RefuseReason.OUTBOX_FULL, 1)
        batch = self._filling
        if not batch.puts:
            self._wake.set()
        elif batch.size >= self._commit_bytes:
            self._full.append(batch)
            batch = self._filling = Batch()
        batch.puts.append(put)
        batch.entries += entries
        batch.targets += put.targets
        batch.size += size
        if states:
            position = len(batch.entries)
            batch.states += [(position, entry) for entry in states]
        return None

    def has_room(self) -> bool:
        """False: puts are about to be refused; stop reading. What was read already is taken as far as it goes."""
        return self._room.is_open and not self._failed and not self._adopted

    def on_room(self, callback: Callable[[bool], None]) -> None:
        """Calls back with False when the spool fills (or its disk is full), with True when it takes data again."""
        self._room.callbacks.append(callback)

    # Out of it.

    def reader(self, position: int, cursor: Place | None = None) -> SpoolReader:
        """Reads from `position` on. cursor: in which what it passes without finding it is skipped."""
        return SpoolReader(self._shelf, self._file_thread, self._counters, position, cursor)

    def cursor(self, name: str) -> Cursor:
        """The cursor of a sink; a new one (or one whose file was damaged) begins at `first_sequence`.

        A sink may be owed a record only when its cursor is on the disk (`save_cursors`): else nothing would tell, once
        the sink is configured no more, that it is.
        """
        cursor = self._cursors.get(name)
        if cursor is None:
            cursor = self._cursors[name] = Cursor(name, Positions(self.first_sequence))
            cursor.changed = True
        return cursor

    def cursor_names(self) -> list[str]:
        """Of all sinks that have a place here, also of those that the configuration no longer has."""
        return sorted(self._cursors)

    async def drop_cursor(self, name: str) -> None:
        """Forgets a sink and deletes its file. OSError: the file is still there."""
        self._cursors.pop(name, None)
        path = cursor_path(self._cursor_directory, name)
        await self._file_thread.call(lambda: path.unlink(missing_ok=True))

    def release(self, low: int) -> None:
        """Nobody needs entries below `low` any more: deletes the segments that hold nothing else.

        The newest segment always stays: it holds the states and knows the next sequence.
        """
        self._released = max(self._released, low)
        if self._compacting:
            return
        segments = self._shelf.take_below(self._released, self._keep_from)
        if segments:
            self._file_thread.submit(lambda: _delete(segments)).add_done_callback(lambda done: self._deleted(done))

    async def compact(self, wanted: Wanted) -> int:
        """Rewrites old segments of which less than a quarter of the bytes is wanted (`wanted(sequence, targets)`,
        asked on the event loop for each record), keeping sequences. Returns the bytes that were freed.

        Does nothing unless the spool `is_crowded`. Costs a pass over old segments: not more often than each half
        minute. Readers may stand in such a segment.
        """
        if self._compacting:
            return 0
        freed = 0
        self._compacting = True
        try:
            while self.is_crowded:
                more = await compact(
                    self._shelf,
                    self._old_segments(),
                    wanted,
                    self._file_thread,
                    self._counters,
                    self._segment_bytes // 4,
                )
                if not more:
                    break
                freed += more
        except OSError as error:
            _log.error("spool_compaction_failed", directory=str(self.directory), error=str(error))
        finally:
            self._compacting = False
            self.release(self._released)
            self._count()
        return freed

    def _old_segments(self) -> list[Segment]:
        """Those that only readers still need: neither the newest nor what the next start takes its states from."""
        segments = self._shelf.segments
        last = len(segments) - 1
        return segments[: min(last, segments.index(self._keep_from) if self._keep_from else last)]

    # Committing.

    async def _commit_for_ever(self, owner: SpoolOwner) -> None:
        while True:
            while not self._filling.puts:
                self._wake.clear()
                await self._wake.wait()
            is_full = bool(self._full) or self._filling.size >= self._commit_bytes
            pause = self._pace.pause_s(len(self._filling.entries), is_full)
            if pause > 0:
                await asyncio.sleep(pause)
            await self._commit_some(owner, self._take_batch())

    def _take_batch(self) -> Batch:
        if self._full:
            return self._full.popleft()
        batch, self._filling = self._filling, Batch()
        return batch

    def _take_all(self) -> list[Batch]:
        batches = [*self._full, self._filling]
        self._full.clear()
        self._filling = Batch()
        return batches

    async def _commit_some(self, owner: SpoolOwner, batch: Batch) -> None:
        """Tries once more in a new segment when the disk fails."""
        while True:
            roll = self._new_roll() if self._active is None or self._active.size >= self._roll_at else None
            sequence = base = self._shelf.end
            for put in batch.puts:
                put.sequence = sequence
                sequence += len(put.records)
            self._pace.started(sequence - base)
            try:
                commit, cancelled = await self._in_thread(batch, base, roll)
            except Exception:  # a mistake of ours: nobody may wait for ever
                self._refuse(owner, [batch], RefuseReason.SINK_FAILED)
                raise
            if commit.error is None:
                self._committed(owner, batch, commit, roll, sequence)
            elif commit.no_space:
                self._note_failure(commit, roll, sequence)
                self._room.disk_full = True
                self._count()
                _log.error("spool_disk_full", directory=str(self.directory), error=str(commit.error))
                # With all that came meanwhile: it might fit, and would overtake what its device must send again.
                self._refuse(owner, [batch, *self._take_all()], RefuseReason.OUTBOX_FULL)
            else:
                self._note_failure(commit, roll, sequence)
                self._failures += 1
                _log.error("spool_disk_failed", directory=str(self.directory), error=str(commit.error))
                if self._failures < _MAX_FAILURES and not cancelled:
                    continue
                self._refuse(owner, [batch], RefuseReason.SINK_FAILED)
                if not cancelled:
                    raise OperatorError(
                        f"{self.directory}: the disk failed twice in a row ({commit.error}). Nothing can be stored "
                        f"there: check the volume, then start the gateway again; what is in the spool is kept"
                    )
            if cancelled:
                raise asyncio.CancelledError
            return

    def _new_roll(self) -> Roll:
        segments = self._shelf.segments
        if segments and segments[-1].first >= self._shelf.end:  # it holds states alone; its name is taken
            self._skip_to(segments[-1].first + 1)
        first = self._shelf.end
        snapshot = []
        for kind, keeper in self._keepers.items():
            for payload in keeper.snapshot():
                if len(payload) > MAX_STATE_BYTES:
                    _log.error("spool_state_too_large", kind=kind.name, bytes=len(payload))
                else:
                    snapshot.append((int(kind), payload))
        return Roll(self._segment_directory / segment_name(first), first, snapshot)

    async def _in_thread(self, batch: Batch, base: int, roll: Roll | None) -> tuple[Commit, bool]:
        """The commit, and whether this task was cancelled meanwhile: what is under way must be known to have ended."""
        call = self._commit_thread.submit(lambda: self._writer.commit(batch, base, roll))
        try:
            return await asyncio.shield(call), False
        except asyncio.CancelledError:
            await asyncio.wait([call], timeout=_CLOSE_S)
        if call.done():
            return call.result(), True
        call.cancel()
        hung = OSError(errno.ETIMEDOUT, "the disk does not answer")
        return Commit(0, error=hung, clean=False, usable=False), True

    def _committed(self, owner: SpoolOwner, batch: Batch, commit: Commit, roll: Roll | None, end: int) -> None:
        self._failures = 0
        self._room.disk_full = False
        if roll is not None:
            self._active = self._keep_from = Segment(roll.path, roll.first, end, commit.size)
            self._shelf.add(self._active)
            # Where states are many they must not fill a segment by themselves, or each commit would write them all.
            self._roll_at = commit.head + max(self._segment_bytes, commit.head)
        else:
            assert self._active is not None
            self._shelf.grow(self._active, commit.size, end)
        counters = self._counters
        counters.commits += 1
        counters.observe_commit(commit.seconds)
        self._room.give_back(batch.size)
        self._count()
        owner.committed(batch.puts)

    def _note_failure(self, commit: Commit, roll: Roll | None, end: int) -> None:
        """Brings what we know of the disk in line with what a commit that failed left there."""
        assert commit.error is not None
        if not commit.usable:
            if self._active is not None or not commit.no_space:
                self._counters.sealed += 1
            self._active = None
        elif roll is None and commit.error.errno == errno.EFBIG:
            self._active = None  # this file cannot grow, another may
        if not commit.clean:
            self._skip_to(max(end, self._shelf.end + 1))

    def _refuse(self, owner: SpoolOwner, batches: list[Batch], reason: RefuseReason) -> None:
        puts = [put for batch in batches for put in batch.puts]
        if not puts:
            return
        self._room.give_back(sum([batch.size for batch in batches]))
        self._count_refused(reason, len(puts))
        owner.not_committed(puts, reason)

    def _count_refused(self, reason: RefuseReason, count: int) -> RefuseReason:
        self._counters.refused[reason.value] += count
        return reason

    def _skip_to(self, end: int) -> None:
        """The sequences up to `end` are never given to a record."""
        for cursor in self._cursors.values():
            cursor.skip(self._shelf.end, end)
        self._shelf.end = end

    # Upkeep.

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            await self.save_cursors()
            if self._room.disk_full:
                await self._look_for_space()

    async def _look_for_space(self) -> None:
        if await self._file_thread.call(lambda: is_roomy(self.directory, _PROBE_BYTES)):
            _log.info("spool_disk_has_space", directory=str(self.directory))
            self._room.disk_full = False
            self._count()

    async def save_cursors(self) -> None:
        """Writes those that have changed. What cannot be written is logged, and tried again each second."""
        for name, cursor in list(self._cursors.items()):
            if not cursor.changed:
                continue
            cursor.changed = False
            data, path = cursor.encode(), cursor_path(self._cursor_directory, name)
            try:
                await self._file_thread.call(lambda path=path, data=data: write_cursor(path, data))  # type: ignore[misc]
            except OSError as error:
                cursor.changed = True
                _log.error("spool_cursor_not_saved", file=str(path), error=str(error))

    def _save_all_cursors(self) -> None:
        """Blocking: at the end, when nobody moves them any more."""
        for name, cursor in self._cursors.items():
            if cursor.changed:
                with contextlib.suppress(OSError):  # only repeats
                    write_cursor(cursor_path(self._cursor_directory, name), cursor.encode())

    def _deleted(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.error("spool_not_deleted", directory=str(self.directory), error=str(error))
        self._count()

    async def _end_threads(self, last: Callable[[], None]) -> bool:
        """False: the disk hangs; the lock is then kept to the end of the process."""
        commits_ended = await self._commit_thread.close(self._writer.close, _CLOSE_S)
        return await self._file_thread.close(last, _CLOSE_S) and commits_ended

    def _restore(self, kind: int, payload: bytes) -> None:
        with contextlib.suppress(ValueError):  # a kind of another version: not ours to remember
            keeper = self._keepers.get(StateKind(kind))
            if keeper is None:
                return
            try:
                keeper.restore(payload)
            except Exception:
                _log.exception("spool_state_not_restored", kind=kind)

    def _count(self) -> None:
        """Brings the counters up to date, which several spools may share, and opens or closes the door."""
        shelf, counters = self._shelf, self._counters
        size, segments, records = self._counted
        now = (shelf.bytes, len(shelf.segments), shelf.end - shelf.first)
        counters.bytes += now[0] - size
        counters.segments += now[1] - segments
        counters.records += now[2] - records
        self._counted = now
        self._room.update(shelf.bytes)

    @property
    def _segment_directory(self) -> Path:
        return self.directory / "segments"

    @property
    def _cursor_directory(self) -> Path:
        return self.directory / "cursors"


def _delete(segments: list[Segment]) -> None:
    """In the thread that also reads."""
    for segment in segments:
        segment.gone = True
    for segment in segments:
        segment.path.unlink(missing_ok=True)
