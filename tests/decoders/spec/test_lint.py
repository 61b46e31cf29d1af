from __future__ import annotations

import pytest

from decoders.spec.lint import RULES, lint
from tests.decoders.sensor import GOLDEN, SPEC, loaded

HEAD = "product: sensor\ntitle: t\nsource: s\n"


def codes(spec: str, golden: str = "source: s\ncases: []\n", folder: str = "sensor") -> list[tuple[str, int]]:
    """(code, line) of all findings but those about golden frames."""
    found = lint(loaded(spec, golden, folder))
    return [(item.problem.code, item.problem.line) for item in found if not item.problem.code.endswith("_frame")]


def field(text: str, more: str = "") -> list[str]:
    return [code for code, _ in codes(f"{HEAD}{more}messages: {{m: {{fields: [{text}]}}}}")]


def test_a_good_spec_has_only_gaps_in_its_golden_frames() -> None:
    found = lint(loaded())
    assert [(item.severity, item.problem.code, item.problem.path) for item in found] == [
        ("warning", "no_truncated_frame", "messages.login"),
        ("warning", "no_corrupt_frame", "messages.login"),
    ]
    first = found[0].to_plain()
    assert first["file"] == "sensor/spec.yaml"
    assert first["line"] == SPEC[: SPEC.index("  login:")].count("\n") + 1
    assert first["fix"] == "add the first bytes of a good frame with `message: login, error: truncated`"


def test_a_broken_frame_counts_for_the_message_that_it_was_made_from_or_that_it_names() -> None:
    named = GOLDEN + '  - {name: short, hex: "a5", message: login, error: truncated}\n'
    found = {(item.problem.code, item.problem.path) for item in lint(loaded(golden=named))}
    assert found == {("no_corrupt_frame", "messages.login")}
    nothing = {(item.problem.code, item.problem.path) for item in lint(loaded(golden="source: s\ncases: []\n"))}
    assert nothing == {
        (code, f"messages.{message}")
        for code in ("no_good_frame", "no_truncated_frame", "no_corrupt_frame")
        for message in ("login", "status")  # not the downlink
    }


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("{name: temprature, type: u8}", ["near_miss"]),
        ("{name: temperature, type: u8}", ["no_unit"]),
        ('{name: temperature, type: u8, unit: "°F"}', ["other_unit"]),
        ('{name: temperature, type: u8, unit: "°C"}', []),
        ("{name: temperature, type: u8, hidden: true}", []),
        ("{name: temperature, type: u8, enum: {1: warm}}", []),
        ("{name: satellites, type: u8}", []),
        ("{name: flags, type: u8, bits: {lat: 0}}", ["near_miss"]),
        ("{name: flags, type: u8, bits: {speed: 0-3}}", ["no_unit"]),
        ("{name: lon, type: bcd, bytes: 2, identity: device}", []),
        ("{name: oil, type: u8}, {name: Oil, type: u8}", ["case_only"]),
        ("{name: a, type: u8}, {name: b, type: u8}", []),
    ],
)
def test_names_and_units(row: str, found: list[str]) -> None:
    assert field(row) == found


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{name: a, type: u8, range: [5, 1]}", "the range ends before it begins"),
        ("{name: a, formula: 1 + 1, range: [5, 1]}", "the range ends before it begins"),
        ("{name: a, type: u8, range: [1, 5], enum: {1: x}}", "a range on names"),
        ("{name: a, type: u8, range: [1, 5], enum: shared}", "a range on names"),
        ("{name: a, type: unix32, range: [1, 5]}", "a range on `unix32`"),
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
    (found,) = [item for item in lint(loaded(spec, "source: s\ncases: []\n")) if item.severity == "error"]
    assert found.problem.code == "contradiction"
    assert found.problem.line == 8
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
    ],
)
def test_what_can_be_met_is_no_contradiction(row: str) -> None:
    assert field(row) == []


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("{type: 1}", "{type: 2}", False),
        ("{type: 1}", "{type: 1}", True),
        ("{type: 1..5}", "{type: 5..9}", True),
        ("{type: [1, 2]}", "{type: [3, 4]}", False),
        ("{type: 1}", "{type: 1, length: 3}", True),  # the wider one first takes all
        ("{type: 1, length: 3}", "{type: 1}", False),  # the narrower one first is the way to do it
        ("{length: 3}", "{type: 1}", False),  # a guard of another kind stands first on purpose
        ("{first: '01'}", "{first: '0102'}", True),
        ("{first: '01'}", "{first: '02'}", False),
        ("{type: 1}", "{}", False),  # a message without `when` takes what is left
    ],
)
def test_messages_that_claim_the_same_frames(one: str, other: str, overlap: bool) -> None:
    spec = f"""{HEAD}frame: {{header: [{{name: type, type: u8}}]}}
messages:
  one: {{when: {one}, rest: skip}}
  other: {{when: {other}, rest: skip}}
"""
    assert codes(spec) == ([("overlapping_when", 7)] if overlap else [])


def test_a_spec_says_what_it_is_and_stands_in_its_own_folder() -> None:
    assert codes("product: sensor\nmessages: {m: {}}") == [("no_origin", 1), ("no_origin", 1)]
    assert codes(f"{HEAD}messages: {{m: {{}}}}", folder="other") == [("folder_name", 1)]


def test_rules_have_codes_of_their_own() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert {rule.severity for rule in RULES} == {"error", "warning"}
