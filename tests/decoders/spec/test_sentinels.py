"""`absent:` in every spelling that protocol documents have."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.layout import BytesWire, FloatWire, IntWire
from decoders.spec.sentinels import Bits, Kind, sentinels


def found(given: Any, kind: Kind) -> tuple[Any, ...]:
    problems: list[tuple[Any, str, str]] = []
    absent, _ = sentinels(given, kind, lambda *problem: problems.append(problem), ("absent",))
    assert not problems
    return absent


def complaint(given: Any, kind: Kind) -> str:
    problems: list[tuple[Any, str, str]] = []
    sentinels(given, kind, lambda *problem: problems.append(problem), ("absent",))
    assert len(problems) == 1
    return problems[0][1]


@pytest.mark.parametrize(
    ("given", "kind", "absent"),
    [
        (None, IntWire(1), ()),
        (255, IntWire(1), (255,)),
        ([0, "0xF0..0xFF"], IntWire(1), (0, (240, 255))),
        (0x8000, IntWire(2, "twos"), (-0x8000,)),
        ("0xFFFF", IntWire(2, "twos"), (-1,)),
        (-1, IntWire(2, "twos"), (-1,)),
        ("0xFFF0..0xFFFF", IntWire(2, "twos"), ((-16, -1),)),
        ("0x7FFE..0x8001", IntWire(2, "twos"), ((0x7FFE, 0x7FFF), (-0x8000, -0x7FFF))),
        ("-5..5", IntWire(2, "twos"), ((-5, 5),)),
        (0x8005, IntWire(2, "magnitude"), (-5,)),
        (0x8000, Bits(16, "magnitude"), (0x8000,)),
        (-5, Bits(16, "magnitude"), (0x8005,)),
        (-1, Bits(4, "twos"), (15,)),
        ("-3..-1", Bits(4, "twos"), ((13, 15),)),
        (-999.9, FloatWire(4), (-999.9000244140625,)),
        (-999.9, FloatWire(8), (-999.9,)),
        (65504, FloatWire(2), (65504.0,)),
        ("-1e3..-900", FloatWire(8), ((-1000.0, -900),)),
        ("FF ff", BytesWire(2, "hex"), ("ffff",)),
        (0x0A, BytesWire(2, "hex"), ("000a",)),
        ("FF:FF:FF:FF:FF:FF", BytesWire(6, "mac"), ("ff:ff:ff:ff:ff:ff",)),
        (0, BytesWire(6, "raw"), (b"\0\0\0\0\0\0",)),
        (0, BytesWire(2, "text"), ("0",)),
        ("N/A", BytesWire(3, "text"), ("N/A",)),
        ("FFFF", BytesWire(2, "bcd"), ("",)),
        (0xFFFF, BytesWire(2, "bcd"), ("",)),
        ("0000", BytesWire(2, "bcd"), ("0000",)),
        (9999, BytesWire(2, "bcdnumber"), (9999,)),
        ("none", None, ("none",)),
        (7, None, (7,)),
    ],
)
def test_a_sentinel_is_what_the_reader_gives(given: Any, kind: Kind, absent: tuple[Any, ...]) -> None:
    assert found(given, kind) == absent


def test_words_stand_with_their_values() -> None:
    given: Any = {0xFFFD: "over", "0xFFFE..0xFFFF": "bad"}
    absent, words = sentinels(given, IntWire(2, "twos"), lambda *_: None, ())
    assert absent == (-3, (-2, -1))
    assert words == ((-3, "over"), ((-2, -1), "bad"))


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ("many", IntWire(1), "no raw value"),
        ("5..x", IntWire(1), "no raw value"),
        ("9..3", IntWire(1), "ends before it begins"),
        (1.5, IntWire(1), "no whole number"),
        ("-1..1", Bits(4, "twos"), "across zero"),
        (1e39, FloatWire(4), "too large"),
        ("xyz", BytesWire(2, "hex"), "no bytes in hex"),
        (list(range(65)), IntWire(1), "at most 64"),
    ],
)
def test_what_is_no_raw_value_is_a_problem(given: Any, kind: Kind, words: str) -> None:
    assert words in complaint(given, kind)
