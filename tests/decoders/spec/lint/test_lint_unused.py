from __future__ import annotations

import pytest

from tests.decoders.spec.lint.findings import HEAD, findings, of_rows

TABLES = """\
blocks: {b: [{name: x, type: u8}]}
enums: {e: {1: on}}
flags: {f: {1: on}}
tags: {t: {1: {name: y, type: u8}}}
"""


def test_what_nothing_uses_is_named() -> None:
    found = findings(f"{HEAD}{TABLES}messages: {{m: {{fields: [{{name: a, type: u8}}]}}}}")
    assert [(item.problem.code, item.problem.path) for item in found] == [
        ("unused", "blocks.b"), ("unused", "enums.e"), ("unused", "flags.f"), ("unused", "tags.t"),
    ]  # fmt: skip
    assert found[0].problem.message == "nothing uses `b` of `blocks`"


def test_what_a_row_uses_is_used() -> None:
    rows = "{use: b}, {name: a, type: u8, enum: e}, {name: c, type: u8, flags: f}, {items: {key: u8, tags: t}}"
    assert of_rows(rows, TABLES) == []


def test_what_only_a_variant_uses_is_used() -> None:
    variants = "variants: {v: {messages: {m: {fields: [{use: b}]}}}}\n"
    rows = "{name: a, type: u8, enum: e}, {name: c, type: u8, flags: f}, {items: {key: u8, tags: t}}"
    assert of_rows(rows, TABLES + variants) == []


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("{name: h, type: u8, hidden: true}", ["unused_hidden"]),
        ("{name: h, type: u8, hidden: true, note: always 0}", []),
        ("{name: h, type: u8, hidden: true}, {name: a, formula: h * 2}", []),
        ('{name: h, type: u8, hidden: true}, {name: "cell_{h}", type: u8}', []),
        ('{name: h, type: u8, hidden: true}, {name: x, type: u8, bits: {"cell_{h + 1}": 0-3}}', []),
        ('{name: h, type: u8, hidden: true}, {name: k, type: u8}, {name: "h_{k}", type: u8}', ["unused_hidden"]),
        ("{name: h, type: u8, hidden: true}, {list: l, count: h, fields: [{name: a, type: u8}]}", []),
        ("{name: h, type: u8, hidden: true}, {switch: h, cases: {1: []}}", []),
    ],
)
def test_a_hidden_value_is_for_formulas(rows: str, found: list[str]) -> None:
    assert of_rows(rows) == found
