"""Messages with values of known names make the records that any other message makes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from decoders.catalog import build_product
from decoders.types import SessionContext
from gateway.devices.directory import FileDirectory
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Beside, Uplink
from gateway.pipeline import shape
from gateway.pipeline.shape import Numbering, Shaper

SPEC = """
product: outlines
messages:
  values:
    json: true
    records: readings
    fields:
      - {name: t, unit: "°C", range: [-40, 85]}
      - {name: n, type: u64}
      - {name: quiet, metric: false}
      - {name: label, type: text, bytes: 4}
      - {group: radio, fields: [{name: rssi, type: i8, unit: dBm}]}
      - {list: readings, fields: [{name: t, unit: K}, {name: time, type: unix32, timestamp: device}]}
"""
NOON_MS = 1_772_366_400_123  # 2026-03-01T12:00:00.123Z
PRODUCT = build_product("outlines", SPEC, "outlines.yaml", {}).product
DEVICE = Device(DeviceKey("acme", "d-1"), tags={"room": "kitchen"})
SHAPER, OTHER = (Shaper(Numbering("gw", 1), "prd", FileDirectory()) for _ in range(2))

NUMBERS = st.sampled_from([0, -1, 21.5, 1 << 53, (1 << 53) + 1, 1 << 70, float("nan"), float("inf"), 1e300])
TEXTS = st.sampled_from(["", "null", '":{', "é", "\ud800"])
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "t": NUMBERS,
        "n": NUMBERS,
        "quiet": NUMBERS | TEXTS,
        "label": TEXTS,
        "radio": st.fixed_dictionaries({}, optional={"rssi": NUMBERS}),
        "readings": st.lists(st.fixed_dictionaries({"t": NUMBERS}, optional={"time": st.just(5)}), max_size=2),
        "device_timestamp": st.sampled_from([NOON_MS, NOON_MS - 90_000_000, NOON_MS + 90_000_000, "x", 1e300]),
        "hub_timestamp": st.sampled_from([NOON_MS, None]),
        "device_id": st.sampled_from(["d-1", "d-2"]),
        "hub_id": st.sampled_from(["h-1", "d-1"]),
        "childDeviceId": st.sampled_from(["c-1", "d-1", "\n"]),
        "trace_id": TEXTS,
    },
)


def made(shaper: Shaper, document: dict[str, Any], beside: Beside | None) -> Any:
    decoded = PRODUCT.read_json(document, SessionContext())
    uplink = Uplink("uid", b"", NOON_MS, PRODUCT, DEVICE, Receipt(), "l", "s", decoded=decoded, beside=beside)
    found = shaper.shape(uplink)
    return (found.reason, found.detail) if isinstance(found, DeadLetter) else found


@given(DOCUMENTS)
def test_any_message_makes_the_same_records(document: dict[str, Any]) -> None:
    expected = made(OTHER, document, Beside())  # with something beside it, however little, each value is looked at
    assert made(SHAPER, document, None) == expected


def test_what_is_remembered_is_bounded() -> None:
    spec = "product: any\nmessages: {m: {record: telemetry, json: true, extra: keep}}"
    product = build_product("any", spec, "any.yaml", {}).product
    shaper = Shaper(Numbering("gw", 1), "prd", FileDirectory())
    for number in range(2 * shape._MAX_OUTLINES):
        decoded = product.read_json({f"m{number}": number}, SessionContext())
        uplink = Uplink("uid", b"", NOON_MS, product, DEVICE, Receipt(), "l", "s", decoded=decoded)
        found = shaper.shape(uplink)
        assert isinstance(found, list)
        (record,) = found
        assert json.loads(record.body)["metrics"] == {f"m{number}": number}
    (message,) = shaper._messages.values()
    assert len(message.outlines) == shape._MAX_OUTLINES
