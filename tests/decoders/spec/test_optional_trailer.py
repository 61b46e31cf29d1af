"""Trailer rows that only some frames have: check values behind an asterisk, or said by a flag of the header."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.framing.framer import Framer
from tests.decoders.specs import product, read

NMEA = """\
frame:
  format: text
  start: "$"
  stop: "\\r\\n"
  split: ","
  trailer: [{literal: "*", optional: true}, {name: check, crc: nmea, optional: true}]
fields: [{name: kind}, {name: speed, type: number}]
"""
FLAGGED = """\
frame:
  header:
    - {name: start, type: u8, const: 0xA5}
    - {name: head, type: u16, bits: {checked: 15, size: {at: 0-9, counts: body}}}
  trailer: [{name: serial, type: u8}, {name: check, crc: crc16_modbus, if: checked}, {name: end, type: u8, const: 0x5A}]
messages:
  report: {fields: [{name: a, type: u16}]}
  ack: {downlink: true, frame: frame, fields: [{name: a, type: u16}]}
"""


def code(spec: str, data: bytes) -> DecodeCode:
    with pytest.raises(DecodeError) as caught:
        read(product(spec), data)
    return caught.value.code


def split_up(spec: str, stream: bytes) -> list[bytes]:
    """The frames of a stream, the same byte by byte and at once."""
    framing = product(spec).framing
    whole = [frame.wire for frame in Framer(framing).receive(stream)]
    framer = Framer(framing)
    one_by_one = [frame.wire for byte in stream for frame in framer.receive(bytes((byte,)))]
    assert one_by_one == whole
    return whole


def test_a_text_with_or_without_its_check_value() -> None:
    plain, checked, wrong = b"$RMC,5\r\n", b"$RMC,5*45\r\n", b"$RMC,5*46\r\n"
    for wire in (plain, checked):
        assert read(product(NMEA), wire) == {"kind": "RMC", "speed": 5}
    assert code(NMEA, wrong) is DecodeCode.BAD_CHECK
    assert split_up(NMEA, plain + checked + b"xx" + plain + wrong) == [plain, checked, plain, wrong]


def test_a_flag_of_the_header_says_whether_it_is_there() -> None:
    made = product(FLAGGED).encoders[0, "ack"].encode({"a": 7, "serial": 0})
    other = product(FLAGGED).encoders[1, "ack"].encode({"a": 7, "serial": 1})
    assert made.hex() == "a5" + "8002" + "0007" + "00" + made[6:8].hex() + "5a"
    without = bytes.fromhex("a5 0002 0007 01 5a")
    assert other == without
    for wire in (made, without):
        assert read(product(FLAGGED), wire)["a"] == 7
    assert code(FLAGGED, made[:6] + b"xx" + made[8:]) is DecodeCode.BAD_CHECK
    assert code(FLAGGED, made[:-1]) is DecodeCode.TRUNCATED
    assert split_up(FLAGGED, made + without + made) == [made, without, made]


def test_payloads_of_a_broker_need_no_mark() -> None:
    spec = """\
transports: [mqtt]
frame: {header: [{name: n, type: u8, counts: body}], trailer: [{name: check, crc: sum8, optional: true}]}
fields: [{list: l, type: u8}]
"""
    assert read(product(spec), "020102") == {"l": [1, 2]}
    assert read(product(spec), "02010205") == {"l": [1, 2]}
    assert code(spec, bytes.fromhex("02010206")) is DecodeCode.BAD_CHECK
    assert code(spec, bytes.fromhex("0201")) is DecodeCode.TRUNCATED
    assert code(spec, bytes.fromhex("0201020506")) is DecodeCode.TRAILING_BYTES


HEADER = "{name: start, type: u8, const: 0xA5}, {name: n, type: u8, counts: body}"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (f"header: [{HEADER}], trailer: [{{name: c, crc: sum8, optional: true}}]", "nothing tells whether"),
        (f"header: [{HEADER}], trailer: [{{name: c, crc: sum8, if: other}}]", "reads more than the header"),
        (f"header: [{HEADER}, {{name: f, type: u16}}], trailer: [{{name: c, crc: sum8, if: f % 7}}]", "from one byte"),
        (f"header: [{HEADER}, {{name: f, type: u16}}], trailer: [{{name: c, crc: sum8, if: f}}]",
         r'begins: "\?\? .*00 00"'),
        (f"size: u8(1) + 4, header: [{HEADER}, {{name: f, type: u8, if: n > 3}}], trailer: [{{name: c, crc: sum8, "
         "over: body}]", "the body begins behind rows of changing size"),
        (f"header: [{HEADER}, {{name: f, type: u32}}], trailer: [{{name: c, crc: sum8, if: f}}]", "reads more than"),
        (f"header: [{HEADER}, {{name: f, type: u8}}], trailer: [{{name: c, crc: sum8, if: f}}, "
         "{name: d, type: u8, optional: true}]", "one condition"),
        ("start: '24', stop: '0A', trailer: [{name: c, crc: sum8, optional: true}]", "nothing tells whether"),
        ("format: text, start: '$', stop: '#', trailer: [{name: c, crc: nmea, if: 1 > 0}]", "cannot have `if`"),
    ],
)  # fmt: skip
def test_mistakes(frame: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        product(f"frame: {{{frame}}}\nmessages: {{m: {{fields: [{{name: x, bytes: rest, type: text}}]}}}}")
