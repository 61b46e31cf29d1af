"""Formulas turned round: inputs that give what is wanted, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.formula import compile_formula
from decoders.solve import Unknown, constants, same_value, solve
from tests.decoders.specs import read, rows

POSITIVE = Unknown("a", fits=lambda value: value >= 0)


def found(text: str, wanted: Any, *unknown: Unknown, **known: Any) -> dict[str, Any] | None:
    return solve(compile_formula(text), known.get, unknown, wanted)


@pytest.mark.parametrize(
    ("text", "wanted", "unknown", "inputs"),
    [
        ("n", 5, [Unknown("n")], {"n": 5}),
        ("n - 1", 5, [Unknown("n")], {"n": 6}),
        ("n // 3", 4, [Unknown("n", most=255)], {"n": 12}),
        ("n * n", 49, [Unknown("n", most=255)], {"n": 7}),
        ("flags & 4", True, [Unknown("flags", 3)], {"flags": 7}),
        ("flags & 4 == 0", True, [Unknown("flags", 7, 255)], {"flags": 3}),
        ("flags >> 5 & 1", True, [Unknown("flags", 1, 255)], {"flags": 33}),
        ("high << 8 | low", 0x1234, [Unknown("high", most=255), Unknown("low", most=255)], {"high": 0x12, "low": 0x34}),
        ("x == 'S'", True, [Unknown("x", "")], {"x": "S"}),
        ("not n", True, [Unknown("n", 1)], {"n": 0}),
        ("a and b", True, [Unknown("a"), Unknown("b")], {"a": 1, "b": 1}),
        ("raw * 0.1 - 40", 26.3, [Unknown("raw")], {"raw": 663}),
        ("-a if south else a", -3.5, [POSITIVE, Unknown("south", False, only=(False, True))],
         {"a": 3.5, "south": True}),
        ("join('.', a, b)", "2.13", [Unknown("a"), Unknown("b")], {"a": 2, "b": 13}),
        ("join(',', a, b)", "sos", [Unknown("a", None), Unknown("b", None)], {"a": "sos", "b": None}),
        ("text(a)", "12", [Unknown("a")], {"a": 12}),
    ],
)  # fmt: skip
def test_what_gives_the_result(text: str, wanted: Any, unknown: list[Unknown], inputs: dict[str, Any]) -> None:
    assert found(text, wanted, *unknown) == inputs


def test_what_nothing_gives() -> None:
    assert found("n * 0", 4, Unknown("n")) is None
    assert found("n", 300, Unknown("n", most=255)) is None
    assert found("n + m", 4, m=3) is None
    assert found("n + m", 4, n=1, m=3) == {}
    assert found("n % 2", True, Unknown("n", fits=lambda value: value % 2 == 0)) is None


@given(st.integers(-1000, 1000), st.integers(1, 50), st.integers(-99, 99))
def test_a_line_is_always_turned_round(value: int, slope: int, start: int) -> None:
    assert found(f"x * {slope} + {start}", value * slope + start, Unknown("x")) == {"x": value}


def test_numbers_are_the_same_within_what_scaling_loses() -> None:
    assert same_value(0.1 + 0.2, 0.3)
    assert same_value(5, 5.0)
    assert not same_value(1, True)
    assert not same_value(1.0, 1.1)
    assert same_value(1.0, 1.04, 0.05)


def test_constants_of_a_formula() -> None:
    assert set(constants("a == 'S' and b & 4 or b > 4.5")) == {"S", 4, 4.5}


@pytest.mark.parametrize(("form", "digits", "text"), [("u16", 4, "0a01"), ("u24", 6, "0a0001"), ("u32", 8, "ffff0001")])
def test_hex_digits_of_any_number_are_turned_round(form: str, digits: int, text: str) -> None:
    for spec in (
        f"[{{name: d, type: {form}, formula: 'hex(x, {digits})'}}]",
        f"[{{name: d, type: {form}, formula: 'upper(hex(x, {digits}))'}}]",
        f"[{{name: d, type: {form}, formula: 'hex(x + 1, {digits})'}}]",
        f"[{{name: r, type: {form}, hidden: true}}, {{name: d, formula: 'hex(r, {digits})'}}]",
    ):
        compiled = rows(spec)
        value = text.upper() if "upper" in spec else text
        wire = compiled.encoders[0, "sample"].encode({"d": value}, fill=True)
        assert read(compiled, wire) == {"d": value}
