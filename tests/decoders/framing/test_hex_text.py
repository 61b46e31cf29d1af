"""Frames that are hex text between their marks: the second kind of content that is written otherwise."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.explain import explain
from decoders.framing.escape import stuff, unescape
from decoders.framing.framer import Framer
from decoders.framing.plan import HexText
from decoders.golden import GoldenCase
from decoders.prove import prove
from decoders.types import SessionContext
from tests.decoders.specs import product, read

MODBUS = r"""frame: {format: hex, start: ":", stop: "\r\n",
  header: [{name: device, type: u8}, {name: function, type: u8}],
  trailer: [{name: check, crc: CHECK, over: device..body}]}
messages:
  registers: {when: {function: 3}, fields: [{list: values, count_type: u8, fields: [{name: v, type: u8}]}]}
  answer: {when: {function: 0x83}, downlink: true, fields: [{name: code, type: u8}]}
""".replace("CHECK", "lrc8")


def test_there_and_back() -> None:
    marks = HexText(1, 2)
    assert unescape(marks, b":01 0aFF\r\n") == b":\x01\x0a\xff\r\n"
    assert stuff(marks, b":\x01\x0a\xff\r\n") == b":010AFF\r\n"
    assert unescape(marks, b":\r\n") == b":\r\n"
    with pytest.raises(DecodeError) as caught:
        unescape(marks, b":010G\r\n")
    assert (caught.value.code, caught.value.offset) == (DecodeCode.BAD_VALUE, 4)
    with pytest.raises(DecodeError):
        unescape(marks, b":010\r\n")


def sent(content: str) -> bytes:
    check = -sum(bytes.fromhex(content)) & 0xFF
    return f":{content}{check:02X}\r\n".encode()


def test_rows_and_check_values_read_the_bytes() -> None:
    compiled = product(MODBUS)
    assert read(compiled, sent("11030205FF")) == {"device": 17, "function": 3, "values": [{"v": 5}, {"v": 255}]}
    assert read(compiled, sent("11030205FF").lower())["device"] == 17
    with pytest.raises(DecodeError) as caught:
        read(compiled, b":11030205FF00\r\n")
    assert caught.value.code is DecodeCode.BAD_CHECK
    fields = explain(compiled, sent("11030205FF"), SessionContext())
    assert [(field.path, field.raw) for field in fields[1:3]] == [("device", 17), ("function", 3)]


def test_a_stream_is_cut_and_messages_are_built() -> None:
    compiled = product(MODBUS)
    framer = Framer(compiled.framing)
    wire = sent("11030205FF") + b"??" + sent("11030100")
    frames = [frame for index in range(len(wire)) for frame in framer.receive(wire[index : index + 1])]
    assert [frame.wire for frame in frames] == [sent("11030205FF"), sent("11030100")]
    built = compiled.encoders[0, "answer"].encode({"code": 2}, raw={"device": 17, "function": 0x83})
    assert built == sent("118302")


def test_the_codecs_agree() -> None:
    case = GoldenCase(name="c", hex=sent("11030205FF").hex())
    assert prove(product(MODBUS), [case]).holds


def test_a_length_field_of_hex_text() -> None:
    compiled = product("""frame: {format: hex, start: "A", header: [{name: length, type: u8, counts: rest}]}
fields: [{name: a, type: hex, bytes: rest}]""")
    framer = Framer(compiled.framing)
    assert [frame.wire for frame in framer.receive(b"A020102A00A01ffA0")] == [b"A020102", b"A00", b"A01ff"]
    assert read(compiled, b"A020102") == {"a": "0102"}
    lines = product(
        'frame: {format: hex, until: "\\n", header: [{name: m, type: u8, const: 0xA5}]}\nfields: [{name: a, type: u8}]'
    )
    assert read(lines, b"a507\r\n") == {"a": 7}
    assert [frame.wire for frame in Framer(lines.framing).receive(b"x\nA507\na508\n")] == [b"A507\n", b"a508\n"]
    whole = product("frame: {format: hex}\nfields: [{name: a, type: u16}]")
    assert read(whole, b"00ff") == {"a": 255}
    assert read(product("frame: {format: hex, size: 2}\nfields: [{name: a, type: u16}]"), b"00ff") == {"a": 255}


def test_mistakes_are_named() -> None:
    for frame, words in (
        ("{format: hex, start: 'a', stop: 'b', escape: {mark: 1, table: {1: 2}}}", "needs no byte stuffing"),
        ("{format: hex, header: [{name: n, type: u16le, counts: rest}]}", "no length of this kind"),
    ):
        with pytest.raises(SpecError, match=words):
            product(f"frame: {frame}\nfields: [{{skip: 1}}]")
