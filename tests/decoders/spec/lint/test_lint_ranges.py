from __future__ import annotations

import pytest

from tests.decoders.spec.lint.findings import HEAD, findings, of_rows


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{name: a, type: u8, range: [5, 1]}", "the range ends before it begins"),
        ("{name: a, formula: 1 + 1, range: [5, 1]}", "the range ends before it begins"),
        ("{name: a, type: u8, range: [1, 5], enum: {1: x}}", "a range on names"),
        ("{name: a, type: u8, range: [1, 5], enum: shared}", "a range on names"),
        ("{name: a, type: u8, range: [1, 5], enum: {1: 4, 2: 9}}", "`enum` gives 9 for 2, which is not in the range"),
        ("{name: a, type: unix32, range: [1, 5]}", "a range on `unix32`"),
        ("{name: a, type: text, bytes: 2, range: [1, 5]}", "a range on `text`"),
        ("{name: a, type: u8, range: [300, 400]}", "values go from 0 to 255: none is in the range"),
        ("{name: a, type: i8, scale: 0.1, range: [13, 20]}", "values go from -12.8 to 12.7"),
        ("{name: a, type: u8, offset: -40, range: [-100, -50]}", "values go from -40 to 215"),
        ("{name: a, type: u8, absent: 0xFFFF}", "65535 cannot come out of `u8`"),
        ("{name: a, type: uint, bytes: 1, absent: 0xFFFF}", "65535 cannot come out of `uint`"),
        ("{name: a, type: u8, enum: {300: x}}", "300 cannot come out of `u8`"),
        ("{name: a, type: u8, absent: 1, enum: {1: x}}", "1 is absent and also a name of `enum`"),
    ],
)
def test_contradictions_are_errors(row: str, message: str) -> None:
    spec = f"{HEAD}enums: {{shared: {{1: x}}}}\nmessages:\n  m:\n    fields:\n      - {row}\n"
    (found,) = [item for item in findings(spec) if item.severity == "error"]
    assert found.problem.code == "contradiction"
    assert found.problem.line == 9
    assert message in found.problem.message
    assert found.problem.hint


@pytest.mark.parametrize(
    "row",
    [
        "{name: a, type: u8, range: [0, 10]}",
        "{name: a, type: u8, range: [0, 1000]}",
        "{name: a, type: u8, scale: 10, range: [1000, 2000]}",
        "{name: a, type: u8, formula: x * 100, range: [1000, 2000]}",
        "{name: a, type: i16, absent: -32768, range: [-40, 125]}",
        "{name: a, type: u8, enum: {0: off, 1..9: on}, absent: 255}",
        "{name: a, type: u8, enum: {0: 5, 1: null}, range: [1, 9]}",
        "{name: a, type: u8, required: true}",
    ],
)
def test_what_can_be_met_is_no_contradiction(row: str) -> None:
    assert of_rows(row) == []


@pytest.mark.parametrize(
    ("enum", "found"),
    [
        ("{1..5: low, 3: three}", ["overlapping_enum"]),
        ("{1..5: low, 3: low}", []),
        ("{0: off, 1: Off}", ["near_names"]),
        ("{0: low battery, 1: low_battery}", ["near_names"]),
        ("{0: off, 1: on, _: null}", []),
    ],
)
def test_enums(enum: str, found: list[str]) -> None:
    assert of_rows(f"{{name: a, type: u8, enum: {enum}}}") == found
    assert of_rows(f"{{name: a, type: u8, bits: {{b: {{at: 0-3, enum: {enum}}}}}}}") == found
    assert of_rows("{name: a, type: u8, enum: e}", f"enums: {{e: {enum}}}\n") == found


def test_a_required_value_has_no_condition() -> None:
    assert of_rows("{name: a, type: u8, required: true, if: remaining > 0}") == ["required_if"]
