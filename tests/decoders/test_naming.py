"""Names that are built from raw integers."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from decoders.formula import Formula, FormulaError
from decoders.naming import Naming, name_part, parse_name, pattern_of, reads, resolved
from decoders.types import SessionContext
from tests.decoders.specs import product, read


def rendered(text: str, **raw: object) -> str | None:
    naming = parse_name(text)
    assert naming is not None

    def evaluate(formula: Formula) -> object:
        return formula.evaluate(raw.get)

    return naming.render(evaluate)


def test_a_name_is_rendered_from_raw_integers() -> None:
    assert rendered("chn_{k}", k=3) == "chn_3"
    assert rendered("t_{a - 2}_{b // 2}x", a=5, b=9) == "t_3_4x"
    assert rendered("{k}", k="ab1") == "ab1"


@pytest.mark.parametrize("value", [None, -1, 1 << 64, 1.5, "", "a b", "ä", "x" * 33, [1]])
def test_what_cannot_stand_in_a_name_gives_none(value: object) -> None:
    assert name_part(value) is None
    assert rendered("chn_{k}", k=value) is None


def test_a_plain_name_is_no_naming() -> None:
    assert parse_name("chn_3") is None
    with pytest.raises(FormulaError):
        parse_name("chn_{k +}")


def test_a_naming_says_what_it_reads() -> None:
    naming = parse_name("a_{k + n}_{k}")
    assert isinstance(naming, Naming)
    assert naming.names == ("k", "n", "k")


def test_constants_are_put_in_where_nothing_else_is_read() -> None:
    assert resolved("chn{(key - 1) // 2}", {"key": 5}) == "chn2"
    assert resolved("chn{key}_{k}", {"key": 5}) == "chn5_{k}"
    assert resolved("chn{key + k}", {"key": 5}) == "chn{key + k}"
    assert resolved("chn{key - 9}", {"key": 5}) == "chn{key - 9}"  # no part of a name
    assert resolved("t_{key}", {"key": "T_1"}) == "t_T_1"
    assert resolved("chn{key", {"key": 5}) == "chn{key"
    assert resolved("plain", {"key": 5}) == "plain"


def test_a_pattern_fits_what_may_be_rendered() -> None:
    pattern = pattern_of("g_{k}.t{n}")
    assert pattern.fullmatch("g_3.t12")
    assert not pattern.fullmatch("g_3.t12_status")
    assert not pattern.fullmatch("gx3.t12")


def test_reading_a_name_is_more_than_containing_it() -> None:
    assert reads("chn_{key - 1}", "key")
    assert not reads("key_{k}", "key")
    assert not reads("chn_{keys}", "key")


def test_a_name_of_whole_numbers_never_becomes_a_word() -> None:
    compiled = product("""\
fields:
  - {name: attribute, type: u16, metric: false}
  - {name: "value_{attribute}", type: u8, range: [0, 5], unit: V, metric: false}
  - {name: value_bytes, type: u8}
""")
    assert read(compiled, "0005 07 08") == {"attribute": 5, "value_5": 7, "value_bytes": 8}
    decoded = compiled.read(bytes.fromhex("0005 07 08"), SessionContext())
    assert [violation.field for violation in decoded.violations or ()] == ["value_5"]
    assert decoded.message.unit_of("value_bytes") == ""
    assert decoded.message.unit_of("value_5") == "V"
    (part,) = compiled.parts(decoded)
    assert part.metrics == {"value_bytes": 8}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("{name: n, type: u8, metric: false}", "value_5"),
        ("{name: n, type: text, bytes: 1, metric: false}", "value_bytes"),
        ("{name: n, type: u8, if: remaining > 2}, {name: n, type: text, bytes: 1, metric: false}", "value_bytes"),
    ],
)
def test_what_a_name_may_become_is_no_other_value(row: str, name: str) -> None:
    with pytest.raises(SpecError, match="may become"):
        product(f'fields: [{row}, {{name: "value_{{n}}", type: u8}}, {{name: {name}, type: u8}}]')


def test_a_function_may_make_letters_of_a_number() -> None:
    with pytest.raises(SpecError, match="may become"):
        product('fields: [{name: n, type: u8}, {name: "v_{hex(n)}", type: u8}, {name: v_bad, type: u8}]')
    product('fields: [{name: n, type: u8}, {name: "v_{n + 1}", type: u8}, {name: v_bad, type: u8}]')
