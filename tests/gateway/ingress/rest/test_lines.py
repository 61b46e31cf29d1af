from __future__ import annotations

import re
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from gateway.ingress.rest.lines import Line, LineCutter

MAX = 8
PIECES = st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b" ", b"\r", b"12345678", b"bc", b"\t"]), max_size=30)


def cut(pieces: list[bytes], max_bytes: int = MAX, *, keep_blank: bool = False) -> tuple[list[Line], int]:
    cutter = LineCutter(max_bytes, keep_blank=keep_blank)
    lines = [line for piece in pieces for line in cutter.feed(piece)]
    return lines + cutter.end(), cutter.lines


def model(data: bytes) -> list[Line]:
    found = []
    texts = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, text in enumerate(texts, 1):
        text = re.sub(rb"\r\Z", b"", text)
        if len(text) > MAX:
            found.append(Line(number, b"", too_long=True))
        elif text.strip():
            found.append(Line(number, text))
    return found


@given(PIECES, st.booleans(), st.integers(1, 7))
def test_lines_are_the_same_however_they_come(pieces: list[bytes], bom: bool, size: int) -> None:
    data = (b"\xef\xbb\xbf" if bom else b"") + b"".join(pieces)
    wanted = model(data)
    assert cut([data])[0] == wanted
    assert cut([data[at : at + size] for at in range(0, len(data), size)])[0] == wanted


def test_numbers_count_blank_lines_and_the_last_one_needs_no_end() -> None:
    lines, count = cut([b"a\r\n\r\n  \nb\nc"])
    assert lines == [Line(1, b"a"), Line(4, b"b"), Line(5, b"c")]
    assert count == 5
    assert cut([b"a\n"]) == ([Line(1, b"a")], 1)
    assert cut([]) == ([], 0)


def test_blank_lines_can_be_kept() -> None:
    assert cut([b"a\n\n \nb"], keep_blank=True)[0] == [Line(1, b"a"), Line(2, b""), Line(3, b" "), Line(4, b"b")]


def test_a_line_that_is_too_long_is_one_error_and_reading_goes_on() -> None:
    lines, _ = cut([b"123456789\n12345678\n", b"1234", b"5678", b"9", b"0" * 100, b"\nend"])
    assert lines == [Line(1, b"", True), Line(2, b"12345678"), Line(3, b"", True), Line(4, b"end")]


def test_a_line_without_end_takes_constant_memory() -> None:
    cutter = LineCutter(1_000)
    tracemalloc.start()
    try:
        for _ in range(1_000):
            assert cutter.feed(b"x" * 65_536) == []
        assert tracemalloc.get_traced_memory()[1] < 400_000
    finally:
        tracemalloc.stop()
    assert cutter.end() == [Line(1, b"", True)]


def test_a_bom_is_skipped_only_before_the_first_line() -> None:
    bom = b"\xef\xbb\xbf"
    assert cut([bom[:1], bom[1:] + b"12345678\n" + bom + b"b"])[0] == [Line(1, b"12345678"), Line(2, bom + b"b")]
