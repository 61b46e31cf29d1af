"""Several products on one port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.framing.detect import Detection, Detector
from decoders.framing.plan import FixedSize, Frame, FrameKind, Framing, LengthField, StopBytes


def one(begins: bytes, size: LengthField | StopBytes | FixedSize, least: int, most: int) -> Framing:
    first = tuple(frozenset({value}) for value in begins)
    return Framing((FrameKind("k", 0, first, size, least, most),))


TRACKER = one(b"\x78\x78", LengthField(2, 1, add=5, stop=b"\r\n"), 10, 260)
STUFFED = one(b"\x7e", StopBytes((b"\x7e",)), 6, 100)
TEXT = one(b"*HQ,", StopBytes((b"#",)), 10, 200)
CANDIDATES = [("tracker", TRACKER), ("stuffed", STUFFED), ("text", TEXT)]
FRAMES = {
    "tracker": bytes.fromhex("7878 05 13 0002 8cdd 0d0a"),
    "stuffed": b"\x7eabcdef\x7e",
    "text": b"*HQ,1234567890#",
}


def sound(name: str, frame: Frame) -> bool:
    return b"BAD" not in frame.wire


def feed(detector: Detector, data: bytes) -> Detection | None:
    """Byte by byte until somebody wins."""
    for at in range(len(data)):
        found = detector.receive(data[at : at + 1])
        if found is not None:
            return found
    return None


@pytest.mark.parametrize("name", FRAMES)
def test_the_first_sound_frame_tells(name: str) -> None:
    wire = FRAMES[name]
    detector = Detector(CANDIDATES, sound)
    found = detector.receive(wire)
    assert found is not None
    assert (found.name, [frame.wire for frame in found.frames]) == (name, [wire])
    assert (detector.garbage, detector.failed) == (0, False)


@pytest.mark.parametrize("name", FRAMES)
def test_byte_by_byte_with_garbage_before(name: str) -> None:
    detector = Detector(CANDIDATES, sound)
    found = feed(detector, b"\r\n\0" + FRAMES[name])
    assert found is not None
    assert (found.name, detector.garbage) == (name, 3)


@pytest.mark.parametrize("name", FRAMES)
def test_the_session_goes_on_with_the_framer(name: str) -> None:
    wire = FRAMES[name]
    found = Detector(CANDIDATES, sound).receive(wire * 2 + wire[:4])
    assert found is not None
    assert [frame.wire for frame in found.frames] == [wire, wire]
    assert found.framer.buffered == 4
    assert [frame.wire for frame in found.framer.receive(wire[4:])] == [wire]


def test_the_earlier_candidate_wins_the_same_bytes() -> None:
    wire = FRAMES["text"]
    other = one(b"*", StopBytes((b"#",)), 5, 100)
    for candidates in ([("a", TEXT), ("b", other)], [("a", other), ("b", TEXT)]):
        found = Detector(candidates, sound).receive(wire)
        assert found is not None
        assert found.name == "a"


def test_a_frame_inside_another_protocols_frame_does_not_win() -> None:
    inside = one(b"\x00", FixedSize(4), 4, 4)
    wire = b"\x7eab\x00\x01\x02\x03\x7e"
    for candidates in ([("inside", inside), ("stuffed", STUFFED)], [("stuffed", STUFFED), ("inside", inside)]):
        detector = Detector(candidates, sound)
        found = detector.receive(wire)
        assert found is not None
        assert (found.name, detector.garbage) == ("stuffed", 0)


def test_an_unsound_frame_leaves_the_bytes_to_others() -> None:
    wire = FRAMES["text"]
    asked: list[str] = []

    def only_b(name: str, frame: Frame) -> bool:
        asked.append(name)
        return name == "b"

    found = Detector([("a", TEXT), ("b", TEXT)], only_b).receive(wire)
    assert found is not None
    assert (found.name, asked) == ("b", ["a", "b"])


def test_an_unsound_frame_does_not_exclude_its_candidate() -> None:
    bad = b"*HQ,BAD7890#"
    detector = Detector(CANDIDATES, sound)
    assert detector.receive(bad) is None
    assert (detector.garbage, detector.failed) == (len(bad), False)
    found = detector.receive(bad + FRAMES["text"])
    assert found is not None
    assert [frame.wire for frame in found.frames] == [FRAMES["text"]]
    assert detector.garbage == 2 * len(bad)


def test_unsound_frames_beyond_the_limit_exclude() -> None:
    detector = Detector([("text", TEXT)], sound, max_garbage=30)
    for _ in range(2):
        assert detector.receive(b"*HQ,BAD7890#") is None
    assert not detector.failed
    assert detector.receive(b"*HQ,BAD7890#") is None
    assert (detector.failed, detector.garbage, detector.buffered) == (True, 36, 0)
    assert detector.receive(FRAMES["text"]) is None


@pytest.mark.parametrize("size", [50, 51])
def test_garbage_up_to_the_limit_passes(size: int) -> None:
    detector = Detector(CANDIDATES, sound, max_garbage=50)
    assert feed(detector, b"\xff" * size) is None
    assert (detector.garbage, detector.failed) == (size, size > 50)
    assert (detector.receive(FRAMES["tracker"]) is None) == (size > 50)


def test_only_those_that_cannot_fit_drop_out() -> None:
    """A long stuffed frame is garbage for the others, and for them alone."""
    detector = Detector(CANDIDATES, sound, max_garbage=50)
    assert detector.receive(b"\x7e" + b"-" * 60) is None
    assert (detector.garbage, detector.failed, detector.buffered) == (0, False, 61)
    assert detector.receive(b"*HQ,") is None
    found = detector.receive(b"12345#" + b"\x7e")
    assert found is not None
    assert found.name == "stuffed"


def test_no_candidates() -> None:
    detector = Detector([], sound)
    assert detector.failed
    assert detector.receive(b"x") is None


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\x78\x78\xff", b"\x7e", b"*HQ,"]), max_size=40))
def test_any_bytes_stay_bounded(chunks: list[bytes]) -> None:
    detector = Detector(CANDIDATES, lambda name, frame: False, max_garbage=500)
    received = 0
    for chunk in chunks:
        assert detector.receive(chunk) is None
        received += len(chunk)
        assert detector.buffered < 260
        assert detector.garbage <= received
        if received > 500 + 260:
            assert detector.failed
