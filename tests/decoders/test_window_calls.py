"""`starts`, `has` and `tokens`: names that stand for calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.formula import FormulaError, compile_formula
from decoders.window_calls import call_name, call_source, call_value, called, without_calls


def test_a_call_is_a_name_that_no_field_has() -> None:
    name = call_name("starts", "BP,")
    assert name.startswith("_")
    assert called(name) == ("starts", b"BP,")
    assert called("starts") is None
    assert without_calls([name, "a"]) == ["a"]
    assert compile_formula("a > 1 and starts('BP,')").names == ("a", name)


@pytest.mark.parametrize(("name", "text"), [("starts", ""), ("has", "x" * 65)])
def test_texts_have_a_size(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        call_name(name, text)


@pytest.mark.parametrize("text", ["starts(a)", "has()", "tokens(1)", "has('a', 'b')", "starts('')"])
def test_calls_take_one_text(text: str) -> None:
    with pytest.raises(FormulaError):
        compile_formula(text)


def test_line_ends_within_quotes_are_kept() -> None:
    assert compile_formula("starts('\n')").names == (call_name("starts", "\n"),)
    assert compile_formula("1 +\n 2").function() == 3


@given(st.text("ab,", max_size=8), st.sampled_from(["starts", "has", "tokens"]), st.integers(0, 8))
def test_source_and_value_agree(data: str, function: str, start: int) -> None:
    name, b, e = call_name(function, ","), data.encode(), len(data)
    value = call_value(name, b, start, e)
    source = call_source(name, "b", str(start), "e")
    assert value == eval(source, {"b": b, "e": e})  # noqa: S307 - of our own making
    rest = data[start:]
    expected = {"starts": rest.startswith(","), "has": "," in rest, "tokens": rest.count(",") + bool(rest)}
    assert value == expected[function]
