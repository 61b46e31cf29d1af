from __future__ import annotations

import tracemalloc

import pytest

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.protocol.mqtt.client import ClientMachine
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    ReasonCode,
    Subscribe,
    Subscription,
    Will,
)
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, Denial
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench, Rules


@pytest.mark.parametrize("version", VERSIONS)
def test_a_connect_is_answered(version: int) -> None:
    bench = Bench()
    connack = bench.connect("dev-1", version).one(Connack)
    assert (connack.reason, connack.session_present) == (ReasonCode.SUCCESS, False)
    assert list(bench.broker.sessions) == ["dev-1"]
    assert (bench.counts.connects, bench.counts.connected, bench.counts.sessions) == (1, 1, 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_connect_and_publish_in_one_read_byte_by_byte(version: int) -> None:
    bench = Bench()
    data = encode(Connect(version, "c"), version) + encode(Publish("t", b"1", 1, packet_id=7), version)
    peer = bench.peer(version)
    peer.raw(data)
    assert [type(packet) for packet in peer.read()] == [Connack, Puback]
    slow = bench.peer(version)
    for byte in data:
        slow.raw(bytes([byte]))
    assert [type(packet) for packet in slow.read()] == [Connack, Puback]
    assert bench.flow.topics == ["t", "t"]


def test_the_terms_of_5_are_told() -> None:
    bench = Bench(limits=ClientLimits(receive_maximum=7, max_packet_bytes=9000, topic_aliases=3, max_keep_alive_s=60))
    peer = bench.peer()
    peer.say(Connect(V5, "", True, 0, properties=Properties(session_expiry_interval=2_000_000)))
    said = peer.one(Connack).properties
    assert said is not None
    assert (said.receive_maximum, said.maximum_packet_size, said.topic_alias_maximum) == (7, 9000, 3)
    assert (said.assigned_client_identifier, said.server_keep_alive) == ("auto-1", 60)
    assert said.session_expiry_interval == 7 * 86_400
    assert list(bench.broker.sessions) == ["auto-1"]


def test_what_needs_no_word_is_not_said() -> None:
    bench = Bench(limits=ClientLimits(max_keep_alive_s=60))
    said = bench.connect("c", keep_alive_s=30, expiry_s=10).one(Connack).properties
    assert said is not None
    assert (said.assigned_client_identifier, said.server_keep_alive, said.session_expiry_interval) == (None, None, None)


def test_an_empty_id_in_311_is_given_one_or_refused() -> None:
    bench = Bench()
    assert bench.connect("", V311).one(Connack).reason is ReasonCode.SUCCESS
    assert list(bench.broker.sessions) == ["auto-1"]
    peer = bench.peer(V311)
    peer.raw(bytes.fromhex("100c00044d51545404000000 0000".replace(" ", "")))
    assert peer.one(Connack).reason is ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
    assert peer.closed is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_password_is_told_and_closes(version: int) -> None:
    bench = Bench()
    peer = bench.peer(version)
    peer.say(Connect(version, "c", user_name="u", password=b"wrong"))
    connack = peer.one(Connack)
    assert connack.reason is ReasonCode.BAD_USER_NAME_OR_PASSWORD
    if version == V5:
        assert connack.properties is not None
        assert connack.properties.reason_string == "check the password"
    assert (peer.closed, peer.machine.detail) == (CloseReason.REFUSED, "check the password")
    assert (bench.counts.denied, bench.counts.sessions) == (1, 0)


def test_no_session_is_touched_before_authentication() -> None:
    bench = Bench()
    first = bench.join("c")
    bench.access.hold = True
    second = bench.peer()
    second.say(Connect(V5, "c"), Publish("t", b"", 1, packet_id=1))
    assert (first.closed, second.read(), second.held) == (None, [], True)
    assert bench.flow.taken == []
    bench.access.asked[-1][1](Denial(ReasonCode.NOT_AUTHORIZED))
    assert (first.closed, second.closed) == (None, CloseReason.REFUSED)

    third = bench.peer()
    third.say(Connect(V5, "c"), Publish("t", b"", 1, packet_id=1))
    bench.access.asked[-1][1](Rules())
    bench.run()
    assert first.closed is CloseReason.TAKEOVER
    assert [type(packet) for packet in third.read()] == [Connack, Puback]
    assert not third.held
    bench.access.asked[-1][1](Rules())  # a second answer says nothing
    assert third.read() == []


def test_an_answer_for_a_connection_that_is_gone() -> None:
    bench = Bench()
    bench.access.hold = True
    peer = bench.connect("c")
    peer.drop()
    bench.access.asked[0][1](Rules())
    assert (bench.counts.sessions, peer.read()) == (0, [])


def test_an_error_of_ours_while_it_is_let_in() -> None:
    bench = Bench()
    bench.access.hold = True
    peer = bench.connect("c", will=Will("t", b""))

    class Broken(Rules):
        def may_publish(self, topic: str) -> bool:
            raise RuntimeError("ours")

    bench.access.asked[0][1](Broken())
    assert (peer.closed, len(peer.errors), bench.counts.sessions) == (CloseReason.INTERNAL_ERROR, 1, 0)


def test_enhanced_authentication_is_not_offered() -> None:
    bench = Bench()
    peer = bench.peer()
    peer.say(Connect(V5, "c", properties=Properties(authentication_method="SCRAM")))
    assert peer.one(Connack).reason is ReasonCode.BAD_AUTHENTICATION_METHOD
    other = bench.join("d")
    other.say(Auth(ReasonCode.RE_AUTHENTICATE, Properties(authentication_method="SCRAM")))
    assert other.one(Disconnect).reason is ReasonCode.PROTOCOL_ERROR


def test_a_will_to_a_topic_that_is_not_allowed() -> None:
    bench = Bench()
    bench.access.grant = Rules("other/#")
    peer = bench.connect("c", will=Will("other/x", b""))
    assert peer.one(Connack).reason is ReasonCode.NOT_AUTHORIZED
    assert bench.counts.sessions == 0


def test_no_more_sessions_than_the_limit_but_takeovers() -> None:
    bench = Bench(broker=BrokerLimits(max_sessions=1))
    bench.join("a")
    assert bench.connect("b").one(Connack).reason is ReasonCode.SERVER_BUSY
    bench.join("a")
    assert bench.counts.sessions == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bad_connect_is_answered_where_its_version_is_known(version: int) -> None:
    bench = Bench()
    peer = bench.peer(version)
    data = bytearray(encode(Connect(version, "c"), version))
    data[9] |= 1  # reserved flag, MQTT-3.1.2-3
    peer.raw(bytes(data))
    assert peer.closed is CloseReason.PROTOCOL_ERROR
    assert [packet.reason for packet in peer.read() if isinstance(packet, Connack)] == (
        [ReasonCode.MALFORMED_PACKET] if version == V5 else []
    )


def test_something_else_first_is_closed_without_a_word() -> None:
    bench = Bench()
    for data in (b"GET / HTTP/1.1\r\n\r\n", encode(Pingreq(), V5), b"\x16\x03\x01\x02\x00\x01"):
        peer = bench.peer()
        peer.raw(data)
        assert peer.closed is CloseReason.PROTOCOL_ERROR
        assert peer.writes == []


def test_a_second_connect_is_an_error() -> None:
    bench = Bench()
    peer = bench.join()
    peer.say(Connect(V5, "c"))
    assert peer.one(Disconnect).reason is ReasonCode.PROTOCOL_ERROR
    assert peer.closed is CloseReason.PROTOCOL_ERROR


# Time


def test_the_connect_deadline_holds_whatever_drips_in() -> None:
    bench = Bench(limits=ClientLimits(connect_timeout_ms=10_000))
    peer = bench.peer()
    for byte in encode(Connect(V5, "c"), V5)[:9]:
        bench.clock.now_ms += 1_000
        peer.raw(bytes([byte]))
        peer.machine.on_clock(bench.clock.now_ms)
    assert peer.closed is None
    bench.clock.now_ms += 1_000
    peer.machine.on_clock(bench.clock.now_ms)
    assert peer.writes == []
    assert [peer.closed] == [CloseReason.LOGIN_TIMEOUT]


def test_an_authentication_that_never_answers_is_within_the_deadline() -> None:
    bench = Bench()
    bench.access.hold = True
    peer = bench.connect("c")
    peer.machine.on_clock(bench.clock.now_ms + 10_000)
    assert peer.closed is CloseReason.LOGIN_TIMEOUT


@pytest.mark.parametrize("version", VERSIONS)
def test_keepalive_is_one_and_a_half_times(version: int) -> None:
    bench = Bench()
    peer = bench.join("c", version, keep_alive_s=10)
    machine = peer.machine
    machine.on_clock(bench.clock.now_ms)
    machine.on_clock(bench.clock.now_ms + 14_999)
    assert peer.closed is None
    peer.say(Pingreq())
    peer.one(Pingresp)
    machine.on_clock(bench.clock.now_ms + 15_000)
    machine.on_clock(bench.clock.now_ms + 29_999)
    peer.raw(b"\x30\x7f\x00")  # bytes are no packet
    assert peer.closed is None
    machine.on_clock(bench.clock.now_ms + 30_000)
    assert peer.closed is CloseReason.IDLE_TIMEOUT
    if version == V5:
        assert peer.one(Disconnect).reason is ReasonCode.KEEP_ALIVE_TIMEOUT
    else:
        assert peer.read() == []


def test_without_keepalive_a_client_may_be_silent_for_ever() -> None:
    bench = Bench()
    peer = bench.join()
    peer.machine.on_clock(bench.clock.now_ms)
    peer.machine.on_clock(bench.clock.now_ms + 10**9)
    assert peer.closed is None


def test_a_client_that_we_do_not_read_is_not_silent() -> None:
    bench = Bench()
    peer = bench.join("c", keep_alive_s=10)
    bench.gate.open = False
    peer.machine.on_clock(bench.clock.now_ms)
    peer.machine.on_clock(bench.clock.now_ms + 99_000)
    assert peer.closed is None


def test_the_keepalive_that_the_server_gave_is_the_one_that_counts() -> None:
    bench = Bench(limits=ClientLimits(max_keep_alive_s=20))
    peer = bench.join("c", keep_alive_s=0)
    peer.machine.on_clock(bench.clock.now_ms)
    peer.machine.on_clock(bench.clock.now_ms + 30_000)
    assert peer.closed is CloseReason.IDLE_TIMEOUT


# Takeover and session expiry


@pytest.mark.parametrize("version", VERSIONS)
def test_the_newcomer_takes_over(version: int) -> None:
    bench = Bench()
    old = bench.join("c", version)
    new = bench.join("c", version)
    assert (old.closed, new.closed) == (CloseReason.TAKEOVER, None)
    if version == V5:
        assert old.one(Disconnect).reason is ReasonCode.SESSION_TAKEN_OVER
    assert (bench.counts.takeovers, bench.counts.connected, bench.counts.sessions) == (1, 1, 1)
    old.machine.lost()  # what the transport says afterwards changes nothing
    assert bench.counts.connected == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_to_keep_is_present_again(version: int) -> None:
    bench = Bench()
    bench.stay("c", version).drop()
    assert bench.connect("c", version, clean=False).one(Connack).session_present
    assert not bench.connect("c", version, clean=True).one(Connack).session_present
    assert not bench.connect("d", version, clean=False).one(Connack).session_present


def test_a_takeover_keeps_a_session_to_keep_and_only_that() -> None:
    bench = Bench()
    bench.stay("c")
    assert bench.connect("c", clean=False).one(Connack).session_present
    # That one said no expiry: its session ends with its connection.
    assert not bench.connect("c", clean=False).one(Connack).session_present


def test_a_session_expires() -> None:
    bench = Bench()
    peer = bench.join("c", expiry_s=60)
    peer.subscribe("t")
    peer.drop()
    bench.advance(59.9)
    assert len(bench.broker.tree) == 1
    bench.advance(0.1)
    assert (bench.counts.sessions, len(bench.broker.tree)) == (0, 0)
    assert not bench.connect("c", clean=False).one(Connack).session_present


def test_one_that_came_back_does_not_expire() -> None:
    bench = Bench()
    bench.stay("c").drop()
    bench.stay("d").drop()
    bench.advance(3599)
    bench.stay("c")
    bench.advance(3600)
    assert list(bench.broker.sessions) == ["c"]


def test_never_is_never_where_the_limit_allows_it() -> None:
    bench = Bench(broker=BrokerLimits(max_expiry_s=0xFFFFFFFF))
    bench.join("c", expiry_s=0xFFFFFFFF).drop()
    bench.advance(10**7)
    assert bench.connect("c", clean=False).one(Connack).session_present


def test_a_disconnect_may_change_the_expiry() -> None:
    bench = Bench()
    peer = bench.stay("c")
    peer.say(Disconnect(properties=Properties(session_expiry_interval=0)))
    assert (peer.closed, bench.counts.sessions) == (CloseReason.PEER_CLOSED, 0)
    peer = bench.stay("c")
    peer.say(Disconnect(properties=Properties(session_expiry_interval=5)))
    bench.advance(5)
    assert bench.counts.sessions == 0


def test_a_disconnect_cannot_make_a_session_outlive_its_connection() -> None:
    bench = Bench()
    peer = bench.join("c")
    peer.say(Disconnect(properties=Properties(session_expiry_interval=5)))
    assert peer.one(Disconnect).reason is ReasonCode.PROTOCOL_ERROR


# The end


def test_a_disconnect_may_ask_for_more_than_is_ever_given() -> None:
    bench = Bench(broker=BrokerLimits(max_expiry_s=0))
    peer = bench.join("c", expiry_s=60)
    peer.say(Disconnect(properties=Properties(session_expiry_interval=60)))
    assert (peer.read(), peer.closed) == ([], CloseReason.PEER_CLOSED)
    assert not bench.broker.sessions


def test_shutdown_is_told_once_everything_is_answered() -> None:
    bench = Bench()
    peer = bench.join()
    bench.flow.hold = True
    peer.say(Publish("t", b"", 1, packet_id=1))
    peer.machine.finish(CloseReason.SHUTDOWN)
    peer.say(Publish("t", b"", 1, packet_id=2))
    assert (peer.closed, len(bench.flow.taken)) == (None, 1)
    bench.settle()
    assert peer.closed is CloseReason.SHUTDOWN
    puback, disconnect = peer.read()
    assert isinstance(puback, Puback)
    assert isinstance(disconnect, Disconnect)
    assert disconnect.reason is ReasonCode.SERVER_SHUTTING_DOWN


def test_an_error_of_ours_costs_one_connection() -> None:
    bench = Bench()
    other = bench.join("other")
    peer = bench.join("c")

    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    bench.flow.receive = broken  # type: ignore[assignment, method-assign]
    peer.machine.receive_bytes(encode(Publish("t", b""), V5), bench.clock.unix_ms())
    assert (peer.closed, other.closed) == (CloseReason.INTERNAL_ERROR, None)
    assert isinstance(peer.errors[0], RuntimeError)


def test_a_packet_longer_than_the_limit() -> None:
    bench = Bench(limits=ClientLimits(max_packet_bytes=100))
    peer = bench.join()
    peer.raw(b"\x30\xff\xff\xff\x7f")
    assert peer.one(Disconnect).reason is ReasonCode.PACKET_TOO_LARGE


def test_a_client_that_does_not_take_even_a_connack() -> None:
    bench = Bench()
    peer = bench.connect("c", maximum_packet_size=5)
    assert (peer.closed, peer.writes, bench.counts.sessions) == (CloseReason.PROTOCOL_ERROR, [], 0)


def test_an_answer_that_the_client_does_not_take_ends_the_connection() -> None:
    bench = Bench()
    peer = bench.join("c", maximum_packet_size=30)
    peer.say(Subscribe(1, [Subscription(f"t/{n}") for n in range(30)]))
    assert peer.one(Disconnect).reason is ReasonCode.PACKET_TOO_LARGE
    assert peer.closed is CloseReason.PROTOCOL_ERROR


def test_an_idle_connection_is_small() -> None:
    """With its session and one subscription of its own; the aim for all of it, with the transport, is 8 KiB."""
    bench = Bench()
    bench.join("warm").subscribe("devices/warm/down")
    peers = [bench.peer() for _ in range(200)]
    tracemalloc.start()
    try:
        for n, peer in enumerate(peers):
            peer.machine = ClientMachine(
                bench.broker, bench.client_ports, peer, session_id="s", peer="p", principal=Principal(), opened_ms=0
            )
            peer.say(Connect(V5, f"c{n}", keep_alive_s=60), Subscribe(1, [Subscription(f"devices/c{n}/down", 1)]))
            peer.writes.clear()
            peer.unread.clear()
            peer.decoder = None
        bench.access.asked.clear()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / len(peers) < 5 * 1024


def test_the_tap_sees_both_directions_but_no_password() -> None:
    bench = Bench()
    bench.tap.enabled = True
    peer = bench.peer()
    for half in (slice(20), slice(20, None)):
        peer.raw(encode(Connect(V5, "c", user_name="u", password=b"secret"), V5)[half])
    peer.say(Pingreq())
    assert [(direction, note) for direction, _, note in bench.tap.seen] == [
        ("in", ""),
        ("in", "CONNECT"),
        ("out", ""),
        ("in", "PINGREQ"),
        ("out", ""),
    ]
    assert [data for _, data, _ in bench.tap.seen] == [b"", b"", peer.writes[0], b"\xc0\0", b"\xd0\0"]


def test_subscriptions_that_are_not_allowed_or_too_many() -> None:
    bench = Bench(broker=BrokerLimits(max_subscriptions=2))
    bench.access.grant = Rules("secret/#")
    peer = bench.join()
    wanted = (Subscription("secret/#"), Subscription("$share/g/secret/#"), Subscription("a", 1), Subscription("b"))
    assert peer.subscribe(*wanted, Subscription("c"), Subscription("a", 2)) == [0x87, 0x87, 1, 0, 0x97, 2]
