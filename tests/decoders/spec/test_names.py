"""Computed names, repeated values, sentinels with words and `else`, on both codecs."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.framing.framer import cut
from decoders.plan import Decoded
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from tests.decoders.specs import product, read, rows


def decoded(compiled: CompiledProduct, data: str) -> Decoded:
    return compiled.decode(cut(compiled.framing, bytes.fromhex(data)), SessionContext())


def problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        rows(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "data", "values"),
    [
        ("[{name: k, type: u8}, {name: 'chn_{k}', type: u8}]", "0305", {"k": 3, "chn_3": 5}),
        ("[{name: k, type: u8, hidden: true}, {name: 't_{k - 2}', type: u8, absent: 9}]", "0309", {}),
        ("[{name: k, type: i8, hidden: true}, {name: 't_{k}', type: u8}]", "ff05", {}),  # no name, no value
        (
            "[{name: k, type: u8}, {group: 'g_{k + 1}', fields: [{name: z, type: u8}]}]",
            "0305",
            {"k": 3, "g_4": {"z": 5}},
        ),
        (
            "[{list: l, fields: [{name: 'v{index}', type: u8}, {name: 'w{index + 1}', type: u8, if: index}]}]",
            "030405",
            {"l": [{"v0": 3}, {"v1": 4, "w2": 5}]},
        ),
        (
            "[{list: l, count: 2, keep: a > 1, fields: [{name: a, type: u8}, {name: 'v{index}', type: u8}]}]",
            "01000203",
            {"l": [{"a": 2, "v1": 3}]},
        ),
        (
            "[{name: k, type: u8, hidden: true}, {name: 'c{k}', type: u8}, {name: s, formula: c3 * 2}]",
            "0305",
            {"c3": 5, "s": 10},
        ),
        (
            "[{name: k, type: u8}, {list: l, count: 1, fields: [{name: 'c{k}', type: u8}, {name: 'd{port}', "
            "type: u8}]}]",
            "030506",
            {"k": 3, "l": [{"c3": 5, "d0": 6}]},
        ),
    ],
)
def test_names_are_built_from_raw_integers(text: str, data: str, values: dict[str, Any]) -> None:
    assert read(rows(text), data) == values


TAGS = """\
fields:
  - items:
      key: u8
      tags:
        0x03..0x05: {name: "current_chn{(key - 1) // 2}", type: u8, unit: A, range: [0, 9]}
        6, 8: [{name: "state_{key}", type: u8, bits: {"on_{key}": 0}}, {use: more}]
        9: {group: "input_{key - 8}", fields: [{name: level, type: u8, unit: "%"}]}
blocks:
  more: [{name: "extra_{key}", type: u8}]
"""


def test_a_tags_key_becomes_a_plain_name() -> None:
    compiled = product(TAGS)
    data = "030104020503060107080008092a"
    values = {
        "current_chn1": 2,
        "current_chn2": 3,
        "on_6": True,
        "extra_6": 7,
        "on_8": False,
        "extra_8": 8,
        "input_1": {"level": 42},
    }
    assert read(compiled, data) == values
    units = {"current_chn1": "A", "current_chn2": "A", "input_1.level": "%"}
    assert compiled.messages["uplink"].units == units
    violations = decoded(compiled, "050a").violations
    assert violations is not None
    assert [(item.field, item.code.value) for item in violations] == [("current_chn2", "out_of_range")]


def test_units_and_rules_of_computed_names() -> None:
    compiled = rows(
        "[{name: k, type: u8, metric: false}, {name: 'chn_{k}', type: u8, unit: V, range: [0, 4]}, "
        "{name: 'mode_{k}', type: u8, enum: {1: one}, metric: false}, "
        "{group: 'g_{k}', fields: [{name: z, type: u8, unit: A, range: [0, 4]}]}]"
    )
    good, bad = decoded(compiled, "03040104"), decoded(compiled, "03050205")
    plan = good.message
    assert good.violations is None
    assert [part.metrics for part in plan.parts(good.values, None)] == [{"chn_3": 4, "g_3.z": 4}]
    assert [plan.unit_of(name) for name in ("chn_3", "g_3.z", "mode_3", "chn_3_status")] == ["V", "A", "", ""]
    assert bad.violations is not None
    assert {item.field: item.code.value for item in bad.violations} == {
        "chn_3": "out_of_range",
        "mode_3": "not_in_enum",
        "g_3.z": "out_of_range",
    }


@pytest.mark.parametrize(
    ("text", "data", "values"),
    [
        ("[{name: a, type: u8, repeat: list}, {name: a, type: u8, repeat: list}, {name: n, formula: count(a)}]", "0102",
         {"a": [1, 2], "n": 2}),
        ("[{name: a, type: u8, repeat: list}]", "01", {"a": [1]}),
        ("[{name: a, type: u8, repeat: list, absent: 1}]", "01", {}),
        ("[{name: a, type: u8, repeat: number}, {name: a, type: u8, repeat: number, absent: 2}, "
         "{name: a, type: u8, repeat: number}, {name: s, formula: a_1 + a_3}]", "010203", {"a_1": 1, "a_3": 3, "s": 4}),
        ("[{name: k, type: u8}, {name: a, type: u8, repeat: list, if: k}, {name: a, type: u8, repeat: list}]", "0002",
         {"k": 0, "a": [2]}),
        ("[{name: a, type: u8, bits: {x: 0, y: 1}, repeat: list}, {name: a, type: u8, bits: {x: 0, y: 1}, "
         "repeat: list}]", "0102", {"x": [True, False], "y": [False, True]}),
        ("[{group: g, repeat: list, fields: [{name: a, type: u8}]}, {group: g, repeat: list, fields: [{name: a, "
         "type: u8}]}]", "0102", {"g": [{"a": 1}, {"a": 2}]}),
        ("[{group: g, repeat: number, fields: [{name: a, type: u8}]}, {group: g, repeat: number, fields: []}]", "01",
         {"g_1": {"a": 1}, "g_2": {}}),
    ],
)  # fmt: skip
def test_values_of_one_name_are_collected(text: str, data: str, values: dict[str, Any]) -> None:
    assert read(rows(text), data) == values


HISTORY = """\
endian: little
items:
  key: u16be
  tags:
    0x0367: {name: temperature, type: i16, scale: 0.1, unit: "°C"}
    0x0166: {name: door, type: u8, enum: {0: closed, 1: open}, repeat: list}
    0x20CE:
      list: history
      count: 1
      max: 3
      fields: [{name: at, type: u32}, {name: temperature, type: i16, scale: 0.1}, {skip: 2}]
"""


def test_a_list_that_is_read_again_grows() -> None:
    """Milesight EM300-TH: each stored value is a tag of its own."""
    compiled = product(HISTORY)
    item = "20ce9e74466310015d00"
    one = {"at": 1665561758, "temperature": 27.2}
    assert read(compiled, item) == {"history": [one]}
    assert read(compiled, item + "0367340101660101660020ce9e74466310015d00") == {
        "history": [one, one],
        "temperature": 30.8,
        "door": ["open", "closed"],
    }
    with pytest.raises(DecodeError) as caught:
        read(compiled, 4 * item)
    assert caught.value.code is DecodeCode.TOO_MANY_ITEMS


@pytest.mark.parametrize(
    ("text", "data", "values"),
    [
        ("[{name: a, type: u16, absent: {0xFFFD: over_range, '0xFFFE..0xFFFF': read_failed}}]", "fffd",
         {"a_status": "over_range"}),
        ("[{name: a, type: u16, absent: {0xFFFD: over_range, '0xFFFE..0xFFFF': read_failed}}]", "ffff",
         {"a_status": "read_failed"}),
        ("[{name: a, type: u16, absent: {0xFFFD: over_range}}, {name: ok, formula: a_status == 'over_range'}]", "fffd",
         {"a_status": "over_range", "ok": True}),
        ("[{name: a, type: u16, absent: {0xFFFD: over_range}}]", "0001", {"a": 1}),
        ("[{name: k, type: u8}, {name: 'v_{k}', type: i16, absent: {0x8000: open_circuit}}]", "078000",
         {"k": 7, "v_7_status": "open_circuit"}),
        ("[{name: a, type: sm16, absent: 0x8000}, {name: b, type: sm16, absent: 0x8000}]", "80008001", {"b": -1}),
        ("[{name: a, type: bcdnumber, bytes: 2, absent: {9999: open}, scale: 0.1}]", "9999", {"a_status": "open"}),
        ("[{name: a, type: bcdnumberle, bytes: 2, scale: 0.1}, {name: b, type: bcdnumber, bytes: 2}]", "3412ffff",
         {"a": 123.4}),
        ("[{name: a, type: f16}, {name: b, type: f16le}]", "3c007c00", {"a": 1.0, "b": 7.3909759521484375e-06}),
    ],
)  # fmt: skip
def test_sentinels_may_have_words(text: str, data: str, values: dict[str, Any]) -> None:
    assert read(rows(text), data) == values


@pytest.mark.parametrize(
    ("text", "data", "values"),
    [
        ("[{name: k, type: u8}, {name: v, type: u8, if: k, else: none}]", "00", {"k": 0, "v": "none"}),
        ("[{name: k, type: u8}, {name: v, type: u8, if: k, else: none}]", "0102", {"k": 1, "v": 2}),
        ("[{name: k, type: u8}, {name: n, type: u8, if: k, else: 2}, {skip: n}]", "000000", {"k": 0, "n": 2}),
        ("[{name: k, type: u8}, {name: v, type: u8, optional: true, else: -1}]", "07", {"k": 7, "v": -1}),
        ("[{name: k, type: u8}, {name: v, type: u8, if: k, optional: true, else: -1}]", "07", {"k": 7, "v": -1}),
        ("[{name: k, type: u8}, {name: 'v_{k}', type: u8, if: k > 9, else: low}]", "07", {"k": 7, "v_7": "low"}),
        ("[{name: k, type: u8}, {name: v, type: u8, if: k, else: off, enum: {1: on}}]", "00", {"k": 0, "v": "off"}),
    ],
)
def test_a_row_that_is_not_there_may_have_a_value(text: str, data: str, values: dict[str, Any]) -> None:
    compiled = rows(text)
    assert read(compiled, data) == values
    assert decoded(compiled, data).violations is None


def test_a_formulas_result_is_converted_like_a_value() -> None:
    compiled = rows(
        "[{name: a, type: u8}, {name: p, formula: a * 2, scale: 0.1, offset: -1}, "
        "{name: q, formula: a > 3, enum: {1: high, 0: low}}, {name: r, formula: a, absent: [3, '200..255']}, "
        "{name: s, formula: a, flags: {0: lo, '!1': not_hi}}, {name: t, formula: \"'x' if a else 1\", scale: 2}]"
    )
    assert read(compiled, "05") == {"a": 5, "p": 0.0, "q": "high", "r": 5, "s": ["lo", "not_hi"]}
    assert read(compiled, "c8") == {"a": 200, "p": 39.0, "q": "high", "s": ["not_hi"]}
    assert read(compiled, "00") == {"a": 0, "p": -1.0, "q": "low", "r": 0, "s": ["not_hi"], "t": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{name: 'a_{k}', type: u8}]", "there is no field `k`"),
        ("[{name: k, type: u8}, {name: 'a_{k +}', type: u8}]", "is no formula"),
        ("[{name: 'a_{remaining}', type: u8}]", "`remaining` cannot be a part of a name"),
        ("[{name: k, type: u8}, {name: 'a_{k}', type: u8, required: true}]", "`required` needs a plain name"),
        ("[{name: k, type: u8}, {name: 'a_{k}', type: u8, identity: device}]", "`identity` needs a plain name"),
        ("[{name: k, type: u8}, {name: 'a_{k}', type: u8, repeat: list}]", "does not repeat"),
        ("[{name: k, type: u8}, {name: 'a_{k}', type: u8, negate: k}]", "keeps its sign"),
        ("[{name: k, type: u8}, {name: a_1, type: u8}, {name: 'a_{k}', type: u8}]", "may become `a_1`"),
        ("[{name: a, type: u8, repeat: list}, {name: a, type: u8}]", "another row `a` has `repeat: list`"),
        ("[{name: a, type: u8, repeat: list, absent: {1: x}}]", "words of sentinels cannot repeat"),
        ("[{name: a, type: u8}, {name: b, formula: a, absent: {1: x}}]", "a formula's result has no words"),
        ("[{name: a, type: u8, else: 1}]", "`a` is always there"),
        ("[{name: k, type: u8}, {name: a, type: u8, if: k, bits: {x: 0}, else: 1}]", "`a` is not shown"),
        ("[{name: k, type: u8}, {list: 'l_{k}', fields: [{name: a, type: u8}]}]", "only a tag's `key`"),
        ("[{name: a, type: u8, scale: '1e999999999'}]", "scale `1e999999999` is no number"),
        ("[{name: a, type: u8, raw_offset: x}]", "raw_offset `x` is no number"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    assert words in problem(text)


EVERYTHING = """\
fields:
  - {name: k, type: u8, bits: {ch: 0-1, more: {at: [7, 2-3], signed: magnitude, absent: {5: five}}}}
  - {name: "t_{ch + 1}", type: i8, scale: 0.5, raw_offset: -3, absent: {0x80: open, "100..127": over}}
  - {name: o, type: u8, if: ch > 1, else: 7}
  - items:
      key: u8
      on_unknown: stop
      max: 20
      tags:
        1: {name: a, type: u8, repeat: list, absent: 3}
        2: {name: n, type: bcdnumber, bytes: 1, repeat: number}
        3: {list: h, count: 1, max: 4, keep: x > 2, fields: [{name: x, type: u8}, {name: "y{index}", type: u8}]}
        4: {group: "g{o}", fields: [{name: z, type: u8, flags: {0: a, "!7": b}}]}
        5..6: {name: "five{key}", type: u8, bits: [{name: "p{key}", width: 4, bcd: true}, {name: q, width: 4}]}
        7: {list: h, count: o, max: 3, fields: [{name: x, type: u8}]}
        8..9: [{name: c, type: u8}, {name: "w{c}_{key}", type: u8, enum: {1: one, _: null}}]
"""


@settings(max_examples=300, deadline=None)
@given(data=st.lists(st.integers(0, 9) | st.integers(0, 255), max_size=30).map(bytes))
def test_both_codecs_read_everything_alike(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        read(product(EVERYTHING), data)


@pytest.mark.parametrize(("data", "values"), [("0009", {"k": 0, "f": 14, "t": 9}), ("0105", {"k": 1, "f": 10})])
def test_what_stands_in_for_a_hidden_row_is_for_formulas(data: str, values: dict[str, Any]) -> None:
    compiled = rows(
        "[{name: k, type: u8}, {name: h, type: u8, hidden: true, if: k == 1, else: 7}, {name: f, formula: h * 2}, "
        "{name: t, type: u8, if: h == 7}]"
    )
    assert read(compiled, data) == values
