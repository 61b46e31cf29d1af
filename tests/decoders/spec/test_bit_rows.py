"""`bits:` of a row, by place and as a list, on both codecs."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from tests.decoders.specs import read, rows


def problem(text: str, **more: str) -> str:
    with pytest.raises(SpecError) as caught:
        rows(text, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "data", "values"),
    [
        ("{name: a, type: u8, bits: {x: 0, y: 2-4, z: {at: 7-5}}}", "95", {"x": True, "y": 5, "z": 4}),
        ("{name: a, type: u8, bits: {x: {at: 0, invert: true}, y: '4..7'}}", "f1", {"x": False, "y": 15}),
        ("{name: a, type: u16, bits: {x: {at: [0-3, 12-15]}, y: {at: [8, 4]}}}", "a10f", {"x": 0xFA, "y": 2}),
        ("{name: a, type: u16, bit_order: msb, bits: {x: 0, y: 1-3, z: 4-15}}", "d001", {"x": True, "y": 5, "z": 1}),
        ("{name: a, type: u16le, bit_order: msb, bits: {x: 0, z: 15}}", "0180", {"x": True, "z": True}),
        (
            "{name: a, type: u8, bits: {x: {at: 0-3, signed: true}, y: {at: 4-7, signed: magnitude}}}",
            "9f",
            {"x": -1, "y": -1},
        ),
        ("{name: a, type: i8, bits: {x: 7, y: 0-6}}", "ff", {"x": True, "y": 127}),
        ("{name: a, type: sm8, bits: {x: 7, y: 0-6}}", "81", {"x": True, "y": 1}),
        ("{name: a, type: u8, bits: {x: {at: 0-3, bcd: true}, y: {at: 4-7, bcd: true}}}", "9f", {"y": 9}),
        ("{name: a, type: u16, bits: {x: {at: 0-9, scale: 0.1, raw_offset: -400, decimals: 1}}}", "0190", {"x": 0.0}),
        ("{name: a, type: u8, bits: {x: {at: 0-3, absent: {15: bad}}, y: 4-7}}", "1f", {"x_status": "bad", "y": 1}),
        (
            "{name: a, type: u8, bits: {x: {at: 0-3, absent: '14..15'}, y: {at: 4-7, signed: true, absent: -1}}}",
            "fe",
            {},
        ),
        (
            "{name: a, type: u8, bits: {x: {at: 0-1, flags: {0: lo, '!1': not_hi}}, y: {at: 2-3, flags: {1: b}}}}",
            "01",
            {"x": ["lo", "not_hi"], "y": []},
        ),
        (
            "{name: a, type: u32, bits: {time: {at: 0-31, clock: unix}}}",
            "00000001",
            {"time": "1970-01-01T00:00:01.000Z"},
        ),
        ("{name: a, type: uint, bytes: 3, bits: {x: 20-23, y: 0-3}}", "a0000b", {"x": 10, "y": 11}),
        ("{name: a, type: uint, bytes: rest, bits: {x: 0-3, y: 15}}", "800b", {"x": 11, "y": True}),
        (
            "{name: a, type: bits, bytes: 9, bits: {x: 68-71, y: {at: 0-67, bcd: true}}}",
            "f" + "12" * 8 + "3",
            {"x": 15, "y": 12121212121212123},
        ),
        ("{name: a, type: bits, bytes: 9, flags: {0: low, 71: high}}", "8" + "0" * 16 + "1", {"a": ["low", "high"]}),
        ("{name: a, type: bits, bytes: 10}", "01" + "00" * 9, {"a": 1 << 72}),
    ],
)
def test_bits_by_their_place(row: str, data: str, values: dict[str, Any]) -> None:
    assert read(rows(f"[{row}]"), data) == values


@pytest.mark.parametrize(
    ("row", "data", "values"),
    [
        (
            "{name: a, type: u16, bits: [{name: x, width: 4}, {skip: 3}, {name: y, width: 9, scale: 0.5}]}",
            "f1ff",
            {"x": 15, "y": 255.5},
        ),
        (
            "{name: a, type: u16, bit_order: lsb, bits: [{name: x, width: 4}, {skip: 3}, {name: y, width: 9}]}",
            "80f5",
            {"x": 5, "y": 257},
        ),
        (
            "{name: a, type: u8, bits: [{name: x, width: 1}, {name: y, width: 1, invert: true}, {skip: 6}]}",
            "40",
            {"x": False, "y": False},
        ),
        (
            "{name: a, type: bitsle, bytes: 2, bits: [{name: x, width: 4}, {name: y, width: 12}]}",
            "f1ff",
            {"x": 1, "y": 4095},
        ),
        (
            "{name: a, type: bitsle, bytes: 2, bit_order: msb, bits: [{name: x, width: 4}, {name: y, width: 12}]}",
            "f1ff",
            {"x": 15, "y": 4081},
        ),
        (
            "{name: a, type: u16, bits: [{name: ch, width: 4}, {name: 'v_{ch}', width: 12, scale: 0.1}]}",
            "1010",
            {"ch": 1, "v_1": 1.6},
        ),
    ],
)
def test_bits_as_a_table(row: str, data: str, values: dict[str, Any]) -> None:
    assert read(rows(f"[{row}]"), data) == values


def test_the_spec_says_which_bit_has_number_0() -> None:
    text = "[{name: a, type: u8, bits: {x: 0, y: 4-7}}, {name: b, type: u8, flags: {0: first, 7: last}}]"
    assert read(rows(text, bit_order="msb"), "8181") == {"x": True, "y": 1, "b": ["first", "last"]}
    assert read(rows(text, bit_order="lsb"), "8081") == {"x": False, "y": 8, "b": ["first", "last"]}
    listed = "[{name: a, type: u8, bits: [{name: x, width: 2}, {name: y, width: 6}]}]"
    assert read(rows(listed), "81") == {"x": 2, "y": 1}
    assert read(rows(listed, bit_order="msb"), "81") == {"x": 2, "y": 1}
    assert read(rows(listed, bit_order="lsb"), "81") == {"x": 1, "y": 32}


def test_a_packed_stream_of_statistics() -> None:
    """The Oyster's port 3: fields packed from the lowest bit of the first byte on."""
    widths = {
        "battery": 4,
        "tx": 11,
        "trips": 13,
        "good": 10,
        "bad": 8,
        "fix": 9,
        "fail": 9,
        "fresh": 8,
        "wake": 7,
        "up": 9,
    }
    parts = ", ".join(f"{{name: {name}, width: {width}}}" for name, width in widths.items())
    given = {name: (7 * index + 3) % (1 << width) for index, (name, width) in enumerate(widths.items())}
    packed, low = 0, 0
    for name, width in widths.items():
        packed |= given[name] << low
        low += width
    assert low == 88
    compiled = rows(f"[{{name: stats, type: bitsle, bytes: 11, bits: [{parts}]}}]")
    assert read(compiled, packed.to_bytes(11, "little")) == given


def test_digits_that_are_none_are_a_bad_value() -> None:
    compiled = rows("[{name: a, type: u8, bits: {x: {at: 0-3, bcd: true, hidden: true}, y: 4-7}}]")
    assert read(compiled, "15") == {"y": 1}
    with pytest.raises(DecodeError) as caught:
        read(compiled, "1a")
    assert caught.value.code is DecodeCode.BAD_VALUE


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{name: a, type: u16, bits: [{name: x, width: 14}]}", "the parts have 14 bits, `a` has 16 (add {skip: 2})"),
        ("{name: a, type: u8, bits: [{name: x, width: 9}]}", "the parts have 9 bits, `a` has 8"),
        ("{name: a, type: u8, bits: [{name: x, width: 4}, {name: x, width: 4}]}", "two parts are called `x`"),
        ("{name: a, type: u8, bits: {x: 8}}", "bits 8 are not within `u8` (0 to 7)"),
        ("{name: a, type: u8, bits: {x: {at: []}}}", "no bits are named"),
        ("{name: a, type: u8, bits: {x: {at: [0-3, 3-5]}}}", "names a bit twice"),
        ("{name: a, type: u8, bits: {x: {at: 0-3, bcd: true, signed: true}}}", "BCD digits have no sign"),
        ("{name: a, type: u8, bits: {x: {at: 0-2, invert: true}}}", "one bit"),
        ("{name: a, type: u8, bits: {x: {at: 0-2, counts: rest}}}", "only `counts: body`"),
        ("{name: a, type: uint, bytes: rest, bits: [{name: x, width: 8}]}", "the size is not known"),
        ("{name: a, type: f32, bits: {x: 1}}", "only integers have bits"),
        ("{name: a, type: bits, bits: {x: 1}}", "`bits` needs `bytes: n`, from 1 to 64"),
        ("{name: a, type: u8, flags: {9: x}}", "there is no bit 9"),
        ("{name: a, type: u8, flags: {one: x}}", "`one` is no bit number"),
        ("{name: a, type: u8, flags: {1: x, '!1': y}}", "bit 1 is named twice"),
        ("{name: a, type: uint, bytes: rest, bit_order: msb, flags: {1: x}}", "the size is not known"),
    ],
)
def test_mistakes_are_named(row: str, words: str) -> None:
    assert words in problem(f"[{row}]")


def test_digits_whose_topmost_one_has_fewer_bits() -> None:
    compiled = rows("[{name: c, type: u32, bits: {south: 31, digits: {at: 0-30, bcd: true}}}]")
    assert read(compiled, "f1234567") == {"south": True, "digits": 71234567}


ABSENT = (
    "[{name: a, type: u8, absent: [0xFF, '0xF0..0xF3'], bits: {x: 0, y: {at: 1, invert: true},"
    " z: {at: 2-3, enum: {0: off}}, w: {at: 4-7, absent: {14: fault}}}}, {name: there, formula: given(x)}]"
)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ("ff", {"there": False}),
        ("f2", {"there": False}),
        ("f4", {"x": False, "y": True, "z": 1, "w": 15, "there": True}),
        ("e1", {"x": True, "y": True, "z": "off", "w_status": "fault", "there": True}),
    ],
)
def test_bits_of_an_integer_that_stands_for_no_value(data: str, values: dict[str, Any]) -> None:
    assert read(rows(ABSENT), data) == values


def test_words_of_an_integer_with_bits() -> None:
    row = "[{name: a, type: u16, absent: {0xFFFF: fault}, bits: {x: 0, y: {at: 8-11, const: 5}}}]"
    assert "the words of hidden rows are not shown (add `hidden: false`)" in problem(row)
    shown = rows(row.replace("bits:", "hidden: false, bits:"))
    assert read(shown, "ffff") == {"a_status": "fault"}
    assert read(shown, "0501") == {"a": 0x0501, "x": True}


@pytest.mark.parametrize(
    "row",
    [
        "{name: a, type: u8, bits: {x: 0-3, mark: {at: 4-7, const: 6}}}",
        "{name: a, type: u8, bits: [{name: mark, width: 4, const: 6}, {name: x, width: 4}]}",
    ],
)
def test_bits_that_are_always_the_same(row: str) -> None:
    compiled = rows(f"[{{list: items, fields: [{row}]}}]")
    assert read(compiled, "6163") == {"items": [{"x": 1}, {"x": 3}]}
    with pytest.raises(DecodeError, match="`mark`: expected 0x6, found 0x7") as caught:
        read(compiled, "6173")
    assert (caught.value.code, caught.value.offset) == (DecodeCode.BAD_CONST, 1)
    assert compiled.encoders[0, "sample"].encode({"items": [{"x": 1}]}) == b"\x61"


def test_a_constant_that_no_bits_hold() -> None:
    assert "4 does not fit into 2 bits (0 to 3)" in problem("[{name: a, type: u8, bits: {x: {at: 0-1, const: 4}}}]")


def test_an_integer_without_any_bits_is_written_as_its_sentinel() -> None:
    encoder = rows("[{name: a, type: u8, absent: 255, bits: {x: 0-3, y: 4}}]").encoders[0, "sample"]
    assert encoder.encode({}) == b"\xff"
    assert encoder.encode({"x": 1}) == b"\x01"
