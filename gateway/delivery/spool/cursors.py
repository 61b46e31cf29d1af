"""Cursors: how far each sink is, in memory and in small files."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote
from zlib import crc32

import structlog

from gateway.delivery.disk import sync_directory
from gateway.delivery.spool.positions import Positions

SUFFIX = ".cur"
_MAGIC = b"\x89Cur"
_HEAD = struct.Struct("<4sHHQI")  # magic, version, flags, low, number of ranges
_CRC = struct.Struct("<I")
_VERSION = 1
_CLOSED = 1  # a flag
_MAX_FILE_BYTES = 64 * 1024 * 1024

_log = structlog.get_logger("gateway.delivery.spool")


class Cursor:
    """One sink's place in one spool: everything below `low` and some ranges above it are delivered.

    Event loop only. Kept in memory; the spool writes it to its file at most each second: after a crash the last
    second is sent again.
    closed: the sink is configured no more, and nothing is owed to it.
    """

    __slots__ = ("_positions", "changed", "closed", "name")

    def __init__(self, name: str, positions: Positions, *, closed: bool = False) -> None:
        self.name = name
        self.closed = closed
        self.changed = False  # since it was written
        self._positions = positions

    @property
    def low(self) -> int:
        """The first sequence that is not delivered."""
        return self._positions.low

    @property
    def ranges(self) -> int:
        """Number of delivered ranges above `low`. A sink with many should load no more until the gaps close."""
        return self._positions.range_count

    @property
    def top(self) -> int:
        return self._positions.top

    def delivered(self, sequences: Sequence[int]) -> None:
        """In any order; known ones do no harm."""
        self._positions.add(sequences)
        self.changed = True

    def skip(self, first: int, end: int) -> None:
        """The sequences from `first` up to but without `end` are not owed: other sinks' records, gaps."""
        self._positions.add_range(first, end)
        self.changed = True

    def has(self, sequence: int) -> bool:
        """Whether this one is delivered (or not owed)."""
        return self._positions.has(sequence)

    def close(self, end: int) -> None:
        """Nothing below `end` is owed to the sink, and it will not be owed anything until it is configured again."""
        self.skip(0, end)
        self.closed = True

    def reopen(self) -> None:
        """The sink is configured (again)."""
        self.changed = self.changed or self.closed
        self.closed = False

    def encode(self) -> bytes:
        """Its file: head, ranges as pairs of first and end, CRC-32 of all before."""
        pairs = [edge for pair in self._positions.ranges for edge in pair]
        head = _HEAD.pack(_MAGIC, _VERSION, _CLOSED if self.closed else 0, self.low, len(pairs) // 2)
        data = head + struct.pack(f"<{len(pairs)}Q", *pairs)
        return data + _CRC.pack(crc32(data))


def decode_cursor(name: str, data: bytes) -> Cursor | None:
    """None: damaged, or of a newer version."""
    if len(data) < _HEAD.size + _CRC.size:
        return None
    magic, version, flags, low, count = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or len(data) != _HEAD.size + 16 * count + _CRC.size:
        return None
    if _CRC.unpack_from(data, len(data) - _CRC.size)[0] != crc32(data[: -_CRC.size]):
        return None
    edges = struct.unpack_from(f"<{2 * count}Q", data, _HEAD.size)
    positions = Positions(low, zip(edges[::2], edges[1::2], strict=True))
    return Cursor(name, positions, closed=bool(flags & _CLOSED))


def cursor_path(directory: Path, name: str) -> Path:
    """Names of sinks are free text: what no file name should have is written as in a URL."""
    return directory / (quote(name, safe="") + SUFFIX)


def load_cursors(directory: Path) -> dict[str, Cursor]:
    """All cursors by name. One that is damaged begins at 0: its sink gets some records again. Blocking."""
    cursors = {}
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        name = unquote(path.name.removesuffix(SUFFIX))
        cursor = None
        if path.stat().st_size <= _MAX_FILE_BYTES:
            cursor = decode_cursor(name, path.read_bytes())
        if cursor is None:
            _log.error("spool_cursor_damaged", file=str(path), effect="records may be sent again")
            cursor = Cursor(name, Positions(0))
        cursors[name] = cursor
    return cursors


def write_cursor(path: Path, data: bytes) -> None:
    """Replaces the file as a whole: after a crash it is the old or the new one. Blocking. OSError: the old one."""
    new = path.with_name(path.name + ".new")
    is_first = not path.exists()
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fsync(fd)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    finally:
        os.close(fd)
    new.replace(path)
    if is_first:
        sync_directory(path.parent)
