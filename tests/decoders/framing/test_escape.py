"""Byte stuffing and its inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.framing.escape import stuff, unescape
from decoders.framing.plan import Escape

JT808 = Escape(0x7D, {0x01: 0x7D, 0x02: 0x7E}, 1, 1)
DOUBLED = Escape(0x10, {0x10: 0x10, 0x83: 0x03, 0x03: 0x03}, 2, 1)  # the mark stands for itself


@pytest.mark.parametrize(
    ("escape", "wire", "content"),
    [
        (JT808, "7e 307d02087d0155 7e", "7e 307e087d55 7e"),
        (JT808, "7e 7d0102 7e", "7e 7d02 7e"),
        (JT808, "7e 7d027d017d02 7e", "7e 7e7d7e 7e"),
        (DOUBLED, "1002 10101083 03", "1002 1003 03"),
        (DOUBLED, "1010 101003 10", "1010 1003 10"),
        (Escape(0x7D, {0x5E: 0x7E, 0x5D: 0x7D}), "7d5e7d5d", "7e7d"),
    ],
)
def test_known_pairs(escape: Escape, wire: str, content: str) -> None:
    assert unescape(escape, bytes.fromhex(wire)).hex(" ") == bytes.fromhex(content).hex(" ")


@pytest.mark.parametrize("wire", ["7e0102037e", "7d01017d", "7e7e", "7d", ""])
def test_without_a_mark_it_is_the_same_object(wire: str) -> None:
    data = bytes.fromhex(wire)
    assert unescape(JT808, data) is data


@pytest.mark.parametrize(
    ("wire", "offset", "detail"),
    [
        ("7e 7d03 7e", 1, "escape byte 7d followed by 03"),
        ("7e 01 7d 7e", 2, "escape byte 7d at the end of the content"),
        ("7e 7d01 7d7d 02 7e", 3, "escape byte 7d followed by 7d"),
        ("7e 7d01 0203 7d 7e", 5, "escape byte 7d at the end of the content"),
    ],
)
def test_a_bad_pair_is_refused_with_its_place(wire: str, offset: int, detail: str) -> None:
    with pytest.raises(DecodeError) as caught:
        unescape(JT808, bytes.fromhex(wire))
    assert (caught.value.code, caught.value.offset) == (DecodeCode.BAD_ESCAPE, offset)
    assert caught.value.detail == detail


def test_the_raw_end_completes_no_pair() -> None:
    with pytest.raises(DecodeError, match="at the end of the content"):
        unescape(Escape(0x7D, {0x01: 0x7D}, 0, 1), b"\x05\x7d\x01")


def test_stuffing_leaves_the_raw_ends() -> None:
    assert stuff(JT808, bytes.fromhex("7e 307e087d55 7e")).hex() == "7e307d02087d01557e"
    assert stuff(JT808, b"\x7e\x7e") == b"\x7e\x7e"
    assert stuff(JT808, b"\x7e") == b"\x7e"
    assert stuff(JT808, b"") == b""


def test_the_first_pair_for_a_byte_is_sent() -> None:
    assert stuff(DOUBLED, b"\x10\x02\x03\x03") == b"\x10\x02\x10\x83\x03"


def test_a_mark_without_a_pair_cannot_be_sent() -> None:
    escape = Escape(0x7D, {0x02: 0x7E})
    assert stuff(escape, b"\x01\x7e") == b"\x01\x7d\x02"
    with pytest.raises(EncodeError, match="7d"):
        stuff(escape, b"\x01\x7d")


@st.composite
def escapes(draw: st.DrawFn) -> Escape:
    """Any table that can send its own mark; small values, so that marks, pairs and content meet often."""
    value = st.integers(0, 7)
    table = draw(st.dictionaries(value, value, max_size=4))
    mark = draw(value)
    if mark not in table.values():
        table[draw(value)] = mark
    return Escape(mark, table, draw(st.integers(0, 2)), draw(st.integers(0, 2)))


@given(escapes(), st.lists(st.integers(0, 7), max_size=30).map(bytes))
def test_round_trip(escape: Escape, data: bytes) -> None:
    wire = stuff(escape, data)
    assert unescape(escape, wire) == data
    end = len(wire) - escape.raw_suffix
    content = wire[escape.raw_prefix : max(end, 0)]
    stuffed = set(escape.table.values()) - set(escape.table) - {escape.mark}
    assert not stuffed & set(content)


@given(st.lists(st.sampled_from([0x7D, 0x7E, 0x01, 0x02, 0x03]), max_size=30).map(bytes))
def test_what_is_read_is_what_would_be_sent(content: bytes) -> None:
    """Of wire bytes without a bare mark inside, exactly the well stuffed ones are read."""
    wire = b"\x7e" + content.replace(b"\x7e", b"\x04") + b"\x7e"
    try:
        read = unescape(JT808, wire)
    except DecodeError as error:
        at = error.offset
        assert at is not None
        assert wire[at] == 0x7D
        assert wire[at + 1 : at + 2] not in (b"\x01", b"\x02")
    else:
        assert stuff(JT808, read) == wire
