"""JSON of a product by paths: messages told by their content, groups, records, clocks, formulas; and what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoders.compile import compile_spec
from decoders.document import at, parse_path, path_text
from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.plan import Decoded
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.types import SessionContext
from tests.decoders.specs import product

SPEC = """
zone: "+02:00"
messages:
  climate:
    json:
      when: {type: climate, "meta.version": 2}
      values: {temperature: data.t, battery: "bat[0].v", time: data.at}
    fields:
      - {name: temperature, unit: "°C", range: [-40, 85]}
      - {name: battery, unit: V}
      - {name: time, type: unix32}
      - {name: dew_point, formula: temperature - 5}
      - {name: state, enum: {0: off, 1: on}}
      - {group: radio, fields: [{name: rssi, type: i8, unit: dBm}, {name: joined, type: u8, bits: {ok: 0}}]}
  history:
    records: readings
    json: {when: {type: history}, records: "data[].list", values: {serial: sn}, items: {temperature: t, time: ts}}
    fields:
      - {name: serial, type: text}
      - {list: readings, fields: [{name: temperature, unit: "°C"}, {name: time, type: unix32}]}
  alarm: {record: event, json: {code: alarm.code, text: alarm.text}}
"""


def decode(document: Any, text: str = SPEC, context: SessionContext | None = None) -> Decoded:
    return product(text).decode_json(json.dumps(document).encode(), context or SessionContext())


def refused(document: Any, text: str = SPEC) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(document, text)
    return caught.value


CLIMATE = {
    "type": "climate",
    "meta": {"version": 2},
    "data": {"t": 21.5, "at": "2026-03-01T12:00:00"},
    "bat": [{"v": 3.6}],
    "state": "on",
    "radio": {"rssi": -90, "ok": 1},
}


def test_a_message_is_told_by_its_content_and_read_by_paths() -> None:
    found = decode(CLIMATE)
    assert found.message.name == "climate"
    assert found.values == {
        "temperature": 21.5,
        "battery": 3.6,
        "time": "2026-03-01T10:00:00.000Z",  # the spec's zone
        "dew_point": 16.5,
        "state": "on",
        "radio": {"rssi": -90, "ok": True},
    }
    assert not found.violations
    [part] = product(SPEC).parts(found)
    assert part.device_time == "2026-03-01T10:00:00.000Z"
    assert part.metrics["radio.rssi"] == -90


def test_values_are_final_but_the_contract_holds() -> None:
    found = decode({**CLIMATE, "data": {"t": "99.5"}, "dew_point": 3})
    assert found.values["temperature"] == 99.5  # a number that is written as text
    assert found.values["dew_point"] == 3
    assert {(item.field, item.code.value) for item in found.violations or ()} == {
        ("temperature", "out_of_range"),
    }


def test_items_of_a_path_become_records() -> None:
    document = {
        "type": "history",
        "sn": "A1",
        "device_id": "hub",
        "data": [
            {"list": [{"t": 1, "ts": 1_772_366_400}, {"t": 2, "ts": 1_772_366_460_000, "childDeviceId": "c2"}]},
            {"list": [{"t": 3}]},
            {"other": 1},
        ],
    }
    found = decode(document)
    parts = product(SPEC).parts(found)
    assert [part.metrics for part in parts] == [
        {"serial": "A1", "temperature": 1},
        {"serial": "A1", "temperature": 2},
        {"serial": "A1", "temperature": 3},
    ]
    assert [part.device_time for part in parts] == ["2026-03-01T12:00:00.000Z", "2026-03-01T12:01:00.000Z", ""]
    assert parts[1].identity is not None
    assert parts[1].identity.child_id == "c2"


def test_records_are_found_by_name_too() -> None:
    text = SPEC.replace('records: "data[].list", ', "")
    found = decode({"type": "history", "data": {"metrics": {"readings": [{"t": 1}, {"temperature": 2}, 5]}}}, text)
    assert found.values["readings"] == [{"temperature": 1}, {}, {}]


def test_a_list_may_be_the_whole_document() -> None:
    text = "messages: {m: {records: all, json: {records: '.'}, fields: [{list: all, fields: [{name: a}]}]}}"
    found = decode([{"a": 1}, {"a": 2}], text)
    assert [part.metrics for part in product(text).parts(found)] == [{"a": 1}, {"a": 2}]
    assert refused([], SPEC).code is DecodeCode.BAD_DOCUMENT
    assert refused(5, text).code is DecodeCode.BAD_DOCUMENT


def test_too_many_items() -> None:
    text = "messages: {m: {json: true, fields: [{list: l, max: 2, fields: [{name: a}]}]}}"
    assert decode({"l": [{"a": 1}, {"a": 2}]}, text).values == {"l": [{"a": 1}, {"a": 2}]}
    assert refused({"l": [{}, {}, {}]}, text).code is DecodeCode.TOO_MANY_ITEMS


def test_paths_alone_make_a_message() -> None:
    found = decode({"alarm": {"code": 5, "text": "hot"}, "message": "alarm"})
    assert found.message.name == "alarm"
    assert found.message.record == "event"
    assert found.values == {"code": 5, "text": "hot"}


def test_what_no_message_is_says_what_was_there() -> None:
    only = SPEC[: SPEC.index("  alarm:")]
    error = refused({"type": "other"}, only)
    assert error.code is DecodeCode.UNKNOWN_MESSAGE
    assert "type is 'other', meta.version is missing" in error.detail
    assert refused({"type": "climate", "meta": {"version": True}}, only).code is DecodeCode.UNKNOWN_MESSAGE
    assert refused({"message": "climate"}, SPEC).code is DecodeCode.UNKNOWN_MESSAGE


def test_a_value_may_be_called_message() -> None:
    text = "messages: {m: {json: {words: message}, fields: [{name: words, type: text}]}}"
    assert decode({"message": "hello"}, text).values == {"words": "hello"}


def test_a_session_may_help() -> None:
    text = "messages: {m: {json: true, fields: [{name: time, type: unix32}, {name: who, formula: device_id}]}}"
    context = SessionContext(device_id="d1", zone_s=3600)
    found = decode({"time": "2026-03-01 12:00"}, text, context)
    assert found.values == {"time": "2026-03-01T11:00:00.000Z", "who": "d1"}


def test_clocks_by_pattern() -> None:
    text = "messages: {m: {json: true, fields: [{name: time, clock: DD.MM.YYYY hh:mm}]}}"
    assert decode({"time": "01.03.2026 12:00"}, text).values == {"time": "2026-03-01T12:00:00.000Z"}
    assert decode({"time": 1_772_366_400}, text).values == {"time": "2026-03-01T12:00:00.000Z"}
    assert decode({"time": "soon"}, text).values == {}


def test_lists_of_plain_values() -> None:
    text = "messages: {m: {json: true, fields: [{list: cells, type: u16, count: 2, unit: V}]}}"
    assert decode({"cells": [1, "2.5", None]}, text).values == {"cells": [1, 2.5, None]}


def test_frames_and_bodies_read_alike() -> None:
    text = f'frame: {{until: "\\n", format: json}}\n{SPEC}'
    compiled = product(text)
    wire = json.dumps(CLIMATE).encode() + b"\n"
    assert compiled.read(wire, SessionContext()).values == decode(CLIMATE).values


def test_what_stands_around_a_document_is_read() -> None:
    text = """
frame:
  format: json
  header: [{name: size, type: u16, counts: body}, {name: gate, type: u8, metric: true}]
  trailer: [{name: check, crc: sum8, over: size..body}]
messages: {m: {json: true, fields: [{name: a, type: u8}]}}
"""
    compiled = product(text)
    front = b"\0\x07\x05" + b'{"a":1}'
    wire = front + bytes([sum(front) & 255])
    found = compiled.read(wire, SessionContext())
    assert found.values == {"gate": 5, "a": 1}
    assert compiled.parts(found)[0].metrics == {"gate": 5, "a": 1}
    with pytest.raises(DecodeError) as caught:
        compiled.read(wire[:-1] + b"\0", SessionContext())
    assert caught.value.code is DecodeCode.BAD_CHECK


def test_the_end_mark_may_be_that_of_the_document() -> None:
    text = 'frame: {format: json, until: "}"}\nmessages: {m: {json: true, fields: [{name: a, type: u8}]}}'
    assert product(text).read(b'{"a":1}', SessionContext()).values == {"a": 1}


def test_a_product_that_speaks_bytes_and_json() -> None:
    text = """
frames:
  bytes: {header: [{name: start, const: "A5"}, {name: size, type: u8, counts: body}, {name: type, type: u8}]}
  lines: {begins: "7B", until: "\\n", format: json}
messages:
  one: {when: {type: 1}, json: true, fields: [{name: a, type: u8, scale: 2}]}
  two: {json: true, fields: [{name: b, type: u8}]}
"""
    compiled = product(text)
    assert compiled.read(bytes.fromhex("a5010105"), SessionContext()).values["a"] == 10
    assert compiled.read(b'{"message":"one","a":5}\n', SessionContext()).values == {"a": 5}
    assert compiled.read(b'{"message":"two","b":5}\n', SessionContext()).values == {"b": 5}
    assert [selector.message for selector in compiled.kinds[0].layout.selectors] == ["one"]


def problems(text: str) -> list[str]:
    document = load("product: sample\n" + text, "spec.yaml")
    with pytest.raises(SpecError) as caught:
        compile_spec(validate(SpecFile, document), document)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("keys", "place", "words"),
    [
        ("json: {aa: x}", "json.aa", "`aa` is no value of this message (did you mean `a`?)"),
        ("json: {values: {zzz: x}}", "json.values.zzz", "add a row for it"),
        ("json: {a: 'x..y'}", "json.a", "`x..y` is no path"),
        ("json: {a: 'x[].y'}", "json.a", "`[]` is for `records` only"),
        ("json: {when: {'x[': 1}}", "json.when.x[", "is no path"),
        ("json: {records: x}", "json.records", "the message has no `records`"),
        ("json: {items: {a: x}}", "json.items", "these are items of `records`"),
        ("records: l, json: {items: {c: x}}", "json.items.c", "`c` is no value of an item of `l`"),
    ],
)
def test_mistakes_are_named_with_their_place(keys: str, place: str, words: str) -> None:
    text = (
        f"messages:\n  m: {{{keys}, fields: [{{name: a, type: u8}}, {{list: l, fields: [{{name: b, type: u8}}]}}]}}\n"
    )
    (problem,) = problems(text)
    assert f"messages.m.{place}: " in problem
    assert problem.startswith("spec.yaml:3:")
    assert words in problem


def test_a_frame_of_json_needs_a_message() -> None:
    text = 'frames: {a: {until: "\\n", format: json}, b: {until: "3B"}}\nmessages: {m: {fields: [{skip: rest}]}}\n'
    assert "no message comes as JSON" in problems(text)[0]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b c", ("a", "b c")),
        ("a[0].b", ("a", 0, "b")),
        ("[2]", (2,)),
        ("a[-1].b", ("a", -1, "b")),
        ("a[].b", ("a", None, "b")),
        (".", ()),
    ],
)
def test_paths(text: str, path: Any) -> None:
    assert parse_path(text) == path
    assert path_text(path) == text


@pytest.mark.parametrize("text", ["a..b", "a.", "a[x]", "a[-]", "a[--1]", "a]", "a[0", "[0]a", ".a.", "x." * 20 + "x"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parse_path(text)


def test_what_stands_at_a_path() -> None:
    document = {"a": [{"b": 1}, {"b": [2, 3]}, {}, 5]}
    assert at(document, ("a", 0, "b")) == 1
    assert at(document, ("a", 9, "b")) is None
    assert at(document, ("a", "b")) is None
    assert at(document, ("x", 0)) is None
    assert at(document, ("a", None, "b")) == [1, 2, 3]
    assert at(document, ("x", None)) is None


def test_a_product_of_json_alone_reads_any_payload() -> None:
    made = product("messages: {m: {json: true, fields: [{name: a}]}}")
    assert made.read(b'{"a": 1}', SessionContext()).values == {"a": 1}
    assert made.spec.transports == ["mqtt", "rest"]
    with pytest.raises(DecodeError):
        made.read(b"\x01\x02", SessionContext())
    with pytest.raises(DecodeError) as caught:
        made.decode_csv(b"1", SessionContext())
    assert caught.value.code is DecodeCode.UNKNOWN_MESSAGE


def test_a_payload_of_bytes_is_no_document() -> None:
    made = product("messages: {m: {json: true, fields: [{name: a, type: u8}]}}")
    assert made.read(b"{", SessionContext()).values == {"a": 0x7B}
    assert made.read(b'{"a": 5}', SessionContext(), text=True).values == {"a": 5}


def test_a_hidden_row_may_be_read_for_a_formula() -> None:
    spec = """
product: p
messages:
  m:
    json: {values: {raw: a.b}}
    fields: [{name: raw, type: u8, hidden: true}, {name: double, formula: raw * 2}]
"""
    assert decode({"a": {"b": 4}}, spec).values == {"double": 8}


SENTINELS = """
messages:
  m:
    json: true
    fields:
      - {name: a, type: u16, absent: 0xFFFF}
      - {name: b, type: i16, absent: {-999: open, 998..999: short}}
      - {name: c, unit: V, absent: N/A}
      - {name: d, absent: ["-", 7]}
      - {name: e, type: f32, absent: 9999.9}
      - {name: time, type: unix32, absent: 0}
      - {list: f, type: u8, absent: 9}
      - {list: g, fields: [{name: a, type: u8, absent: {5: five}}]}
      - {name: h, type: u8, bits: {i: {at: 0-3, absent: {15: none}}}}
      - {name: j, formula: b * 2, absent: 4}
"""


def test_sentinels_stand_for_no_value_as_they_are_written() -> None:
    gone = {"a": 65535, "b": -999, "c": "N/A", "d": "-", "e": 9999.9, "time": 0, "f": [1, 9], "i": 15, "j": 4}
    values = decode({**gone, "g": [{"a": 5}, {"a": 6}]}, SENTINELS).values
    assert values == {"b_status": "open", "f": [1, None], "g": [{"a_status": "five"}, {"a": 6}], "i_status": "none"}
    assert decode({"b": "999", "d": 7, "a": "65535"}, SENTINELS).values == {"b_status": "short"}


def test_what_is_no_sentinel_is_a_value() -> None:
    there = {"a": 21.5, "b": 997, "c": 3.3, "d": 8, "e": 9999.8, "f": [1, 8], "i": 14, "j": 5}
    assert decode(there, SENTINELS).values == there
    assert decode({"b": 1}, SENTINELS).values == {"b": 1, "j": 2}


TYPED = """
messages:
  m:
    json: true
    fields:
      - {name: n, type: u16, unit: V}
      - {name: t, type: text}
      - {name: s, type: u8, enum: {0: off, 1: on, 2..5: mid}}
      - {name: f, type: u8, bits: {door: 0, mode: {at: 1-2, enum: {1: auto}}}}
      - {list: l, type: u8}
      - {list: g, fields: [{name: a, type: u8, required: true}]}
"""


@pytest.mark.parametrize(
    ("given", "values", "wrong"),
    [
        ({"n": "2.5", "t": 7, "s": 1, "f": 3}, {"n": 2.5, "t": "7", "s": "on", "door": True, "mode": "auto"}, []),
        ({"n": 300_000, "s": "on", "door": 0}, {"n": 300_000, "s": "on", "door": False}, []),
        ({"l": ["1", None]}, {"l": [1, None]}, []),
        ({"n": "x", "t": True, "s": [1], "f": "x", "l": 5}, {}, ["f", "l", "n", "s", "t"]),
        ({"n": {"a": 1}, "door": "open", "l": [1, "x", [2]]}, {"l": [1, None, None]}, ["door", "l[1]", "l[2]", "n"]),
        ({"n": [1], "s": True, "t": {}}, {"s": "on"}, ["n", "t"]),
        ({"n": " ", "s": "4", "g": [{"a": 1}, {"a": "x"}]}, {"s": "mid", "g": [{"a": 1}, {}]}, ["g[1].a"]),
        ({"n": True, "g": 5}, {}, ["g", "n"]),
    ],
)
def test_values_of_another_type_are_none(given: dict[str, Any], values: dict[str, Any], wrong: list[str]) -> None:
    found = decode(given, TYPED)
    assert found.values == values
    assert [item.field for item in found.violations or ()] == wrong
    assert {item.code.value for item in found.violations or ()} <= {"wrong_type"}


ROWS = """
FRAMESmessages:
  m:
    json: {v: t}
    fields:
      - {name: v, type: u16, scale: 0.1, offset: 5, unit: "°C", range: [0, 90]}
      - {name: e, type: u8, enum: {0: off, 1: on, _: other}}
      - {name: f, type: u8, flags: {0: low, 2: high}}
      - {name: x, type: u16, formula: x * 2, decimals: 1}
      - {name: at, type: u32, clock: minutes since 2000-01-01}
      - {name: day, type: u32, clock: YYMMDD}
      - {list: l, type: i16, scale: 0.5}
"""
RAW = {"t": "205", "e": 1, "f": 5, "x": 4, "at": 13_763_520, "day": 260301, "l": [3]}
DAY = "2026-03-01T00:00:00.000Z"


def test_where_nothing_comes_in_bytes_the_rows_say_what_becomes_of_values() -> None:
    found = decode(RAW, ROWS.replace("FRAMES", ""))
    at = "2026-03-03T00:00:00.000Z"
    assert found.values == {"v": 25.5, "e": "on", "f": ["low", "high"], "x": 8, "at": at, "day": DAY, "l": [1.5]}
    assert not found.violations
    named = decode({"e": "on", "f": ["low"], "at": DAY, "day": "x", "x": "q"}, ROWS.replace("FRAMES", ""))
    assert named.values == {"e": "on", "f": ["low"], "at": DAY}
    flags = [(item.field, item.code.value) for item in named.violations or ()]
    assert flags == [("day", "bad_time"), ("x", "wrong_type")]


def test_where_frames_of_bytes_hold_the_same_documents_hold_values() -> None:
    kinds = 'lines: {until: "\\n", begins: "7B", format: json}, bytes: {header: [{name: s, const: A5}], size: 18}'
    text = ROWS.replace("FRAMES", f"frames: {{{kinds}}}\n")
    wire = json.dumps({"t": 25.5, "e": "on", "f": ["low"], "x": 8, "at": DAY, "day": DAY, "l": [1.5]}).encode() + b"\n"
    values = product(text).read(wire, SessionContext()).values
    assert values == {"v": 25.5, "e": "on", "f": ["low"], "x": 8, "at": DAY, "day": DAY, "l": [1.5]}


NESTED = """
messages:
  m:
    records: readings
    json: {values: {site: site}, records: "PATH", items: {ITEMS}}
    fields:
      - {name: site}
      - {list: readings, fields: [{name: id, type: text, identity: child}, {name: room}, {name: v, type: f64}]}
"""
SENSORS = {
    "site": "x",
    "sensors": [
        {"id": 1, "room": "hall", "readings": [{"v": 1}, {"v": 2}]},
        {"id": 2, "readings": []},
        {"id": 3, "readings": {"v": 5}},
    ],
}


def nested(path: str, items: str, document: Any) -> list[tuple[str, dict[str, Any]]]:
    text = NESTED.replace("PATH", path).replace("ITEMS", items)
    parts = product(text).parts(decode(document, text))
    return [(part.identity.child_id if part.identity else "", part.metrics) for part in parts]


def test_records_know_what_the_items_of_lists_around_them_hold() -> None:
    items = 'id: "sensors[].id", room: "sensors[].room"'
    assert nested("sensors[].readings", items, SENSORS) == [
        ("1", {"site": "x", "room": "hall", "v": 1}),
        ("1", {"site": "x", "room": "hall", "v": 2}),
        ("3", {"site": "x", "v": 5}),
    ]
    deep = {"a": [{"id": 1, "b": [{"room": "r", "c": [{"x": {"y": 5}}]}, {"room": "s", "c": [{"x": {"y": 6}}]}]}]}
    assert nested("a[].b[].c", 'id: "a[].id", room: "a[].b[].room", v: x.y', deep) == [
        ("1", {"room": "r", "v": 5}),
        ("1", {"room": "s", "v": 6}),
    ]
    assert nested("[].c", 'id: "[].id"', [{"id": 1, "c": [{"v": 5}]}, {"id": 2}]) == [("1", {"v": 5})]


def test_a_path_to_a_list_around_begins_as_that_of_the_records() -> None:
    text = NESTED.replace("PATH", "sensors[].readings").replace("ITEMS", 'id: "sensor[].id"')
    assert "of a list around: `sensors[].name`" in problems(text)[0]
    text = NESTED.replace("PATH", "sensors[]").replace("ITEMS", 'id: "sensors[].id"')
    assert "name one item: `a[0]`" in problems(text)[0]


def test_a_list_at_the_top_may_be_one_record() -> None:
    text = 'messages: {m: {json: {a: "[0].x", b: "[-1].x", c: "[1].l[-2]", d: "[-9].x"}}}'
    assert decode([{"x": 1}, {"l": [1, 2, 3]}, {"x": 9}], text).values == {"a": 1, "b": 9, "c": 2}
    assert decode([], text).values == {}
    whole = 'messages: {m: {json: {all: "."}, fields: [{list: all, type: f64}]}}'
    assert decode([1, "2"], whole).values == {"all": [1, 2]}
