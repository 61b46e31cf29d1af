"""`on_unknown` with rows: keys that no tag is for, read as metrics or into an object. Both codecs, always."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, EncodeError, SpecError
from decoders.explain import explain
from decoders.framing.framer import cut
from decoders.product import CompiledProduct
from decoders.prove import prove
from decoders.spec.show import message_rows
from decoders.types import SessionContext
from tests.decoders.specs import golden, product, read, rows

KNOWN = "tags: {1: {name: a, type: u8}, 2..4: {name: b, type: u16}}"
WIALON = """\
frame: {format: text, start: "#D#", until: "\\r\\n", split: ";"}
fields:
  - {name: id}
  - items:
      key: text
      assign: ":"
      split: ","
      tags: {fuel: [{skip: 1, until: ":"}, {name: fuel_level, type: number}]}
      on_unknown: UNKNOWN
"""
TYPED = """
          - {name: kind, type: number, until: ":", hidden: true}
          - switch: kind
            cases: {"1, 2": [{name: NAME, type: number}], 3: [{name: NAME}]}
            default: []
"""


def items(unknown: str, keys: str = "key: u8, length: u8") -> CompiledProduct:
    return rows(f"[{{items: {{{keys}, {KNOWN}, on_unknown: {unknown}}}}}]")


def params(unknown: str) -> CompiledProduct:
    return product(WIALON.replace("UNKNOWN", unknown))


@pytest.mark.parametrize(
    ("unknown", "keys", "wire", "expected"),
    [
        ("{name: 'io_{key}', type: uint}", "key: u8, length: u8", "010107 0A0108 09020102", {"io_10": 8, "io_9": 258}),
        ("{name: x, type: u8, repeat: list}", "key: u8, length: u8", "010107 090105 090205FF", {"x": [5, 5]}),
        ("[{name: x, type: u8}, {name: k, raw: key}]", "key: u8", "0107 0905", {"x": 5, "k": 9}),
        ("[{skip: 1}]", "key: u8", "0905 0107 0906", {}),
        ("{group: 'g_{key}', fields: [{name: x, type: u8}]}", "key: u8", "0107 0905", {"g_9": {"x": 5}}),
        ("{into: o, fields: [{name: x, type: u8, scale: 0.5}]}", "key: u8", "0107 0905", {"o": {"9": 2.5}}),
        ("{into: o, fields: [{name: x, type: u8, absent: 5}]}", "key: u8", "0107 0905", {}),
        ("{into: o, fields: [{name: x, type: u8}, {name: y, type: u8}]}", "key: u8", "0107 090506",
         {"o": {"9": {"x": 5, "y": 6}}}),
        ("{into: o, fields: [{name: r, type: u8, hidden: true}, {name: x, formula: r * 2}]}", "key: u8", "01070905",
         {"o": {"9": 10}}),
        ("{into: o, fields: [{list: l, type: u8}]}", "key: u16, length: u8", "000101070100020102",
         {"o": {"256": [1, 2]}}),
        ("{into: o, fields: [{name: x, type: u16}]}", "key: u8, length: 2, count: 1", "090102", {"o": {"9": 258}}),
        ("{into: o, fields: [{name: x, type: u8, if: key > 8}]}", "key: u8, length: u8", "010107 050101 090102",
         {"o": {"9": 2}}),
    ],
)  # fmt: skip
def test_rows_for_all_other_keys(unknown: str, keys: str, wire: str, expected: dict[str, Any]) -> None:
    compiled = items(unknown, keys) if ": 2" not in keys else rows(
        f"[{{items: {{{keys}, tags: {{1: {{name: a, type: u16}}}}, on_unknown: {unknown}}}}}]"
    )  # fmt: skip
    values = read(compiled, wire.replace(" ", ""))
    assert {name: value for name, value in values.items() if name != "a"} == expected
    report = prove(compiled, [golden(wire.replace(" ", ""))])
    assert report.holds, report.kinds
    assert report.kinds[0].proven == {"sample"}


def test_items_too_short_for_their_rows() -> None:
    compiled = items("{name: 'io_{key}', type: u16}")
    assert read(compiled, "020105" + "09020105" + "090105") == {"io_9": 261}  # tag 2 has one byte, it takes two
    assert read(items("{name: x, type: u8}"), "020105") == {"x": 5}


@pytest.mark.parametrize("header", ["header: [{name: c, type: u8}, {name: k, type: u8}], key: k", "key: u16, raw: all"])
def test_in_lists_of_every_kind(header: str) -> None:
    body = "{name: 'v_{key}', type: u8}"
    compiled = rows(f"[{{list: l, item_prefix: u8, fields: [{{items: {{{header}, {KNOWN}, on_unknown: {body}}}}}]}}]")
    found = read(compiled, "06000909000107" + "03000a01")
    assert [{name: value for name, value in item.items() if name != "all"} for item in found["l"]] == [
        {"v_9": 9, "a": 7},
        {"v_10": 1},
    ]
    outer = rows(
        f"[{{items: {{key: u8, length: u8, tags: {{7: {{items: {{key: u8, tags: {{}}, on_unknown: {body}}}}}}}}}}}]"
    )
    assert read(outer, "0704" + "01050206") == {"v_1": 5, "v_2": 6}  # the inner key, not 7


def test_a_text_of_named_and_typed_parameters() -> None:
    compiled = params("\n        into: params\n        fields:" + TYPED.replace("NAME", "value"))
    wire = b"#D#7;count1:1:564,fuel:2:45.8,hw_x:3:V4.5,no:9:1,odd.key:1:2\r\n"
    expected = {"id": "7", "fuel_level": 45.8, "params": {"count1": 564, "hw_x": "V4.5", "odd.key": 2}}
    assert read(compiled, wire) == expected
    decoded = compiled.decode(cut(compiled.framing, wire), SessionContext())
    assert compiled.parts(decoded)[0].metrics["params.count1"] == 564
    with pytest.raises(DecodeError) as caught:
        read(compiled, b"#D#7;a:1:x\r\n")
    assert caught.value.code is DecodeCode.BAD_VALUE
    assert caught.value.field == "#'a'.params.value"
    named = params(TYPED.replace("NAME", "'p_{key}'"))
    assert read(named, wire) == {"id": "7", "fuel_level": 45.8, "p_count1": 564}  # letters and digits only


def test_explain_and_show_know_the_rows() -> None:
    compiled = items("{into: o, fields: [{name: x, type: u8, unit: V}]}")
    assert "#9.o.x" in {part.path for part in explain(compiled, bytes.fromhex("090105"), SessionContext())}
    shown = message_rows(compiled, "sample")
    assert any("x" in row.name and row.unit == "V" for row in shown)


@pytest.mark.parametrize(
    ("unknown", "values", "wire"),
    [
        ("{into: o, fields: [{name: x, type: u8, scale: 0.5}]}", {"o": {"9": 2.5, "10": 1}}, "09010500" + "0a0102"),
        ("{into: o, fields: [{name: x, type: u8}, {name: y, type: u8}]}", {"o": {"9": {"x": 1, "y": 2}}}, "09020102"),
        ("{name: 'io_{key}', type: u8}", {"io_9": 5, "a": 1, "io_10": 6}, "010101" + "0a0106" + "090105"),
    ],
)
def test_building(unknown: str, values: dict[str, Any], wire: str) -> None:
    compiled = items(unknown)
    made = compiled.encoders[0, "sample"].encode(values)
    assert made.hex() == wire.replace("0500", "05")
    assert read(compiled, made) == values


def test_building_what_has_no_key() -> None:
    with pytest.raises(EncodeError, match="nothing says the key"):
        items("{name: x, type: u8}").encoders[0, "sample"].encode({"x": 1})
    with pytest.raises(EncodeError, match="is no key"):
        items("{into: o, fields: [{name: x, type: u8}]}").encoders[0, "sample"].encode({"o": {"z": 1}})
    text = params("{into: params, fields: [{name: x, type: number}]}")
    assert text.encoders[0, "uplink"].encode({"id": "7", "params": {"a_b": 2}}) == b"#D#7;a_b:2\r\n"
    with pytest.raises(EncodeError, match="nothing says the key"):
        params("{name: x}").encoders[0, "uplink"].encode({"id": "7", "x": "1"})


@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        ("{into: o, type: u8, fields: [{name: x, type: u8}]}", "already say how the value is read"),
        ("{into: o, fields: [{name: x, type: u8, range: [0, 1]}]}", "`range` needs a plain name"),
        ("{into: a, fields: [{name: x, type: u8}]}", "`a` is another value already"),
        ("[{name: x, tipe: u8}]", "tipe"),
        ("skipp", "skipp"),
        ("{into: o, fields: [{name: x, type: u9}]}", "u9"),
    ],
)
def test_mistakes(unknown: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        items(unknown)


def test_the_object_has_a_name_of_its_own() -> None:
    with pytest.raises(SpecError, match="is the object of"):
        rows(f"[{{items: {{key: u8, length: u8, {KNOWN}, on_unknown: {{into: o}}, count: 1}}}}, {{name: o, type: u8}}]")
    with pytest.raises(SpecError, match="under `on_unknown`"):
        rows("[{items: {key: u8, tags: {_: {name: x, type: u8}}}}]")
    with pytest.raises(SpecError, match="that no tag names have no rows"):
        rows("[{items: {format: mbus, on_unknown: {name: x}}}]")
