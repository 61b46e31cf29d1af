"""One receipt for a message, states that never outlive it, and sums that balance."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State, StateKind
from gateway.domain.topic_message import TopicMessage
from tests.gateway.ingress.topic_rig import NOW_MS, THERMO, Someone, TopicRig

HUB = "iotlink/prd/h1/h1/periodic/pub/telemetry/json"
UP = "devices/d1/telemetry"
STATES = (State(StateKind.MQTT, b"id 5"),)
NODE = {"device_id": "c1", "productId": "example_thermo", "metrics": {"tempC": 5}}
MANY = {**THERMO, "nodes": [NODE, {**NODE, "device_id": "c2"}]}


def states_of(rig: TopicRig) -> list[State]:
    return [state for kept in rig.outbox.kept for state in kept.states]


@pytest.mark.parametrize(
    ("topic", "payload", "outcome"),
    [
        (UP, THERMO, Outcome.ACCEPTED),
        (UP, b"{", Outcome.DEAD_LETTERED),
        (HUB, MANY, Outcome.ACCEPTED),
        ("foo", b"x", Outcome.ACCEPTED),
        (UP, {"nodes": []}, Outcome.ACCEPTED),
        ("application/7/device/24e124000000000a/event/up", b"{", Outcome.DEAD_LETTERED),
    ],
)
def test_states_are_kept_once_whatever_becomes_of_a_message(topic: str, payload: Any, outcome: Outcome) -> None:
    rig = TopicRig()
    assert rig.send(topic, payload, states=STATES).outcome is outcome
    assert states_of(rig) == list(STATES)


def test_several_uplinks_settle_one_receipt_and_states_come_last() -> None:
    rig = TopicRig(hold=True)
    receipt = rig.send(HUB, MANY, states=STATES)
    first, second, third = rig.outbox.waiting
    rig.outbox.waiting.clear()
    rig.outbox.settle(second, Outcome.ACCEPTED)
    rig.outbox.settle(first, Outcome.ACCEPTED)
    assert (receipt.outcome, states_of(rig)) == (None, [])
    rig.outbox.settle(third, Outcome.ACCEPTED)
    assert (receipt.outcome, states_of(rig)) == (None, list(STATES))
    rig.outbox.settle_all()
    assert receipt.outcome is Outcome.ACCEPTED


def test_any_that_is_refused_refuses_all_and_leaves_no_state() -> None:
    rig = TopicRig(hold=True)
    receipt = rig.send(HUB, MANY, states=STATES)
    for waiting, outcome in zip(
        list(rig.outbox.waiting), (Outcome.ACCEPTED, Outcome.REFUSED, Outcome.DEAD_LETTERED), strict=True
    ):
        rig.outbox.settle(waiting, outcome, "outbox_full" if outcome is Outcome.REFUSED else "")
    assert (receipt.outcome, receipt.reason, states_of(rig)) == (Outcome.REFUSED, "outbox_full", [])


def test_states_that_cannot_be_kept_refuse_the_message() -> None:
    rig = TopicRig(hold=True)
    receipt = rig.send(HUB, MANY, states=STATES)
    for waiting in list(rig.outbox.waiting):
        rig.outbox.settle(waiting, Outcome.ACCEPTED)
    rig.outbox.settle(rig.outbox.waiting[-1], Outcome.REFUSED, "sink_failed")
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "sink_failed")


def test_who_waits_is_told_after_it_was_counted() -> None:
    rig = TopicRig()
    seen: list[tuple[int, int]] = []
    receipt = Receipt(lambda _: seen.append(rig.balance()))
    rig.flow.receive(TopicMessage(UP, json.dumps(THERMO).encode(), NOW_MS, Someone(), "mqtt"), receipt)
    assert seen == [(1, 1)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([UP, HUB, "foo", "devices/d1/log", "devices/d1/status", "iotlink/x", "devices/d1/nope"]),
            st.one_of(
                st.binary(max_size=20),
                st.sampled_from([THERMO, MANY, {"nodes": [NODE, {"device_id": "c3", "fields": {}}]}, [], 5]),
            ),
        ),
        max_size=12,
    )
)
def test_the_sums_balance(messages: list[tuple[str, Any]]) -> None:
    rig = TopicRig(hold=True)
    receipts = [rig.send(topic, payload, states=STATES) for topic, payload in messages]
    rig.outbox.settle_all()
    assert all(receipt.outcome is not None for receipt in receipts)
    received, settled = rig.balance()
    assert received == settled == rig.metrics.in_flight() + settled
    assert len(states_of(rig)) == len(messages)


def test_labels_are_of_closed_sets() -> None:
    rig = TopicRig()
    rig.send(UP, {"productId": "nobody-knows"})
    rig.send("devices/d1/log", b"x")
    rig.send(UP, b"{")
    assert set(rig.metrics._traffic) == {("mqtt", "unknown")}
    traffic = rig.metrics.traffic("mqtt", "unknown")
    assert (traffic.received, traffic.decode_errors["bad_document"], traffic.frames) == (3, 1, 3)


def test_the_tap_sees_every_message() -> None:
    rig = TopicRig()
    rig.tap.enabled = True
    rig.send(UP, THERMO)
    rig.send("foo", b"x")
    rig.send(UP, {"tempC": 1})
    rig.send("devices/d1/log", b"x")
    assert [note.partition(": ")[2].partition(":")[0] for _, _, note in rig.tap.seen] == [
        "status",
        "no uplink",
        "unknown_product",
        "log",
    ]


def test_the_raw_archive_says_the_topic() -> None:
    rig = TopicRig(archive=True)
    rig.send(UP, THERMO, content_type="application/json", site="x")
    raw = rig.records[-1]
    assert (raw["type"], raw["topic"], raw["content_type"]) == ("raw", UP, "application/json")
    assert raw["properties"] == [["site", "x"]]
    assert json.loads(bytes.fromhex(raw["raw_hex"])) == THERMO


# Hostile JSON

HOSTILE = {
    "deep": b'{"a":' * 100_000,
    "deep lists": b"[" * 100_000,
    "duplicate keys": b'{"productId": "example_thermo", "tempC": 1, "tempC": 2}',
    "NaN": b'{"productId": "example_thermo", "tempC": NaN}',
    "infinity": b'{"productId": "example_thermo", "tempC": -Infinity}',
    "invalid UTF-8": b'{"productId": "example_thermo", "a": "\xff"}',
    "digits": b'{"productId": "example_thermo", "tempC": ' + b"9" * 10_000 + b"}",
    "no object": b"5",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("topic", ["iotlink/prd/nohub/d1/periodic/pub/telemetry/json", "care/d1/x"])
def test_hostile_json_is_a_dead_letter(name: str, topic: str) -> None:
    rig = TopicRig()
    assert rig.reason(topic, HOSTILE[name])[0] in ("bad_document", "too_deep", "unknown_product")
    assert rig.balance() == (1, 1)


def test_large_documents_are_read() -> None:
    rig = TopicRig()
    payload = {**THERMO, "filler": "x" * (1 << 20)}
    assert rig.record(UP, payload)["metrics"] == THERMO["metrics"]
    record = rig.record(UP, {**THERMO, "metrics": {"tempC": 1, "rpm": 1 << 63}})
    assert record["metrics"]["rpm"] == str(1 << 63)
