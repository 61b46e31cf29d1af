"""End marks: the earliest complete one, limits, marks that cannot be content, and how much is searched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import Framer, cut
from decoders.framing.measure import TOO_LONG, TOO_SHORT, Measure, Seen
from decoders.framing.plan import Escape, FrameKind, StopBytes
from decoders.framing.stop_bytes import measure_stop_bytes
from tests.decoders.specs import product, read


class Searched(bytearray):
    """Counts the bytes that searches were given."""

    searched = 0

    def find(self, sub: bytes, start: int, end: int) -> int:  # type: ignore[override]
        place = super().find(sub, start, end)
        self.searched += max((end if place < 0 else place + len(sub)) - start, 0)
        return place


def measure_of(
    *stops: bytes, begins: bytes = b"*", least: int = 2, most: int = 1000, escape: Escape | None = None
) -> Measure:
    rule = StopBytes(stops)
    first = tuple(frozenset({value}) for value in begins)
    return measure_stop_bytes(FrameKind("k", 0, first, rule, least, most, escape), rule, 0)


def ask(measure: Measure, text: bytes, start: int = 0) -> int:
    return measure(text, start, len(text), {})


@pytest.mark.parametrize("start", [0, 5])
def test_answers(start: int) -> None:
    measure = measure_of(b"#", least=5, most=8)
    lead = b"#####"[:start]
    assert ask(measure, lead + b"*", start) == -2
    assert ask(measure, lead + b"*abc", start) == -5
    assert ask(measure, lead + b"*abc#", start) == 5
    assert ask(measure, lead + b"*abc#more#", start) == 5
    assert ask(measure, lead + b"*#cd#", start) == 5
    assert ask(measure, lead + b"*abcdef#", start) == 8
    assert ask(measure, lead + b"*abcdefg", start) == TOO_LONG
    assert ask(measure, lead + b"*abcdefg#", start) == TOO_LONG


@given(st.lists(st.sampled_from(b"a\r\n;"), max_size=12).map(bytes), st.integers(0, 5))
def test_the_stop_that_is_complete_first_ends_the_frame(text: bytes, least: int) -> None:
    stops = (b"\r\n", b"\n\n", b";", b"\r\na")
    measure = measure_of(*stops, least=least)
    wire = b"*" + text
    ends = [
        at
        for at in range(max(least, 1), len(wire) + 1)
        if any(wire[:at].endswith(stop) and at - len(stop) >= 1 for stop in stops)
    ]
    assert ask(measure, wire) == (ends[0] if ends else -(len(wire) + 1))


def test_a_mark_that_starts_frames_ends_one_at_once() -> None:
    measure = measure_of(b"\x7e", begins=b"\x7e", least=6)
    assert ask(measure, b"\x7e") == -2
    assert ask(measure, b"\x7e\x7e") == TOO_SHORT
    assert ask(measure, b"\x7e\x7e1234\x7e") == TOO_SHORT
    assert ask(measure, b"\x7e1\x7e1234\x7e") == TOO_SHORT
    assert ask(measure, b"\x7e1234\x7e") == 6


def test_a_stuffed_mark_is_never_content() -> None:
    escape = Escape(0x10, {0x23: 0x03, 0x30: 0x10}, 1, 1)
    assert ask(measure_of(b"\x03", begins=b"\x02", least=6, escape=escape), b"\x02a\x03bcd\x03") == TOO_SHORT
    assert ask(measure_of(b"\x03", begins=b"\x02", least=6), b"\x02a\x03bcd\x03") == 7


def test_the_stop_comes_after_the_first_bytes() -> None:
    assert ask(measure_of(b"\r\n", begins=b"\n", least=0), b"\n") == -2
    assert measure_of(b"\r\n", begins=b"", least=0)(b"\r\n", 1, 2, {}) == -2


@pytest.mark.parametrize("stops", [(b"#",), (b"\r\n", b"#"), (b"#", b"\r\n", b"ab")])
def test_drip_feed_searches_each_byte_about_once(stops: tuple[bytes, ...]) -> None:
    measure = measure_of(*stops, most=200_000)
    buffer, seen, size = Searched(b"*"), Seen(), 0
    for octet in b"x" * 100_000 + stops[-1]:
        buffer.append(octet)
        size = measure(buffer, 0, len(buffer), seen)
    assert size == len(buffer)
    assert buffer.searched <= 3 * len(stops) * len(buffer)


@pytest.mark.parametrize("stops", [(b"#",), (b"\r\n", b"#")])
@pytest.mark.parametrize("tail", [b"", b"\r\n"])
def test_many_starts_search_each_byte_about_once(stops: tuple[bytes, ...], tail: bytes) -> None:
    """Starts without an end, and frames that end while another stop is far away."""
    measure = measure_of(*stops, most=100_000)
    for text in (b"*" * 60_000, b"*x#" * 20_000):
        buffer, seen, at = Searched(text + tail), Seen(), 0
        while at < len(text):
            size = measure(buffer, at, len(buffer), seen)
            at += size if size > 0 else 1
        assert buffer.searched <= 3 * len(stops) * len(buffer)


TELEGRAM = 'frame: {format: text, start: "/", stop: "\\r\\n", trailer: [{literal: "!"}, {name: code, bytes: 4}]}\n'


def test_constants_before_the_stop_show_the_end_too() -> None:
    compiled = product(TELEGRAM + "fields: [{name: a, bytes: rest}]")
    one, two = b"/x\r\ny!\r\n!12\r\n!AB12\r\n", b"/z!0000\r\n"
    wire = b"!1234\r\n" + one + two
    for size in (1, 3, len(wire)):
        framer = Framer(compiled.framing)
        frames = [f for at in range(0, len(wire), size) for f in framer.receive(wire[at : at + size])]
        assert [frame.wire for frame in frames] == [one, two]
    assert read(compiled, two) == {"a": "z", "code": "0000"}
    short = product(TELEGRAM.replace("stop", "max_bytes: 12, stop") + "fields: [{name: a, bytes: rest}]")
    assert [frame.wire for frame in Framer(short.framing).receive(b"/" + b"\r\n" * 20 + two)] == [two]


def test_line_ends_behind_a_text_frame_that_comes_alone_mean_nothing() -> None:
    compiled = product('frame: {format: text, start: "*", stop: "#"}\nfields: [{name: a}]')
    assert cut(compiled.framing, b"*x#\r\n \0").wire == b"*x#"
    with pytest.raises(DecodeError) as caught:
        cut(compiled.framing, b"*x#\r\ny")
    assert caught.value.code is DecodeCode.TRAILING_BYTES
