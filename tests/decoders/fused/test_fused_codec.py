"""The generated codec agrees with construct on any bytes, refuses with `Refused` only, and takes names as data."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.encode import seal
from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import cut
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from tests.decoders.fused.bodies import BODIES, SOUND
from tests.decoders.specs import product, read, rows

SMALL = st.integers(0, 5) | st.integers(0, 255)

FRAMED = """
frame:
  header: [{name: start, const: "A5"}, {name: size, type: u8, counts: type..check}, {name: type, type: u8}]
  trailer: [{name: serial, type: u16le}, {name: check, crc: crc16_x25, over: size..serial}]
  max_bytes: 80
messages:
  one: {when: {type: 1}, fields: [{name: a, type: u8}, {name: b, type: text, bytes: rest}]}
  two: {when: {type: 2..4}, fields: [{name: a, type: u16, scale: 0.5}, {list: l, fields: [{name: x, type: i8}]}]}
  any: {fields: [{name: c, type: u8, if: serial > 255}, {name: d, type: hex, bytes: rest}]}
"""


@pytest.mark.parametrize("name", BODIES)
@given(data=st.binary(min_size=1, max_size=40) | st.lists(SMALL, min_size=1, max_size=24).map(bytes))
def test_any_bytes_are_read_alike_or_refused_by_both(name: str, data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        read(rows(BODIES[name]), data)


@given(body=st.binary(max_size=30), kind=st.integers(0, 6), at=st.integers(0, 40), flip=st.integers(0, 255))
def test_sound_frames_of_any_body_are_read_alike(body: bytes, kind: int, at: int, flip: int) -> None:
    compiled = product(FRAMED)
    data = bytearray([0xA5, 0, kind, *body, 0, 1, 0, 0])
    seal(compiled.kinds[0].layout, data)
    sound = True
    if at < len(data) and flip:
        data[at] ^= flip
        sound = False
    try:
        values = read(compiled, bytes(data))
    except DecodeError:
        return
    assert sound
    assert values["serial"] == 256


@pytest.mark.parametrize("name", BODIES)
@given(change=st.data())
def test_changed_sound_bodies_are_read_alike(name: str, change: st.DataObject) -> None:
    """Bodies of the right size, so that every field is reached."""
    data = bytearray.fromhex(SOUND[name])
    for _ in range(change.draw(st.integers(0, 3))):
        data[change.draw(st.integers(0, len(data) - 1))] = change.draw(SMALL)
    with contextlib.suppress(DecodeError):
        read(rows(BODIES[name]), bytes(data))


@pytest.mark.parametrize("name", BODIES)
def test_every_body_of_the_list_above_can_be_read(name: str) -> None:
    """The random tests would say nothing about a spec that refuses everything."""
    assert read(rows(BODIES[name]), bytes.fromhex(SOUND[name]))


NAMES = ["class", "None", "values", "b", "n", "s", "z", "e", "Refused", "raise", "body_length", "len", "fn_0", "v_a_1"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_fields_are_only_data(name: str) -> None:
    compiled = rows(f"[{{name: {name}, type: u8, absent: 9}}, {{name: other, type: u8}}]")
    assert read(compiled, "0102") == {name: 1, "other": 2}
    assert read(compiled, "0902") == {"other": 2}


def test_text_of_the_spec_never_becomes_code() -> None:
    hostile = "'); raise SystemExit #"
    compiled = product(f'messages: {{m: {{fields: [{{name: a, type: u8, enum: {{1: "{hostile}"}}}}]}}}}')
    assert read(compiled, "01") == {"a": hostile}


def test_a_message_without_when_takes_what_is_left() -> None:
    compiled = product(FRAMED)
    encoder = compiled.encoders[(0, "any")]
    wire = encoder.encode({"serial": 1, "d": "aa"}, raw={"type": 0x77})
    compiled.kinds[0].use_fused = True
    assert compiled.decode(cut(compiled.framing, wire), SessionContext()).message.name == "any"


def test_the_fused_codec_falls_back_to_construct_for_the_error() -> None:
    compiled = rows("[{name: a, type: u8}, {name: b, type: u16}]")
    compiled.kinds[0].use_fused = True
    with pytest.raises(DecodeError) as caught:
        compiled.decode(cut(compiled.framing, b"\1\2"), SessionContext())
    assert (caught.value.code, caught.value.field, caught.value.offset) == (DecodeCode.TRUNCATED, "b", 1)
    compiled.kinds[0].use_fused = False


def codec_of(compiled: CompiledProduct) -> str:
    return "fused" if compiled.kinds[0].fused is not None else compiled.kinds[0].why_not_fused


def test_what_only_construct_reads_says_why() -> None:
    deep = "{name: a, type: u8}"
    for level in range(20):
        deep = f"{{group: g{level}, fields: [{deep}]}}"
    assert "nest deeper" in codec_of(rows(f"[{deep}]"))
    listed = "{name: n, type: u8}, {list: l, count: n, fields: [{name: b, type: u8}]}, {name: a, type: u8}"
    behind = f"frame: {{header: [{listed}]}}\nmessages: {{m: {{when: {{a: 1}}}}}}"
    assert codec_of(product(behind)) == "a list in a header, before `when` is decided"
    signed = "frame: {header: [{name: a, type: i8}]}\nmessages: {m: {when: {a: -1}}}"
    assert codec_of(product(signed)) == "fused"
    assert codec_of(rows("[{name: a, type: u8}]")) == "fused"


def test_too_deep_is_an_error_of_the_frame() -> None:
    deep = "{name: a, type: u8}"
    for level in range(20):
        deep = f"{{group: g{level}, fields: [{deep}]}}"
    compiled = rows(f"[{deep}]")
    with pytest.raises(DecodeError) as caught:
        compiled.decode(cut(compiled.framing, b"\1"), SessionContext())
    assert caught.value.code is DecodeCode.TOO_DEEP


def test_a_tag_list_without_values_is_empty() -> None:
    assert rows(BODIES["tags"]).encoders[(0, "sample")].encode({}) == b""
