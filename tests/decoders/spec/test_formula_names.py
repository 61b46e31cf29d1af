"""What formulas over values may read: their own structure when it is complete, of those around what came before."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from tests.decoders.specs import read, rows


@pytest.mark.parametrize(
    "text",
    [
        "[{name: b, formula: a + 1}, {name: a, type: u8}]",
        "[{name: a, type: u8}, {name: b, formula: a + 1}, {name: c, formula: b * 2, if: b > 1}]",
        "[{name: a, type: u8}, {list: l, count: 1, fields: [{name: x, type: u8}, {name: y, formula: a + x}]}]",
        "[{list: l, count: 1, keep: x > 1, fields: [{name: x, type: u8}]}, {name: n, formula: count(l)}]",
        "[{list: l, count: 1, keep: y > 1, fields: [{name: x, type: u8}, {name: y, formula: x * 2}]}]",
        "[{list: l, count: 2, numbered: true, type: u8}, {name: b, formula: l_1 + l_2}]",
        "[{name: k, type: u8}, {name: 'a_{k}', type: u8}, {name: b, formula: a_7}]",
        "[{name: a, type: u8, absent: {1: none}}, {name: b, formula: a_status == 'none'}]",
        "[{name: a, type: u8, enum: {1: on}}, {name: b, formula: a == 'on' or a == 5}]",
        "[{name: lat, type: i16, negate: south}, {name: f, type: u8, bits: {south: 0}, hidden: true}]",
        "[{items: {key: u8, length: u8, tags: {1: {name: a, type: u8}, 2: {name: b, type: u8}}}}, "
        "{name: c, formula: a + b}]",
        "[{group: null, fields: [{name: a, type: u8}]}, {name: b, formula: a + received + port + length}]",
    ],
)
def test_what_is_there_when_it_is_worked_out(text: str) -> None:
    rows(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{group: g, fields: [{name: a, type: u8}]}, {name: b, formula: a}]", "`a` stands in the group `g`"),
        ("[{name: c, formula: b}, {name: a, type: u8}, {name: b, formula: a}]", "`b` is not there yet"),
        ("[{group: g, fields: [{name: b, formula: a}]}, {name: a, type: u8}]", "`a` is not there yet"),
        ("[{name: a, type: u8}, {name: b, formula: next_u8}]", "`next_u8` is known only while bytes are read"),
        ("[{name: a, type: u8}, {name: b, formula: aa}]", "there is no field `aa` in `sample` (did you mean `a`?)"),
        ("[{name: a, type: u8, enum: {1: on, 2: on}}, {name: b, formula: 2 == a}]", "write 'on' for 2"),
    ],
)
def test_what_is_not_there_is_named(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        rows(text)
    assert said in str(caught.value)


def test_a_body_field_that_equals_another_is_compared_by_both_codecs() -> None:
    compiled = rows("[{name: n, type: u8}, {list: l, count: n, type: u8}, {name: again, type: u8, equals: n}]")
    assert read(compiled, "02 0708 02")["again"] == 2
    with pytest.raises(Exception, match="bad_length: 0x3 differs from `n` 0x2"):
        read(compiled, "02 0708 03")
