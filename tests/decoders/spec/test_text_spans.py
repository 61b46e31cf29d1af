"""Ranges of texts: what they stand for, and where they match."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import SpecError
from decoders.spec.text_spans import MAX_TEXTS, texts_of
from tests.decoders.specs import product, read

LINE = 'frame: {format: text, until: "\\n", split: ","}\n'


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("3..5", ["3", "4", "5"]),
        ("08..10", ["08", "09", "10"]),
        ("A..C", ["A", "B", "C"]),
        ("P1..P3", ["P1", "P2", "P3"]),
        ("P09..10", ["P09", "P10"]),
        ("-1..1", ["-1", "0", "1"]),
        ("Xa..Xb", ["Xa", "Xb"]),
    ],
)
def test_a_range_stands_for_texts(text: str, texts: list[str]) -> None:
    assert texts_of(text) == texts


@pytest.mark.parametrize(
    "text", ["P1..X3", "5..3", "AB..CD..", "a..F", "..", "1..", f"0..{MAX_TEXTS}", "-9..-10", "a..5"]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"range"):
        texts_of(text)


@pytest.mark.parametrize(
    ("rows", "line", "values"),
    [
        ("fields: [{name: e, enum: {3..5: mid, 1: low, A..C: letter}}]", "4", {"e": "mid"}),
        ("fields: [{name: e, enum: {3..5: mid, 1: low, A..C: letter}}]", "B", {"e": "letter"}),
        ("fields: [{name: e, absent: 3..5}]", "4", {}),
        ("fields: [{name: e, bytes: 2, enum: {03..05: mid}}]", "04", {"e": "mid"}),
        ("fields: [{name: e, type: number, enum: {3..5: mid}}]", "04", {"e": "mid"}),
        ("fields: [{name: e}, {switch: e, cases: {3..5: [{name: x}]}}]", "4,q", {"e": "4", "x": "q"}),
        ("fields: [{name: e, type: number}, {switch: e, cases: {0..99999: [{name: x}]}}]", "7,q", {"e": 7, "x": "q"}),
        ('items: {key: text, split: ",", tags: {P1..P4: {name: "n_{key}", type: number}}}', "P1=5,P5=7", {"n_P1": 5}),
    ],
)  # fmt: skip
def test_ranges_match_in_text_frames(rows: str, line: str, values: dict[str, Any]) -> None:
    assert read(product(LINE + rows), f"{line}\n".encode()) == values


def test_ranges_match_where_bytes_are_digits() -> None:
    digits = "{name: a, type: bcd, bytes: 1, enum: {3..5: mid, 7: x}}"
    octets = "{name: b, type: hex, bytes: 1, enum: {0x0A..0x0F: y}}"
    assert read(product(f"fields: [{digits}, {octets}]"), "040b") == {"a": "mid", "b": "y"}
    assert read(product(f"fields: [{digits}, {octets}]"), "070f") == {"a": "x", "b": "y"}
    rows = "[{name: n, type: u8, hidden: true}, {name: a, formula: text(n), enum: {3..5: mid}}]"
    assert read(product(f"fields: {rows}"), "04") == {"a": "mid"}


@pytest.mark.parametrize(
    "rows", ["[{name: e, enum: {AB..9: mid}}]", "[{name: e}, {switch: e, cases: {P1..Q4: [], default: []}}]"]
)
def test_a_range_that_never_matches_is_a_mistake(rows: str) -> None:
    with pytest.raises(SpecError, match=r"range of texts|in two ways"):
        product(f"{LINE}fields: {rows}")
