"""Bytes of one field <-> raw value."""

from __future__ import annotations

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import BytesWire
from decoders.raw import bcd_bytes, bcd_text, magnitude, read_form, text_of, write_form


@pytest.mark.parametrize(
    ("raw", "digits", "text"),
    [
        ("0864717003283581", 15, "864717003283581"),
        ("013912345678", 0, "013912345678"),
        ("980691312079088572f5", 0, "9806913120790885725"),  # filler nibbles are dropped
        ("ffff", 0, ""),
    ],
)
def test_bcd(raw: str, digits: int, text: str) -> None:
    assert bcd_text(bytes.fromhex(raw), digits) == text


@pytest.mark.parametrize("raw", ["123456ffffffff", "f123", "12ff34", "ffff", "0012", "12345f"])
def test_filler_beside_digits_is_written_as_it_stood(raw: str) -> None:
    data = bytes.fromhex(raw)
    text = copy.deepcopy(bcd_text(data, 0))
    assert bcd_bytes(text, len(data)) == data
    assert write_form(text, BytesWire(len(data), "bcd"), len(data), "id") == data
    assert bcd_bytes(text, len(data) + 1) == bytes.fromhex(str(text).rjust(2 * len(data) + 2, "0"))
    assert orjson.dumps({"id": text}) == orjson.dumps({"id": str(text)})


def test_bcd_refuses_digits_beyond_nine() -> None:
    with pytest.raises(DecodeError) as caught:
        bcd_text(b"\x1a", 0)

    assert caught.value.code is DecodeCode.BAD_VALUE


@pytest.mark.parametrize(("raw", "value"), [(0x05, 5), (0x85, -5), (0x80, 0), (0x7F, 127), (0xFF, -127)])
def test_sign_and_magnitude(raw: int, value: int) -> None:
    assert magnitude(raw, 1) == value


def test_text_is_trimmed_and_survives_bad_letters() -> None:
    assert text_of(b"\0 CHI123 \0\0", "ascii", trim=True) == "CHI123"
    assert text_of(b" a ", "ascii", trim=False) == " a "
    assert text_of("粤A12345".encode("gbk"), "gbk", trim=True) == "粤A12345"
    assert text_of(b"a\xffb", "ascii", trim=True) == "a\ufffdb"


@given(st.binary(min_size=1, max_size=12))
def test_what_is_read_can_be_written(data: bytes) -> None:
    for form in ("hex", "mac"):
        wire = BytesWire(len(data), form)
        assert write_form(read_form(data, wire), wire, len(data), "x") == data


@given(st.text("0123456789", min_size=1, max_size=20))
def test_digits_survive_a_field_that_is_wide_enough(digits: str) -> None:
    wire = BytesWire(10, "bcd")

    assert read_form(write_form(digits, wire, 10, "x"), wire) == digits.rjust(20, "0")


@pytest.mark.parametrize(
    ("value", "form"), [("123", "bcd"), ("zz", "hex"), ("abc", "text"), ("é", "text"), ("zz:zz", "mac"), ("1g", "bcd")]
)
def test_what_does_not_fit_is_named(value: str, form: str) -> None:
    with pytest.raises(EncodeError, match="field_x"):
        write_form(value, BytesWire(1, form), 1, "field_x")
