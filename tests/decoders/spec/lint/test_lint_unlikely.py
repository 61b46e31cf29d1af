"""What is allowed and hardly ever meant."""

from __future__ import annotations

import pytest

from tests.decoders.spec.lint.findings import HEAD, findings, of_rows

LIST = "{list: a, count: 1, fields: [{name: x, type: u8}]}"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("{name: a, type: u8}, {name: a, type: u16}", ["same_name"]),
        ("{name: a, type: u8}, {name: f, type: u8, bits: {a: 0}}", ["same_name"]),
        (f"{{name: a, type: u8}}, {LIST}", ["same_name"]),
        ("{list: l, count: 2, fields: [{name: x, type: u8}, {name: x, type: u8}]}", ["same_name"]),
        ("{group: null, fields: [{name: a, type: u8}]}, {name: a, type: u8}", ["same_name"]),
        (f"{LIST}, {LIST}", []),
        ("{name: a, type: u8, repeat: list}, {name: a, type: u8, repeat: list}", []),
        ("{name: a, type: u8, const: 1}, {name: a, type: u8}", []),
        ("{name: a, type: u8}, {name: a, type: u8, if: a == 1}", []),
        ("{name: a, type: u8}, {name: a, formula: a + 1}", []),
        ("{name: k, type: u8}, {switch: k, cases: {1: [{name: a, type: u8}], 2: [{name: a, type: u16}]}}", []),
        ("{list: l, count: 2, fields: [{name: x, type: u8}]}, {name: x, type: u8}", []),
    ],
)
def test_two_rows_of_one_name(rows: str, found: list[str]) -> None:
    assert of_rows(rows) == found


def test_the_later_row_is_named() -> None:
    rows = "      - {name: a, type: u8}\n" * 2
    (found,) = findings(f"{HEAD}messages:\n  m:\n    fields:\n{rows}")
    assert (found.problem.line, found.problem.path) == (9, "messages.m.fields[1]")


@pytest.mark.parametrize(
    ("mark", "meant"),
    [
        ('until: "0D0A"', r'write "\r\n"'),
        ('until: "2A"', 'write "*"'),
        ('start: "24", until: "\\n"', 'write "$"'),
        ('until: "\\r\\n"', ""),
        ('start: "AA", until: "#"', ""),
        ('start: "5555", until: "#"', ""),
        ('start: "12345", until: "#"', ""),
    ],
)
def test_marks_of_text_that_look_like_hex(mark: str, meant: str) -> None:
    spec = f"{HEAD}frame: {{format: text, {mark}, split: ','}}\nfields: [{{name: a}}, {{name: id, identity: device}}]"
    assert [found.problem.hint for found in findings(spec)] == ([meant] if meant else [])


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("{list: c, count: length / 2, type: u16}", ["half_size"]),
        ("{list: c, count: (length - 2) / 2 + 1, type: u16}", ["half_size"]),
        ("{list: c, count: length // 2, type: u16}", []),
        ("{list: c, count: floor(length / 2), type: u16}", []),
        ("{name: t, type: hex, bytes: length / 2}", ["half_size"]),
        ("{group: g, bytes: length / 2, fields: [{name: a, type: u8}]}", ["half_size"]),
        ("{items: {key: u8, length: u8, count: length / 2, tags: {1: {name: a, type: u8}}}}", ["half_size"]),
    ],
)
def test_sizes_are_divided_without_fractions(rows: str, found: list[str]) -> None:
    assert of_rows(rows) == found
