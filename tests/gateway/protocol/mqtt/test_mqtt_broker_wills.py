from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.domain.errors import CloseReason
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connect,
    Disconnect,
    Properties,
    Publish,
    ReasonCode,
    Will,
)
from gateway.protocol.mqtt.ports import BrokerLimits, DropReason
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench, Peer


def leave_a_will(bench: Bench, version: int = V5, *, delay_s: int = 0, expiry_s: int = 0, clean: bool = True) -> Peer:
    peer = bench.peer(version)
    said = Properties(will_delay_interval=delay_s, content_type="text/plain") if version == V5 else None
    will = Will("wills/c", b"gone", 1, True, said)
    of_session = Properties(session_expiry_interval=expiry_s) if version == V5 else None
    peer.say(Connect(version, "c", clean, 10, will, properties=of_session))
    peer.read()
    return peer


def drop(bench: Bench, peer: Peer) -> None:
    peer.drop()


def idle(bench: Bench, peer: Peer) -> None:
    peer.machine.on_clock(bench.clock.now_ms)
    peer.machine.on_clock(bench.clock.now_ms + 15_000)


def break_the_protocol(bench: Bench, peer: Peer) -> None:
    peer.raw(b"\xff\xff\xff\xff\xff")


def be_taken_over(bench: Bench, peer: Peer) -> None:
    bench.join("c", peer.version)


def go_down(bench: Bench, peer: Peer) -> None:
    peer.machine.close(CloseReason.SHUTDOWN)


def half_close(bench: Bench, peer: Peer) -> None:
    peer.machine.finish(CloseReason.PEER_CLOSED)


def not_keep(bench: Bench, peer: Peer) -> None:
    bench.flow.hold = True
    peer.say(Publish("x", b"", 1, packet_id=1))
    bench.flow.hold = False
    bench.settle(refusal="outbox_full")


ENDS = [drop, idle, break_the_protocol, be_taken_over, go_down, half_close, not_keep]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", ENDS)
def test_every_unclean_end_publishes_the_will(version: int, end: Callable[[Bench, Peer], None]) -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("wills/#")
    peer = leave_a_will(bench, version)
    end(bench, peer)
    bench.run()
    assert peer.closed is not None
    got = sub.one(Publish)
    assert (got.topic, got.payload, got.qos) == ("wills/c", b"gone", 1)
    assert (bench.counts.wills, bench.counts.retained) == (1, 1)
    assert bench.flow.topics.count("wills/c") == 1  # it went the way of every publish
    assert bench.flow.senders[-1].client_id == "c"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clean_end_discards_it(version: int) -> None:
    bench = Bench()
    peer = leave_a_will(bench, version)
    peer.say(Disconnect())
    peer.machine.lost()
    assert (bench.counts.wills, bench.flow.taken) == (0, [])


def test_a_disconnect_may_ask_for_it() -> None:
    bench = Bench()
    leave_a_will(bench).say(Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE))
    leave_a_will(bench).say(Disconnect(ReasonCode.UNSPECIFIED_ERROR))
    assert bench.counts.wills == 2


def test_a_will_waits_for_its_delay() -> None:
    bench = Bench()
    leave_a_will(bench, delay_s=20, expiry_s=100).drop()
    bench.advance(19.9)
    assert bench.counts.wills == 0
    bench.advance(0.1)
    assert bench.counts.wills == 1
    bench.advance(1000)
    assert bench.counts.wills == 1
    properties = bench.flow.taken[0].properties
    assert properties is not None
    assert properties.content_type == "text/plain"


def test_who_is_back_before_the_delay_is_over_is_not_gone() -> None:
    bench = Bench()
    leave_a_will(bench, delay_s=20, expiry_s=100).drop()
    bench.advance(19)
    peer = leave_a_will(bench, delay_s=20, expiry_s=100, clean=False)
    bench.advance(100)
    assert bench.counts.wills == 0
    peer.drop()
    bench.advance(20)
    assert bench.counts.wills == 1


def test_a_takeover_within_the_delay_is_no_end_either() -> None:
    bench = Bench()
    leave_a_will(bench, delay_s=20, expiry_s=100)
    leave_a_will(bench, delay_s=20, expiry_s=100, clean=False)
    bench.advance(50)
    assert bench.counts.wills == 0


@pytest.mark.parametrize(("delay_s", "expiry_s"), [(20, 0), (20, 5)])
def test_a_will_comes_at_the_end_of_its_session_at_the_latest(delay_s: int, expiry_s: int) -> None:
    bench = Bench()
    leave_a_will(bench, delay_s=delay_s, expiry_s=expiry_s).drop()
    bench.advance(expiry_s)
    assert (bench.counts.wills, bench.counts.sessions) == (1, 0)


def test_a_clean_start_ends_the_session_and_so_the_delay() -> None:
    bench = Bench()
    leave_a_will(bench, delay_s=20, expiry_s=100).drop()
    leave_a_will(bench, delay_s=20, expiry_s=100, clean=True)
    assert bench.counts.wills == 1


def test_wills_wait_while_the_outbox_is_full() -> None:
    bench = Bench()
    bench.gate.open = False
    leave_a_will(bench, V311).drop()
    bench.join("c", V311).drop()
    bench.advance(1)
    assert bench.flow.taken == []
    bench.gate.open = True
    bench.advance(1)
    assert bench.flow.topics == ["wills/c"]


def test_waiting_wills_are_bounded_and_those_lost_counted() -> None:
    bench = Bench(broker=BrokerLimits(max_sessions=2))
    bench.gate.open = False
    for _ in range(5):
        leave_a_will(bench).drop()
    bench.gate.open = True
    bench.advance(1)
    assert (bench.counts.wills, bench.counts.dropped[DropReason.WILL_REFUSED]) == (2, 3)
    bench.flow.refusal = "outbox_full"
    leave_a_will(bench).drop()
    assert bench.counts.dropped[DropReason.WILL_REFUSED] == 4


def test_a_qos_2_will_is_handed_on_once() -> None:
    bench = Bench()
    sub = bench.join("s")
    sub.subscribe("w")
    peer = bench.connect("c", will=Will("w", b"x", 2), expiry_s=60)
    bench.flow.hold = True
    peer.drop()
    assert sub.read() == []
    bench.settle()
    assert sub.one(Publish).qos == 2
    assert bench.broker.sessions["c"].received == {}
