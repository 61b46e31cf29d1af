"""CompiledProduct: decoding never raises anything but DecodeError, and what a session knows holds for later frames."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import cut
from decoders.framing.plan import Frame
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from tests.decoders.specs import product

TEXT = """\
product: sample
zone: "+01:00"
frame:
  header: [{name: start, type: u8, const: 0xA5}, {name: length, type: u8, counts: rest}, {name: kind, type: u8}]
  trailer: [{name: serial, type: u8}, {name: check, crc: xor8}]
messages:
  login:
    when: {kind: 1}
    record: none
    fields:
      - {name: imei, type: bcd, bytes: 2, identity: device}
      - {name: zone, type: u8, scale: 3600, session: zone}
      - {name: model, type: u8, session: keep}
    replies: [ack]
  status: {when: {kind: 2}, fields: [{name: time, type: ymdhms}], replies: [ack]}
  ack: {downlink: true, when: {kind: 6}}
unknown_message: [{hex: "EE"}]
"""


def framed(kind: int, body: str, serial: int = 9) -> bytes:
    inner = bytes([kind]) + bytes.fromhex(body) + bytes([serial])
    counted = bytes([len(inner) + 1]) + inner
    check = 0xA5
    for byte in counted:
        check ^= byte
    return b"\xa5" + counted + bytes([check])


@pytest.fixture(params=["construct", "fused"])
def compiled(request: pytest.FixtureRequest) -> CompiledProduct:
    made = product(TEXT)
    for kind in made.kinds:
        kind.use_fused = request.param == "fused"
    return made


def test_a_login_is_remembered(compiled: CompiledProduct) -> None:
    context = SessionContext()
    status = cut(compiled.framing, framed(2, "1a0301101112"))
    assert compiled.decode(status, context).values["time"] == "2026-03-01T15:17:18.000Z"

    login = compiled.decode(cut(compiled.framing, framed(1, "12340804")), context)
    compiled.remember(login, context)

    assert (context.device_id, context.zone_s, context.values) == ("1234", 28800, {"model": 4})
    assert compiled.decode(status, context).values["time"] == "2026-03-01T08:17:18.000Z"


def test_replies_come_from_the_request(compiled: CompiledProduct) -> None:
    decoded = compiled.decode(cut(compiled.framing, framed(2, "1a0301101112", serial=5)), SessionContext())

    assert compiled.replies("status", decoded.values, SessionContext(), 0) == [framed(6, "", serial=5)]
    assert compiled.replies("ack", {}, SessionContext(), 0) == []


def test_a_sound_frame_of_an_unknown_message_names_its_header(compiled: CompiledProduct) -> None:
    frame = cut(compiled.framing, framed(9, "", serial=3))

    with pytest.raises(DecodeError) as caught:
        compiled.decode(frame, SessionContext())

    assert caught.value.code is DecodeCode.UNKNOWN_MESSAGE
    assert caught.value.values == {"kind": 9, "serial": 3}
    assert compiled.replies(caught.value.message, caught.value.values, SessionContext(), 0) == [b"\xee"]
    assert not compiled.sound(frame)


def test_a_frame_that_fails_in_its_body_can_still_be_answered(compiled: CompiledProduct) -> None:
    frame = cut(compiled.framing, framed(2, "1a03", serial=4))

    with pytest.raises(DecodeError) as caught:
        compiled.decode(frame, SessionContext())

    error = caught.value
    assert (error.code, error.message, error.field, error.offset) == (DecodeCode.TRUNCATED, "status", "time", 3)
    assert compiled.replies(error.message, error.values, SessionContext(), 0) == [framed(6, "", serial=4)]
    assert compiled.sound(frame)


def test_a_reply_that_lacks_a_value_is_left_out(compiled: CompiledProduct) -> None:
    assert compiled.replies("status", {}, SessionContext(), 0) == []


@given(data=st.binary(max_size=40), mended=st.booleans())
def test_nothing_but_decode_errors(data: bytes, mended: bool) -> None:
    compiled = product(TEXT)
    wire = framed(data[0] % 8, data[1:].hex()) if mended and data else data
    for fused in (False, True):
        for kind in compiled.kinds:
            kind.use_fused = fused
        with contextlib.suppress(DecodeError):
            compiled.decode(Frame(compiled.framing.kinds[0], wire), SessionContext())
