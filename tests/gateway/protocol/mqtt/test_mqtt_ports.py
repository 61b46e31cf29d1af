"""What a 5.0 client is told of a publish that has settled."""

from __future__ import annotations

import pytest

from gateway.domain.receipt import Outcome, Receipt
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connect,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
)
from gateway.protocol.mqtt.ports import Answer, explain, explain_dead_letters
from tests.gateway.protocol.mqtt.broker_rig import Bench


def test_a_dead_letter_gets_a_reason_where_the_policy_says_so() -> None:
    bench = Bench()
    bench.client_ports.explain = explain_dead_letters
    bench.flow.dead_letter = "unknown_product"
    peer = bench.join()
    peer.say(publish(1))
    kept = Properties(reason_string="unknown_product; it is kept as a dead letter and need not come again")
    assert peer.one(Puback) == Puback(1, ReasonCode.PAYLOAD_FORMAT_INVALID, kept)
    peer.say(publish(2, qos=2))  # the id is kept with the letter, so it must be released
    assert peer.read() == [Pubrec(2, ReasonCode.SUCCESS, kept)]
    peer.say(Pubrel(2))
    assert peer.one(Pubcomp) == Pubcomp(2)
    old = bench.join("old", V311)
    old.say(publish(3))
    assert old.read() == [Puback(3)]


def test_a_dead_letter_is_a_success_that_says_what_became_of_it() -> None:
    bench = Bench()
    bench.flow.dead_letter = "unknown_product"
    said = Properties(reason_string="unknown_product; it is kept as a dead letter and need not come again")
    peer = bench.join()
    peer.say(publish(1))
    assert peer.one(Puback) == Puback(1, ReasonCode.SUCCESS, said)
    quiet = bench.peer()
    quiet.say(Connect(V5, "quiet", properties=Properties(request_problem_information=0)), publish(1))
    assert quiet.read()[1:] == [Puback(1)]


def test_a_topic_that_is_nobodys_has_no_matching_subscribers() -> None:
    bench = Bench()
    bench.flow.no_uplink = "no template knows this topic"
    peer = bench.join()
    peer.say(publish(1), publish(2, qos=2))
    said = Properties(reason_string="no template knows this topic")
    assert peer.read() == [
        Puback(1, ReasonCode.NO_MATCHING_SUBSCRIBERS, said),
        Pubrec(2, ReasonCode.NO_MATCHING_SUBSCRIBERS, said),
    ]
    peer.say(Pubrel(2))
    assert peer.one(Pubcomp) == Pubcomp(2)
    bench.join("other").subscribe("t")
    peer.say(publish(3))
    assert peer.one(Puback) == Puback(3)
    old = bench.join("old", V311)
    old.say(publish(4))
    assert old.one(Puback) == Puback(4)


def test_a_dead_letter_that_subscribers_get_is_told_of_as_well() -> None:
    """It is answered when their copies are durable; what they end as does not count."""
    bench = Bench()
    bench.client_ports.explain = explain_dead_letters
    away = bench.stay("away")
    away.subscribe("t")
    away.drop()
    peer = bench.join()
    bench.flow.dead_letter, bench.flow.hold_states = "bad_document", True
    peer.say(publish(1))
    assert peer.read() == []
    bench.flow.dead_letter = ""
    bench.settle()
    assert peer.one(Puback).reason is ReasonCode.PAYLOAD_FORMAT_INVALID


def test_the_answer_to_a_dead_letter_is_short_and_holds_no_odd_character() -> None:
    receipt = Receipt()
    receipt.outcome, receipt.reason = Outcome.DEAD_LETTERED, "bad_document"
    receipt.detail = "key `a\0\n\ud800b`: " + "x" * 5_000
    answer = explain_dead_letters(receipt)
    assert answer.reason is ReasonCode.PAYLOAD_FORMAT_INVALID
    assert answer.detail.startswith("bad_document: key `a???b`: xxx")
    assert answer.detail.endswith("x...; it is kept as a dead letter and need not come again")
    assert len(answer.detail.encode()) < 300


@pytest.mark.parametrize(
    ("outcome", "reason"), [(Outcome.ACCEPTED, ""), (Outcome.DUPLICATE, ""), (Outcome.DEAD_LETTERED, "buried")]
)
def test_what_was_understood_is_a_success(outcome: Outcome, reason: str) -> None:
    """Also a record that a sink did not take: it is none of the device's business."""
    receipt = Receipt()
    receipt.outcome, receipt.reason = outcome, reason
    assert explain_dead_letters(receipt) == Answer()


def test_a_refusal_is_explained_as_ever() -> None:
    receipt = Receipt()
    receipt.outcome, receipt.reason = Outcome.REFUSED, "outbox_full"
    assert explain_dead_letters(receipt) == explain(receipt)
    assert explain(receipt).closes


def publish(packet_id: int, qos: int = 1) -> Publish:
    return Publish("t", b"x", qos, packet_id=packet_id)
