"""Frames that all have one size."""

from __future__ import annotations

import pytest

from decoders.framing.fixed_size import measure_fixed_size
from decoders.framing.measure import NO_STOP, TOO_LONG, TOO_SHORT
from decoders.framing.plan import FixedSize, FrameKind


def kind(rule: FixedSize, least: int = 1, most: int = 100) -> FrameKind:
    return FrameKind("k", 0, (frozenset({0xA5}), frozenset({0x5A})), rule, least, most)


@pytest.mark.parametrize("start", [0, 3])
def test_answers(start: int) -> None:
    rule = FixedSize(6, b"\r\n")
    measure = measure_fixed_size(kind(rule), rule)
    for text, answer in (
        (b"\xa5", -6),
        (b"\xa5\x5a12\r", -6),
        (b"\xa5\x5a12\r\n", 6),
        (b"\xa5\x5a12\r\nmore", 6),
        (b"\xa5\x5a12\n\r", NO_STOP),
    ):
        assert measure(b"\r\n\r"[:start] + text, start, start + len(text), {}) == answer


def test_any_bytes_without_stop() -> None:
    rule = FixedSize(3)
    assert measure_fixed_size(kind(rule), rule)(b"\0\0\0", 0, 3, {}) == 3


@pytest.mark.parametrize(
    ("size", "least", "most", "answer"),
    [(0, 0, 9, TOO_SHORT), (1, 0, 9, TOO_SHORT), (5, 6, 9, TOO_SHORT), (5, 1, 4, TOO_LONG)],
)
def test_a_size_outside_the_limits_is_never_a_frame(size: int, least: int, most: int, answer: int) -> None:
    rule = FixedSize(size)
    assert measure_fixed_size(kind(rule, least, most), rule)(bytes(20), 0, 20, {}) == answer
