"""Lists of values, parallel and numbered lists, and all ways in which tag lists say key and length: on both codecs."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.framing.framer import cut
from decoders.prove import prove
from decoders.types import SessionContext
from tests.decoders.specs import golden, product, read, rows


def refusal(spec: str, data: str) -> DecodeCode:
    with pytest.raises(DecodeError) as caught:
        read(rows(spec), data.replace(" ", ""))
    return caught.value.code


# Lists of plain values

SAMPLES = "{list: samples, type: i16le, scale: 0.1, absent: 0x7FFF, range: [0, 5], unit: V, COUNT}"


@pytest.mark.parametrize(
    ("how", "before", "behind"),
    [
        ("count: 3", "", ""),
        ("count_type: u8", "03", ""),
        ("bytes: 6", "", ""),
        ("until_left: 2", "", "0000"),
        ("max: 9", "", ""),
        ("while: remaining > 2", "", "0000"),
        ("count: 4, while: next_u8 != 0xEE", "", "ee00"),
    ],
)
def test_a_list_of_values(how: str, before: str, behind: str) -> None:
    tail = ", {skip: 2}" if behind else ""
    compiled = rows(f"[{SAMPLES.replace('COUNT', how)}{tail}]")
    wire = before + "0a00" + "ff7f" + "6400" + behind
    assert read(compiled, wire) == {"samples": [1.0, None, 10.0]}
    decoded = compiled.decode(cut(compiled.framing, bytes.fromhex(wire)), SessionContext())
    assert [(item.field, item.code.value) for item in decoded.violations or ()] == [("samples[2]", "out_of_range")]
    assert compiled.messages["sample"].units == {"samples": "V"}
    assert compiled.parts(decoded)[0].metrics == {"samples": [1.0, None, 10.0]}


def test_values_of_a_list_are_converted_like_any_other() -> None:
    assert read(rows("[{list: l, type: u8, enum: {1: one, 2..9: more}}]"), "010500") == {"l": ["one", "more", 0]}
    assert read(rows("[{list: l, type: u8, formula: x * x if x < 9 else 0}]"), "0309") == {"l": [9, 0]}
    assert read(rows("[{list: l, type: u8, flags: {0: a, 7: b}}]"), "0081") == {"l": [[], ["a", "b"]]}
    assert read(rows("[{list: l, type: unix32}]"), "00000001") == {"l": ["1970-01-01T00:00:01.000Z"]}
    assert read(rows("[{list: l, type: text, item_prefix: u8}]"), "026869" + "00" + "0161") == {"l": ["hi", "", "a"]}
    assert read(rows("[{list: l, type: f32, decimals: 1}]"), "3fc00000" + "7fc00000") == {"l": [1.5, None]}
    assert read(rows("[{list: l, type: u8, keep: l > 4}, {name: n, formula: count(l)}]"), "030905") == {
        "l": [9, 5],
        "n": 2,
    }
    assert read(rows("[{list: l, type: u8, hidden: true}, {name: n, formula: count(l)}]"), "0102") == {"n": 2}


def test_the_contract_of_a_list_of_names() -> None:
    compiled = rows("[{list: l, type: u8, enum: {1: one}, required: true}]")
    decoded = compiled.decode(cut(compiled.framing, b"\1\2"), SessionContext())
    assert [(item.field, item.code.value) for item in decoded.violations or ()] == [("l[1]", "not_in_enum")]


# Where lists end


def test_a_count_may_stand_anywhere() -> None:
    outer = "[{name: a, type: u16, bits: {n: 12-15, k: 0-3}}, {group: g, fields: [{list: l, count: n + k, type: u8}]}]"
    assert read(rows(outer), "2001" + "010203") == {"n": 2, "k": 1, "g": {"l": [1, 2, 3]}}
    header = product(
        "frame: {header: [{name: n, type: u8}, {name: type, type: u8}], trailer: [{name: z, type: u8}]}\n"
        "messages: {m: {fields: [{list: o, count: n, fields: [{list: i, count: n - 1, type: u8}]}]}}"
    )
    assert read(header, "02ff" + "05" + "06" + "00") == {"n": 2, "type": 255, "o": [{"i": [5]}, {"i": [6]}], "z": 0}


def test_items_go_on_while_something_is_true() -> None:
    until_mark = rows("[{list: l, while: next_u8 != 0xFF, fields: [{name: a, type: u8}]}, {skip: 1}]")
    assert read(until_mark, "0205ff") == {"l": [{"a": 2}, {"a": 5}]}
    assert read(until_mark, "ff") == {"l": []}
    told = rows("[{list: l, while: more, fields: [{name: h, type: u8, bits: {more: 7, v: 0-6}}]}, {name: z, type: u8}]")
    assert read(told, "828305ff")["l"] == [{"more": True, "v": 2}, {"more": True, "v": 3}, {"more": False, "v": 5}]
    assert read(told, "05ff") == {"l": [{"more": False, "v": 5}], "z": 255}
    with pytest.raises(DecodeError):
        read(told, "82")
    assert refusal("[{list: l, max: 2, while: next_u8, type: u8}]", "010203") is DecodeCode.TOO_MANY_ITEMS
    assert read(rows("[{list: l, max: 2, while: next_u8, type: u8}, {skip: 1}]"), "010200") == {"l": [1, 2]}


@pytest.mark.parametrize(
    "around", ["[{group: g, prefix: u8, fields: [LIST]}]", "[{list: o, count: 1, fields: [LIST]}]"]
)
@pytest.mark.parametrize(
    ("inner", "body"),
    [
        ("{list: l, item_prefix: u8, while: next_u8 < 9, fields: [{name: a, type: uint, bytes: rest}]}", "0105020102"),
        ("{list: l, bytes: 3, type: u8}", "010203"),
        ("{list: l, count_type: u16, item_prefix: u8, fields: [{list: m, type: u8}]}", "0002 00 02aabb"),
        ("{items: {key: u8, length: u8, tags: {1: {list: l, fields: [{name: x, type: u8}]}}}}", "0102aabb"),
        ("{list: l, fields: [{items: {key: u8, count: 1, tags: {1: {name: x, type: u8}}}}]}", "01050106"),
    ],
)
def test_lists_within_other_structures(around: str, inner: str, body: str) -> None:
    body = body.replace(" ", "")
    compiled = rows(around.replace("LIST", inner))
    wire = (f"{len(body) // 2:02x}" if "group" in around else "") + body
    assert read(compiled, wire)
    assert prove(compiled, [golden(wire)]).holds


# Parallel lists

PARALLEL = """[{name: n, type: u8}, {list: cells, count: n, fields: [{name: id, type: u8}]},
  {list: v, into: cells, count: n, fields: [{name: volt, type: u16, scale: 0.1}, {name: load, formula: volt * id}]},
  {list: t, into: cells, type: i8, absent: 0x7F, unit: "°C"}]"""


def test_parallel_lists_add_to_the_items_of_an_earlier_one() -> None:
    compiled = rows(PARALLEL)
    assert read(compiled, "02 0506 000a0014 ff7f".replace(" ", "")) == {
        "n": 2,
        "cells": [{"id": 5, "volt": 1.0, "load": 5.0, "t": -1}, {"id": 6, "volt": 2.0, "load": 12.0}],
    }
    assert read(compiled, "00" + "0102") == {"n": 0, "cells": [{"t": 1}, {"t": 2}]}
    assert prove(compiled, [golden("020506000a0014ff7f")]).holds


def test_parallel_lists_read_raw_values_of_the_items_beside() -> None:
    compiled = rows(
        "[{list: l, count: 2, fields: [{name: kind, type: u8}]},"
        " {list: m, into: l, count: 2, fields: [{name: v, type: u8, if: kind == 1}, {name: v, type: "
        "u16, if: kind == 2}]}]"
    )
    kind = compiled.kinds[0]
    assert kind.reference is not None
    assert kind.reference.decode(bytes.fromhex("0201000507"), SessionContext(), 0)[1] == {
        "l": [{"kind": 2, "v": 5}, {"kind": 1, "v": 7}]
    }
    assert "raw values of `l`" in (kind.why_not_fused or str(kind.fused and kind.fused.others))


def test_parallel_items_may_be_dropped_at_the_end() -> None:
    compiled = rows(
        "[{list: l, count: 2, fields: [{name: a, type: u8}]}, {list: m, into: l, count: 2, keep: a + b > 4, fields:"
        " [{name: b, type: u8}]}]"
    )
    assert compiled.decode(cut(compiled.framing, bytes([1, 2, 3, 3])), SessionContext()).values == {
        "l": [{"a": 2, "b": 3}]
    }


# Numbered values


def test_numbered_values_belong_to_the_structure_around() -> None:
    plain = rows(
        "[{list: probe, type: u8, numbered: true, absent: 255, count: 3}, {name: s, formula: probe_1 + probe_3}]"
    )
    assert read(plain, "05ff07") == {"probe_1": 5, "probe_3": 7, "s": 12}
    several = rows("[{list: x, numbered: true, count_type: u8, fields: [{name: a, type: u8}, {name: b, type: u8}]}]")
    assert read(several, "0201020304") == {"a_1": 1, "b_1": 2, "a_2": 3, "b_2": 4}
    kept = rows("[{list: x, numbered: true, keep: a, fields: [{name: a, type: u8}]}]")
    assert read(kept, "010003") == {"a_1": 1, "a_3": 3}
    inside = rows("[{name: f, type: u8}, {list: x, type: u8, numbered: true, if: f}, {group: g, fields: [{skip: 0}]}]")
    assert read(inside, "010203") == {"f": 1, "x_1": 2, "x_2": 3, "g": {}}
    assert read(inside, "00") == {"f": 0, "g": {}}


def test_numbered_values_have_unit_and_contract() -> None:
    compiled = rows("[{list: t, type: i8, numbered: true, count: 2, unit: '°C', range: [0, 9]}]")
    decoded = compiled.decode(cut(compiled.framing, bytes([5, 20])), SessionContext())
    assert compiled.messages["sample"].units == {"t_1": "°C", "t_2": "°C"}
    assert [item.field for item in decoded.violations or ()] == ["t_2"]


# Keys and lengths of tag lists


def items(text: str) -> Any:
    return rows(f"[{{items: {text}}}]")


def test_one_tag_for_several_keys() -> None:
    compiled = items("{key: u8, length: u8, tags: {'3..5': {name: a, type: u8}, '1, 0x20, 7..8': {name: b, type: u8}}}")
    for key, name in ((3, "a"), (5, "a"), (1, "b"), (32, "b"), (8, "b")):
        assert read(compiled, bytes([key, 1, 9])) == {name: 9}
    assert read(compiled, bytes([6, 1, 9])) == {}
    assert read(compiled, bytes([7, 0])) == {}


def test_rows_of_a_tag_read_its_key() -> None:
    compiled = items("{key: u8, tags: {'1..9': [{name: a, type: u8, if: key > 4}, {name: b, type: u8, if: key <= 4}]}}")
    assert read(compiled, "01070508") == {"b": 7, "a": 8}


def test_keys_that_go_on_and_little_endian_keys() -> None:
    compiled = items(
        "{key: u8, escape: {0xFF: u8, 0xFE: u16}, length: u8, tags: {0xFF05: {name: a, type: u8}, 5: "
        "{name: b, type: u8},"
        " 0xFE0005: {name: c, type: u8}}}"
    )
    assert read(compiled, "ff050107" + "050108" + "fe00050109") == {"a": 7, "b": 8, "c": 9}
    assert read(items("{key: u16le, length: u16, tags: {0x0201: {name: a, type: u8}}}"), "0102000107") == {"a": 7}
    with pytest.raises(DecodeError):
        read(compiled, "ff")


LPP = (
    "{header: [{name: channel, type: u8}, {name: kind, type: u8}], key: kind, tags: {0x67: {name: "
    "t, type: i16, scale: 0.1}, 0x00: {name: on, type: u8, if: channel == 3}}}"
)


def test_rows_before_each_value() -> None:
    assert read(items(LPP), "016700ff" + "030001" + "0400") == {"t": 25.5, "on": 1}
    with pytest.raises(DecodeError) as caught:
        read(items(LPP), "0105")
    assert caught.value.code is DecodeCode.UNKNOWN_TAG
    packed = (
        "{header: [{name: head, type: u8, bits: {size: 5-7, tag: 0-4}}], key: tag, length: size + 1,"
        " tags: {1: {name: a, type: uint}, 2: {name: b, type: hex}}, on_unknown: {into: o}}"
    )
    assert read(items(packed), "01ff" + "42aabbcc" + "0511") == {"a": 255, "b": "aabbcc", "o": {"5": "11"}}
    assert prove(items(packed), [golden("01ff42aabbcc0511")]).holds


def test_a_header_beside_key_and_length() -> None:
    compiled = items(
        "{header: [{name: status, type: u8, bits: {long: 7}}, {name: extra, type: u8, if: long}], key: u8, length: u8,"
        " length_counts: key_and_value, tags: {1: {name: a, type: uint, if: extra == 9}, 2: {name: b, type: uint}}}"
    )
    assert read(compiled, "80 09 01 05 07 00 02 04 08".replace(" ", "")) == {"a": 7, "b": 8}


def test_lengths_before_keys_and_padding_behind() -> None:
    compiled = rows(
        "[{items: {key: u8, length: u8, length_first: true, while: next_u8, tags: {1: {name: flags, type: u8},"
        " 9: {name: name, type: text}, 0xFF: [{name: company, type: u16le}, {name: data, type: hex}]}}}, {skip: rest}]"
    )
    assert read(compiled, "020106" + "0409414243" + "05ff99040102" + "0000") == {
        "flags": 6,
        "name": "ABC",
        "company": 0x0499,
        "data": "0102",
    }
    left = rows("[{items: {key: u8, tags: {1: {name: a, type: u8}}, until_left: 2}}, {name: z, type: u16}]")
    assert read(left, "01050009") == {"a": 5, "z": 9}


def test_tag_lists_in_tags() -> None:
    compiled = items(
        "{key: u16, length: u16, tags: {1: {group: g, fields: [{items: {key: u8, length: u8, tags: "
        "{1: {name: a, type: u8},"
        " 2: {list: l, type: u16}}}}]}}}"
    )
    assert read(compiled, "0001" + "0009" + "010105" + "020400010002") == {"g": {"a": 5, "l": [1, 2]}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            "{items: {key: u8, length: u8, tags: {'1..4': {name: a, type: u8}, 3: {name: b, type: u8}}}}",
            "key 3 is also in",
        ),
        ("{items: {key: u8, length: u8, tags: {1: [], '0x01': []}}}", "key 1 is also in `1`"),
        ("{items: {key: u8, length: u8, tags: {x: []}}}", "`x` is no key of a tag"),
        ("{items: {key: u8, length: u8, tags: {'4..2': []}}}", "the lower key comes first"),
        ("{items: {length: u8}}", "a tag list needs a `key`"),
        ("{items: {header: [{name: a, type: u8}], key: b + 1}}", "reads nothing of the header"),
        ("{items: {header: [{name: a, type: u8}], key: a, escape: {1: u8}}}", "only a key that is an integer"),
        ("{items: {key: u8, escape: {1: i8}}}", "has a sign"),
        ("{items: {key: u8, count: 1, until_left: 2}}", "both say where the list ends"),
        ("{list: l, type: u8, count: 1, count_type: u8}", "both say where the list ends"),
        ("{list: l, type: u8, bytes: 2, until_left: 1}", "`bytes` says where the list ends"),
        ("{list: l, type: text}", "has no size of its own"),
        ("{list: l, type: u99}", "unknown type"),
        ("{list: l, scale: 2, fields: [{name: a, type: u8}]}", "`scale` belongs to the fields"),
        ("{list: l, into: m, type: u8}", "no earlier list of structures `m`"),
        ("{list: l, into: l, numbered: true, type: u8}", "not both"),
        ("{list: l, type: u8, range: [0, 1], keep: zz}", "there is no field `zz`"),
        ("{list: l, type: u8, while: zz}", "there is no field `zz`"),
    ],
)
def test_mistakes(spec: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        rows(f"[{spec}]")
    assert words in str(caught.value)


def test_a_list_that_drops_items_has_no_parallel_list() -> None:
    with pytest.raises(SpecError, match="put `keep` into the last list"):
        rows("[{list: a, count: 1, keep: x, fields: [{name: x, type: u8}]}, {list: b, into: a, type: u8}]")


def test_formulas_of_an_item_know_its_number() -> None:
    arrived = SessionContext(received_ms=1_764_000_000_000)
    compiled = rows(
        "[{name: minutes, type: u8}, {list: log, fields: [{name: v, type: u8},"
        " {name: time, formula: received - index * minutes * 60, clock: unix}]}]"
    )
    assert [item["time"] for item in read(compiled, "0a 01 02", arrived)["log"]] == [
        "2025-11-24T16:00:00.000Z",
        "2025-11-24T15:50:00.000Z",
    ]


@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        ("{list: a, count: 1, fields: [{name: v, type: u8}, {name: k, formula: index + v}]}", "07", [{"v": 7, "k": 7}]),
        ("{list: a, fields: [{name: index, type: u8}, {name: k, formula: index + 1}]}", "05", [{"index": 5, "k": 6}]),
        ("{list: a, keep: index != 1, fields: [{name: v, type: u8}]}", "010203", [{"v": 1}, {"v": 3}]),
        (
            "{list: a, count: 2, fields: [{name: v, type: u8}]},"
            " {list: b, into: a, count: 2, fields: [{name: u, type: u8}, {name: k, formula: index + u + v}]}",
            "01020304",
            [{"v": 1, "u": 3, "k": 4}, {"v": 2, "u": 4, "k": 7}],
        ),
    ],
)
def test_the_number_of_an_item_everywhere(text: str, data: str, expected: list[dict[str, int]]) -> None:
    assert read(rows(f"[{text}]"), data)["a"] == expected
