"""Sizes that the product computes."""

from __future__ import annotations

import pytest

from decoders.framing.computed_size import measure_computed_size
from decoders.framing.measure import BAD_LENGTH, NO_STOP, NOT_THIS, TOO_LONG
from decoders.framing.plan import ComputedSize, FrameKind


def by_second_byte(buffer: bytes | bytearray) -> int | None:
    if len(buffer) < 2:
        return None
    return -1 if buffer[1] == 0xFF else buffer[1]


@pytest.mark.parametrize("start", [0, 3])
def test_answers(start: int) -> None:
    rule = ComputedSize(by_second_byte, b"#")
    measure = measure_computed_size(FrameKind("k", 0, (), rule, 4, 20), rule)
    for text, answer in (
        (b"\1", -2),
        (b"\1\5", -5),
        (b"\1\5ab", -5),
        (b"\1\5ab#", 5),
        (b"\1\5ab#more", 5),
        (b"\1\5abc#", NO_STOP),
        (b"\1\3#", BAD_LENGTH),
        (b"\1\0", BAD_LENGTH),
        (b"\1\x15", TOO_LONG),
        (b"\1\xff", NOT_THIS),
    ):
        assert measure(b"\5##"[:start] + text, start, start + len(text), {}) == answer


@pytest.mark.parametrize("start", [0, 1])
def test_undecided_at_the_maximum_is_too_long(start: int) -> None:
    rule = ComputedSize(lambda buffer: None)
    measure = measure_computed_size(FrameKind("k", 0, (), rule, 1, 20), rule)
    assert measure(bytes(19 + start), start, 19 + start, {}) == -20
    assert measure(bytes(20 + start), start, 20 + start, {}) == TOO_LONG


@pytest.mark.parametrize("needed", [1, 63, 64, 65, 511, 513, 999, 1000])
def test_within_a_stream_it_sees_as_much_as_it_asks_for_and_little_more(needed: int) -> None:
    given: list[int] = []

    def compute(buffer: bytes | bytearray) -> int | None:
        given.append(len(buffer))
        assert buffer[0] == 1
        return needed if len(buffer) >= needed else None

    rule = ComputedSize(compute)
    measure = measure_computed_size(FrameKind("k", 0, (), rule, 1, 1000), rule)
    assert measure(b"\0\0\1" + bytes(5000), 2, 5003, {}) == needed
    assert sum(given) <= max(10 * needed, 64)
    assert max(given) <= 1000
