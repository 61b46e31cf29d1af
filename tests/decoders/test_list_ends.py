"""Where lists end and how large their items are: `until`, `item_bytes`, and rows that repeat under numbered names."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.prove import prove
from tests.decoders.specs import golden, product, read, rows


@pytest.mark.parametrize(
    ("row", "wire", "expected"),
    [
        ("{list: l, type: u16, until: 'FFFF'}", "0001 00FF FFFF", {"l": [1, 255]}),
        ("{list: l, type: u8, until: 'FF'}", "FF", {"l": []}),
        ("{list: l, fields: [{name: k, type: u8}, {name: v, type: u8}], until: 'FF'}", "01FF 02FF FF",
         {"l": [{"k": 1, "v": 255}, {"k": 2, "v": 255}]}),
        ("{items: {key: u8, until: '00', tags: {1: {name: a, type: u8}}}}", "0100 0105 00", {"a": 5}),
        ("{items: {key: u8, length: u8, until: 'FF', tags: {1: {name: a, type: u8}}}}", "0902FFFF 010105 FF", {"a": 5}),
        ("{list: l, type: text, item_bytes: 2, count: 3}", "4142 4300 2044", {"l": ["AB", "C", "D"]}),
        ("{list: l, type: hex, item_bytes: n, count: 2, numbered: true}", "4142", {"l_1": "41", "l_2": "42"}),
        ("{list: l, type: uint, item_bytes: 3, count: 1, scale: 0.5}", "000003", {"l": [1.5]}),
        ("{list: x, count: 2, numbered: true, fields: [{name: a, type: u8}, {name: b, type: u8}]}", "01020304",
         {"a_1": 1, "b_1": 2, "a_2": 3, "b_2": 4}),
    ],
)  # fmt: skip
def test_lists(row: str, wire: str, expected: dict[str, Any]) -> None:
    compiled = rows(f"[{{name: n, type: u8}}, {row}, {{name: end, type: u8}}]")
    data = ("01" + wire + "2a").replace(" ", "")
    assert read(compiled, data) == {"n": 1} | expected | {"end": 42}
    assert prove(compiled, [golden(data)]).holds


def test_the_mark_must_be_there() -> None:
    with pytest.raises(DecodeError) as caught:
        read(rows("[{list: l, type: u8, until: 'FF'}]"), "0102")
    assert caught.value.code is DecodeCode.TRUNCATED


def test_in_text() -> None:
    spec = """\
frame: {format: text, start: "<", stop: ">", split: ","}
fields: [{list: l, type: number, until: "end,"}, {name: x}]
"""
    assert read(product(spec), b"<1,2,end,q>") == {"l": [1, 2], "x": "q"}


LINE = 'frame: {format: text, until: ";"}\nfields: '


@pytest.mark.parametrize(
    ("row", "wire", "expected"),
    [
        ("{list: l, count: 3, type: text, item_bytes: 2}", b"aabbcc;", ["aa", "bb", "cc"]),
        ("{list: l, type: number, item_bytes: 1}", b"123;", [1, 2, 3]),
        ("{list: l, type: number, bytes: 4, item_bytes: 2}", b"1234;", [12, 34]),
    ],
)
def test_items_of_one_size_in_text(row: str, wire: bytes, expected: list[Any]) -> None:
    compiled = product(f"{LINE}[{row}]")
    assert read(compiled, wire) == {"l": expected}
    assert prove(compiled, [golden(wire.hex())]).holds


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{list: l, count: 3, type: text, bytes: 6}", "`bytes` is the size of all items together .`item_bytes: 2`"),
        ("{list: l, count: 3, type: number}", "nothing parts the items .`item_bytes: 2`"),
    ],
)
def test_items_of_text_that_nothing_parts(row: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        product(f"{LINE}[{row}]")


def test_building() -> None:
    compiled = rows("[{list: l, type: u8, until: 'FF'}, {list: t, type: text, item_bytes: 2, count_type: u8}]")
    made = compiled.encoders[0, "sample"].encode({"l": [1, 2], "t": ["AB", "C"]})
    assert made.hex() == "0102ff" + "02" + "4142" + "4300"
    assert read(compiled, made) == {"l": [1, 2], "t": ["AB", "C"]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{list: l, type: u8, until: 'FF', count: 2}", "both say where the items end"),
        ("{list: l, type: u8, until: 'FFFFFF'}", "one or two bytes"),
        ("{list: l, type: u8, until: 'no'}", "no bytes in hex"),
        ("{list: l, fields: [{name: a, type: u8}], item_bytes: 2}", "size of plain values"),
        ("{list: l, type: text, count: 2}", "item_bytes: 4"),
        ("{list: l, type: u16, item_bytes: 3}", "size"),
    ],
)
def test_mistakes(row: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        rows(f"[{row}]")


def test_the_last_item_has_its_mark() -> None:
    compiled = rows('[{list: l, item_until: "00", fields: [{name: k, type: u8}, {name: v, type: u8}]}]')
    assert read(compiled, "010200030400") == {"l": [{"k": 1, "v": 2}, {"k": 3, "v": 4}]}
    assert read(compiled, "") == {"l": []}
    with pytest.raises(DecodeError) as caught:
        read(compiled, "0102000304")
    assert caught.value.code is DecodeCode.TRUNCATED
    assert compiled.encoders[0, "sample"].encode({"l": [{"k": 1, "v": 2}]}).hex() == "010200"
    assert prove(compiled, [golden("010200030400")]).holds


@pytest.mark.parametrize("wire", ["41 7C 42", "41 7C 42 7C"])
@pytest.mark.parametrize("more", ["type: hexnumber", "fields: [{name: v, type: hexnumber, bytes: rest}]"])
def test_a_mark_may_only_part_characters(wire: str, more: str) -> None:
    compiled = rows(f'[{{list: l, item_until: "7C", {more}}}]')
    assert read(compiled, wire)["l"] == ([10, 11] if more == "type: hexnumber" else [{"v": 10}, {"v": 11}])
    assert prove(compiled, [golden(wire.replace(" ", ""))]).holds


@pytest.mark.parametrize("wire", ["01050007", "0105990007", "0105 9900000007"])
def test_an_unknown_tag_that_says_stop_leaves_what_is_reserved(wire: str) -> None:
    text = "[{items: {key: u8, until_left: 2, on_unknown: stop, tags: {1: {name: a, type: u8}}}}, {name: z, type: u16}]"
    assert read(rows(text), wire) == {"a": 5, "z": 7}
    assert prove(rows(text), [golden(wire.replace(" ", ""))]).holds


def test_words_of_sentinels_are_no_plain_values() -> None:
    with pytest.raises(SpecError, match="no place for words of sentinels"):
        rows("[{list: d, count: 2, numbered: true, type: u16, absent: {0xFFFF: invalid}}]")
