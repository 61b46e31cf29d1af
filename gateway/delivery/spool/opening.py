"""A spool directory being opened after a clean end or a crash, and one being removed. Blocking."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from gateway.delivery.disk import make_directories
from gateway.delivery.spool.cursors import Cursor, load_cursors
from gateway.delivery.spool.lock import LOCK_NAME, DirectoryLock
from gateway.delivery.spool.segments import Scan, Segment, list_segments, note_damage, scan
from gateway.delivery.spool.writer import cut_tail
from gateway.domain.errors import OperatorError
from gateway.observe import events
from gateway.observe.metrics import SpoolCounters

_LOOK_BACK = 3  # segments read for a whole snapshot, if that of the newest is damaged


@dataclass(slots=True)
class Opened:
    """keep_from: the segment whose snapshot was used: it and those behind it stay until a newer snapshot is durable.
    end: the next sequence, above all that may ever have been used. states: kind and payload, in order."""

    lock: DirectoryLock
    segments: list[Segment]
    keep_from: Segment | None
    cursors: dict[str, Cursor]
    states: list[tuple[int, bytes]]
    end: int


def open_directory(directory: Path, counters: SpoolCounters) -> Opened:
    """OperatorError: in use, of a newer version, or the disk does not let us."""
    try:
        for part in (directory / "segments", directory / "cursors"):
            make_directories(part)
        lock = DirectoryLock(directory)
    except OSError as error:
        raise _not_usable(directory, error) from error
    try:
        return _open(directory, counters, lock)
    except OSError as error:
        lock.release()
        raise _not_usable(directory, error) from error
    except BaseException:
        lock.release()
        raise


def _open(directory: Path, counters: SpoolCounters, lock: DirectoryLock) -> Opened:
    segments = list_segments(directory / "segments", counters)
    end = 1
    newest: Scan | None = None
    while segments and newest is None:
        last = segments[-1]
        newest = scan(last.path, last.first, last.size)
        end = max(end, newest.used)
        if not newest.blocks:  # a crash while it was made
            last.path.unlink()
            segments.pop()
            newest = None
    states: list[tuple[int, bytes]] = []
    keep_from = None
    if newest is not None:
        _settle_newest(segments[-1], newest, counters)
        scans = [newest]
        for segment in reversed(segments[-_LOOK_BACK:-1]):
            if scans[-1].has_snapshot:
                break
            scans.append(scan(segment.path, segment.first, segment.size))
        keep_from = segments[-len(scans)]
        states = [state for found in reversed(scans) for state in found.states]
    cursors = load_cursors(directory / "cursors")
    # Where storage was lost, cursors may be ahead: their numbers must not be given to new records.
    used = end
    end = max([end, *(cursor.top for cursor in cursors.values())])
    first = segments[0].first if segments else end
    for cursor in cursors.values():
        cursor.skip(0, first)
        cursor.skip(segments[-1].end if segments else used, end)
    return Opened(lock, segments, keep_from, cursors, states, end)


def _settle_newest(segment: Segment, found: Scan, counters: SpoolCounters) -> None:
    torn = segment.size - found.good
    if torn:
        events.spool_tail_cut(counters, segment.path, found.good, torn)
    cut_tail(segment.path, segment.size, found.good)
    segment.size = found.good
    segment.end = found.end
    for offset, count in found.bad:
        note_damage(segment, offset, count, counters)


def remove_directory(directory: Path, lock: DirectoryLock) -> None:
    """Deletes everything: the segments first, since without cursors they would be sent again; the lock last, so that
    nobody adopts a directory that is half gone. OSError: another start may try again, the lock is free."""
    try:
        shutil.rmtree(directory / "segments")
        for entry in directory.iterdir():
            if entry.name == LOCK_NAME:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError:
        lock.release()
        raise
    lock.remove()
    directory.rmdir()


def _not_usable(directory: Path, error: OSError) -> OperatorError:
    return OperatorError(
        f"{directory}: the spool cannot be opened ({error.strerror or error}). Everything acknowledged is stored "
        f"there: give the gateway's user the right to write, or set another spool.dir"
    )
