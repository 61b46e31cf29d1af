"""Frames that end some bytes behind a mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeError, SpecError
from decoders.framing.framer import Framer, cut
from tests.decoders.specs import product, read

BLOCKS = """
frame:
  format: text
  start: "\\r\\n"
  stop: "\\r\\nChecksum\\t"
  split: "\\r\\n"
  tail: [{name: check, crc: lrc8, over: 0..-2}]
messages:
  block: {items: {key: text, assign: "\\t", tags: {V: {name: voltage, type: number, scale: 0.001}, PID: {name: pid}}}}
"""


def block(millivolts: int) -> bytes:
    text = b"\r\nPID\t0x203\r\nV\t%d\r\nChecksum\t" % millivolts
    return text + bytes([-sum(text) & 255])


def test_a_check_byte_behind_the_mark() -> None:
    compiled = product(BLOCKS)
    assert read(compiled, block(12_800)) == {"pid": "0x203", "voltage": 12.8}
    with pytest.raises(DecodeError, match="bad_check"):
        read(compiled, block(12_800)[:-1] + b"\0")
    with pytest.raises(DecodeError, match="truncated"):
        cut(compiled.framing, block(12_800)[:-1])


@given(st.lists(st.integers(0, 99_999), min_size=1, max_size=5), st.data())
def test_blocks_are_cut_however_they_come(sent: list[int], data: st.DataObject) -> None:
    stream = b"".join(map(block, sent))
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    framer = Framer(product(BLOCKS).framing)
    pieces = (stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)], strict=True))
    assert [frame.wire for piece in pieces for frame in framer.receive(piece)] == list(map(block, sent))


def test_in_a_binary_frame() -> None:
    compiled = product(
        'frame: {start: "02", stop: "03", tail: [{name: bcc, crc: xor8, over: 1..-2}]}\n'
        "messages: {m: {fields: [{name: a, type: hex, bytes: rest}]}}"
    )
    assert read(compiled, "02 3132 03 00") == {"a": "3132"}
    assert [frame.wire.hex() for frame in Framer(compiled.framing).receive(bytes.fromhex("023132030002410342"))] == [
        "0231320300",
        "02410342",
    ]


def test_there_is_nothing_without_a_mark() -> None:
    with pytest.raises(SpecError, match="there is no `stop`"):
        product("frame: {tail: [{name: c, type: u8}]}\nmessages: {m: {fields: [{name: a, type: u8}]}}")
