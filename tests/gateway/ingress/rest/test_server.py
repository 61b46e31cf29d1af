"""A REST listener over real sockets: limits, TLS, slow and silent callers, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason, OperatorError
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.routes import Route
from gateway.ingress.rest.server import RestListener, RestOptions, RestServer
from gateway.ingress.tls import ClientAuth
from gateway.observe.metrics import Metrics
from gateway.observe.problems import Problem
from gateway.observe.rest_metrics import RequestCounters
from tests.gateway.fakes import FakeOutbox
from tests.gateway.ingress.tls_files import Files

GUARD_S = 30.0
GET = b"GET /v1/specs HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """One server with one listener. GET is answered at once, POST when `go` is set; `asked` counts both."""

    def __init__(self, **options: Any) -> None:
        self.metrics = Metrics()
        self.requests = RequestCounters(CollectorRegistry())
        self.outbox = FakeOutbox()
        self.server = RestServer(Intake(self.outbox))
        self.go = asyncio.Event()
        self.asked = 0
        self.last: web.Request | None = None
        given: dict[str, Any] = {"name": "rest", "host": "127.0.0.1", "port": 0, "max_connections": 100}
        given |= {"setting": "rest.listeners.0", **options}
        self.listener = RestListener(RestOptions(**given), self._answer, self.metrics, self.requests)
        self.server.listeners.append(self.listener)
        self.writers: list[asyncio.StreamWriter] = []

    async def _answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.last = request
        if request.method == "POST":
            await self.go.wait()
        return web.Response(text="fine")

    def closed(self, reason: CloseReason) -> int:
        return self.metrics.listener("rest").closed[reason]

    async def connect(self, **options: Any) -> Streams:
        streams = await asyncio.open_connection(*self.listener.addresses[0], **options)
        self.writers.append(streams[1])
        return streams

    async def until_asked(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while self.asked < count:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)

    async def until_inside(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while self.listener.health()["connections"] != count:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Served]:
    served = Served(**options)
    await served.server.start()
    try:
        yield served
    finally:
        served.go.set()
        await served.server.drain(GUARD_S)
        for writer in served.writers:
            writer.close()
        counters = served.metrics.listener("rest")
        assert counters.open == 0
        assert counters.opened == sum(counters.closed.values())


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """All until the server closes, or cuts."""
    got = b""
    async with asyncio.timeout(GUARD_S):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                got += piece
    return got


async def answer(streams: Streams, request: bytes = GET) -> bytes:
    streams[1].write(request)
    async with asyncio.timeout(GUARD_S):
        return await streams[0].readuntil(b"fine")


async def test_it_listens_and_says_so() -> None:
    with capture_logs() as logs:
        async with serving() as served:
            ((host, port),) = served.listener.addresses
            assert b"200 OK" in await answer(await served.connect())
    assert [line for line in logs if line["event"] == "listening"] == [
        {"event": "listening", "log_level": "info", "face": "rest", "listener": "rest", "host": host, "port": port}
    ]
    assert served.listener.addresses == []


@pytest.mark.parametrize(
    ("host", "port", "hint"),
    [("127.0.0.1", None, "rest.listeners.0.port"), ("192.0.2.1", 0, ".0.host"), ("x" * 80, 0, ".0.host")],
)
async def test_all_listeners_or_none(host: str, port: int | None, hint: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served = Served()
        port = taken.getsockname()[1] if port is None else port
        other = Served(name="other", host=host, port=port)
        served.server.listeners.append(other.listener)
        with pytest.raises(OperatorError, match=rf"rest listener other: cannot listen on {host}:{port}: .*{hint}"):
            await served.server.start()
    assert served.listener.addresses == []
    assert await served.server.drain(0.0) == 0


# The end


async def test_what_is_under_way_is_answered_and_all_connections_end() -> None:
    async with serving() as served:
        idle, busy, late = [await served.connect() for _ in range(3)]
        for streams in (idle, late):
            assert b"Connection: close" not in await answer(streams)
        busy[1].write(POST)
        await served.until_asked(3)
        assert served.listener.health()["requests_in_flight"] == served.requests.in_flight == 1
        address = served.listener.addresses[0]
        draining = asyncio.create_task(served.server.drain(GUARD_S))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*address)
        assert b"Connection: close\r\n" in await answer(late)  # it still hears, and is told to go
        assert await rest_of(late[0]) == b""
        assert not draining.done()
        served.go.set()
        last = await rest_of(busy[0])
        assert b"200 OK" in last
        assert b"Connection: close\r\n" in last
        assert last.endswith(b"fine")
        assert await rest_of(idle[0]) == b""
        assert await draining == 0
        assert served.requests.in_flight == 0
    assert served.closed(CloseReason.SHUTDOWN) == 3


async def test_draining_twice_is_draining_once() -> None:
    async with serving() as served:
        busy = await served.connect()
        busy[1].write(POST)
        await served.until_asked(1)
        drains = [asyncio.create_task(served.server.drain(GUARD_S)) for _ in range(2)]
        await asyncio.sleep(0)
        served.go.set()
        assert b"200 OK" in await rest_of(busy[0])
        assert await asyncio.gather(*drains) == [0, 0]
        assert await served.server.drain(GUARD_S) == 0


async def test_what_takes_too_long_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.rest.server._LAST_WORDS_S", 0.05)
    async with serving() as served:
        busy = await served.connect()
        busy[1].write(POST)
        await served.until_asked(1)
        with capture_logs() as logs:
            assert await served.server.drain(0.0) == 1
        assert await rest_of(busy[0]) == b""
    assert [line["count"] for line in logs if line["event"] == "requests_cut"] == [1]


async def test_a_peer_that_does_not_read_is_cut_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.rest.server._LAST_WORDS_S", 0.05)
    served = Served()

    async def large(route: Route, request: web.Request) -> web.StreamResponse:
        served.asked += 1
        return web.Response(body=b"x" * (64 << 20))

    monkeypatch.setattr(served.listener, "_answer", large)
    await served.server.start()
    _, writer = await served.connect(limit=1024)
    writer.write(GET)
    await served.until_asked(1)
    await served.server.drain(0.0)
    assert served.closed(CloseReason.SHUTDOWN) == 1
    assert served.listener.health()["connections"] == 0
    writer.transport.abort()


# Limits


async def test_no_more_connections_than_allowed() -> None:
    async with serving(max_connections=2) as served:
        first, second = await served.connect(), await served.connect()
        await served.until_inside(2)
        assert await rest_of((await served.connect())[0]) == b""
        assert served.closed(CloseReason.CONNECTION_LIMIT) == 1
        assert b"200 OK" in await answer(first)
        second[1].close()
        await served.until_inside(1)
        assert b"200 OK" in await answer(await served.connect())


async def test_no_more_from_one_address() -> None:
    async with serving(max_per_ip=1) as served:
        await served.connect()
        await served.until_inside(1)
        assert await rest_of((await served.connect())[0]) == b""
        assert served.closed(CloseReason.PER_IP_LIMIT) == 1
        other = await served.connect(local_addr=("127.0.0.2", 0))
        assert b"200 OK" in await answer(other)


async def test_silent_connections_end() -> None:
    async with serving(idle_timeout_s=0.5) as served:
        fresh, used = await served.connect(), await served.connect()
        assert b"200 OK" in await answer(used)
        assert await rest_of(fresh[0]) == b""
        assert await rest_of(used[0]) == b""
        await served.until_inside(0)


@pytest.mark.parametrize("before", [False, True], ids=["first", "second"])
async def test_heads_that_come_byte_by_byte_are_cut(before: bool) -> None:
    async with serving(idle_timeout_s=0.5) as served:
        reader, writer = await served.connect()
        if before:
            await answer((reader, writer))

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X")
                    await writer.drain()
                    await asyncio.sleep(0.001)

        writer.write(b"GET /v1/specs HTTP/1.1\r\nX-Slow: ")
        dripping = asyncio.create_task(drip())
        assert await rest_of(reader) == b""
        dripping.cancel()
        assert served.asked == before


async def test_what_is_no_http_is_counted_and_answered() -> None:
    async with serving() as served:
        reader, writer = await served.connect()
        writer.write(b"\x16\x03\x01\x00\xc2\x01\x00\x00\xbe\x03\x03" + b"\x55" * 190)
        said = await rest_of(reader)
        assert b" 400 Bad Request\r\n" in said
        assert b"Server: iotlink\r\n" in said
        assert served.metrics.malformed_requests == {"rest": 1}
        assert served.asked == 0


# Refusals


async def test_it_says_why_it_refuses() -> None:
    async with serving() as served:
        refusals: list[Problem | None] = [served.server.refusal()]
        served.outbox.set_room(False)
        refusals.append(served.server.refusal())
        served.outbox.set_room(True)
        served.server.stop_accepting()
        refusals.append(served.server.refusal())
    assert [str(one.code) if one is not None else None for one in refusals] == [None, "no_room", "draining"]


# TLS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


async def test_half_done_handshakes_count(files: Files) -> None:
    """Whoever opens connections and does no handshake takes no more than others may have."""
    async with serving(tls=files.server(), max_connections=3) as served:
        silent = [await served.connect() for _ in range(3)]
        silent[0][1].write(b"\x16\x03\x01\x02\x00\x01")
        await served.until_inside(3)
        for _ in range(5):
            assert await rest_of((await served.connect())[0]) == b""
        assert served.closed(CloseReason.CONNECTION_LIMIT) == 5
        silent[1][1].close()
        await served.until_inside(2)
        proper = await served.connect(ssl=files.client(), server_hostname="gateway.test")
        assert b"200 OK" in await answer(proper)
        assert served.last is not None
        assert served.last.secure


async def test_half_done_handshakes_are_cut(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(tls=files.server())
    monkeypatch.setattr(served.listener._door, "handshake_s", 0.05)
    await served.server.start()
    reader, writer = await served.connect()
    writer.write(b"\x16\x03\x01")
    assert await rest_of(reader) == b""
    await served.until_inside(0)
    assert served.closed(CloseReason.TLS_FAILED) == 1
    writer.close()
    await served.server.drain(0.0)


async def test_plain_bytes_at_a_tls_port(files: Files) -> None:
    async with serving(tls=files.server()) as served:
        reader, writer = await served.connect()
        writer.write(GET)
        assert b"HTTP" not in await rest_of(reader)
        await served.until_inside(0)
        assert served.closed(CloseReason.TLS_FAILED) == 1


async def test_who_the_certificate_names(files: Files) -> None:
    async with serving(tls=files.server(ClientAuth.REQUIRED)) as served:
        caller = await served.connect(ssl=files.client(name="erp"), server_hostname="gateway.test")
        assert b"200 OK" in await answer(caller)
        assert served.last is not None
        assert served.last.transport is not None
        certificate = served.last.transport.get_extra_info("peercert")
        assert (("commonName", "erp"),) in certificate["subject"]
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            nobody = await served.connect(ssl=files.client(), server_hostname="gateway.test")
            nobody[1].write(GET)
            assert await nobody[0].read() == b""
        async with asyncio.timeout(GUARD_S):
            while not served.closed(CloseReason.TLS_FAILED):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)


async def test_large_bodies_over_tls(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways, with a peer that reads late."""
    async with serving(tls=files.server()) as served:

        async def echo(route: Route, request: web.Request) -> web.StreamResponse:
            taken = 0
            async for piece in request.content.iter_chunked(65_536):
                taken += len(piece)
            return web.Response(body=b"y" * taken)

        monkeypatch.setattr(served.listener, "_answer", echo)
        size = 8 << 20
        head = f"POST /v1/telemetry HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode()

        def call() -> bytes:
            """With blocking sockets: clients of event loops lose what comes before a goodbye while they do not read."""
            with (
                socket.create_connection(served.listener.addresses[0], GUARD_S) as raw,
                files.client().wrap_socket(raw, server_hostname="gateway.test") as secured,
            ):
                secured.sendall(head + b"x" * size)
                return b"".join(iter(lambda: secured.recv(65_536), b""))

        said = await asyncio.to_thread(call)
        assert said.startswith(b"HTTP/1.1 200 OK")
        assert said.endswith(b"\r\n\r\n" + b"y" * size)


async def test_the_end_waits_for_no_handshake(files: Files) -> None:
    async with serving(tls=files.server()) as served:
        shaking = await served.connect()
        proper = await served.connect(ssl=files.client(), server_hostname="gateway.test")
        assert b"200 OK" in await answer(proper)
        await served.server.drain(GUARD_S)
        assert await rest_of(shaking[0]) == b""
        assert await rest_of(proper[0]) == b""
        assert served.closed(CloseReason.SHUTDOWN) == 2


@pytest.mark.parametrize(
    ("first_line", "status", "said"),
    [
        (b"POST /nothing", b"404", b"no such path: the calls are listed at /docs"),
        (b"POST /v1/telemetry/", b"404", b"did you mean /v1/telemetry?"),
        (b"PUT /v1/specs/a", b"405", b"PUT is not taken here: GET and HEAD are"),
        (b"PURGE /v1/specs/a:decode", b"405", b"this method is not taken here: POST is"),
    ],
)
async def test_what_no_route_takes(first_line: bytes, status: bytes, said: bytes) -> None:
    """It is a request as any other, also with an expectation: nothing of a body is asked for."""
    head = first_line + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Request-Id: r-1\r\nConnection: close\r\n"
    async with serving() as served:
        reader, writer = await served.connect()
        writer.write(head + b"Expect: 100-continue\r\n\r\n")
        got = await rest_of(reader)
        assert got.startswith(b"HTTP/1.1 " + status)
        assert said in got
        reader, writer = await served.connect()
        writer.write(head + b"Expect: banana\r\n\r\n12345")
        unknown = await rest_of(reader)
        assert unknown.startswith(b"HTTP/1.1 417 ")
        assert b"unknown_expectation" in unknown
        assert b"X-Request-Id: r-1\r\n" in got
        assert b"X-Request-Id: r-1\r\n" in unknown
        assert served.asked == 0
        counted = {(route, number) for (_, route, _, number), count in served.requests._counts.items() if count}
        assert counted == {("unmatched", int(status)), ("unmatched", 417)}
