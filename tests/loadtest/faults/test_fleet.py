"""The fleet against a gateway made by hand: what counts as acknowledged, and what is sent again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from decoders.framing.framer import cut
from decoders.types import SessionContext
from gateway.specs import load_catalog
from loadtest.faults.fleet import Fleet, frame, number_of
from loadtest.faults.processes import until

BYTES = len(frame(1))
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Peer:
    """Takes connections, reads and answers frames as the test says."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Connection] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.connections.put_nowait((reader, writer))

    async def login(self) -> Connection:
        reader, writer = await self.connections.get()
        assert len(await reader.readexactly(18)) == 18
        writer.write(bytes(10))
        return reader, writer


@pytest.fixture
async def peer() -> AsyncIterator[tuple[Peer, tuple[str, int]]]:
    peer = Peer()
    server = await asyncio.start_server(peer.take, "127.0.0.1", 0)
    async with server:
        yield peer, server.sockets[0].getsockname()[:2]
        for writer in peer.writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def answer(number: int) -> bytes:
    return b"\x78\x78\x05\x12" + (number & 0xFFFF).to_bytes(2) + bytes(4)


def test_a_record_of_a_frame_names_it() -> None:
    product = load_catalog().find("concox_gt06").product
    for number in (1, 59, 4000, 70_000):
        decoded = product.decode(cut(product.framing, frame(number)), SessionContext())
        assert number_of(decoded.values["time"]) == number


async def test_what_was_not_answered_is_sent_again_in_order(peer: tuple[Peer, tuple[str, int]]) -> None:
    gateway, address = peer
    async with Fleet(devices=1, window=4) as fleet:
        fleet.connect_to(address)
        reader, writer = await gateway.login()
        fleet.send(True)
        assert await reader.readexactly(BYTES * 4) == b"".join(frame(n) for n in (1, 2, 3, 4))
        writer.write(answer(1) + answer(2))
        assert await reader.readexactly(BYTES * 2) == frame(5) + frame(6)
        await until(lambda: fleet.acknowledged == 2, "two answers")
        fleet.send(False)
        writer.transport.abort()

        reader, writer = await gateway.login()
        assert await reader.readexactly(BYTES * 4) == b"".join(frame(n) for n in (3, 4, 5, 6))
        writer.write(b"".join(answer(n) for n in (3, 4, 5, 6)))
        await until(lambda: fleet.acknowledged == 6, "all answers")
        assert (fleet.sent, fleet.sent_again, fleet.mistakes) == (6, 4, [])


async def test_a_wrong_answer_is_a_mistake(peer: tuple[Peer, tuple[str, int]]) -> None:
    gateway, address = peer
    async with Fleet(devices=1, window=2) as fleet:
        fleet.connect_to(address)
        reader, writer = await gateway.login()
        fleet.send(True)
        await reader.readexactly(BYTES * 2)
        writer.write(answer(2))
        assert await reader.read() == b""
        assert fleet.acknowledged == 0
        assert len(fleet.mistakes) == 1


async def test_a_rate_is_kept_to_and_does_not_hold_back_what_was_sent_before(
    peer: tuple[Peer, tuple[str, int]],
) -> None:
    gateway, address = peer
    async with Fleet(devices=1, window=3) as fleet:
        fleet.connect_to(address)
        reader, writer = await gateway.login()
        fleet.send(True)
        await reader.readexactly(BYTES * 3)
        fleet.set_rate(0.001)  # a frame in a quarter of an hour
        writer.transport.abort()
        reader, writer = await gateway.login()
        assert await reader.readexactly(BYTES * 3) == b"".join(frame(n) for n in (1, 2, 3))
        writer.write(b"".join(answer(n) for n in (1, 2, 3)))
        await until(lambda: fleet.acknowledged == 3, "all answers")
        assert fleet.sent == 3
