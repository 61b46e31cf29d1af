"""Variants of a spec: their data, and the places of their values in the file."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from decoders.spec.source import load
from decoders.spec.variants import variant_document
from tests.decoders.sensor import SPEC, STATUS, loaded
from tests.decoders.specs import read

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


FINE = """\
  fine:
    messages: {status: {fields: {temperature: {scale: 0.01}, flags: null}, rest: skip}}
"""


def test_a_variant_changes_single_rows() -> None:
    fine = loaded(SPEC + FINE).product.variants["fine"]
    assert read(fine, STATUS) == {"type": 2, "serial": 1, "temperature": 2.63, "time": "2026-03-01T12:00:00.000Z"}


def test_a_row_that_is_not_there_has_a_place() -> None:
    with pytest.raises(SpecError) as caught:
        loaded(SPEC + FINE.replace("temperature", "temprature"))
    (problem,) = caught.value.problems
    assert str(problem).startswith(
        f"sensor/spec.yaml:{len(SPEC.splitlines()) + 2}:34: variants.fine.messages.status.fields.temprature: "
    )
    assert problem.hint == "did you mean `temperature`?"


def test_a_variant_keeps_what_a_product_is() -> None:
    with pytest.raises(SpecError, match="a variant cannot change `extends`"):
        loaded(SPEC + "  fine: {extends: other}\n")
