"""Check values whose place changes with the rows before them: HDLC's header check, a check in the middle of a body."""

from __future__ import annotations

import pytest

from decoders.checksum import checksum
from decoders.errors import DecodeCode, DecodeError, EncodeError, SpecError
from decoders.framing.framer import Framer
from decoders.prove import prove
from tests.decoders.specs import golden, product, read, rows

ADDRESS = "type: uint, bytes: 1 if next_u8 & 1 else 2 if next_u16 & 1 else 4"
HDLC = f"""\
frame:
  start: "7E"
  stop: "7E"
  begins: "7E A0-A7"
  size: (u16(1) & 0x7FF) + 2
  header:
    - {{name: format, type: u16, hidden: true}}
    - {{name: destination, {ADDRESS}}}
    - {{name: source, {ADDRESS}}}
    - {{name: control, type: u8, hidden: true}}
    - {{name: header_check, crc: crc16_x25, over: format..control, endian: little}}
  trailer: [{{name: check, crc: crc16_x25, endian: little}}]
fields: [{{name: data, type: hex, bytes: rest}}]
"""
X25 = checksum("crc16_x25").function


def hdlc(destination: str, source: str, data: str, spoil: int = 0) -> bytes:
    """spoil: is added to the header check."""
    head, body = bytes.fromhex(destination + source) + b"\x13", bytes.fromhex(data)
    frame = (0xA000 | len(head) + len(body) + 6).to_bytes(2, "big") + head
    frame += (X25(frame) ^ spoil).to_bytes(2, "little") + body
    return b"\x7e" + frame + X25(frame).to_bytes(2, "little") + b"\x7e"


@pytest.mark.parametrize(
    ("destination", "source"), [("03", "21"), ("0003", "21"), ("02040623", "0003"), ("21", "02040623")]
)
def test_addresses_of_one_to_four_bytes(destination: str, source: str) -> None:
    wire = hdlc(destination, source, "abcd")
    assert read(product(HDLC), wire) == {
        "destination": int(destination, 16),
        "source": int(source, 16),
        "data": "abcd",
    }
    with pytest.raises(DecodeError) as caught:
        read(product(HDLC), hdlc(destination, source, "abcd", spoil=1))
    assert (caught.value.code, caught.value.field) == (DecodeCode.BAD_CHECK, "header_check")
    assert prove(product(HDLC), [golden(wire.hex())]).holds


def test_such_frames_in_a_stream_with_shared_flags() -> None:
    one, two, three = hdlc("03", "21", "01"), hdlc("0003", "21", "7e7e"), hdlc("03", "0003", "02")
    stream = one + two[1:] + three + b"\x7e\x7e" + one
    for pieces in ([stream], [bytes((byte,)) for byte in stream], [stream[:20], stream[20:]]):
        framer = Framer(product(HDLC).framing)
        assert [frame.wire for piece in pieces for frame in framer.receive(piece)] == [one, two, three, one]


def test_in_the_middle_of_a_body() -> None:
    compiled = rows(
        "[{list: l, count_type: u8, type: u8}, {name: check, crc: sum8}, {name: t, type: hex, bytes: rest}]"
    )
    assert read(compiled, "020102" + "05" + "ffff") == {"l": [1, 2], "t": "ffff"}
    with pytest.raises(DecodeError) as caught:
        read(compiled, "020102" + "06" + "ffff")
    assert caught.value.code is DecodeCode.BAD_CHECK
    written = rows("[{name: t, type: text, prefix: u8}, {name: c, crc: xor8, written: hex, over: t}, {skip: rest}]")
    assert read(written, b"\x01A" + b"40" + b"xx") == {"t": "A"}
    with pytest.raises(EncodeError, match="its place changes"):
        compiled.encoders[0, "sample"].encode({"l": [1], "t": "ff"})


@pytest.mark.parametrize("how", ["optional: true", "if: n < 9"])
def test_one_that_may_be_missing(how: str) -> None:
    tail = "{skip: rest}" if how[0] == "i" else "{name: z, type: u8, optional: true}"
    compiled = rows(f"[{{name: n, type: u8}}, {{name: a, type: u8}}, {{name: check, crc: sum8, {how}}}, {tail}]")
    assert read(compiled, "010203")["a"] == 2
    with pytest.raises(DecodeError) as caught:
        read(compiled, "010204")
    assert caught.value.code is DecodeCode.BAD_CHECK
    if how[0] == "o":
        assert read(compiled, "0102") == {"n": 1, "a": 2}
        assert read(compiled, "01020307") == {"n": 1, "a": 2, "z": 7}
    else:
        assert read(compiled, "0902ff") == {"n": 9, "a": 2}


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("over: n..other", "names no span"),
        ("on_wrong: flag", "refuses the frame"),
        ("if: n > 1, over: n..other", "names no span"),
    ],
)
def test_mistakes(check: str, words: str) -> None:
    text = "[{name: n, type: u8}, {list: l, count: n, type: u8}, {name: c, crc: sum8, CHECK}, {skip: rest}]"
    with pytest.raises(SpecError, match=words):
        rows(text.replace("CHECK", check))
