from __future__ import annotations

import pytest

from gateway.protocol.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel, ReasonCode
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, DownlinkOutcome
from tests.gateway.protocol.mqtt.broker_rig import VERSIONS, Bench

OK = ReasonCode.SUCCESS
ACKED, TIMEOUT, GONE, OFFLINE = DownlinkOutcome


@pytest.mark.parametrize("version", VERSIONS)
def test_acked_is_when_the_client_has_answered(version: int) -> None:
    bench = Bench()
    device = bench.join("dev", version)
    ends = bench.downlink("dev", qos=1)
    packet = device.one(Publish)
    assert (ends, packet.topic, packet.qos) == ([], "down", 1)
    device.say(Puback(packet.packet_id))
    assert ends == [(ACKED, OK)]


def test_acked_with_qos_2_is_pubcomp_and_with_qos_0_the_write() -> None:
    bench = Bench()
    device = bench.join("dev")
    assert bench.downlink("dev", qos=0) == [(ACKED, OK)]
    device.read()
    ends = bench.downlink("dev", qos=2)
    packet_id = device.one(Publish).packet_id
    device.say(Pubrec(packet_id))
    device.one(Pubrel)
    assert ends == []
    device.say(Pubcomp(packet_id))
    assert ends == [(ACKED, OK)]


@pytest.mark.parametrize("reason", [ReasonCode.NOT_AUTHORIZED, ReasonCode.NO_MATCHING_SUBSCRIBERS])
def test_the_reason_of_the_client_is_handed_on(reason: ReasonCode) -> None:
    bench = Bench()
    device = bench.join("dev")
    ends = bench.downlink("dev")
    device.say(Puback(device.one(Publish).packet_id, reason))
    assert ends == [(ACKED, reason)]


def test_offline_is_at_once_and_sends_nothing_later() -> None:
    bench = Bench()
    assert bench.downlink("nobody")[0][0] is OFFLINE
    bench.stay("dev").drop()
    assert bench.downlink("dev")[0][0] is OFFLINE
    assert bench.stay("dev").read() == []


def test_gone_is_when_the_session_ends() -> None:
    bench = Bench()
    device = bench.join("dev")
    ends = bench.downlink("dev")
    device.drop()
    assert [end for end, _ in ends] == [GONE]


def test_a_session_that_stays_waits_on() -> None:
    bench = Bench()
    device = bench.stay("dev")
    ends = bench.downlink("dev", timeout_s=60)
    device.drop()
    assert ends == []
    device = bench.stay("dev")
    packet = device.one(Publish)
    assert packet.dup
    device.say(Puback(packet.packet_id))
    assert ends == [(ACKED, OK)]


def test_timeout_of_one_that_was_sent() -> None:
    bench = Bench()
    device = bench.join("dev")
    ends = bench.downlink("dev", timeout_s=5)
    packet_id = device.one(Publish).packet_id
    bench.advance(4.9)
    assert ends == []
    bench.advance(0.1)
    assert [end for end, _ in ends] == [TIMEOUT]
    bench.advance(10)
    device.say(Puback(packet_id))  # late: nobody waits, but the id is free again
    assert (len(ends), bench.counts.queued_bytes) == (1, 0)


def test_timeout_of_one_that_was_not_sent_takes_it_back() -> None:
    bench = Bench(limits=ClientLimits(window=1))
    device = bench.stay("dev")
    first, second = bench.downlink("dev", timeout_s=60), bench.downlink("dev", timeout_s=5)
    packet_id = device.one(Publish).packet_id
    bench.advance(5)
    assert [end for end, _ in second] == [TIMEOUT]
    device.say(Puback(packet_id))
    assert ([end for end, _ in first], device.read()) == ([ACKED], [])


def test_timeout_while_it_waits_to_be_sent_again() -> None:
    bench = Bench()
    device = bench.stay("dev")
    ends = bench.downlink("dev", timeout_s=5)
    device.drop()
    bench.advance(5)
    assert [end for end, _ in ends] == [TIMEOUT]
    device = bench.stay("dev")
    assert device.one(Publish).dup  # the client may have it: the protocol wants its answer


def test_what_the_client_does_not_take_or_has_no_room_for_is_gone() -> None:
    bench = Bench(limits=ClientLimits(window=1), broker=BrokerLimits(queue_messages=2))
    bench.join("small", maximum_packet_size=30)
    ends: list[tuple[DownlinkOutcome, ReasonCode]] = []
    bench.broker.publish("small", "t", bytes(50), 1, 5_000, lambda *end: ends.append(end))
    assert ends[-1] == (GONE, ReasonCode.PACKET_TOO_LARGE)
    bench.join("full")
    bench.downlink("full")
    bench.downlink("full")
    assert bench.downlink("full") == [(GONE, ReasonCode.QUOTA_EXCEEDED)]


def test_downlinks_of_one_turn_leave_in_order() -> None:
    bench = Bench()
    device = bench.join("dev")
    device.writes.clear()
    for n in range(5):
        bench.broker.publish("dev", f"t/{n}", b"", 1, 1_000, lambda *end: None)
    bench.run()
    assert len(device.writes) == 1
    assert [packet.topic for packet in device.read() if isinstance(packet, Publish)] == [f"t/{n}" for n in range(5)]


def test_a_callback_may_send_the_next_one() -> None:
    bench = Bench(limits=ClientLimits(window=1))
    device = bench.join("dev")
    sent: list[str] = []

    def send(n: int) -> None:
        def done(outcome: DownlinkOutcome, reason: ReasonCode) -> None:
            sent.append(outcome)
            if n:
                send(n - 1)

        bench.broker.publish("dev", "t", b"", 1, 1_000, done)

    send(3)
    bench.run()
    while packets := device.read():
        for packet in packets:
            assert isinstance(packet, Publish)
            device.say(Puback(packet.packet_id))
    assert sent == [ACKED] * 4
