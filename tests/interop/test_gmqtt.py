"""gmqtt, a client of 5.0."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gmqtt  # type: ignore[import-untyped]
import pytest

from tests.gateway.ingress.rig import GUARD_S, until

if TYPE_CHECKING:
    from tests.interop.conftest import Gateway

pytestmark = pytest.mark.e2e


class Client:
    """A gmqtt client with what it got."""

    def __init__(self, client: gmqtt.Client) -> None:
        self.client = client
        self.messages: asyncio.Queue[tuple[str, bytes, int, dict[str, Any]]] = asyncio.Queue()
        self.subscribed: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()
        client.on_message = self._on_message
        client.on_subscribe = lambda _client, _mid, qos, _properties: self.subscribed.put_nowait(qos)

    async def _on_message(
        self, client: gmqtt.Client, topic: str, payload: bytes, qos: int, properties: dict[str, Any]
    ) -> int:
        self.messages.put_nowait((topic, payload, qos, properties))
        return 0

    async def message(self) -> tuple[str, bytes, int, dict[str, Any]]:
        async with asyncio.timeout(GUARD_S):
            return await self.messages.get()

    async def subscribe(self, topic: str, qos: int = 2, **more: Any) -> None:
        self.client.subscribe(topic, qos=qos, **more)
        async with asyncio.timeout(GUARD_S):
            await self.subscribed.get()


@asynccontextmanager
async def joined(
    gateway: Gateway, client_id: str, *, clean: bool = True, will: gmqtt.Message | None = None, **more: Any
) -> AsyncIterator[Client]:
    made = gmqtt.Client(client_id, clean_session=clean, will_message=will, **more)
    client = Client(made)
    async with asyncio.timeout(GUARD_S):
        await made.connect("127.0.0.1", gateway.port, version=gmqtt.constants.MQTTv50)
    try:
        yield client
    finally:
        await made.disconnect()


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_in_and_out_with_properties(gateway: Gateway, qos: int) -> None:
    async with joined(gateway, "reader", topic_alias_maximum=5) as reader, joined(gateway, "writer") as writer:
        await reader.subscribe("a/#", qos)
        for number in range(20):
            writer.client.publish(
                "a/b", b"%d" % number, qos=qos, content_type="text/csv", user_property=[("k", "1"), ("k", "2")]
            )
        for number in range(20):
            topic, payload, got_qos, properties = await reader.message()
            assert (topic, payload, got_qos) == ("a/b", b"%d" % number, qos)
            assert properties["content_type"] == ["text/csv"]
        await until(lambda: len(gateway.taken("a/b")) == 20)
        assert gateway.topics.messages[0].properties == (("k", "1"), ("k", "2"))
        assert gateway.topics.messages[0].content_type == "text/csv"


async def test_retained_and_persistent_session(gateway: Gateway) -> None:
    async with joined(gateway, "writer") as writer:
        writer.client.publish("state", b"on", qos=1, retain=True)
        async with joined(gateway, "reader", clean=False, session_expiry_interval=600) as reader:
            await reader.subscribe("state")
            await reader.subscribe("later")
            assert (await reader.message())[1] == b"on"
        await until(lambda: gateway.broker.sessions["reader"].connection is None)
        writer.client.publish("later", b"queued", qos=1)
        await until(lambda: gateway.taken("later") == [b"queued"])
    async with joined(gateway, "reader", clean=False, session_expiry_interval=600) as reader:
        assert (await reader.message())[1] == b"queued"


async def test_the_will_is_delayed(gateway: Gateway) -> None:
    will = gmqtt.Message("gone", b"dying", qos=1, will_delay_interval=10)
    async with joined(gateway, "reader") as reader:
        await reader.subscribe("gone")
        async with joined(gateway, "dying", will=will, session_expiry_interval=60) as dying:
            await dying.client.disconnect(reason_code=4)  # with its will
        await until(lambda: gateway.broker.sessions["dying"].connection is None)
        gateway.pass_time(9)
        assert reader.messages.empty()
        gateway.pass_time(1)
        assert (await reader.message())[1] == b"dying"


async def test_a_shared_subscription_is_dealt_out(gateway: Gateway) -> None:
    async with joined(gateway, "one") as one, joined(gateway, "two") as two, joined(gateway, "writer") as writer:
        for client in (one, two):
            await client.subscribe("$share/g/work/+", 1)
        for number in range(10):
            writer.client.publish("work/x", b"%d" % number, qos=1)
        await until(lambda: one.messages.qsize() + two.messages.qsize() == 10)
        assert one.messages.qsize()
        assert two.messages.qsize()


async def test_a_wrong_password(gateway: Gateway) -> None:
    client = gmqtt.Client("dev-1")
    client.set_auth_credentials("dev-1", "wrong")
    with pytest.raises(gmqtt.mqtt.handler.MQTTConnectError):
        async with asyncio.timeout(GUARD_S):
            await client.connect("127.0.0.1", gateway.port, version=gmqtt.constants.MQTTv50)
    client.stop_reconnect()
    await client.disconnect()
