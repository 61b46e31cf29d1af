from __future__ import annotations

import pytest

from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.outbound import MAX_WINDOW
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Disconnect,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, DropReason
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench, given, send

# To whom, how


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_is_the_lower_one_of_publish_and_subscription(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    assert sub.subscribe(*(Subscription(f"q{qos}", qos) for qos in range(3))) == [0, 1, 2]
    pub = bench.join("p")
    for qos in range(3):
        for granted in range(3):
            send(pub, f"q{granted}", b"", qos)
    assert [qos for _, _, qos in given(sub)] == [0, 0, 0, 0, 1, 1, 0, 1, 2]


@pytest.mark.parametrize("version", VERSIONS)
def test_overlapping_filters_are_one_delivery_with_the_highest_qos(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe(Subscription("a/#", 0), Subscription("a/b", 2), Subscription("+/b", 1))
    send(bench.join("p"), "a/b", qos=2)
    assert given(sub) == [("a/b", b"x", 2)]


def test_identifiers_of_all_filters_that_match() -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("a/#", identifier=3)
    sub.subscribe("+/b", identifier=70_000)
    sub.subscribe("a/b")
    sub.subscribe("c")
    pub = bench.join("p")
    send(pub, "a/b")
    send(pub, "c")
    first, second = sub.read()
    assert isinstance(first, Publish)
    assert isinstance(second, Publish)
    assert first.properties is not None
    assert sorted(first.properties.subscription_identifiers) == [3, 70_000]
    assert second.properties is None


def test_subscribing_again_replaces() -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe(Subscription("t", 2))
    sub.subscribe(Subscription("t", 0))
    send(bench.join("p"), qos=1)
    assert given(sub) == [("t", b"x", 0)]
    assert len(bench.broker.tree) == 1


def test_unsubscribe() -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("t")
    sub.say(Unsubscribe(4, ["t", "u"]))
    assert sub.one(Unsuback).reasons == [ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED]
    send(bench.join("p"))
    assert given(sub) == []


def test_no_local() -> None:
    bench = Bench()
    one = bench.join("one")
    one.subscribe(Subscription("t", 1, no_local=True))
    send(one)
    assert given(one) == []
    send(bench.join("other"))
    assert len(given(one)) == 1
    one.subscribe("#")
    send(one)  # another filter of its own lets it through
    assert len(given(one)) == 1


def test_properties_are_passed_on_and_only_those() -> None:
    bench = Bench()
    sub, old, pub = bench.join("s"), bench.join("old", V311), bench.join("p")
    sub.subscribe("t")
    old.subscribe("t")
    said = Properties(1, 10, "text/plain", "re", b"id", user_properties=(("a", "1"), ("a", "2")), topic_alias=1)
    send(pub, properties=said)
    bench.clock.now_ms += 2_500
    got = sub.one(Publish).properties
    assert got == Properties(1, 10, "text/plain", "re", b"id", user_properties=(("a", "1"), ("a", "2")))
    assert old.one(Publish).properties is None


def test_one_client_speaks_311_and_the_other_5() -> None:
    bench = Bench()
    old, new = bench.join("old", V311), bench.join("new")
    for peer in (old, new):
        peer.subscribe("#")
    for peer in (old, new):
        send(peer, peer.machine.client_id)
    for peer in (old, new):
        assert sorted(topic for topic, _, _ in given(peer)) == ["new", "old"]


# Shared subscriptions


def test_members_of_a_share_take_turns() -> None:
    bench = Bench()
    members = [bench.join(name) for name in "abc"]
    for member in members:
        member.subscribe("$share/g/t/+")
    alone = bench.join("alone")
    alone.subscribe("$share/other/t/#", "t/1")
    pub = bench.join("p")
    for n in range(6):
        send(pub, "t/1", b"%d" % n)
    assert [[payload for _, payload, _ in given(member)] for member in members] == [
        [b"0", b"3"],
        [b"1", b"4"],
        [b"2", b"5"],
    ]
    assert len(given(alone)) == 12  # the share and the plain filter are two subscriptions


def test_a_share_passes_over_who_is_away_or_full_while_it_can() -> None:
    bench = Bench()
    away, full, free = bench.stay("away"), bench.join("full"), bench.join("free")
    for peer in (away, full, free):
        peer.subscribe(Subscription("$share/g/t", 1))
    away.drop()
    full.machine.set_blocked(True)
    pub = bench.join("p")
    bench.downlink("full")  # something waits there
    for _ in range(3):
        send(pub, qos=1)
    packets = [packet for packet in free.read() if isinstance(packet, Publish)]
    free.say(*(Puback(packet.packet_id) for packet in packets))
    assert len(packets) == 3
    free.drop()
    send(pub, payload=b"full", qos=1)
    full.drop()
    send(pub, payload=b"away", qos=1)
    send(pub, payload=b"lost", qos=0)
    away = bench.stay("away")
    # What waited for the one whose session has ended is handed to the one whose session has not.
    assert [payload for _, payload, _ in given(away)] == [b"full", b"away"]


def test_retained_messages_are_not_for_shares() -> None:
    bench = Bench()
    send(bench.join("p"), retain=True)
    sub = bench.join("s")
    sub.subscribe("$share/g/t")
    assert given(sub) == []


def test_what_a_member_leaves_unanswered_goes_to_another() -> None:
    bench = Bench(limits=ClientLimits(window=3))
    first, pub = bench.join("first"), bench.join("p")
    first.subscribe("$share/g/t", "t")
    for n in range(1, 5):
        send(pub, payload=b"%d" % n, qos=1 + n % 2)
    given(first)
    second = bench.join("second")
    second.subscribe("$share/g/+")
    third = bench.join("third")
    third.subscribe("$share/other/t")
    fourth = bench.join("fourth")
    fourth.subscribe("$share/g/t")
    first.drop()
    # Sent with the window of 3: 1 (QoS 2) twice, 2 once. A QoS 2 that was begun is its own; so is what came plainly.
    assert [payload for _, payload, _ in given(fourth)] == [b"2", b"3", b"4"]
    assert (given(second), given(third)) == ([], [])
    fourth.drop()
    assert bench.counts.dropped[DropReason.SESSION_ENDED] > 0
    assert bench.counts.queued_bytes == 0


# QoS 1 and 2 out


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_2_out(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe("t")
    send(bench.join("p"), qos=2)
    packet_id = sub.one(Publish).packet_id
    sub.say(Pubrec(packet_id))
    assert sub.one(Pubrel).packet_id == packet_id
    sub.say(Pubrec(packet_id))
    sub.one(Pubrel)
    sub.say(Pubcomp(packet_id))
    sub.say(Pubcomp(packet_id))
    assert (sub.read(), bench.counts.queued_bytes) == ([], 0)


def test_answers_to_nothing() -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("t")
    send(bench.join("p"), qos=1)
    packet_id = sub.one(Publish).packet_id
    sub.say(Puback(99), Pubcomp(packet_id), Pubrec(packet_id))
    assert sub.one(Pubrel).reason is ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    sub.say(Puback(packet_id))
    assert bench.counts.queued_bytes == 0


def test_a_client_that_refuses_a_delivery_ends_it() -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe("t")
    pub = bench.join("p")
    send(pub, qos=1)
    send(pub, qos=2)
    one, two = sub.read()
    assert isinstance(one, Publish)
    assert isinstance(two, Publish)
    sub.say(Puback(one.packet_id, ReasonCode.NOT_AUTHORIZED), Pubrec(two.packet_id, ReasonCode.QUOTA_EXCEEDED))
    assert (sub.read(), bench.counts.queued_bytes, bench.counts.dropped[DropReason.REFUSED]) == ([], 0, 2)
    sub.drop()
    assert given(bench.stay("s")) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_not_answered_comes_again_with_dup_in_order(version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("t")
    pub = bench.join("p")
    for n in range(5):
        send(pub, payload=b"%d" % n, qos=2 if n % 2 else 1)
    first = [packet for packet in sub.read() if isinstance(packet, Publish)]
    ids = {packet.payload: packet.packet_id for packet in first}
    assert len(set(ids.values())) == 5
    sub.say(Puback(ids[b"2"]), Pubrec(ids[b"3"]), Pubrec(ids[b"1"]))
    sub.drop()
    send(pub, payload=b"new", qos=1)

    sub = bench.stay("s", version)
    *releases, zero, four, new = sub.read()
    assert [packet.packet_id for packet in releases if isinstance(packet, Pubrel)] == [ids[b"3"], ids[b"1"]]
    again = [packet for packet in (zero, four, new) if isinstance(packet, Publish)]
    assert [(packet.payload, packet.dup) for packet in again] == [(b"0", True), (b"4", True), (b"new", False)]
    assert [packet.packet_id for packet in again[:2]] == [ids[b"0"], ids[b"4"]]
    assert again[2].packet_id not in ids.values()
    sub.say(*(Pubcomp(ids[payload]) for payload in (b"3", b"1")), *(Puback(packet.packet_id) for packet in again))
    sub.drop()
    assert given(bench.stay("s", version)) == []


def test_no_more_unanswered_than_the_client_takes() -> None:
    bench = Bench()
    sub = bench.stay("s", receive_maximum=2)
    sub.subscribe("t")
    pub = bench.join("p")
    for n in range(5):
        send(pub, payload=b"%d" % n, qos=2)
    one, two = sub.read()
    assert isinstance(one, Publish)
    assert isinstance(two, Publish)
    sub.say(Pubrec(one.packet_id))
    sub.one(Pubrel)  # its place is free only with PUBCOMP
    sub.say(Pubcomp(one.packet_id))
    assert sub.one(Publish).payload == b"2"
    sub.drop()
    sub = bench.stay("s", receive_maximum=1)
    again = sub.one(Publish)
    assert (again.payload, again.dup, again.packet_id) == (b"1", True, two.packet_id)


def test_the_window_is_ours_where_the_client_says_nothing() -> None:
    bench = Bench(limits=ClientLimits(window=3))
    sub = bench.join("s", V311)
    sub.subscribe("t")
    pub = bench.join("p")
    for _ in range(5):
        send(pub, qos=1)
    assert len(sub.read()) == 3


def test_packet_ids_go_round_and_pass_over_those_in_use() -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("t")
    pub = bench.join("p")
    outbound = bench.broker.sessions["s"].outbound
    send(pub, qos=1)
    assert sub.one(Publish).packet_id == 1
    outbound.last_id = MAX_WINDOW - 1
    for expected in (MAX_WINDOW, 2):
        send(pub, qos=1)
        assert sub.one(Publish).packet_id == expected


def test_an_id_that_follows_from_a_number_may_be_in_use() -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe("t")
    pub = bench.join("p")
    send(pub, qos=1)
    first = sub.one(Publish).packet_id
    bench.broker.sessions["s"].number += MAX_WINDOW - 1
    send(pub, qos=1)
    second = sub.one(Publish).packet_id
    assert first > MAX_WINDOW >= second > 0


# Offline, and slow


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_1_and_2_wait_for_a_session_that_is_away(version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("#")
    sub.drop()
    pub = bench.join("p")
    for qos in range(3):
        send(pub, payload=b"%d" % qos, qos=qos)
    assert given(bench.stay("s", version)) == [("t", b"1", 1), ("t", b"2", 2)]


def test_the_offline_queue_is_bounded_in_messages_and_bytes() -> None:
    bench = Bench(broker=BrokerLimits(queue_messages=3, queue_bytes=1 << 20))
    sub = bench.stay("s")
    sub.subscribe("#")
    sub.drop()
    pub = bench.join("p")
    for n in range(5):
        send(pub, payload=b"%d" % n, qos=1)
    assert bench.counts.dropped[DropReason.QUEUE_FULL] == 2
    assert [payload for _, payload, _ in given(bench.stay("s"))] == [b"0", b"1", b"2"]

    bench = Bench(broker=BrokerLimits(queue_bytes=3_000, all_queues_bytes=4_000))
    for name in ("a", "b"):
        sub = bench.stay(name)
        sub.subscribe("#")
        sub.drop()
    pub = bench.join("p")
    for _ in range(4):
        send(pub, payload=bytes(1000), qos=1)
    assert bench.counts.queued_bytes <= 4_000
    assert [len(given(bench.stay(name))) for name in ("a", "b")] == [2, 1]
    assert bench.counts.dropped[DropReason.QUEUE_FULL] == 5


def test_a_queue_ends_with_its_session() -> None:
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe("#")
    send(bench.join("p"), qos=1)
    sub.drop()
    send(bench.join("p"), qos=1)
    bench.advance(3600)
    assert (bench.counts.queued_bytes, bench.counts.dropped[DropReason.SESSION_ENDED]) == (0, 2)


def test_a_subscriber_that_does_not_read_holds_nobody_up() -> None:
    bench = Bench(broker=BrokerLimits(queue_messages=10))
    slow, fast, pub = bench.join("slow"), bench.join("fast"), bench.join("p")
    for peer in (slow, fast):
        peer.subscribe(Subscription("t", 1))
    slow.machine.set_blocked(True)
    for n in range(50):
        send(pub, payload=b"%d" % n, qos=n % 2)
        for packet in fast.read():
            assert isinstance(packet, Publish)
            assert packet.payload == b"%d" % n
            if packet.qos:
                fast.say(Puback(packet.packet_id))
    assert (slow.read(), bench.counts.dropped[DropReason.QUEUE_FULL]) == ([], 40)
    slow.machine.set_blocked(False)
    bench.run()
    assert [payload for _, payload, _ in given(slow)] == [b"%d" % n for n in range(10)]


def test_a_blocked_client_that_leaves_loses_what_was_qos_0() -> None:
    bench = Bench()
    slow, pub = bench.stay("slow"), bench.join("p")
    slow.subscribe("t")
    slow.machine.set_blocked(True)
    send(pub, payload=b"0")
    send(pub, payload=b"1", qos=1)
    slow.drop()
    assert given(bench.stay("slow")) == [("t", b"1", 1)]
    assert bench.counts.dropped[DropReason.SESSION_ENDED] == 1


def test_deliveries_of_one_turn_are_one_write_but_not_without_end() -> None:
    bench = Bench(limits=ClientLimits(max_joined_bytes=1_000, window=100))
    sub, pub = bench.join("s"), bench.join("p")
    sub.subscribe("t")
    bench.flow.hold = True
    for _ in range(20):
        pub.say(Publish("t", bytes(40)))
    sub.writes.clear()
    bench.settle()
    assert len(sub.writes) == 1
    for _ in range(60):
        pub.say(Publish("t", bytes(40)))
    sub.writes.clear()
    bench.settle()
    assert len(sub.writes) == 3


def test_a_host_that_cuts_a_slow_reader_within_a_write() -> None:
    bench = Bench(limits=ClientLimits(max_joined_bytes=10))
    slow, fast, pub = bench.join("slow"), bench.join("fast"), bench.join("p")
    for peer in (slow, fast):
        peer.subscribe("t")
    slow.cut = True
    for _ in range(3):
        send(pub, payload=bytes(20))
    assert len(given(fast)) == 3
    assert bench.counts.sessions == 2


# Sizes, aliases, expiry


def test_a_packet_that_the_client_does_not_take_is_as_if_sent() -> None:
    bench = Bench()
    sub, pub = bench.join("s", maximum_packet_size=100), bench.join("p")
    sub.subscribe("t")
    for size in (10, 200, 20):
        for qos in range(3):
            send(pub, payload=bytes(size), qos=qos)
    assert [len(payload) for _, payload, _ in given(sub)] == [10, 10, 10, 20, 20, 20]
    assert bench.counts.dropped[DropReason.TOO_LARGE] == 3


def test_a_reason_string_that_would_be_too_long_is_left_out() -> None:
    bench = Bench(limits=ClientLimits(receive_maximum=1))
    peer = bench.join("c", maximum_packet_size=30)
    bench.flow.hold = True
    peer.say(Publish("t", b"", 1, packet_id=1), Publish("t", b"", 1, packet_id=2))
    goodbye = peer.one(Disconnect)
    assert (goodbye.reason, goodbye.properties) == (ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, None)
    bench.settle()


def test_aliases_to_the_client() -> None:
    bench = Bench(limits=ClientLimits(topic_aliases=2))
    sub, pub = bench.stay("s", topic_alias_maximum=9), bench.join("p")
    sub.subscribe("#")
    for topic in "abcab":
        send(pub, topic, properties=Properties(content_type="x"))
    got = []
    for packet in sub.read():
        assert isinstance(packet, Publish)
        assert packet.properties is not None
        assert packet.properties.content_type == "x"
        got.append((packet.topic, packet.properties.topic_alias))
    assert got == [("a", 1), ("b", 2), ("c", None), ("", 1), ("", 2)]
    sub.drop()
    sub = bench.stay("s")  # this one knows no aliases
    send(pub, "a")
    assert given(sub) == [("a", b"x", 0)]


def test_an_alias_is_not_set_by_a_packet_that_was_not_sent() -> None:
    bench = Bench()
    sub, pub = bench.join("s", topic_alias_maximum=1, maximum_packet_size=60), bench.join("p")
    sub.subscribe("#")
    send(pub, "a", bytes(90))
    send(pub, "b")
    send(pub, "b")
    assert [topic for topic, _, _ in given(sub)] == ["b", ""]


def test_messages_expire_in_the_queue_and_tell_what_is_left() -> None:
    bench = Bench()
    sub, pub = bench.stay("s"), bench.join("p")
    sub.subscribe("t")
    sub.drop()
    for seconds in (5, 20, 0):
        send(pub, qos=1, payload=b"%d" % seconds, properties=Properties(message_expiry_interval=seconds))
    bench.clock.now_ms += 7_000
    sub = bench.stay("s")
    packet = sub.one(Publish)
    assert packet.properties is not None
    assert (packet.payload, packet.properties.message_expiry_interval) == (b"20", 13)
    assert bench.counts.dropped[DropReason.EXPIRED] == 2
    bench.clock.now_ms += 60_000
    sub.drop()
    again = bench.stay("s").one(Publish)  # it was begun, so it is finished
    assert again.dup
    assert again.properties is not None
    assert again.properties.message_expiry_interval == 0


# When


def test_what_is_refused_is_not_handed_on() -> None:
    bench = Bench()
    sub, pub = bench.join("s"), bench.join("p")
    sub.subscribe("#")
    bench.flow.refusal = "too_large"
    send(pub, qos=1, retain=True)
    assert (given(sub), bench.counts.retained) == ([], 0)


def test_a_publish_is_answered_when_its_copies_for_the_absent_are_durable() -> None:
    bench = Bench()
    sub, pub = bench.stay("s"), bench.join("p", V5)
    sub.subscribe("t")
    sub.drop()
    bench.flow.hold_states = True
    pub.say(Publish("t", b"", 1, packet_id=1))
    assert pub.read() == []
    bench.settle()
    pub.one(Puback)


def test_one_connection_s_fault_in_a_turn_is_not_the_others() -> None:
    bench = Bench()
    bad, good, pub = bench.join("bad"), bench.join("good"), bench.join("p")
    for peer in (bad, good):
        peer.subscribe("t")

    def broken(data: bytes) -> None:
        raise RuntimeError("ours")

    bad.machine.output._write = broken
    pub.machine.receive_bytes(encode(Publish("t", b"x"), V5), bench.clock.unix_ms())
    with pytest.raises(AssertionError, match="ours"):
        bench.run()
    assert len(given(good)) == 1
