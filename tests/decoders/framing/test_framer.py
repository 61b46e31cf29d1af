"""Every size rule behind the framer, fed six ways, with garbage, lies about the length, and bytes of all kinds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.begins import starts
from decoders.framing.framer import Framer, cut
from decoders.framing.plan import (
    ComputedSize,
    Escape,
    FixedSize,
    Frame,
    FrameKind,
    Framing,
    LengthField,
    SizeRule,
    StopBytes,
    WholeChunk,
)


def begins(*values: int | Iterable[int] | None) -> tuple[frozenset[int] | None, ...]:
    return tuple(None if value is None else frozenset({value} if isinstance(value, int) else value) for value in values)


def framing(*kinds: tuple[str, tuple[frozenset[int] | None, ...], SizeRule, int, int]) -> Framing:
    return Framing(tuple(FrameKind(kind[0], index, *kind[1:]) for index, kind in enumerate(kinds)))


def wifi_size(buffer: bytes | bytearray) -> int | None:
    """A tracker's Wi-Fi message: its third byte counts access points, not bytes."""
    return 12 + buffer[2] * 7 if len(buffer) > 2 else None


def modbus_size(buffer: bytes | bytearray) -> int | None:
    """A Modbus RTU response: by function; 3 and 4 say how many data bytes follow."""
    if len(buffer) < 2:
        return None
    if buffer[1] in (3, 4):
        return 5 + buffer[2] if len(buffer) > 2 else None
    return {6: 8, 16: 8, 0x83: 5}.get(buffer[1], -1)


GT06 = framing(
    ("wifi", begins(0x78, 0x78, range(0x15), (0x17, 0x69)), ComputedSize(wifi_size, b"\r\n"), 12, 152),
    ("short", begins(0x78, 0x78), LengthField(2, 1, add=5, stop=b"\r\n"), 10, 260),
    ("long", begins(0x79, 0x79), LengthField(2, 2, add=6, stop=b"\r\n"), 11, 2048),
)
JT808 = Framing(
    (FrameKind("message", 0, begins(0x7E), StopBytes((b"\x7e",)), 15, 200, Escape(0x7D, {1: 0x7D, 2: 0x7E}, 1, 1)),)
)
TELTONIKA = framing(
    ("login", begins(0, range(0x0F, 0x12)), LengthField(0, 2, add=2), 17, 19),
    ("data", begins(0, 0, 0, 0), LengthField(4, 4, add=12), 13, 1300),
)
MODBUS = framing(("response", begins(None, (3, 4, 6, 16, 0x83)), ComputedSize(modbus_size), 5, 256))
H02 = framing(
    ("text", begins(*b"*HQ,"), StopBytes((b"#",)), 10, 300),
    ("binary", begins(0x24), FixedSize(32), 32, 32),
)
GPS103 = framing(
    ("login", begins(*b"##"), StopBytes((b";",)), 10, 200),
    ("position", begins(*b"imei:"), StopBytes((b";",)), 10, 200),
    ("heartbeat", begins(range(0x30, 0x3A)), StopBytes((b";",)), 16, 16),
)
LINES = framing(("line", begins(range(0x20, 0x7F)), StopBytes((b"\r\n", b"\n")), 2, 80))
FIXED = framing(("fixed", begins(0xA5), FixedSize(6, b"\x5a"), 6, 6))
DIGITS = framing(("sized", begins(0x24), LengthField(1, 4, add=5, base=10), 5, 100))


@dataclass(frozen=True)
class Sample:
    framing: Framing
    frames: tuple[tuple[str, bytes], ...]
    garbage: bytes  # values that start nothing


SAMPLES = {
    "gt06": Sample(
        GT06,
        (
            ("short", bytes.fromhex("7878 0d01 0123456789012345 0001 8cdd 0d0a")),
            ("short", bytes.fromhex("7878 05 13 0002 8cdd 0d0a")),
            ("long", bytes.fromhex("7979 0008 94 040506 0003 1234 0d0a")),
            ("long", b"\x79\x79\x07\xd0" + bytes(2000) + b"\r\n"),
            ("wifi", b"\x78\x78\x02\x69" + bytes(20) + b"\r\n"),
        ),
        b"\r\n\0\x01",
    ),
    "jt808": Sample(
        JT808,
        (
            ("message", b"\x7e" + bytes(range(1, 20)) + b"\x7e"),
            ("message", b"\x7e\x02\x00\x7d\x02\x7d\x01" + bytes(10) + b"\x7e"),
        ),
        b"\r\n\0\x7d",
    ),
    "teltonika": Sample(
        TELTONIKA,
        (
            ("login", b"\x00\x0f356307042441013"),
            ("data", bytes(4) + (20).to_bytes(4, "big") + bytes(range(20)) + b"\0\0\xab\xcd"),
            ("data", bytes(4) + (1200).to_bytes(4, "big") + bytes(1204)),
        ),
        b"\r\n\xff",
    ),
    "modbus": Sample(
        MODBUS,
        (
            ("response", bytes.fromhex("11 03 04 0001 0002 abcd")),
            ("response", bytes.fromhex("11 83 02 abcd")),
            ("response", bytes.fromhex("11 06 0001 0002 abcd")),
        ),
        b"\r\n\0\xff",
    ),
    "h02": Sample(
        H02,
        (
            ("text", b"*HQ,4209917484,V1,054204,A,3724.8319,N,00555.1124,W,000.00,000,280715,FFFFFBFF#"),
            ("text", b"*HQ,1234#####"[:10]),
            ("binary", b"$" + bytes(range(31))),
        ),
        b"\r\n\0;",
    ),
    "gps103": Sample(
        GPS103,
        (
            ("login", b"##,imei:359587010124900,A;"),
            ("position", b"imei:359587010124900,tracker,0809231929,13554900601,F,112909.397,A,2234.4669,N,1,E,0,;"),
            ("heartbeat", b"359587010124900;"),
        ),
        b"\r\n\0;",
    ),
    "lines": Sample(LINES, (("line", b"hello, world\r\n"), ("line", b"x\n"), ("line", b"x" * 79 + b"\n")), b"\r\n\0"),
    "fixed": Sample(FIXED, (("fixed", b"\xa5\1\2\3\4\x5a"), ("fixed", b"\xa5\xa5\xa5\x5a\x5a\x5a")), b"\r\n\0\x5a"),
    "digits": Sample(DIGITS, (("sized", b"$0003abc"), ("sized", b"$0000")), b"\r\n\0009"),
}
CASES = [pytest.param(s, n, w, id=f"{name}-{i}") for name, s in SAMPLES.items() for i, (n, w) in enumerate(s.frames)]
each_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
each_frame = pytest.mark.parametrize(("sample", "name", "wire"), CASES)


def named(frames: Iterable[Frame]) -> list[tuple[str, bytes]]:
    return [(frame.kind.name, frame.wire) for frame in frames]


def feed(framer: Framer, chunks: Iterable[bytes]) -> list[tuple[str, bytes]]:
    return [frame for chunk in chunks for frame in named(framer.receive(chunk))]


def octets(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# ------------------------------------------------------------------------------------------------- the six ways


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


# ------------------------------------------------------------------------------------- garbage and lost starts


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


# ----------------------------------------------------------------------------------- several kinds, same marks


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


# ----------------------------------------------------------------------------------------------------------- cut


@each_frame
def test_cut_gives_the_frame(sample: Sample, name: str, wire: bytes) -> None:
    frame = cut(sample.framing, wire)
    assert named([frame]) == [(name, wire)]
    assert frame.wire is wire


@each_frame
def test_cut_refuses_a_tail(sample: Sample, name: str, wire: bytes) -> None:
    for tail in (b"\0", wire):
        with pytest.raises(DecodeError) as caught:
            cut(sample.framing, wire + tail)
        assert (caught.value.code, caught.value.offset) == (DecodeCode.TRAILING_BYTES, len(wire))


@pytest.mark.parametrize(
    ("plan", "wire", "code", "offset", "detail"),
    [
        (GT06, "", DecodeCode.TRUNCATED, 0, "need at least 10 bytes, have 0"),
        (GT06, "7878 ff", DecodeCode.TRUNCATED, 3, "need at least 260 bytes, have 3"),
        (GT06, "7979 1f", DecodeCode.TRUNCATED, 3, "need at least 11 bytes, have 3"),
        (GT06, "6868 0513 0002 8cdd 0d0a", DecodeCode.NOT_A_FRAME, 0, "no frame starts with 68 68 05 13 00 02 8c dd"),
        (GT06, "7868 0513 0002 8cdd 0d0a", DecodeCode.NOT_A_FRAME, 0, "no frame starts with 78 68 05 13 00 02 8c dd"),
        (GT06, "7878 0513 0002 8cdd 0d0b", DecodeCode.BAD_CONST, 8, "stop bytes 0d 0a expected, found 0d 0b"),
        (GT06, "7878 0413 0002 8cdd 0d0a", DecodeCode.BAD_LENGTH, 2, "the length is 9 bytes, at least 10 needed"),
        (GT06, "7979 ffff", DecodeCode.FRAME_TOO_LONG, 2, "65541 bytes, at most 2048 allowed"),
        (DIGITS, "24 2b303033", DecodeCode.BAD_LENGTH, 1, "the length is no number, at least 5 needed"),
        (FIXED, "a50102030405", DecodeCode.BAD_CONST, 5, "stop bytes 5a expected, found 05"),
        (MODBUS, "11 03 ff", DecodeCode.FRAME_TOO_LONG, None, "260 bytes, at most 256 allowed"),
        (JT808, "7e7e", DecodeCode.TRUNCATED, 2, "need at least 15 bytes, have 2"),
        (JT808, "7e 01 7e" + "02" * 20 + "7e", DecodeCode.TRUNCATED, None, "the stop comes before byte 15"),
    ],
)
def test_cut_says_why(plan: Framing, wire: str, code: DecodeCode, offset: int | None, detail: str) -> None:
    with pytest.raises(DecodeError) as caught:
        cut(plan, bytes.fromhex(wire))
    assert (caught.value.code, caught.value.offset) == (code, offset)
    assert caught.value.detail.startswith(detail)


# ------------------------------------------------------------------------------------------------- any bytes


@st.composite
def streams(draw: st.DrawFn) -> tuple[Sample, list[tuple[str, bytes]], int, list[bytes]]:
    """A sample, frames of it, the count of garbage bytes around them, and the stream in arbitrary chunks."""
    sample = draw(st.sampled_from(list(SAMPLES.values())))
    frames: list[tuple[str, bytes]] = []
    stream, noise = b"", 0
    for name, wire in draw(st.lists(st.sampled_from(sample.frames), max_size=6)):
        garbage = bytes(draw(st.lists(st.sampled_from(sample.garbage), max_size=8)))
        stream += garbage + wire
        noise += len(garbage)
        frames.append((name, wire))
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return sample, frames, noise, [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


@given(streams())
def test_any_split_gives_the_same_frames(stream: tuple[Sample, list[tuple[str, bytes]], int, list[bytes]]) -> None:
    sample, frames, noise, chunks = stream
    framer = Framer(sample.framing)
    assert feed(framer, chunks) == frames
    assert (framer.garbage, framer.buffered, framer.overlong) == (noise, 0, 0)


@st.composite
def rubbish(draw: st.DrawFn) -> tuple[Sample, list[bytes]]:
    """Chunks of random bytes and of pieces of frames: what comes close to a frame and is none."""
    sample = draw(st.sampled_from(list(SAMPLES.values())))
    wires = [wire for _, wire in sample.frames]
    pieces = [wire[a:b] for wire in wires for a, b in ((0, None), (0, 1), (0, 4), (0, -1), (1, None), (-2, None))]
    return sample, draw(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(pieces)), max_size=30))


@given(rubbish())
def test_any_bytes_never_raise_stay_bounded_and_are_all_accounted_for(case: tuple[Sample, list[bytes]]) -> None:
    sample, chunks = case
    longest = max(kind.max_bytes for kind in sample.framing.kinds)
    framer, framed = Framer(sample.framing), 0
    for chunk in chunks:
        for frame in framer.receive(chunk):
            assert frame.kind.min_bytes <= len(frame.wire) <= frame.kind.max_bytes
            assert named([cut(sample.framing, frame.wire)]) == named([frame])
            framed += len(frame.wire)
        assert framer.buffered < longest
    assert framed + framer.garbage + len(framer.finish()) == sum(map(len, chunks))


@given(rubbish())
def test_rubbish_gives_the_same_however_it_is_split(case: tuple[Sample, list[bytes]]) -> None:
    sample, chunks = case
    stream = b"".join(chunks)
    results = []
    for split in (chunks, [stream], octets(stream)):
        framer = Framer(sample.framing)
        results.append((feed(framer, split), framer.garbage, framer.garbage_run, framer.overlong, framer.finish()))
    assert results[0] == results[1] == results[2]


@given(rubbish())
def test_cut_agrees_with_the_framer(case: tuple[Sample, list[bytes]]) -> None:
    sample, chunks = case
    for data in chunks:
        framer = Framer(sample.framing)
        alone = [frame.wire for frame in framer.receive(data)] == [data]
        try:
            cut(sample.framing, data)
        except DecodeError:
            assert not alone
        else:
            assert alone


# ---------------------------------------------------------------------------------------------- cost and size


def counted(stops: bytes) -> tuple[Framing, list[int]]:
    """A framing that ends with `stops`, and the bytes handed to a first kind that never fits: each time the framer
    looks at a position, it shows here."""
    looks: list[int] = []

    def never(buffer: bytes | bytearray) -> int:
        looks.append(len(buffer))
        return -1

    return (
        framing(
            ("never", begins(0x2A), ComputedSize(never), 1, 64), ("text", begins(0x2A), StopBytes((stops,)), 2, 200_000)
        ),
        looks,
    )


def test_a_frame_that_trickles_in_is_looked_at_once_a_byte() -> None:
    plan, looks = counted(b"#")
    framer = Framer(plan)
    wire = b"*" + b"x" * 99_998 + b"#"
    assert feed(framer, octets(wire)) == [("text", wire)]
    assert len(looks) <= len(wire) + 1


def test_a_declared_length_is_looked_at_only_when_its_bytes_are_there() -> None:
    calls = 0

    def size(buffer: bytes | bytearray) -> int | None:
        nonlocal calls
        calls += 1
        return 50_000 if len(buffer) > 3 else None

    framer = Framer(framing(("sized", begins(1), ComputedSize(size), 4, 60_000)))
    assert len(feed(framer, octets(b"\1" + bytes(49_999)))) == 1
    assert calls <= 8


@pytest.mark.parametrize("split", [octets, lambda data: [data]], ids=["octets", "whole"])
def test_garbage_costs_a_bounded_number_of_bytes_each(split: Callable[[bytes], list[bytes]]) -> None:
    plan, looks = counted(b"#")
    framer = Framer(Framing(plan.kinds[:1]))
    feed(framer, split(b"*" * 20_000))
    assert framer.garbage == 20_000
    assert len(looks) <= 2 * 20_000
    assert sum(size for size in looks if size < 20_000) <= 64 * len(looks)  # only the uncopied whole is larger


def test_a_framer_is_small() -> None:
    framers = [Framer(sample.framing) for sample in SAMPLES.values()]
    for framer, sample in zip(framers, SAMPLES.values(), strict=True):
        feed(framer, [sample.garbage, *octets(sample.frames[0][1])])
        own = [getattr(framer, name) for name in ("_held", "_seen")]
        assert sys.getsizeof(framer) + sum(sys.getsizeof(part) for part in own) < 1024
        assert not hasattr(framer, "__dict__")
