"""MQTT over TLS, behind a load balancer, and clients that do not read."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.ingress.stream_face import StreamOptions
from gateway.ingress.tls import ClientAuth
from gateway.protocol.mqtt.packets import V5, V311, Disconnect, Pingreq, Pingresp, Puback, Publish
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, DropReason
from gateway.protocol.proxy_v2 import SIGNATURE
from tests.gateway.ingress.mqtt_rig import VERSIONS, MqttRig
from tests.gateway.ingress.rig import until
from tests.gateway.ingress.tls_files import Files

PROXY = SIGNATURE + bytes((0x21, 0x11, 0, 12)) + bytes((192, 0, 2, 7, 198, 51, 100, 1, 0x9C, 0x40, 0x07, 0x5B))


LARGE = BrokerLimits(queue_bytes=64 << 20)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("newest", [True, False])
async def test_over_tls(files: Files, newest: bool) -> None:
    async with MqttRig(tls=files.server()) as rig:
        peer = await rig.join("dev-1", V5, tls=files.client(newest=newest))
        await peer.subscribe("a")
        await peer.publish("a", b"x" * 100_000, 1, 1)
        got = [await peer.packet(), await peer.packet()]
        assert {type(packet) for packet in got} == {Puback, Publish}
        assert rig.door.seen == [Principal()]


async def test_the_names_of_a_certificate_reach_the_access_port(files: Files) -> None:
    async with MqttRig(tls=files.server(ClientAuth.REQUIRED)) as rig:
        await rig.join("dev-1", tls=files.client(name="tracker-7"))
        (principal,) = rig.door.seen
        assert (principal.kind, principal.name, principal.common_name) == ("certificate", "tracker-7", "tracker-7")
        assert (principal.dns_names, principal.uris) == (("device.test",), ())


async def test_without_a_certificate_that_is_required_nobody_gets_in(files: Files) -> None:
    async with MqttRig(tls=files.server(ClientAuth.REQUIRED)) as rig:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await rig.join("dev-1", tls=files.client())
        await rig.closed(CloseReason.TLS_FAILED)
        assert rig.door.seen == []


async def test_tls_beyond_the_limit_is_cut_before_the_handshake(files: Files) -> None:
    async with MqttRig(tls=files.server(), max_connections=1) as rig:
        await rig.join("a", tls=files.client())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await rig.peer(tls=files.client())
        await rig.closed(CloseReason.CONNECTION_LIMIT)


@pytest.mark.parametrize("secure", [False, True])
async def test_behind_a_balancer_the_clients_address_counts(files: Files, secure: bool, tmp_path: Path) -> None:
    async with MqttRig(proxy_protocol=True, max_per_ip=1, tls=files.server() if secure else None) as rig:
        if secure:
            peer = await rig.peer()
            peer.send(PROXY)
            await peer.writer.start_tls(files.client(), server_hostname="gateway.test")
            await peer.connect("a")
        else:
            peer = await rig.join("a", first=PROXY)
        await peer.publish("a", b"", 1, 1)
        await peer.one(Puback)
        assert rig.topics.messages[0].peer == "192.0.2.7:40000"
        second = await rig.peer()
        second.send(PROXY)
        if secure:
            assert await second.read_to_end() == b""
        else:
            await second.connect("b")
        await rig.closed(CloseReason.PER_IP_LIMIT)


async def test_without_a_header_that_is_required_the_connection_ends() -> None:
    async with MqttRig(proxy_protocol=True) as rig:
        peer = await rig.peer()
        with pytest.raises((EOFError, ConnectionError)):
            await peer.connect("a")
        await rig.closed(CloseReason.BAD_PROXY_HEADER)


# Who does not read


async def flood(rig: MqttRig, count: int, qos: int = 0, size: int = 50_000) -> None:
    """A client publishes to `big`, and waits until all of it was taken in."""
    writer = await rig.join("writer")
    for number in range(count):
        await writer.publish("big", b"%d." % number + bytes(size), qos, number + 1 if qos else 0)
        if qos:
            await writer.one(Puback)
    writer.say(Pingreq())
    assert isinstance(await writer.packet(), Pingresp)
    writer.say(Disconnect())


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_subscriber_that_does_not_read_holds_nobody_up_and_is_cut(qos: int) -> None:
    limits = BrokerLimits(queue_messages=150, queue_bytes=64 << 20)
    async with MqttRig(broker_limits=limits, limits=ClientLimits(window=1000), write_timeout_s=30) as rig:
        slow = await rig.join("slow", receive_bytes=4096)
        await slow.subscribe("big")
        reader = await rig.join("reader")
        await reader.subscribe("last")
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await flood(rig, 400, qos)
        await until(lambda: rig.counters.paused == 1)
        assert rig.broker.counts.dropped[DropReason.QUEUE_FULL] > 50
        assert rig.broker.counts.queued_bytes <= 150 * 51_000
        quick = await rig.join("quick")
        await quick.publish("last", b"x")
        assert (await reader.one(Publish)).payload == b"x"
        rig.pass_time(29)
        assert rig.counters.closed[CloseReason.SLOW_READER] == 0
        for peer in (quick, reader):
            peer.say(Pingreq())
            await peer.packet()
        rig.pass_time(1)
        await rig.closed(CloseReason.SLOW_READER)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_subscriber_that_reads_again_gets_what_waits_in_order(version: int) -> None:
    async with MqttRig(limits=ClientLimits(window=5), broker_limits=LARGE) as rig:
        slow = await rig.join("slow", version, receive_bytes=4096)
        await slow.subscribe("big", qos=1)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await flood(rig, 15, 1, 200_000)
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for number in range(15):
            publish = await slow.one(Publish)
            assert publish.payload.startswith(b"%d." % number)
            slow.say(Puback(publish.packet_id))
        await until(lambda: rig.broker.counts.queued_bytes == 0)


async def test_a_message_beyond_the_write_limit_reaches_who_reads() -> None:
    """One large message is no sign of a slow reader."""
    big = ClientLimits(max_packet_bytes=4 << 20)
    async with MqttRig(
        limits=big, broker_limits=LARGE, max_write_buffer_bytes=1 << 20, write_buffer_bytes=65_536
    ) as rig:
        reader = await rig.join("reader", V5)
        await reader.subscribe("a")
        writer = await rig.join("writer", V311)
        await writer.publish("a", bytes(3 << 20), 1, 1)
        assert len((await reader.one(Publish)).payload) == 3 << 20


async def test_a_flood_of_pings_without_reading_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def small_buffers(connection: socket.socket, options: StreamOptions) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # or the kernel takes millions of answers

    monkeypatch.setattr("gateway.ingress.stream_face._set_socket_options", small_buffers)
    async with MqttRig(write_timeout_s=30) as rig:
        peer = await rig.join("dev-1", receive_bytes=4096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        chunk = b"\xc0\0" * 32_768
        while not (rig.counters.paused and peer.writer.transport.get_write_buffer_size() > 200_000):
            peer.send(chunk)
            await until(lambda: rig.counters.paused == 1 or peer.writer.transport.get_write_buffer_size() == 0)
        rig.pass_time(30)
        await rig.closed(CloseReason.SLOW_READER)
