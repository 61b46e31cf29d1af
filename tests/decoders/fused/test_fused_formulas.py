"""Inlined formulas give what the formula's function gives, for inputs of the kinds that they were written for."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.formula import NAMESPACE, compile_formula
from decoders.fused.formulas import FAILED, bytes_left, inlined, over_integers
from decoders.fused.scope import Known, Names
from decoders.fused.writer import Writer
from decoders.source_writer import SourceWriter

INTEGERS = st.integers(-5, 5) | st.integers(0, 1 << 64)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "int": INTEGERS,
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "text": st.sampled_from(["", "a", "12", "7f"]),
    "hex": st.sampled_from(["", "12", "7f", "00"]),
    "list": st.sampled_from([[], ["a"], ["a", "b"]]),
    "any": st.sampled_from([0, 1, 2.5, "", "a", [], True]),
}
FORMULAS = [
    "a + b",
    "a - b",
    "a & b | 1 ^ 7",
    "(a + b) * 3 // 2 % 5",
    "a / 10",
    "a / b",
    "a >> 3",
    "a << 2",
    "-a",
    "not a",
    "a and b or a",
    "a > b",
    "a == b and a != 3",
    "1 < a <= b",
    "a in (1, 2, 3)",
    "a if b else None",
    "b if a > 3 else 'none'",
    "join(',', a, b, 'x' if a else None)",
    "join('', None)",
    "first(a, b, 3)",
    "first(a, 1 / b)",
    "max(a, b)",
    "min(a, 7)",
    "max(a - 9, 0)",
    "max(a) > '9'",
    "count(a)",
    "round(a / 3, 1)",
    "text(a) + 'x'",
    "text(int(a, 16)) + luhn(text(b)) if max(a) > '9' else strip_left(a, '0') if b else a",
    "int(a, 16)",
    "a * 100000000000000000000000000",
    "a",
    "a == 3",
    "3 != a",
    "a == b",
    "a == 1 and b != 2",
    "a == 1 and (b != 2 or a)",
    "not a == b",
    "a == 1 or b == 2",
    "5 if a == 1 else b",
    "a == b == 1",
    "1 < a != b",
    "a == None",
    "first(a, b) == 3",
]


def run(text: str, operands: dict[str, Known], values: dict[str, Any], *, raw: bool = False) -> tuple[Known, Any]:
    """The inlined formula, and what its code gives."""
    namespace: dict[str, Any] = {**NAMESPACE, "FAILED": FAILED}
    out = SourceWriter(namespace)

    def nothing(*_arguments: Any) -> None: ...

    writer = Writer(out, Names(), nothing)
    known = inlined(writer, compile_formula(text), operands, raw=raw)
    arguments = ", ".join(operands)
    code = "\n".join([f"def compute({arguments}):", *out.lines, f"    return {known.source}"])
    exec(code, namespace)
    return known, namespace["compute"](**values)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("text", FORMULAS)
@given(data=st.data())
def test_inlined_formulas_compute_the_same(text: str, raw: bool, data: st.DataObject) -> None:
    formula = compile_formula(text)
    operands: dict[str, Known] = {}
    values: dict[str, Any] = {}
    for name in formula.names:
        kind = data.draw(st.sampled_from(sorted(KINDS)))
        values[name] = data.draw(KINDS[kind] if (sure := data.draw(st.booleans())) else KINDS[kind] | st.none())
        number = values[name] if kind in ("int", "bool") and sure else -1
        operands[name] = Known(name, sure, kind, number + 3 if number >= 0 else None)
    known, value = run(text, operands, values, raw=raw)
    function = formula.raw_function if raw else formula.function
    expected = function(*[values[name] for name in formula.names])
    assert (type(value), value) == (type(expected), expected)
    if known.sure:
        assert value is not None
    if known.kind in ("int", "bool", "float") and value is not None:
        assert type(value).__name__ == known.kind or (known.kind, type(value)) == ("float", int)
    if known.most is not None and value is not None:
        assert 0 <= value <= known.most or known.most >= 1 << 64


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a + 1", "(a + 1)"),
        ("a if b else 3", "(a if b else 3)"),
        ("first(a, b)", "a"),
        ("max(a - 9, 0)", "(0 if 0 > (a - 9) else (a - 9))"),
    ],
)
def test_what_cannot_fail_is_an_expression(text: str, source: str) -> None:
    operands = {name: Known(name, kind="int", most=9) for name in compile_formula(text).names}
    assert run(text, operands, dict.fromkeys(operands, 4))[0].source == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a == 3", "(a == 3 if a is not None else None)"),
        ("a == 3 and 2 != b", "((a == 3 if a is not None else None) and (2 != b if b is not None else None))"),
    ],
)
def test_a_comparison_with_what_may_be_missing_needs_no_try(text: str, source: str) -> None:
    operands = {name: Known(name, sure=False, kind="int") for name in compile_formula(text).names}
    assert run(text, operands, dict.fromkeys(operands, None)) == (Known(source, False, "bool", ANY), None)


@pytest.mark.parametrize(
    ("text", "source"),
    [("a", "x"), ("a + 0x80 | b", "((x + 128) | y)"), ("5", "5"), ("a * 2", ""), ("a == b", ""), ("abs(a)", "")],
)
def test_what_only_puts_integers_together_is_an_expression(text: str, source: str) -> None:
    assert over_integers(compile_formula(text), {"a": "x", "b": "y"}) == source


def test_infinity_is_no_value() -> None:
    operands = {"a": Known("a", kind="float"), "b": Known("b", kind="float")}
    assert run("a + b", operands, {"a": 1.7e308, "b": 1.7e308})[1] is None
    assert run("a + b", operands, {"a": 1.5, "b": 1.0})[1] == 2.5


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("remaining >= 4", 4),
        ("remaining > 4", 5),
        ("remaining == 18 and next_u8 == 0", 18),
        ("remaining >= 2 or a", 0),
        ("remaining < 9", 0),
        ("a", 0),
    ],
)
def test_bytes_that_a_condition_promises(text: str, least: int) -> None:
    assert bytes_left(compile_formula(text)) == least
