"""Building messages: the inverse of reading, with lengths, check values and byte stuffing filled in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.convert import Convert, linear
from decoders.encode import seal
from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.formula import compile_formula
from decoders.framing.framer import cut
from decoders.inverse import to_raw
from decoders.types import SessionContext
from tests.decoders.specs import product, read

SPEC = """
zone: "+02:00"
frame:
  start: "7E"
  stop: "7E"
  escape: {mark: 0x7D, table: {0x01: 0x7D, 0x02: 0x7E}}
  header: [{name: type, type: u8}, {name: attributes, type: u16, bits: {size: {at: 0-9, counts: body}, secret: 10}}]
  trailer: [{name: serial, type: u16le}, {name: again, type: u16le, equals: serial, hidden: true}, {name: check,
      crc: xor8}]
  max_bytes: 400
messages:
  all:
    when: {type: 1}
    fields:
      - {name: u, type: u24le, scale: 0.1}
      - {name: i, type: i32, offset: -1000}
      - {name: m, type: sm16}
      - {name: e, type: u8, enum: {0: off, 1..3: on}}
      - {name: f, type: u16, flags: {0: a, 9: b}}
      - {name: g, type: u8, bits: {open: 0, closed: {at: 1, invert: true}, level: 4-7}}
      - {name: t, type: unix32}
      - {name: local, type: ymdhms}
      - {name: digits, type: bcd, bytes: 4}
      - {name: mac, type: mac}
      - {name: fixed, type: text, bytes: 6, encoding: utf-8}
      - {name: long, type: text, prefix: u8, encoding: utf-16be}
      - {name: w, type: int, prefix: u8}
      - {group: null, fields: [{name: x, type: f64}, {name: more, type: u8, if: level > 7}]}
      - {name: rest, type: hex, bytes: rest}
  switched: {when: {type: 2}, fields: [{name: k, type: u8}, {switch: k, cases: {1: [{name: a, type: u8}],
      2: [{name: a, type: u16}]}}]}
  constant: {when: {type: 3}, fields: [{name: a, type: u8, const: 9}, {skip: 2}, {name: b, type: u8, default: 5}]}
"""
LETTERS = st.text(alphabet="abcXYZ°é 7~}", max_size=8).map(str.strip)
VALUES = st.fixed_dictionaries(
    {
        "serial": st.integers(0, 65535),
        "secret": st.booleans(),
        "u": st.integers(0, 2**24 - 1).map(lambda raw: raw / 10),
        "i": st.integers(-(2**31) - 1000, 2**31 - 1001),
        "m": st.integers(-0x7FFF, 0x7FFF),
        "e": st.sampled_from(["off", "on"]),
        "f": st.lists(st.sampled_from("ab"), unique=True).map(sorted),
        "open": st.booleans(),
        "closed": st.booleans(),
        "level": st.integers(0, 15),
        "t": st.sampled_from(["1970-01-01T00:00:00.000Z", "2025-06-15T15:06:40.000Z"]),
        "local": st.sampled_from(["2000-01-02T00:00:00.000Z", "2025-12-31T23:30:00.000Z"]),
        "digits": st.text(alphabet="0123456789", min_size=8, max_size=8),
        "mac": st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":")),
        "fixed": st.sampled_from(["", "abc", "°°°", "~}~}~}"]),
        "long": LETTERS,
        "w": st.integers(-(2**63), 2**63 - 1),
        "x": st.floats(allow_nan=False, allow_infinity=False),
        "more": st.integers(0, 255),
        "rest": st.binary(max_size=20).map(bytes.hex) | st.sampled_from(["7e", "7d7e7d01", "7d"]),
    }
)


@given(VALUES)
def test_what_is_built_is_read_again(values: dict[str, Any]) -> None:
    compiled = product(SPEC)
    encoder = compiled.encoders[(0, "all")]
    if values["level"] <= 7:
        with pytest.raises(EncodeError, match="more: has a value, but its row is there only if `level > 7`"):
            encoder.encode(values, zone_s=7200, raw={"type": 1})
        del values["more"]
    wire = encoder.encode(values, zone_s=7200, raw={"type": 1})
    assert wire[:1] == wire[-1:] == b"~"
    assert b"~" not in wire[1:-1]
    assert read(compiled, wire) == {**values, "type": 1}


def test_structures_of_a_message() -> None:
    compiled = product(SPEC)
    encoder = compiled.encoders[(0, "switched")]
    assert read(compiled, encoder.encode({"k": 2, "a": 300, "serial": 1, "secret": False}, raw={"type": 2}))["a"] == 300
    assert read(compiled, encoder.encode({"k": 1, "a": 44, "serial": 1, "secret": False}, raw={"type": 2}))["a"] == 44
    with pytest.raises(EncodeError, match=r"^a: 300 does not fit"):
        encoder.encode({"k": 1, "a": 300, "serial": 1, "secret": False}, raw={"type": 2})


def test_constants_defaults_and_skips() -> None:
    compiled = product(SPEC)
    wire = compiled.encoders[(0, "constant")].encode({"serial": 0x0102, "secret": True}, raw={"type": 3})
    assert wire.hex() == "7e030404090000050201" + "0201" + f"{3 ^ 4 ^ 4 ^ 9 ^ 5:02x}7e"


def test_what_stands_in_no_field_is_ignored() -> None:
    encoder = product(SPEC).encoders[(0, "constant")]
    given_values = {"serial": 1, "secret": 0, "b": 7}
    assert encoder.encode({**given_values, "other": 1}, raw={"type": 3}) == encoder.encode(
        given_values, raw={"type": 3}
    )


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        ({"enum": {0: "off"}}, "on"),
        ({"clock": "unix"}, "yesterday"),
        ({"clock": "six"}, "1999-01-01T00:00:00Z"),
        ({"clock": "bcd_six"}, None),
        ({"linear": linear(0.1, 0)}, "warm"),
        ({"linear": linear(0.1, 0)}, None),
        ({"flags": {0: "a"}}, 5),
        ({"formula": compile_formula("x * 0")}, 4),
    ],
)
def test_values_that_have_no_raw_value(steps: dict[str, Any], value: Any) -> None:
    with pytest.raises(EncodeError) as caught:
        to_raw("field", Convert(**steps), value, 0)
    assert caught.value.field == "field"


@pytest.mark.parametrize(
    ("steps", "value", "raw"),
    [
        ({}, "as it is", "as it is"),
        ({"boolean": True}, True, 1),
        ({"boolean": True, "invert": True}, True, 0),
        ({"boolean": True, "invert": True}, False, 1),
        ({"enum": {0: "off", 1: "on", 2: "on"}}, "on", 1),
        ({"enum": {0: "off"}}, 7, 7),
        ({"flags": {0: "a", 3: "d"}}, ["d", "unknown"], 8),
        ({"linear": linear(0.1, 0)}, 26.3, 263),
        ({"linear": linear(0.5, -40)}, -38.5, 3),
        ({"clock": "unix"}, "2025-06-15T15:06:40Z", 1_750_000_000),
        ({"clock": "unix"}, 1_750_000_000_000, 1_750_000_000),
        ({"clock": "unix_ms"}, "1970-01-01T00:00:01.5Z", 1500),
        ({"clock": "since2000"}, "2000-01-01T00:00:01Z", 1),
        ({"clock": "six"}, "2025-06-15T15:06:40Z", bytes([25, 6, 15, 16, 6, 40])),
        ({"clock": "six", "zone_s": 0}, "2025-06-15T15:06:40Z", bytes([25, 6, 15, 15, 6, 40])),
        ({"clock": "bcd_six", "zone_s": 0}, "2025-06-15T15:06:40Z", bytes.fromhex("250615150640")),
    ],
)
def test_raw_values(steps: dict[str, Any], value: Any, raw: Any) -> None:
    assert to_raw("field", Convert(**steps), value, 3600) == raw


CHECKED = """
frame:
  header: [{name: start, const: "A5"}, {name: size, type: u16le, counts: kind..check, adjust: 1}, {name: kind,
      type: u8}]
  trailer: [{name: tail, type: u8}, {name: check, crc: crc16_modbus, over: size..tail, endian: little}]
messages: {m: {fields: [{name: a, type: hex, bytes: rest}]}}
"""


@given(st.binary(max_size=30))
def test_sealing_makes_a_changed_frame_sound(body: bytes) -> None:
    compiled = product(CHECKED)
    data = bytearray(b"\xa5\0\0\x01" + body + b"\x09\0\0")
    seal(compiled.kinds[0].layout, data)
    assert int.from_bytes(data[1:3], "little") == len(body) + 3
    assert read(compiled, bytes(data)) == {"kind": 1, "a": body.hex(), "tail": 9}
    data[3] ^= 1
    with pytest.raises(DecodeError) as caught:
        read(compiled, bytes(data))
    assert caught.value.code is DecodeCode.BAD_CHECK


def test_sealing_behind_a_header_of_changing_size() -> None:
    compiled = product(
        """
transports: [mqtt]
frame:
  header: [{name: n, type: u8, counts: body}, {name: id, type: text, prefix: u8}]
  trailer: [{name: check, crc: xor8, over: n..body}]
messages: {m: {fields: [{name: a, type: hex, bytes: rest}]}}
"""
    )
    wire = compiled.encoders[(0, "m")].encode({"id": "xyz", "a": "0102"})
    assert wire.hex() == "02" + "0378797a" + "0102" + "79"
    changed = bytearray(b"\0\x01x\x09\x09\x09\0")
    seal(compiled.kinds[0].layout, changed)
    assert read(compiled, bytes(changed)) == {"id": "x", "a": "090909"}
    with pytest.raises(EncodeError, match="header"):
        seal(compiled.kinds[0].layout, bytearray(b"\0\x09x\0"))


def test_a_wrong_length_that_fits_its_check_value_is_refused() -> None:
    compiled = product(
        "frame: {header: [{name: n, type: u8, counts: body}], size: 3}\nmessages: {m: {fields: [{name: a, type: u16}]}}"
    )
    assert read(compiled, "020005") == {"a": 5}
    with pytest.raises(DecodeError) as caught:
        read(compiled, "030005")
    assert (caught.value.code, caught.value.field) == (DecodeCode.BAD_LENGTH, "n")


def test_two_fields_that_must_be_equal() -> None:
    compiled = product(SPEC)
    wire = bytearray(compiled.encoders[(0, "constant")].encode({"serial": 1, "secret": 0}, raw={"type": 3}))
    assert wire[-4:-2] == b"\1\0"
    wire[-4] ^= 4
    wire[-2] ^= 4
    with pytest.raises(DecodeError) as caught:
        compiled.decode(cut(compiled.framing, bytes(wire)), SessionContext())
    assert (caught.value.code, caught.value.field) == (DecodeCode.BAD_LENGTH, "again")


WATCH = """
frame:
  format: text
  start: "["
  stop: "]"
  header:
    - {name: maker, until: "*"}
    - {name: id, until: "*", identity: device}
    - {name: size, type: hexnumber, bytes: 4, counts: body}
    - {literal: "*"}
  split: ","
messages:
  link: {fields: [{name: command}, {name: steps, type: number, optional: true}], replies: [answer]}
  answer: {downlink: true, fields: [{name: command}]}
"""
TRACKER = """
frame:
  format: text
  start: "$$"
  header: [{name: flag, chars: A-Z}, {name: size, type: number, until: ",", counts: rest, adjust: -1}]
  trailer: [{literal: "*"}, {name: check, crc: sum8}]
  until: "\\r\\n"
  split: ","
messages:
  position: {fields: [{name: id, identity: device}, {name: command}, {name: note}], replies: [answer]}
  answer: {downlink: true, fields: [{name: id}, {name: command}]}
"""


def test_a_length_in_digits_behind_values_of_changing_size_is_filled_in() -> None:
    compiled = product(WATCH)
    decoded = compiled.read(b"[3G*88*0005*LK,50]", SessionContext())
    assert decoded.values == {"maker": "3G", "id": "88", "command": "LK", "steps": 50}
    assert compiled.replies("link", decoded.values, SessionContext(), 0) == [b"[3G*88*0002*LK]"]


def test_a_length_has_as_many_digits_as_it_needs() -> None:
    compiled = product(TRACKER)
    values = {"flag": "A", "id": "353358017784062", "command": "AAA", "note": "x" * 90}
    wire = compiled.encoders[0, "position"].encode(values)
    assert wire[:8] == b"$$A116,3"
    assert len(wire) - wire.index(b",") == 116
    assert compiled.read(wire, SessionContext()).values == values
    (answer,) = compiled.replies("position", values, SessionContext(), 0)
    assert answer.startswith(b"$$A25,353358017784062,AAA*")
    with pytest.raises(DecodeError, match="bad_length: says"):
        compiled.read(
            wire.replace(b"A116", b"A117").replace(wire[-4:], b"%02X\r\n" % (int(wire[-4:-2], 16) + 1)),
            SessionContext(),
        )


def test_a_number_written_as_text_keeps_its_decimals() -> None:
    compiled = product(
        'frame: {format: text, until: ";", split: ","}\n'
        "fields: [{name: speed, type: number, scale: 1.852}, {name: level, type: number, scale: 0.1}]"
    )
    assert compiled.encoders[0, "uplink"].encode({"speed": 0.50004, "level": 40}) == b"0.27,400;"
