"""One compiled matcher for all connections of a product."""

from __future__ import annotations

from decoders.framing.framer import Framer
from decoders.framing.matcher import MAX_CACHED, matcher_of
from decoders.framing.plan import FixedSize, FrameKind, Framing, StopBytes, WholeChunk


def fixed(size: int, *begins: frozenset[int] | None) -> Framing:
    return Framing((FrameKind("k", 0, begins, FixedSize(size), size, size),))


def test_the_same_framing_is_compiled_once() -> None:
    framing = fixed(4)
    assert matcher_of(framing) is matcher_of(framing)
    assert matcher_of(fixed(4)) is not matcher_of(framing)


def test_the_cache_is_bounded_and_a_framer_outlives_its_entry() -> None:
    framing = fixed(2)
    framer, matcher = Framer(framing), matcher_of(framing)
    others = [fixed(3) for _ in range(MAX_CACHED)]
    for other in others:
        matcher_of(other)
    assert matcher_of(framing) is not matcher
    assert matcher_of(others[-1]) is matcher_of(others[-1])
    assert [frame.wire for frame in framer.receive(b"abcd")] == [b"ab", b"cd"]


def test_kinds_by_first_byte_keep_their_order() -> None:
    kinds = (
        FrameKind("any", 0, (), FixedSize(4), 4, 4),
        FrameKind("star", 1, (frozenset(b"*"),), StopBytes((b"#",)), 2, 9),
        FrameKind("second", 2, (None, frozenset(b"Q")), FixedSize(3), 3, 3),
        FrameKind("few", 3, (frozenset(b"*$"),), FixedSize(5), 5, 5),
    )
    by_first = matcher_of(Framing(kinds)).by_first
    assert [kind.name for _, kind in by_first[ord("*")]] == ["any", "star", "second", "few"]
    assert [kind.name for _, kind in by_first[ord("$")]] == ["any", "second", "few"]
    assert [kind.name for _, kind in by_first[0]] == ["any", "second"]


def test_kinds_do_not_share_what_their_searches_have_seen() -> None:
    kinds = (
        FrameKind("hash", 0, (frozenset(b"*"),), StopBytes((b"#", b"!")), 2, 9),
        FrameKind("semicolon", 1, (frozenset(b"*"),), StopBytes((b";",)), 2, 99),
    )
    text = b"*xx;xxxxxxxx*abc!"
    assert [(frame.kind.name, frame.wire) for frame in Framer(Framing(kinds)).receive(text)] == [
        ("semicolon", b"*xx;"),
        ("hash", b"*abc!"),
    ]


def test_chunks_are_not_searched_for() -> None:
    matcher = matcher_of(Framing((FrameKind("k", 0, (), WholeChunk(), 1, 9),)))
    assert matcher.find(b"abcdef", 1) == 6
