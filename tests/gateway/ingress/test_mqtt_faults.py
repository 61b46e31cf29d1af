"""Strangers at an MQTT port: nothing they send ends more than their own connection, or costs memory."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import tracemalloc

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason
from gateway.ingress.mqtt import Transport
from gateway.protocol.mqtt.packets import V5, V311, Pingreq, Pingresp, Publish
from gateway.protocol.mqtt.ports import ClientLimits
from tests.gateway.ingress.mqtt_rig import VERSIONS, MqttPeer, MqttRig
from tests.gateway.ingress.rig import until
from tests.gateway.ingress.test_mqtt_websocket import UPGRADE, masked
from tests.gateway.protocol.mqtt.test_mqtt_client_mutations import conversation, mutate

TRANSPORTS = list(Transport)


async def strike(rig: MqttRig, data: bytes, chance: random.Random) -> None:
    """One stranger: some bytes in some pieces, read or not, and gone."""
    peer = await rig.peer()
    try:
        size = chance.choice((1, 7, 60, 10_000))
        for at in range(0, len(data), size):
            if peer.writer.transport.is_closing():
                break
            peer.send(data[at : at + size])
            if size < 100:
                await asyncio.sleep(0)
        if chance.random() < 0.5:
            peer.writer.write_eof()
            await peer.read_to_end()
        elif chance.random() < 0.5 and not peer.writer.transport.is_closing():
            peer.reset()
    except (OSError, RuntimeError):
        pass  # cut while it was sending
    peer.writer.transport.abort()
    rig.peers.remove(peer)


async def strikes(rig: MqttRig, wires: list[bytes], chance: random.Random) -> None:
    for at in range(0, len(wires), 50):
        async with asyncio.TaskGroup() as tasks:
            for wire in wires[at : at + 50]:
                tasks.create_task(strike(rig, wire, chance), name="stranger")
        rig.outbox.settle_all()


def mutated(transport: Transport, version: int, count: int, chance: random.Random) -> list[bytes]:
    wires = []
    parts = conversation(version)
    for number in range(count):
        if transport is Transport.TCP:
            wires.append(mutate(parts, chance))
        elif number % 2:
            wires.append(UPGRADE + b"".join(masked(mutate([part], chance)[:60_000]) for part in parts))
        else:
            wires.append(mutate([UPGRADE, *map(masked, parts)], chance))
    return wires


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_mutated_connections_harm_nobody(version: int, transport: Transport) -> None:
    """So many on each loop, version and transport; the machines alone get thousands more."""
    chance = random.Random(version)
    limits = ClientLimits(max_packet_bytes=4_096, receive_maximum=8)
    with capture_logs() as logs:
        async with MqttRig(limits=limits, transport=transport) as rig:
            before = len(asyncio.all_tasks())
            began = time.process_time()
            await strikes(rig, mutated(transport, version, 250, chance), chance)
            assert time.process_time() - began < 10
            await until(lambda: rig.counters.open == 0)
            await until(lambda: len(asyncio.all_tasks()) == before)
            assert rig.counters.opened == 250
            rig.clock.advance(30 * 86_400)
            rig.server.sweep()
            await until(lambda: rig.broker.counts.sessions == 0)
            assert rig.counters.closed[CloseReason.INTERNAL_ERROR] == 0
            assert rig.broker.counts.queued_bytes == 0
    assert not [entry for entry in logs if entry["log_level"] in ("error", "critical")]


async def settle(rig: MqttRig) -> int:
    """Bytes that Python holds once everything has come to rest."""
    await until(lambda: rig.counters.open == 0)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.fault
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_memory_is_flat_over_thousands_of_strangers(transport: Transport) -> None:
    chance = random.Random(5)
    async with MqttRig(transport=transport, limits=ClientLimits(max_packet_bytes=4_096)) as rig:
        await strikes(rig, mutated(transport, V311, 300, chance), chance)
        tracemalloc.start()
        try:
            before = await settle(rig)
            for _ in range(4):
                await strikes(rig, mutated(transport, V5, 300, chance), chance)
                rig.outbox.kept.clear()
                rig.topics.messages.clear()
                rig.clock.advance(30 * 86_400)
                rig.server.sweep()
            assert await settle(rig) - before < 2_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first", [0x10, 0x30, 0x32, 0x82])
async def test_a_declared_length_of_256_mb_is_refused_before_a_byte_of_it_comes(version: int, first: int) -> None:
    async with MqttRig() as rig:
        peer = await rig.peer()
        if first != 0x10:
            await peer.connect("dev-1", version)
        peer.send(bytes((first, 0xFF, 0xFF, 0xFF, 0x7F)))
        await peer.read_to_end()
        await rig.closed(CloseReason.PROTOCOL_ERROR)


async def test_a_hundred_that_trickle_are_closed_in_time_and_a_client_is_served_meanwhile() -> None:
    async with MqttRig() as rig:
        slow = [await rig.peer() for _ in range(100)]
        device = await rig.join("dev-1")
        wire = conversation(V5)[0]
        for at in range(9):
            for peer in slow:
                peer.send(wire[at : at + 1])
            device.say(Pingreq())
            assert isinstance(await device.packet(), Pingresp)
            rig.pass_time(1)
        assert rig.counters.open == 101
        rig.pass_time(1)
        await rig.closed(CloseReason.LOGIN_TIMEOUT, 100)
        device.say(Pingreq())
        assert isinstance(await device.packet(), Pingresp)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_flood_of_qos_0_that_nobody_settles_stays_within_its_window(transport: Transport) -> None:
    limits = ClientLimits(publishes_in_flight=64)
    async with MqttRig(hold=True, transport=transport, limits=limits) as rig:
        peer: MqttPeer = await rig.peer()
        publish = b"\x30\x0a\x00\x01a" + bytes(7)
        connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"
        wrap = masked if transport is Transport.WEBSOCKET else bytes
        peer.send((UPGRADE if transport is Transport.WEBSOCKET else b"") + wrap(connect))
        await until(lambda: rig.broker.counts.connected == 1)
        burst = b"".join(wrap(publish) for _ in range(2_000))
        while not rig.counters.paused or peer.writer.transport.get_write_buffer_size() < 1 << 20:
            peer.send(burst)
            await asyncio.sleep(0)
        assert len(rig.topics.messages) == 64
        assert isinstance(rig.broker.sessions["c"].waiting[0].publish, Publish)
