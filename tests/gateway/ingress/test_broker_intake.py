"""What becomes of a broker's messages, and what it is told: without a network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.domain.device import Principal
from gateway.domain.errors import RefuseReason, SourceProblem
from gateway.domain.receipt import Outcome
from gateway.ingress.broker_intake import BrokerIntake, IntakeLimits, LinkPort, SourceSpeaker
from gateway.observe.source_metrics import SourceCounters
from gateway.protocol.mqtt.encode import encode_acks
from gateway.protocol.mqtt.packets import PacketType
from tests.gateway.ingress.brokers import FakeTopicFlow

PUBACK, PUBREC, PUBCOMP = PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBCOMP


class Rig:
    """An intake with its first connection."""

    def __init__(self, *, hold: bool = True, limits: IntakeLimits | None = None, retained: bool = True) -> None:
        self.flow = FakeTopicFlow(hold=hold)
        self.counters = SourceCounters("mill")
        self.later: list[Callable[[], None]] = []
        self.sent: list[bytes] = []
        self.failed: list[tuple[SourceProblem, str]] = []
        self.changes = 0
        self.intake = BrokerIntake(
            "mill",
            SourceSpeaker(Principal("source", "mill"), "acme"),
            self.flow,
            self.counters,
            unix_ms=lambda: 1_772_323_200_000,
            soon=self.later.append,
            on_change=self.changed,
            limits=limits or IntakeLimits(),
            retained=retained,
        )
        self.connect(session_present=False)

    def changed(self) -> None:
        self.changes += 1

    def connect(self, *, session_present: bool) -> None:
        link = LinkPort(self.sent.append, lambda *said: self.failed.append(said), session_present, "s", "peer:1")
        self.intake.connected(link)

    def reconnect(self, *, session_present: bool = True) -> None:
        self.intake.disconnected()
        self.connect(session_present=session_present)

    def publish(
        self, payload: bytes, qos: int = 1, packet_id: int = 0, *, dup: bool = False, retain: bool = False
    ) -> None:
        self.intake.publish("t", payload, qos, packet_id, dup=dup, retain=retain)

    def acks(self) -> list[bytes]:
        """What was sent since, each write."""
        for call in self.later:
            call()
        self.later.clear()
        sent, self.sent[:] = list(self.sent), []
        return sent


def test_a_message_says_where_it_came_from() -> None:
    rig = Rig(hold=False)
    rig.publish(b"1", 0)
    message = rig.flow.messages[0]
    assert (message.topic, message.payload, message.received_ms) == ("t", b"1", 1_772_323_200_000)
    assert (message.listener, message.session_id, message.peer) == ("mill", "s", "peer:1")
    assert message.speaker.principal == Principal("source", "mill")
    assert (message.speaker.tenant, message.speaker.device_id) == ("acme", "")
    assert message.speaker.may_speak_for("any")
    assert rig.acks() == []


def test_acknowledgements_come_after_the_receipt_in_the_order_of_the_messages_and_joined() -> None:
    rig = Rig()
    for packet_id, qos in ((1, 1), (2, 2), (3, 1)):
        rig.publish(b"x", qos, packet_id)
    rig.publish(b"x", 0)
    assert rig.acks() == []
    rig.flow.outbox.settle(rig.flow.waiting[1], Outcome.ACCEPTED)
    rig.flow.outbox.settle(rig.flow.waiting[3], Outcome.ACCEPTED)
    assert rig.acks() == []
    rig.flow.outbox.settle(rig.flow.waiting[0], Outcome.DEAD_LETTERED)
    rig.flow.outbox.settle(rig.flow.waiting[2], Outcome.DUPLICATE)
    assert rig.acks() == [encode_acks(PUBACK, [1]) + encode_acks(PUBREC, [2]) + encode_acks(PUBACK, [3])]
    assert (rig.counters.acknowledged, rig.counters.in_flight, rig.counters.messages) == (3, 0, 4)


def test_what_was_not_settled_when_the_connection_ended_is_known_when_it_comes_again() -> None:
    rig = Rig()
    rig.publish(b"x", 1, 1)
    rig.publish(b"y", 2, 2)
    rig.reconnect()
    rig.publish(b"x", 1, 1, dup=True)
    rig.publish(b"y", 2, 2, dup=True)
    assert rig.flow.payloads == [b"x", b"y"]
    rig.flow.settle_all()
    assert rig.acks() == [encode_acks(PUBACK, [1]) + encode_acks(PUBREC, [2])]
    assert rig.counters.repeated == 2


def test_what_was_settled_meanwhile_is_answered_at_once() -> None:
    rig = Rig()
    rig.publish(b"x", 1, 1)
    rig.intake.disconnected()
    rig.flow.settle_all()
    assert rig.acks() == []
    rig.connect(session_present=True)
    rig.publish(b"x", 1, 1, dup=True)
    assert rig.acks() == [encode_acks(PUBACK, [1])]
    assert rig.flow.payloads == [b"x"]


@pytest.mark.parametrize(
    ("session_present", "dup", "payload", "qos"),
    [(False, True, b"x", 1), (True, False, b"x", 1), (True, True, b"z", 1), (True, True, b"x", 2)],
)
def test_anything_else_is_another_message(session_present: bool, dup: bool, payload: bytes, qos: int) -> None:
    rig = Rig()
    rig.publish(b"x", 1, 1)
    rig.reconnect(session_present=session_present)
    rig.publish(payload, qos, 1, dup=dup)
    assert rig.flow.payloads == [b"x", payload]
    rig.flow.settle_all()
    assert len(rig.acks()) == 1
    assert rig.counters.acknowledged == 1


def test_a_repeat_on_the_same_connection_gets_one_answer() -> None:
    rig = Rig()
    rig.publish(b"x", 1, 1)
    rig.publish(b"x", 1, 1, dup=True)
    rig.flow.settle_all()
    assert rig.acks() == [encode_acks(PUBACK, [1])]
    assert rig.flow.payloads == [b"x"]


def test_exactly_once_over_connections() -> None:
    rig = Rig(hold=False)
    rig.publish(b"x", 2, 7)
    assert rig.acks() == [encode_acks(PUBREC, [7])]
    rig.reconnect()
    rig.publish(b"x", 2, 7, dup=True)  # the PUBREC was lost
    assert rig.acks() == [encode_acks(PUBREC, [7])]
    rig.intake.release(7)
    assert rig.acks() == [encode_acks(PUBCOMP, [7])]
    rig.publish(b"next", 2, 7)
    assert rig.flow.payloads == [b"x", b"next"]
    rig.intake.release(9)  # of before a restart of ours
    assert rig.acks() == [encode_acks(PUBREC, [7]) + encode_acks(PUBCOMP, [9])]


def test_what_can_be_kept_later_ends_the_connection_and_is_taken_in_anew() -> None:
    rig = Rig()
    rig.publish(b"x", 1, 1)
    rig.publish(b"y", 1, 2)
    rig.flow.settle(1, Outcome.REFUSED, RefuseReason.OUTBOX_FULL.value)
    assert [problem for problem, _ in rig.failed] == [SourceProblem.NOT_KEPT]
    assert rig.failed[0][1].startswith("outbox_full: ")
    rig.flow.settle_all()
    assert rig.acks() == []
    rig.reconnect()
    rig.publish(b"x", 1, 1, dup=True)
    rig.publish(b"y", 1, 2, dup=True)
    assert rig.flow.payloads == [b"x", b"y", b"x"]
    rig.flow.settle_all()
    assert rig.acks() == [encode_acks(PUBACK, [1]) + encode_acks(PUBACK, [2])]
    assert rig.counters.refused["outbox_full"] == 1


@pytest.mark.parametrize("qos", [0, 1])
def test_what_will_never_be_kept_is_acknowledged_and_counted(qos: int) -> None:
    rig = Rig(hold=False)
    rig.flow.refuse = RefuseReason.UNKNOWN_DEVICE.value
    rig.publish(b"x", qos, qos)
    assert rig.acks() == [encode_acks(PUBACK, [1])] * qos
    assert (rig.failed, rig.counters.refused["unknown_device"], rig.counters.in_flight) == ([], 1, 0)


def test_too_large_is_answered_in_its_turn() -> None:
    rig = Rig()
    rig.publish(b"x", 1, 1)
    rig.intake.too_large("t", 1, 2, 1 << 30)
    rig.intake.too_large("t", 0, 0, 1 << 30)
    assert rig.acks() == []
    rig.flow.settle_all()
    assert rig.acks() == [encode_acks(PUBACK, [1]) + encode_acks(PUBACK, [2])]
    assert rig.counters.refused["too_large"] == 2


def test_retained_messages_that_were_kept_are_passed_over_when_they_come_again() -> None:
    rig = Rig()
    rig.publish(b"on", 1, 1, retain=True)
    rig.reconnect(session_present=False)
    rig.publish(b"on", 1, 1, retain=True)  # not settled yet: it counts for nothing
    assert rig.flow.payloads == [b"on", b"on"]
    rig.flow.settle_all()
    assert rig.acks() == [encode_acks(PUBACK, [1])]
    rig.publish(b"on", 1, 2, retain=True)
    assert rig.acks() == [encode_acks(PUBACK, [2])]
    rig.publish(b"off", 0)  # as it comes to those who are there
    rig.publish(b"off", 0, retain=True)
    rig.publish(b"on", 0, retain=True)
    assert rig.flow.payloads == [b"on", b"on", b"off", b"on"]
    assert rig.counters.skipped == 2


def test_retained_messages_may_be_left_out() -> None:
    rig = Rig(hold=False, retained=False)
    rig.publish(b"on", 1, 1, retain=True)
    assert (rig.flow.payloads, rig.acks()) == ([], [encode_acks(PUBACK, [1])])


def test_room_ends_with_messages_or_bytes_and_comes_back() -> None:
    rig = Rig(limits=IntakeLimits(2, 10))
    rig.publish(b"1", 0)
    assert rig.intake.has_room
    rig.publish(b"2", 0)
    assert not rig.intake.has_room
    rig.flow.settle(1)
    assert rig.intake.has_room
    rig.publish(b"0123456789", 0)
    assert not rig.intake.has_room
    rig.intake.disconnected()
    changes = rig.changes
    rig.flow.settle_all()
    assert (rig.intake.has_room, rig.intake.in_flight, rig.changes) == (True, 0, changes + 2)
