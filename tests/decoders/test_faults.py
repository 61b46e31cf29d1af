"""Rows that were read and have no value: flagged wherever they stand, by both codecs alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.errors import DecodeError
from decoders.faults import FAULTS, Faults, add_values, flagged, lifted, without_faults
from decoders.framing.framer import cut
from decoders.product import CompiledProduct
from decoders.prove import prove
from decoders.types import SessionContext, Violation, ViolationCode
from tests.decoders.specs import golden, product, read, rows

ROWS = "{name: t, type: bcd_ymd}, {name: e, type: u8}, {name: f, formula: 1 / (e - 7)}"
BAD, GOOD = "261301", "261201"


def flags(compiled: CompiledProduct, data: str | bytes) -> dict[str, str]:
    """What is flagged, which both codecs must say alike."""
    wire = bytes.fromhex(data) if isinstance(data, str) else data
    context = SessionContext()
    read(compiled, wire)
    found = []
    for fused in (False, True):
        for kind in compiled.kinds:
            kind.use_fused = fused
        decoded = compiled.decode(cut(compiled.framing, wire), context)
        assert not _marks(decoded.values)
        found.append({item.field: item.code.value for item in decoded.violations or ()})
    for kind in compiled.kinds:
        kind.use_fused = False
    assert found[0] == found[1]
    return found[0]


def _marks(values: Any) -> bool:
    """Whether something that is no value is left among the values."""
    if isinstance(values, dict):
        return FAULTS in values or any(_marks(inner) for inner in values.values())
    return isinstance(values, list) and any(_marks(inner) for inner in values)


PLACES = {
    "plain": (f"[{{name: k, type: u8}}, {ROWS}]", ""),
    "switch": (f"[{{name: k, type: u8}}, {{switch: k, cases: {{1: [{ROWS}]}}, default: []}}]", ""),
    "group with if": (f"[{{name: k, type: u8}}, {{group: g, if: k == 1, fields: [{ROWS}]}}]", "g."),
    "if on rows": (
        "[{name: k, type: u8}, {name: t, type: bcd_ymd, if: k}, {name: e, type: u8, if: k}, "
        "{name: f, formula: 1 / (e - 7), if: k}]",
        "",
    ),
    "optional": (f"[{{name: k, type: u8}}, {ROWS.replace('bcd_ymd', 'bcd_ymd, optional: true')}]", ""),
    "tags": (f"[{{items: {{key: u8, tags: {{1: [{ROWS}]}}}}}}]", ""),
    "list": (f"[{{list: l, count_type: u8, fields: [{ROWS}]}}]", "l[0]."),
    "numbered": (f"[{{list: l, count_type: u8, numbered: true, fields: [{ROWS}]}}]", "_1"),
    "group in a list": (f"[{{list: l, count_type: u8, fields: [{{group: g, fields: [{ROWS}]}}]}}]", "l[0].g."),
    "names": (f"[{{name: k, type: u8}}, {ROWS.replace('name: t', 'name: ' + chr(34) + 't_{k}' + chr(34))}]", "k"),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place(place: str) -> None:
    text, prefix = PLACES[place]
    compiled = rows(text)
    if place == "names":
        wanted = {"t_1": "bad_time", "f": "formula_failed"}
    elif place == "numbered":
        wanted = {"t_1": "bad_time", "f_1": "formula_failed"}
    else:
        wanted = {f"{prefix}t": "bad_time", f"{prefix}f": "formula_failed"}
    if place == "numbered":  # left to construct
        frame = cut(compiled.framing, bytes.fromhex(f"01{BAD}07"))
        decoded = compiled.decode(frame, SessionContext())
        assert {item.field: item.code.value for item in decoded.violations or ()} == wanted
        assert not _marks(decoded.values)
    else:
        assert flags(compiled, f"01{BAD}07") == wanted
    assert flags(compiled, f"01{GOOD}06") == {}
    report = prove(compiled, [golden(f"01{GOOD}06"), golden(f"01{BAD}07")])
    assert report.holds, report


@pytest.mark.parametrize("place", ["switch", "group with if", "if on rows"])
def test_what_was_not_reached_is_not_missed(place: str) -> None:
    assert flags(rows(PLACES[place][0]), "00") == {}


def test_a_plain_list_of_times() -> None:
    compiled = rows("[{list: times, count: 2, type: unix32, absent: 0}, {list: days, type: bcd_ymd, count: 2}]")
    found = compiled.decode(cut(compiled.framing, bytes.fromhex("0000000069a42a40" + BAD + GOOD)), SessionContext())
    assert found.values == {"times": [None, "2026-03-01T12:00:00.000Z"], "days": [None, "2026-12-01T00:00:00.000Z"]}
    assert found.violations == [Violation("days[0]", ViolationCode.BAD_TIME)]
    good = bytes.fromhex("0000000069a42a40" + GOOD + GOOD)
    assert flags(compiled, good) == {}
    assert prove(compiled, [golden(good.hex())]).holds


def test_sentinels_are_meant_so() -> None:
    compiled = rows("[{name: t, type: bcd_ymd, absent: '000000'}, {name: u, type: u32, clock: unix, absent: 0}]")
    assert flags(compiled, "000000" + "00000000") == {}
    assert flags(compiled, BAD + "00000000") == {"t": "bad_time"}
    bits = rows(
        "[{name: w, type: u32, absent: 0, bits: {t: {at: 0-31, clock: number DDMMYYhh}}}]".replace("number ", "")
    )
    assert flags(bits, "00000000") == {}
    assert flags(bits, "7fffffff") == {"t": "bad_time"}


def test_a_row_of_that_name_that_has_a_value() -> None:
    compiled = rows("[{name: t, type: bcd_ymd}, {name: t, type: bcd_ymd}]")
    assert flags(compiled, BAD + GOOD) == flags(compiled, GOOD + BAD) == {}
    assert flags(compiled, BAD + BAD) == {"t": "bad_time"}


def test_parallel_lists() -> None:
    compiled = rows(
        "[{name: n, type: u8}, {list: l, count: n, fields: [{name: t, type: bcd_ymd}]}, "
        "{list: m, count: n, into: l, fields: [{name: u, type: bcd_ymd}]}]"
    )
    assert flags(compiled, "01" + BAD + BAD) == {"l[0].t": "bad_time", "l[0].u": "bad_time"}
    assert flags(compiled, "02" + GOOD + BAD + BAD + GOOD) == {"l[1].t": "bad_time", "l[0].u": "bad_time"}


def test_entries_of_unknown_tags_say_nothing() -> None:
    compiled = rows(
        "[{items: {key: u8, tags: {1: {name: a, type: u8}}, on_unknown: {into: other, fields: [{name: t, type: "
        "bcd_ymd}, {name: e, type: u8}]}}}]"
    )
    assert flags(compiled, "02" + BAD + "07") == {}


TEXT = 'frame: {format: text, split: ",", until: "\\n"}\nfields: '


def test_an_empty_time_is_no_wrong_one() -> None:
    compiled = product(f"{TEXT}[{{name: time, clock: YYMMDDhhmmss}}, {{name: a}}]")
    assert flags(compiled, b",x\n") == {}
    assert flags(compiled, b" ,x\n") == {}
    assert flags(compiled, b"261301000000,x\n") == {"time": "bad_time"}
    number = product(f"{TEXT}[{{name: time, type: number, clock: unix}}, {{name: a}}]")
    assert flags(number, b",x\n") == {}


def test_clock_formulas() -> None:
    compiled = rows(
        "[{name: n, type: u8}, {name: y, type: u8, if: n}, {name: time, clock: [y, 1, 1]}, "
        "{name: u, formula: y * 1, clock: unix}, {name: v, formula: 'first(y, None)', clock: unix}]"
    )
    assert flags(compiled, "00") == {"time": "formula_failed", "u": "formula_failed"}
    assert flags(compiled, "011a") == {}
    day = rows("[{name: d, type: u8}, {name: time, clock: [2026, 2, d]}]")
    assert flags(day, "1e") == {"time": "bad_time"}
    made = rows("[{name: n, type: u8}, {name: y, type: u8, if: n}, {name: t, raw: y + 1, clock: unix}]")
    assert flags(made, "00") == {"t": "formula_failed"}


def test_a_required_value_is_said_once() -> None:
    assert flags(rows("[{name: t, type: bcd_ymd, required: true}]"), BAD) == {"t": "required"}


def test_documents() -> None:
    compiled = product(
        "messages: {a: {json: true, fields: [{name: time, type: text, bytes: 12, clock: YYMMDDhhmmss}, {name: v, type: "
        "f64}, {name: w, formula: v + 1}]}}"
    )

    def said(text: str) -> dict[str, str]:
        decoded = compiled.decode_json(text.encode(), SessionContext())
        assert not _marks(decoded.values)
        return {item.field: item.code.value for item in decoded.violations or ()}

    assert said('{"time": "never", "v": 1}') == {"time": "bad_time"}
    assert said('{"time": "", "v": 1}') == said('{"v": 1}') == {}
    assert said('{"time": "261201000000"}') == {"w": "formula_failed"}


def test_names_of_devices_are_no_faults() -> None:
    values = {"a": {FAULTS: "x", "b": [{FAULTS: {"c": 1}}]}}
    assert lifted(values) == {"a": {FAULTS: "x", "b": [{FAULTS: {"c": 1}}]}}


def test_lifting() -> None:
    values: dict[str, Any] = {"a": 1, FAULTS: Faults(a=ViolationCode.BAD_TIME, b=ViolationCode.BAD_TIME)}
    inner = {FAULTS: Faults(d=ViolationCode.FORMULA_FAILED)}
    add_values(values, {"c": [{}, inner], FAULTS: Faults(e=ViolationCode.BAD_TIME)})
    found = lifted(values)
    assert found[FAULTS] == {"b": "bad_time", "e": "bad_time", "c[1].d": "formula_failed"}
    said = flagged(found, [Violation("e", ViolationCode.REQUIRED)])
    assert [item.field for item in said or ()] == ["e", "b", "c[1].d"]
    assert found == without_faults(found) == {"a": 1, "c": [{}, {}]}


@given(st.binary(max_size=24))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data: bytes) -> None:
    items = (
        f"1: [{ROWS}], 2: {{group: g, fields: [{ROWS}]}}, 3: {{name: day, type: bcd_ymd, repeat: number}}, "
        "4: {name: h, formula: 1 / (e - 7)}"
    )
    compiled = rows(
        f"[{{list: l, count_type: u8, max: 3, fields: [{ROWS}]}}, {{items: {{key: u8, tags: {{{items}}}}}}}]"
    )
    try:
        read(compiled, data)
    except DecodeError:
        return
    flags(compiled, data)


OWN = {
    "row": ("[{name: a, type: u8, formula: 10 / x}]", "00", "05", "a"),
    "scaled": ("[{name: a, type: u8, scale: 0.1, formula: log(x)}]", "00", "05", "a"),
    "bit": ("[{name: q, type: u8, bits: {a: {at: 4-7, formula: 10 / x}}}]", "0f", "5f", "a"),
    "list": ("[{list: a, type: u8, count: 2, formula: 10 / x}]", "0500", "0505", "a[1]"),
    "numbered": ("[{list: a, type: u8, count: 2, numbered: true, formula: 10 / x}]", "0500", "0505", "a_2"),
    "item": ("[{list: l, fields: [{name: a, type: u8, formula: 10 / x}]}]", "0500", "0505", "l[1].a"),
    "tag": ("[{items: {key: u8, tags: {7: {name: 'a_{key}', type: u8, formula: 10 / x}}}}]", "0700", "0705", "a_7"),
    "clock": ("[{name: a, type: u8, formula: 10 / x, clock: unix}]", "00", "05", "a"),
}


@pytest.mark.parametrize("place", OWN)
def test_a_formula_of_a_row_that_fails(place: str) -> None:
    text, bad, good, name = OWN[place]
    compiled = rows(text)
    found = compiled.decode(cut(compiled.framing, bytes.fromhex(bad)), SessionContext())
    assert found.violations == [Violation(name, ViolationCode.FORMULA_FAILED)]
    assert flags(compiled, good) == {}
    assert prove(compiled, [golden(bad), golden(good)]).holds


def test_a_sentinel_and_a_tolerant_formula_fail_nothing() -> None:
    compiled = rows("[{name: a, type: u8, absent: 0, formula: 10 / x}, {name: b, type: f32, formula: x + 1}]")
    assert flags(compiled, "007fc00000") == {}
    assert flags(rows("[{name: a, type: u8, formula: 'first(10 / x)'}]"), "00") == {}
