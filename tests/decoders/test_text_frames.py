"""Text frames: values between marks, literals, runs of characters, optional rows. Both codecs, always."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.framing.framer import Framer
from decoders.product import CompiledProduct
from decoders.prove import prove
from decoders.types import SessionContext
from tests.decoders.specs import golden, product, read

FRAME = 'frame: {format: text, start: "<", stop: ">", split: ","}\n'


def text_rows(rows: str, frame: str = FRAME, more: str = "") -> CompiledProduct:
    return product(f"{frame}{more}messages: {{sample: {{fields: {rows}}}}}\n")


def values(rows: str, body: str, **more: str) -> dict[str, Any]:
    return read(text_rows(rows, **more), f"<{body}>".encode())


def code(rows: str, body: str, **more: str) -> DecodeCode:
    with pytest.raises(DecodeError) as caught:
        values(rows, body, **more)
    return caught.value.code


ABC = "[{name: a}, {name: b}, {name: c}]"


def test_values_stand_between_marks() -> None:
    assert values(ABC, "x,y z,1") == {"a": "x", "b": "y z", "c": "1"}
    assert values(ABC, " x ,,z") == {"a": "x", "c": "z"}


def test_an_empty_value_behind_a_mark_is_no_value_and_one_without_a_mark_is_missing() -> None:
    assert values(ABC, "x,y,") == {"a": "x", "b": "y"}
    assert code(ABC, "x,y") is DecodeCode.TRUNCATED
    assert code(ABC, "x,") is DecodeCode.TRUNCATED
    assert code(ABC, "") is DecodeCode.TRUNCATED
    assert code("[{name: a}, {name: b}, {name: c}, {name: d}]", "x,y,") is DecodeCode.TRUNCATED


def test_what_is_left_over_is_refused_but_for_a_mark_at_the_end() -> None:
    assert values(ABC, "x,y,z,") == {"a": "x", "b": "y", "c": "z"}
    assert code(ABC, "x,y,z,1") is DecodeCode.TRAILING_BYTES
    skipped = product(FRAME + "messages: {sample: {rest: skip, fields: [{name: a}]}}")
    assert read(skipped, b"<x,y,z>") == {"a": "x"}


def test_behind_an_optional_row_all_rows_are_optional() -> None:
    rows = "[{name: a}, {name: b, optional: true}, {name: c, type: number}, {literal: '!'}]"
    assert values(rows, "x") == {"a": "x"}
    assert values(rows, "x,") == {"a": "x"}
    assert values(rows, "x,y") == {"a": "x", "b": "y"}
    assert values(rows, "x,y,,!") == {"a": "x", "b": "y"}
    assert values(rows, "x,y,5,!") == {"a": "x", "b": "y", "c": 5}
    assert code(rows, "x,y,5,?") is DecodeCode.BAD_CONST


def test_optional_rows_of_bytes_need_their_least_size() -> None:
    compiled = product("fields: [{name: a, type: u8}, {name: b, type: u16, optional: true}, {name: c, type: u8}]")
    assert read(compiled, "01") == {"a": 1}
    assert read(compiled, "010002") == {"a": 1, "b": 2}
    assert read(compiled, "01000203") == {"a": 1, "b": 2, "c": 3}


def test_numbers() -> None:
    row = "[{name: a, type: number, scale: 0.1, absent: ['-', 'N/A', 99]}]"
    assert values(row, "263") == {"a": 26.3}
    assert values(row, "-5") == {"a": -0.5}
    assert values(row, "+2.5") == {"a": 0.25}
    for nothing in ("", " ", "-", "N/A", "99", "99.0"):
        assert values(row, nothing if nothing else ",") == {}
    assert code(row, "1x") is DecodeCode.BAD_VALUE
    assert values("[{name: a, type: number, trim: '%+ '}]", "+96.47%") == {"a": 96.47}
    assert values("[{name: a, type: number, enum: {1: one, 2..9: many}}]", "01") == {"a": "one"}


def test_hexadecimal_numbers_have_bits_and_flags() -> None:
    row = "[{name: a, type: hexnumber, bits: {low: 0, inverted: {at: 1, invert: true}, part: 4-7}}, {name: b}]"
    assert values(row, "A1,x") == {"low": True, "inverted": True, "part": 10, "b": "x"}
    assert values(row, ",x") == {"b": "x"}
    assert values("[{name: a, type: hexnumber, flags: {0: sos, 7: low}}]", "81") == {"a": ["sos", "low"]}
    parts = "[{name: a, type: hexnumber, bits: [{name: high, width: 4}, {name: low, width: 12}]}]"
    assert values(parts, "1234") == {"high": 1, "low": 0x234}
    assert code(row, "G,x") is DecodeCode.BAD_VALUE
    assert values("[{name: a, type: number, bits: {on: 0, mode: 1-2}}]", "5") == {"on": True, "mode": 2}
    assert code("[{name: a, type: number, bits: {on: 0}}]", "5.5") is DecodeCode.BAD_VALUE


def test_coordinates() -> None:
    rows = "[{name: lat, type: ddmm, negate: ns == 'S'}, {name: ns, hidden: true}]"
    assert values(rows, "3542.2043,N") == {"lat": 35.703405}
    assert values(rows, "3542.2043,S") == {"lat": -35.703405}
    assert values(rows, ",") == {}
    assert values("[{name: lat, type: ddmm}]", "3542.2043S") == {"lat": -35.703405}
    assert code("[{name: lat, type: ddmm}]", "35422043") is DecodeCode.BAD_VALUE


def test_values_without_marks_between_them() -> None:
    rows = """[{name: id, bytes: 4}, {name: kind, bytes: 2, const: BR}, {name: lat, chars: 0-9., type: ddmm},
      {name: ns, bytes: 1}, {name: speed, type: number, bytes: 5}, {name: rest, bytes: rest}]"""
    assert values(rows, "0012BR2300.0957N032.4,x") == {
        "id": "0012", "lat": 23.001595, "ns": "N", "speed": 32.4, "rest": ",x"
    }  # fmt: skip
    assert values("[{name: a, chars: A-Z}, {name: b}]", "1") == {"b": "1"}
    assert code(rows, "0012BX2300.0957N032.4") is DecodeCode.BAD_CONST
    assert code(rows, "001") is DecodeCode.TRUNCATED


def test_literals_and_skips() -> None:
    rows = "[{literal: 'GT'}, {literal: '#', optional: true}, {name: a, until: ';'}, {skip: 2, until: ','}, {name: b}]"
    assert values(rows, "GTx;1,2,y") == {"a": "x", "b": "y"}
    assert values(rows, "GT#x;1,2,y") == {"a": "x", "b": "y"}
    assert code(rows, "GX#x;1,2,y") is DecodeCode.BAD_CONST
    assert values("[{name: a}, {skip: 3}, {chars: ' '}, {name: b}]", "x,123   y") == {"a": "x", "b": "y"}
    assert values("[{name: a, const: ON}, {name: b, type: number, const: 7}]", "ON,07") == {}
    assert code("[{name: a, const: ON}]", "on") is DecodeCode.BAD_CONST


def test_marks_in_binary_frames_are_hex_and_have_to_be_there() -> None:
    compiled = product(
        'fields: [{name: a, type: text, until: "00"}, {literal: "FF"}, {name: b, type: number, bytes: 3}]'
    )
    assert read(compiled, b"abc\0\xff 12") == {"a": "abc", "b": 12}
    assert read(compiled, b"\0\xff   ") == {"a": ""}
    for data, wrong in ((b"abc", DecodeCode.TRUNCATED), (b"abc\0\xfe 12", DecodeCode.BAD_CONST)):
        with pytest.raises(DecodeError) as caught:
            read(compiled, data)
        assert caught.value.code is wrong


def test_the_rest_of_the_window_decides() -> None:
    rows = """[{if: "starts('BP')", group: null, fields: [{literal: BP}, {name: a, chars: 0-9}]},
      {if: "has(';')", name: b, until: ';'}, {switch: "tokens(',')", cases: {0: [], 1: [{name: c}],
      2..9: [{name: d}, {name: e}]}, default: refuse}]"""
    compiled = text_rows(rows)
    for body, expected in {
        "BP12y;z": {"a": "12", "b": "y", "c": "z"},
        "z": {"c": "z"},
        "y;": {"b": "y"},
        "y;1,2": {"b": "y", "d": "1", "e": "2"},
    }.items():
        assert read(compiled, f"<{body}>".encode()) == expected
    assert code(rows, "y;" + ",".join("123456789abc")) is DecodeCode.NO_BRANCH


def test_groups() -> None:
    rows = "[{group: cell, split: ':', fields: [{name: mcc, type: number}, {name: mnc, type: number}]}, {name: a}]"
    assert values(rows, "310:26,x") == {"cell": {"mcc": 310, "mnc": 26}, "a": "x"}
    assert code(rows, "310,x") is DecodeCode.TRUNCATED
    assert values("[{group: g, until: ';', fields: [{name: a}, {name: b}]}, {name: c}]", "1,2;3") == {
        "g": {"a": "1", "b": "2"},
        "c": "3",
    }
    assert values("[{group: g, until: ';', fields: [{name: a}]}, {name: c}]", ";3") == {"g": {}, "c": "3"}


def test_text_that_stands_for_bytes() -> None:
    rows = "[{name: a}, {group: g, encoded: hex, fields: [{name: n, type: u16}, {name: m, type: i8}]}, {name: b}]"
    assert values(rows, "x,0102ff,y") == {"a": "x", "g": {"n": 0x0102, "m": -1}, "b": "y"}
    assert code(rows, "x,0102f,y") is DecodeCode.BAD_VALUE
    assert code(rows, "x,0102,y") is DecodeCode.TRUNCATED
    assert code(rows, "x,01020304,y") is DecodeCode.TRAILING_BYTES
    coded = "[{group: null, encoded: base64, fields: [{name: n, type: u16}, {name: t, bytes: rest, type: text}]}]"
    assert values(coded, "AQJhYg==") == {"n": 0x0102, "t": "ab"}
    assert values(coded, "AQJhYg") == {"n": 0x0102, "t": "ab"}
    assert code(coded, "AQJ*Yg==") is DecodeCode.BAD_VALUE
    binary = product(
        "fields: [{name: n, type: u8}, {group: null, bytes: 4, encoded: hex, fields: [{name: m, type: u16}]}]"
    )
    assert read(binary, b"\x07ABCD") == {"n": 7, "m": 0xABCD}


def test_lists() -> None:
    rows = """[{name: n, type: number}, {list: cells, count: n, fields: [{name: lac, type: hexnumber}, {name: id}]},
      {name: z}]"""
    assert values(rows, "2,10,a,FF,b,end") == {
        "n": 2, "cells": [{"lac": 16, "id": "a"}, {"lac": 255, "id": "b"}], "z": "end"
    }  # fmt: skip
    assert values(rows, "0,end") == {"n": 0, "cells": [], "z": "end"}
    assert code(rows, "2,10,a,FF") is DecodeCode.TRUNCATED
    assert code(rows, ",end") is DecodeCode.BAD_LENGTH
    items = (
        "[{list: points, item_until: ';', fields: [{name: x, type: number}, {name: y, type: number, optional: true}]}]"
    )
    assert values(items, "1,2;3;;4,5;") == {"points": [{"x": 1, "y": 2}, {"x": 3}, {}, {"x": 4, "y": 5}]}
    inner = "[{name: a}, {list: cells, item_until: '|', split: ':', fields: [{name: x}, {name: y}]}, {name: b}]"
    assert values(inner, "q,1:2|3:4,r") == {"a": "q", "cells": [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}], "b": "r"}
    assert values(inner, "q,,r") == {"a": "q", "cells": [], "b": "r"}


def test_lists_of_values() -> None:
    assert values("[{list: t, type: number}]", "1,2.5,3") == {"t": [1, 2.5, 3]}
    assert values("[{name: a}, {list: t, type: number, item_until: '|'}, {name: b}]", "x,1|2,y") == {
        "a": "x",
        "t": [1, 2],
        "b": "y",
    }


HEADER = """frame: {format: text, start: "*", stop: "#", split: ",", header: [{name: maker, const: HQ},
  {name: device, identity: device}, {name: type}]}
messages:
  beat: {when: {type: [HB, 1]}, fields: [{name: level, type: number, optional: true}]}
  place: {when: {type: V1, first: "A,"}, fields: [{name: valid}, {name: lat, type: ddmm}]}
  lost: {when: {type: V1}, fields: [{name: valid}]}
  short: {when: {type: X, length: 3}, fields: [{name: a}]}
"""


def test_headers_of_changing_size_choose_the_message() -> None:
    compiled = product(HEADER)
    base = {"device": "77"}
    assert read(compiled, b"*HQ,77,HB#") == {**base, "type": "HB"}
    assert read(compiled, b"*HQ,77,HB,5#") == {**base, "type": "HB", "level": 5}
    assert read(compiled, b"*HQ,77,1,5#") == {**base, "type": "1", "level": 5}
    assert read(compiled, b"*HQ,77,V1,A,0030.0#") == {**base, "type": "V1", "valid": "A", "lat": 0.5}
    assert read(compiled, b"*HQ,77,V1,V#") == {**base, "type": "V1", "valid": "V"}
    assert read(compiled, b"*HQ,77,X,abc#") == {**base, "type": "X", "a": "abc"}
    for frame in (b"*HQ,77,X,abcd#", b"*HQ,77,V2#"):
        with pytest.raises(DecodeError) as caught:
            read(compiled, frame)
        assert caught.value.code is DecodeCode.UNKNOWN_MESSAGE


def test_the_codecs_agree_on_changed_frames() -> None:
    frames = [b"*HQ,77,HB,5#", b"*HQ,77,V1,A,0030.0#", b"*HQ,77,V1,V#", b"*HQ,77,X,abc#", b"*HQ,77,HB#"]
    assert prove(product(HEADER), [golden(frame.hex()) for frame in frames]).holds


EVERYTHING = """[{name: a, type: number, absent: ['-']}, {name: b, chars: A-Z}, {group: g, until: ';', fields: [
  {name: c}, {name: d, type: hexnumber, bits: {x: 0, y: 4-7}}]}, {literal: '!', optional: true}, {name: kind},
  {switch: kind, cases: {A: [{list: l, count: a, fields: [{name: e, type: number}]}], B: [{list: m, split: ':',
  item_until: '|', fields: [{name: f}, {name: h, optional: true}]}]}, default: [{group: null, encoded: hex, fields:
  [{name: i, type: u8}]}]}, {if: "has(',') and not starts('A')", name: j, type: ddmm}, {name: k, optional: true}]"""


@given(st.text("01AB,;:|!-.", max_size=24))
@settings(max_examples=400, deadline=None)
def test_the_codecs_agree_on_any_text(body: str) -> None:
    with contextlib.suppress(DecodeError):
        values(EVERYTHING, body)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (FRAME + "fields: [{name: a, type: u8}]", "reads bytes, and this is a text frame"),
        (FRAME + "fields: [{name: a, type: nmuber}]", "did you mean `number`?"),
        (FRAME + "fields: [{name: a, chars: 9-0}]", "no list of characters"),
        (FRAME + "fields: [{name: a, bytes: 3, until: ';'}]", "both say how long it is"),
        ("fields: [{name: a, type: text, until: ';'}]", 'this text in hex is "3B"'),
        ("fields: [{group: g, split: ',', fields: [{skip: 1}]}]", "`split` is for text"),
        ("frame: {split: ','}\nfields: [{skip: 1}]", "`split` is for text"),
        (FRAME + "fields: [{name: a, formula: \"has(',')\"}]", "stand in if, count, switch"),
        ("fields: [{name: a, type: u8, if: has(1)}]", "takes one text"),
    ],
)
def test_mistakes_are_named(spec: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        product(spec)
    assert words in str(caught.value)


def test_a_message_reads_text_or_bytes() -> None:
    frames = """frames: {words: {format: text, start: "<", stop: ">"}, bytes: {start: "AA", size: 2}}
messages: {sample: {fields: [{name: a, type: text, bytes: 1}]WHICH}}"""
    with pytest.raises(SpecError, match="frames that read differently"):
        product(frames.replace("WHICH", ""))
    assert read(product(frames.replace("WHICH", ", frame: words")), b"<x>") == {"a": "x"}


DOWN = """frame: {format: text, start: "*", stop: "#", split: ",",
  header: [{name: maker, const: HQ}, {name: device}, {name: type}]}
messages:
  ask: {when: {type: V1}, fields: [{name: x, type: number}], replies: [{message: set, with: {period: x * 2}}, ack]}
  set: {downlink: true, when: {type: S1}, fields: [{name: period, type: number},
    {name: lat, type: ddmm, optional: true},
    {name: mode, type: hexnumber, bytes: 4}, {literal: ";"}, {name: note, until: "/"}, {group: g, split: ":",
    fields: [{name: a}, {name: b}]}]}
  many: {downlink: true, when: {type: S2}, fields: [
    {list: l, item_until: "|", split: ":", fields: [{name: a}, {name: b}]},
    {items: {key: text, split: ";", tags: {T: {name: t, type: number}, U: {name: u}}}}]}
  ack: {downlink: true, when: {type: V4}}
"""


def test_messages_are_built() -> None:
    compiled = product(DOWN)
    assert compiled.encoders[0, "ack"].encode({"device": "77"}, raw={"type": "V4"}) == b"*HQ,77,V4#"
    build = compiled.encoders[0, "set"]
    values = {"device": "77", "period": 30, "mode": 255, "note": "n", "g": {"a": "1", "b": "2"}}
    assert build.encode(values, raw={"type": "S1"}) == b"*HQ,77,S1,30,,00FF;n/1:2#"
    assert build.encode({**values, "lat": 35.703405}, raw={"type": "S1"}) == b"*HQ,77,S1,30,3542.2043,00FF;n/1:2#"
    many = {"device": "77", "l": [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], "u": "x", "t": 2.5}
    assert compiled.encoders[0, "many"].encode(many, raw={"type": "S2"}) == b"*HQ,77,S2,1:2|3:4,T=2.5;U=x#"


def test_replies_are_built_from_the_request() -> None:
    compiled = product(
        DOWN.replace(
            "S1}, fields:",
            "S1}, fields: [{name: period, type: number}]}\n  other: {downlink: true, when: {type: S3}, fields:",
        )
    )
    values = read(compiled, b"*HQ,77,V1,15#")
    assert compiled.replies("ask", values, SessionContext(), 0) == [b"*HQ,77,S1,30#", b"*HQ,77,V4#"]


def test_streams_of_several_kinds_are_cut() -> None:
    compiled = product("""frames:
  star: {format: text, start: "*", stop: "#", split: ",", header: [{name: maker}]}
  imei: {format: text, start: "imei:", stop: ";", split: ","}
  digits: {format: text, begins: "30-39 30-39", stop: ";", split: ","}
  binary: {start: "24", size: 4}
messages:
  star: {frame: star, fields: [{name: a}]}
  imei: {frame: imei, fields: [{name: device}, {name: b}]}
  beat: {frame: digits, fields: [{name: device}]}
  raw: {frame: binary, fields: [{name: n, type: u24}]}
""")
    wire = b"*HQ,1#\r\nimei:868683,x;868683;$\x01\x02#*HQ,#;zz*HQ,2#"
    expected = [b"*HQ,1#", b"imei:868683,x;", b"868683;", b"$\x01\x02#", b"*HQ,#", b"*HQ,2#"]
    framer = Framer(compiled.framing)
    assert [frame.wire for index in range(len(wire)) for frame in framer.receive(wire[index : index + 1])] == expected
    assert [frame.wire for frame in Framer(compiled.framing).receive(wire)] == expected
    assert read(compiled, b"868683;") == {"device": "868683"}
    assert read(compiled, b"$\x01\x02#") == {"n": 0x010223}


OPTIONAL_CELL = """
frame: {format: text, until: "\\n", split: ","}
fields: [{name: a}, {group: io, encoded: hex, optional: true, fields: [{name: v, type: u8}]}, {name: b, optional: true}]
"""


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"x,,y", {"a": "x", "b": "y"}),
        (b"x,05,y", {"a": "x", "io": {"v": 5}, "b": "y"}),
        (b"x,05", {"a": "x", "io": {"v": 5}}),
        (b"x", {"a": "x"}),
    ],
)
def test_an_optional_value_of_bytes_may_be_empty(line: bytes, values: dict[str, Any]) -> None:
    compiled = product(OPTIONAL_CELL)
    assert read(compiled, line + b"\n") == values
    assert compiled.encoders[0, "uplink"].encode(values) == line + b"\n"
    assert prove(compiled, [golden((line + b"\n").hex())]).holds


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"a": "x", "b": 80}, b"x,80,20260301120000,0012\n"),
        ({"a": "x"}, b"x,20260301120000,0012\n"),
    ],
)
def test_a_trailer_that_begins_with_a_value_is_parted_from_the_body(values: dict[str, Any], line: bytes) -> None:
    trailer = '[{name: sent, bytes: 14, clock: YYYYMMDDhhmmss}, {literal: ","}, {name: n, bytes: 4}]'
    compiled = product(
        f'frame: {{format: text, until: "\\n", split: ",", trailer: {trailer}}}\n'
        "fields: [{name: a}, {name: b, type: number, optional: true}]"
    )
    whole = {**values, "sent": "2026-03-01T12:00:00.000Z", "n": "0012"}
    assert compiled.encoders[0, "uplink"].encode(whole) == line
    assert read(compiled, line) == whole
