from __future__ import annotations

from typing import Any

import pytest

from decoders.spec.source import load
from decoders.spec.variants import merged, variant_document

TEXT = """\
title: base
limits: {low: 1, high: 2}
rows: [a, b]
variants:
  other:
    limits:
      high: 3
    rows: [c]
    extra: {deep: 1}
"""


@pytest.mark.parametrize(
    ("base", "changes", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3, "z": 4}}, {"a": {"x": 1, "y": 3, "z": 4}}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 5}, {"a": None}, {"a": None}),
    ],
)
def test_objects_merge_lists_and_scalars_replace(base: Any, changes: Any, result: Any) -> None:
    before = repr(base), repr(changes)
    assert merged(base, changes) == result
    assert (repr(base), repr(changes)) == before


def test_values_keep_their_places() -> None:
    document = load(TEXT, "s.yaml")
    variant = variant_document(document, "other", document.data["variants"]["other"])
    assert variant.data == {
        "title": "base",
        "limits": {"low": 1, "high": 3},
        "rows": ["c"],
        "extra": {"deep": 1},
    }
    assert variant.place(("title",)) == (1, 8)
    assert variant.place(("limits", "low")) == (2, 15)
    assert variant.place(("limits", "high")) == (7, 13)
    assert variant.place(("rows", 0)) == (8, 12)
    assert variant.place(("extra", "deep"), key=True) == (9, 13)
    assert variant.where(("limits",)) == ("s.yaml", 2, 9)
    assert variant.path_text(("limits", "high")) == "variants.other.limits.high"
    assert variant.path_text(("limits", "low")) == "limits.low"
    assert variant.path_text(("rows", 0)) == "variants.other.rows[0]"
