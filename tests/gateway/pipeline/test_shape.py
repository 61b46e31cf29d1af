from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.plan import Decoded, MessagePlan
from decoders.types import Identity, RecordPart, Violation, ViolationCode
from gateway.devices.directory import FileDirectory
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.domain.uplink import Uplink
from gateway.pipeline.shape import Numbering, Shaper
from tests.gateway.fakes import LineProduct, message_plan

NOON_MS = 1_772_366_400_123  # 2026-03-01T12:00:00.123Z
ALONE = Device(DeviceKey("", "dev-1"))
STATUS = message_plan("status")


class PartsProduct(LineProduct):
    """Makes the parts that a test hands it."""

    def __init__(self, *parts: RecordPart) -> None:
        super().__init__("prod-a")
        self.made = list(parts)

    def parts(self, decoded: Decoded) -> list[RecordPart]:
        return self.made


def make_shaper(directory: FileDirectory | None = None) -> Shaper:
    return Shaper(Numbering("gw-1", 1_767_225_600_000, 41_229), "prd", directory or FileDirectory())


def make_uplink(*parts: RecordPart, plan: MessagePlan = STATUS, device: Device = ALONE) -> Uplink:
    product = PartsProduct(*parts)
    return Uplink("uid", b"raw", NOON_MS, product, device, Receipt(), "l", "s", decoded=Decoded(plan, {}))


def shape(*parts: RecordPart, shaper: Shaper | None = None, **more: Any) -> list[Record]:
    made = (shaper or make_shaper()).shape(make_uplink(*parts, **more))
    assert isinstance(made, list)
    return made


def body(*parts: RecordPart, **more: Any) -> dict[str, Any]:
    (record,) = shape(*parts, **more)
    loaded = json.loads(record.body)
    assert isinstance(loaded, dict)
    return loaded


def metrics(values: dict[str, Any]) -> dict[str, Any]:
    found = body(RecordPart(values))["metrics"]
    assert isinstance(found, dict)
    return found


def test_a_record_of_a_dead_letter_says_so() -> None:
    uplink = make_uplink(RecordPart({"n": 1}))
    uplink.replayed = True
    made = make_shaper().shape(uplink)
    assert isinstance(made, list)
    (record,) = made
    assert json.loads(record.body)["replayed"] is True
    assert "replayed" not in body(RecordPart({"n": 1}))


def test_a_record_has_every_field_that_has_a_value() -> None:
    plan = message_plan("status", units={"tempC": "°C", "rpm": "rpm", "absent": "V"}, measurement="climate")
    plan.data_type = "periodic"
    device = Device(DeviceKey("acme", "child-001"), hub_id="hub-001", tags={"room": "kitchen"})
    part = RecordPart(
        {"tempC": 26.3, "rpm": 1200, "state": "on", "alarms": ["a", "b"]},
        device_time="2026-03-01T00:00:00.000Z",
        hub_time="2026-03-01T00:00:01.000Z",
        flags=[Violation("tempC", ViolationCode.OUT_OF_RANGE)],
    )
    (record,) = shape(part, plan=plan, device=device)
    assert json.loads(record.body) == {
        "schema": "iotlink.record/1",
        "record_id": "uid-0",
        "type": "telemetry",
        "device_id": "child-001",
        "productId": "prod-a",
        "hub_id": "hub-001",
        "childDeviceId": "child-001",
        "device_timestamp": "2026-03-01T00:00:00.000Z",
        "hub_timestamp": "2026-03-01T00:00:01.000Z",
        "ingest_timestamp": "2026-03-01T12:00:00.123Z",
        "metrics": {"tempC": 26.3, "rpm": 1200, "state": "on", "alarms": ["a", "b"]},
        "units": {"tempC": "°C", "rpm": "rpm"},
        "measurement": "climate",
        "tags": {"room": "kitchen"},
        "message": "status",
        "spec_version": 3,
        "env": "prd",
        "data_type": "periodic",
        "gateway_id": "gw-1",
        "epoch": 1_767_225_600_000,
        "seq": 41_230,
        "flags": [{"field": "tempC", "code": "out_of_range"}],
    }
    assert record == Record("uid-0", "telemetry", "prod-a", "acme/child-001", record.body, NOON_MS)
    assert b"\n" not in record.body


def test_what_has_no_value_is_left_out() -> None:
    assert body(RecordPart({"n": 1})).keys() == {
        *("schema", "record_id", "type", "device_id", "productId", "message", "spec_version", "env"),
        *("ingest_timestamp", "metrics", "gateway_id", "epoch", "seq"),
    }


def test_parts_make_records_in_order() -> None:
    records = shape(RecordPart({"n": 1}), RecordPart({"n": 2}), RecordPart({"n": 3}))
    bodies = [json.loads(record.body) for record in records]
    assert [(b["record_id"], b["seq"], b["metrics"]["n"]) for b in bodies] == [
        ("uid-0", 41_230, 1),
        ("uid-1", 41_231, 2),
        ("uid-2", 41_232, 3),
    ]


def test_record_none_makes_nothing() -> None:
    assert shape(RecordPart({"n": 1}), plan=message_plan("heartbeat", "none")) == []


def test_other_types_have_data() -> None:
    found = body(RecordPart({"code": 7}), plan=message_plan("alarm", "alert"))
    assert found["type"] == "alert"
    assert found["data"] == {"code": 7}
    assert "metrics" not in found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": math.nan, "b": math.inf, "c": -math.inf, "d": None, "e": 0}, {"e": 0}),
        ({"a": 2**53, "b": 2**53 + 1, "c": -(2**53) - 1, "d": 2**64 - 1, "e": 2**80}, {
            "a": 2**53, "b": "9007199254740993", "c": "-9007199254740993", "d": "18446744073709551615",
            "e": "1208925819614629174706176",
        }),
        ({"door": {"open": True, "lock": {"n": 1, "m": None}}}, {"door.open": True, "door.lock.n": 1}),
        ({"list": [1, math.nan, 2**60]}, {"list": [1, None, "1152921504606846976"]}),
        ({"list": [{"at": 1, "v": math.nan}]}, {"list": [{"at": 1}]}),
        ({"cells": [{"mcc": 460}, {"mcc": 450}]}, {"cells": [{"mcc": 460}, {"mcc": 450}]}),
        ({"cells": [{"at": {"x": 1, "y": None}}]}, {"cells": [{"at.x": 1}]}),
        ({"text": 'null ":{'}, {"text": 'null ":{'}),
        ({"text": "a\ud800b"}, {"text": "a?b"}),
        ({"b": True, "f": -0.5, "t": "°"}, {"b": True, "f": -0.5, "t": "°"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_metrics_are_values_that_every_consumer_can_read(values: dict[str, Any], expected: dict[str, Any]) -> None:
    assert metrics(values) == expected


def test_units_follow_the_metrics_that_are_there() -> None:
    plan = message_plan("status", units={"a": "V", "door.n": "m"})
    shaper = make_shaper()
    assert body(RecordPart({"a": 1, "door": {"n": 2}}), plan=plan, shaper=shaper)["units"] == {"a": "V", "door.n": "m"}
    assert body(RecordPart({"a": None, "door": {"n": 2}}), plan=plan, shaper=shaper)["units"] == {"door.n": "m"}
    assert "units" not in body(RecordPart({"other": 2}), plan=plan, shaper=shaper)
    assert body(RecordPart({"a": 1}), plan=plan, shaper=shaper)["units"] == {"a": "V"}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
trees = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(st.dictionaries(st.text(), trees))
def test_any_values_make_strict_json_without_nesting(values: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (record,) = shape(RecordPart(values))
    found = json.loads(record.body, parse_constant=refuse)["metrics"]
    for value in found.values():
        assert value is not None
        assert not isinstance(value, dict)
        assert isinstance(value, bool) or not isinstance(value, int) or abs(value) <= 2**53


@pytest.mark.parametrize(
    ("device", "identity", "expected", "lane"),
    [
        (Device(DeviceKey("", "d")), None, {"device_id": "d"}, "d"),
        (Device(DeviceKey("", "h"), hub_id="h"), None, {"device_id": "h", "hub_id": "h"}, "h"),
        (Device(DeviceKey("", "c"), hub_id="h"), None, {"device_id": "c", "hub_id": "h", "childDeviceId": "c"}, "c"),
        (Device(DeviceKey("", "h"), hub_id="h"), Identity(child_id="c"),
         {"device_id": "c", "hub_id": "h", "childDeviceId": "c"}, "c"),
        (Device(DeviceKey("t", "h")), Identity(child_id="c"),
         {"device_id": "c", "hub_id": "h", "childDeviceId": "c"}, "t/c"),
        (Device(DeviceKey("", "h"), hub_id="h"), Identity(device_id="d", hub_id="h"),
         {"device_id": "d", "hub_id": "h", "childDeviceId": "d"}, "d"),
        (Device(DeviceKey("", "d")), Identity(device_id="d"), {"device_id": "d"}, "d"),
        (Device(DeviceKey("", "h"), hub_id="h"), Identity(hub_id="h"), {"device_id": "h", "hub_id": "h"}, "h"),
    ],
)  # fmt: skip
def test_who_a_record_is_about(device: Device, identity: Identity | None, expected: dict[str, str], lane: str) -> None:
    shaper = make_shaper()
    for _ in range(2):  # prepared, then found again
        (record,) = shape(RecordPart({"n": 1}, identity=identity), device=device, shaper=shaper)
        found = json.loads(record.body)
        assert {key: found[key] for key in ("device_id", "hub_id", "childDeviceId") if key in found} == expected
        assert record.lane == lane


def test_a_child_has_the_tags_of_its_own_entry() -> None:
    directory = FileDirectory.from_text("[{id: c, hub: h, tags: {room: attic}}]", "devices.yaml")
    hub = Device(DeviceKey("", "h"), hub_id="h", tags={"room": "hall"})
    shaper = make_shaper(directory)
    child = RecordPart({"n": 1}, identity=Identity(child_id="c"))
    assert body(child, device=hub, shaper=shaper)["tags"] == {"room": "attic"}
    assert body(RecordPart({"n": 1}), device=hub, shaper=shaper)["tags"] == {"room": "hall"}


@pytest.mark.parametrize("child", ["c" * 257, "c\n", "c\ud800"])
def test_a_child_id_that_names_no_lane_makes_a_dead_letter(child: str) -> None:
    uplink = make_uplink(RecordPart({"n": 1}, identity=Identity(child_id=child)))
    letter = make_shaper().shape(uplink)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.stage, letter.dead_letter_id) == ("bad_value", "shape", "uid")


@pytest.mark.parametrize(
    ("device_time", "off"),
    [
        ("2026-03-01T12:00:00.000Z", False),
        ("2026-03-01T23:59:59.999Z", False),
        ("2026-02-28T12:00:00.123Z", False),
        ("2026-02-28T12:00:00.122Z", True),
        ("2026-03-02T12:00:00.124Z", True),
        ("1970-01-01T00:00:00.000Z", True),
        ("2000-02-29T00:00:00.000Z", True),
    ],
)
def test_a_device_clock_off_by_more_than_a_day_is_flagged(device_time: str, off: bool) -> None:
    part = RecordPart({"n": 1}, device_time=device_time, flags=[Violation("n", ViolationCode.REQUIRED)])
    flags = body(part)["flags"]
    assert ({"field": "device_timestamp", "code": "clock_off"} in flags) is off
    assert {"field": "n", "code": "required"} in flags
    assert len(part.flags or []) == 1


def test_ids_and_names_are_escaped() -> None:
    device = Device(DeviceKey("", 'a"b\\c°'), tags={'"': "\\"})
    found = body(RecordPart({'"': '"'}), device=device, plan=message_plan('m"', measurement='"'))
    assert (found["device_id"], found["tags"], found["metrics"], found["message"]) == (
        'a"b\\c°', {'"': "\\"}, {'"': '"'}, 'm"',
    )  # fmt: skip


def test_times_of_arrival_are_right_from_one_second_to_the_next() -> None:
    shaper = make_shaper()
    uplink = make_uplink(RecordPart({"n": 1}))
    seen = []
    for ms in (NOON_MS, NOON_MS + 1, NOON_MS + 877, NOON_MS - 200_000):
        uplink.received_ms = ms
        made = shaper.shape(uplink)
        assert isinstance(made, list)
        seen.append(json.loads(made[0].body)["ingest_timestamp"][11:])
    assert seen == ["12:00:00.123Z", "12:00:00.124Z", "12:00:01.000Z", "11:56:40.123Z"]


def test_what_is_prepared_is_not_mixed_up_between_devices_products_and_messages() -> None:
    shaper = make_shaper()
    for number in range(50):
        device = Device(DeviceKey("", f"d{number}"))
        plan = message_plan(f"m{number}")
        found = body(RecordPart({"n": number}), device=device, plan=plan, shaper=shaper)
        assert (found["device_id"], found["message"]) == (f"d{number}", f"m{number}")


def test_a_trace_id_of_a_document_stands_in_its_record() -> None:
    def said(trace: object, *, traced: bool) -> dict[str, Any]:
        uplink = make_uplink(RecordPart({"n": 1}))
        assert uplink.decoded is not None
        uplink.decoded.values["trace_id"] = trace
        uplink.decoded.message = replace(uplink.decoded.message, traced=traced)
        made = make_shaper().shape(uplink)
        assert isinstance(made, list)
        return json.loads(made[0].body)  # type: ignore[no-any-return]

    assert said('t-"1"', traced=True)["trace_id"] == 't-"1"'
    assert said("\ud800", traced=True)["trace_id"] == "?"
    assert "trace_id" not in said(None, traced=True)
    assert "trace_id" not in said("t-1", traced=False)
