"""The code for values with computed or repeated names stays short where what is known allows it."""

from __future__ import annotations

from decoders.fused.placing import named_values
from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


def test_a_name_from_an_unsigned_integer_needs_no_test() -> None:
    compiled = rows("[{name: k, type: u8}, {name: 'chn_{k + 1}', type: u8}]")

    text = source(compiled)

    assert "name_part" not in text
    assert "named_values" not in text
    assert read(compiled, "0305") == {"k": 3, "chn_4": 5}


def test_a_name_that_may_be_none_is_tested() -> None:
    compiled = rows("[{name: k, type: u8}, {name: 'chn_{k - 1}', type: u8}]")

    assert "name_part" in source(compiled)
    assert read(compiled, "0005") == {"k": 0}


def test_values_that_may_be_absent_are_sorted_out_at_the_end() -> None:
    compiled = rows("[{name: k, type: u8}, {name: 'chn_{k}', type: u8, absent: {9: cut}}]")

    assert "named_values" in source(compiled)
    assert read(compiled, "0309") == {"k": 3, "chn_3_status": "cut"}
    assert read(compiled, "0308") == {"k": 3, "chn_3": 8}
    assert named_values({"a": 0, "b": None, "c": False}) == {"a": 0, "c": False}


def test_a_name_that_a_branch_gives_is_known_behind_it() -> None:
    compiled = rows(
        "[{name: k, type: u8}, {name: 'a_{k}', type: u8, if: k > 1}, {name: b, type: u8, repeat: number, if: k > 2}, "
        "{name: b, type: u8, repeat: number}, {name: c, type: u8, repeat: list, if: remaining}, "
        "{name: s, formula: a_3 + 1}]"
    )

    assert read(compiled, "0107") == {"k": 1, "b_1": 7}
    assert read(compiled, "0305060708") == {"k": 3, "a_3": 5, "b_1": 6, "b_2": 7, "c": [8], "s": 6}
