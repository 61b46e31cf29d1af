"""Functions of formulas: what they give, and that whatever they are given they give something or nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.formula import FUNCTIONS, FormulaError, compile_formula
from decoders.formula_functions import argument_counts
from tests.decoders.specs import read, rows

ITEMS = [{"a": 1, "b": "x"}, {"a": 4}, {"b": "y"}]


def value(text: str, **names: Any) -> Any:
    return compile_formula(text).evaluate(names.get)


@pytest.mark.parametrize(
    ("text", "x", "result"),
    [
        ("bit(x, 0)", 5, True),
        ("bit(x, 1)", 5, False),
        ("bit(x, 0) + bit(x, 2)", 5, 2),
        ("bit(x, -1)", 5, None),
        ("bits(x, 4, 7)", 0xABC, 0xB),
        ("bits(x, 7, 4)", 0xABC, None),
        ("bits(x, 0, 3)", 1.5, None),
        ("signed(x, 12)", 0xFFF, -1),
        ("signed(x, 12)", 0x7FF, 2047),
        ("sum(x)", [1, 2.5, None], 3.5),
        ("sum(x, 4, null_)", 1, 5),
        ("sum(x)", ["a"], None),
        ("mean(x)", [1, 2], 1.5),
        ("mean(x)", [], None),
        ("item(x, 1)", [5, 6], 6),
        ("item(x, -1)", [5, 6], 6),
        ("item(x, 2)", [5, 6], None),
        ("item(x, 0, 'b')", ITEMS, "x"),
        ("item(x, 0)", ITEMS, None),
        ("item(x, 1)", "abc", "b"),
        ("values(x, 'a')", ITEMS, [1, 4]),
        ("sum(values(x, 'a'))", ITEMS, 5),
        ("max(values(x, 'a'))", ITEMS, 4),
        ("values(x, 'a')", 5, None),
        ("poly(x, 1, 2, 3)", 2, 17),
        ("poly(x)", 2, 0),
        ("poly(x, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)", 2**63, None),
        ("interpolate(x, 0, 0, 10, 100, 20, 150)", 5, 50),
        ("interpolate(x, 0, 0, 10, 100, 20, 150)", 15, 125),
        ("interpolate(x, 0, 0, 10, 100, 20, 150)", 10, 100),
        ("interpolate(x, 20, 150, 0, 0, 10, 100)", 99, 150),
        ("interpolate(x, 0, 0, 10, 100)", -1, 0),
        ("interpolate(x, 0, 0, 10)", 5, None),
        ("interpolate(x)", 5, None),
        ("log10(x)", 1000, 3),
        ("log2(x)", 8, 3),
        ("log2(x)", 0, None),
        ("hypot(x, 4)", 3, 5),
        ("degrees(atan2(x, x))", 1, 45),
        ("sin(radians(x))", 90, 1),
        ("cos(x)", 0, 1),
        ("sign(x)", -2.5, -1),
        ("pad(x, 6)", 705, "000705"),
        ("pad(x, 6)", 705.0, "000705"),
        ("pad(x, 6)", 7.5, None),
        ("pad(x, 3)", "ab", "0ab"),
        ("pad(x, 65)", 1, None),
        ("hex(x, 4)", 255, "00ff"),
        ("upper(hex(x))", 255, "FF"),
        ("hex(x)", -1, None),
        ("lower(x)", "ABC", "abc"),
        ("upper(x)", 1, None),
        ("replace(x, '.', '')", "1.2.3", "123"),
        ("replace(x, '', 'a')", "1", None),
        ("split(x, ':', 1)", "a:b:c", "b"),
        ("split(x, ':', 5)", "a:b:c", None),
        ("split(x, '', 0)", "a", None),
        ("contains(x, 'b')", "abc", True),
        ("contains(x, 'low')", ["low", "sos"], True),
        ("contains(x, 'z')", ["low", "sos"], False),
        ("contains(x, 1)", 5, None),
        ("ddmm(x)", "abc", None),
        ("ddmm(x)", 2275.0, None),
    ],
)
def test_results(text: str, x: Any, result: Any) -> None:
    found = value(text, x=x)
    assert found == (pytest.approx(result) if isinstance(result, float | int) and found is not None else result)
    if result is None or isinstance(result, bool):
        assert found is result


@pytest.mark.parametrize(
    ("text", "x", "degrees"),
    [
        ("ddmm(x)", 2232.9806, 22.549677),
        ("ddmm(x)", "11404.9806", 114.083010),
        ("ddmm(x)", -2232.9806, -22.549677),
        ("ddmm(x, 'S')", "2232.9806", -22.549677),
        ("ddmm(x, 'E')", "2232.9806", 22.549677),
        ("ddmm(x / 10000)", 22329806, 22.549677),
    ],
)
def test_degrees_and_minutes(text: str, x: Any, degrees: float) -> None:
    assert value(text, x=x) == pytest.approx(degrees, abs=1e-6)


ANYTHING = st.recursive(
    st.one_of(st.integers(), st.floats(), st.text(max_size=9), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(ANYTHING, max_size=5))
def test_any_arguments_give_something_or_nothing(name: str, arguments: list[Any]) -> None:
    fewest, most = argument_counts(name)
    arguments = (arguments + [1] * fewest)[: max(fewest, len(arguments)) if most is None else most]
    names = [f"n{index}" for index in range(len(arguments))]
    found = value(f"{name}({', '.join(names)})", **dict(zip(names, arguments, strict=True)))
    assert not isinstance(found, float) or math.isfinite(found)


def test_texts_do_not_grow_without_end() -> None:
    text = "replace(" * 12 + "x" + ", 'a', 'aaaaaaaaaa')" * 12
    assert value(text, x="aaaa") is None


@pytest.mark.parametrize(("word", "near"), [("interpol", "interpolate"), ("men", "mean")])
def test_an_unknown_function_has_a_hint(word: str, near: str) -> None:
    with pytest.raises(FormulaError, match=f"did you mean `{near}`"):
        compile_formula(f"{word}(1)")


def test_both_codecs_compute_the_same() -> None:
    compiled = rows(
        """[
        {name: n, type: u16}, {list: l, count: 2, fields: [{name: a, type: u8}]},
        {name: b, formula: "bit(n, 15)"}, {name: c, formula: "pad(n, 6) + '!'"}, {name: d, formula: "upper(hex(n, 4))"},
        {name: e, formula: "sum(values(l, 'a')) / count(l)"}, {name: f, formula: "item(l, 0, 'a') + 1"},
        {name: g, formula: "interpolate(n, 0, 0, 100, 1)"}, {name: h, formula: "log10(n)"},
        {name: i, formula: "split(join('/', n, 5), '/', 1)"}, {name: j, formula: "contains(values(l, 'a'), 7)"}]"""
    )
    assert read(compiled, "80020703") == {
        "n": 32770,
        "l": [{"a": 7}, {"a": 3}],
        "b": True,
        "c": "032770!",
        "d": "8002",
        "e": 5.0,
        "f": 8,
        "g": 1,
        "h": math.log10(32770),
        "i": "5",
        "j": True,
    }
    assert "h" not in read(compiled, "00000703")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("clamp(x)", "`clamp` takes 3 arguments, not 1"),
        ("round(x, 1, 2)", "`round` takes 1 to 2 arguments, not 3"),
        ("max()", "`max` takes 1 or more arguments, not 0"),
        ("log(x, 10, 2)", "`log` takes 1 to 2 arguments"),
        ("join()", "`join` takes 1 or more"),
    ],
)
def test_a_function_with_a_wrong_number_of_arguments_is_refused(text: str, wanted: str) -> None:
    with pytest.raises(FormulaError, match=wanted):
        compile_formula(text)
