"""Messages that are built and read again: what is filled in, and what was lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.encode import Encoder
from decoders.errors import EncodeError
from decoders.read_back import arrival_of, lost_values
from decoders.types import SessionContext
from tests.decoders.specs import product

NOON = "2026-03-01T12:34:56.789Z"
SIX = (
    "[{name: y, type: u8, metric: false}, {name: mo, type: u8, hidden: true}, {name: d, type: u8, hidden: true}, "
    "{name: h, type: u8, hidden: true}, {name: mi, type: u8, hidden: true}, {name: s, type: u8, hidden: true}, "
    "{name: time, clock: [y, mo, d, h, mi, s]}]"
)


def encoder_of(text: str, message: str = "m") -> Encoder:
    return next(encoder for (_, name), encoder in product(text).encoders.items() if name == message)


def lost(encoder: Encoder, values: dict[str, Any]) -> tuple[str, list[str]]:
    wire = encoder.encode(values, fill=True)
    context = SessionContext(received_ms=arrival_of(encoder, values))
    return wire.hex(), [str(each) for each in lost_values(encoder, wire, values, context, 0)]


@pytest.mark.parametrize(
    ("when", "fields", "wire"),
    [
        ('{"u8(0)": 1}', "[{skip: 1}, {name: a, type: u8}]", "0102"),
        ('{"u8(0)": 1}', "[{name: kind, type: u8, hidden: true}, {name: a, type: u8}]", "0102"),
        ('{"u8(0)": "3..7"}', "[{name: kind, type: u8}, {name: a, type: u8}]", "0302"),
        ('{"u16le(0)": 0x0102, "u8(-1)": 9}', "[{skip: 2}, {name: a, type: u8}, {skip: 1}]", "02010209"),
        ('{"u8(0) & 15": 3, "u8(0) >> 4": 5}', "[{skip: 1}, {name: a, type: u8}]", "5302"),
        (
            '{"u8(0) & 15": 3, "u8(0) >> 4": 5}',
            "[{name: kind, type: u8, bits: {low: 0-3, high: 4-7}}, {name: a, type: u8}]",
            "5302",
        ),
        ('{first: "01 02"}', "[{name: kind, type: u16}, {name: a, type: u8}]", "010202"),
        ("{next_u8: 4}", "[{skip: 1}, {name: a, type: u8}]", "0402"),
        (
            '{"u8(2)": 1}',
            "[{name: a, type: u8}, {switch: u8(2), cases: {1: [{skip: 1}]}}, {name: mode, type: u8}]",
            "020001",
        ),
    ],
)
def test_bytes_that_make_the_message_what_it_is_are_filled_in(when: str, fields: str, wire: str) -> None:
    compiled = encoder_of(f"messages: {{m: {{when: {when}, fields: {fields}}}}}")
    assert lost(compiled, {"a": 2}) == (wire, [])


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (f"fields: {SIX}", "1a03010c2238"),
        (f"zone: '+08:00'\nfields: {SIX}", "1a0301142238"),
        (
            "fields: " + SIX.replace("s, type: u8", "s, type: u16, scale: 0.001").replace("[y,", "[y + 2000,"),
            "1a03010c22ddd5",
        ),
        (
            "fields: [{name: a, type: u24, hidden: true}, {name: b, type: u24, hidden: true}, {name: time, clock:"
            ' ["a // 10000", "a // 100 % 100", a % 100, "b // 10000", "b // 100 % 100", b % 100]}]',
            "03f8cd01e240",
        ),
        (
            "fields: [{name: a, type: u16, hidden: true}, {name: b, type: u16, hidden: true}, {name: time, clock:"
            ' ["bits(a, 9, 15) + 1980", "bits(a, 5, 8)", "bits(a, 0, 4)", b >> 11, b >> 5 & 63, (b & 31) * 2]}]',
            "5c61645c",
        ),
        (
            "fields: [{name: at, type: u32, bits: [{name: y, width: 6}, {name: mo, width: 4}, {name: d, width: 5},"
            " {name: h, width: 5}, {name: mi, width: 6}, {name: s, width: 6}]}, {name: ms, type: u16, metric: false},"
            " {name: time, clock: [y, mo, d, h, mi, s, ms]}]",
            "68c2c8b80315",
        ),
        (
            "fields: [{name: a, type: bcd, bytes: 3, hidden: true},"
            ' {name: time, clock: ["int(part(a, 0, 2))", "int(part(a, 2, 4))", "int(part(a, 4, 6))"]}]',
            "260301",
        ),
    ],
)
def test_the_parts_of_a_time_are_written(text: str, wire: str) -> None:
    encoder = encoder_of(text, "uplink")
    built = encoder.encode({"time": NOON}, fill=True)
    assert built.hex() == wire
    assert lost_values(encoder, built, {"time": NOON}, SessionContext(), encoder.zone) == []


def test_what_no_time_can_be_taken_apart_into() -> None:
    text = 'fields: [{name: a, type: u8, hidden: true}, {name: time, clock: ["2020", "a * 0 + 1", "1"]}]'
    assert lost(encoder_of(text, "uplink"), {"time": NOON}) == (
        "00",
        [f"time: wanted {NOON!r}, read back '2020-01-01T00:00:00.000Z'"],
    )


@pytest.mark.parametrize(
    ("rows", "values", "said"),
    [
        ("{name: a, type: i16, scale: 0.1}", {"a": 26.34}, []),
        ("{name: a, type: f16}", {"a": 26.34}, []),
        ("{name: a, type: f32}", {"a": 0.1}, []),
        ("{name: a, type: u8, bits: {x: 0-2, y: 3}}", {"x": 9, "y": True}, ["x: wanted 9, read back 1"]),
        ("{name: a, type: u8, bits: {x: {at: 0-3, scale: 0.5}}}", {"x": 1.3}, []),
        ("{name: a, type: bcd, bytes: 3}", {"a": "12345"}, []),
        ("{name: a, type: hex, bytes: 2}", {"a": "AB01"}, []),
        ("{name: a, type: text, bytes: 6}", {"a": " ab"}, ["a: wanted ' ab', read back 'ab'"]),
        ("{name: a, type: u8, hidden: true}", {"a": 7}, []),
        ("{name: a, type: u8, flags: {0: one, 1: two}}", {"a": ["two", "one"]}, []),
        ("{name: a, type: u8, absent: 255}", {"a": None}, []),
        ("{name: a, type: u8, absent: 255}", {"a": 255}, ["a: wanted 255, read back nothing"]),
        ("{list: l, type: u8, scale: 0.5}", {"l": [1, 1.4]}, []),
        ("{list: l, type: u8, numbered: true}", {"l_1": 1, "l_2": 2}, []),
        (
            "{list: l, fields: [{name: a, type: u8, absent: 7}]}",
            {"l": [{"a": 1}, {"a": 7}]},
            ["l[1].a: wanted 7, read back nothing"],
        ),
        ("{group: g, fields: [{name: a, type: i8, scale: 2}]}", {"g": {"a": 5}}, []),
        ("{name: a, type: u8, negate: s}, {name: s, type: u8, bits: {s: 0}}", {"a": -5}, []),
        ("{name: a, type: u8}, {name: b, formula: a * 2}", {"a": 5, "b": 11}, ["b: wanted 11, read back 10"]),
        (
            "{name: t, type: u16, hidden: true}, {name: time, formula: t * 60, clock: since 2026-01-01}",
            {"time": "2026-01-02T00:01:00Z"},
            [],
        ),
    ],
)
def test_what_was_lost(rows: str, values: dict[str, Any], said: list[str]) -> None:
    assert lost(encoder_of(f"fields: [{rows}]", "uplink"), values)[1] == said


def test_downlinks_are_read_back_as_well() -> None:
    text = "messages: {set: {downlink: true, frame: none, fields: [{name: a, type: u8, bits: {x: 0-3, y: 4-7}}]}}"
    encoder = encoder_of(text, "set")
    assert lost(encoder, {"x": 1, "y": 2}) == ("21", [])
    assert lost(encoder, {"x": 1, "y": 17}) == ("11", ["y: wanted 17, read back 1"])


@pytest.mark.parametrize(
    ("rows", "values", "said"),
    [
        ("{name: f, type: u8}, {name: a, type: u8, if: f > 1}", {"f": 1, "a": 2}, "only if `f > 1`"),
        (
            "{name: f, type: u8}, {group: g, if: f, fields: [{name: a, type: u8}]}",
            {"f": 0, "g": {"a": 2}},
            "g: has a value",
        ),
        ("{name: f, type: u8}, {switch: f, cases: {1: [{name: a, type: u8}], 2: []}}", {"f": 2, "a": 2}, "`f` = 2"),
        (
            "{list: l, fields: [{name: f, type: u8}, {name: a, type: u8, if: f}]}",
            {"l": [{"f": 0, "a": 1}]},
            r"l\[0\]\.a",
        ),
    ],
)
def test_values_of_rows_that_are_not_there(rows: str, values: dict[str, Any], said: str) -> None:
    encoder = encoder_of(f"fields: [{rows}]", "uplink")
    with pytest.raises(EncodeError, match=said):
        encoder.encode(values)
    encoder.encode(values, strict=False)


def test_the_value_that_is_there_instead_may_be_given() -> None:
    encoder = encoder_of("fields: [{name: f, type: u8}, {name: a, type: u8, if: f, else: 7}]", "uplink")
    assert lost(encoder, {"f": 0, "a": 7}) == ("00", [])


def test_a_time_of_day_needs_a_day() -> None:
    encoder = encoder_of("fields: [{name: time, type: hms}]", "uplink")
    assert lost(encoder, {"time": "2026-03-01T12:34:56Z"}) == ("0c2238", [])
    assert arrival_of(encoder, {}) == 0
    assert arrival_of(encoder, {"time": "noon"}) == 0
