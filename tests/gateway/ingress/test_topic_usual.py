"""Messages like the one before them under a topic: read as any other message, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.catalog import Catalog
from gateway.domain.device import Device, DeviceKey
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink
from gateway.ingress import topic_usual
from gateway.ingress.topic_usual import UsualTopics
from tests.gateway.ingress.topic_rig import THERMO, Someone, TopicRig

TOPIC = "devices/d-1/telemetry"


class Forgetful(dict[str, Any]):
    def __setitem__(self, topic: str, usual: Any) -> None:
        """Every message is the first one."""


def rig_of(*, quick: bool) -> TopicRig:
    rig = TopicRig()
    if not quick:
        rig.reader._usual._known = Forgetful()
    rig.record(TOPIC, THERMO)
    assert bool(rig.reader._usual) is quick
    return rig


QUICK, PLAIN = rig_of(quick=True), rig_of(quick=False)
KEYS = st.sampled_from(
    [
        *("productId", "metrics", "ts", "device_timestamp", "message", "trace_id", "fw", "header", "tempC"),
        *("device_id", "tags"),
    ]
)
VALUES = st.sampled_from(
    [
        *('"example_thermo"', '"generic_json"', '"d-1"', '"status"', '"a:b"', '"\\u0041"', '""'),
        *('"2026-03-01T12:00:00Z"', '"2026-03-01T12:00:00"', '"1772366400"'),
        *("null", "true", "21.5", "-0", "1e999", "18446744073709551617", "9300000000000000001.0", "1772366400123", "5"),
        *("{}", "[]", "[[1]]", '{"tempC":21.5}', '{"tempC":21.5,"tempC":22}', '{"tempC":200,"rpm":65535}', "nonsense"),
        *('{"tempC":9300000000000000001}', '{"x":{"y":1}}', '{"tempC":1,"fw":"a:b"}', '{"timestamp":1772366400123}'),
    ]
)
SAME = ("device_id", '"d-1"')
USUAL = [("productId", '"example_thermo"'), ("metrics", '{"tempC":21.5,"rpm":1200}'), ("ts", "1772366400123")]
MEMBERS = st.lists(st.sampled_from([*USUAL, SAME]) | st.tuples(KEYS, VALUES), max_size=5)


def outcome(rig: TopicRig, payload: bytes) -> Any:
    records, letters = len(rig.outbox.records), len(rig.outbox.letters)
    receipt = rig.send(TOPIC, payload)
    bodies = [record.body.partition(b'"device_id"')[2] for record in rig.outbox.records[records:]]
    found = [(letter.reason, letter.detail, letter.field, letter.product) for letter in rig.outbox.letters[letters:]]
    return receipt.outcome, bodies, found


@given(MEMBERS, st.sampled_from([":", " : "]))
def test_any_text_is_read_the_same(members: list[tuple[str, str]], colon: str) -> None:
    payload = b"{" + ",".join(f'"{name}"{colon}{value}' for name, value in members).encode() + b"}"
    rig = QUICK
    rig.record(TOPIC, THERMO)
    PLAIN.record(TOPIC, THERMO)
    assert outcome(rig, payload) == outcome(PLAIN, payload)


@given(st.lists(st.just(SAME) | st.tuples(KEYS, VALUES), max_size=3))
def test_a_usual_message_with_something_more_is_read_the_same(members: list[tuple[str, str]]) -> None:
    payload = b"{" + ",".join(f'"{name}":{value}' for name, value in [*USUAL, *members]).encode() + b"}"
    assert outcome(QUICK, payload) == outcome(PLAIN, payload)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Which messages were read as the one before."""
    found: list[bool] = []
    read = UsualTopics.read

    def watched(usual: UsualTopics, message: TopicMessage) -> Uplink | None:
        uplink = read(usual, message)
        found.append(uplink is not None)
        return uplink

    monkeypatch.setattr(UsualTopics, "read", watched)
    return found


def test_the_second_message_is_read_as_the_first(seen: list[bool]) -> None:
    rig = TopicRig()
    for _ in range(3):
        rig.record(TOPIC, THERMO)
    rig.record(TOPIC, {**THERMO, "ts": "2026-03-01T12:00:00.123Z"})
    rig.record(TOPIC, {**THERMO, "device_id": "d-1"})
    assert seen == [False, True, True, True, True]
    rig.record(TOPIC, {**THERMO, "device_id": "d-2"})
    rig.record(TOPIC, {**THERMO, "device_id": "d-1", "ts": "then"})
    rig.record(TOPIC, {**THERMO, "device_id": "d-1", "hub_timestamp": "then"})
    rig.record(TOPIC, {**THERMO, "tags": {}})
    assert seen[5:] == [False] * 4


def test_another_sender_catalog_or_directory_is_asked_for_again(seen: list[bool]) -> None:
    rig = TopicRig()
    rig.record(TOPIC, THERMO)
    assert rig.send(TOPIC, THERMO, speaker=Someone("other")).reason == "not_authorized"
    rig.record(TOPIC, THERMO, speaker=Someone("d-1", tenant="acme"))
    rig.record(TOPIC, THERMO)
    rig.directory.learn(Device(DeviceKey("", "d-1"), product="example_thermo", hub_id="hub-1"))
    assert rig.record(TOPIC, THERMO)["hub_id"] == "hub-1"
    before, rig.catalog = rig.catalog, Catalog({}, "")
    assert rig.reason(TOPIC, THERMO)[0] == "unknown_product"
    rig.catalog = before
    rig.record(TOPIC, THERMO)
    assert not any(seen)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_usual, "_MAX_TOPICS", 8)
    rig = TopicRig()
    for number in range(20):
        rig.record(f"devices/d-{number}/telemetry", THERMO)
        assert len(rig.reader._usual) <= 8
    rig.reader._usual.forget()
    rig.record(f"devices/{'d' * 250}/telemetry", THERMO)
    assert not rig.reader._usual
