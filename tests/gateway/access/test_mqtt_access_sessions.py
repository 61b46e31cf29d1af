"""Access and sessions together: nothing of a session is touched before its client has proven who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.access.mqtt import MqttAccess
from gateway.access.topic_rules import MqttGrant
from gateway.domain.device import Principal
from gateway.domain.topic_message import Speaker
from gateway.protocol.mqtt.packets import V5, V311, Connack, Connect, Puback, Publish, ReasonCode, Will
from gateway.protocol.mqtt.ports import Denial, Grant
from tests.gateway.access.access_rig import MARK, rig
from tests.gateway.protocol.mqtt.broker_rig import Bench, Peer


class Door:
    """Lets a test wait until access has answered."""

    def __init__(self, access: MqttAccess) -> None:
        self.access = access
        self.answered = asyncio.Event()

    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        def told(verdict: Grant | Denial) -> None:
            answer(verdict)
            self.answered.set()

        self.access.authenticate(connect, client_id, peer, principal, told)

    async def enter(
        self, bench: Bench, user: str, password: str, client_id: str, version: int, will: Will | None = None
    ) -> Peer:
        bench.client_ports.access = self
        peer = bench.peer(version)
        self.answered.clear()
        said = f"{MARK}{password}".encode()
        peer.say(Connect(version, client_id, clean_start=False, user_name=user, password=said, will=will))
        await asyncio.wait_for(self.answered.wait(), 30)
        bench.run()
        return peer


@pytest.mark.parametrize("version", [V311, V5])
async def test_nobody_takes_over_a_session_that_is_not_its_own(version: int) -> None:
    async with rig() as gate:
        bench, door = Bench(), Door(gate.access)
        device = await door.enter(bench, "dev-1", "one", "dev-1", version)
        assert device.one(Connack).reason is ReasonCode.SUCCESS
        assert device.subscribe("devices/dev-1/command") == [ReasonCode.GRANTED_QOS_2]
        for user, password, reason in (
            ("dev-1", "wrong", ReasonCode.BAD_USER_NAME_OR_PASSWORD),
            ("dev-2", "two", ReasonCode.CLIENT_IDENTIFIER_NOT_VALID),
            ("erp", "erp", ReasonCode.CLIENT_IDENTIFIER_NOT_VALID),
            ("nobody", "x", ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        ):
            stranger = await door.enter(bench, user, password, "dev-1", version)
            assert stranger.one(Connack).reason is reason
            assert stranger.closed is not None
        assert device.closed is None
        assert bench.counts.takeovers == 0
        session = bench.broker.sessions["dev-1"]
        assert list(session.subscriptions) == ["devices/dev-1/command"]

        again = await door.enter(bench, "dev-1", "one", "dev-1", version)
        assert again.one(Connack).session_present is (version == V311)  # of 5.0 it had no expiry
        assert device.closed is not None


async def test_a_will_is_bound_by_the_same_rules() -> None:
    async with rig() as gate:
        bench, door = Bench(), Door(gate.access)
        peer = await door.enter(bench, "dev-1", "one", "dev-1", V5, will=Will("devices/dev-2/status", b"off"))
        assert peer.one(Connack).reason is ReasonCode.NOT_AUTHORIZED
        assert not bench.broker.sessions


async def test_a_device_publishes_and_subscribes_within_its_rules() -> None:
    async with rig() as gate:
        bench, door = Bench(), Door(gate.access)
        peer = await door.enter(bench, "dev-1", "one", "dev-1", V5)
        peer.read()
        peer.say(Publish("devices/dev-1/telemetry", b"{}", 1, packet_id=1))
        assert peer.one(Puback).reason is ReasonCode.SUCCESS
        peer.say(Publish("devices/dev-2/telemetry", b"{}", 1, packet_id=2))
        refused = peer.one(Puback)
        assert refused.reason is ReasonCode.NOT_AUTHORIZED
        assert refused.properties is not None
        assert refused.properties.reason_string == "this client may not publish to this topic"
        assert bench.flow.topics == ["devices/dev-1/telemetry"]
        assert peer.subscribe("devices/dev-1/config", "devices/+/config", "$share/g/devices/dev-1/ota") == [
            ReasonCode.GRANTED_QOS_2,
            ReasonCode.NOT_AUTHORIZED,
            ReasonCode.GRANTED_QOS_2,
        ]
        speaker = bench.flow.senders[0].grant
        assert isinstance(speaker, MqttGrant)
        says: Speaker = speaker
        assert (says.principal, says.tenant, says.device_id) == (Principal("password", "dev-1"), "", "dev-1")
