"""Check values wherever they stand and however they are written: read by both codecs, built, mended, proven."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.compile import compile_spec
from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.framing.framer import cut
from decoders.golden import GoldenCase
from decoders.prove import prove
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.types import SessionContext, Violation, ViolationCode
from tests.decoders.specs import product, read

NMEA = """
frame: {format: text, start: "$", until: "#", split: ",", trailer: [{literal: "*"}, {name: check, crc: nmea}]}
messages: {sample: {fields: [{name: kind, type: text}, {name: a, type: number}]}}
"""
SPECS: dict[str, tuple[str, dict[str, Any], bytes]] = {
    "payload without a frame": (
        "frame: {trailer: [{name: c, crc: crc16_modbus, endian: little}]}\nfields: [{name: a, type: u16}]",
        {"a": 258},
        bytes.fromhex("010281e1"),
    ),
    "by parameters": (
        "frame: {trailer: [{name: c, crc: {bits: 16, poly: 0x8005, init: 0xFFFF, reflect: true}, endian: little}]}\n"
        "fields: [{name: a, type: u16}]",
        {"a": 258},
        bytes.fromhex("010281e1"),
    ),
    "sum by parameters": (
        "frame: {trailer: [{name: c, crc: {bits: 8, sum: sum, xor_out: 0xFF}}]}\nfields: [{name: a, type: u16}]",
        {"a": 258},
        bytes.fromhex("0102fc"),
    ),
    "three bytes": (
        "frame: {trailer: [{name: c, crc: sum24}]}\nfields: [{name: a, type: u16}]",
        {"a": 65535},
        bytes.fromhex("ffff0001fe"),
    ),
    "offsets": (
        "frame: {header: [{name: h, type: u8}], trailer: [{name: c, crc: xor8, over: 1..-3}, {name: t, type: u8}]}\n"
        "fields: [{name: a, type: u16}]",
        {"h": 9, "a": 258, "t": 7},
        bytes.fromhex("0901020307"),
    ),
    "a name and an offset": (
        "frame: {header: [{name: h, type: u8}], trailer: [{name: c, crc: xor8, over: body..2}]}\n"
        "fields: [{name: a, type: u16}]",
        {"h": 9, "a": 258},
        bytes.fromhex("09010203"),
    ),
    "body": (
        "frame: {header: [{name: h, type: u8}], trailer: [{name: t, type: u8}, {name: c, crc: xor8, over: body}]}\n"
        "fields: [{name: a, type: u16}]",
        {"h": 9, "a": 258, "t": 7},
        bytes.fromhex("0901020703"),
    ),
    "in the header": (
        "frame: {header: [{name: c, crc: sum8, over: 1..-1}]}\nfields: [{name: a, type: u16}]",
        {"a": 258},
        bytes.fromhex("030102"),
    ),
    "hex digits": (
        "frame: {trailer: [{name: c, crc: crc16_modbus, written: hex}]}\nfields: [{name: a, type: u16}]",
        {"a": 258},
        b"\x01\x02e181",
    ),
    "decimal digits": (
        "frame: {trailer: [{name: c, crc: sum8, written: decimal, bytes: 3}]}\nfields: [{name: a, type: u16}]",
        {"a": 258},
        b"\x01\x02003",
    ),
    "text": (NMEA, {"kind": "GPX", "a": 12}, b"$GPX,12*60#"),
    "among the rows": (
        "fields: [{name: a, type: u16}, {name: c, crc: sum8, over: 3..-1}, {name: b, type: text, bytes: rest}]",
        {"a": 258, "b": "ab"},
        b"\x01\x02\xc3ab",
    ),
    "at the end of the rows": (
        "fields: [{name: n, type: u8}, {name: b, type: text, bytes: n}, {name: c, crc: xor8}]",
        {"n": 2, "b": "ab"},
        b"\x02ab\x01",
    ),
    "one covers another": (
        "frame: {header: [{name: outer, crc: xor8, over: 1..-1}], trailer: [{name: c, crc: sum8, over: body}]}\n"
        "fields: [{name: a, type: u16}]",
        {"a": 258},
        bytes.fromhex("00010203"),
    ),
}
CASES = pytest.mark.parametrize("name", SPECS)


@CASES
def test_read_built_and_refused(name: str) -> None:
    text, values, wire = SPECS[name]
    compiled = product(text)
    assert read(compiled, wire) == values
    message = next(iter(compiled.messages))
    assert compiled.encoders[(0, message)].encode(values) == wire
    wrong = 0
    for place in range(len(wire)):
        changed = bytearray(wire)
        changed[place] ^= 1
        try:
            read(compiled, bytes(changed))
        except DecodeError as error:
            wrong += error.code is DecodeCode.BAD_CHECK
    assert wrong


@CASES
def test_the_codecs_are_proven_on_mended_frames(name: str) -> None:
    text, _, wire = SPECS[name]
    document = load(f"product: sample\n{text}", "spec.yaml")
    compiled = compile_spec(validate(SpecFile, document), document)
    proof = prove(compiled, [GoldenCase(name="case", hex=wire.hex())])
    assert proof.holds, proof.kinds[0]
    assert proof.kinds[0].proven


def test_hex_digits_are_read_in_both_cases() -> None:
    compiled = product(SPECS["hex digits"][0])
    assert read(compiled, b"\x01\x02E181") == {"a": 258}
    with pytest.raises(DecodeError, match="crc16_modbus is e181, the frame says E182"):
        read(compiled, b"\x01\x02E182")


def test_a_wrong_value_may_be_flagged_only() -> None:
    compiled = product("frame: {trailer: [{name: c, crc: xor8, on_wrong: flag}]}\nfields: [{name: a, type: u16}]")
    for wire, flags in (
        ("010203", None),
        ("010204", [Violation("c", ViolationCode.BAD_CHECK)]),
    ):
        data = bytes.fromhex(wire)
        assert read(compiled, data) == {"a": 258}
        assert compiled.decode(cut(compiled.framing, data), SessionContext()).violations == flags


def test_flagged_among_the_rows() -> None:
    compiled = product("fields: [{name: c, crc: xor8, over: 1..-1, on_wrong: flag}, {name: a, type: u16}]")
    decoded = compiled.decode(cut(compiled.framing, b"\0\1\2"), SessionContext())
    assert decoded.values == {"a": 258}
    assert decoded.violations == [Violation("c", ViolationCode.BAD_CHECK)]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            "{name: a, type: u8, if: remaining > 1}, {name: c, crc: xor8, over: b}, {name: b, type: hex, bytes: rest}",
            "changes",
        ),
        ("{group: g, fields: [{name: c, crc: xor8}]}", "stands within other rows"),
        ("{name: c, crc: xor8, if: remaining > 0}", "say what the check value covers"),
        ("{name: a, type: u8}, {name: c, crc: xor8, over: x..y}", "names no span"),
        ("{name: c, crc: xor8, written: decimal}", "how many decimal digits"),
        ("{name: c, crc: xor8, written: hex, bytes: 99}", "no number of digits"),
        ("{name: c, crc: xor8, bytes: 2}", "has its own size"),
        ("{name: c, crc: xor8, type: f32}", "is an integer"),
        ("{name: c, crc: crc16_ccitt}", "crc16_kermit"),
        ("{name: c, crc: {bits: 8, poly: 0x1021}}", "more than 8 bits"),
        ("{name: c, crc: {bits: 8, sum: xor, reflect: true}}", "only a CRC"),
    ],
)
def test_mistakes(rows: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        product(f"fields: [{rows}]")
