"""Replies: built from the request, byte for byte the same by both encoders, left out when a value is missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.checksum import checksum
from decoders.errors import EncodeError, SpecError
from decoders.fused_encoder import Source
from decoders.product import CompiledProduct
from decoders.replies import MessageReply
from decoders.reply_text import placeholders, text_reply
from decoders.types import SessionContext
from tests.decoders.specs import product

NOW_MS = 1_750_000_000_123

SPEC = """
frame:
  start: "7E"
  stop: "7E"
  escape: {mark: 0x7D, table: {0x01: 0x7D, 0x02: 0x7E}}
  header: [{name: type, type: u16}, {name: size, type: u8, counts: body}, {name: phone, type: bcd, bytes: 3},
      {name: serial, type: u16le}]
  trailer: [{name: check, crc: crc16_modbus, endian: little}]
messages:
  request:
    when: {type: 1}
    fields: [{name: a, type: u8, absent: 255}, {name: t, type: unix32}, {name: b, type: text, bytes: rest}]
    replies: [{message: ack, with: {answers: type, result: 0 if a < 9 else 2}}]
  clock: {when: {type: 2}, replies: [{message: set_clock, with: {t: now, serial: serial + 1}}]}
  login: {when: {type: 3}, fields: [{name: id, type: bcd, bytes: 2, identity: device}], replies: [{hex: "01 02"},
      ack, {text: "hi {device_id}"}]}
  several:
    when: {type: 4}
    fields: [{name: n, type: u8}]
    replies: [{hex: "AA", if: n > 1}, {text: "{n}@{now:%Y%m%d%H%M%S}#", if: n}, {hex: "BB", if: n == 0}]
  echo: {when: {type: 5}, fields: [{name: x, type: text, prefix: u8}], replies: [{message: repeat}]}
  ack: {downlink: true, when: {type: 0x8001}, fields: [{name: answers, type: u16, default: 0}, {name: result,
      type: u8, enum: {0: ok, 2: bad}, default: 0}]}
  set_clock: {downlink: true, when: {type: 0x8002}, fields: [{name: t, type: ymdhms}, {name: f, type: u8,
      default: 3, bits: {on: {at: 0}}}]}
  repeat: {downlink: true, when: {type: 0x8005}, fields: [{name: x, type: text, prefix: u8}, {name: y, type: u8,
      default: 7}]}
unknown_message: [{message: ack, with: {answers: type, result: 2}}]
"""


def framed(body: str) -> str:
    data = bytes.fromhex(body)
    check = checksum("crc16_modbus").function(data).to_bytes(2, "little")
    return "7e" + (data + check).replace(b"}", b"}\1").replace(b"~", b"}\2").hex() + "7e"


def replies(message: str, values: dict[str, Any], device_id: str = "") -> list[str]:
    context = SessionContext(device_id=device_id, received_ms=5)
    return [reply.hex() for reply in product(SPEC).replies(message, values, context, NOW_MS)]


BASE = {"type": 1, "phone": "012345", "serial": 258}


def test_an_acknowledgement_repeats_constants_and_echoes() -> None:
    assert replies("request", {**BASE, "a": 3}) == [framed("8001 03 012345 0201 0001 00")]
    assert replies("request", {**BASE, "a": 9}) == [framed("8001 03 012345 0201 0001 02")]


def test_replies_are_stuffed() -> None:
    [reply] = replies("request", {**BASE, "a": 3, "serial": 0x7E7D})
    assert reply == framed("8001 03 012345 7d7e 0001 00")
    assert "7d017d02" in reply


def test_the_time_of_the_gateway() -> None:
    body = "8002 07 012345 0301" + bytes([25, 6, 15, 15, 6, 40]).hex()
    assert replies("clock", {**BASE, "on": False}) == [framed(body + "02")]
    assert replies("clock", {**BASE, "on": True}) == [framed(body + "03")]


def test_constants_texts_and_the_session() -> None:
    found = replies("login", {**BASE, "type": 3}, device_id="0815")
    assert found == ["0102", framed("8001 03 012345 0201 0000 00"), b"hi 0815".hex()]


@pytest.mark.parametrize(("n", "found"), [(0, ["bb"]), (1, ["1@20250615150640#"]), (2, ["aa", "2@20250615150640#"])])
def test_conditions(n: int, found: list[str]) -> None:
    expected = [text if len(text) == 2 else text.encode().hex() for text in found]
    assert replies("several", {"n": n}) == expected


def test_what_lacks_a_value_is_left_out() -> None:
    assert replies("request", {"type": 1, "serial": 258, "a": 3}) == []  # no phone
    assert replies("login", {"type": 3}, device_id="0815") == ["0102", b"hi 0815".hex()]
    assert replies("several", {}) == []
    assert replies("request", {**BASE, "serial": 70_000}) == []
    assert replies("request", {**BASE, "phone": "not digits"}) == []


def test_a_message_without_replies_and_an_unknown_one() -> None:
    assert replies("nothing", BASE) == []
    assert replies("", {**BASE, "type": 0x77}) == [framed("8001 03 012345 0201 0077 02")]


def test_texts_of_a_length_that_is_not_known_are_built_by_construct() -> None:
    assert replies("echo", {**BASE, "x": "hi"}) == [framed("8005 04 012345 0201 02 6869 07")]


def message_replies(compiled: CompiledProduct) -> list[MessageReply]:
    renders = [plan.render for plans in compiled.reply_plans.values() for plan in plans]
    return [render for render in renders if isinstance(render, MessageReply)]


def test_most_replies_have_a_generated_function() -> None:
    fused = [reply.fused is not None for reply in message_replies(product(SPEC))]
    assert fused.count(False) == 1  # `repeat`: its length depends on a value
    assert fused.count(True) == 4


ANY = st.one_of(
    st.integers(-5, 70_000),
    st.sampled_from(["012345", "", "x", "12", "12345678"]),
    st.booleans(),
    st.none(),
    st.floats(),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phone", "12345678"),
        ("phone", "1"),
        ("phone", "é"),
        ("phone", 12),
        ("serial", -1),
        ("serial", "7"),
        ("serial", 1.5),
    ],
)
def test_values_of_the_wrong_size_or_type_are_treated_alike(name: str, value: Any) -> None:
    alike({**BASE, "a": 3, name: value})


@given(st.dictionaries(st.sampled_from(["type", "phone", "serial", "a", "on", "x", "result"]), ANY))
def test_both_encoders_build_the_same_or_nothing(values: dict[str, Any]) -> None:
    alike({**BASE, **values})


def alike(values: dict[str, Any]) -> None:
    known = {**values, "now": NOW_MS, "device_id": "", "received": 0}
    for reply in message_replies(product(SPEC)):
        try:
            truth: bytes | None = reply.reference(known)
        except (EncodeError, KeyError):
            truth = None
        try:
            found: bytes | None = reply(known)
        except (EncodeError, KeyError):
            found = None
        assert found == truth


def test_texts() -> None:
    render = text_reply("*HQ,{id},V4,{now:%H%M%S},{id}#{}{ x}")
    assert render({"id": 12, "now": NOW_MS}) == b"*HQ,12,V4,150640,12#{}{ x}"
    with pytest.raises(EncodeError, match="now: has no value"):
        render({"id": 12})
    assert placeholders("{a} {b:%H} {} {1}") == [("a", ""), ("b", "%H")]


def test_a_source_is_one_of_three() -> None:
    encoder = product(SPEC).encoders[(0, "ack")]
    sources = {name: Source(constant=0) for name in encoder.fields} | {
        "phone": Source(echo="who"),
        "type": Source(constant=0x8001),
    }
    assert MessageReply(encoder, sources, None)({"who": "000001"}).hex() == framed("8001 03 000001 0000 0000 00")


@pytest.mark.parametrize(
    ("replies_text", "words"),
    [
        ("[{message: ac}]", "did you mean `ack`?"),
        ("[request]", "no downlink message `request`"),
        ("[{message: ack, with: {serail: 1}}]", "did you mean `serial`?"),
        ("[{message: ack, with: {serial: 1 +}}]", "is no formula"),
        ("[{text: '{who}'}]", "no value `who`"),
        ("[{hex: 'AA', text: x}]", "exactly one of"),
        ("[{}]", "exactly one of"),
    ],
)
def test_mistakes(replies_text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        product(SPEC.replace("replies: [{message: repeat}]", f"replies: {replies_text}"))
    assert words in str(caught.value)


def test_texts_say_local_times_and_those_of_the_request() -> None:
    answer = (
        "messages: {m: {fields: [{name: time, type: unix32}], replies: [{text: '{now:%H:%M} {time:%d.%m. %H:%M}'}]}}"
    )
    compiled = product(f'zone: "+08:00"\n{answer}')
    values = compiled.read(bytes(4), SessionContext()).values
    assert compiled.replies("m", values, SessionContext(), NOW_MS) == [b"23:06 01.01. 08:00"]
    assert compiled.replies("m", values, SessionContext(zone_s=0), NOW_MS) == [b"15:06 01.01. 00:00"]
    assert compiled.replies("m", {"time": "noon"}, SessionContext(), NOW_MS) == []


FILLED = """
frame: {header: [{name: id, type: bcd, bytes: 7}, {name: n, type: u8}]}
messages:
  login:
    when: {n: 1}
    fields: [{name: imei, type: bcd, bytes: 8, digits: 15, session: keep}]
    replies: [ack, {text: "{id}"}]
  ping: {when: {n: 3}, fields: [], replies: [ack, kept]}
  ack: {downlink: true, when: {n: 2}, fields: [{name: ok, type: u8, default: 1}]}
  kept: {downlink: true, when: {n: 4}, fields: [{name: imei, type: bcd, bytes: 8}]}
"""


def test_filler_of_bcd_digits_comes_back_as_it_was_sent() -> None:
    compiled = product(FILLED)
    context = SessionContext()
    decoded = compiled.read(bytes.fromhex("123456ffffffff 01 f123456789012345"), context)
    assert decoded.values["id"] == "123456"
    compiled.remember(decoded, context)
    found = compiled.replies("login", decoded.values, context, NOW_MS)
    assert [reply.hex() for reply in found] == ["123456ffffffff0201", b"123456".hex()]
    decoded = compiled.read(bytes.fromhex("00123456ffffff 03"), context)
    found = compiled.replies("ping", decoded.values, context, NOW_MS)
    assert [reply.hex() for reply in found] == ["00123456ffffff0201", "00123456ffffff04f123456789012345"]
    for reply in message_replies(compiled):
        known = {**decoded.values, **context.values}
        assert reply.fused is not None
        assert reply.fused(known) == reply.reference(known)
