"""From raw value to value: tables instead of work, and where values are kept."""

from __future__ import annotations

import pytest

from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


def test_small_integers_are_looked_up() -> None:
    compiled = rows(
        "[{name: a, type: u8, enum: {1: one, 2..9: few}}, {name: b, type: u8, formula: 100 / x}, "
        "{name: c, type: u16, bits: {d: {at: 3-5, enum: {1: x, _: y}}}}, {name: f, type: u8, absent: 255}, "
        "{name: w, type: u16, enum: {1: one}}]"
    )
    code = source(compiled)
    assert ".get(w" in code  # too many for a table
    assert code.count(".get(") == 1
    for first, second in ((1, "one"), (9, "few"), (10, 10)):
        assert read(compiled, bytes([first, 0, 0, 8, 255, 0, 1])) == {"a": second, "d": "x", "w": "one"}
    assert read(compiled, "000800000a0007") == {"a": 0, "b": 12.5, "d": "y", "f": 10, "w": 7}


MANY = ", ".join(f"{number}: {{name: v{number}, type: u8}}" for number in range(6))


def test_many_optional_values_go_straight_into_the_dict() -> None:
    compiled = rows(
        "[{name: a, type: u8}, {name: v1, type: u8, scale: 2}, {items: {key: u8, length: u8, tags: {" + MANY + "}}}]"
    )
    assert "['v5'] = " in source(compiled)
    assert "is not None" not in source(compiled)
    assert read(compiled, "0902" + "000107" + "010108") == {"a": 9, "v1": 8, "v0": 7}
    assert read(compiled, "0902") == {"a": 9, "v1": 4}


def test_an_earlier_value_stays_where_a_later_row_has_none() -> None:
    compiled = rows(
        "[{items: {key: u8, length: u8, tags: {"
        + MANY
        + ", 9: {name: v0, type: u8, absent: 1}, 8: {name: x, type: u16, absent: 0}}}}]"
    )
    assert "['v5'] = " in source(compiled)
    assert read(compiled, "000105" + "090101") == {"v0": 5}
    assert read(compiled, "090101" + "000105") == {"v0": 5}
    assert read(compiled, "08020003" + "08020000") == {"x": 3}
    assert read(compiled, "08020000") == {}
    assert read(compiled, "08020000" + "08020003") == {"x": 3}


@pytest.mark.parametrize("reader", ["{name: s, formula: v1 + 1}", "{name: v1, type: u8, negate: a}"])
def test_what_is_read_or_changed_later_is_kept_in_a_variable(reader: str) -> None:
    compiled = rows(
        "[{name: a, type: u8}, {items: {key: u8, length: u8, count: 1, tags: {" + MANY + f"}}}}}}, {reader}]"
    )
    assert "['v5'] = " in source(compiled)
    assert "['v1'] = v_v1" in source(compiled) or "'v1': v_v1" in source(compiled)
    with_more = "07" if "type" in reader else ""
    expected = {"a": 1, "v1": -7} if with_more else {"a": 1, "v1": 5, "s": 6}
    assert read(compiled, "01" + "010105" + with_more) == expected


def test_flags_come_from_the_lowest_bit() -> None:
    compiled = rows("[{name: a, type: i8, flags: {4: d, 0: b, 2: b}}]")
    assert read(compiled, "15") == {"a": ["b", "d"]}
    assert read(compiled, "ff") == {"a": ["b", "d"]}
    assert read(compiled, "e0") == {"a": []}


def test_hidden_bits_need_no_variable() -> None:
    compiled = rows(
        "[{name: f, type: u8, bits: {west: {at: 1, hidden: true}}}, {name: a, type: u8, scale: 0.1, negate: west}]"
    )
    assert "if v_a_3 and ((f_1 & 2) != 0)" in source(compiled)
    assert read(compiled, "0205") == {"a": -0.5}
    assert read(compiled, "0105") == {"a": 0.5}
