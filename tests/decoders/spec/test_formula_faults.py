"""Problems of formulas: where they stand, and what other languages write for the same."""

from __future__ import annotations

import pytest

from decoders.formula import compile_formula
from decoders.spec.formula_faults import Faults, FormulaPlaces, compared, operator_hint
from decoders.spec.origins import Origins


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a == 1", [("a", 1)]),
        ("'x' != b", [("b", "x")]),
        ("a in (1, 2) and b not in ('x',)", [("a", 1), ("a", 2), ("b", "x")]),
        ("a < 1", []),
        ("a + 1 == 2", []),
        ("round(a)", []),
    ],
)
def test_what_a_formula_compares(text: str, found: list[tuple[str, object]]) -> None:
    assert list(compared(compile_formula(text))) == found


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a && b", "`and`"),
        ("a || b", "`or`"),
        ("a ? b : c", "`a if condition else b`"),
        ("!a", "`not`"),
        ("a = 1", "`==`"),
        ("Math.max(a)", "nothing behind a dot"),
        ("a +* b", ""),
        ("a != b", ""),
    ],
)
def test_operators_of_other_languages(text: str, word: str) -> None:
    assert word in operator_hint(text)
    assert bool(word) is bool(operator_hint(text))


def test_a_problem_stands_at_its_formula() -> None:
    told: list[tuple[tuple[str | int, ...], str, str]] = []
    places = FormulaPlaces()
    faults = Faults("m", ("messages", "m"), lambda *problem: told.append(problem), places, Origins())
    known, other = places.keep(compile_formula("a"), ("messages", "m", "fields", 0, "if")), compile_formula("a")
    faults.add(known, "`a` is wrong", "")
    faults.add(other, "it is wrong", "change it")
    faults.no_field(known, "bb", ["b", "c"], {"port"})
    faults.no_field(known, "zzz", [], {"port"})
    assert told == [
        (("messages", "m", "fields", 0, "if"), "`a` is wrong", ""),
        (("messages", "m"), "`a`: it is wrong", "change it"),
        (("messages", "m", "fields", 0, "if"), "`a`: there is no field `bb` in `m`", "did you mean `b`?"),
        (
            ("messages", "m", "fields", 0, "if"),
            "`a`: there is no field `zzz` in `m`",
            "use the name of a field of this message",
        ),
    ]
