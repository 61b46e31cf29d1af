"""TCP listeners on real sockets, with an outbox that a test settles and a clock that a test moves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from gateway.access.admission import Admission, Provisioning
from gateway.access.certificates import CertificateRule
from gateway.devices.directory import FileDirectory
from gateway.devices.sessions import SessionRegistry
from gateway.domain.device import DeviceKey
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome
from gateway.ingress.clock import IdSource
from gateway.ingress.flow import Flow
from gateway.ingress.stream_listener import StreamListener
from gateway.ingress.tcp import ListenerOptions, TcpServer, TcpServices
from gateway.observe.metrics import ListenerCounters, Metrics, TrafficCounters
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from gateway.protocol.device_session import DeviceSession
from gateway.protocol.session_ports import SessionLimits
from tests.gateway.fakes import FakeClock, FakeOutbox, FakeTap, LineProduct

GUARD_S = 20
LIMITS = SessionLimits(max_bad_frames=3, max_garbage_bytes=100, login_timeout_ms=30_000, idle_timeout_ms=300_000)


class Rig:
    """One server with one listener (`tests` add more before the start)."""

    def __init__(
        self,
        *,
        hold: bool = False,
        products: Sequence[LineProduct] = (),
        directory: str = "",
        provisioning: Provisioning = Provisioning.ALLOW_NEW,
        certificates: CertificateRule | None = None,
        spread_s: float = 0.0,
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.outbox = FakeOutbox(hold=hold)
        self.registry = SessionRegistry()
        self.tap = FakeTap()
        found = FileDirectory.from_text(directory, "devices.yaml")
        services = TcpServices(
            flow=Flow(Chain(Shaper(Numbering("gw", 1), "dev", found)), self.outbox),
            outbox=self.outbox,
            admission=Admission(found, provisioning),
            place=self.registry,
            tap=self.tap,
            metrics=self.metrics,
            clock=self.clock,
            ids=IdSource(),
            certificates=certificates or CertificateRule(),
            spread_s=spread_s,
        )
        self.server = TcpServer(services)
        speaking = list(products) or [LineProduct()]
        made = replace(ListenerOptions("l", "127.0.0.1", 0, limits=LIMITS), **options)
        self.listener: StreamListener = self.server.add(made, lambda: speaking)
        self.peers: list[Peer] = []

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self.peers:
            peer.writer.transport.abort()
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()
        await self.server.drain(0)
        assert self.listener.connections == 0
        assert (self.counters.open, self.counters.paused) == (0, 0)
        assert self.counters.opened == sum(self.counters.closed.values())
        if error is None:
            self.outbox.settle_all()
            assert self.metrics.in_flight() == 0
            assert self.traffic.outcomes[Outcome.REFUSED] == sum(self.traffic.refused.values())

    async def connect(
        self, *, to: StreamListener | None = None, tls: ssl.SSLContext | None = None, receive_bytes: int = 0
    ) -> Peer:
        """A client. receive_bytes: size of its socket's buffer, for those that do not read."""
        peer = Peer(*await open_socket((to or self.listener).addresses[0], tls, receive_bytes))
        self.peers.append(peer)
        return peer

    async def log_in(self, device_id: str, **more: Any) -> Peer:
        peer = await self.connect(**more)
        peer.send(f"L{device_id}\n".encode())
        assert await peer.read_line() == f"l{device_id}\n".encode()
        return peer

    def pass_time(self, seconds: float) -> None:
        """Lets the time pass as the sweep sees it: it looks once now, and once when the time is over."""
        self.server.sweep()
        self.clock.advance(seconds)
        self.server.sweep()

    async def closed(self, reason: CloseReason, count: int = 1) -> None:
        """Waits until so many connections have been closed for this reason."""
        await until(lambda: self.counters.closed[reason] >= count)
        assert self.counters.closed[reason] == count

    async def accepted(self, count: int) -> None:
        """Waits until so many connections are open."""
        await until(lambda: self.listener.connections == count)

    def session(self, device_id: str) -> DeviceSession:
        """The live session of a device."""
        found = self.registry.find(DeviceKey(self.listener.options.tenant, device_id))
        assert isinstance(found, DeviceSession)
        return found

    @property
    def counters(self) -> ListenerCounters:
        return self.metrics.listener("l")

    @property
    def traffic(self) -> TrafficCounters:
        return self.metrics.traffic("l", "line")


class Peer:
    """The device's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def address(self) -> str:
        host, port = self.writer.get_extra_info("sockname")
        return f"{host}:{port}"

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def reset(self) -> None:
        """Ends the connection the hard way."""
        linger_for_nothing = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
        self.writer.transport.abort()

    async def read_line(self) -> bytes:
        async with asyncio.timeout(GUARD_S):
            return await self.reader.readline()

    async def read_exactly(self, count: int) -> bytes:
        async with asyncio.timeout(GUARD_S):
            return await self.reader.readexactly(count)

    async def read_to_end(self) -> bytes:
        """Everything up to the close; a reset counts as a close."""
        data = b""
        async with asyncio.timeout(GUARD_S):
            try:
                while more := await self.reader.read(65_536):
                    data += more
            except ConnectionResetError:
                pass
        return data


async def open_socket(
    address: tuple[str, int], tls: ssl.SSLContext | None = None, receive_bytes: int = 0
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    async with asyncio.timeout(GUARD_S):
        await loop.sock_connect(sock, address)
        server_hostname = "gateway.test" if tls is not None else None
        limit = receive_bytes or 65_536
        return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=server_hostname, limit=limit)


async def until(condition: Callable[[], bool]) -> None:
    """Gives the event loop turns until the condition holds."""
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110 - what it waits for lies within the product
            await asyncio.sleep(0.001)
