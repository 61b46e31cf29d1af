from __future__ import annotations

import pytest

from gateway.protocol.mqtt.packets import Properties, Publish, Suback, Subscribe, Subscription
from gateway.protocol.mqtt.ports import BrokerLimits, DropReason
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench, given, send


@pytest.mark.parametrize("version", VERSIONS)
def test_retained_messages_go_to_new_subscriptions(version: int) -> None:
    bench = Bench()
    pub = bench.join("p")
    for topic in ("a/1", "a/2", "b", "$x"):
        send(pub, topic, topic.encode(), qos=1, retain=True)
    send(pub, "a/1", b"newer", qos=2, retain=True)
    send(pub, "a/2", b"", retain=True)
    sub = bench.join("s", version)
    sub.subscribe(Subscription("+/+", 1), Subscription("#", 0))
    got = [packet for packet in sub.read() if isinstance(packet, Publish)]
    assert sorted((packet.topic, packet.payload, packet.qos) for packet in got) == [
        ("a/1", b"newer", 0),
        ("a/1", b"newer", 1),
        ("b", b"b", 0),
    ]
    assert all(packet.retain for packet in got)
    send(pub, "a/1", b"live", retain=True)
    assert not sub.one(Publish).retain
    assert bench.counts.retained == 3


def test_retain_handling() -> None:
    bench = Bench()
    pub, sub = bench.join("p"), bench.join("s")
    send(pub, retain=True)
    counts = []
    for handling in (2, 1, 0, 1):
        sub.subscribe(Subscription("t", retain_handling=handling))
        counts.append(len(given(sub)))
    assert counts == [0, 0, 1, 0]


def test_retain_handling_1_sends_to_a_new_subscription() -> None:
    bench = Bench()
    pub, sub = bench.join("p"), bench.join("s")
    send(pub, retain=True)
    sub.subscribe(Subscription("t", retain_handling=1, retain_as_published=True))
    assert sub.one(Publish).retain
    send(pub, retain=True)
    assert sub.one(Publish).retain
    send(pub)
    assert not sub.one(Publish).retain


def test_retained_messages_are_bounded() -> None:
    bench = Bench(broker=BrokerLimits(max_retained=2, max_retained_bytes=2_000))
    pub = bench.join("p")
    for topic in "abc":
        send(pub, topic, b"x", retain=True)
    assert (bench.counts.retained, bench.counts.dropped[DropReason.RETAINED_FULL]) == (2, 1)
    send(pub, "a", bytes(3_000), retain=True)  # too large: the older one is no longer the last
    assert (bench.counts.retained, bench.counts.dropped[DropReason.RETAINED_FULL]) == (1, 2)
    send(pub, "c", bytes(900), retain=True)
    send(pub, "b", b"", retain=True)
    send(pub, "c", b"", retain=True)
    assert (bench.counts.retained, bench.counts.retained_bytes) == (0, 0)


def test_a_retained_message_expires() -> None:
    bench = Bench()
    send(bench.join("p"), retain=True, properties=Properties(message_expiry_interval=10))
    bench.clock.now_ms += 10_000
    sub = bench.join("s")
    sub.subscribe("t")
    assert given(sub) == []
    assert (bench.counts.retained, bench.counts.dropped[DropReason.EXPIRED]) == (0, 1)


def test_more_retained_messages_than_a_queue_holds() -> None:
    bench = Bench(broker=BrokerLimits(queue_messages=3))
    pub, sub, slow = bench.join("p"), bench.join("s"), bench.join("slow")
    for n in range(8):
        send(pub, f"t/{n}", retain=True)
    sub.subscribe("t/#")
    assert len(given(sub)) == 8  # who reads gets them all
    slow.machine.set_blocked(True)
    slow.subscribe("t/#")
    assert bench.counts.dropped[DropReason.QUEUE_FULL] == 5
    slow.subscribe("t/#")
    assert bench.counts.dropped[DropReason.QUEUE_FULL] == 6
    slow.machine.set_blocked(False)
    bench.run()
    assert len(given(slow)) == 3


def test_one_packet_cannot_ask_for_everything_a_thousand_times() -> None:
    bench = Bench(broker=BrokerLimits(max_retained=5))
    pub, sub = bench.join("p"), bench.join("s")
    for n in range(5):
        send(pub, f"t/{n}", retain=True)
    sub.say(Subscribe(1, [Subscription("#")] * 1_000))
    suback, *publishes = sub.read()
    assert isinstance(suback, Suback)
    assert len(suback.reasons) == 1_000
    assert len(publishes) == 10
    assert bench.counts.dropped[DropReason.QUEUE_FULL] == 998


def test_retained_messages_come_after_suback_with_the_identifier() -> None:
    bench = Bench()
    send(bench.join("p"), retain=True)
    sub = bench.stay("s")
    bench.flow.hold_states = True
    sub.say(Subscribe(1, [Subscription("t")], Properties(subscription_identifiers=(4,))))
    assert sub.read() == []
    bench.settle()
    suback, publish = sub.read()
    assert isinstance(suback, Suback)
    assert isinstance(publish, Publish)
    assert publish.properties == Properties(subscription_identifiers=(4,))
