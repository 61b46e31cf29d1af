from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.domain.device import Principal
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State, StateKind
from gateway.ingress.mqtt_flow import MqttFlow, MqttMemory
from gateway.protocol.mqtt.packets import V5, V311, Disconnect, Properties, Pubcomp, Publish, Pubrec, Pubrel
from gateway.protocol.mqtt.ports import Sender
from tests.gateway.fakes import FakeOutbox
from tests.gateway.ingress.mqtt_rig import Allowed, MqttRig, Topics
from tests.gateway.ingress.rig import until

STATE = State(StateKind.MQTT, b"\x01taken")


def sender() -> Sender:
    return Sender("dev-1", Allowed(Principal("password", "dev-1"), ()), "192.0.2.1:5", "m", "s-1", V311)


def test_a_publish_becomes_a_topic_message_of_its_sender() -> None:
    outbox = FakeOutbox()
    topics = Topics(outbox)
    flow = MqttFlow(topics, outbox, "")
    receipt = Receipt()
    flow.receive(Publish("a/b", b"x", 2, packet_id=1), sender(), receipt, 1_772_323_200_000, [STATE])
    (message,) = topics.messages
    assert (message.topic, message.payload, message.received_ms) == ("a/b", b"x", 1_772_323_200_000)
    assert (message.listener, message.session_id, message.peer) == ("m", "s-1", "192.0.2.1:5")
    assert (message.speaker.device_id, message.content_type, message.properties) == ("dev-1", "", ())
    assert [state.payload for state in outbox.kept[0].states] == [b"\0\x01taken"]
    assert receipt.outcome is Outcome.ACCEPTED


def test_properties_of_5_0_come_along() -> None:
    outbox = FakeOutbox()
    topics = Topics(outbox)
    said = Properties(content_type="text/csv", user_properties=(("k", "v"),))
    MqttFlow(topics, outbox, "").receive(Publish("a", b"", properties=said), sender(), Receipt(), 1, ())
    assert (topics.messages[0].content_type, topics.messages[0].properties) == ("text/csv", (("k", "v"),))
    assert outbox.kept[0].states == ()


def test_states_are_kept_under_their_tenant_and_what_is_not_allowed_is_refused() -> None:
    outbox = FakeOutbox()
    flow = MqttFlow(Topics(outbox), outbox, "acme")
    kept, refused = Receipt(), Receipt()
    flow.keep(kept, [STATE])
    flow.refuse(refused, "not_authorized")
    assert [state.payload for state in outbox.kept[0].states] == [b"\x04acme\x01taken"]
    assert (kept.outcome, refused.outcome, refused.reason) == (Outcome.ACCEPTED, Outcome.REFUSED, "not_authorized")


def restored(states: list[bytes], tenant: str = "") -> MqttRig:
    """The next process, as far as the spool brings it."""
    rig = MqttRig(tenant=tenant)
    for payload in states:
        rig.memory.restore(payload)
    return rig


@pytest.mark.parametrize("tenant", ["", "acme"])
@pytest.mark.parametrize("from_snapshot", [False, True])
async def test_sessions_queues_and_retained_messages_survive_a_restart(tenant: str, from_snapshot: bool) -> None:
    long = Properties(session_expiry_interval=3600)
    async with MqttRig(tenant=tenant) as rig:
        reader = await rig.join("reader", V5, clean=False, properties=long)
        await reader.subscribe("a/#")
        reader.say(Disconnect())
        await until(lambda: rig.counters.open == 0)
        writer = await rig.join("writer", V5, clean=False, properties=long)
        await writer.publish("a/b", b"queued", 1, 1)
        await writer.publish("r", b"retained", 1, 2, retain=True)
        await writer.publish("b", b"once", 2, 3)
        await writer.packet(), await writer.packet()
        await writer.one(Pubrec)
        states = [state.payload for kept in rig.outbox.kept for state in kept.states]
        if from_snapshot:
            states = list(rig.memory.snapshot())
    async with restored(states, tenant=tenant) as rig:
        reader = await rig.join("reader", V5, clean=False, properties=long)
        assert (await reader.one(Publish)).payload == b"queued"
        await reader.subscribe("r")
        assert (await reader.one(Publish)).payload == b"retained"
        writer = await rig.join("writer", V5, clean=False, properties=long)
        await writer.publish("b", b"once", 2, 3, dup=True)
        await writer.one(Pubrec)
        writer.say(Pubrel(3))
        await writer.one(Pubcomp)
        assert rig.payloads == []


async def test_states_of_a_tenant_that_is_gone_are_dropped_and_told_once() -> None:
    with capture_logs() as logs:
        rig = restored([b"\x04acme\x01a", b"\x04acme\x01b"])
    assert [(entry["event"], entry["tenant"]) for entry in logs] == [("mqtt_sessions_dropped", "acme")]
    assert list(rig.memory.snapshot()) == []


def test_a_payload_of_nothing_is_nobodys() -> None:
    with capture_logs():
        MqttMemory().restore(b"")
