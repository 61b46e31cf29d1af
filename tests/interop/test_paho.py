"""paho-mqtt: over TCP and in a WebSocket."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.gateway.ingress.rig import GUARD_S, until

if TYPE_CHECKING:
    from tests.interop.conftest import Gateway

pytestmark = pytest.mark.e2e
VERSIONS = [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5]
TRANSPORTS = ["tcp", "websockets"]


class Client:
    """A paho client with its network thread."""

    def __init__(self, client: paho.Client) -> None:
        self.client = client
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.connected: queue.Queue[str] = queue.Queue()
        self.subscribed: queue.Queue[int] = queue.Queue()
        client.on_message = lambda _client, _data, message: self.messages.put(message)
        client.on_connect = lambda _client, _data, _flags, reason, _more: self.connected.put(str(reason))
        client.on_subscribe = lambda _client, _data, mid, _reasons, _more: self.subscribed.put(mid)

    async def message(self) -> paho.MQTTMessage:
        return await asyncio.to_thread(self.messages.get, True, GUARD_S)

    async def publish(self, topic: str, payload: bytes, qos: int, **more: Any) -> None:
        info = self.client.publish(topic, payload, qos, **more)
        await asyncio.to_thread(info.wait_for_publish, GUARD_S)
        assert info.is_published()

    async def subscribe(self, topic: str, qos: int = 2) -> None:
        self.client.subscribe(topic, qos)
        await asyncio.to_thread(self.subscribed.get, True, GUARD_S)


@asynccontextmanager
async def joined(
    gateway: Gateway,
    version: MQTTProtocolVersion,
    transport: str = "tcp",
    *,
    client_id: str = "",
    persistent: bool = False,
    password: str | None = None,
    will: str | None = None,
    answer: str = "Success",
) -> AsyncIterator[Client]:
    v5 = version is MQTTProtocolVersion.MQTTv5
    clean = None if v5 else not persistent
    made = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean, protocol=version, transport=transport)  # type: ignore[arg-type]
    if transport == "websockets":
        made.ws_set_options("/mqtt")
    if password is not None:
        made.username_pw_set("user", password)
    if will is not None:
        made.will_set(will, client_id, 1)
    client = Client(made)
    said: dict[str, Any] = {}
    if v5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 600 if persistent else 0
        said = {"clean_start": not persistent, "properties": properties}
    port = gateway.port if transport == "tcp" else gateway.websocket_port
    await asyncio.to_thread(made.connect, "127.0.0.1", port, 60, **said)
    made.loop_start()
    try:
        assert await asyncio.to_thread(client.connected.get, True, GUARD_S) == answer
        yield client
    finally:
        made.disconnect()
        await asyncio.to_thread(made.loop_stop)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_in_and_out(gateway: Gateway, version: MQTTProtocolVersion, transport: str, qos: int) -> None:
    async with joined(gateway, version, transport) as client:
        await client.subscribe("a/#", qos)
        await client.publish("a/b", b"x" * 100_000, qos)
        message = await client.message()
        assert (message.topic, len(message.payload), message.qos) == ("a/b", 100_000, qos)
        assert len(gateway.taken("a/b")) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_retained_will_and_persistent_session(
    gateway: Gateway, version: MQTTProtocolVersion, transport: str
) -> None:
    async with joined(gateway, version, transport, client_id="writer") as writer:
        await writer.publish("state", b"on", 1, retain=True)
        async with joined(gateway, version, transport, client_id="reader", persistent=True) as reader:
            for topic in ("state", "gone", "later"):
                await reader.subscribe(topic)
            message = await reader.message()
            assert (message.payload, message.retain) == (b"on", True)
            async with joined(gateway, version, transport, client_id="dying", will="gone") as dying:
                dying.client._sock_close()
                assert (await reader.message()).payload == b"dying"
        await until(lambda: gateway.broker.sessions["reader"].connection is None)
        await writer.publish("later", b"queued", 1)
        async with joined(gateway, version, transport, client_id="reader", persistent=True) as reader:
            assert (await reader.message()).payload == b"queued"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_properties_and_shared_subscriptions_of_5_0(gateway: Gateway, transport: str) -> None:
    version = MQTTProtocolVersion.MQTTv5
    async with joined(gateway, version, transport) as one, joined(gateway, version, transport) as two:
        for client in (one, two):
            await client.subscribe("$share/g/work")
        said = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        said.ContentType = "application/json"
        said.UserProperty = ("sig", "x")
        said.ResponseTopic = "answers"
        for number in range(10):
            await one.publish("work", b"%d" % number, 1, properties=said)
        await until(lambda: one.messages.qsize() + two.messages.qsize() == 10)
        assert one.messages.qsize()
        assert two.messages.qsize()
        message = await one.message()
        assert message.properties is not None
        assert message.properties.ResponseTopic == "answers"  # type: ignore[attr-defined]
        taken = gateway.topics.messages[0]
        assert (taken.content_type, taken.properties) == ("application/json", (("sig", "x"),))


@pytest.mark.parametrize(
    ("version", "answer"), [(VERSIONS[0], "Bad user name or password"), (VERSIONS[1], "Bad user name or password")]
)
async def test_a_wrong_password(gateway: Gateway, version: MQTTProtocolVersion, answer: str) -> None:
    async with joined(gateway, version, password="wrong", answer=answer):
        assert gateway.broker.counts.denied >= 1
