"""A link: what its owner is told, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.protocol.mqtt.packets import V5, V311, Connack, Connect, Packet, Pingreq, Pingresp, ReasonCode
from loadtest.mqtt.link import Link, connect_packet
from tests.loadtest.mqtt.scripted_broker import ScriptedBroker, Seat


class Owner:
    def __init__(self) -> None:
        self.said: asyncio.Queue[object] = asyncio.Queue()
        self.room = asyncio.Event()

    def accepted(self, connack: Connack) -> None:
        self.said.put_nowait(connack)

    def received(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            self.said.put_nowait(packet)

    def writable(self) -> None:
        self.room.set()

    def lost(self) -> None:
        self.said.put_nowait("lost")

    def failed(self, reason: str) -> None:
        self.said.put_nowait(f"failed: {reason}")


async def opened(broker: ScriptedBroker, version: int = V311) -> tuple[Link, Owner]:
    owner = Owner()
    link = Link(owner, version, connect_packet(version, "c", clean=False, expiry_s=60))
    await link.open(broker.address)
    return link, owner


@pytest.mark.parametrize("version", [V311, V5])
async def test_it_is_let_in_and_hears_the_answers(version: int) -> None:
    async with ScriptedBroker() as broker:
        link, owner = await opened(broker, version)
        connack = await owner.said.get()
        assert isinstance(connack, Connack)
        assert not connack.session_present
        link.write(b"\xc0\0\xc0\0")
        assert [await owner.said.get() for _ in range(2)] == [Pingresp(), Pingresp()]
        [connect, *_] = [packet for _, packet in broker.packets]
        assert isinstance(connect, Connect)
        assert (connect.version, connect.client_id, connect.clean_start) == (version, "c", False)
        said = connect.properties.session_expiry_interval if connect.properties is not None else None
        assert said == (60 if version == V5 else None)
        link.abort()


async def test_a_refusal_is_a_failure() -> None:
    def refuse(seat: Seat, packet: Packet) -> bool:
        seat.say(Connack(False, ReasonCode.NOT_AUTHORIZED))
        return True

    async with ScriptedBroker() as broker:
        broker.take_over = refuse
        _, owner = await opened(broker)
        assert "NOT_AUTHORIZED" in str(await owner.said.get())
        await broker.seats[0].closed.wait()
        assert owner.said.empty()


async def test_a_broken_packet_is_a_failure_and_what_came_before_it_counts() -> None:
    def break_it(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Pingreq):
            seat.transport.write(b"\xd0\0\xf1\0")
        return isinstance(packet, Pingreq)

    async with ScriptedBroker() as broker:
        broker.take_over = break_it
        link, owner = await opened(broker)
        await owner.said.get()
        link.write(b"\xc0\0")
        assert await owner.said.get() == Pingresp()
        assert str(await owner.said.get()).startswith("failed: the server broke the standard")


async def test_a_lost_connection_is_told_once_and_an_abort_not_at_all() -> None:
    async with ScriptedBroker() as broker:
        links = [await opened(broker) for _ in range(2)]
        for _, owner in links:
            await owner.said.get()
        links[0][0].abort()
        broker.seats[1].transport.abort()
        assert await links[1][1].said.get() == "lost"
        await broker.seats[0].closed.wait()
        assert links[0][1].said.empty()
        links[1][0].write(b"\xc0\0")  # into the void


async def test_it_says_when_there_is_room_again() -> None:
    async with ScriptedBroker() as broker:
        link, owner = await opened(broker)
        await owner.said.get()
        broker.seats[0].transport.pause_reading()
        while not link.full:
            link.write(bytes(1 << 20))
        broker.take_over = lambda seat, packet: True
        broker.seats[0].data_received = lambda data: None  # type: ignore[method-assign]
        broker.seats[0].transport.resume_reading()
        await owner.room.wait()
        assert not link.full
        link.abort()
