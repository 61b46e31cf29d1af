"""Lists: items of a fixed size are checked at once, others one by one."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


def test_plain_items_are_one_comprehension() -> None:
    compiled = rows("[{list: l, count_type: u8, fields: [{name: a, type: u16}, {name: m, type: mac}]}]")
    assert "for a_4, m_5 in items_" in source(compiled)
    assert ".append(" not in source(compiled)
    assert read(compiled, "01 0002 010203040506".replace(" ", "")) == {"l": [{"a": 2, "m": "01:02:03:04:05:06"}]}
    with pytest.raises(DecodeError):
        read(compiled, "020002010203040506")


@pytest.mark.parametrize(
    "fields",
    [
        "{name: a, type: u8, absent: 9}, {name: b, type: u8}",
        "{name: a, type: u8}, {name: b, type: u8, hidden: true}, {name: c, formula: a / b}",
        "{name: a, type: u8}, {group: g, fields: [{name: b, type: u8}]}",
        "{name: a, type: i16le, negate: a}",
    ],
)
def test_items_of_a_fixed_size(fields: str) -> None:
    compiled = rows(f"[{{list: l, max: 3, fields: [{fields}]}}]")
    for body in ("0102", "09000203", "010203040509"):
        assert len(read(compiled, body)["l"]) == len(body) // 4
    for body in ("01", "010203", "0102030405060708"):  # a part of an item; too many
        with pytest.raises(DecodeError):
            read(compiled, body)


def test_items_until_some_bytes_are_left() -> None:
    compiled = rows("[{list: l, until_left: 2, fields: [{name: a, type: u8}]}, {name: z, type: u16}]")
    assert read(compiled, "01020009") == {"l": [{"a": 1}, {"a": 2}], "z": 9}
    assert read(compiled, "0009") == {"l": [], "z": 9}


def test_items_of_any_size_end_at_most() -> None:
    compiled = rows("[{list: l, max: 2, fields: [{name: a, type: text, prefix: u8}]}]")
    assert read(compiled, "01610162") == {"l": [{"a": "a"}, {"a": "b"}]}
    with pytest.raises(DecodeError):
        read(compiled, "016101620163")


def test_items_with_a_length_of_their_own() -> None:
    compiled = rows(
        "[{list: l, item_prefix: u8, count: 2, fields: [{name: a, type: u8}, {name: b, type: u8, if: remaining}]}]"
    )
    assert read(compiled, "0101020203") == {"l": [{"a": 1}, {"a": 2, "b": 3}]}
    with pytest.raises(DecodeError):
        read(compiled, "0101030203ff")


def test_items_that_are_not_kept() -> None:
    many = "[{list: l, keep: a > 1, fields: [{name: a, type: u8}]}]"
    assert read(rows(many), "010203") == {"l": [{"a": 2}, {"a": 3}]}
    assert read(rows(many.replace("keep", "count: 1, keep")), "01") == {"l": []}


def test_a_list_of_one_needs_no_loop() -> None:
    compiled = rows("[{list: l, count: 1, fields: [{name: a, type: u8}]}]")
    assert "[{'a': a_1}]" in source(compiled)
    assert read(compiled, "07") == {"l": [{"a": 7}]}
