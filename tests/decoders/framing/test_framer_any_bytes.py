"""The framer on any bytes: same frames however split, bounded memory, linear work."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeError
from decoders.framing.framer import Framer, cut
from decoders.framing.plan import ComputedSize, Framing, StopBytes
from tests.decoders.framing.samples import (
    SAMPLES,
    Sample,
    begins,
    feed,
    framing,
    named,
    octets,
)


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
