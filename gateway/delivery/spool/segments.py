"""Segments: the files of a spool, the order in which they stand, and how blocks are found in one.

A segment is written by one process only and never appended to after a restart. Its name is its first sequence.
"""

from __future__ import annotations

import contextlib
import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from gateway.delivery.spool.blocks import (
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    FORMAT_VERSION,
    RECORD_OVERHEAD,
    SEGMENT_HEADER_BYTES,
    BlockHeader,
    Damaged,
    Flag,
    body_is_whole,
    read_block_header,
    read_segment_header,
    read_states,
)
from gateway.domain.errors import OperatorError
from gateway.observe import events
from gateway.observe.metrics import SpoolCounters

SUFFIX = ".seg"
UNFINISHED_SUFFIX = ".new"
_NAME = re.compile(r"\d{20}\.seg")
_WINDOW_BYTES = 1024 * 1024
_PAGE_BYTES = 4096


def segment_name(first: int) -> str:
    return f"{first:020d}{SUFFIX}"


@dataclass(slots=True, eq=False)
class Segment:
    """A file and what of it may be read.

    It stands for the sequences from `first` up to but without `end`. size: bytes that are durable and good.
    """

    path: Path
    first: int
    end: int
    size: int
    gone: bool = False  # deleted or replaced; set by the thread that did it
    bad_at: set[int] = field(default_factory=set)  # offsets of damage that is counted already


class Shelf:
    """A spool's segments in order. Event loop only. end: the sequence that the next record gets."""

    def __init__(self, segments: list[Segment], end: int) -> None:
        self.segments = segments
        self.end = end
        self.bytes = sum(segment.size for segment in segments)

    def find(self, position: int) -> Segment | None:
        """The segment in which to read `position`, or what comes first behind it. None: there is none yet."""
        segments = self.segments
        i = max(bisect_right(segments, position, key=_first_of) - 1, 0)
        while i < len(segments) and segments[i].end <= position:
            i += 1
        return segments[i] if i < len(segments) else None

    @property
    def first(self) -> int:
        """The sequence from which there may be records."""
        return self.segments[0].first if self.segments else self.end

    def add(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.bytes += segment.size
        self.end = segment.end

    def grow(self, segment: Segment, size: int, end: int) -> None:
        """More of this one, the last, is durable."""
        self.bytes += size - segment.size
        segment.size = size
        segment.end = self.end = end

    def take_below(self, low: int, keep_from: Segment | None) -> list[Segment]:
        """Takes out the segments that end at or below `low`; never the last one, nor those from `keep_from` on."""
        segments = self.segments
        count = 0
        while count < len(segments) - 1 and segments[count].end <= low and segments[count] is not keep_from:
            count += 1
        taken = segments[:count]
        del segments[:count]
        self.bytes -= sum(segment.size for segment in taken)
        return taken

    def replace(self, old: list[Segment], new: Segment | None) -> None:
        """`old` stand next to each other."""
        i = self.segments.index(old[0])
        self.segments[i : i + len(old)] = [new] if new is not None else []
        self.bytes += (new.size if new is not None else 0) - sum(segment.size for segment in old)


def _first_of(segment: Segment) -> int:
    return segment.first


class SegmentFile:
    """A segment being read, up to `size` bytes. Blocking. OSError: the disk; with `salvage`, pages that cannot be
    read count as damaged instead."""

    def __init__(self, path: Path, size: int, *, salvage: bool = False) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = size
        self._salvage = salvage
        self._window = b""
        self._window_at = 0

    def __enter__(self) -> SegmentFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._fd)

    def fetch(self, offset: int, count: int) -> bytes:
        """The bytes there; fewer at the end."""
        count = min(count, self.size - offset)
        start = offset - self._window_at
        if start < 0 or start + count > len(self._window):
            if count > _WINDOW_BYTES:
                return self._read(offset, count)
            self._window = self._read(offset, min(_WINDOW_BYTES, self.size - offset))
            self._window_at, start = offset, 0
        return self._window[start : start + count]

    def blocks(self, offset: int) -> Iterator[tuple[int, int, BlockHeader | None]]:
        """Offset and end of each block from `offset` on with its header, which is right; None: of a stretch of bytes
        in which there is no block. Bodies are not looked at."""
        offset = max(offset, SEGMENT_HEADER_BYTES)
        while offset < self.size:
            header = read_block_header(self.fetch(offset, BLOCK_HEADER_BYTES))
            if header is not None and offset + BLOCK_HEADER_BYTES + header.length <= self.size:
                end = offset + BLOCK_HEADER_BYTES + header.length
            else:
                header, end = None, self._next_block(offset + 1)
            yield offset, end, header
            offset = end

    def body(self, offset: int, header: BlockHeader) -> bytes | None:
        """Of the block at `offset`. None: damaged."""
        body = self.fetch(offset + BLOCK_HEADER_BYTES, header.length)
        return body if body_is_whole(header, body) else None

    def _next_block(self, offset: int) -> int:
        """Offset of the first thing from `offset` on that looks like a header, or of the end."""
        while offset < self.size:
            data = self.fetch(offset, _WINDOW_BYTES)
            if not data:  # somebody cut the file
                break
            found = data.find(BLOCK_MAGIC)
            while found >= 0:
                if read_block_header(self.fetch(offset + found, BLOCK_HEADER_BYTES)) is not None:
                    return offset + found
                found = data.find(BLOCK_MAGIC, found + 1)
            offset += max(len(data) - len(BLOCK_MAGIC) + 1, 1)
        return self.size

    def _read(self, offset: int, count: int) -> bytes:
        try:
            return os.pread(self._fd, count, offset)
        except OSError:
            if not self._salvage:
                raise
        if count <= _PAGE_BYTES:
            return bytes(count)
        half = count // 2
        return self._read(offset, half) + self._read(offset + half, count - half)


@dataclass(slots=True)
class Scan:
    """What a look at a whole segment found.

    good: bytes up to the end of the last block. end: sequence after its last one. used: after the last one that may
    have stood in a torn end.
    states: those of the snapshot (if there is one) and of all blocks behind it.
    """

    good: int
    blocks: int
    end: int
    used: int
    states: list[tuple[int, bytes]]
    has_snapshot: bool
    bad: list[tuple[int, int]]  # offset and length of damaged stretches before `good`


def scan(path: Path, first: int, size: int) -> Scan:
    """Blocking; checks each CRC, parses only blocks with states."""
    result = Scan(min(size, SEGMENT_HEADER_BYTES), 0, first, first, [], False, [])
    snapshot_is_whole = True
    with SegmentFile(path, size) as file:
        for offset, end, header in file.blocks(0):
            if header is None:
                result.bad.append((offset, end - offset))
                snapshot_is_whole = False
                continue
            result.good = end
            result.blocks += 1
            result.end = max(result.end, header.end)
            body = file.body(offset, header)
            states = None
            if body is not None and (header.states or header.flags):
                with contextlib.suppress(Damaged):
                    states = read_states(header, body)
            elif body is not None:
                continue
            if states is None:
                result.bad.append((offset, end - offset))
                snapshot_is_whole = False
                continue
            result.states += states
            if header.flags & Flag.SNAPSHOT_END:
                result.has_snapshot = snapshot_is_whole
    result.used = result.end
    if result.bad and sum(result.bad[-1]) > result.good:  # behind the last block: a torn write
        _, torn = result.bad.pop()
        result.used += torn // RECORD_OVERHEAD + 1  # in case it was a good block whose header was hit
    return result


def list_segments(directory: Path, counters: SpoolCounters) -> list[Segment]:
    """The segments of a directory, in order, after a crash or not. Blocking.

    Files that an interrupted compaction left are deleted. `end` of the last one is not known yet: it is its first.
    OperatorError: one was written by a newer version.
    """
    for path in directory.glob(f"*{UNFINISHED_SUFFIX}"):
        path.unlink()
    segments: list[Segment] = []
    known_end = 0  # that the header of the one before says
    for path in sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name)):
        first = int(path.stem)
        if first < known_end:  # its records stand in the one before
            path.unlink()
            continue
        with path.open("rb") as file:
            header = read_segment_header(file.read(SEGMENT_HEADER_BYTES))
            size = os.fstat(file.fileno()).st_size
        if header is not None and header.version > FORMAT_VERSION:
            raise OperatorError(
                f"{path}: spool format {header.version} of a newer gateway; this one reads formats up to "
                f"{FORMAT_VERSION}. Start the newer version and let it deliver everything, or set another spool.dir"
            )
        segment = Segment(path, first, first, size)
        if header is None and size >= SEGMENT_HEADER_BYTES:
            note_damage(segment, 0, SEGMENT_HEADER_BYTES, counters)
        if segments:
            segments[-1].end = first
        segments.append(segment)
        known_end = header.end if header is not None else 0
    return segments


def note_damage(segment: Segment, offset: int, count: int, counters: SpoolCounters) -> None:
    """Counts and logs a stretch of bytes that cannot be read, once."""
    if offset not in segment.bad_at:
        segment.bad_at.add(offset)
        events.spool_damaged(counters, segment.path, offset, count)
