"""Streams whose frames share a flag, are cut off by the next one, or have no mark at all: from the spec on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.checksum import checksum
from decoders.errors import DecodeCode, DecodeError
from decoders.framing.escape import stuff
from decoders.framing.framer import Framer, cut
from decoders.framing.plan import Escape, Framing
from tests.decoders.specs import product, read

PPP = """\
frame:
  start: "7E"
  stop: "7E"
  escape: {mark: 0x7D, xor: 0x20}
  trailer: [{name: check, crc: crc16_x25, endian: little}]
fields: [{name: data, type: hex, bytes: rest}]
"""
SIZED = """\
frame:
  start: "7E"
  stop: "7E"
  size: (u16(1) & 0x7FF) + 2
  header: [{name: format, type: u16, hidden: true}]
  trailer: [{name: check, crc: crc16_x25, endian: little}]
fields: [{name: data, type: hex, bytes: rest}]
"""
STX = """\
frame:
  start: "02"
  stop: "03"
  escape: {mark: 0x10, table: {0x82: 0x02, 0x83: 0x03, 0x90: 0x10}}
  trailer: [{name: sum, crc: sum8}]
fields: [{name: data, type: hex, bytes: rest}]
"""
RTU = """\
frame:
  size: 5 if function >= 0x80 else u8(2) + 5
  header: [{name: address, type: u8}, {name: function, type: u8}, {name: n, type: u8}]
  trailer: [{name: check, crc: crc16_modbus, endian: little}]
  max_bytes: 64
fields: [{name: data, type: hex, bytes: rest}]
"""
X25, MODBUS = checksum("crc16_x25").function, checksum("crc16_modbus").function


def frames(framing: Framing, pieces: list[bytes]) -> list[bytes]:
    framer = Framer(framing)
    return [frame.wire for piece in pieces for frame in framer.receive(piece)]


def all_ways(spec: str, stream: bytes) -> list[bytes]:
    """The frames of a stream, the same however it is split; nothing is lost or counted twice."""
    framing = product(spec).framing
    whole = frames(framing, [stream])
    assert frames(framing, [bytes((byte,)) for byte in stream]) == whole
    for place in range(1, len(stream)):
        assert frames(framing, [stream[:place], stream[place:]]) == whole
    return whole


def ppp(data: str) -> bytes:
    body = bytes.fromhex(data)
    table = {byte ^ 0x20: byte for byte in range(256)}
    wire = b"\x7e" + body + X25(body).to_bytes(2, "little") + b"\x7e"
    return stuff(Escape(0x7D, table, 1, 1, frozenset(b"\x7d\x7e")), wire)


def sized(data: str) -> bytes:
    body = bytes.fromhex(data)
    body = (0xA000 | len(body) + 4).to_bytes(2, "big") + body
    return b"\x7e" + body + X25(body).to_bytes(2, "little") + b"\x7e"


@pytest.mark.parametrize(("spec", "build"), [(PPP, ppp), (SIZED, sized)])
def test_one_flag_between_two_frames_or_two(spec: str, build: Callable[[str], bytes]) -> None:
    one, two, three = (build(data) for data in ("01027e03", "7d7d", "aabbccdd"))
    assert read(product(spec), one) == {"data": "01027e03"}
    assert all_ways(spec, one + two + three) == [one, two, three]
    assert all_ways(spec, one + two[1:] + three[1:] + b"\x7e" + one) == [one, two, three, one]
    assert all_ways(spec, one + two[1:] + three) == [one, two, three]
    assert all_ways(spec, b"xx" + one + b"\x7e\x7e" + two[1:]) == [one, two]


def test_garbage_behind_a_shared_flag() -> None:
    one, two = ppp("0102"), ppp("0304")
    assert all_ways(PPP, one + b"\r\n" + two) == [one, two]
    framer = Framer(product(PPP).framing)
    assert len(framer.receive(one + b"\r\n" + two)) == 2
    assert framer.garbage == 2
    assert framer.buffered == 0
    assert framer.finish() == b""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=6), st.booleans()), min_size=1, max_size=5), st.data())
def test_any_frames_with_shared_flags(given_frames: list[tuple[bytes, bool]], data: st.DataObject) -> None:
    wires = [ppp(body.hex()) for body, _ in given_frames]
    stream = wires[0] + b"".join(
        wire[1:] if shared else wire for wire, (_, shared) in zip(wires[1:], given_frames[1:], strict=True)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [stream[low:high] for low, high in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert frames(product(PPP).framing, pieces) == wires


def stx(data: str) -> bytes:
    body = bytes.fromhex(data)
    whole = b"\x02" + body + bytes((sum(body) & 255,)) + b"\x03"
    return stuff(Escape(0x10, {0x82: 2, 0x83: 3, 0x90: 0x10}, 1, 1), whole)


def test_a_start_mark_inside_begins_another_frame() -> None:
    one, two = stx("01020304"), stx("1011")
    assert read(product(STX), one) == {"data": "01020304"}
    assert all_ways(STX, one[:5] + two + one) == [two, one]
    assert all_ways(STX, b"\x02\x02\x02" + one + b"\x02\x09" + two) == [one, two]
    with pytest.raises(DecodeError) as caught:
        cut(product(STX).framing, one[:5] + two)
    assert caught.value.code is DecodeCode.BAD_ESCAPE


def rtu(data: str, address: int = 1) -> bytes:
    body = bytes.fromhex(data)
    front = bytes((address, 3, len(body))) + body
    return front + MODBUS(front).to_bytes(2, "little")


def test_without_a_mark_the_check_value_tells_where_a_frame_begins() -> None:
    one, two = rtu("0102"), rtu("aabbccdd", 9)
    assert all_ways(RTU, one + two) == [one, two]
    assert all_ways(RTU, b"\x00" + one + b"\xff\x00" + two + one + one) == [one, two, one, one]
    broken = one[:4] + b"\x77" + one[5:]
    assert all_ways(RTU, broken + two + one * 12) == [two] + [one] * 12
    with pytest.raises(DecodeError) as caught:
        read(product(RTU), broken)  # a frame that came alone is not looked for
    assert caught.value.code is DecodeCode.BAD_CHECK


def test_garbage_without_marks_costs_little() -> None:
    framing, stream = product(RTU).framing, b"\x01\x03\x20" * 20_000
    begin = time.perf_counter()
    assert frames(framing, [stream]) == []
    assert time.perf_counter() - begin < 5
