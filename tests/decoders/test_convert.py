"""Raw value -> value: exact scales, sentinels, names, and the order of the steps."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.convert import BASE, PLAIN, Convert, Linear, linear, negative
from decoders.formula import compile_formula
from decoders.inverse import to_raw

SCALES = st.one_of(
    st.sampled_from([0.1, 0.01, 0.001, 0.5, 2, 10, 1e-7, "1/1800000", "1/256", "3/7", -1, 0.05, 6553.5]),
    st.fractions(max_denominator=10_000).filter(bool).map(str),
)
OFFSETS = st.sampled_from([0, -40, 0.5, 273.15, "1/3", 1000])


def convert(raw: Any, session_zone_s: int = 0, /, **steps: Any) -> Any:
    return Convert(**steps).function()(raw, session_zone_s)


@given(SCALES, OFFSETS, st.integers(-(2**63), 2**63))
def test_scales_are_exact(scale: float | str, offset: float | str, raw: int) -> None:
    """The nearest number to the exact result: what the document's decimal arithmetic gives."""
    expected = Fraction(str(scale)) * raw + Fraction(str(offset))
    found = convert(raw, linear=linear(scale, offset))
    assert found == (float(expected) if isinstance(found, float) else expected)


@given(st.integers(-(2**31), 2**31), st.integers(0, 6))
def test_decimal_scales_give_the_decimal_number(raw: int, digits: int) -> None:
    expected = float(Decimal(raw).scaleb(-digits))
    assert convert(raw, linear=linear(f"1e-{digits}", 0)) == expected


@given(SCALES, OFFSETS, st.integers(-(2**31), 2**31))
def test_scales_are_undone(scale: float | str, offset: float | str, raw: int) -> None:
    step = Convert(linear=linear(scale, offset))
    assert to_raw("a", step, step.function()(raw, 0), 0) == raw


def test_a_scale_of_one_changes_nothing() -> None:
    assert linear(1, 0) is None
    assert linear("2/2", "0") is None
    assert linear(1, 5) == Linear(1, 5, 1)
    assert type(convert(3, linear=linear(2, 1))) is int


@pytest.mark.parametrize(("scale", "offset"), [(0, 0), ("x", 0), (1, "y"), ("1/", 0)])
def test_what_is_no_scale(scale: Any, offset: Any) -> None:
    with pytest.raises(ValueError):
        linear(scale, offset)


def test_a_fraction_of_zero_is_refused() -> None:
    with pytest.raises(ZeroDivisionError):
        linear("1/0", 0)


@pytest.mark.parametrize(
    ("steps", "raw", "value"),
    [
        ({}, "as it is", "as it is"),
        ({"absent": (255,)}, 255, None),
        ({"absent": (255, 254), "linear": Linear(1, 0, 10)}, 254, None),
        ({"absent": (255,), "linear": Linear(1, 0, 10)}, 25, 2.5),
        ({"absent": ("ffff",)}, "ffff", None),
        ({"absent": (3,), "enum": {3: "three"}}, 3, None),
        ({"boolean": True}, 4, True),
        ({"boolean": True, "invert": True}, 4, False),
        ({"signed_width": 4}, 0b1111, -1),
        ({"signed_width": 4}, 0b0111, 7),
        ({"signed_width": 4, "linear": Linear(1, 0, 2)}, 0b1111, -0.5),
        ({"enum": {1: "one"}}, 1, "one"),
        ({"enum": {1: "one"}}, 2, 2),
        ({"enum": {1: "one"}, "other": None, "has_other": True}, 2, None),
        ({"enum": {1: "one"}, "other": "else", "has_other": True}, 2, "else"),
        ({"flags": {0: "a", 2: "c"}}, 0b101, ["a", "c"]),
        ({"flags": {0: "a"}}, 0b110, []),
        ({"linear": Linear(1, 0, 3), "decimals": 2}, 1, 0.33),
        ({"decimals": 1}, "text", "text"),
        ({"decimals": 1, "finite": True}, 1.26, 1.3),
        ({"finite": True}, float("nan"), None),
        ({"finite": True}, float("-inf"), None),
        ({"finite": True, "linear": Linear(2, 0, 1)}, 1.5, 3.0),
        ({"formula": compile_formula("x + 1"), "linear": Linear(2, 0, 1)}, 5, 11),
        ({"formula": compile_formula("1 / x")}, 0, None),
        ({"formula": compile_formula("1 / x"), "decimals": 2}, 3, 0.33),
        ({"formula": compile_formula("1 / x"), "decimals": 2}, 0, None),
        ({"clock": "unix"}, 0, "1970-01-01T00:00:00.000Z"),
        ({"clock": "unix", "absent": (0,)}, 0, None),
        ({"clock": "unix_ms"}, 1, "1970-01-01T00:00:00.001Z"),
        ({"clock": "since2000"}, 0, "2000-01-01T00:00:00.000Z"),
    ],
)
def test_steps(steps: dict[str, Any], raw: Any, value: Any) -> None:
    found = convert(raw, **steps)
    assert found == value
    assert type(found) is type(value)


def test_local_clocks() -> None:
    raw = bytes([25, 6, 15, 15, 6, 40])
    assert convert(raw, 3600, clock="six") == "2025-06-15T14:06:40.000Z"
    assert convert(raw, 3600, clock="six", zone_s=0) == "2025-06-15T15:06:40.000Z"
    assert Convert(clock="six").uses_zone
    assert not Convert(clock="six", zone_s=0).uses_zone
    assert not Convert(clock="unix").uses_zone


@pytest.mark.parametrize(
    ("steps", "nullable"),
    [
        ({}, False),
        ({"linear": Linear(1, 0, 10)}, False),
        ({"enum": {1: "one"}}, False),
        ({"absent": (0,)}, True),
        ({"clock": "unix"}, True),
        ({"formula": compile_formula("x")}, True),
        ({"finite": True}, True),
    ],
)
def test_what_may_have_no_value(steps: dict[str, Any], nullable: bool) -> None:
    assert Convert(**steps).nullable is nullable


def test_the_source_of_a_conversion_is_what_is_evaluated() -> None:
    step = Convert(absent=(7,), linear=Linear(1, -400, 10), enum={-40: "cold"}, decimals=1)
    names: dict[str, Any] = {"__builtins__": {}, **BASE}

    def bind(thing: Any) -> str:
        names["bound"] = thing
        return "bound"

    source = step.source("raw", bind)
    for raw in (0, 7, 12, 255):
        assert eval(source, names, {"raw": raw}) == step.function()(raw, 0)  # noqa: S307 - made by Convert


def test_plain() -> None:
    assert PLAIN.plain
    assert Convert(zone_s=None).plain
    assert not Convert(boolean=True).plain


@pytest.mark.parametrize(
    ("value", "expected"), [(5, -5), (-0.5, 0.5), ("x", "x"), (True, True), (None, None), ([1], [1])]
)
def test_negative(value: Any, expected: Any) -> None:
    assert negative(value) == expected
