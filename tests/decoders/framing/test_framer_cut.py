"""One whole frame, or the reason why the bytes are none."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import Framer, cut
from decoders.framing.plan import FixedSize, Framing, LengthField
from tests.decoders.framing.samples import (
    DIGITS,
    FIXED,
    GT06,
    JT808,
    MODBUS,
    Sample,
    begins,
    each_frame,
    framing,
    named,
)
from tests.decoders.specs import product


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


def test_cut_gives_the_reason_of_the_first_kind_that_begins_so() -> None:
    plan = framing(
        ("other", begins(1, 9), FixedSize(4), 4, 4),
        ("sized", begins(1, 2), LengthField(2, 1), 4, 8),
        ("fixed", begins(1), FixedSize(4, b"#"), 4, 4),
    )
    with pytest.raises(DecodeError) as caught:
        cut(plan, b"\1\2\xff\0")
    assert caught.value.code is DecodeCode.FRAME_TOO_LONG


@pytest.mark.parametrize(("wire", "added"), [(b"$a,b", b"\r\n"), (b"$a,b\r", b"\n"), (b"$a,b\r\n", b"")])
def test_a_lone_line_may_lack_its_end(wire: bytes, added: bytes) -> None:
    framing = product(
        'frame: {format: text, start: "$", until: "\\r\\n", split: ","}\n'
        "messages: {m: {fields: [{name: a}, {name: b}]}}"
    ).framing
    assert cut(framing, wire).wire == wire + added
    assert Framer(framing).receive(wire) == ([] if added else [cut(framing, wire)])
