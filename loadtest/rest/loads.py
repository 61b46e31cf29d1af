"""The loads: connections that stay open and send one request after the other, and uploads of any size.

Place in the walk: `run` plays one load, `upload` sends one body in chunks; both check every answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from loadtest.rest.telemetry import Table, array, item, pieces

__all__ = ["LOADS", "Load", "LoadFailed", "Played", "Uploaded", "run", "upload"]

Address = tuple[str, int]

GUARD_S = 120.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_MAX_SHOWN = 300


class LoadFailed(Exception):
    """The gateway closed, or gave another answer than the one that was due."""


@dataclass(slots=True, frozen=True)
class Load:
    """How records are sent. batch: in one request; connections: each with one request on its way. body: of records
    from a number on, so many. aim: CPU seconds per 100,000 records."""

    name: str
    says: str
    batch: int
    connections: int
    body: Callable[[int, int], bytes]
    content_type: str = "application/json"
    aim: float | None = None


def _lines(first: int, count: int) -> bytes:
    return b"".join([item(number) + b"\n" for number in range(first, first + count)])


LOADS = {
    load.name: load
    for load in (
        Load("singles", "one record a request, 50 connections", 1, 50, lambda first, _: item(first), aim=14.0),
        Load("batches", "100 records a request (JSON array), 8 connections", 100, 8, array, aim=2.0),
        Load("lines", "100 records a request (NDJSON), 8 connections", 100, 8, _lines, "application/x-ndjson", 2.0),
    )
}


@dataclass(slots=True)
class Played:
    """What a load came to. waited_ms: of each request until its answer, sorted."""

    records: int
    seconds: float
    waited_ms: list[float] = field(default_factory=list)

    def percentile(self, part: int) -> float:
        waited = self.waited_ms
        return waited[min(len(waited) * part // 100, len(waited) - 1)]


async def run(address: Address, key: str, load: Load, records: int, first: int = 0) -> Played:
    """Sends so many records (a multiple of the batch) over all connections. first: number of the first one.
    LoadFailed, OSError."""
    left: Iterator[int] = iter(range(first, first + records, load.batch))
    waited: list[float] = []
    began = time.perf_counter()
    head = _head(key, load.content_type)
    try:
        async with asyncio.timeout(GUARD_S), asyncio.TaskGroup() as group:
            for number in range(load.connections):
                group.create_task(_send_all(address, head, load, left, waited), name=f"connection {number}")
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return Played(records, time.perf_counter() - began, sorted(waited))


async def _send_all(address: Address, head: bytes, load: Load, left: Iterator[int], waited: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    want = b'"accepted":%d,"rejected":0' % load.batch
    try:
        for number in left:
            body = load.body(number, load.batch)
            began = time.perf_counter()
            writer.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
            status, answer = await _answer(reader)
            waited.append((time.perf_counter() - began) * 1000)
            if status != 200 or want not in answer:
                raise LoadFailed(_shown(status, answer))
    finally:
        writer.close()


@dataclass(slots=True)
class Uploaded:
    """What an upload came to. lines: that were sent, a header left out; answer: the gateway's document. rss_kib: of its
    process before, most, and after."""

    lines: int
    broken: int
    size: int
    seconds: float
    status: int
    answer: dict[str, Any]
    rss_kib: tuple[int, int, int]


async def upload(
    address: Address, key: str, table: Table, size: int, broken_every: int, rss_kib: Callable[[], int], path: str
) -> Uploaded:
    """Sends one body of about `size` bytes, chunk by chunk. path: with its query. LoadFailed, OSError."""
    reader, writer = await asyncio.open_connection(*address)
    good, broken, sent = 0, 0, 0
    before = most = rss_kib()
    began = time.perf_counter()
    try:
        writer.write(_head(key, table.content_type, path) + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece, items, bad in pieces(table, size, broken_every):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            async with asyncio.timeout(GUARD_S):
                await writer.drain()
            good, broken, sent = good + items, broken + bad, sent + len(piece)
            most = max(most, rss_kib())
        writer.write(b"0\r\n\r\n")
        async with asyncio.timeout(GUARD_S):
            status, answer = await _answer(reader)
    except ConnectionError as error:
        raise LoadFailed(f"the gateway closed the connection after {sent} bytes") from error
    finally:
        writer.close()
    if status not in (200, 207):
        raise LoadFailed(_shown(status, answer))
    seconds = time.perf_counter() - began
    after = rss_kib()
    found = dict(orjson.loads(answer))
    return Uploaded(good + broken, broken, sent, seconds, status, found, (before, max(most, after), after))


def _head(key: str, content_type: str, path: str = "/v1/telemetry") -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {key}",
        f"Content-Type: {content_type}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer, which has a Content-Length. LoadFailed: the connection ended."""
    try:
        head = await reader.readuntil(_HEAD_END)
        status = int(head[9:12])
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH))
        return status, await reader.readexactly(int(length[len(_LENGTH) :]))
    except asyncio.IncompleteReadError as error:
        raise LoadFailed("the gateway closed the connection") from error
    except (ValueError, StopIteration) as error:
        raise LoadFailed("no answer of a gateway") from error


def _shown(status: int, answer: bytes) -> str:
    return f"{status}: {answer[:_MAX_SHOWN].decode(errors='replace')}"
