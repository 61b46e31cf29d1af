"""Listening sockets: crowds, addresses, and a machine without files."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from structlog.testing import capture_logs

from gateway.ingress import accepting
from gateway.ingress.accepting import MAX_PER_TURN, Acceptor
from tests.gateway.ingress.rig import until


class Line(asyncio.Protocol):
    """Counts the connections that were given a protocol."""

    open: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).open += 1
        transport.close()


@pytest.fixture
def line() -> type[Line]:
    class Fresh(Line):
        pass

    return Fresh


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection that waits in the queue: the kernel completes it without the gateway."""
    sock = socket.create_connection(address, timeout=20)
    sock.setblocking(False)
    return sock


async def test_a_crowd_is_taken_in_few_turns(line: type[Line]) -> None:
    acceptor = Acceptor("l", line, 4096)
    await acceptor.open("127.0.0.1", 0)
    count = MAX_PER_TURN + 44
    peers = [connect(acceptor.addresses[0]) for _ in range(count)]
    turns = 0
    try:
        while line.open < count:
            await asyncio.sleep(0)
            turns += 1
            assert turns < 50
    finally:
        acceptor.close()
        await acceptor.settled()
        for peer in peers:
            peer.close()


async def test_what_was_taken_before_the_close_still_gets_its_protocol(line: type[Line]) -> None:
    acceptor = Acceptor("l", line, 8)
    await acceptor.open("127.0.0.1", 0)
    address = acceptor.addresses[0]
    peer = connect(address)
    while not acceptor._arriving:  # noqa: ASYNC110 - what it waits for lies within the product
        await asyncio.sleep(0)
    acceptor.close()
    assert line.open == 0
    assert acceptor.addresses == []
    await acceptor.settled()
    assert line.open == 1
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    peer.close()


async def test_all_addresses_of_a_name_or_none(line: type[Line]) -> None:
    acceptor = Acceptor("l", line, 8)
    await acceptor.open("localhost", 0)
    hosts = {host for host, _ in acceptor.addresses}
    acceptor.close()
    assert "127.0.0.1" in hosts
    with pytest.raises(socket.gaierror):
        await acceptor.open("no-such-host.invalid", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="in use") as caught:
            await acceptor.open("127.0.0.1", taken.getsockname()[1])
        assert caught.value.errno == errno.EADDRINUSE
    assert acceptor.addresses == []


async def test_without_files_it_tries_again(line: type[Line], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "PAUSE_S", 0)
    failures = iter([OSError(errno.EMFILE, "Too many open files"), ConnectionAbortedError()])
    accept = socket.socket.accept

    def failing(sock: socket.socket) -> tuple[socket.socket, object]:
        for failure in failures:
            raise failure
        return accept(sock)

    monkeypatch.setattr(socket.socket, "accept", failing)
    acceptor = Acceptor("l", line, 8)
    await acceptor.open("127.0.0.1", 0)
    with capture_logs() as logs:
        peer = connect(acceptor.addresses[0])
        await until(lambda: line.open == 1)
    assert logs == [
        {"event": "cannot_accept", "log_level": "error", "listener": "l", "detail": "Too many open files"},
    ]
    monkeypatch.setattr(accepting, "PAUSE_S", 60)
    failures = iter([OSError(errno.EMFILE, "Too many open files")])
    second = connect(acceptor.addresses[0])
    await until(lambda: bool(acceptor._pauses))
    acceptor.close()
    assert line.open == 1
    for sock in (peer, second):
        sock.close()


async def test_a_protocol_that_cannot_be_made_costs_its_connection_alone(line: type[Line]) -> None:
    made = iter([None, line()])

    def make() -> asyncio.Protocol:
        found = next(made)
        if found is None:
            raise RuntimeError("no")
        return found

    acceptor = Acceptor("l", make, 8)
    await acceptor.open("127.0.0.1", 0)
    with capture_logs() as logs:
        first, second = connect(acceptor.addresses[0]), connect(acceptor.addresses[0])
        await until(lambda: line.open == 1)
    assert [entry["event"] for entry in logs] == ["accept_failed"]
    acceptor.close()
    await acceptor.settled()
    for sock in (first, second):
        sock.close()
