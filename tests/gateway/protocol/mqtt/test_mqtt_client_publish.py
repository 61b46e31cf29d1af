from __future__ import annotations

import pytest

from gateway.domain.errors import CloseReason, RefuseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connack,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
)
from gateway.protocol.mqtt.ports import Answer, ClientLimits, explain
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench, Peer, Rules


def publish(packet_id: int = 0, qos: int = 1, topic: str = "t", payload: bytes = b"", dup: bool = False) -> Publish:
    return Publish(topic, payload or b"%d" % packet_id, qos if packet_id else 0, packet_id=packet_id, dup=dup)


def acks(peer: Peer) -> list[tuple[str, int]]:
    found = []
    for packet in peer.read():
        assert isinstance(packet, Puback | Pubrec | Pubcomp), packet
        assert packet.reason is ReasonCode.SUCCESS
        found.append((type(packet).__name__, packet.packet_id))
    return found


# Acknowledged means durable


@pytest.mark.parametrize("version", VERSIONS)
def test_no_ack_before_the_receipt_settles(version: int) -> None:
    bench = Bench()
    peer = bench.join("c", version)
    bench.flow.hold = True
    peer.say(publish(1), publish(2, qos=2), publish())
    assert peer.read() == []
    bench.settle()
    assert acks(peer) == [("Puback", 1), ("Pubrec", 2)]


def test_acks_leave_in_order_of_publishes_however_receipts_settle() -> None:
    bench = Bench()
    peer = bench.join()
    bench.flow.hold = True
    peer.say(publish(5), publish(3, qos=2), publish(), publish(9))
    bench.settle(3)
    bench.settle(1)
    assert peer.read() == []
    bench.settle(0)
    assert acks(peer) == [("Puback", 5), ("Pubrec", 3)]
    bench.settle(0)
    assert acks(peer) == [("Puback", 9)]


def test_acks_of_one_commit_are_one_write() -> None:
    bench = Bench()
    peers = [bench.join(name) for name in "ab"]
    bench.flow.hold = True
    for peer in peers:
        peer.say(*(publish(n) for n in range(1, 21)))
        peer.writes.clear()
    bench.settle()
    for peer in peers:
        assert len(peer.writes) == 1
        assert acks(peer) == [("Puback", n) for n in range(1, 21)]


def test_acks_that_settle_at_once_are_one_write() -> None:
    bench = Bench()
    peer = bench.join()
    peer.writes.clear()
    peer.say(publish(1), publish(2), Pingreq(), publish(3))
    assert len(peer.writes) == 1
    assert [type(packet) for packet in peer.read()] == [Pingresp, Puback, Puback, Puback]


def test_receipts_that_settle_after_the_end() -> None:
    bench = Bench()
    listener = bench.join("l")
    listener.subscribe("#")
    peer = bench.join()
    bench.flow.hold = True
    peer.say(publish(1), publish(2, qos=2), publish())
    peer.drop()
    assert listener.read() == []
    bench.settle(2)
    bench.settle()
    # They were kept, so they are handed on, though nobody is left to be told.
    assert [packet.payload for packet in listener.read() if isinstance(packet, Publish)] == [b"1", b"2", b"0"]
    assert peer.read() == []


def test_a_publish_with_disconnect_behind_it_is_taken() -> None:
    bench = Bench()
    peer = bench.join()
    bench.flow.hold = True
    peer.say(publish(), Disconnect())
    assert (bench.flow.topics, peer.closed) == (["t"], CloseReason.PEER_CLOSED)
    bench.settle()


def test_who_published_what() -> None:
    bench = Bench()
    peer = bench.join("dev-1")
    properties = Properties(content_type="text/csv", user_properties=(("k", "v"),))
    peer.say(Publish("a/b", b"x", 0, True, properties=properties))
    (sender,) = bench.flow.senders
    assert (sender.client_id, sender.peer, sender.listener, sender.session_id, sender.version) == (
        "dev-1",
        "192.0.2.1:5",
        "mqtt",
        "s1",
        V5,
    )
    assert bench.flow.taken[0].properties == properties


# Refused


@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_not_kept_closes_311_without_an_ack(qos: int) -> None:
    bench = Bench()
    peer = bench.stay("c", V311)
    bench.flow.hold = True
    peer.say(publish(1, qos), publish(2, qos), publish(3, qos))
    bench.settle(0)
    assert len(peer.read()) == 1
    bench.settle(0, refusal=RefuseReason.OUTBOX_FULL)
    assert (peer.closed, peer.read()) == (CloseReason.NOT_KEPT, [])
    bench.settle()
    # It comes again, on the next connection; what was kept already is not taken twice with QoS 2.
    bench.flow.hold = False
    peer = bench.stay("c", V311)
    peer.say(publish(2, qos, dup=True), publish(3, qos, dup=True))
    assert len(acks(peer)) == 2
    assert bench.flow.payloads[3:] == ([b"2", b"3"] if qos == 1 else [b"2"])


@pytest.mark.parametrize("qos", [1, 2])
def test_what_can_be_kept_later_ends_5_with_the_reason_and_no_ack(qos: int) -> None:
    bench = Bench()
    peer = bench.join()
    bench.flow.refusal = RefuseReason.OUTBOX_FULL
    peer.say(publish(1, qos), publish(2, qos))
    goodbye = peer.one(Disconnect)
    assert (goodbye.reason, peer.closed) == (ReasonCode.QUOTA_EXCEEDED, CloseReason.NOT_KEPT)
    assert goodbye.properties is not None
    assert goodbye.properties.reason_string == "storage is full, send again later"


def test_a_reason_nobody_knows_is_never_a_yes() -> None:
    bench = Bench()
    peer = bench.join()
    bench.flow.refusal = "something new"
    peer.say(publish(1))
    assert peer.one(Disconnect).reason is ReasonCode.UNSPECIFIED_ERROR


def test_what_will_never_be_kept_is_a_reason_in_5() -> None:
    bench = Bench()
    peer = bench.join()
    bench.flow.refusal = RefuseReason.TOO_LARGE
    peer.say(publish(1), publish(2, qos=2), publish())
    puback, pubrec = peer.read()
    assert isinstance(puback, Puback)
    assert isinstance(pubrec, Pubrec)
    assert (puback.reason, pubrec.reason) == (ReasonCode.QUOTA_EXCEEDED, ReasonCode.QUOTA_EXCEEDED)
    assert puback.properties is not None
    assert puback.properties.reason_string == "too large to be stored"
    # A PUBREC with a failure frees the id (5.0 section 4.3.3).
    bench.flow.refusal = ""
    peer.say(publish(2, qos=2))
    assert acks(peer) == [("Pubrec", 2)]
    assert len(bench.flow.taken) == 4


def test_no_reason_string_for_who_does_not_want_one() -> None:
    bench = Bench()
    peer = bench.join("c", request_problem_information=0)
    bench.flow.refusal = RefuseReason.TOO_LARGE
    peer.say(publish(1))
    assert peer.one(Puback).properties is None


@pytest.mark.parametrize("version", VERSIONS)
def test_topics_that_are_not_allowed(version: int) -> None:
    bench = Bench()
    bench.access.grant = Rules("secret/#")
    peer = bench.join("c", version)
    listener = bench.join("l")
    listener.subscribe("#")
    peer.say(publish(topic="secret/x"), publish(1, topic="ok"), publish(2, topic="secret/x"))
    if version == V5:
        allowed, denied = peer.read()
        assert isinstance(denied, Puback)
        assert denied.reason is ReasonCode.NOT_AUTHORIZED
        assert peer.closed is None
    else:
        (allowed,) = peer.read()
        assert peer.closed is CloseReason.NOT_KEPT
    assert isinstance(allowed, Puback)
    assert bench.flow.topics == ["ok"]
    assert len(listener.read()) == 1


def test_a_topic_that_is_not_allowed_with_qos_2() -> None:
    bench = Bench()
    bench.access.grant = Rules("secret")
    peer = bench.join("c")
    peer.say(publish(1, qos=2, topic="secret"))
    assert peer.one(Pubrec).reason is ReasonCode.NOT_AUTHORIZED
    peer.say(publish(1, qos=2, topic="open"))
    assert acks(peer) == [("Pubrec", 1)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dead_letter_is_kept_and_acknowledged(version: int) -> None:
    bench = Bench()
    bench.flow.dead_letter = "unknown_product"
    peer = bench.join("c", version)
    peer.say(publish(1), publish(2, qos=2))
    assert acks(peer) == [("Puback", 1), ("Pubrec", 2)]


def test_a_dead_letter_gets_a_reason_where_the_policy_says_so() -> None:
    bench = Bench()

    def policy(receipt: Receipt) -> Answer:
        if receipt.outcome is Outcome.DEAD_LETTERED:
            return Answer(ReasonCode.PAYLOAD_FORMAT_INVALID, "no product reads this")
        return explain(receipt)

    bench.client_ports.explain = policy
    bench.flow.dead_letter = "unknown_product"
    peer = bench.join()
    peer.say(publish(1))
    assert peer.one(Puback).reason is ReasonCode.PAYLOAD_FORMAT_INVALID
    peer.say(publish(2, qos=2))  # the id is kept with the letter, so it must be released
    assert acks(peer) == [("Pubrec", 2)]
    old = bench.join("old", V311)
    old.say(publish(3))
    assert acks(old) == [("Puback", 3)]


# QoS 2


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_2_is_taken_once_however_often_it_comes(version: int) -> None:
    bench = Bench()
    listener = bench.join("l")
    listener.subscribe("#")
    peer = bench.join("c", version)
    peer.say(publish(1, qos=2), publish(1, qos=2, dup=True))
    peer.say(publish(1, qos=2, dup=True))
    assert acks(peer) == [("Pubrec", 1)] * 3
    peer.say(Pubrel(1))
    assert acks(peer) == [("Pubcomp", 1)]
    assert (bench.flow.payloads, len(listener.read())) == ([b"1"], 1)
    peer.say(publish(1, qos=2))  # the id is free again, so this is another message
    assert acks(peer) == [("Pubrec", 1)]
    assert len(bench.flow.taken) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_2_across_a_reconnect(version: int) -> None:
    bench = Bench()
    peer = bench.stay("c", version)
    peer.say(publish(1, qos=2), publish(2, qos=2))
    peer.drop()
    peer = bench.stay("c", version)
    peer.say(publish(1, qos=2, dup=True), Pubrel(2))
    assert acks(peer) == [("Pubrec", 1), ("Pubcomp", 2)]
    assert bench.flow.payloads == [b"1", b"2"]
    peer.say(Pubrel(1))
    assert acks(peer) == [("Pubcomp", 1)]


def test_qos_2_comes_again_while_its_first_copy_is_under_way() -> None:
    bench = Bench()
    bench.flow.hold = True
    peer = bench.stay("c")
    peer.say(publish(1, qos=2))
    peer.drop()
    peer = bench.stay("c")
    peer.say(publish(1, qos=2, dup=True), publish(2, qos=2))
    bench.settle(1)
    assert peer.read() == []
    bench.settle(0)
    assert acks(peer) == [("Pubrec", 1), ("Pubrec", 2)]
    assert bench.flow.payloads == [b"1", b"2"]


def test_a_first_copy_that_is_refused_takes_its_second_with_it() -> None:
    bench = Bench()
    bench.flow.hold = True
    peer = bench.stay("c")
    peer.say(publish(1, qos=2))
    peer.drop()
    peer = bench.stay("c")
    peer.say(publish(1, qos=2, dup=True))
    bench.settle(0, refusal=RefuseReason.SINK_FAILED)
    assert (peer.closed, len(peer.read())) == (CloseReason.NOT_KEPT, 1)
    peer = bench.stay("c")
    peer.say(publish(1, qos=2, dup=True))
    bench.settle()
    assert acks(peer) == [("Pubrec", 1)]
    assert len(bench.flow.taken) == 2


def test_a_release_of_nothing() -> None:
    bench = Bench()
    peer = bench.join()
    peer.say(Pubrel(7))
    assert peer.one(Pubcomp).reason is ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    old = bench.join("old", V311)
    old.say(Pubrel(7))
    assert acks(old) == [("Pubcomp", 7)]


def test_a_release_before_the_receipt_settles() -> None:
    bench = Bench()
    bench.flow.hold = True
    peer = bench.join()
    peer.say(publish(1, qos=2), Pubrel(1))
    assert peer.one(Disconnect).reason is ReasonCode.PROTOCOL_ERROR
    bench.settle()


def test_a_release_is_durable_before_it_is_answered() -> None:
    bench = Bench()
    peer = bench.stay("c")
    peer.say(publish(1, qos=2))
    assert acks(peer) == [("Pubrec", 1)]
    bench.flow.hold_states = True
    peer.say(Pubrel(1))
    assert peer.read() == []
    peer.drop()
    peer = bench.stay("c")
    peer.say(Pubrel(1), Pubrel(1))  # once more, while it is under way
    assert peer.read() == []
    bench.settle()
    assert acks(peer) == [("Pubcomp", 1), ("Pubcomp", 1)]


def test_a_release_that_cannot_be_kept_is_not_answered() -> None:
    bench = Bench()
    peer = bench.stay("c")
    peer.say(publish(1, qos=2))
    peer.read()
    bench.flow.refusal = RefuseReason.SINK_FAILED
    peer.say(Pubrel(1))
    assert isinstance(peer.read()[0], Disconnect)
    bench.flow.refusal = ""
    peer = bench.stay("c")
    peer.say(publish(1, qos=2, dup=True), Pubrel(1))
    assert acks(peer) == [("Pubrec", 1), ("Pubcomp", 1)]
    assert len(bench.flow.taken) == 1


# Limits


def test_receive_maximum_counts_what_is_not_answered() -> None:
    bench = Bench(limits=ClientLimits(receive_maximum=3))
    peer = bench.join()
    bench.flow.hold = True
    peer.say(publish(1), publish(2, qos=2), publish(3), publish(2, qos=2, dup=True), publish())
    assert peer.closed is None
    bench.settle()
    assert len(peer.read()) == 4
    peer.say(publish(4), publish(5))  # QoS 2 counts until PUBCOMP
    assert peer.closed is None
    peer.say(publish(6))
    assert peer.one(Disconnect).reason is ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
    bench.settle()


def test_receive_maximum_counts_anew_on_each_connection() -> None:
    bench = Bench(limits=ClientLimits(receive_maximum=2))
    peer = bench.stay("c")
    peer.say(publish(1, qos=2), publish(2, qos=2))
    peer.drop()
    peer = bench.stay("c")
    peer.say(Pubrel(1), Pubrel(2), publish(3, qos=2), publish(4, qos=2))
    assert peer.closed is None


def test_receive_maximum_is_free_again_after_each_answer() -> None:
    bench = Bench(limits=ClientLimits(receive_maximum=1))
    peer = bench.join()
    for n in range(1, 5):
        for packet in (publish(n), publish(n, qos=2), Pubrel(n)):
            peer.say(packet)
    bench.flow.refusal = RefuseReason.TOO_LARGE
    peer.say(publish(9, qos=2))
    bench.flow.refusal = ""
    peer.say(publish(9, qos=2))
    assert peer.closed is None


def test_qos_2_ids_of_a_session_are_bounded() -> None:
    bench = Bench(limits=ClientLimits(receive_maximum=1, max_unreleased=3))
    peer = bench.join("c", V311)
    peer.say(*(publish(n, qos=2) for n in (1, 2, 3)), publish(1, qos=2, dup=True))
    assert peer.closed is None
    peer.say(publish(4, qos=2))
    assert peer.closed is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize("qos", [0, 1])
def test_reading_is_held_back_while_too_much_is_in_flight(qos: int) -> None:
    bench = Bench(limits=ClientLimits(publishes_in_flight=4))
    bench.flow.hold = True
    peer = bench.join("c", V311)
    peer.say(*(publish(n if qos else 0) for n in range(1, 8)))
    assert (len(bench.flow.taken), peer.held) == (4, True)
    bench.settle(0, 1, 2)
    assert (len(bench.flow.taken), peer.held) == (7, True)
    bench.settle(0, 1)
    assert not peer.held
    bench.settle()
    assert len(peer.read()) == 7 * qos


def test_bytes_in_flight_are_limited_too() -> None:
    bench = Bench(limits=ClientLimits(bytes_in_flight=100))
    bench.flow.hold = True
    peer = bench.join("c")
    peer.say(*(Publish("t", bytes(60)) for _ in range(4)))
    assert (len(bench.flow.taken), peer.held) == (2, True)
    bench.settle()
    assert (len(bench.flow.taken), peer.held) == (4, True)
    bench.settle()
    assert not peer.held


def test_reconnecting_does_not_evade_the_limit() -> None:
    bench = Bench(limits=ClientLimits(publishes_in_flight=2))
    bench.flow.hold = True
    peer = bench.stay("c")
    peer.say(publish(1), publish(2))
    peer.drop()
    peer = bench.stay("c")
    peer.say(publish(1, dup=True))
    assert (len(bench.flow.taken), peer.held) == (2, True)
    bench.settle()
    assert len(bench.flow.taken) == 3


def test_nothing_is_taken_while_the_outbox_is_full_but_pings_are_answered() -> None:
    bench = Bench()
    peer = bench.join()
    bench.gate.open = False
    peer.say(Pingreq(), publish(1), Pingreq())
    assert [type(packet) for packet in peer.read()] == [Pingresp]
    assert (bench.flow.taken, peer.held) == ([], True)
    bench.gate.open = True
    peer.machine.resume()
    bench.run()
    assert [type(packet) for packet in peer.read()] == [Pingresp, Puback]
    assert not peer.held


def test_what_waits_when_the_connection_ends_is_not_taken() -> None:
    bench = Bench()
    peer = bench.join()
    bench.gate.open = False
    peer.say(publish(1))
    peer.drop()
    bench.gate.open = True
    peer.machine.resume()
    assert bench.flow.taken == []


# Topic aliases


def test_an_alias_stands_for_its_topic() -> None:
    bench = Bench(limits=ClientLimits(topic_aliases=2))
    peer = bench.join()
    alias = [Properties(topic_alias=n) for n in (1, 2, 1, 2, 1, 1)]
    topics = ["a", "b", "", "", "c", ""]
    peer.say(*(Publish(topic, b"", properties=said) for topic, said in zip(topics, alias, strict=True)))
    assert bench.flow.topics == ["a", "b", "a", "b", "c", "c"]
    assert all(taken.properties is not None and taken.properties.topic_alias is None for taken in bench.flow.taken)


@pytest.mark.parametrize(
    ("alias", "topic", "reason"),
    [(3, "a", ReasonCode.TOPIC_ALIAS_INVALID), (2, "", ReasonCode.PROTOCOL_ERROR)],
)
def test_aliases_that_are_wrong(alias: int, topic: str, reason: ReasonCode) -> None:
    bench = Bench(limits=ClientLimits(topic_aliases=2))
    peer = bench.join()
    peer.say(Publish(topic, b"", properties=Properties(topic_alias=alias)))
    assert peer.one(Disconnect).reason is reason
    assert bench.flow.taken == []


def test_an_alias_ends_with_its_connection_and_obeys_the_topic_rules() -> None:
    bench = Bench()
    bench.access.grant = Rules("secret")
    peer = bench.stay("c")
    peer.say(Publish("secret", b"", properties=Properties(topic_alias=1)))
    peer.say(Publish("", b"", 1, packet_id=1, properties=Properties(topic_alias=1)))
    assert peer.one(Puback).reason is ReasonCode.NOT_AUTHORIZED
    peer.drop()
    peer = bench.stay("c")
    peer.say(Publish("", b"", properties=Properties(topic_alias=1)))
    assert peer.one(Disconnect).reason is ReasonCode.PROTOCOL_ERROR
    assert bench.flow.taken == []


# Bad packets behind good ones


@pytest.mark.parametrize("version", VERSIONS)
def test_what_came_before_a_bad_packet_is_taken(version: int) -> None:
    bench = Bench()
    bench.flow.hold = True
    peer = bench.join("c", version)
    good = encode(publish(1), version)
    peer.raw(good + b"\x36\x05\0\x01t\0\x02")  # QoS 3
    assert (bench.flow.topics, peer.closed) == (["t"], CloseReason.PROTOCOL_ERROR)
    assert [type(packet) for packet in peer.read()] == ([Disconnect] if version == V5 else [])
    bench.settle()


def test_packets_that_only_servers_send() -> None:
    bench = Bench()
    for data in (encode(Connack(), V5), encode(Pingresp(), V5), encode(Suback(1, [ReasonCode.SUCCESS]), V5)):
        peer = bench.join()
        peer.raw(data)
        assert peer.closed is CloseReason.PROTOCOL_ERROR


def test_a_subscription_that_cannot_be_kept_is_not_answered() -> None:
    bench = Bench()
    peer = bench.stay("c")
    bench.flow.refusal = RefuseReason.SINK_FAILED
    peer.say(Subscribe(1, [Subscription("t")]))
    assert (type(peer.read()[0]), peer.closed) == (Disconnect, CloseReason.NOT_KEPT)
