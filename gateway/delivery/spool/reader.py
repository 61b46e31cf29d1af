"""The reading end: records in the order of their sequences, block by block, as far as they are committed."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from gateway.delivery.disk import DiskThread
from gateway.delivery.spool.blocks import Damaged, Flag, read_records
from gateway.delivery.spool.segments import Segment, SegmentFile, Shelf, note_damage
from gateway.delivery.spool.values import Place, Stored
from gateway.observe.metrics import SpoolCounters

_SALVAGE_AFTER = 10  # errors in a row at one place; the caller pauses between them

_log = structlog.get_logger("gateway.delivery.spool")


@dataclass(slots=True)
class _Chunk:
    """What the thread read of one segment. offset, position: where to go on."""

    offset: int
    position: int
    stored: list[Stored] = field(default_factory=list)
    size: int = 0  # bytes of bodies
    gaps: list[tuple[int, int]] = field(default_factory=list)  # sequences that were passed but are not there
    bad: list[tuple[int, int]] = field(default_factory=list)
    stale: bool = False  # the segment was deleted or replaced meanwhile


class SpoolReader:
    """Reads from `position` on. Made by `Spool.reader`; several may read the same spool."""

    def __init__(
        self, shelf: Shelf, thread: DiskThread, counters: SpoolCounters, position: int, cursor: Place | None
    ) -> None:
        self.position = position
        self._shelf = shelf
        self._thread = thread
        self._counters = counters
        self._cursor = cursor
        self._segment: Segment | None = None
        self._offset = 0
        self._errors = 0

    async def read(self, max_bytes: int) -> list[Stored]:
        """The next records: whole blocks (at most about 512 KiB each, or one put that is larger) until `max_bytes` of
        bodies are reached, at least one block. Empty: nothing more is committed.

        Sequences that are passed and not there (damaged, rewritten without them, never used) are skipped in the
        reader's cursor. OSError: the disk cannot be read now; call again after a pause. After ten errors at one
        place the pages that cannot be read are given up as damaged.
        """
        found: list[Stored] = []
        size = 0
        while size < max_bytes:
            segment = self._shelf.find(self.position)
            if segment is None:
                self._pass(self._shelf.end)
                break
            if segment is not self._segment:
                self._segment, self._offset = segment, 0
            committed = segment.size
            if self._offset < committed:
                chunk = await self._read_chunk(segment, committed, max_bytes - size)
                if chunk.stale:
                    self._segment = None
                    continue
                self._take(segment, chunk)
                found += chunk.stored
                size += chunk.size
            if self._offset >= segment.size:
                self._pass(segment.end)
        return found

    async def _read_chunk(self, segment: Segment, committed: int, max_bytes: int) -> _Chunk:
        offset, position = self._offset, self.position
        salvage = self._errors >= _SALVAGE_AFTER
        try:
            chunk = await self._thread.call(
                lambda: _read_blocks(segment, offset, committed, position, max_bytes, salvage)
            )
        except FileNotFoundError:  # deleted from outside
            chunk = _Chunk(committed, position, bad=[(offset, committed - offset)])
        except OSError as error:
            self._errors += 1
            _log.error("spool_read_failed", file=str(segment.path), offset=offset, error=str(error))
            raise
        self._errors = 0
        return chunk

    def _take(self, segment: Segment, chunk: _Chunk) -> None:
        for offset, count in chunk.bad:
            note_damage(segment, offset, count, self._counters)
        if self._cursor is not None:
            for first, end in chunk.gaps:
                self._cursor.skip(first, end)
        self._offset = chunk.offset
        self.position = max(self.position, chunk.position)

    def _pass(self, end: int) -> None:
        """There is nothing from the position up to `end`."""
        if end > self.position:
            if self._cursor is not None:
                self._cursor.skip(self.position, end)
            self.position = end


def _read_blocks(segment: Segment, offset: int, committed: int, position: int, max_bytes: int, salvage: bool) -> _Chunk:
    """Blocking; in the spool's thread, which is also the one that deletes and replaces segments."""
    chunk = _Chunk(offset, position)
    if segment.gone:
        chunk.stale = True
        return chunk
    with SegmentFile(segment.path, committed, salvage=salvage) as file:
        for start, end, header in file.blocks(offset):
            chunk.offset = end
            if header is None:
                chunk.bad.append((start, end - start))
                continue
            if header.end <= chunk.position:
                continue
            body = file.body(start, header) if header.records else b""
            stored: list[Stored] = []
            if body is None:
                chunk.bad.append((start, end - start))
            elif header.records:
                try:
                    stored = read_records(header, body, chunk.position)
                except Damaged:
                    chunk.bad.append((start, end - start))
            _note_gaps(chunk, stored, header.end, sparse=bool(header.flags & Flag.SPARSE))
            chunk.stored += stored
            chunk.size += sum([len(item.record.body) for item in stored])
            chunk.position = header.end
            if chunk.size >= max_bytes:
                break
        else:
            chunk.offset = committed
    return chunk


def _note_gaps(chunk: _Chunk, stored: list[Stored], end: int, *, sparse: bool) -> None:
    """Sequences from the chunk's position to `end` that are not among `stored`."""
    if sparse:
        position = chunk.position
        for item in stored:
            if item.sequence > position:
                chunk.gaps.append((position, item.sequence))
            position = item.sequence + 1
        if end > position:
            chunk.gaps.append((position, end))
    elif not stored:
        chunk.gaps.append((chunk.position, end))
    elif stored[0].sequence > chunk.position:
        chunk.gaps.append((chunk.position, stored[0].sequence))
