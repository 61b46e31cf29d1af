"""HttpListener over real sockets: what is no HTTP, how many may come, how long they may take, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.observe.http_listener import HttpListener, HttpOptions
from gateway.observe.metrics import Metrics

GUARD_S = 30.0
GOOD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
MALFORMED = {
    "garbage": b"\x00\x01\x02\xff" * 100,
    "tls": bytes.fromhex("16030100c2010000be0303") + b"\x55" * 190,
    "method": b"GE\x01T / HTTP/1.1\r\n\r\n",
    "words": b"hello there, how are you\r\n\r\n",
    "version": b"GET / HTTP/9.9.9\r\n\r\n",
    "long line": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 5_000 + b"\r\n",
    "header": b"GET / HTTP/1.1\r\nHost: a\r\nno colon secret-word\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "expectation": b"GET / HTTP/1.1\r\nHost: a\r\nExpect: \xff\r\nConnection: close\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "second request": GOOD + b"\x00\x01 garbage\r\n\r\n",
}

SAID = {
    "long line": (414, "the first line has more than 8192 bytes"),
    "long header": (431, "a header has more than 16384 bytes"),
    "no host": (400, "something is missing, such as `Host`"),
    "method": (400, "no method of HTTP"),
    "tls": (400, "no method of HTTP"),
    "garbage": (400, "no method of HTTP"),
}


class Site:
    """A started listener that answers `fine`. go: what `/slow` waits for."""

    def __init__(self, **options: float) -> None:
        self.metrics = Metrics()
        self.go = asyncio.Event()
        app = web.Application()
        app.router.add_get("/", self._fine)
        for path in ("slow", "fail", "late"):
            app.router.add_get(f"/{path}", getattr(self, f"_{path}"))
        given = HttpOptions("specimen", "127.0.0.1", 0, "specimen", **options)  # type: ignore[arg-type]
        self.listener = HttpListener(app, given, self.metrics)

    async def _fine(self, _: web.Request) -> web.Response:
        return web.Response(text="fine")

    async def _slow(self, _: web.Request) -> web.Response:
        await self.go.wait()
        return web.Response(text="slow")

    async def _fail(self, _: web.Request) -> web.Response:
        raise ValueError("broken")

    async def _late(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        raise ValueError("broken")

    @property
    def malformed(self) -> int:
        return self.metrics.malformed_requests["specimen"]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.listener.addresses[0])

    async def say(self, data: bytes) -> bytes:
        """All that is answered until the server closes."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            async with asyncio.timeout(GUARD_S):
                return await reader.read()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def site(**options: float) -> AsyncIterator[Site]:
    one = Site(**options)
    await one.listener.start()
    try:
        yield one
    finally:
        one.go.set()
        await one.listener.close()


@contextlib.contextmanager
def library_log() -> Iterator[io.StringIO]:
    """What libraries write into the log of the process meanwhile."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)


@pytest.mark.parametrize("kind", MALFORMED)
async def test_what_is_no_http_is_4xx_a_count_and_one_line(kind: str) -> None:
    async with site() as one:
        assert one.malformed == 0
        with library_log() as said, capture_logs() as logs:
            answer = await one.say(MALFORMED[kind])
        assert one.malformed == 1
        status, detail = SAID.get(kind, (400, ""))
        assert answer.split(b" ")[1] == b"%d" % status
        assert detail.encode() in answer
        assert b"application/problem+json" in answer
        assert b"aiohttp" not in answer
        (line,) = logs
        assert line.pop("request_id").encode() in answer
        assert line.pop("kind")
        assert line == {
            "event": "malformed_request",
            "log_level": "info",
            "listener": "specimen",
            "peer": "127.0.0.1",
        }
        assert said.getvalue() == ""
        assert b"secret-word" not in answer
        assert (await one.say(LAST)).endswith(b"fine")


async def test_a_crowd_of_them_fills_no_log() -> None:
    async with site() as one:
        with library_log() as said, capture_logs() as logs:
            for _ in range(30):
                await one.say(MALFORMED["tls"])
        assert one.malformed == 30
        assert len(logs) == 5
        assert said.getvalue() == ""


async def test_the_metric_is_there_from_the_start() -> None:
    one = Site()
    (family,) = [found for found in one.metrics.collect() if found.name == "iotlink_http_malformed_requests"]
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"listener": "specimen"}, 0)]


async def test_no_more_connections_than_allowed() -> None:
    async with site(max_connections=2) as one:
        held = [await one.connect() for _ in range(2)]
        for reader, writer in held:
            writer.write(GOOD)
            assert b"200 OK" in await reader.readuntil(b"fine")
        with contextlib.suppress(ConnectionError):
            assert await one.say(GOOD) == b""
        held.pop()[1].close()
        async with asyncio.timeout(GUARD_S):
            while one.listener.connections == 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
        assert (await one.say(LAST)).endswith(b"fine")
        held.pop()[1].close()


@pytest.mark.parametrize("before", [b"", GOOD], ids=["first", "second"])
async def test_a_head_that_comes_byte_by_byte_is_cut(before: bytes) -> None:
    """A byte now and then buys no time."""
    async with site(idle_timeout_s=0.5) as one:
        reader, writer = await one.connect()
        writer.write(before)
        if before:
            await reader.readuntil(b"fine")
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.001)

        dripping = asyncio.create_task(drip())
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(GUARD_S):
                assert await reader.read() == b""
        dripping.cancel()
        writer.close()
        assert one.malformed == 0


async def test_silence_is_cut() -> None:
    async with site(idle_timeout_s=0.5) as one:
        silent, used = await asyncio.gather(one.say(b""), one.say(GOOD))
    assert silent == b""
    assert used.endswith(b"fine")


async def test_it_ends_with_what_is_under_way() -> None:
    async with site(goodbye_s=GUARD_S) as one:
        asked = asyncio.create_task(one.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        idle = asyncio.create_task(one.say(GOOD))
        async with asyncio.timeout(GUARD_S):
            while one.listener.connections < 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            closing = asyncio.create_task(one.listener.close())
            assert (await idle).endswith(b"fine")
        one.go.set()
        assert (await asked).endswith(b"slow")
        await closing
        await one.listener.close()
        assert one.listener.addresses == []
        assert one.listener.connections == 0


async def test_what_takes_too_long_is_cut_at_the_end() -> None:
    async with site(goodbye_s=0.05) as one:
        asked = asyncio.create_task(one.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        async with asyncio.timeout(GUARD_S):
            while not one.listener.connections:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
        await one.listener.close()
        with contextlib.suppress(ConnectionError):
            assert await asked == b""


async def test_an_error_that_no_handler_knows_of() -> None:
    async with site() as one:
        with library_log() as said, capture_logs() as logs:
            for _ in range(8):
                answer = await one.say(LAST.replace(b"/ ", b"/fail ", 1))
                assert b" 500 " in answer
                assert b"broken" not in answer
            begun = await one.say(LAST.replace(b"/ ", b"/late ", 1))
            assert b" 200 OK" in begun
            assert b" 500 " not in begun
    assert [line["event"] for line in logs] == ["http_request_failed"] * 8  # the log itself limits them
    assert all(isinstance(line["exc_info"], ValueError) for line in logs)
    assert said.getvalue() == ""
