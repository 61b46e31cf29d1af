"""Cuts a file into the bodies that `iotlink ingest` sends, in constant memory.

Place in the walk: between the file and `ingest_push`. Chunks depend on nothing but the file and the plan: whoever reads
it again, behind the last line that was acknowledged, gets the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import BinaryIO

from gateway.ingress.rest.charsets import BOM, Charset
from gateway.ingress.rest.csv_records import CsvCutter, says_delimiter
from gateway.ingress.rest.lines import Cutter, Line, LineCutter

__all__ = ["HEAD_BYTES", "Chunk", "ChunkPlan", "FileFormat", "chunks_of", "content_type_of", "format_of"]

HEAD_BYTES = 64 * 1024
"""Of a file that are looked at to know what it is."""
MAX_CHUNK_BYTES = 4 * 1024 * 1024
"""Below what a gateway takes as one body (`max_body_bytes`, 8 MiB unless it is set otherwise), with a header before."""
_PIECE_BYTES = 256 * 1024
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson"}


class FileFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(slots=True, frozen=True)
class ChunkPlan:
    """max_records, max_bytes: of one chunk; a record with more bytes is `too_long`. The header row of CSV stands before
    each chunk."""

    format: FileFormat
    max_records: int
    max_bytes: int = MAX_CHUNK_BYTES


@dataclass(slots=True)
class Chunk:
    """One body. number: from 0. last_line: of the file, up to which all is in this chunk or one before.

    too_long: numbers of lines that are in no body. lines: of the file in which its records begin, in their order.
    """

    number: int
    body: bytes = b""
    last_line: int = 0
    too_long: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def format_of(name: str, head: bytes) -> FileFormat:
    """By the end of the file's name, else by its first character. name: "-" has none."""
    known = _SUFFIXES.get(PurePath(name).suffix.lower())
    if known is not None:
        return FileFormat(known)
    return FileFormat.NDJSON if head.removeprefix(BOM).lstrip()[:1] in (b"{", b"[") else FileFormat.CSV


def content_type_of(plan: ChunkPlan, head: bytes) -> str:
    """Of every chunk: what the first one shows of the charset holds for all."""
    if plan.format is FileFormat.NDJSON:
        return "application/x-ndjson"
    charset = Charset()
    charset.look_at(head)
    return f"text/csv; header=present; charset={charset.name}" if charset.name else "text/csv; header=present"


def chunks_of(head: bytes, file: BinaryIO, plan: ChunkPlan, *, after_line: int = 0, number: int = 0) -> Iterator[Chunk]:
    """The chunks of what `head` and then `file` give.

    after_line: `last_line` of the chunk before the first one that is wanted; number: its number. A header is read all
    the same; one without a record behind it is a chunk too, so that the gateway looks at it.
    """
    builder = _Builder(plan, number)
    for line in _lines(head, file, plan):
        if builder.wants_header and not line.too_long:
            builder.take_header(line)
        elif line.number > after_line:
            if builder.is_full(line):
                yield builder.take()
            builder.add(line)
    if not builder.is_empty or builder.is_header_alone:
        yield builder.take()


def _lines(head: bytes, file: BinaryIO, plan: ChunkPlan) -> Iterator[Line]:
    cutter: Cutter = LineCutter(plan.max_bytes) if plan.format is FileFormat.NDJSON else CsvCutter(plan.max_bytes)
    piece = head
    while piece:
        yield from cutter.feed(piece)
        piece = file.read(_PIECE_BYTES)
    yield from cutter.end()


class _Builder:
    def __init__(self, plan: ChunkPlan, number: int) -> None:
        self._plan = plan
        self._chunk = Chunk(number)
        self._parts: list[bytes] = []
        self._bytes = 0
        self._header: list[bytes] = []
        self._header_line = 0
        self.wants_header = plan.format is FileFormat.CSV

    @property
    def is_empty(self) -> bool:
        return not self._parts and not self._chunk.too_long

    @property
    def is_header_alone(self) -> bool:
        return self.is_empty and bool(self._header_line) and not self._chunk.number

    def take_header(self, line: Line) -> None:
        """The header, or what Excel says of the delimiter before it."""
        self._header.append(line.data)
        if not says_delimiter(line.data):
            self.wants_header = False
            self._header_line = line.number

    def is_full(self, line: Line) -> bool:
        """Whether a line has no place any more beside what is there."""
        plan, chunk = self._plan, self._chunk
        if len(chunk.lines) + len(chunk.too_long) >= plan.max_records:
            return True
        return bool(self._parts) and self._bytes + len(line.data) > plan.max_bytes

    def add(self, line: Line) -> None:
        chunk = self._chunk
        chunk.last_line = line.number
        if line.too_long:
            chunk.too_long.append(line.number)
            return
        chunk.lines.append(line.number)
        self._bytes += len(line.data) + 1
        self._parts.append(line.data)

    def take(self) -> Chunk:
        chunk, parts = self._chunk, self._parts
        if parts or self.is_header_alone:
            chunk.body = b"\n".join([*self._header, *parts, b""])
            chunk.last_line = max(chunk.last_line, self._header_line)
        self._chunk = Chunk(chunk.number + 1)
        self._parts = []
        self._bytes = 0
        return chunk
