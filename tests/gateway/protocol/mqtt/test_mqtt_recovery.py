from __future__ import annotations

import pytest

from gateway.domain.errors import CloseReason
from gateway.domain.state import State, StateKind
from gateway.protocol.mqtt import states
from gateway.protocol.mqtt.packets import (
    Disconnect,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscription,
    Unsubscribe,
)
from gateway.protocol.mqtt.ports import BrokerLimits
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench, Peer, Rules


def restart(bench: Bench, how: str) -> None:
    """A kill, after which the log is read; or a segment that began with a snapshot, and in it states that the
    snapshot knew already."""
    if how != "log":
        after = list(bench.flow.log[-3:]) if how == "both" else []
        snapshot = [State(StateKind.MQTT, payload) for payload in bench.memory.snapshot()]
        bench.flow.log[:] = snapshot + after
    bench.restart()


HOW = pytest.mark.parametrize("how", ["log", "snapshot", "both"])


def publish_all(peer: Peer, *publishes: Publish) -> None:
    for publish in publishes:
        peer.say(publish)
        peer.read()


@HOW
@pytest.mark.parametrize("version", VERSIONS)
def test_subscriptions_and_queue_survive(how: str, version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe(Subscription("a/#", 1), Subscription("b", 2), Subscription("c"))
    sub.say(Unsubscribe(1, ["c"]))
    sub.drop()
    pub = bench.join("p")
    said = Properties(content_type="x", message_expiry_interval=100)
    publish_all(pub, Publish("a/1", b"1", 1, packet_id=1, properties=said), Publish("b", b"2", 2, packet_id=2))
    restart(bench, how)
    bench.clock.now_ms += 30_000
    assert (bench.counts.sessions, len(bench.broker.tree)) == (1, 2)
    connack_then = bench.connect("s", version, clean=False)
    connack, first, second = connack_then.read()
    assert connack.session_present  # type: ignore[union-attr]
    assert isinstance(first, Publish)
    assert isinstance(second, Publish)
    assert [(p.topic, p.payload, p.qos) for p in (first, second)] == [("a/1", b"1", 1), ("b", b"2", 2)]
    if version == 5:
        assert first.properties is not None
        assert (first.properties.content_type, first.properties.message_expiry_interval) == ("x", 70)
    publish_all(bench.join("p"), Publish("c", b""), Publish("a/2", b"live"))
    assert connack_then.one(Publish).payload == b"live"


@HOW
def test_a_session_loses_subscriptions_that_its_client_may_not_have_any_more(how: str) -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe("kept", "lost", "$share/g/lost")
    sub.drop()
    restart(bench, how)
    bench.access.grant = Rules("lost")
    bench.stay("s")
    assert list(bench.broker.sessions["s"].subscriptions) == ["kept"]
    restart(bench, "log")
    assert list(bench.broker.sessions["s"].subscriptions) == ["kept"]


@HOW
def test_subscription_options_survive(how: str) -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe(Subscription("t", 1, no_local=True, retain_as_published=True, retain_handling=2), identifier=300)
    sub.subscribe("$share/g/t")
    before = bench.broker.sessions["s"].subscriptions
    restart(bench, how)
    assert bench.broker.sessions["s"].subscriptions == before


@HOW
def test_what_was_answered_does_not_come_again(how: str) -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe("t")
    pub = bench.join("p")
    publish_all(pub, *(Publish("t", b"%d" % n, 1, packet_id=n) for n in (1, 2, 3)))
    packets = [packet for packet in sub.read() if isinstance(packet, Publish)]
    sub.say(Puback(packets[1].packet_id))
    restart(bench, how)
    sub = bench.stay("s")
    assert [packet.payload for packet in sub.read() if isinstance(packet, Publish)] == [b"1", b"3"]


@HOW
def test_qos_2_is_taken_once_across_a_kill(how: str) -> None:
    bench = Bench()
    peer = bench.stay("c")
    peer.say(*(Publish("t", b"%d" % n, 2, packet_id=n) for n in (1, 2, 3)))
    peer.say(Pubrel(2))
    peer.read()
    restart(bench, how)
    peer = bench.stay("c")
    peer.say(Publish("t", b"1", 2, dup=True, packet_id=1), Pubrel(2), Pubrel(3))
    pubcomps = [packet for packet in peer.read() if isinstance(packet, Pubcomp)]
    assert [packet.packet_id for packet in pubcomps] == [2, 3]
    peer.say(Publish("t", b"new", 2, packet_id=2))
    peer.one(Pubrec)
    assert bench.flow.payloads == [b"1", b"2", b"3", b"new"]


def test_an_id_and_its_record_are_one_commit() -> None:
    bench = Bench()
    peer = bench.stay("c")
    bench.flow.hold = True
    peer.say(Publish("t", b"1", 2, packet_id=1), Publish("t", b"2", 2, packet_id=2))
    (_, first), (_, second) = bench.flow.waiting
    assert [len(first), len(second)] == [1, 1]
    bench.settle(1)  # the second is durable and stands behind the first, which is not
    restart(bench, "snapshot")
    bench.flow.hold = False
    peer = bench.stay("c")
    peer.say(Publish("t", b"1", 2, dup=True, packet_id=1), Publish("t", b"2", 2, dup=True, packet_id=2))
    assert len(peer.read()) == 2
    assert bench.flow.payloads == [b"1", b"2", b"1"]  # of the first nothing was kept


def test_a_clean_session_leaves_nothing() -> None:
    bench = Bench()
    peer = bench.join("c")
    peer.subscribe("t")
    peer.say(Publish("t", b"", 2, packet_id=1), Pubrel(1))
    assert bench.flow.log == []
    assert list(bench.memory.snapshot()) == []


@HOW
def test_sessions_end_over_a_restart(how: str) -> None:
    bench = Bench()
    bench.join("ended", expiry_s=50).say(Disconnect(properties=Properties(session_expiry_interval=0)))
    bench.join("short", expiry_s=50).drop()
    bench.join("there", expiry_s=50)
    bench.join("replaced", expiry_s=50).drop()
    bench.join("replaced").drop()
    bench.clock.now_ms += 20_000
    restart(bench, how)
    assert sorted(bench.broker.sessions) == ["short", "there"]
    bench.advance(30)
    assert list(bench.broker.sessions) == ["there"]
    bench.advance(20)
    assert bench.counts.sessions == 0


def test_a_session_without_end_survives() -> None:
    bench = Bench(broker=BrokerLimits(max_expiry_s=0xFFFFFFFF))
    bench.join("c", expiry_s=0xFFFFFFFF).drop()
    restart(bench, "log")
    bench.advance(10**7)
    assert bench.counts.sessions == 1


@HOW
def test_retained_messages_survive(how: str) -> None:
    bench = Bench()
    pub = bench.join("p")
    expiring = Properties(message_expiry_interval=60)
    publish_all(
        pub,
        Publish("a", b"old", 1, True, packet_id=1),
        Publish("a", b"new", 2, True, packet_id=2),
        Publish("$b", b"b", 0, True),
        Publish("c", b"c", 0, True, properties=expiring),
        Publish("d", b"d", 0, True),
        Publish("d", b"", 0, True),
    )
    restart(bench, how)
    assert bench.counts.retained == 3
    bench.clock.now_ms += 60_000
    sub = bench.join("s")
    sub.subscribe("#", "$b")
    got = [packet for packet in sub.read() if isinstance(packet, Publish)]
    assert sorted((packet.topic, packet.payload, packet.qos) for packet in got) == [("$b", b"b", 0), ("a", b"new", 2)]


@HOW
@pytest.mark.parametrize("version", VERSIONS)
def test_a_qos_2_delivery_is_not_given_twice_over_a_kill(how: str, version: int) -> None:
    """One that the client has received goes on with PUBREL (MQTT-4.3.3-6). Of one whose PUBREC was not durable the
    client may hold the id: it comes with it again, and no other message does, which the client would take for that and
    throw away (MQTT-4.3.3-10, MQTT-4.4.0-1)."""
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("t")
    publish_all(bench.join("p"), *(Publish("t", b"%d" % n, 2, packet_id=n) for n in range(1, 6)))
    ids = {packet.payload: packet.packet_id for packet in sub.read() if isinstance(packet, Publish)}
    for payload in (b"1", b"3"):
        sub.say(Pubrec(ids[payload]))
        sub.say(Pubcomp(ids[payload]))
    sub.say(Pubrec(ids[b"5"]), Pubrec(ids[b"5"]))
    sub.read()
    bench.flow.hold_states = True
    sub.say(Pubrec(ids[b"4"]))
    assert sub.read() == []  # not before it is durable
    bench.flow.waiting.clear()
    bench.flow.hold_states = False
    restart(bench, how)
    sub = bench.stay("s", version)
    publish_all(bench.join("p"), *(Publish("t", b"%d" % n, 2, packet_id=n) for n in range(6, 12)))
    release, *again = sub.read()
    assert release == Pubrel(ids[b"5"])
    found = {packet.payload: packet.packet_id for packet in again if isinstance(packet, Publish)}
    assert list(found) == [b"2", b"4", b"6", b"7", b"8", b"9", b"10", b"11"]
    assert (found[b"2"], found[b"4"]) == (ids[b"2"], ids[b"4"])
    assert len({*found.values(), ids[b"5"]}) == 9
    sub.say(Pubcomp(ids[b"5"]))
    restart(bench, how)
    assert not any(isinstance(packet, Pubrel) for packet in bench.stay("s", version).read())


def test_a_pubrec_that_cannot_be_kept_is_not_answered() -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe("t")
    publish_all(bench.join("p"), Publish("t", b"1", 2, packet_id=1))
    packet_id = sub.one(Publish).packet_id
    bench.flow.refusal = "outbox_full"
    sub.say(Pubrec(packet_id))
    assert sub.closed is CloseReason.NOT_KEPT
    bench.flow.refusal = ""
    assert bench.stay("s").one(Publish) == Publish("t", b"1", 2, dup=True, packet_id=packet_id)


def test_a_downlink_after_a_kill_has_another_id() -> None:
    bench = Bench()
    ids = []
    for _ in range(2):
        sub = bench.stay("s")
        bench.downlink("s", qos=2)
        ids.append(sub.one(Publish).packet_id)
        bench.clock.now_ms += 1_000
        bench.restart()
    assert ids[0] != ids[1]


def test_what_is_not_ours_is_not_read() -> None:
    bench = Bench()
    bench.memory.restore(b"\x09\x01\0\0")
    with pytest.raises(ValueError):
        bench.memory.restore(b"\x01\x63\0\0")
    bench.memory.restore(states.unsubscribed("nobody", "t").payload)
    assert bench.counts.sessions == 0


def test_the_length_of_client_ids_and_topics() -> None:
    bench = Bench()
    name, topic = "é" * 32_000, "t/" * 100 + "ü"
    sub = bench.stay(name)
    sub.subscribe(topic)
    restart(bench, "log")
    assert list(bench.broker.sessions[name].subscriptions) == [topic]
