from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import CloseReason
from gateway.ingress.rest.door import Door
from gateway.observe.metrics import ListenerCounters
from tests.gateway.ingress.tls_files import Files


class Told(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return True

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(("lost", exc))


class FakeTransport(asyncio.Transport):
    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__({"peername": (host, 5), "socket": "its socket"})
        self.written = b""
        self.aborted = self.closed = self.paused = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += data

    def take(self) -> bytes:
        written, self.written = self.written, b""
        return written

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def is_reading(self) -> bool:
        return not self.paused

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return len(self.written)


Serve = Callable[[], Told]


def made(max_connections: int = 10, max_per_ip: int = 0, **options: Any) -> tuple[Door, Serve, list[Told]]:
    served: list[Told] = []

    def serve() -> Told:
        served.append(Told())
        return served[-1]

    limits = ConnectionLimits(max_connections, max_per_ip)
    return Door(limits, ListenerCounters("rest"), **options), serve, served


async def test_everything_passes_and_is_counted() -> None:
    door, serve, served = made()
    connection = door(serve)
    connection.connection_made(FakeTransport())
    connection.data_received(b"x")
    assert connection.eof_received() is True
    connection.pause_writing()
    connection.resume_writing()
    assert (door.counters.open, door.counters.opened) == (1, 1)
    lost = ConnectionResetError()
    connection.connection_lost(lost)
    connection.connection_lost(lost)
    assert served[0].calls == ["made", b"x", "eof", "pause", "resume", ("lost", lost)]
    assert (door.counters.open, door.counters.closed[CloseReason.CONNECTION_LOST]) == (0, 1)
    await door.ended()


async def test_limits() -> None:
    door, serve, served = made(max_connections=2, max_per_ip=1)
    transports = [FakeTransport(host) for host in ("::1", "::1", "127.0.0.1", "127.0.0.2")]
    connections = [door(serve) for _ in transports]
    for connection, transport in zip(connections, transports, strict=True):
        connection.connection_made(transport)
        connection.data_received(b"x")
    assert [transport.aborted for transport in transports] == [False, True, False, True]
    assert door.counters.closed[CloseReason.PER_IP_LIMIT] == door.counters.closed[CloseReason.CONNECTION_LIMIT] == 1
    assert len(served) == 2
    refused = connections[1]
    assert refused.eof_received() is None
    refused.pause_writing()
    refused.resume_writing()
    refused.connection_lost(None)
    assert door.counters.open == 2
    door.close()
    assert not transports[0].aborted  # it may have a request under way
    door.abort()
    assert transports[0].aborted
    ending = asyncio.create_task(door.ended())
    for index in (0, 2):
        connections[index].connection_lost(None)
    await ending
    assert door.counters.closed[CloseReason.SHUTDOWN] == 2
    assert door.counters.opened == sum(door.counters.closed.values())


# TLS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(files: Files) -> ssl.SSLContext:
    return files.server()


class Peer:
    """A client's TLS in memory, at the other end of one connection of the door."""

    def __init__(self, door: Door, serve: Serve, files: Files) -> None:
        self.raw = FakeTransport()
        self.connection = door(serve)
        self.connection.connection_made(self.raw)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = files.client().wrap_bio(self._in, self._out, server_hostname="gateway.test")

    def carry(self) -> None:
        """What each has written reaches the other."""
        data = self._out.read()
        if data:
            self.connection.data_received(data)
        self._in.write(self.raw.take())

    def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.carry()
        self.carry()


async def test_a_handshake_counts_from_its_first_moment(files: Files, tls: ssl.SSLContext) -> None:
    door, serve, served = made(max_connections=1, tls=tls)
    first, second = (Peer(door, serve, files) for _ in range(2))
    assert (first.raw.aborted, second.raw.aborted) == (False, True)
    assert (door.counters.open, len(door.inside), served) == (1, 1, [])
    first.shake_hands()
    (told,) = served
    assert told.calls == ["made"]
    first.tls.write(b"GET")
    first.carry()
    assert told.calls[1:] == [b"GET"]
    assert told.transport is not None
    told.transport.write(b"answer")
    assert b"answer" not in first.raw.written
    first.carry()
    assert first.tls.read() == b"answer"
    first.connection.connection_lost(None)
    assert told.calls[-1] == ("lost", None)
    assert (door.counters.open, door.counters.closed[CloseReason.PEER_CLOSED]) == (0, 1)


async def test_the_peer_says_goodbye(files: Files, tls: ssl.SSLContext) -> None:
    """aiohttp may keep the connection, as this protocol does, or not."""
    door, serve, served = made(tls=tls)
    keeps, leaves = (Peer(door, serve, files) for _ in range(2))
    for peer in (keeps, leaves):
        peer.shake_hands()
    served[1].eof_received = lambda: False  # type: ignore[method-assign]
    for peer in (keeps, leaves):
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.unwrap()
        peer.carry()
    assert served[0].calls[-1] == "eof"
    assert (keeps.raw.closed, leaves.raw.closed) == (False, True)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_no_tls(files: Files, tls: ssl.SSLContext, when: str) -> None:
    door, serve, served = made(tls=tls)
    peer = Peer(door, serve, files)
    if when == "after":
        peer.shake_hands()
    for _ in range(2):
        peer.connection.data_received(b"GET / HTTP/1.1\r\n\r\n" * 10)
    assert peer.raw.is_closing()
    assert bool(peer.raw.written) == (when == "after")  # the alert: to plain HTTP, OpenSSL has none to say
    assert len(served) == (when == "after")
    peer.connection.connection_lost(None)
    assert door.counters.closed[CloseReason.TLS_FAILED] == 1
    assert door.counters.open == 0


async def test_a_handshake_that_never_ends_is_cut(files: Files, tls: ssl.SSLContext) -> None:
    door, serve, served = made(tls=tls, handshake_s=0.0)
    peer, quick = (Peer(door, serve, files) for _ in range(2))
    quick.shake_hands()  # before the event loop looks at the time
    peer.connection.data_received(b"\x16\x03\x01")
    while not peer.raw.aborted:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    peer.connection.connection_lost(None)
    assert door.counters.closed[CloseReason.TLS_FAILED] == 1
    assert not quick.raw.aborted
    assert len(served) == 1


async def test_at_the_end_handshakes_are_not_waited_for(files: Files, tls: ssl.SSLContext) -> None:
    door, serve, _ = made(tls=tls)
    shaking, inside = (Peer(door, serve, files) for _ in range(2))
    inside.shake_hands()
    door.close()
    assert (shaking.raw.aborted, inside.raw.aborted) == (True, False)
    shaking.connection.connection_lost(None)
    assert door.counters.closed[CloseReason.SHUTDOWN] == 1
