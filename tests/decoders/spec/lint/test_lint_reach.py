from __future__ import annotations

import pytest

from tests.decoders.spec.lint.findings import HEAD, findings

SKIP_ONE = "{name: z, type: u8}"


def found_in(rows: str) -> list[tuple[str, str]]:
    spec = f"{HEAD}messages: {{m: {{fields: [{rows}]}}}}"
    return [(item.problem.code, item.problem.path.removeprefix("messages.m.fields")) for item in findings(spec)]


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ("{name: a, type: text, bytes: rest}, {name: z, type: u8}", "[1]"),
        ("{skip: rest}, {name: z, type: u8}", "[1]"),
        ("{skip: rest}, {name: z, type: u8, if: remaining > 1}", "[1]"),
        ("{list: l, fields: [{name: a, type: u8}]}, {name: z, type: u8}", "[1]"),
        ("{items: {key: u8, length: u8, tags: {1: {name: a, type: u8}}}}, {name: z, type: u8}", "[1]"),
        ("{group: g, fields: [{skip: rest}, {name: z, type: u8}]}", "[0].fields[1]"),
        ("{group: g, fields: [{skip: rest}]}, {name: z, type: u8}", "[1]"),
        ("{group: g, bytes: rest, fields: [{name: a, type: u8}]}, {name: z, type: u8}", "[1]"),
        ("{name: k, type: u8}, {switch: k, cases: {1: [{skip: rest}], 2: [{skip: rest}]}}, {name: z, type: u8}", "[2]"),
    ],
)
def test_rows_behind_the_end_are_never_read(rows: str, place: str) -> None:
    assert found_in(rows) == [("behind_rest", place)]


@pytest.mark.parametrize(
    "rows",
    [
        "{skip: rest}, {name: z, formula: 1 + 1}",
        '{list: d, type: u16, hidden: true}, {list: s, count: count(d), fields: [{name: v, formula: "sum(part(d, 0, '
        'index + 1))"}]}',
        "{skip: rest}, {group: g, fields: [{name: z, formula: 1 + 1}]}",
        "{items: {key: u8, length: u8, tags: {1: {name: a, type: u8}}}}, {skip: rest}",
        "{skip: rest, if: remaining > 9}, {name: z, type: u8}",
        "{group: g, bytes: 4, fields: [{skip: rest}]}, {name: z, type: u8}",
        "{list: l, count: 2, fields: [{name: a, type: u8}]}, {name: z, type: u8}",
        "{list: l, until_left: 1, fields: [{name: a, type: u8}]}, {name: z, type: u8}",
        "{list: l, bytes: 4, fields: [{name: a, type: u8}]}, {name: z, type: u8}",
        "{name: k, type: u8}, {switch: k, cases: {1: [{skip: rest}], 2: []}}, {name: z, type: u8}",
        "{name: k, type: u8}, {switch: k, cases: {1: [{skip: rest}]}, default: []}, {name: z, type: u8}",
    ],
)
def test_rows_that_have_bytes_are_reached(rows: str) -> None:
    assert found_in(rows) == []


@pytest.mark.parametrize(
    ("cases", "found"),
    [
        ("{1: [], 2: []}", []),
        ("{1..5: [], 3: []}", [("unreachable_case", "[1].cases.3")]),
        ("{1..5: [], 4..9: []}", [("overlapping_cases", "[1].cases.4..9")]),
        ("{1: [], 2: [], '1, 2': []}", [("unreachable_case", "[1].cases.1, 2")]),
        ("{300: []}", [("unreachable_case", "[1].cases.300")]),
        ("{0..127: [], 128..255: []}, default: [{name: z, type: u8}]", [("unreachable_case", "[1].default")]),
        ("{0..127: [], 128..254: []}, default: [{name: z, type: u8}]", []),
    ],
)
def test_cases_of_a_switch(cases: str, found: list[tuple[str, str]]) -> None:
    assert found_in(f"{{name: k, type: u8}}, {{switch: k, cases: {cases}}}") == found


def test_a_case_may_be_more_than_the_bits_can_say() -> None:
    rows = "{name: f, type: u8, bits: {k: 0-1}}, {switch: k, cases: {3: [], 4: []}}"
    assert found_in(rows) == [("unreachable_case", "[1].cases.4")]


def test_of_a_formula_nothing_is_known() -> None:
    assert found_in("{name: k, type: u8}, {switch: k * 2, cases: {300: []}}") == []


def test_a_tag_must_fit_into_its_key() -> None:
    tags = "{items: {key: u8, length: u8, tags: {0x01: {name: a, type: u8}, 0x0175: {name: b, type: u8}}}}"
    assert found_in(tags) == [("unreachable_tag", "[0].items.tags.0x0175")]
    assert found_in(tags.replace("key: u8", "key: u16")) == []
