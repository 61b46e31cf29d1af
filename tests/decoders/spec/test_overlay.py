"""Data laid over data: what comes out, and where each value of it stands."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import SpecProblem
from decoders.spec.overlay import LayeredDocument, Place, lay_over
from decoders.spec.source import load

NOWHERE = Place(load("", "nowhere"))


def laid(base: Any, changes: Any) -> Any:
    problems: list[SpecProblem] = []
    before = repr(base), repr(changes)
    result, _ = lay_over(base, NOWHERE, changes, NOWHERE, problems)
    assert (repr(base), repr(changes)) == before
    assert not problems
    return result


@pytest.mark.parametrize(
    ("base", "changes", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3, "z": 4}}, {"a": {"x": 1, "y": 3, "z": 4}}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": [1, 2, 3]}, {"a": {"x": 4}}, {"a": {"x": 4}}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 5, "b": 6}, {"a": None}, {"b": 6}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"a": {"y": 2}}),
        ({"b": 6}, {"a": None}, {"b": 6, "a": None}),
        ({"enum": {0: "off", "_": "other"}}, {"enum": {"_": None}}, {"enum": {0: "off", "_": None}}),
        ({"enums": {"m": {0: "off"}}}, {"enums": {"m": {0: None}}}, {"enums": {"m": {0: None}}}),
        ({"enums": {"m": {0: "off"}}}, {"enums": {"m": None}}, {"enums": {}}),
    ],
)
def test_objects_merge_lists_and_scalars_replace(base: Any, changes: Any, result: Any) -> None:
    assert laid(base, changes) == result


ROWS = [
    {"name": "a", "type": "u8"},
    {"skip": 1},
    {"list": "cells", "fields": [{"name": "x", "type": "u8"}]},
    {"group": "g", "fields": [{"name": "a", "type": "u8"}]},
    {"group": None, "fields": [{"name": "a", "type": "u8"}]},
    {"use": "gps"},
    {"switch": "kind", "cases": {1: [{"name": "y", "type": "u8"}]}},
    {"items": {"key": "u8"}},
    {"name": "a", "type": "u16"},
]


@pytest.mark.parametrize(
    ("changes", "index", "row"),
    [
        ({"cells": {"fields": {"x": {"type": "i8"}}}}, 2, {"list": "cells", "fields": [{"name": "x", "type": "i8"}]}),
        ({"g": {"fields": {"a": None}}}, 3, {"group": "g", "fields": []}),
        ({"gps": {"if": "a"}}, 5, {"use": "gps", "if": "a"}),
        ({"kind": {"cases": {1: {"y": {"unit": "V"}}}}}, 6, {
            "switch": "kind", "cases": {1: [{"name": "y", "type": "u8", "unit": "V"}]},
        }),
        ({"items": {"items": {"key": "u16"}}}, 7, {"items": {"key": "u16"}}),
    ],
)  # fmt: skip
def test_an_object_changes_the_rows_of_these_names(changes: Any, index: int, row: Any) -> None:
    result = laid({"fields": ROWS}, {"fields": changes})["fields"]
    assert result[index] == row
    assert [*result[:index], *result[index + 1 :]] == [*ROWS[:index], *ROWS[index + 1 :]]


def test_all_rows_of_a_name_are_changed_or_removed() -> None:
    changed = laid(ROWS, {"a": {"unit": "V"}})
    assert [row.get("unit") for row in changed] == ["V", None, None, None, None, None, None, None, "V"]
    assert laid(ROWS, {"a": None}) == ROWS[1:8]


BASE = """\
title: base
fields:
  - {name: a, type: u8}
  - {name: b, type: u8, unit: V}
  - {name: c, type: u8}
"""
ABOVE = """\
# its own
title: above
fields:
  a: null
  b:
    unit: W
    range: [1, 2]
"""


def test_values_stand_where_they_are_from() -> None:
    base, above = load(BASE, "base.yaml"), load(ABOVE, "above.yaml")
    problems: list[SpecProblem] = []
    data, top = lay_over(base.data, Place(base), above.data, Place(above), problems)
    document = LayeredDocument("above.yaml", data, above._root, top)
    assert data["fields"] == [{"name": "b", "type": "u8", "unit": "W", "range": [1, 2]}, {"name": "c", "type": "u8"}]
    assert document.where(("title",)) == ("above.yaml", 2, 8)
    assert document.where(("fields", 0, "type")) == ("base.yaml", 4, 21)
    assert document.where(("fields", 0, "type"), key=True) == ("base.yaml", 4, 15)
    assert document.where(("fields", 0, "unit")) == ("above.yaml", 6, 11)
    assert document.where(("fields", 0, "range", 1)) == ("above.yaml", 7, 16)
    assert document.where(("fields", 1, "name")) == ("base.yaml", 5, 12)
    assert document.path_text(("fields", 0, "range", 1)) == "fields.b.range[1]"
    assert document.path_text(("fields", 1, "name")) == "fields[2].name"
    assert document.place(("fields", 0, "nothing")) == (4, 5)


def test_a_row_that_is_not_there_is_a_problem() -> None:
    base, above = load(BASE, "base.yaml"), load("fields: {bb: {unit: W}, other: null}", "above.yaml")
    problems: list[SpecProblem] = []
    lay_over(base.data, Place(base), above.data, Place(above), problems)
    assert [str(problem) for problem in problems] == [
        "above.yaml:1:10: fields.bb: there is no row `bb` to change (a list in place of an object replaces all rows) "
        "(did you mean `b`?)",
        "above.yaml:1:25: fields.other: there is no row `other` to change (a list in place of an object replaces all "
        "rows) (rows: a, b, c)",
    ]
