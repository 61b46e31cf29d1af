"""Connections whose bytes are not what they should be: whatever comes, one connection at most is closed."""

from __future__ import annotations

import random

import pytest

from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Properties,
    Puback,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from gateway.protocol.mqtt.ports import ClientLimits
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench


def conversation(version: int) -> list[bytes]:
    said = Properties(topic_alias=1, user_properties=(("k", "v"),)) if version == V5 else None
    packets: list[Packet] = [
        Connect(version, "c", False, 30, Will("w", b"x", 1, True), "u", b"p"),
        Subscribe(1, [Subscription("a/#", 2), Subscription("$share/g/b", 1)]),
        Publish("a/b", b"1", 0, True, properties=said),
        Publish("a/b", b"2", 1, packet_id=1),
        Publish("a/b", b"3", 2, packet_id=2),
        Puback(1),
        Pubrec(2),
        Pubrel(2),
        Pingreq(),
        Unsubscribe(3, ["a/#"]),
        Disconnect(),
    ]
    return [encode(packet, version) for packet in packets]


def mutate(parts: list[bytes], chance: random.Random) -> bytes:
    parts = list(parts)
    for _ in range(chance.randint(0, 2)):
        first, second = chance.randrange(len(parts)), chance.randrange(len(parts))
        parts[first], parts[second] = parts[second], parts[first]
    data = bytearray(b"".join(parts))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.randrange(256)
            case 2:
                del data[at : at + chance.randint(1, 9)]
            case _:
                data[at:at] = chance.randbytes(chance.randint(1, 9))
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("version", VERSIONS)
def test_mutated_connections_harm_nobody_else(version: int) -> None:
    chance = random.Random(version)
    bench = Bench(limits=ClientLimits(receive_maximum=8, max_packet_bytes=4_096))
    watcher = bench.join("watcher")
    watcher.subscribe("alive")
    parts = conversation(version)
    for turn in range(1_000):
        peer = bench.peer(version)
        data = mutate(parts, chance)
        bench.flow.hold = turn % 3 == 0
        while data and peer.closed is None:
            size = chance.choice((1, 7, 60, 1_000))
            chunk, data = data[:size], data[size:]
            peer.machine.receive_bytes(chunk, bench.clock.unix_ms())
            bench.run()
        bench.settle()
        peer.drop()
        bench.flow.hold = False
        assert peer.errors == []
    bench.advance(8 * 86_400)
    assert (bench.counts.connected, bench.counts.sessions, len(bench.broker.tree)) == (1, 1, 1)
    assert (bench.counts.queued_bytes, bench.flow.waiting) == (0, [])
    publisher = bench.join("p")
    publisher.say(Publish("alive", b""))
    watcher.one(Publish)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_connection_may_end_at_every_byte(version: int) -> None:
    data = b"".join(conversation(version))
    for length in range(len(data)):
        bench = Bench()
        peer = bench.peer(version)
        peer.raw(data[:length])
        peer.drop()
        bench.advance(8 * 86_400)
        assert (bench.counts.sessions, bench.counts.connected, bench.counts.queued_bytes) == (0, 0, 0)
