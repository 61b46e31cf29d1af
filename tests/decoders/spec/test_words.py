"""The words of field types."""

from __future__ import annotations

import pytest

from decoders.layout import BytesWire, FloatWire, IntWire, Rest, Wire
from decoders.spec.words import integer, known_words, wire_of, without_size


@pytest.mark.parametrize(
    ("word", "big", "wire", "clock"),
    [
        ("u8", True, IntWire(1), ""),
        ("i16le", True, IntWire(2, "twos", big=False), ""),
        ("u24be", False, IntWire(3, "unsigned", big=True), ""),
        ("sm32", False, IntWire(4, "magnitude", big=False), ""),
        ("f32", True, FloatWire(4), ""),
        ("f64le", True, FloatWire(8, big=False), ""),
        ("unix32", True, IntWire(4), "unix"),
        ("unix32le", True, IntWire(4, "unsigned", big=False), "unix"),
        ("unixms64", True, IntWire(8), "unix_ms"),
        ("since2000_32", True, IntWire(4), "since2000"),
        ("ymdhms", True, BytesWire(6, "raw"), "six"),
        ("bcd_ymdhms", True, BytesWire(6, "raw"), "bcd_six"),
        ("mac", True, BytesWire(6, "mac"), ""),
    ],
)
def test_words_with_a_size(word: str, big: bool, wire: Wire, clock: str) -> None:
    assert wire_of(word, None, big) == (wire, clock)


@pytest.mark.parametrize("word", ["hex", "text", "bcd", "uint", "int"])
def test_words_without_a_size_need_one(word: str) -> None:
    assert without_size(word)
    assert wire_of(word, None, True) is None
    assert wire_of(word, 4 if "int" in word else Rest(), True) is not None


@pytest.mark.parametrize("word", ["u9", "U8", "u8xe", "float", "string", "", "u128"])
def test_other_words_are_unknown(word: str) -> None:
    assert wire_of(word, 4, True) is None
    assert integer(word, True) is None


def test_every_known_word_is_understood() -> None:
    for word in known_words():
        assert wire_of(word, 4, True) is not None, word
