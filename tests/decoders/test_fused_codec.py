"""The generated codec agrees with construct on any bytes, refuses with nothing but `Refused`, and takes names "
"as data."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.encode import seal
from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.framing.framer import cut
from decoders.fused_codec import Refused
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from tests.decoders.specs import product, read, rows

BODIES = {
    "numbers": "[{name: a, type: u8}, {name: b, type: i24le}, {name: c, type: sm16, scale: 0.1}, {name: d, type: f32}, "
    "{name: e, type: u64le}, {name: f, type: u40}]",
    "texts": "[{name: a, type: bcd, bytes: 2}, {name: b, type: text, prefix: u8}, {name: c, type: hex, bytes: rest}]",
    "clocks": "[{name: a, type: ymdhms}, {name: b, type: bcd_ymdhms, zone: '+08:00'}, {name: c, type: unix32}, "
    "{name: d, "
    "type: unixms64, if: remaining >= 8}, {name: e, type: hex, bytes: rest}]",
    "bits": "[{name: a, type: u16, bits: {x: 0-3, y: {at: 4-7, signed: true}, z: {at: 8, invert: true}, w: {at: "
    "9, hidden: "
    "true}}}, {name: b, type: u8, negate: w}, {name: c, type: u8, enum: {0..9: low, 10: ten}}, {name: d, "
    "formula: b / y}]",
    "sentinels": "[{name: a, type: u8, absent: [0, 255]}, {name: b, type: u8, absent: 7, scale: 0.5}, {name: c, "
    "formula: "
    "a + b}, {name: d, formula: 'first(a, b, 1)'}, {name: c, formula: a * 2, if: a > 4}]",
    "lists": "[{name: n, type: u8}, {list: l, count: n % 4, fields: [{name: a, type: u8}, {name: b, formula: a "
    "* n}]}, {list: "
    "m, until_left: 2, max: 9, keep: a > 9, fields: [{name: a, type: u8, absent: 99}]}, {name: z, type: u16}]",
    "nested": "[{list: o, count_type: u8, max: 6, fields: [{name: k, type: u8}, {list: i, item_prefix: u8, "
    "count: k % 3, "
    "fields: [{name: a, type: uint, bytes: rest}, {name: b, formula: k + a}]}]}, {name: r, type: hex, bytes: rest}]",
    "groups": "[{group: g, prefix: u8, rest: skip, fields: [{name: a, type: u8}, {group: h, fields: [{name: b, "
    "type: u8}]}]}, "
    "{group: null, bytes: 2, fields: [{name: c, type: u8}, {name: d, type: u8, if: c > 127}]}]",
    "switch": "[{name: k, type: u8}, {switch: k % 5, cases: {0: [{name: a, type: u8}], 1..2: [{name: a, type: "
    "u16}, {name: b, "
    "type: u8, if: a > 9}], 3: []}, default: [{name: a, type: text, bytes: 2}]}, {name: c, formula: a + k}]",
    "conditions": "[{name: f, type: u8, bits: {p: 0, q: 1, r: 2-3}}, {name: a, type: u8, if: p}, {name: a, "
    "type: u16, if: q}, "
    "{name: b, type: u8, if: a > 100 and r}, {name: c, type: u8, if: remaining == 1}, {name: d, formula: a - b, "
    "if: q}]",
    "tags": "[{items: {key: u8, length: u8, tags: {0: {name: a, type: u16}, 1: {name: b, type: int, absent: 5}, "
    "2: {list: l, "
    "fields: [{name: x, type: u8}]}, 3: {group: g, fields: [{name: y, type: u8}]}}, on_unknown: {into: o, type: "
    "uint}}}]",
    "tags without length": "[{items: {key: u8, raw: all, tags: {0: {name: a, type: u16}, 1: {name: b, type: "
    "u8}, 2: [], 3: "
    "{name: c, type: text, prefix: u8}}, on_unknown: stop}}]",
    "tags of sizes": "[{items: {key: u8, length: 1, count_type: u8, max: 5, raw: all, tags: {1: {name: a, type: u8}}, "
    "on_unknown: {into: o}}}, {items: {key: u8, length: 2, tags: {1: {name: a, type: uint}}, on_unknown: {into: "
    "o, type: int}}}]",
    "tags in lists": "[{list: l, item_prefix: u8, max: 5, fields: [{name: n, type: u8}, {items: {key: u8, "
    "length: u8, tags: "
    "{1: {name: n, type: u8}, 2: {name: m, type: u8}}}}, {name: s, formula: n + m}]}]",
}

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


SOUND = {
    "numbers": "01 feffff 8005 3fc00000 0100000000000000 0000000001",
    "texts": "1234 026869 ff",
    "clocks": "19060f0f0628 250615150640 684ee180 0000016b40d8ea30 aa",
    "bits": "0321 05 05",
    "sentinels": "0509",
    "lists": "02 05 06 0a0b63 0001",
    "nested": "02 01 0105 02 0105 020102 ff",
    "groups": "04 01 02 ffff 8001",
    "switch": "06 000a 05",
    "conditions": "07 05 0009 01",
    "tags": "0002ffff 0101 04 0203010203 030107 0902aabb",
    "tags without length": "000001 0105 03026869 09",
    "tags of sizes": "02 0105 0907 010102 09fffe",
    "tags in lists": "04 05 010107 04 05 020107",
}


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


def test_messages_are_told_apart_as_by_construct() -> None:
    compiled = product(
        """
frame: {header: [{name: type, type: u8, bits: {low: 0-3}}, {name: sub, type: u8}], trailer: [{name: end, type: u8}]}
messages:
  pair: {when: {type: 1, sub: 0xFE}, fields: []}
  nibble: {when: {low: [2, 4..6]}, fields: []}
  long: {when: {length: 3}, fields: [{skip: rest}]}
  first: {when: {first: ["aabb", "cc"]}, fields: [{skip: rest}]}
  tail: {when: {end: 7}, fields: [{skip: rest}]}
  port: {when: {port: 9}, fields: [{skip: rest}]}
"""
    )

    def name(data: str, port: int = 0) -> str:
        context = SessionContext(port=port)
        kind = compiled.kinds[0]
        assert kind.reference is not None
        assert kind.fused is not None, kind.why_not_fused
        try:
            truth = kind.reference.decode(bytes.fromhex(data), context, 0)[0]
        except DecodeError:
            with pytest.raises(Refused):
                kind.fused.decode(bytes.fromhex(data), context, 0)
            return ""
        assert kind.fused.decode(bytes.fromhex(data), context, 0)[0] == truth
        return truth

    assert name("01fe00") == "pair"
    assert name("010000") == ""
    assert name("f20000") == "nibble"
    assert name("050000") == "nibble"
    assert name("0000aabbcc00") == "long"
    assert name("0000aabb00") == "first"
    assert name("0000cc00") == "first"
    assert name("0000bb07") == "tail"
    assert name("0000bb08", port=9) == "port"


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
    signed = "frame: {header: [{name: a, type: i8}]}\nmessages: {m: {when: {a: -1}}}"
    assert codec_of(product(signed)) == "`when` reads `a`, which has no fixed place in the header"
    assert codec_of(rows("[{name: a, type: u8}]")) == "fused"


def test_too_deep_is_an_error_of_the_frame() -> None:
    deep = "{name: a, type: u8}"
    for level in range(20):
        deep = f"{{group: g{level}, fields: [{deep}]}}"
    compiled = rows(f"[{deep}]")
    with pytest.raises(DecodeError) as caught:
        compiled.decode(cut(compiled.framing, b"\1"), SessionContext())
    assert caught.value.code is DecodeCode.TOO_DEEP


def test_building_lists_is_refused() -> None:
    compiled = rows(BODIES["tags"])
    with pytest.raises(EncodeError, match="cannot be built"):
        compiled.encoders[(0, "sample")].encode({})
