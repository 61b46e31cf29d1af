from __future__ import annotations

import asyncio
import dataclasses
import gzip
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.http_exceptions import TransferEncodingError
from backports import zstd

from gateway.ingress.rest.body import Body, BodyLimits
from gateway.ingress.rest.exchange import EXCHANGE
from tests.gateway.ingress.rest.rig import GUARD_S, Handler, Served, serving

LIMITS = BodyLimits(1_000, "rest.max_body_bytes")
DATA = b'{"device_id":"d-1"}' * 20


def whole(limits: BodyLimits = LIMITS) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        body = Body(request, limits)
        sent = await body.sent()
        assert await body.sent() == sent
        data = await body.whole()
        assert request[EXCHANGE].bytes_in == len(sent)
        return web.Response(body=data, headers={"X-Sent": sent[:4].hex()})

    return handler


def streamed(limits: BodyLimits = LIMITS) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"".join([piece async for piece in Body(request, limits).pieces()]))

    return handler


BOTH = pytest.mark.parametrize("handler", [whole, streamed])


async def ask(served: Served, data: Any, **headers: str) -> tuple[int, Any, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S), auto_decompress=False) as session,
        session.post(served.url + "/x", data=data, headers=named) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def chunked(data: bytes, size: int = 7) -> Any:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@BOTH
@pytest.mark.parametrize(
    ("encoding", "packed"), [("identity", DATA), ("gzip", gzip.compress(DATA, mtime=0)), ("zstd", zstd.compress(DATA))]
)
async def test_bodies_come_out_of_their_encoding(handler: Any, encoding: str, packed: bytes) -> None:
    async with serving({"/x": handler()}) as served:
        status, headers, data = await ask(served, packed, Content_Encoding=encoding)
        assert (status, data) == (200, DATA)
        if handler is whole:
            assert headers["X-Sent"] == packed[:4].hex()  # as sent, whatever the server could do
        status, _, data = await ask(served, chunked(packed), Content_Encoding=encoding)
        assert (status, data) == (200, DATA)


@BOTH
async def test_an_empty_body(handler: Any) -> None:
    async with serving({"/x": handler()}) as served:
        assert (await ask(served, b""))[::2] == (200, b"")
        assert (await ask(served, b"", Content_Encoding="gzip"))[0] == 400


@BOTH
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_too_many_bytes(handler: Any, encoding: str) -> None:
    data = b"x" * 1_001
    packed = gzip.compress(data, mtime=0) if encoding == "gzip" else data
    async with serving({"/x": handler()}) as served:
        for body in (packed, chunked(packed)):
            status, _, answer = await ask(served, body, Content_Encoding=encoding)
            assert status == 413
            assert b'"limit":{"name":"rest.max_body_bytes","value":1000}' in answer
        assert (await ask(served, b"x" * 1_000))[0] == 200


@BOTH
async def test_what_cannot_be_read(handler: Any) -> None:
    async with serving({"/x": handler()}) as served:
        status, _, body = await ask(served, DATA, Content_Encoding="br")
        assert (status, b"unsupported_encoding" in body) == (415, True)
        status, _, body = await ask(served, DATA, Content_Encoding="gzip")
        assert (status, b"broken_encoding" in body) == (400, True)


async def test_broken_chunks() -> None:
    """aiohttp's parser in C answers them itself, or leaves the handler to its time-out; that in Python tells it."""

    async def handler(request: web.Request) -> web.StreamResponse:
        request.content.set_exception(TransferEncodingError("Chunk size mismatch"))
        return await whole()(request)

    async with serving({"/x": handler}) as served:
        status, _, body = await ask(served, DATA)
    assert (status, b"broken_transfer" in body) == (400, True)


@BOTH
async def test_silence_within_a_body_ends_it(handler: Any) -> None:
    limits = dataclasses.replace(LIMITS, read_timeout_s=0.05)
    async with serving({"/x": handler(limits)}) as served:
        answer = await served.raw(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"slow_body" in answer
        assert b"Connection: close" in answer


async def test_a_trickle_ends_too() -> None:
    limits = dataclasses.replace(LIMITS, read_timeout_s=0.05, min_bytes_per_s=1_000_000)
    async with serving({"/x": streamed(limits)}) as served:
        reader, writer = await served.connect()
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        answered = asyncio.create_task(reader.readuntil(b"\r\n"))
        async with asyncio.timeout(GUARD_S):
            while not answered.done():
                writer.write(b"a")
                await asyncio.wait([answered], timeout=0.01)
        writer.close()
        assert answered.result().startswith(b"HTTP/1.1 408 ")


async def test_the_deadline_of_the_request_counts() -> None:
    async with serving({"/x": whole()}, deadline_s=0.05) as served:
        answer = await served.raw(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")


@BOTH
async def test_a_client_that_leaves(handler: Any) -> None:
    async with serving({"/x": handler()}) as served:
        _, writer = await served.connect()
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        writer.close()
        await served.wait_counted(1)
    assert served.counted == [("/x", "POST", 499)]


async def test_others_have_their_turn_while_a_body_is_expanded() -> None:
    turns = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal turns
        body = Body(request, BodyLimits(8 * 1024 * 1024, "rest.max_body_bytes", max_ratio=0))
        await body.sent()
        loop = asyncio.get_running_loop()

        def count() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(count)

        count()
        await body.whole()
        turns, found = -1_000_000, turns
        return web.Response(text=str(found))

    async with serving({"/x": handler}) as served:
        _, _, text = await ask(served, gzip.compress(bytes(4 * 1024 * 1024)), Content_Encoding="gzip")
    assert int(text) >= 7


HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


@BOTH
async def test_a_body_that_waits_is_asked_for_once(handler: Callable[[], Handler]) -> None:
    async with serving({"/x": handler()}) as served:
        reader, writer = await served.connect()
        writer.write(HEAD + b"Content-Length: 4\r\n\r\n")
        async with asyncio.timeout(GUARD_S):
            assert await reader.readexactly(len(GO_ON)) == GO_ON
            writer.write(b"ab")
            await writer.drain()
            writer.write(b"cd")
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nabcd")


@BOTH
async def test_a_body_that_is_not_wanted_is_not_asked_for(handler: Callable[[], Handler]) -> None:
    async with serving({"/x": handler()}) as served:
        head = HEAD.replace(b"Connection: close\r\n", b"") + b"Content-Length: 1001\r\n\r\n"
        answer = await served.raw(head)  # the connection ends, since the body may come or not
        await served.wait_counted(1)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert served.counted == [("/x", "POST", 413)]


async def test_what_is_there_already_is_not_asked_for() -> None:
    async with serving({"/x": whole()}) as served:
        answer = await served.raw(HEAD + b"Content-Length: 4\r\n\r\nabcd")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("given", [b"banana", b"100-continue, banana", b"\xff"])
async def test_an_expectation_that_nobody_knows(given: bytes) -> None:
    async with serving({"/x": whole()}) as served:
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-5\r\nExpect: " + given
        answer = await served.raw(head + b"\r\nConnection: close\r\n\r\n")
        old = await served.raw(b"POST /x HTTP/1.0\r\nExpect: " + given + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b"X-Request-Id: r-5\r\n" in answer
    assert b'"code":"unknown_expectation"' in answer
    assert b" 200 OK\r\n" in old
    assert served.counted == [("/x", "POST", 417), ("/x", "POST", 200)]
