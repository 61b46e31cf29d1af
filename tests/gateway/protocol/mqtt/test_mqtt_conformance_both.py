"""What a server must do in both standards, by their numbers, where no other test shows it.

The table of all numbers is docs/mqtt_conformance.md.
"""

from __future__ import annotations

import pytest

from gateway.domain.errors import CloseReason
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from gateway.protocol.mqtt.ports import Denial
from tests.gateway.protocol.mqtt.broker_rig import Bench, Peer, Rules, given, send
from tests.gateway.protocol.mqtt.wire_text import said


def both(in_311: str, in_5: str) -> pytest.MarkDecorator:
    """Runs a test in both versions, under the numbers that it has there."""
    return pytest.mark.parametrize(
        "version",
        [
            pytest.param(V311, id=" ".join(f"MQTT-{number}" for number in in_311.split())),
            pytest.param(V5, id=" ".join(f"MQTT-{number}" for number in in_5.split())),
        ],
    )


def retained(bench: Bench, topic: str = "t") -> list[tuple[bytes, int]]:
    """What a client that asks now finds retained: payload, QoS."""
    peer = bench.join("asks")
    peer.subscribe(topic)
    found = [(packet.payload, packet.qos) for packet in peer.read() if isinstance(packet, Publish)]
    peer.say(Disconnect())
    return found


# Texts and flags


@both("1.5.3-3", "1.5.4-3")
def test_a_byte_order_mark_stays(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe("\ufefft", "t")
    send(bench.join("p", version), "\ufefft")
    assert given(sub) == [("\ufefft", b"x", 0)]


@both("2.2.2-1", "2.1.3-1 3.2.2-1")
def test_reserved_bits_of_everything_that_is_sent(version: int) -> None:
    bench = Bench()
    peer = bench.stay("c", version)
    peer.subscribe(Subscription("t", 2))
    peer.say(Publish("t", b"x", 1, packet_id=3), Publish("t", b"x", 2, packet_id=4), Pingreq())
    peer.say(Pubrel(4))
    peer.say(*(Pubrec(packet.packet_id) for packet in peer.read() if isinstance(packet, Publish) and packet.qos == 2))
    peer.say(Unsubscribe(8, ["t"]))
    firsts = {first_byte >> 4: first_byte & 0x0F for first_byte in first_bytes(peer)}
    assert firsts == {2: 0, 3: 4, 4: 0, 5: 0, 6: 2, 7: 0, 9: 0, 11: 0, 13: 0}


def first_bytes(peer: Peer) -> list[int]:
    found = []
    data = b"".join(peer.writes)
    while data:
        found.append(data[0])
        assert data[1] < 0x80
        data = data[2 + data[1] :]
    return found


# Packet identifiers


@both("2.3.1-4 4.3.2-1 4.3.3-1", "2.2.1-4 4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2")
def test_each_delivery_under_way_has_an_id_of_its_own(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe(Subscription("t", 2))
    pub = bench.join("p")
    for qos in (1, 2, 1, 2):
        send(pub, qos=qos)
    publishes = [packet for packet in sub.read() if isinstance(packet, Publish)]
    assert [(packet.qos, packet.dup) for packet in publishes] == [(1, False), (2, False), (1, False), (2, False)]
    ids = [packet.packet_id for packet in publishes]
    assert len(set(ids)) == 4
    assert all(ids)


@both("2.3.1-5 3.3.1-2 4.3.1-1", "2.2.1-2 3.3.1-2 4.3.1-1")
def test_qos_0_has_neither_id_nor_dup(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe("t")
    sub.writes.clear()
    send(bench.join("p"))
    assert sub.writes == [bytes.fromhex("3004 0001 74 78" if version == V311 else "3005 0001 74 00 78")]


@both("2.3.1-6 3.3.4-1 4.3.2-2 4.3.3-2", "2.2.1-5 3.3.4-1 4.3.2-4 4.3.3-8 4.3.3-11")
def test_each_answer_has_the_id_of_its_publish(version: int) -> None:
    bench = Bench()
    peer = bench.join("c", version)
    peer.say(Publish("t", b"0"), Publish("t", b"1", 1, packet_id=65_535), Publish("t", b"2", 2, packet_id=258))
    peer.say(Pubrel(258))
    assert peer.read() == [Puback(65_535), Pubrec(258), Pubcomp(258)]


@both("4.3.2-2", "4.3.2-5")
def test_a_qos_1_id_that_was_answered_is_a_new_message(version: int) -> None:
    bench = Bench()
    peer = bench.join("c", version)
    for dup in (False, True):
        peer.say(Publish("t", b"x", 1, dup=dup, packet_id=1))
    assert len(bench.flow.taken) == 2


@both("4.3.3-2", "4.3.3-12")
def test_a_qos_2_id_that_was_completed_is_a_new_message(version: int) -> None:
    bench = Bench()
    peer = bench.stay("c", version)
    for dup in (False, True):
        peer.say(Publish("t", b"x", 2, dup=dup, packet_id=1))
        peer.say(Pubrel(1))
    assert len(bench.flow.taken) == 2


@both("4.3.3-1", "4.3.3-3 4.3.3-4 4.3.3-5 4.3.3-6")
def test_a_qos_2_delivery_is_never_sent_again_behind_its_release(version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("t")
    send(bench.join("p"), qos=2)
    packet_id = sub.one(Publish).packet_id
    sub.drop()
    sub = bench.stay("s", version)
    assert sub.one(Publish) == Publish("t", b"x", 2, dup=True, packet_id=packet_id)
    sub.say(Pubrec(packet_id))
    assert sub.read() == [Pubrel(packet_id)]
    for _ in range(2):
        sub.drop()
        sub = bench.stay("s", version)
        assert sub.read() == [Pubrel(packet_id)]
    sub.say(Pubcomp(packet_id))
    sub.drop()
    assert bench.stay("s", version).read() == []


# CONNECT and CONNACK


@both("3.1.2-12", "3.1.2-7")
def test_without_a_will_none_is_published(version: int) -> None:
    bench = Bench()
    bench.join("c", version).drop()
    assert not bench.flow.taken


@both("3.1.2-16 3.1.2-17", "3.1.2-14 3.1.2-15")
def test_a_will_is_retained_if_it_says_so(version: int) -> None:
    bench = Bench()
    for retain, found in ((False, []), (True, [(b"gone", 1)])):
        bench.connect("c", version, will=Will("t", b"gone", 1, retain)).drop()
        assert retained(bench) == found


@both("3.1.2-7", "3.1.2-4")
def test_what_is_retained_outlives_the_session_of_its_publisher(version: int) -> None:
    bench = Bench()
    pub = bench.join("p", version)
    send(pub, retain=True)
    pub.say(Disconnect())
    assert "p" not in bench.broker.sessions
    bench.join("p", version)
    assert retained(bench) == [(b"x", 0)]


@both("3.1.2-6 3.2.2-1", "3.1.2-4 3.2.2-2")
def test_a_clean_start_begins_with_nothing(version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("t")
    sub.say(Publish("u", b"2", 2, packet_id=4))
    sub.drop()
    send(bench.join("p"), qos=1)
    sub = bench.connect("s", version)
    assert not sub.one(Connack).session_present
    send(bench.join("p"), qos=1)
    assert sub.read() == []
    sub.say(Publish("u", b"2", 2, packet_id=4))
    assert bench.flow.topics.count("u") == 2


@both("3.1.3-2", "3.1.3-2")
def test_state_belongs_to_the_client_id(version: int) -> None:
    bench = Bench()
    for name in ("a", "b"):
        peer = bench.stay(name, version)
        peer.subscribe(name)
        peer.drop()
    for name in ("a", "b"):
        send(bench.join("p"), name, qos=1)
    assert [given(bench.stay(name, version)) for name in ("a", "b")] == [[("a", b"x", 1)], [("b", b"x", 1)]]


@both("3.1.3-1 3.1.4-4", "3.1.3-1 3.1.4-5")
def test_the_fields_of_a_connect_in_their_order(version: int) -> None:
    bench = Bench()
    peer = bench.peer(version)
    p = "00" if version == V5 else ""
    fields = f"{p} 0001'c' {p} 0001'w' 0001'm' 0001'u' 0001'p'"
    peer.raw(said(0x10, f"0004'MQTT' {version:02x} ee 0000 {fields}"))
    assert peer.one(Connack).reason is ReasonCode.SUCCESS
    session = bench.broker.sessions["c"]
    assert session.will == Will("w", b"m", 1, True)


@both("3.1.3-5", "3.1.3-5")
def test_client_ids_that_every_server_takes(version: int) -> None:
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    bench = Bench()
    names = [letters[start : start + length] for length in (1, 23) for start in range(0, 62 - length + 1)]
    for name in names:
        bench.join(name, version)
    assert set(bench.broker.sessions) == set(names)


@both("3.1.3-9 3.2.2-4 3.2.2-5", "3.1.3-8 3.1.4-2 3.2.2-6 3.2.2-7 3.2.2-8")
def test_a_client_id_that_is_refused(version: int) -> None:
    bench = Bench()
    bench.stay("c", version).drop()
    bench.access.hold = True
    peer = bench.connect("c", version, clean=False)
    bench.access.asked[-1][1](Denial(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID))
    connack = peer.one(Connack)
    assert (connack.reason, connack.session_present) == (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, False)
    assert peer.closed is CloseReason.REFUSED


@both("3.1.4-5", "3.1.4-6 3.14.0-1")
def test_nothing_behind_a_refused_connect_is_done(version: int) -> None:
    bench = Bench()
    peer = bench.peer(version)
    peer.say(
        Connect(version, "c", user_name="u", password=b"wrong"),
        Publish("t", b"x"),
        Subscribe(1, [Subscription("t")]),
    )
    assert [type(packet) for packet in peer.read()] == [Connack]
    assert not bench.flow.taken
    assert not len(bench.broker.tree)


@both("3.2.0-1", "3.2.0-1 3.2.0-2")
def test_connack_is_the_first_packet_and_comes_once(version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("t")
    sub.drop()
    send(bench.join("p"), qos=1)
    sub = bench.connect("s", version, clean=False, expiry_s=60)
    sub.say(Pingreq())
    assert [type(packet) for packet in sub.read()] == [Connack, Publish, Pingresp]


def test_311_says_nothing_where_it_has_no_return_code() -> None:
    """3.1.1: MQTT-3.2.2-6."""
    bench = Bench()
    bench.access.hold = True
    peer = bench.connect("c", V311)
    bench.access.asked[-1][1](Denial(ReasonCode.USE_ANOTHER_SERVER))
    assert peer.read() == []
    assert peer.closed is CloseReason.REFUSED


@both("4.1.0-1 4.1.0-2", "4.1.0-1")
def test_a_session_lasts_as_long_as_its_connection(version: int) -> None:
    bench = Bench()
    peer = bench.join("c", version)
    peer.subscribe("t")
    bench.advance(10 * 365 * 86_400)
    send(bench.join("p"))
    assert given(peer) == [("t", b"x", 0)]


# PUBLISH


@both("3.3.1-3", "3.3.1-3")
def test_dup_is_not_handed_on(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe("t")
    send(bench.join("p", version), qos=1, dup=True)
    assert not sub.one(Publish).dup


@both("3.3.1-5 3.3.1-7", "3.3.1-5")
def test_the_last_retained_message_replaces_the_one_before(version: int) -> None:
    bench = Bench()
    pub = bench.join("p", version)
    for qos in (2, 0, 1):
        send(pub, payload=b"%d" % qos, qos=qos, retain=True)
        assert retained(bench) == [(b"%d" % qos, qos)]


@both("3.3.1-10 3.3.1-11", "3.3.1-6 3.3.1-7")
def test_a_retained_message_without_payload_takes_the_other_away(version: int) -> None:
    bench = Bench()
    sub, pub = bench.join("s", version), bench.join("p", version)
    sub.subscribe("t")
    for payload in (b"x", b""):
        send(pub, payload=payload, retain=True)
    assert given(sub) == [("t", b"x", 0), ("t", b"", 0)]
    assert retained(bench) == []
    assert bench.counts.retained == 0


@both("3.3.1-12", "3.3.1-8")
def test_a_message_that_is_not_to_be_retained_changes_nothing(version: int) -> None:
    bench = Bench()
    pub = bench.join("p", version)
    send(pub, payload=b"kept", retain=True)
    for payload in (b"other", b""):
        send(pub, payload=payload)
        send(pub, "u", payload)
    assert retained(bench, "#") == [(b"kept", 0)]


@both("3.3.1-9", "3.3.1-12")
def test_who_has_subscribed_before_gets_no_retain_flag(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe("t")
    send(bench.join("p"), retain=True)
    assert not sub.one(Publish).retain


@both("3.3.2-3 4.7.2-1 4.7.3-4", "3.3.2-3 4.7.2-1 4.7.3-4")
def test_only_names_that_a_filter_matches_and_as_they_stand(version: int) -> None:
    """Nothing is normalized: neither case nor slashes nor the forms of a letter."""
    bench = Bench()
    pub = bench.join("p")
    names = ["a/b", "A/b", "a//b", "/a/b", "a/b/", "a", "$a/b", "\u00e9", "e\u0301", "$SYS/x"]
    for topic_filter, expected in {
        "a/b": ["a/b"],
        "a/+": ["a/b"],
        "a/#": ["a/b", "a//b", "a/b/", "a"],
        "+/+": ["a/b", "A/b"],
        "/+/b": ["/a/b"],
        "\u00e9": ["\u00e9"],
        "+": ["a", "\u00e9", "e\u0301"],
        "#": [name for name in names if name[0] != "$"],
        "$SYS/#": ["$SYS/x"],
        "$a/+": ["$a/b"],
    }.items():
        sub = bench.join("s", version)
        sub.subscribe(topic_filter)
        for name in names:
            send(pub, name)
        assert [topic for topic, _, _ in given(sub)] == expected, topic_filter
        sub.say(Disconnect())


# SUBSCRIBE and UNSUBSCRIBE


@both(
    "2.3.1-7 3.8.3-2 3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2",
    "2.2.1-6 3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2",
)
def test_one_suback_with_a_code_for_each_filter_in_order(version: int) -> None:
    bench = Bench()
    bench.access.grant = Rules("secret/#")
    peer = bench.join("c", version)
    filters = [("a", 2), ("secret/#", 0), ("+/b", 0), ("c/#", 1)]
    peer.say(Subscribe(0x1234, [Subscription(topic_filter, qos) for topic_filter, qos in filters]))
    refused = ReasonCode.NOT_AUTHORIZED if version == V5 else ReasonCode.UNSPECIFIED_ERROR
    assert peer.one(Suback) == Suback(0x1234, [ReasonCode(2), refused, ReasonCode(0), ReasonCode(1)])


@both("3.8.4-3", "3.8.4-3 3.8.4-4 3.3.1-9")
def test_subscribing_again_replaces_and_sends_what_is_retained_and_loses_nothing(version: int) -> None:
    bench = Bench()
    pub, sub = bench.join("p"), bench.stay("s", version)
    send(pub, payload=b"r", qos=1, retain=True)
    sub.subscribe(Subscription("t", 1))
    send(pub, payload=b"1", qos=1)
    sub.say(Subscribe(5, [Subscription("t", 0)]))
    send(pub, payload=b"2", qos=1)
    publishes = [packet for packet in sub.read() if isinstance(packet, Publish)]
    assert [(packet.payload, packet.qos, packet.retain) for packet in publishes] == [
        (b"r", 1, True),
        (b"1", 1, False),
        (b"r", 0, True),
        (b"2", 0, False),
    ]


@both("3.10.4-1 3.10.4-4 3.10.4-5 3.10.4-6 2.3.1-7", "3.10.4-1 3.10.4-4 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2")
def test_unsubscribe_compares_by_character_and_answers_once(version: int) -> None:
    bench = Bench()
    sub = bench.join("s", version)
    sub.subscribe("a/+", "a/b")
    sub.say(Unsubscribe(0x1234, ["a/#", "a/b", "A/+"]))
    none, done = ReasonCode.NO_SUBSCRIPTION_EXISTED, ReasonCode.SUCCESS
    assert sub.one(Unsuback) == Unsuback(0x1234, [none, done, none] if version == V5 else [])
    send(bench.join("p"), "a/b")
    assert given(sub) == [("a/b", b"x", 0)]
    sub.say(Unsubscribe(1, ["nothing"]))
    assert sub.one(Unsuback).packet_id == 1


@both("3.10.4-2 3.10.4-3", "3.10.4-2 3.10.4-3")
def test_what_was_begun_is_completed_after_unsubscribe(version: int) -> None:
    bench = Bench()
    sub = bench.stay("s", version)
    sub.subscribe("t")
    pub = bench.join("p")
    send(pub, qos=2)
    packet_id = sub.one(Publish).packet_id
    sub.say(Unsubscribe(1, ["t"]))
    send(pub, payload=b"late", qos=2)
    assert [type(packet) for packet in sub.read()] == [Unsuback]
    sub.drop()
    sub = bench.stay("s", version)
    assert sub.one(Publish).packet_id == packet_id
    sub.say(Pubrec(packet_id))
    assert sub.read() == [Pubrel(packet_id)]
    sub.say(Pubcomp(packet_id))
    assert bench.counts.queued_bytes == 0


# The rest


@both("3.12.4-1", "3.12.4-1")
def test_a_ping_is_answered(version: int) -> None:
    peer = Bench().join("c", version)
    peer.say(Pingreq(), Pingreq())
    assert peer.read() == [Pingresp(), Pingresp()]


@both("3.14.4-3 3.1.2-10", "3.14.4-1 3.14.4-3 3.1.2-10")
def test_a_disconnect_is_the_end_and_voids_the_will(version: int) -> None:
    bench = Bench()
    peer = bench.connect("c", version, will=Will("gone", b""))
    peer.say(Disconnect(), Publish("t", b"late"))
    peer.machine.receive_bytes(encode(Publish("t", b"later"), version), bench.clock.unix_ms())
    assert (peer.closed, bench.flow.taken) == (CloseReason.PEER_CLOSED, [])


@both("4.5.0-1 3.1.2-5", "4.5.0-1 3.1.2-23")
def test_a_message_is_in_the_sessions_of_all_who_match(version: int) -> None:
    bench = Bench()
    here, away, gone = bench.join("here", version), bench.stay("away", version), bench.join("gone", version)
    for peer in (here, away, gone):
        peer.subscribe("t")
    for peer in (away, gone):
        peer.drop()
    send(bench.join("p"), qos=1)
    assert given(here) == [("t", b"x", 1)]
    assert given(bench.stay("away", version)) == [("t", b"x", 1)]
    assert given(bench.join("gone", version)) == []


@both("4.6.0-1 4.6.0-4 4.6.0-5 4.6.0-6", "4.6.0-4 4.6.0-5 4.6.0-6")
def test_order_of_deliveries_and_releases(version: int) -> None:
    """In order of each publisher, however its receipts settle; releases in order of PUBREC; all of it again after a
    reconnect."""
    bench = Bench()
    sub, pub = bench.stay("s", version), bench.join("p", version)
    sub.subscribe("t")
    bench.flow.hold = True
    pub.say(*(Publish("t", b"%d" % n, 2, packet_id=n) for n in range(1, 6)))
    for place in (4, 2, 2, 1, 0):
        bench.settle(place)
    publishes = [packet for packet in sub.read() if isinstance(packet, Publish)]
    assert [packet.payload for packet in publishes] == [b"1", b"2", b"3", b"4", b"5"]
    ids = [packet.packet_id for packet in publishes]
    order = [ids[3], ids[0], ids[2]]
    sub.say(*(Pubrec(packet_id) for packet_id in order))
    assert sub.read() == [Pubrel(packet_id) for packet_id in order]
    sub.drop()
    again: list[Packet] = bench.stay("s", version).read()
    assert again[:3] == [Pubrel(packet_id) for packet_id in order]
    assert [(packet.packet_id, packet.dup) for packet in again[3:] if isinstance(packet, Publish)] == [
        (ids[1], True),
        (ids[4], True),
    ]


@both("4.8.0-2", "4.13.2-1")
def test_an_error_of_ours_ends_the_connection(version: int) -> None:
    """What cannot be stored for now is no acknowledgement: the connection ends and the client sends again."""
    bench = Bench()
    peer = bench.join("c", version)
    bench.flow.refusal = "sink_failed"
    peer.say(Publish("t", b"x", 1, packet_id=1))
    assert peer.closed is CloseReason.NOT_KEPT
    assert not any(isinstance(packet, Puback) for packet in peer.read())
