"""Old segments of which little is still needed, rewritten into one: a slow lane must not pin the disk.

The sequences stay. The new file takes the place of the first old one by a rename; its header tells up to which
sequence it speaks, so that after a crash the others are known to be left over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.delivery.disk import AppendFile, DiskThread, sync_directory
from gateway.delivery.spool.blocks import BlockDraft, Damaged, segment_header, split_records
from gateway.delivery.spool.segments import UNFINISHED_SUFFIX, Segment, SegmentFile, Shelf, note_damage
from gateway.observe.metrics import SpoolCounters

Wanted = Callable[[int, tuple[str, ...]], bool]
_Entry = tuple[int, tuple[str, ...], bytes]

_STEP_BYTES = 1024 * 1024  # read at once

_log = structlog.get_logger("gateway.delivery.spool")


@dataclass(slots=True)
class _Step:
    offset: int
    entries: list[_Entry] = field(default_factory=list)
    bad: list[tuple[int, int]] = field(default_factory=list)


async def compact(
    shelf: Shelf,
    candidates: Sequence[Segment],
    wanted: Wanted,
    thread: DiskThread,
    counters: SpoolCounters,
    max_bytes: int,
) -> int:
    """Rewrites the first run of candidates of which less than a quarter is wanted, up to `max_bytes` of wanted
    entries, which it holds in memory. Returns the bytes that were freed, 0 if there is nothing to gain.

    candidates: neighbours on the shelf, which nobody else changes meanwhile. OSError: nothing changed.
    """
    run: list[Segment] = []
    kept: list[_Entry] = []
    kept_bytes = 0
    for segment in candidates:
        room = min(segment.size // 4, max_bytes - kept_bytes)
        entries = await _wanted_entries(segment, wanted, thread, counters, room)
        if entries is not None:
            run.append(segment)
            kept += entries
            kept_bytes += sum([len(entry) for _, _, entry in entries])
        elif run:
            break
    if not run:
        return 0
    before = shelf.bytes
    replaced = thread.submit(lambda: _rewrite(run, kept))
    # Not after an await: whoever cancels this must not leave the shelf with files that are gone.
    replaced.add_done_callback(lambda done: _put_on_shelf(shelf, run, done))
    await asyncio.shield(replaced)
    freed = before - shelf.bytes
    _log.info("spool_compacted", segments=len(run), records_kept=len(kept), bytes_freed=freed)
    return freed


def _put_on_shelf(shelf: Shelf, run: list[Segment], done: asyncio.Future[Segment | None]) -> None:
    if not done.cancelled() and done.exception() is None:
        shelf.replace(run, done.result())


async def _wanted_entries(
    segment: Segment, wanted: Wanted, thread: DiskThread, counters: SpoolCounters, room: int
) -> list[_Entry] | None:
    """None: they are more than `room` bytes."""
    found: list[_Entry] = []
    size = offset = 0
    while offset < segment.size:
        step = await thread.call(lambda at=offset: _read_step(segment, at))  # type: ignore[misc]
        for at, count in step.bad:
            note_damage(segment, at, count, counters)
        for entry in step.entries:
            if wanted(entry[0], entry[1]):
                found.append(entry)
                size += len(entry[2])
        if size > room:
            return None
        offset = step.offset
    return found


def _read_step(segment: Segment, offset: int) -> _Step:
    step = _Step(segment.size)
    with SegmentFile(segment.path, segment.size) as file:
        for start, end, header in file.blocks(offset):
            if header is not None and not header.records:
                continue
            body = file.body(start, header) if header is not None else None
            try:
                if header is None or body is None:
                    raise Damaged
                step.entries += split_records(header, body)
            except Damaged:
                step.bad.append((start, end - start))
            if end - offset >= _STEP_BYTES:
                step.offset = end
                break
    return step


def _rewrite(run: list[Segment], kept: list[_Entry]) -> Segment | None:
    """Blocking; in the thread that also reads. None: nothing was wanted, so there is no new segment."""
    first, end = run[0], run[-1].end
    size = 0
    if kept:
        new = first.path.with_suffix(UNFINISHED_SUFFIX)
        new.unlink(missing_ok=True)
        size = _write(new, first.first, end, kept)
        new.replace(first.path)
    for segment in run:
        segment.gone = True
    if kept:
        try:
            sync_directory(first.path.parent)
        except OSError as error:  # the old ones must outlive the rename; the next start deletes them
            _log.error("spool_sync_failed", directory=str(first.path.parent), error=str(error))
            return Segment(first.path, first.first, end, size)
    for segment in run[1:] if kept else run:
        with contextlib.suppress(OSError):  # as above
            segment.path.unlink()
    return Segment(first.path, first.first, end, size) if kept else None


def _write(path: Path, first: int, end: int, kept: list[_Entry]) -> int:
    """Returns the size. OSError: no such file is left."""
    file = AppendFile(path)
    try:
        file.write(segment_header(first, end))
        draft = BlockDraft(first)
        for sequence, targets, entry in kept:
            if draft.is_full or not draft.add_sparse(sequence, entry, targets):
                if not draft.is_empty:
                    file.write(draft.finish(end=sequence))
                draft = BlockDraft(sequence)
                draft.add_sparse(sequence, entry, targets)
        file.write(draft.finish(end=end))
        file.commit()
        return file.size
    finally:
        file.close()
