from __future__ import annotations

import asyncio
from typing import Any

from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import CloseReason
from gateway.ingress.rest.door import Door
from gateway.observe.metrics import ListenerCounters


class Told(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
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
    def __init__(self, host: str) -> None:
        super().__init__({"peername": (host, 5)})
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def made(max_connections: int = 10, max_per_ip: int = 0) -> tuple[Door, list[Told]]:
    served: list[Told] = []

    def serve() -> Told:
        served.append(Told())
        return served[-1]

    return Door(serve, ConnectionLimits(max_connections, max_per_ip), ListenerCounters("rest")), served


async def test_everything_passes_and_is_counted() -> None:
    door, served = made()
    connection = door()
    connection.connection_made(FakeTransport("127.0.0.1"))
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
    door, served = made(max_connections=2, max_per_ip=1)
    transports = [FakeTransport(host) for host in ("::1", "::1", "127.0.0.1", "127.0.0.2")]
    connections = [door() for _ in transports]
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
    door.closing = True
    door.abort()
    assert transports[0].aborted
    ending = asyncio.create_task(door.ended())
    for index in (0, 2):
        connections[index].connection_lost(None)
    await ending
    assert door.counters.closed[CloseReason.SHUTDOWN] == 2
    assert door.counters.opened == sum(door.counters.closed.values())
