"""Datagrams."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import Framer, cut
from decoders.framing.measure import NOT_THIS, TOO_LONG, TOO_SHORT
from decoders.framing.plan import FrameKind, Framing, WholeChunk
from decoders.framing.whole_chunk import measure_whole_chunk, never_waits

KIND = FrameKind("datagram", 0, (frozenset({1}), frozenset({2})), WholeChunk(), 3, 6)


def test_answers() -> None:
    measure = measure_whole_chunk(KIND)
    assert measure(b"\1\2", 0, 2, {}) == TOO_SHORT
    assert measure(b"\1\2\3", 0, 3, {}) == 3
    assert measure(b"\1\2\3\4\5\6", 0, 6, {}) == 6
    assert measure(b"\1\2\3\4\5\6\7", 0, 7, {}) == TOO_LONG
    assert measure(b"\0\1\2\3", 1, 4, {}) == NOT_THIS


def test_nothing_is_waited_for() -> None:
    for answer, passed_on in ((-7, TOO_SHORT), (5, 5), (NOT_THIS, NOT_THIS), (TOO_LONG, TOO_LONG)):
        assert never_waits(lambda *_, answer=answer: answer)(b"", 0, 0, {}) == passed_on


def test_each_chunk_stands_alone() -> None:
    framer = Framer(Framing((KIND,)))
    assert framer.receive(b"\1") == []
    assert framer.receive(b"\2\3\4") == []
    assert framer.receive(b"\0\1\2\3") == []
    assert (framer.garbage, framer.buffered) == (8, 0)
    assert [frame.wire for frame in framer.receive(b"\1\2\3")] == [b"\1\2\3"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\1", DecodeCode.TRUNCATED),
        (b"\1\2", DecodeCode.TRUNCATED),
        (b"\1\3\3", DecodeCode.NOT_A_FRAME),
        (b"\1\2\3\4\5\6\7", DecodeCode.FRAME_TOO_LONG),
    ],
)
def test_cut_says_why(data: bytes, code: DecodeCode) -> None:
    with pytest.raises(DecodeError) as caught:
        cut(Framing((KIND,)), data)
    assert caught.value.code is code
