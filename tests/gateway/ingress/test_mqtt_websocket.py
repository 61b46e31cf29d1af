"""MQTT in WebSockets: aiohttp's client and raw sockets against a real listener."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason
from gateway.ingress.mqtt import Transport
from gateway.ingress.tls import ClientAuth
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
)
from gateway.protocol.mqtt.ports import ClientLimits
from tests.gateway.ingress.mqtt_rig import VERSIONS, MqttRig
from tests.gateway.ingress.rig import GUARD_S, until
from tests.gateway.ingress.test_mqtt_stream import PROXY, files
from tests.gateway.ingress.tls_files import Files

__all__ = ["files"]

UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)


class Client:
    """A client in a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, version: int) -> None:
        self.socket = socket
        self.version = version
        self.decoder = Decoder(1 << 28, from_client=False, version=version)
        self.unread: list[Packet] = []

    async def say(self, *packets: Packet) -> None:
        await self.socket.send_bytes(b"".join(encode(packet, self.version) for packet in packets))

    async def packet(self) -> Packet:
        while not self.unread:
            message = await self.socket.receive(GUARD_S)
            assert message.type is WSMsgType.BINARY, message
            self.unread += self.decoder.receive(message.data)
        return self.unread.pop(0)

    async def connect(self, client_id: str) -> Connack:
        await self.say(Connect(self.version, client_id, keep_alive_s=60))
        packet = await self.packet()
        assert isinstance(packet, Connack)
        return packet


def websockets(**options: Any) -> MqttRig:
    return MqttRig(transport=Transport.WEBSOCKET, **options)


@asynccontextmanager
async def joined(
    rig: MqttRig, client_id: str = "dev-1", version: int = V5, tls: ssl.SSLContext | None = None, **more: Any
) -> AsyncIterator[Client]:
    host, port = rig.listener.addresses[0]
    scheme = "wss" if tls is not None else "ws"
    url = f"{scheme}://{host}:{port}/mqtt"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            url, protocols=("mqtt",), ssl=tls or False, server_hostname="gateway.test" if tls else None, **more
        ) as socket,
    ):
        assert socket.protocol == "mqtt"
        client = Client(socket, version)
        if client_id:
            assert (await client.connect(client_id)).reason is ReasonCode.SUCCESS
        yield client


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_publishes_and_subscribes(version: int) -> None:
    async with websockets() as rig, joined(rig, version=version) as client:
        await client.say(Subscribe(1, [Subscription("a", 1)]))
        assert isinstance(await client.packet(), Suback)
        for size in (1, 200, 70_000):
            await client.say(Publish("a", bytes(size), 1, packet_id=2))
            got = {type(packet): packet for packet in (await client.packet(), await client.packet())}
            publish = got[Publish]
            assert isinstance(publish, Publish)
            assert len(publish.payload) == size
            await client.say(Puback(publish.packet_id))
        assert rig.counters.opened == 1


async def test_packets_may_span_messages_and_messages_frames() -> None:
    async with websockets() as rig, joined(rig, "") as client:
        wire = encode(Connect(V5, "dev-1"), V5) + encode(Publish("a", b"x" * 300, 1, packet_id=1), V5)
        for at in range(0, len(wire), 7):
            await client.socket.send_bytes(wire[at : at + 7])
        assert isinstance(await client.packet(), Connack)
        assert isinstance(await client.packet(), Puback)


async def test_a_message_may_come_in_several_frames() -> None:
    async with websockets() as rig:
        peer = await rig.peer()
        connect, publish = encode(Connect(V5, "dev-1"), V5), encode(Publish("a", b"y", 1, packet_id=2), V5)
        ping = masked(b"between", 0x89)
        peer.send(UPGRADE + masked(connect) + masked(publish[:5], 0x02) + ping + masked(publish[5:], 0x80))
        await until(lambda: rig.payloads == [b"y"])
        peer.send(masked(encode(Disconnect(), V5)))
        assert b"\x8a\x07between" in await peer.read_to_end()


async def test_a_text_frame_closes() -> None:
    async with websockets() as rig, joined(rig) as client:
        await client.socket.send_str("hello")
        assert isinstance((await client.packet()), Disconnect)
        message = await client.socket.receive(GUARD_S)
        assert (message.type, message.data) == (WSMsgType.CLOSE, aiohttp.WSCloseCode.PROTOCOL_ERROR)
        await rig.closed(CloseReason.PROTOCOL_ERROR)


async def test_disconnect_and_the_websockets_own_close_end_it() -> None:
    with capture_logs() as logs:
        async with websockets() as rig:
            async with joined(rig) as client:
                await client.say(Publish("a", b"last"), Disconnect())
                assert (await client.socket.receive(GUARD_S)).type is WSMsgType.CLOSE
            await rig.closed(CloseReason.PEER_CLOSED)
            async with joined(rig) as client:
                await client.socket.close()
            await rig.closed(CloseReason.PEER_CLOSED, 2)
            assert rig.payloads == [b"last"]
    lines = [entry for entry in logs if entry["event"] == "connection_closed"]
    assert [(line["client_id"], line["transport"]) for line in lines] == [("dev-1", "websocket")] * 2


async def test_what_arrives_before_the_end_of_the_stream_is_taken_in() -> None:
    async with websockets() as rig:
        peer = await rig.peer()
        packets = encode(Connect(V5, "dev-1"), V5) + encode(Publish("a", b"last", 1, packet_id=1), V5)
        peer.send(UPGRADE + masked(packets))
        peer.writer.write_eof()
        answer = await peer.read_to_end()
        assert b"101 Switching" in answer
        assert rig.payloads == [b"last"]
        assert b"\x40\x02\x00\x01" in answer
        await rig.closed(CloseReason.PEER_CLOSED)


def masked(data: bytes, opcode: int = 0x82, length: bytes = b"") -> bytes:
    """A frame of a client, masked with zeros. length: declared, if another than its own."""
    size = len(data)
    declared = length or (bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big"))
    return bytes((opcode,)) + declared + bytes(4) + data


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (UPGRADE.replace(b"/mqtt", b"/other"), b"404", b"MQTT over WebSocket is at /mqtt"),
        (UPGRADE.replace(b"Sec-WebSocket-Protocol: mqtt\r\n", b""), b"400", b"Sec-WebSocket-Protocol: mqtt"),
        (UPGRADE.replace(b"Protocol: mqtt", b"Protocol: soap, amqp"), b"400", b"Sec-WebSocket-Protocol: mqtt"),
        (UPGRADE.replace(b"Upgrade: websocket\r\n", b""), b"426", b"a WebSocket is expected here"),
        (UPGRADE.replace(b"Version: 13", b"Version: 99"), b"400", b"Unsupported version"),
        (b"GET / HTTP/1.0\r\n\r\n", b"404", b"/mqtt"),
        (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", b"400", b""),
        (b"nonsense\r\n\r\n", b"400", b""),
    ],
)
async def test_what_is_no_websocket_of_mqtt_gets_an_answer(request_: bytes, status: bytes, says: bytes) -> None:
    async with websockets() as rig:
        peer = await rig.peer()
        peer.send(request_ + b"\r\n\r\n")
        answer = await peer.read_to_end()
        assert answer.split(b" ", 2)[1] == status
        assert says in answer
        await rig.closed(CloseReason.UNKNOWN_PROTOCOL)
        assert rig.door.seen == []


def page(origin: str, host: str) -> bytes:
    """The request of a page in a browser."""
    return UPGRADE.replace(b"Host: x", f"Host: {host}\r\nOrigin: {origin}".encode())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.test", "127.0.0.1:8083"),
        ("http://127.0.0.1:3000", "127.0.0.1:8083"),  # another port is another site
        ("http://evil.test:8083", "evil.test:8083"),  # its own name points to this machine
        ("https://dash.test.evil.test", "127.0.0.1:8083"),
        ("null", "127.0.0.1:8083"),
        ("", ""),
        ("http://[", "127.0.0.1:8083"),
    ],
)
async def test_pages_of_other_sites_are_refused(origin: str, host: str) -> None:
    with capture_logs() as logs:
        async with websockets(allowed_origins=["https://dash.test"]) as rig:
            peer = await rig.peer()
            peer.send(page(origin, host) + masked(encode(Connect(V5, "dev-1"), V5)))
            answer = await peer.read_to_end()
            assert answer.split(b" ", 2)[1] == b"403"
            assert b"allowed_origins" in answer
            await until(lambda: not rig.counters.open)
            assert rig.door.seen == []
    (line,) = (entry for entry in logs if entry["event"] == "connection_closed")
    assert (line["reason"], line["status"], line["origin"]) == ("refused", 403, origin)


@pytest.mark.parametrize(
    ("allowed", "origin", "host"),
    [
        ([], "http://localhost:8083", "localhost:8083"),
        (["https://dash.test"], "https://dash.test", "127.0.0.1:8083"),
        (["https://Dash.test"], "https://dash.TEST", "gateway.test"),
        (["*"], "http://anybody.test", "127.0.0.1:8083"),
        (["*"], "null", "127.0.0.1:8083"),
    ],
)
async def test_own_pages_and_those_of_allowed_origins_may_speak(allowed: list[str], origin: str, host: str) -> None:
    async with websockets(allowed_origins=allowed) as rig:
        peer = await rig.peer()
        peer.send(page(origin, host) + masked(encode(Connect(V5, "dev-1"), V5)))
        assert b"101 Switching" in await peer.read_line()
        await until(lambda: len(rig.door.seen) == 1)


async def test_off_loopback_any_name_may_be_the_gateways() -> None:
    async with websockets(host="0.0.0.0") as rig:
        peer = await rig.peer()
        peer.send(page("https://gateway.test", "gateway.test") + masked(encode(Connect(V5, "dev-1"), V5)))
        assert b"101 Switching" in await peer.read_line()


async def test_a_request_that_never_ends_is_cut_by_its_length_and_by_the_clock() -> None:
    async with websockets() as rig:
        long, slow = await rig.peer(), await rig.peer()
        long.send(b"GET /mqtt HTTP/1.1\r\n" + b"X-A: b\r\n" * 3000)
        await long.read_to_end()
        await rig.closed(CloseReason.UNKNOWN_PROTOCOL)
        slow.send(UPGRADE[:-4])
        await until(lambda: rig.counters.open == 1)
        rig.pass_time(10)
        assert await slow.read_to_end() == b""
        await rig.closed(CloseReason.LOGIN_TIMEOUT)


async def test_who_opens_a_websocket_and_does_not_connect_is_closed_in_time() -> None:
    async with websockets() as rig, joined(rig, ""):
        rig.pass_time(10)
        await rig.closed(CloseReason.LOGIN_TIMEOUT)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4),  # a length that nobody sends
        b"\x82\xff" + (256 << 20).to_bytes(8, "big") + bytes(4) + bytes(100_000),
        b"\x82\x05hello",  # not masked
        b"\xc2\x85" + bytes(4) + b"hello",  # compressed, which nobody agreed to
        b"\x83\x85" + bytes(4) + b"hello",  # an opcode that is none
        b"\x80\x85" + bytes(4) + b"hello",  # the rest of nothing
    ],
)
async def test_frames_that_are_none_close(frame: bytes) -> None:
    async with websockets() as rig:
        peer = await rig.peer()
        peer.send(UPGRADE + masked(encode(Connect(V5, "dev-1"), V5)))
        assert b"101 Switching" in await peer.read_line()
        peer.send(frame)
        await peer.read_to_end()
        await rig.closed(CloseReason.PROTOCOL_ERROR)


async def test_beyond_the_limits_a_client_is_told_so() -> None:
    async with websockets(max_connections=1) as rig, joined(rig), joined(rig, "") as second:
        assert (await second.connect("b")).reason is ReasonCode.SERVER_BUSY
        await rig.closed(CloseReason.CONNECTION_LIMIT)


async def test_over_tls_with_a_certificate(files: Files) -> None:
    async with (
        websockets(tls=files.server(ClientAuth.REQUIRED)) as rig,
        joined(rig, tls=files.client(name="tracker-7")) as client,
    ):
        await client.say(Pingreq())
        assert isinstance(await client.packet(), Pingresp)
        assert rig.door.seen[0].common_name == "tracker-7"


async def test_behind_a_balancer() -> None:
    async with websockets(proxy_protocol=True) as rig:
        peer = await rig.peer()
        packets = encode(Connect(V5, "dev-1"), V5) + encode(Publish("a", b"x", 1, packet_id=1), V5)
        peer.send(PROXY + UPGRADE + masked(packets))
        await until(lambda: len(rig.topics.messages) == 1)
        assert rig.topics.messages[0].peer == "192.0.2.7:40000"


async def test_publishes_in_flight_hold_back_the_reading() -> None:
    limits = ClientLimits(publishes_in_flight=4)
    async with websockets(hold=True, limits=limits) as rig, joined(rig) as client:
        wire = [encode(Publish("a", bytes(20_000), 0), V5) for _ in range(500)]

        async def send_all() -> None:
            for data in wire:
                await client.socket.send_bytes(data)

        sending = asyncio.ensure_future(send_all())
        await until(lambda: rig.counters.paused == 1)
        assert len(rig.topics.messages) == 4
        while len(rig.topics.messages) < 500:
            await until(lambda: bool(rig.outbox.waiting))
            rig.outbox.settle_all()
        await sending
        await until(lambda: rig.counters.paused == 0)


async def test_a_full_outbox_stops_the_reading_and_room_starts_it_again() -> None:
    async with websockets() as rig, joined(rig) as client:
        rig.outbox.set_room(False)
        assert rig.counters.paused == 1
        await client.say(Publish("a", b"1", 1, packet_id=1))
        rig.outbox.set_room(True)
        assert isinstance(await client.packet(), Puback)


async def test_who_does_not_read_is_cut() -> None:
    async with websockets() as rig:
        peer = await rig.peer(receive_bytes=4096)
        wire = encode(Connect(V5, "slow"), V5) + encode(Subscribe(1, [Subscription("big", 0)]), V5)
        peer.send(UPGRADE + masked(wire))
        await until(lambda: len(rig.broker.tree) == 1)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with joined(rig, "writer") as writer:
            for _ in range(200):
                await writer.say(Publish("big", bytes(50_000), 1, packet_id=1))
                await writer.packet()
            await until(lambda: rig.counters.paused == 1)
            await writer.say(Pingreq())
            assert isinstance(await writer.packet(), Pingresp)
            rig.pass_time(29)
            await writer.say(Pingreq())
            await writer.packet()
            rig.pass_time(1)
            await rig.closed(CloseReason.SLOW_READER)


async def test_drain_says_goodbye_and_leaves_no_task() -> None:
    async with websockets(hold=True) as rig, joined(rig) as client:
        await client.say(Publish("a", b"1", 1, packet_id=1))
        await until(lambda: len(rig.topics.messages) == 1)
        draining = asyncio.ensure_future(rig.server.drain(GUARD_S))
        await until(lambda: not rig.listener.addresses)
        rig.outbox.settle_all()
        assert isinstance(await client.packet(), Puback)
        disconnect = await client.packet()
        assert isinstance(disconnect, Disconnect)
        assert disconnect.reason is ReasonCode.SERVER_SHUTTING_DOWN
        message = await client.socket.receive(GUARD_S)
        assert message.data == aiohttp.WSCloseCode.GOING_AWAY
        assert await draining == 0
