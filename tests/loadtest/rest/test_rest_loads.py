from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from loadtest.rest.loads import LOADS, Load, LoadFailed, Played, run, upload
from loadtest.rest.telemetry import CSV, NDJSON, Table, array
from tests.loadtest.rest.answering import face

SOME = Load("some", "some", 5, 3, array)


@pytest.mark.parametrize("load", [*LOADS.values(), SOME], ids=lambda load: load.name)
async def test_a_load_sends_each_record_once(load: Load) -> None:
    async with face(
        lambda body, _: web.Response(body=b'{"accepted":%d,"rejected":0}' % max(1, body.count(b"device_id")))
    ) as found:
        played = await run(found.address, "the key", load, load.batch * 7, first=100)
    assert (played.records, len(played.waited_ms)) == (load.batch * 7, 7)
    assert played.waited_ms == sorted(played.waited_ms)
    assert len(found.requests) == 7
    assert all(headers["Authorization"] == "Bearer the key" for _, headers, _ in found.requests)
    stamps = [part[: part.index(b",")] for _, _, body in found.requests for part in body.split(b"timestamp")[1:]]
    assert len(set(stamps)) == len(stamps) == load.batch * 7


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=503, text="busy"), "503: busy"),
        (web.Response(text='{"accepted":4,"rejected":1}'), "200: .*rejected"),
    ],
)
async def test_another_answer_ends_a_load(answer: web.Response, why: str) -> None:
    async with face(lambda *_: web.Response(status=answer.status, body=answer.body)) as found:
        with pytest.raises(LoadFailed, match=why):
            await run(found.address, "k", SOME, 5)


@pytest.mark.parametrize(
    ("sent", "why"), [(b"", "closed the connection"), (b"HTTP/1.1 200 OK\r\n\r\n", "no answer of a gateway")]
)
async def test_what_is_no_answer_ends_a_load(sent: bytes, why: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(LoadFailed, match=why):
            await run(server.sockets[0].getsockname(), "k", SOME, 5)


@pytest.mark.parametrize("table", [NDJSON, CSV], ids=lambda table: table.name)
async def test_an_upload_is_one_body(table: Table) -> None:
    sizes = iter(range(100, 10_000))
    async with face() as found:
        done = await upload(found.address, "k", table, 400_000, 700, lambda: next(sizes), "/v1/telemetry?product=x")
    [(path, headers, body)] = found.requests
    assert (path, headers["Content-Type"], headers["Transfer-Encoding"]) == (
        "/v1/telemetry?product=x",
        table.content_type,
        "chunked",
    )
    assert done.size == len(body)
    assert (done.answer["accepted"], done.answer["rejected"]) == (done.lines - done.broken, done.broken)
    assert done.broken == done.lines // 700
    before, most, after = done.rss_kib
    assert before == 100
    assert most == after > before


async def test_an_upload_that_is_refused_fails() -> None:
    async with face(lambda *_: web.Response(status=401, text="who?")) as found:
        with pytest.raises(LoadFailed, match=r"401: who\?"):
            await upload(found.address, "k", NDJSON, 1_000, 0, lambda: 1, "/v1/telemetry")


def test_percentiles() -> None:
    played = Played(4, 1.0, [1.0, 2.0, 3.0, 4.0])
    assert (played.percentile(50), played.percentile(99), played.percentile(0)) == (3.0, 4.0, 1.0)
