"""What a server must do in 5.0 alone, by its numbers, where no other test shows it.

The table of all numbers is docs/mqtt_conformance.md.
"""

from __future__ import annotations

from gateway.domain.errors import CloseReason
from gateway.protocol.mqtt.packets import (
    V5,
    Connack,
    Connect,
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
    Will,
)
from gateway.protocol.mqtt.ports import ClientLimits
from tests.gateway.protocol.mqtt.broker_rig import Bench, Peer, Rules, given, send


def publishes(peer: Peer) -> list[Publish]:
    found = []
    for packet in peer.read():
        assert isinstance(packet, Publish), packet
        found.append(packet)
    return found


def test_no_response_information_for_who_does_not_ask() -> None:
    """MQTT-3.1.2-28: nor for who does, since there is none to give."""
    for asked in (None, 0, 1):
        peer = Bench().peer()
        peer.say(Connect(V5, "c", properties=Properties(request_response_information=asked)))
        said = peer.one(Connack).properties
        assert said is not None
        assert said.response_information is None


def test_who_wants_no_problem_information_is_told_it_at_the_end_alone() -> None:
    """MQTT-3.1.2-29."""
    bench = Bench()
    bench.access.grant = Rules("secret")
    peer = bench.join("c", request_problem_information=0)
    peer.say(Publish("secret", b"", 1, packet_id=1), Publish("secret", b"", 2, packet_id=2), Pubrel(9))
    peer.say(Subscribe(3, [Subscription("secret")]))
    answers = peer.read()
    assert {type(packet) for packet in answers} == {Puback, Pubrec, Pubcomp, Suback}
    assert all(getattr(packet, "properties", None) is None for packet in answers)
    peer.say(Pubrel(2), Publish("t", b"", properties=Properties(topic_alias=200)))
    assert peer.read()[-1] == Disconnect(
        ReasonCode.TOPIC_ALIAS_INVALID, Properties(reason_string="topic alias 200 is not from 1 to the maximum")
    )


def test_an_assigned_client_id_is_nobody_elses() -> None:
    """MQTT-3.1.3-6, MQTT-3.1.3-7, MQTT-3.2.2-16: also where somebody has chosen that one himself."""
    bench = Bench()
    bench.stay("auto-1").drop()
    other = bench.join("auto-2")
    said = bench.connect("").one(Connack).properties
    assert said is not None
    assert said.assigned_client_identifier == "auto-3"
    assert other.closed is None
    assert set(bench.broker.sessions) == {"auto-1", "auto-2", "auto-3"}


def test_the_properties_of_a_will_reach_its_subscribers() -> None:
    """MQTT-3.1.3-10: user properties in their order."""
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("t")
    said = Properties(1, 60, "text/plain", "re", b"id", user_properties=(("b", "1"), ("a", "2"), ("b", "0")))
    peer = bench.peer()
    peer.say(Connect(V5, "c", will=Will("t", b"gone", properties=said)))
    peer.drop()
    assert sub.one(Publish).properties == said


def test_the_keep_alive_of_the_client_counts_where_the_server_names_none() -> None:
    """MQTT-3.2.2-22."""
    bench = Bench(limits=ClientLimits(max_keep_alive_s=60))
    peer = bench.connect("c", keep_alive_s=10)
    said = peer.one(Connack).properties
    assert said is not None
    assert said.server_keep_alive is None
    peer.machine.on_clock(bench.clock.now_ms)
    peer.machine.on_clock(bench.clock.now_ms + 14_999)
    assert peer.closed is None
    peer.machine.on_clock(bench.clock.now_ms + 15_000)
    assert peer.closed is CloseReason.IDLE_TIMEOUT
    assert peer.one(Disconnect).reason is ReasonCode.KEEP_ALIVE_TIMEOUT


def test_retain_as_published() -> None:
    """MQTT-3.3.1-12, MQTT-3.3.1-13."""
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe(Subscription("kept", retain_as_published=True), Subscription("cleared"))
    pub = bench.join("p")
    for topic in ("kept", "cleared"):
        for retain in (True, False):
            send(pub, topic, retain=retain)
    assert [packet.retain for packet in publishes(sub)] == [True, False, False, False]


def test_every_topic_alias_up_to_the_maximum_is_taken() -> None:
    """MQTT-3.3.2-12."""
    bench = Bench(limits=ClientLimits(topic_aliases=7))
    peer = bench.join("c")
    for alias in range(1, 8):
        peer.say(Publish(f"t{alias}", b"", properties=Properties(topic_alias=alias)))
    for alias in range(7, 0, -1):
        peer.say(Publish("", b"", properties=Properties(topic_alias=alias)))
    named = [f"t{alias}" for alias in range(1, 8)]
    assert bench.flow.topics == named + named[::-1]


def test_an_alias_never_makes_a_packet_too_long() -> None:
    """MQTT-3.1.2-24, -25: what fits without an alias is sent without one."""
    bench = Bench()
    sub, pub = bench.join("s", topic_alias_maximum=1, maximum_packet_size=26), bench.join("p")
    sub.subscribe("#")
    for size in (20, 19, 16, 20, 21):  # of 6 bytes and the payload; an alias takes 3 more
        send(pub, "a", bytes(size))
    got = publishes(sub)
    assert [(packet.topic, len(packet.payload)) for packet in got] == [("a", 20), ("a", 19), ("a", 16), ("a", 20)]
    send(pub, "a", bytes(17))
    assert sub.one(Publish).topic == ""


def test_a_full_window_holds_back_publishes_alone() -> None:
    """MQTT-3.3.4-9, MQTT-3.3.4-10, MQTT-4.9.0-1 to -3: everything else is answered."""
    bench = Bench()
    peer = bench.join("c", receive_maximum=1)
    peer.subscribe(Subscription("t", 2))
    pub = bench.join("p")
    for _ in range(3):
        send(pub, qos=2)
    first = peer.one(Publish)
    peer.say(
        Pingreq(),
        Publish("u", b"", 1, packet_id=1),
        Publish("u", b"", 2, packet_id=2),
        Subscribe(3, [Subscription("x")]),
    )
    peer.say(Pubrel(2))
    assert {type(packet) for packet in peer.read()} == {Pingresp, Puback, Pubrec, Suback, Pubcomp}
    peer.say(Pubrec(first.packet_id, ReasonCode.QUOTA_EXCEEDED))  # a failure frees the place at once
    second = peer.one(Publish)
    peer.say(Pubrec(second.packet_id))
    assert peer.read() == [Pubrel(second.packet_id)]
    peer.say(Pubcomp(second.packet_id))
    assert len(publishes(peer)) == 1


def test_a_disconnect_of_ours_names_a_reason_and_no_expiry() -> None:
    """MQTT-3.1.4-3, MQTT-3.14.2-1, MQTT-3.14.2-2, MQTT-3.14.4-1, MQTT-3.14.4-2."""
    bench = Bench()
    first = bench.stay("c")
    first.subscribe("t")
    bench.stay("c")
    goodbye = first.one(Disconnect)
    assert goodbye.reason is ReasonCode.SESSION_TAKEN_OVER
    assert goodbye.properties is not None
    assert goodbye.properties.session_expiry_interval is None
    assert first.closed is CloseReason.TAKEOVER
    send(bench.join("p"))
    assert first.read() == []


def test_a_session_is_gone_when_its_interval_is_over() -> None:
    """MQTT-4.1.0-2."""
    bench = Bench()
    peer = bench.join("c", clean=False, expiry_s=60)
    peer.subscribe("t")
    peer.drop()
    bench.advance(60)
    assert not bench.broker.sessions
    assert not len(bench.broker.tree)
    assert not bench.connect("c", clean=False, expiry_s=60).one(Connack).session_present


def test_a_refused_qos_2_id_is_free_again() -> None:
    """MQTT-4.3.3-9."""
    bench = Bench()
    bench.access.grant = Rules("secret")
    peer = bench.stay("c")
    peer.say(Publish("secret", b"", 2, packet_id=1))
    assert peer.one(Pubrec).reason is ReasonCode.NOT_AUTHORIZED
    peer.say(Publish("t", b"", 2, packet_id=1))
    assert peer.read() == [Pubrec(1)]
    assert bench.flow.topics == ["t"]


def test_expiry_ends_no_handshake() -> None:
    """MQTT-4.3.3-7, MQTT-4.3.3-13: neither outwards once it is begun, nor inwards."""
    bench = Bench()
    sub, pub = bench.stay("s"), bench.join("p")
    sub.subscribe("t")
    brief = Properties(message_expiry_interval=1)
    pub.say(Publish("t", b"", 2, packet_id=1, properties=brief))
    packet_id = sub.one(Publish).packet_id
    bench.advance(5)
    pub.say(Publish("t", b"", 2, dup=True, packet_id=1, properties=brief))
    pub.say(Pubrel(1))
    assert pub.read() == [Pubrec(1), Pubrec(1), Pubcomp(1)]
    sub.drop()
    sub = bench.stay("s")
    assert sub.one(Publish).packet_id == packet_id
    sub.say(Pubrec(packet_id))
    assert sub.read() == [Pubrel(packet_id)]


def test_nothing_is_sent_again_within_a_connection() -> None:
    """MQTT-4.4.0-1: only a reconnect does that; MQTT-4.4.0-2: and not what was answered with a failure."""
    bench = Bench()
    sub = bench.stay("s")
    sub.subscribe(Subscription("t", 2))
    pub = bench.join("p")
    for qos in (1, 2, 1, 2):
        send(pub, qos=qos)
    one, two, three, four = publishes(sub)
    for _ in range(100):
        bench.advance(60)
        sub.machine.on_clock(bench.clock.now_ms)
    assert sub.read() == []
    sub.say(Puback(one.packet_id, ReasonCode.UNSPECIFIED_ERROR), Pubrec(two.packet_id, ReasonCode.UNSPECIFIED_ERROR))
    assert sub.read() == []
    sub.drop()
    again = publishes(bench.stay("s"))
    assert [(packet.packet_id, packet.dup) for packet in again] == [(three.packet_id, True), (four.packet_id, True)]


def test_a_share_keeps_to_the_qos_of_its_member() -> None:
    """MQTT-4.8.2-3."""
    bench = Bench()
    low, high = bench.join("low"), bench.join("high")
    low.subscribe(Subscription("$share/g/t", 0))
    high.subscribe(Subscription("$share/g/t", 1))
    pub = bench.join("p")
    for _ in range(4):
        send(pub, qos=2)
    assert [qos for _, _, qos in given(low)] == [0, 0]
    assert [qos for _, _, qos in given(high)] == [1, 1]


def test_a_qos_2_that_a_member_has_begun_stays_its_own() -> None:
    """MQTT-4.8.2-4: it is completed when the member is back; MQTT-4.8.2-5: nobody else gets it, should it never be."""
    bench = Bench()
    first, pub = bench.stay("first"), bench.join("p")
    first.subscribe("$share/g/t")
    send(pub, qos=2)
    packet_id = first.one(Publish).packet_id
    second = bench.stay("second")
    second.subscribe("$share/g/t")
    first.drop()
    assert second.read() == []
    first = bench.stay("first")
    assert first.one(Publish) == Publish("t", b"x", 2, dup=True, packet_id=packet_id)
    first.drop()
    bench.advance(3_601)
    assert "first" not in bench.broker.sessions
    assert second.read() == []


def test_what_a_member_refuses_is_for_nobody_else() -> None:
    """MQTT-4.8.2-6."""
    bench = Bench()
    members = [bench.join(name) for name in "ab"]
    for member in members:
        member.subscribe("$share/g/t")
    pub = bench.join("p")
    for qos, answer in ((1, Puback), (2, Pubrec)):
        send(pub, qos=qos)
        ((member, packet),) = [(member, packet) for member in members for packet in publishes(member)]
        member.say(answer(packet.packet_id, ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR))
        assert [peer.read() for peer in members] == [[], []]
    assert bench.counts.queued_bytes == 0


def test_who_names_no_method_hears_of_none() -> None:
    """MQTT-4.12.0-6."""
    peer = Bench().connect("c")
    said = peer.one(Connack).properties
    assert said is not None
    assert (said.authentication_method, said.authentication_data) == (None, None)
