from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.types import SessionContext
from gateway.pipeline.preview import Preview
from tests.decoders.sensor import ACK, LOGIN, NOON_MS, SPEC, STATUS, compiled, frame

SENSOR = Preview(compiled())

RECORD = {
    "type": "telemetry",
    "device_id": "123456",
    "productId": "sensor",
    "device_timestamp": "2026-03-01T12:00:00.000Z",
    "metrics": {"temperature": 26.3, "door_open": True, "mode": 2},
    "units": {"temperature": "°C"},
    "message": "status",
    "spec_version": 1,
}


def read(wire: bytes, preview: Preview = SENSOR, **session: Any) -> dict[str, Any]:
    return preview.read(wire, SessionContext(**session), NOON_MS)


def test_a_frame_of_a_known_session() -> None:
    assert read(STATUS, device_id="123456") == {
        "ok": True,
        "product": "sensor",
        "message": "status",
        "device_id": "123456",
        "values": {
            "type": 2, "serial": 1, "temperature": 26.3, "time": "2026-03-01T12:00:00.000Z",
            "door_open": True, "mode": 2,
        },
        "records": [RECORD],
        "replies": [ACK.hex()],
        "violations": [],
    }  # fmt: skip


def test_a_session_is_not_needed() -> None:
    answer = read(STATUS)
    assert answer["device_id"] is None
    (record,) = answer["records"]
    assert record == {key: value for key, value in RECORD.items() if key != "device_id"}


def test_a_login_makes_no_record_and_is_answered() -> None:
    answer = read(LOGIN)
    assert (answer["device_id"], answer["records"], answer["replies"]) == ("123456", [], [ACK.hex()])


def test_what_the_frame_says_of_itself_counts_more_than_the_session() -> None:
    assert read(LOGIN, device_id="other")["device_id"] == "123456"


def test_violations_stand_beside_the_values_and_in_the_record() -> None:
    answer = read(frame("status", temperature=126))
    assert answer["violations"] == [{"field": "temperature", "code": "out_of_range"}]
    assert answer["records"][0]["flags"] == answer["violations"]


def test_a_contract_that_rejects_leaves_no_record() -> None:
    rejecting = Preview(compiled(SPEC + "contract: reject\n"))
    answer = read(frame("status", temperature=126), rejecting)
    assert answer["ok"]
    assert answer["records"] == []
    assert answer["violations"] == [{"field": "temperature", "code": "out_of_range"}]


def test_a_clock_is_judged_only_by_a_known_arrival() -> None:
    late = NOON_MS + 3 * 86_400_000
    assert "flags" not in read(STATUS)["records"][0]
    assert "flags" not in read(STATUS, received_ms=NOON_MS)["records"][0]
    assert read(STATUS, received_ms=late)["records"][0]["flags"] == [{"field": "device_timestamp", "code": "clock_off"}]


def test_several_records_out_of_one_frame() -> None:
    text = """\
product: many
messages:
  history:
    records: items
    fields:
      - {name: room, type: u8}
      - {list: items, fields: [{name: time, type: unix32}, {name: level, type: u8}]}
"""
    answer = read(bytes.fromhex("07000000010a000000020b"), Preview(compiled(text)))
    assert [(record["metrics"], record["device_timestamp"]) for record in answer["records"]] == [
        ({"room": 7, "level": 10}, "1970-01-01T00:00:01.000Z"),
        ({"room": 7, "level": 11}, "1970-01-01T00:00:02.000Z"),
    ]


HUB = """\
product: hub
frame: {header: [{name: type, type: u8}]}
messages:
  own: {when: {type: 1}, fields: [{name: hub, type: hex, bytes: 1, identity: hub}, {name: level, type: u8}]}
  children:
    when: {type: 2}
    records: items
    fields: [{list: items, fields: [{name: child, type: hex, bytes: 1, identity: child}, {name: level, type: u8}]}]
"""


def test_hub_and_children_are_told_apart() -> None:
    preview = Preview(compiled(HUB))
    (own,) = read(bytes.fromhex("01aa05"), preview)["records"]
    assert (own["device_id"], own["hub_id"]) == ("aa", "aa")
    assert "childDeviceId" not in own
    answer = read(bytes.fromhex("02b105b206"), preview, device_id="aa")
    assert answer["device_id"] == "aa"
    assert [(r["device_id"], r["hub_id"], r["childDeviceId"]) for r in answer["records"]] == [
        ("b1", "aa", "b1"),
        ("b2", "aa", "b2"),
    ]


@pytest.mark.parametrize(
    ("wire", "code", "offset", "values"),
    [
        (b"", "truncated", 0, {}),
        (STATUS[:5], "truncated", 5, {}),
        (STATUS + b"\0", "trailing_bytes", len(STATUS), {}),
        (b"\0" + STATUS, "not_a_frame", 0, {}),
        (STATUS[:-1] + bytes([STATUS[-1] ^ 1]), "bad_check", len(STATUS) - 2, {}),
    ],
)
def test_what_is_wrong_with_a_frame(wire: bytes, code: str, offset: int, values: dict[str, Any]) -> None:
    answer = read(wire)
    assert answer.keys() == {"ok", "error", "values"}
    assert answer["ok"] is False
    assert answer["error"].keys() == {"code", "offset", "field", "detail"}
    assert (answer["error"]["code"], answer["error"]["offset"]) == (code, offset)
    assert answer["values"] == values


def test_what_was_read_before_a_fault_is_kept() -> None:
    text = "product: p\nmessages: {m: {fields: [{name: a, type: u8}, {name: b, type: u32}]}}"
    answer = read(b"\x07\x01", Preview(compiled(text)))
    assert answer["error"]["field"] == "b"
    assert answer["error"]["offset"] == 1
    assert answer["values"] == {"a": 7}


@given(st.binary(max_size=64), st.booleans())
def test_no_bytes_make_it_raise(data: bytes, framed: bool) -> None:
    answer = read(data if not framed else b"\xa5" + bytes([len(data) & 0xFF]) + data)
    assert answer["ok"] in (True, False)
