"""Declared lengths: widths, byte orders, masks, units, digits, limits, stop bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.framing.length_field import declared_bytes, measure_length_field
from decoders.framing.measure import BAD_LENGTH, CANNOT, NO_STOP, TOO_LONG
from decoders.framing.plan import FrameKind, LengthField


@pytest.mark.parametrize(
    ("rule", "field", "size"),
    [
        (LengthField(0, 1), "ff", 255),
        (LengthField(0, 1, add=5), "0d", 18),
        (LengthField(0, 2), "0102", 0x0102),
        (LengthField(0, 2, big=False), "0102", 0x0201),
        (LengthField(0, 3), "010203", 0x010203),
        (LengthField(0, 3, big=False), "010203", 0x030201),
        (LengthField(0, 4, add=12), "00000014", 32),
        (LengthField(0, 4, big=False), "14000000", 20),
        (LengthField(0, 8), "ffffffffffffffff", 2**64 - 1),
        (LengthField(0, 2, mask=0x3FF, add=15), "e41f", 0x1F + 15),
        (LengthField(0, 2, mask=0x0F, shift=4), "00ab", 0x0A),
        (LengthField(0, 1, shift=4), "5f", 5),
        (LengthField(0, 1, unit=4, add=2), "05", 22),
        (LengthField(0, 1, add=-3), "01", -2),
        (LengthField(0, 4, base=10, add=1), b"0042".hex(), 43),
        (LengthField(0, 2, base=16), b"fF".hex(), 255),
        (LengthField(0, 2, base=16, shift=4, unit=10, mask=7), b"fF".hex(), 70),
        *(
            (LengthField(0, 3, base=base), text.hex(), CANNOT)
            for base in (10, 16)
            for text in (b" 12", b"+12", b"-12", b"1_2", b"0x1", b"12\n", b"\xb2\xb3\xb9")
        ),
        (LengthField(0, 2, base=10), b"1f".hex(), CANNOT),
    ],
)
def test_declared(rule: LengthField, field: str, size: int) -> None:
    text = bytes.fromhex(field)
    read = declared_bytes(rule)
    assert read(text, 0) == size
    assert read(bytearray(b"\xee\xee" + text + b"\xee"), 2) == size


@given(
    width=st.integers(1, 9),
    big=st.booleans(),
    mask=st.integers(0, 2**16),
    shift=st.integers(0, 9),
    unit=st.integers(1, 5),
    add=st.integers(-9, 99),
    data=st.binary(min_size=9, max_size=9),
)
def test_declared_is_the_formula(
    width: int, big: bool, mask: int, shift: int, unit: int, add: int, data: bytes
) -> None:
    raw = int.from_bytes(data[:width], "big" if big else "little")
    value = raw >> shift
    if mask:
        value &= mask
    rule = LengthField(0, width, big=big, mask=mask, shift=shift, unit=unit, add=add)
    assert declared_bytes(rule)(data, 0) == value * unit + add


def kind(rule: LengthField, least: int, most: int) -> FrameKind:
    return FrameKind("k", 0, (), rule, least, most)


def test_answers() -> None:
    rule = LengthField(1, 1, add=3, stop=b"\r\n")
    measure = measure_length_field(kind(rule, 5, 20), rule)
    for start in (0, 3):
        lead = b"#" * start

        def ask(text: bytes, start: int = start, lead: bytes = lead) -> int:
            return measure(lead + text, start, start + len(text), {})

        assert ask(b"\xaa") == -2
        assert ask(b"\xaa\x04") == -7
        assert ask(b"\xaa\x04....") == -7
        assert ask(b"\xaa\x04...\r\n") == 7
        assert ask(b"\xaa\x04...\r\nmore") == 7
        assert ask(b"\xaa\x04....\n") == NO_STOP
        assert ask(b"\xaa\x01") == BAD_LENGTH
        assert ask(b"\xaa\x12") == TOO_LONG
        assert ask(b"\xaa\x02\x0d\x0a\x0a") == NO_STOP


def test_a_frame_has_room_for_its_length_field_and_stop_bytes() -> None:
    """However small the plan's minimum is: an answer is never 0 bytes, and field and stop are not the same bytes."""
    rule = LengthField(0, 2, stop=b"\r\n")
    measure = measure_length_field(kind(rule, 0, 20), rule)
    for size in range(4):
        assert measure(bytes((0, size)) + b"\r\n", 0, 4, {}) == BAD_LENGTH
    assert measure(b"\0\4\r\n", 0, 4, {}) == 4
