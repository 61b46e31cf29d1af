"""aiomqtt, in 3.1.1 and 5.0."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion

from gateway.protocol.mqtt.ports import DownlinkOutcome
from tests.gateway.ingress.rig import GUARD_S

if TYPE_CHECKING:
    from tests.interop.conftest import Gateway

pytestmark = pytest.mark.e2e
VERSIONS = [ProtocolVersion.V311, ProtocolVersion.V5]


def client(gateway: Gateway, version: ProtocolVersion, identifier: str, **more: Any) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", gateway.port, protocol=version, identifier=identifier, timeout=GUARD_S, **more)


async def message(of: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(GUARD_S):
        return await anext(aiter(of.messages))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_in_and_out(gateway: Gateway, version: ProtocolVersion, qos: int) -> None:
    async with client(gateway, version, "reader") as reader, client(gateway, version, "writer") as writer:
        await reader.subscribe("a/#", qos)
        for number in range(20):
            await writer.publish("a/b", b"%d" % number, qos)
        got = [(await message(reader)).payload for _ in range(20)]
        assert got == gateway.taken("a/b") == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_retained_and_will(gateway: Gateway, version: ProtocolVersion) -> None:
    will = aiomqtt.Will("gone", b"writer", 1)
    async with client(gateway, version, "reader") as reader, client(gateway, version, "writer", will=will) as writer:
        await writer.publish("state", b"on", 1, retain=True)
        await reader.subscribe([("state", 1), ("gone", 1)])
        retained = await message(reader)
        assert (retained.payload, retained.retain) == (b"on", True)
        async with client(gateway, version, "writer"):  # takes over
            assert (await message(reader)).payload == b"writer"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_downlink_is_acknowledged(gateway: Gateway, version: ProtocolVersion) -> None:
    async with client(gateway, version, "dev-1") as device:
        sending = asyncio.ensure_future(gateway.server.publish("dev-1", "down", b"do", 1, timeout_s=GUARD_S))
        assert (await message(device)).payload == b"do"
        assert (await sending)[0] is DownlinkOutcome.ACKED


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wrong_password(gateway: Gateway, version: ProtocolVersion) -> None:
    with pytest.raises(aiomqtt.MqttError, match="Bad user name or password"):
        async with client(gateway, version, "dev-1", username="dev-1", password="wrong"):
            pass
