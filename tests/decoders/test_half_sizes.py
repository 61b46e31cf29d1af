"""Counts and sizes by a formula that divides: what comes out whole is a size."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeCode, DecodeError
from tests.decoders.specs import read, rows

GROUP = "{name: n, type: u8}, {group: g, bytes: n / 4, fields: [{name: a, type: u8}]}"
LEFT = "{name: n, type: u8}, {list: c, until_left: n / 2, type: u8}, {name: z, type: u8}"
TAGS = (
    "{items: {header: [{name: k, type: u8}, {name: l, type: u8}], key: k, length: l / 2,"
    " tags: {1: {name: v, type: u8}}}}"
)
HALVES = [
    ("{list: c, count: length / 2, type: u16}", "0001 0002", {"c": [1, 2]}, "0001 00"),
    ("{name: n, type: u8}, {name: t, type: hex, bytes: n / 2}", "04 0102", {"n": 4, "t": "0102"}, "05 0102"),
    (GROUP, "04 07", {"n": 4, "g": {"a": 7}}, "06 07"),
    (LEFT, "02 07 09", {"n": 2, "c": [7], "z": 9}, "03 07 09"),
    ("{name: n, type: u8}, {skip: n / 2}, {name: z, type: u8}", "02 07 09", {"n": 2, "z": 9}, "03 07 09"),
    (f"{{name: n, type: u8}}, {TAGS}", "00 01 02 07", {"n": 0, "v": 7}, "00 01 03 07 07"),
]


@pytest.mark.parametrize(("text", "wire", "values", "odd"), HALVES)
def test_a_whole_result_is_a_size(text: str, wire: str, values: dict[str, object], odd: str) -> None:
    compiled = rows(f"[{text}]")
    assert read(compiled, wire) == values
    with pytest.raises(DecodeError) as caught:
        read(compiled, odd)
    assert caught.value.code is DecodeCode.BAD_LENGTH
    if "items" not in text and "skip" not in text:
        assert compiled.encoders[0, "sample"].encode(values).hex() == wire.replace(" ", "")


def test_a_constant_may_be_a_division() -> None:
    assert read(rows("[{list: c, count: 4 / 2, type: u8}]"), "0102") == {"c": [1, 2]}
