"""Numbers in words of two bytes whose order differs from that of their bytes."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import EncodeError, SpecError
from decoders.layout import BytesWire
from decoders.raw import MIXED, read_form, write_form
from tests.decoders.specs import read, rows


def test_the_lowest_word_first() -> None:
    compiled = rows("[{name: energy, type: u32cdab, scale: 0.1}, {name: power, type: f32cdab}]")
    assert read(compiled, "0002 0001 0000 41ac") == {"energy": 6553.8, "power": 21.5}


def test_the_lower_byte_of_each_word_first() -> None:
    compiled = rows("[{name: a, type: i32badc}, {list: b, type: u32badc}]")
    assert read(compiled, "ffff feff 0000 0500") == {"a": -2, "b": [5]}


def test_no_number_is_no_value() -> None:
    compiled = rows("[{name: a, type: f32cdab, scale: 2}, {name: b, type: f64cdab, absent: 1.5}]")
    assert read(compiled, "0000 7fc0" + "000000000000 3ff8") == {}


@given(st.sampled_from(sorted(MIXED)), st.sampled_from([4, 8]), st.binary(min_size=8, max_size=8))
def test_building_is_the_inverse(form: str, size: int, data: bytes) -> None:
    wire = BytesWire(size, form)
    value = read_form(data[:size], wire)
    if value is None:
        assert form.startswith("f")
    else:
        assert write_form(value, wire, size, "x") == data[:size] or math.isclose(value, 0.0)


def test_what_does_not_fit_is_refused() -> None:
    for form, value in (("u_cdab", -1), ("f_badc", 1e40), ("i_cdab", "x")):
        with pytest.raises(EncodeError):
            write_form(value, BytesWire(4, form), 4, "x")
    assert write_form(1.5, BytesWire(8, "f_cdab"), 8, "x")[-2:] == struct.pack(">d", 1.5)[:2]


@pytest.mark.parametrize(
    ("form", "wire"), [("u32cdab", "0003 8000"), ("i32cdab", "0003 8000"), ("u32badc", "0080 0300")]
)
def test_integers_in_words_have_bits_and_flags(form: str, wire: str) -> None:
    compiled = rows(
        f"[{{name: state, type: {form}, bits: {{low: 0-3, on: 31, wide: [30-31, 0]}}}},"
        f" {{name: events, type: {form}, flags: {{0: a, 1: b, 31: c, 30: d}}}},"
        f" {{name: s, type: {form}, bit_order: msb, bits: {{first: 0}}, absent: 0xFFFFFFFF}}]"
    )
    values = read(compiled, wire * 3)
    assert values == {"low": 3, "on": True, "wide": 5, "events": ["a", "b", "c"], "first": True}
    assert compiled.encoders[0, "sample"].encode(values)[:8] == bytes.fromhex(wire * 2)
    assert read(compiled, wire * 2 + "FFFFFFFF") == {"low": 3, "on": True, "wide": 5, "events": ["a", "b", "c"]}


def test_numbers_with_decimals_in_words_have_none() -> None:
    with pytest.raises(SpecError, match="only integers have bits"):
        rows("[{name: state, type: f32cdab, bits: {on: 0}}]")
    with pytest.raises(SpecError, match="only integers have flags"):
        rows("[{name: state, type: f32cdab, flags: {0: on}}]")
