"""Names that are built from raw integers."""

from __future__ import annotations

import pytest

from decoders.formula import Formula, FormulaError
from decoders.naming import Naming, name_part, parse_name, pattern_of, reads, resolved


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
