"""Every size rule behind the framer: fed six ways, with garbage and with lies about the length."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.begins import starts
from decoders.framing.framer import Framer, cut
from decoders.framing.plan import FixedSize, Framing, StopBytes, WholeChunk
from tests.decoders.framing.samples import (
    DIGITS,
    FIXED,
    GT06,
    H02,
    JT808,
    SAMPLES,
    TELTONIKA,
    Sample,
    begins,
    each_frame,
    each_sample,
    feed,
    framing,
    named,
    octets,
    wifi_size,
)

# --------------------------------------------------------------------------------------------------------- the six ways


@each_frame
def test_whole(sample: Sample, name: str, wire: bytes) -> None:
    framer = Framer(sample.framing)
    frames = framer.receive(wire)
    assert named(frames) == [(name, wire)]
    assert frames[0].wire is wire
    assert (framer.buffered, framer.garbage, framer.garbage_run, framer.overlong) == (0, 0, 0, 0)


@each_frame
def test_byte_by_byte(sample: Sample, name: str, wire: bytes) -> None:
    framer = Framer(sample.framing)
    for count, octet in enumerate(octets(wire[:-1]), start=1):
        assert framer.receive(octet) == []
        assert framer.buffered == count
    assert named(framer.receive(wire[-1:])) == [(name, wire)]
    assert (framer.buffered, framer.garbage, framer.overlong) == (0, 0, 0)


@each_sample
def test_back_to_back(sample: Sample) -> None:
    framer = Framer(sample.framing)
    frames = list(sample.frames) * 3
    assert named(framer.receive(b"".join(wire for _, wire in frames))) == frames
    assert (framer.buffered, framer.garbage) == (0, 0)


@each_sample
def test_one_frame_a_call(sample: Sample) -> None:
    """What was learnt about one buffer says nothing about the next."""
    for frames in (list(sample.frames), list(sample.frames[::-1])):
        framer = Framer(sample.framing)
        assert feed(framer, [wire for _, wire in frames]) == frames
        assert (framer.buffered, framer.garbage) == (0, 0)


@each_frame
def test_tail_stays_for_the_next_frame(sample: Sample, name: str, wire: bytes) -> None:
    for at in range(1, len(wire)):
        framer = Framer(sample.framing)
        assert named(framer.receive(wire + wire[:at])) == [(name, wire)]
        assert framer.buffered == at
        assert named(framer.receive(wire[at:] + wire)) == [(name, wire)] * 2
        assert (framer.buffered, framer.garbage) == (0, 0)


@each_frame
def test_truncated_at_every_length(sample: Sample, name: str, wire: bytes) -> None:
    for at in range(len(wire)):
        framer = Framer(sample.framing)
        assert framer.receive(wire[:at]) == []
        assert framer.finish() == wire[:at]
        assert (framer.buffered, framer.garbage) == (0, 0)
        with pytest.raises(DecodeError, match=f"have {at}$") as caught:
            cut(sample.framing, wire[:at])
        assert caught.value.code is DecodeCode.TRUNCATED
        assert caught.value.offset == at


@each_frame
@pytest.mark.parametrize("buffer", [bytearray, memoryview])
def test_other_buffers(sample: Sample, name: str, wire: bytes, buffer: Callable[[bytes], bytes]) -> None:
    framer = Framer(sample.framing)
    for chunks in ([wire], octets(wire), [wire[:3], wire[3:]]):
        frames = [frame for chunk in chunks for frame in framer.receive(buffer(chunk))]
        assert named(frames) == [(name, wire)]
        assert type(frames[0].wire) is bytes
    assert named([cut(sample.framing, buffer(wire))]) == [(name, wire)]


def test_a_frame_is_no_view_of_the_caller_s_buffer() -> None:
    data = bytearray(b"\xa5\1\2\3\4\x5a")
    (frame,) = Framer(FIXED).receive(data)
    data[1] = 0xFF
    assert frame.wire == b"\xa5\1\2\3\4\x5a"


# ---------------------------------------------------------------------------------------------- garbage and lost starts


@each_frame
def test_garbage_before_between_and_after(sample: Sample, name: str, wire: bytes) -> None:
    framer = Framer(sample.framing)
    noise = sample.garbage * 5
    assert named(framer.receive(noise + wire + noise + wire)) == [(name, wire)] * 2
    assert (framer.garbage, framer.garbage_run) == (2 * len(noise), 0)
    assert framer.receive(noise) == []
    assert framer.garbage_run + framer.buffered == len(noise)
    assert framer.overlong == 0


@each_sample
def test_half_a_frame_then_a_whole_one_recovers_within_the_maximum(sample: Sample) -> None:
    """Bytes that look like a start can swallow what follows, but never more than max_bytes."""
    longest = max(kind.max_bytes for kind in sample.framing.kinds)
    name, wire = sample.frames[0]
    framer = Framer(sample.framing)
    framer.receive(wire[: len(wire) // 2])
    later = feed(framer, [wire] * (longest // len(wire) + 3))
    assert later[-1] == (name, wire)
    assert framer.buffered == 0


DECLARED_TOO_LONG = [
    pytest.param(GT06, b"\x79\x79\xff\xff", b"\0", id="gt06"),
    pytest.param(TELTONIKA, b"\0\0\0\0\xff\xff\xff\xff", b"\xff", id="teltonika"),
    pytest.param(DIGITS, b"$9999", b"x", id="digits"),
]


@pytest.mark.parametrize(("plan", "header", "filler"), DECLARED_TOO_LONG)
def test_a_declared_length_beyond_the_maximum_is_never_waited_for(plan: Framing, header: bytes, filler: bytes) -> None:
    framer = Framer(plan)
    assert framer.receive(header + filler * 3) == []
    assert framer.buffered == 0
    assert framer.overlong >= 1
    assert framer.garbage == framer.garbage_run == len(header) + 3


@pytest.mark.parametrize(("plan", "header", "filler"), DECLARED_TOO_LONG)
def test_cut_says_that_the_declared_length_is_too_long(plan: Framing, header: bytes, filler: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        cut(plan, header + filler * 3)
    assert caught.value.code is DecodeCode.FRAME_TOO_LONG


@pytest.mark.parametrize("split", [octets, lambda data: [data]], ids=["octets", "whole"])
def test_no_stop_within_the_maximum_drops_the_start(split: Callable[[bytes], list[bytes]]) -> None:
    good = b"*HQ,1234567890#"
    framer = Framer(H02)
    assert feed(framer, split(b"*HQ," + b"x" * 500 + good)) == [("text", good)]
    assert framer.overlong == 1
    assert (framer.garbage, framer.garbage_run) == (504, 0)
    with pytest.raises(DecodeError) as caught:
        cut(H02, b"*HQ," + b"x" * 296)
    assert caught.value.code is DecodeCode.FRAME_TOO_LONG


def test_a_frame_of_the_maximum_passes_and_one_byte_more_does_not() -> None:
    text = b"*HQ," + b"x" * 295 + b"#"
    assert named(Framer(H02).receive(text)) == [("text", text)]
    framer = Framer(H02)
    assert framer.receive(text[:-1] + b"x#") == []
    assert (framer.overlong, framer.buffered) == (1, 0)


KEEPALIVES = [
    pytest.param(sample, keepalive, id=f"{name}-{keepalive.hex()}")
    for name, sample in SAMPLES.items()
    for keepalive in (b"\n", b"\r", b"\0", b"\r\n")
    if all(keepalive[0] not in starts(kind.begins) for kind in sample.framing.kinds)
]  # what cannot start a frame of the product


@pytest.mark.parametrize(("sample", "keepalive"), KEEPALIVES)
def test_keepalives_between_frames_are_garbage(sample: Sample, keepalive: bytes) -> None:
    framer = Framer(sample.framing)
    for name, wire in sample.frames:
        assert framer.receive(keepalive) == []
        assert named(framer.receive(wire)) == [(name, wire)]
    assert framer.garbage == len(keepalive) * len(sample.frames)


# -------------------------------------------------------------------------------------------- several kinds, same marks


def test_a_kind_that_cannot_be_leaves_the_bytes_to_the_next_one() -> None:
    """Starts like the Wi-Fi message, but is a frame with a length field."""
    short = bytes.fromhex("7878 0a69 0102030405 0001 8cdd 0d0a")
    assert wifi_size(short) == 82  # would wait for 82 bytes: only the stop bytes tell
    framer = Framer(GT06)
    assert framer.receive(short) == []
    following = bytes.fromhex("7878 05 13 0002 8cdd 0d0a")
    assert named(framer.receive(following * 7)) == [("short", short)] + [("short", following)] * 7


def test_the_first_fitting_kind_wins() -> None:
    plan = framing(
        ("four", begins(1), FixedSize(4, b"\x04"), 4, 4), ("two", begins(1), FixedSize(2), 2, 2)
    )  # both fit 01 ...
    assert feed(Framer(plan), [b"\1\2\3\4\1\2\3\5"]) == [("four", b"\1\2\3\4"), ("two", b"\1\2")]


def test_an_earlier_kind_that_may_still_fit_is_waited_for() -> None:
    plan = framing(("long", begins(1, 2, 3), FixedSize(4), 4, 4), ("short", begins(1, 2), FixedSize(2), 2, 2))
    framer = Framer(plan)
    assert framer.receive(b"\1\2") == []
    assert named(framer.receive(b"\3\4\1\2\4")) == [("long", b"\1\2\3\4"), ("short", b"\1\2")]


def test_an_empty_pair_of_marks_starts_the_next_frame() -> None:
    wire = b"\x7e" + bytes(range(1, 20)) + b"\x7e"
    for noise in (b"\x7e", b"\x7e\x7e", b"\x01\x02\x7e", b"\x7e\x05\x7e\x7e\x7e"):
        for split in (octets, lambda data: [data]):
            framer = Framer(JT808)
            assert feed(framer, split(noise + wire + wire)) == [("message", wire)] * 2
            assert framer.garbage == len(noise)


def test_same_mark_without_stuffing() -> None:
    plan = framing(("text", begins(0x24), StopBytes((b"$",)), 5, 50))
    assert feed(Framer(plan), [b"$$abc$$defg$"]) == [("text", b"$abc$"), ("text", b"$defg$")]


def test_a_stop_byte_in_the_shortest_frame_is_content() -> None:
    wire = b"*HQ,#2345#"
    assert feed(Framer(H02), octets(wire)) == [("text", wire)]


def test_a_chunk_is_a_frame() -> None:
    plan = framing(("datagram", (), WholeChunk(), 1, 20))
    framer = Framer(plan)
    assert feed(framer, [b"abc", b"", b"d", b"x" * 20]) == [
        ("datagram", b"abc"),
        ("datagram", b"d"),
        ("datagram", b"x" * 20),
    ]
    assert framer.receive(b"x" * 21) == []
    assert (framer.garbage, framer.overlong, framer.buffered) == (21, 1, 0)
