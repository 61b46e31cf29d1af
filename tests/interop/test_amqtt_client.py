"""amqtt's client, which speaks 3.1.1; over TCP and in a WebSocket."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from amqtt.client import MQTTClient
from amqtt.errors import ConnectError

from gateway.domain.errors import CloseReason
from tests.gateway.ingress.rig import GUARD_S, until

if TYPE_CHECKING:
    from tests.interop.conftest import Gateway

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def joined(
    gateway: Gateway, client_id: str, *, scheme: str = "mqtt", clean: bool = True, user: str = ""
) -> AsyncIterator[MQTTClient]:
    client = MQTTClient(client_id=client_id, config={"auto_reconnect": False})
    port, path = (gateway.port, "") if scheme == "mqtt" else (gateway.websocket_port, "/mqtt")
    async with asyncio.timeout(GUARD_S):
        await client.connect(f"{scheme}://{user}127.0.0.1:{port}{path}", cleansession=clean)
    try:
        yield client
    finally:
        await client.disconnect()


async def payload(client: MQTTClient) -> bytes:
    message = await client.deliver_message(timeout_duration=GUARD_S)
    assert message is not None
    return bytes(message.data)


@pytest.mark.parametrize("scheme", ["mqtt", "ws"])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_in_and_out(gateway: Gateway, scheme: str, qos: int) -> None:
    async with joined(gateway, "reader", scheme=scheme) as reader, joined(gateway, "writer", scheme=scheme) as writer:
        assert await reader.subscribe([("a/#", qos)]) == [qos]
        await writer.publish("a/b", b"x" * 10_000, qos=qos)
        assert await payload(reader) == b"x" * 10_000
        assert gateway.taken("a/b") == [b"x" * 10_000]


async def test_retained_and_persistent_session(gateway: Gateway) -> None:
    async with joined(gateway, "writer") as writer:
        await writer.publish("state", b"on", qos=1, retain=True)
        async with joined(gateway, "reader", clean=False) as reader:
            await reader.subscribe([("state", 1), ("later", 1)])
            assert await payload(reader) == b"on"
        await until(lambda: gateway.broker.sessions["reader"].connection is None)
        await writer.publish("later", b"queued", qos=1)
    async with joined(gateway, "reader", clean=False) as reader:
        assert await payload(reader) == b"queued"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_wrong_password(gateway: Gateway) -> None:
    """The client leaves its socket to the garbage collector when it is refused."""
    with pytest.raises(ConnectError):
        async with joined(gateway, "dev-1", user="dev-1:wrong@"):
            pass
    await until(lambda: gateway.counters.closed[CloseReason.REFUSED] == 1)
    gc.collect()
