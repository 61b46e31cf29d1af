"""Numbers that are written as text, both ways; runs of characters; text that stands for bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.text_forms import (
    READERS,
    ddmm_of,
    decoded,
    encoded_text,
    hexnumber_of,
    number_of,
    run_end,
    text_of_number,
    whole_of,
)


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (number_of, "0012", 12),
        (number_of, " -1.50 ", -1.5),
        (number_of, "+.5", 0.5),
        (number_of, "5.", 5.0),
        (number_of, "1e3", 1000.0),
        (whole_of, "7.0", 7),
        (hexnumber_of, "00fF", 255),
        (hexnumber_of, "0x10", 16),
        (ddmm_of, "38.6508", 0.64418),
        (ddmm_of, "3542.2043", 35.703405),
        (ddmm_of, "11357.8913", 113.964855),
        (ddmm_of, "-0030.0", -0.5),
        (ddmm_of, "W 0030.0", -0.5),
        (ddmm_of, "0030.0E", 0.5),
    ],
)
def test_values(reader: Callable[[bytes], Any], text: str, value: Any) -> None:
    found = reader(text.encode())
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("reader", READERS.values())
def test_blanks_are_no_value_and_words_are_themselves(reader: Callable[..., Any]) -> None:
    assert reader(b"") is reader(b" \0\r\n") is None
    assert reader(b" -- ", "", ("--",)) == "--"


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (number_of, "1,5"),
        (number_of, "1 5"),
        (number_of, "nan"),
        (number_of, "1e999"),
        (number_of, "1_0"),
        (number_of, "9" * 41),
        (number_of, "\u0661"),
        (whole_of, "7.5"),
        (hexnumber_of, "-1"),
        (hexnumber_of, "xyz"),
        (ddmm_of, "354220"),
        (ddmm_of, "N0030.0E"),
        (ddmm_of, "99999999.0"),
    ],
)
def test_other_text_is_refused(reader: Callable[[bytes], Any], text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        reader(text.encode())
    assert caught.value.code is DecodeCode.BAD_VALUE


@given(st.integers(-(10**15), 10**15) | st.floats(-1e9, 1e9))
def test_numbers_come_back(value: float) -> None:
    assert number_of(text_of_number(value, "number", None)) == pytest.approx(value, rel=1e-12, abs=1e-300)


@given(st.floats(-179, 179))
def test_places_come_back(value: float) -> None:
    assert ddmm_of(text_of_number(value, "ddmm", None)) == pytest.approx(value, abs=1e-6)


def test_numbers_are_filled_with_zeros() -> None:
    assert text_of_number(7, "number", 4) == b"0007"
    assert text_of_number(-7, "whole", 4) == b"-007"
    assert text_of_number(171, "hexnumber", 4) == b"00AB"
    assert text_of_number("--", "number", None) == b"--"
    with pytest.raises(ValueError, match="no sign"):
        text_of_number(-1, "hexnumber", None)


def test_runs_of_characters() -> None:
    end = run_end(b"-09.]^")
    assert end(b"x0.9]-^y", 1, 8) == 7
    assert end(b"x0.9", 0, 4) == 0
    assert end(b"0000", 1, 2) == 2
    assert end(b"0000", 5, 4) == 5
    assert end(b"0" * 1000, 0, 1000) == 256


@given(st.binary(max_size=20))
def test_text_that_stands_for_bytes(data: bytes) -> None:
    assert decoded(encoded_text(data, "hex"), "hex") == data
    assert decoded(encoded_text(data, "base64"), "base64") == data
    assert decoded(encoded_text(data, "base64").rstrip(b"="), "base64") == data


@pytest.mark.parametrize(
    ("text", "kind"), [(b"0", "hex"), (b"0g", "hex"), (b"\xff", "hex"), (b"A*==", "base64"), (b"A", "base64")]
)
def test_bad_digits_are_refused(text: bytes, kind: str) -> None:
    with pytest.raises(DecodeError):
        decoded(text, kind)
