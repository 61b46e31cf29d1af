from __future__ import annotations

import pytest

from tests.decoders.spec.lint.findings import HEAD, findings, of_rows


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("{name: temprature, type: u8}", ["near_miss"]),
        ("{name: temperature, type: u8}", ["no_unit"]),
        ("{name: cabin_temperature_2, type: u8}", ["no_unit"]),
        ("{name: cabin_temperature, type: u8, note: in steps of the maker}", []),
        ("{name: speed_limit, type: u8}", []),
        ('{name: temperature, type: u8, unit: "°F"}', ["other_unit"]),
        ('{name: temperature, type: u8, unit: "°C"}', []),
        ("{name: temperature, type: u8, enum: {1: warm}}", []),
        ("{name: satellites, type: u8}", []),
        ("{name: flags, type: u8, bits: {lat: 0}}", ["near_miss"]),
        ("{name: flags, type: u8, bits: {speed: 0-3}}", ["no_unit"]),
        ("{name: lon, type: bcd, bytes: 2, identity: device}", []),
        ("{name: oil, type: u8}, {name: Oil, type: u8}", ["case_only"]),
        ("{name: a, type: u8}, {name: b, type: u8}", []),
        ("{name: a, type: u8, unit: furlongs}", ["unknown_unit"]),
        ("{name: a, type: u8, unit: m³/h}", []),
        ("{name: a, type: u8, bits: {b: {at: 0-3, unit: furlongs}}}", ["unknown_unit"]),
    ],
)
def test_names_and_units(row: str, found: list[str]) -> None:
    assert of_rows(row) == found


def test_a_hidden_name_is_its_own_affair() -> None:
    assert of_rows("{name: temperature, type: u8, hidden: true, note: of the chip}") == []


@pytest.mark.parametrize(("unit", "meant"), [("degC", "°C"), ("kmh", "km/h"), ("KWH", "kWh"), ("mA/h", "mAh")])
def test_a_unit_that_is_nearly_known_is_named(unit: str, meant: str) -> None:
    (found,) = findings(f"{HEAD}messages: {{m: {{fields: [{{name: a, type: u8, unit: {unit}}}]}}}}")
    assert found.problem.code == "unknown_unit"
    assert meant in found.problem.hint
    assert found.problem.path == "messages.m.fields[0].unit"
