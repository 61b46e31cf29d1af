"""The loads against a broker that answers rightly, wrongly, or not at all."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.protocol.mqtt.packets import Connack, Connect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel, ReasonCode
from loadtest.mqtt.loads import LOADS, Crowd, Load, LoadFailed, run
from tests.loadtest.mqtt.scripted_broker import ScriptedBroker, Seat

SMALL = [
    Load("zero", "", 0, 3, segment=5),
    Load("one", "", 1, 3, segment=5, window=10),
    Load("single", "", 1, 7),
    Load("paced", "", 1, 4, window=8, rate=2_000.0),
    Load("two", "", 2, 3, segment=5, window=5),
]


@pytest.mark.parametrize("load", SMALL, ids=lambda load: load.name)
async def test_every_message_is_sent_once_and_answered(load: Load) -> None:
    async with ScriptedBroker() as broker:
        played = await run(broker.address, load, 420)
        publishes = [packet for _, packet in broker.packets if isinstance(packet, Publish)]
        assert played.messages == len(publishes) == 420
        assert {packet.qos for packet in publishes} == {load.qos}
        assert Counter(packet.topic for packet in publishes).keys() == {
            f"devices/load-{number}/telemetry" for number in range(load.connections)
        }
        assert len(set(Counter(packet.topic for packet in publishes).values())) == 1
        assert len(played.waited_ms) == (420 if load.qos else 0)
        p99 = played.percentile(99)
        assert (p99 is None) is not bool(load.qos)
        assert p99 is None or 0 < p99 <= played.waited_ms[-1]


async def test_a_paced_load_takes_its_time() -> None:
    async with ScriptedBroker() as broker:
        played = await run(broker.address, SMALL[3], 400)
        assert played.seconds >= 400 / 2_000 * 0.9


@pytest.mark.parametrize(
    ("load", "wrong"),
    [
        (SMALL[1], lambda packet: Puback(packet.packet_id + 1)),
        (SMALL[1], lambda packet: Pubrec(packet.packet_id)),
        (SMALL[4], lambda packet: Puback(packet.packet_id)),
        (SMALL[4], lambda packet: Pubrec(packet.packet_id + 1)),
        (SMALL[4], lambda packet: Pubcomp(packet.packet_id)),
        (SMALL[0], lambda packet: Pubcomp(1)),
    ],
)
async def test_a_wrong_answer_ends_the_run(load: Load, wrong: object) -> None:
    def answer(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Publish):
            seat.say(wrong(packet))  # type: ignore[operator]
        return isinstance(packet, Publish)

    async with ScriptedBroker() as broker:
        broker.take_over = answer
        with pytest.raises(LoadFailed, match="packet_id"):
            await run(broker.address, load, 100)


async def test_answers_in_another_order_end_the_run() -> None:
    kept: list[int] = []

    def answer(seat: Seat, packet: Packet) -> bool:
        if not isinstance(packet, Publish):
            return False
        kept.append(packet.packet_id)
        if len(kept) == 5:
            for packet_id in reversed(kept):
                seat.say(Puback(packet_id))
        return True

    async with ScriptedBroker() as broker:
        broker.take_over = answer
        with pytest.raises(LoadFailed, match="where 1 was due"):
            await run(broker.address, Load("one", "", 1, 1, segment=5, window=5), 100)


async def test_a_release_is_sent_for_what_was_received() -> None:
    async with ScriptedBroker() as broker:
        await run(broker.address, SMALL[4], 60)
        kinds = Counter(type(packet) for _, packet in broker.packets)
        assert kinds[Pubrel] == kinds[Publish] == 60


async def test_a_broker_that_closes_ends_the_run() -> None:
    def close(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Publish):
            seat.transport.abort()
        return isinstance(packet, Publish)

    async with ScriptedBroker() as broker:
        broker.take_over = close
        with pytest.raises(LoadFailed, match="closed the connection"):
            await run(broker.address, SMALL[2], 100)


async def test_who_is_not_let_in_ends_the_run() -> None:
    def refuse(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Connect) and packet.client_id.endswith("-2"):
            seat.say(Connack(False, ReasonCode.SERVER_UNAVAILABLE))
            return True
        return False

    async with ScriptedBroker() as broker:
        broker.take_over = refuse
        with pytest.raises(LoadFailed, match="SERVER_UNAVAILABLE"):
            await run(broker.address, SMALL[2], 100)
        with pytest.raises(LoadFailed, match="SERVER_UNAVAILABLE"):
            await Crowd().connect(broker.address, 5)
        for seat in broker.seats:
            await seat.closed.wait()


async def test_nobody_listens() -> None:
    async with ScriptedBroker() as broker:
        address = broker.address
    with pytest.raises(ConnectionRefusedError):
        await run(address, SMALL[1], 100)


async def test_a_crowd_stays_until_it_leaves() -> None:
    async with ScriptedBroker() as broker:
        crowd = Crowd()
        await crowd.connect(broker.address, 300)
        assert crowd.seconds > 0
        assert len({name for name, _ in broker.packets}) == 300
        assert not any(seat.closed.is_set() for seat in broker.seats)
        assert crowd.lost_reasons == []
        crowd.leave()
        for seat in broker.seats:
            await seat.closed.wait()


def test_the_loads_are_those_that_are_promised() -> None:
    assert {name: load.aim for name, load in LOADS.items()} == {
        "qos0": 1.5,
        "qos1": 2.0,
        "qos1_single": 3.5,
        "qos1_paced": 4.0,
        "qos2": None,
    }
    assert (LOADS["qos1_single"].connections, LOADS["qos1_single"].window) == (200, 1)
    assert LOADS["qos1_paced"].rate == 5_000
