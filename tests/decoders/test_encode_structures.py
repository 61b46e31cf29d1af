"""Building lists, tag lists, groups, conditions and switches from values: the inverse of reading them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decoders.encode import strangers
from decoders.errors import DecodeError, EncodeError
from decoders.framing.framer import cut
from decoders.golden import GoldenBuild
from decoders.golden_builds import run_build
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from tests.decoders.specs import product, rows

SPECS = {
    "count in a bit field": "[{name: h, type: u8, bits: {n: 0-2, f: 7}}, {list: l, count: n, type: i16, scale: 0.5}]",
    "count by formula": "[{name: n, type: u8, hidden: true}, {list: l, count: n - 1, max: 300, "
    "fields: [{name: a, type: "
    "u8}]}]",
    "count in pairs": "[{name: n, type: u8, hidden: true}, {list: l, count: n // 2, fields: [{name: a, type: u8}]}]",
    "count_type": "[{list: l, count_type: u8, fields: [{name: a, type: u8, absent: 9}, {list: m, count_type: u8, type: "
    "u8}]}]",
    "two lists of one count": "[{name: n, type: u8}, {list: a, count: n, type: u8}, {list: b, count: n, type: i8}]",
    "length of text": "[{name: n, type: u8, hidden: true}, {name: t, type: text, bytes: n, encoding: "
    "latin-1, trim: false}]",
    "length of a group": "[{name: n, type: u8, hidden: true}, {name: a, type: u8}, {group: g, bytes: "
    "n - 1, fields: [{name: "
    "t, type: hex, bytes: rest}]}]",
    "prefixed group": "[{group: g, prefix: u8, prefix_counts_itself: true, fields: [{name: a, type: u8}, {group: h, "
    "prefix: u16le, fields: [{list: l, type: u8}]}]}]",
    "prefixed items": "[{list: l, item_prefix: u8, fields: [{name: a, type: u8}, {name: b, type: u16, if: remaining >= "
    "2}]}]",
    "while": "[{list: l, while: more, fields: [{name: h, type: u8, bits: {more: {at: 7, hidden: true}, v: "
    "0-6}}]}, {name: z, type: u8}]",
    "flags say what is there": "[{name: f, type: u8, bits: {p: {at: 0, hidden: true}, q: {at: 1, "
    "hidden: true}, r: 2}}, {name: a, "
    "type: u8, if: p}, {group: b, if: q and not p, fields: [{name: c, type: u8}]}]",
    "mask says what is there": "[{name: f, type: u8, hidden: true}, {name: a, type: u8, if: f & 4}, "
    "{name: b, type: u16, if: f & "
    "8}, {name: c, type: u8, if: f & 16 == 0}]",
    "optional at the end": "[{name: a, type: u8}, {name: b, type: u8, if: remaining >= 1}, {name: c, "
    "type: u16, optional: true}]",
    "switch": "[{name: k, type: u8}, {switch: k, cases: {1: [{name: a, type: u8}], 2..4: [{name: b, type: u16}], "
    "5: [{name: a, type: u16}]}, default: []}]",
    "switch on a hidden field": "[{name: k, type: u8, hidden: true}, {switch: k, cases: {1: [{name: "
    "a, type: u8}], 7: [{name: b, "
    "type: u16}]}}]",
    "parallel": "[{name: n, type: u8}, {list: l, count: n, fields: [{name: a, type: u8}]}, {list: m, into: l, count: "
    "n, fields: [{name: b, type: u8}]}]",
    "numbered": "[{list: t, type: i8, numbered: true, count: 2, absent: -1}, {list: x, count_type: u8, numbered: "
    "true, fields: [{name: a, type: u8}, {name: b, type: u8}]}]",
    "sign elsewhere": "[{name: a, type: u8, negate: south}, {name: f, type: u8, bits: {south: {at: "
    "0, hidden: true}, rest: "
    "1-7}}]",
    "hidden input of a formula": "[{name: raw, type: u16, hidden: true}, {name: t, formula: raw * 0.25 - 40}]",
    "two parts of a number": "[{name: whole, type: u8, hidden: true}, {name: part, type: u8, hidden: "
    "true}, {name: v, formula: "
    "whole * 256 + part}]",
    "tags": "[{items: {key: u8, length: u8, tags: {1: {name: a, type: u16}, 2: {name: b, type: text, encoding: "
    "latin-1, trim: false}, '3..5': {list: l, type: u8}, 6: {group: g, fields: [{name: x, type: u8}]}}, "
    "on_unknown: refuse}}]",
    "tags without length": "[{items: {key: u16le, tags: {1: {name: a, type: u8}, 2: [{name: b, type: "
    "u8}, {name: c, type: "
    "u16}]}}}]",
    "counted tags": "[{name: n, type: u8, hidden: true}, {items: {key: u8, length: 2, count: n, tags: {1: {name: a, "
    "type: u16}, 2: {name: b, type: i16}}, on_unknown: refuse}}, {name: z, type: u8}]",
    "header": "[{items: {header: [{name: h, type: u8, bits: {size: 5-7, tag: 0-4}}], key: tag, length: size + 1, "
    "tags: {1: {name: a, type: u8}, 2: {name: b, type: u24}}, on_unknown: refuse}}]",
    "escaped": "[{items: {key: u8, escape: {0xFF: u8}, length: u8, length_counts: key_and_value, tags: {0xFF05: "
    "{name: a, type: u8}, 5: {name: b, type: u8}}, on_unknown: refuse}}]",
    "length first": "[{items: {key: u8, length: u8, length_first: true, tags: {1: {name: a, type: u8}}, on_unknown: "
    "refuse}}]",
    "unknown tags": "[{items: {key: u8, length: u8, tags: {1: {name: a, type: u8}}, on_unknown: {into: o}}}]",
    "raw tags": "[{items: {key: u8, length: u8, raw: all, tags: {1: {name: a, type: u8}}}}]",
    "tags of sizes": "[{items: {key: u8, length: 1, count_type: u8, tags: {1: {name: a, type: uint}}, on_unknown: "
    "refuse}}, {items: {key: u8, length: 2, count_type: u8, tags: {1: {name: a, type: uint}}, "
    "on_unknown: refuse}}]",
    "channels": "[{items: {header: [{name: channel, type: u8}, {name: kind, type: u8}], key: kind, tags: {0x67: "
    "{name: 'temperature_{channel}', type: i16, scale: 0.1}, 0x68: {name: 'humidity_{channel}', type: "
    "u8}}}}]",
    "repeated tags": "[{items: {key: u8, tags: {1: {name: a, type: u8, repeat: list}, 2: {name: b, type: u8, repeat: "
    "number}}}}]",
    "repeated rows": "[{name: a, type: u8, repeat: list}, {name: a, type: u8, repeat: list}, {name: "
    "b, type: u8, repeat: "
    "number}, {name: b, type: u8, repeat: number}]",
}  # fmt: skip
COMPILED = {name: rows(text) for name, text in SPECS.items()}


def decoded(compiled: CompiledProduct, wire: bytes) -> dict[str, Any]:
    return compiled.decode(cut(compiled.framing, wire), SessionContext()).values


def built(text: str, values: dict[str, Any]) -> str:
    return rows(text).encoders[0, "sample"].encode(values, fill=True).hex()


@pytest.mark.parametrize("name", list(SPECS))
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=24) | st.lists(st.integers(0, 9), max_size=16).map(bytes))
@example(data=b"\0")
@example(data=bytes.fromhex("016700ff02685003680a"))
def test_what_was_read_is_built_so_that_it_is_read_again(name: str, data: bytes) -> None:
    compiled = COMPILED[name]
    if not data:
        return
    try:
        values = decoded(compiled, data)
    except DecodeError:
        return
    wire = compiled.encoders[0, "sample"].encode(values, fill=True)
    if wire or values:
        assert decoded(compiled, wire or b"") == values if wire else not any(values.values())


@pytest.mark.parametrize(
    ("name", "values", "wire"),
    [
        ("count in a bit field", {"l": [1.5, -0.5], "f": True}, "820003ffff"),
        ("count by formula", {"l": [{"a": 7}]}, "0207"),
        ("length of a group", {"a": 1, "g": {"t": "aabb"}}, "0301aabb"),
        ("while", {"l": [{"v": 1}, {"v": 2}], "z": 9}, "810209"),
        ("flags say what is there", {"r": True, "a": 5}, "0505"),
        ("flags say what is there", {"b": {"c": 5}}, "0205"),
        ("mask says what is there", {"b": 5, "c": 1}, "08000501"),
        ("optional at the end", {"a": 1}, "01"),
        ("switch on a hidden field", {"b": 5}, "070005"),
        ("sign elsewhere", {"a": -5, "rest": 1}, "0503"),
        ("hidden input of a formula", {"t": -10.5}, "0076"),
        ("two parts of a number", {"v": 0x0102}, "0102"),
        ("tags", {"b": "hi", "a": 5, "l": [1]}, "010200050202686903" + "0101"),
        ("header", {"b": 1, "a": 2}, "010242000001"),
        ("escaped", {"a": 1, "b": 2}, "ff050401" + "050302"),
        ("unknown tags", {"o": {"9": "aabb"}, "a": 1}, "0101010902aabb"),
        ("tags of sizes", {"a": 300}, "00" + "0101012c"),
        ("channels", {"humidity_4": 9, "temperature_3": 1, "temperature_2": 2.5}, "02670019" + "0367000a" + "046809"),
        ("repeated tags", {"a": [1, 2], "b_1": 3, "b_2": 4}, "0101010202030204"),
        ("parallel", {"l": [{"a": 1, "b": 3}, {"a": 2, "b": 4}]}, "0201020304"),
    ],
)
def test_what_is_not_given_follows_from_what_is(name: str, values: dict[str, Any], wire: str) -> None:
    found = COMPILED[name].encoders[0, "sample"].encode(values).hex()
    assert found == wire.replace(" ", "")


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("count in a bit field", {"l": [1] * 9}, "l: has 9 items, `n` says 0"),
        ("count in a bit field", {"l": [1], "n": 2}, "l: has 1 items, `n` says 2"),
        ("count_type", {"l": 5}, "l: is a list"),
        ("count_type", {"l": [5]}, "l[0]: is an object of values"),
        ("count_type", {"l": [{"a": 1, "m": [1, 300]}]}, "l[0].m[1].m: 300 does not fit"),
        ("two lists of one count", {"a": [1], "b": [1, 2]}, "contradict each other"),
        ("length of text", {}, "t: has no value"),
        ("prefixed group", {"g": 5}, "g: is an object of values"),
        ("prefixed items", {"l": [{}]}, "l[0].a: has no value"),
        ("switch", {"k": 1, "a": 256}, "a: 256 does not fit"),
        ("tags", {"a": 70000}, "a: 70000 does not fit"),
        ("tags of sizes", {"a": 70000}, "a: 70000 does not fit"),
        ("hidden input of a formula", {"t": -41}, "raw: has no value"),
        ("unknown tags", {"o": {"x": "aa"}}, "o.x"),
        ("raw tags", {"all": [{"id": 1}]}, "all[0]: is no `{id, value}`"),
    ],
)
def test_values_that_do_not_fit_are_named(name: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(EncodeError) as caught:
        COMPILED[name].encoders[0, "sample"].encode(values)
    assert words in str(caught.value)


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(EncodeError, match="g: takes 1 bytes, there are 2"):
        built("[{group: g, bytes: 2, fields: [{name: a, type: u8}]}]", {"g": {"a": 1}})
    assert built("[{group: g, bytes: 2, rest: skip, fields: [{name: a, type: u8}]}]", {"g": {"a": 1}}) == "0100"
    with pytest.raises(EncodeError, match="l: takes 3 bytes, there are 2"):
        built("[{list: l, bytes: 2, type: u8}]", {"l": [1, 2, 3]})
    with pytest.raises(EncodeError, match="at most 2"):
        built("[{list: l, max: 2, type: u8}]", {"l": [1, 2, 3]})
    with pytest.raises(EncodeError, match=r"there is no case for 9"):
        built("[{name: k, type: u8}, {switch: k, cases: {1: []}}]", {"k": 9})


def test_alternatives_that_give_one_value() -> None:
    """The first rows that have room for a value get it."""
    text = (
        "[{name: w, type: u8, bits: {wide: {at: 7, hidden: true}}}, {name: n, type: u8, if: not wide},"
        " {name: n, type: u16, if: wide}]"
    )
    assert built(text, {"n": 5}) == "0005"
    assert built(text, {"n": 500}) == "8001f4"
    by_tag = "[{items: {key: u8, tags: {1: {name: n, type: u8}, 2: {name: n, type: u16}}}}]"
    assert built(by_tag, {"n": 5}) == "0105"
    assert built(by_tag, {"n": 500}) == "0201f4"


def test_a_list_that_several_tags_make_keeps_its_order() -> None:
    text = (
        "[{items: {key: u8, tags: {1: {list: history, count: 1, fields: [{name: a, type: u8}]},"
        " 2: {list: history, count: 1, fields: [{name: b, type: u8}]}}}}]"
    )
    history = [{"a": 1}, {"b": 2}, {"a": 3}]
    wire = built(text, {"history": history})
    assert wire == "010102020103"
    assert decoded(rows(text), bytes.fromhex(wire)) == {"history": history}
    with pytest.raises(EncodeError, match="history: has items that no tag is for"):
        built(text, {"history": [{"a": 1}, {"a": 1, "b": 2}]})


@pytest.mark.parametrize(
    ("formula", "wanted", "fields", "wire"),
    [
        ("join('', a, b)", "01020304", "{name: a, type: bcd, bytes: 2}, {name: b, type: bcd, bytes: 2}", "01020304"),
        ("ddmm(raw / 1000, 'S' if south else 'N')", -31.5,
         "{name: raw, type: u24}, {name: f, type: u8, bits: {south: 0}}", "2fc29001"),
        ("high >> 4 if high else None", 3, "{name: high, type: u8}", "31"),
        ("unhex(text)", "hi", "{name: text, type: hex, bytes: 2}", "6869"),
    ],
)  # fmt: skip
def test_formulas_that_are_turned_round(formula: str, wanted: Any, fields: str, wire: str) -> None:
    hidden = fields.replace("{name: ", "{hidden: true, name: ").replace("south: 0", "south: {at: 0, hidden: true}")
    text = f'[{hidden}, {{name: v, formula: "{formula}"}}]'
    assert built(text, {"v": wanted}) == wire
    assert decoded(rows(text), bytes.fromhex(wire)) == {"v": wanted}


def test_places_that_were_dropped_are_filled() -> None:
    text = "[{list: cells, count: 3, keep: lac, fields: [{name: lac, type: u8}, {name: rssi, type: u8}]}]"
    assert built(text, {"cells": [{"lac": 1, "rssi": 2}]}) == "010200000000"


def test_rows_that_would_be_read_in_place_of_others_are_left_out() -> None:
    text = (
        "[{name: a, type: u8}, {group: null, fields: [{name: t, type: u16}], if: remaining == 2},"
        " {items: {key: u8, length: u8, tags: {1: {name: t, type: u16}, 2: {name: b, type: u8}}}}]"
    )
    assert built(text, {"a": 1, "t": 5}) == "010005"
    assert built(text, {"a": 1, "t": 5, "b": 6}) == "01" + "01020005" + "020106"


FRAMED = """
frame:
  header: [{name: length, type: u8, counts: body}, {name: type, type: u8}, {name: n, type: u8, hidden: true}]
  trailer: [{name: again, type: u8, hidden: true, equals: n}, {name: check, crc: xor8, over: length..again}]
messages:
  a: {when: {type: 1}, fields: [{list: l, count: n, type: u8}]}
  b: {when: {type: [2, 3]}, fields: [{name: x, type: u8, if: type == 3}]}
  c: {when: {type: 4, first: "AA01"}, fields: [{skip: 1}, {name: x, type: u8, const: 1},
      {name: y, type: u8}]}
"""


def test_counts_in_the_header_and_what_a_message_is_known_by() -> None:
    compiled = product(FRAMED)
    assert compiled.encoders[0, "a"].encode({"l": [5, 6]}).hex() == "0201020506" + "0200"
    for message, values in (("a", {"l": []}), ("b", {}), ("b", {"type": 3, "x": 9}), ("c", {"y": 7})):
        wire = compiled.encoders[0, message].encode(values, fill=True)
        found = compiled.decode(cut(compiled.framing, wire), SessionContext())
        assert found.message.name == message
        assert found.values.items() >= {**values}.items()
    assert compiled.encoders[0, "c"].encode({"y": 7}, fill=True)[3:5].hex() == "aa01"


def test_names_that_no_row_has_are_found() -> None:
    nodes = COMPILED["parallel"].encoders[0, "sample"].nodes
    assert list(strangers(nodes, {"n": 1, "l": [{"a": 1, "b": 2}]})) == []
    assert list(strangers(nodes, {"m": 1, "l": [{"c": 2}]})) == [("m", ["l", "n"]), ("l[0].c", ["a", "b"])]
    nodes = COMPILED["numbered"].encoders[0, "sample"].nodes
    assert [path for path, _ in strangers(nodes, {"t_1": 1, "a_9": 2, "c_1": 3})] == ["c_1"]


def test_a_key_that_is_a_sum_of_products_is_turned_round() -> None:
    header = "header: [{name: c, type: u8}, {name: m, type: u8}]"
    compiled = product(f"fields: [{{items: {{key: c * 256 + m, {header}, tags: {{260: {{name: a, type: u8}}}}}}}}]")
    build = GoldenBuild(name="b", message=next(iter(compiled.messages)), values={"a": 5}, hex="010405")
    assert run_build(compiled, build) == []


def test_a_value_of_an_optional_row_that_does_not_fit_says_why() -> None:
    row = "{name: v, type: u24, formula: \"join('.', x >> 16, x & 255)\", optional: true}"
    compiled = product(f"fields: [{{name: a, type: u8}}, {row}]")
    build = GoldenBuild(name="b", message=next(iter(compiled.messages)), values={"a": 5, "v": "1.2"}, hex="05")
    assert "cannot be turned round" in str(run_build(compiled, build)[0])
