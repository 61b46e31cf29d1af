"""Signs, formulas and the dict of a structure."""

from __future__ import annotations

import pytest

from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


def test_sure_values_are_one_literal() -> None:
    compiled = rows("[{name: a, type: u8}, {name: b, type: u16, scale: 0.1}, {name: c, type: u8, absent: 9}]")
    code = source(compiled)
    assert "{'a': a_1, 'b': (b_2 / 10)}" in code
    assert code.count("is not None") == 1
    assert read(compiled, "01000209") == {"a": 1, "b": 0.2}


def test_without_optional_values_the_literal_is_returned() -> None:
    assert "return 'sample', {'a': a_1}" in source(rows("[{name: a, type: u8}]"))


@pytest.mark.parametrize(
    ("fields", "body", "values"),
    [
        ("{name: a, type: u8, negate: b}, {name: b, type: u8}", "0501", {"a": -5, "b": 1}),
        ("{name: a, type: u8, negate: b > 1}, {name: b, type: u8}", "0501", {"a": 5, "b": 1}),
        ("{name: a, type: u8, absent: 5, negate: b}, {name: b, type: u8}", "0501", {"b": 1}),
        ("{name: a, type: u8, enum: {5: five}, negate: b}, {name: b, type: u8}", "0501", {"a": "five", "b": 1}),
        ("{name: a, type: u8, negate: b}, {name: a, type: u8}, {name: b, type: u8}", "050601", {"a": 6, "b": 1}),
        ("{name: a, type: u8}, {name: b, formula: a / 3, decimals: 1}", "05", {"a": 5, "b": 1.7}),
        ("{name: a, type: u8}, {name: b, formula: 1 / a}", "00", {"a": 0}),
        ("{name: a, type: u8}, {name: a, formula: a + 1}, {name: b, formula: a}", "05", {"a": 6, "b": 6}),
        ("{name: a, type: u8}, {name: a, formula: 1 / a}", "00", {"a": 0}),
        ("{name: a, type: u8}, {name: b, formula: a, if: a > 5}", "05", {"a": 5}),
        ("{name: a, type: u8, hidden: true}, {name: b, formula: a * 2}", "05", {"b": 10}),
    ],
)
def test_after_the_whole_structure(fields: str, body: str, values: dict[str, object]) -> None:
    assert read(rows(f"[{fields}]"), body) == values


def test_a_dict_that_was_begun_gets_what_is_read_after_it() -> None:
    tags = ", ".join(f"{number}: {{name: v{number}, type: u8}}" for number in range(6))
    compiled = rows(
        "[{name: a, type: u8}, {name: b, type: u8, negate: z}, {items: {key: u8, length: u8, count: 1, tags: {"
        + tags
        + "}}}, "
        "{name: z, type: u8}, {name: y, type: u8, absent: 0}]"
    )
    code = source(compiled)
    assert code.index("{'a': a_1}") < code.index("for ") < code.index("['b'] = v_b")
    assert read(compiled, "0102" + "030107" + "0100") == {"a": 1, "b": -2, "v3": 7, "z": 1}


def test_nothing_with_the_other_sign_is_nothing() -> None:
    for kind, data in (("u16, scale: 0.1", "000001"), ("f32", "0000000001"), ("u16, scale: 0.1, absent: 9", "000001")):
        compiled = rows(f"[{{name: a, type: {kind}, negate: s}}, {{name: s, type: u8, bits: {{w: 0}}}}]")
        value = read(compiled, data)["a"]
        assert str(value) == "0.0", kind
