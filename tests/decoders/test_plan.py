"""How the values of a message become parts of records: metrics, times, identities, flags."""

from __future__ import annotations

from decoders.framing.framer import cut
from decoders.product import CompiledProduct
from decoders.types import Identity, RecordPart, SessionContext, Violation, ViolationCode
from tests.decoders.specs import product

TEXT = """\
product: sample
frame: {header: [{name: kind, type: u8}, {name: mark, type: u8, metric: true}]}
messages:
  single:
    when: {kind: 1}
    fields:
      - {name: hub, type: bcd, bytes: 2, identity: hub}
      - {name: time, type: unix32}
      - {name: level, type: u8, unit: "%", range: [0, 100]}
      - {name: note, type: u8, metric: false}
      - {group: battery, fields: [{name: voltage, type: u8, scale: 0.1, unit: V}]}
  several:
    when: {kind: 2}
    records: readings
    fields:
      - {name: time, type: unix32}
      - {name: site, type: u8}
      - list: readings
        fields:
          - {name: child, type: bcd, bytes: 1, identity: child}
          - {name: level, type: u8, range: [0, 100], unit: "%"}
  silent: {when: {kind: 3}, fields: [{name: hub, type: bcd, bytes: 2, identity: hub}]}
"""


def parts_of(data: str) -> tuple[CompiledProduct, list[RecordPart], Identity | None]:
    compiled = product(TEXT)
    decoded = compiled.decode(cut(compiled.framing, bytes.fromhex(data)), SessionContext())
    return compiled, compiled.parts(decoded), compiled.identity(decoded)


def test_one_record() -> None:
    _, parts, identity = parts_of("0107" + "1234" + "69a46500" + "c8" + "05" + "25")

    assert identity == Identity(hub_id="1234")
    assert parts == [
        RecordPart(
            {"mark": 7, "level": 200, "battery.voltage": 3.7},
            "2026-03-01T16:10:40.000Z",
            "",
            [Violation("level", ViolationCode.OUT_OF_RANGE)],
        )
    ]


def test_each_item_is_a_record_with_the_values_of_the_message() -> None:
    compiled, parts, _ = parts_of("0207" + "69a46500" + "09" + "0132" + "02ff")

    assert [part.metrics for part in parts] == [
        {"mark": 7, "site": 9, "level": 50},
        {"mark": 7, "site": 9, "level": 255},
    ]
    assert [part.identity for part in parts] == [Identity(child_id="01"), Identity(child_id="02")]
    assert {part.device_time for part in parts} == {"2026-03-01T16:10:40.000Z"}
    assert [part.flags for part in parts] == [None, [Violation("level", ViolationCode.OUT_OF_RANGE)]]
    assert compiled.messages["several"].units == {"level": "%"}


def test_units_and_record_kinds_follow_from_the_rows() -> None:
    messages = product(TEXT).messages

    assert messages["single"].units == {"level": "%", "battery.voltage": "V"}
    assert {name: plan.record for name, plan in messages.items()} == {
        "single": "telemetry",
        "several": "telemetry",
        "silent": "telemetry",  # `mark` of the header is a metric
    }
    assert messages["single"].login
    assert not messages["several"].login
