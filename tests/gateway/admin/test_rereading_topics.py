"""Letters of messages under topics: they go through the topic reader again, alone where they were one of several."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.admin.rereading import Reread, Rereader
from gateway.delivery.dead_letter_lines import encode_letter, letter_of, parse_line
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.protocol.uplink_topics import Template
from tests.gateway.ingress.test_topic_reader import Signed, catalog_with_lines
from tests.gateway.ingress.topic_rig import THERMO, Someone, TopicRig

UP = "devices/d1/telemetry"
HUB = "iotlink/prd/h1/h1/periodic/pub/telemetry/json"


def letters(rig: TopicRig, topic: str, payload: Any, **more: Any) -> list[DeadLetter]:
    """What a message leaves, as it comes back from the disk."""
    rig.send(topic, payload, **more)
    lines = [parse_line(encode_letter(letter)) for letter in rig.outbox.letters]
    return [letter_of(line) for line in lines if line is not None]


def read(rig: TopicRig, letter: DeadLetter) -> Reread:
    reader = Rereader(lambda: rig.catalog, rig.directory, rig.admission, rig.chain, rig.reader)
    return reader.read(letter, Receipt())


def bodies(made: Reread) -> list[dict[str, Any]]:
    assert made.failure is None, made.failure
    return [orjson.loads(record.body) for record in made.records]


def test_a_letter_has_all_that_its_replay_needs() -> None:
    rig = TopicRig(templates=[Template("up")])
    speaker = Someone("d5", tenant="acme")
    payload = b'{"metrics": {"tempC": 1}}'
    (letter,) = letters(rig, "up", payload, speaker=speaker, content_type="application/json", site="x")
    assert (letter.topic, letter.raw, letter.content_type) == ("up", payload, "application/json")
    assert (letter.properties, letter.part, letter.speaker, letter.reason) == (
        (("site", "x"),),
        -1,
        "d5",
        "unknown_product",
    )
    assert read(rig, letter).failure is not None
    rig.directory.learn(Device(DeviceKey("acme", "d5"), product="example_thermo"))
    (body,) = bodies(read(rig, letter))
    assert (body["record_id"], body["device_id"]) == (f"{letter.dead_letter_id}-0", "d5")
    assert (body["replayed"], body["ingest_timestamp"]) == (True, "2026-03-01T12:00:00.123Z")


def test_one_of_several_comes_alone() -> None:
    rig = TopicRig()
    node = {"metrics": {"tempC": 5}}
    payload = {**THERMO, "nodes": [{"device_id": "c1", **node}, {"device_id": "c2", **node}]}
    first, second = letters(rig, HUB, payload)
    assert [(letter.device_id, letter.part) for letter in (first, second)] == [("c1", 1), ("c2", 2)]
    failure = read(rig, second).failure
    assert failure is not None
    assert (failure.dead_letter_id, failure.part, failure.attempts) == (second.dead_letter_id, 2, 1)
    for name in ("c1", "c2"):
        rig.directory.learn(Device(DeviceKey("", name), product="example_thermo", hub_id="h1"))
    (body,) = bodies(read(rig, second))
    assert (body["device_id"], body["record_id"]) == ("c2", f"{second.dead_letter_id}-0")


def test_a_whole_message_may_become_several() -> None:
    rig = TopicRig()
    (letter,) = letters(rig, HUB, {**THERMO, "nodes": [{"device_id": "c1", "parent": 5}]})
    letter.raw = orjson.dumps({**THERMO, "nodes": [{"device_id": "c1", **THERMO}]})  # as if the reader had been mended
    made = bodies(read(rig, letter))
    assert [body["record_id"] for body in made] == [f"{letter.dead_letter_id}-0", f"{letter.dead_letter_id}.1-0"]


def test_a_signature_is_checked_again_only_where_it_was_wrong() -> None:
    signed = Signed()
    rig = TopicRig(signatures=signed)
    (letter,) = letters(rig, UP, THERMO)
    failure = read(rig, letter).failure
    assert failure is not None
    assert failure.reason == "bad_signature"
    letter.reason = "unknown_product"
    assert len(bodies(read(rig, letter))) == 1
    assert len(signed.asked) == 2


def test_columns_that_were_named_before_are_known() -> None:
    rig = TopicRig()
    rig.catalog = catalog_with_lines()
    rig.send(UP, b"t,h\n", product="lines", content_type="text/csv")
    (letter,) = letters(rig, UP, b"900,2,3,4", product="lines", content_type="text/csv")
    fresh = TopicRig()
    fresh.catalog = rig.catalog
    letter.raw = b"1,2"
    assert bodies(read(fresh, letter))[0]["metrics"] == {"t": 1, "h": 2}


def test_what_is_refused_today_stays_a_letter() -> None:
    rig = TopicRig()
    (letter,) = letters(rig, UP, {"productId": "nobody"})
    rig.directory.learn(Device(DeviceKey("", "d1"), product="milesight_em300_th"))
    letter.raw = orjson.dumps(THERMO)
    failure = read(rig, letter).failure
    assert failure is not None
    assert failure.reason == "wrong_product"


@pytest.mark.parametrize("topic", ["foo", "devices/d1/command"])
def test_a_topic_that_is_no_uplink_any_more_leaves_nothing(topic: str) -> None:
    rig = TopicRig()
    (letter,) = letters(rig, UP, b"{")
    letter.topic = topic
    assert bodies(read(rig, letter)) == []


def test_lines_of_earlier_versions_have_no_topic() -> None:
    rig = TopicRig()
    (letter,) = letters(rig, UP, b"{")
    line = parse_line(encode_letter(letter))
    assert line is not None
    for key in ("topic", "content_type", "properties", "part", "speaker"):
        del line[key]
    old = letter_of(line)
    assert (old.topic, old.content_type, old.properties, old.part, old.speaker) == ("", "", (), -1, "")
