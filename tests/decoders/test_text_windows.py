"""Text within frames of bytes: `encoded: text`, with all that rows of text frames can do."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.prove import prove
from tests.decoders.specs import golden, product, read, rows

KEYED = "{items: {key: text, split: ',', tags: {a: {name: a, type: number}, b: {name: b}}}}"
CASES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "keyed": (f"{{group: null, prefix: u8, encoded: text, fields: [{KEYED}]}}", b"\x07a=1,b=2", {"a": 1, "b": "2"}),
    "positional": (
        "{group: g, bytes: 6, encoded: text, split: ';', fields: [{name: x, type: number}, {name: y}, {name: z}]}",
        b"1;;abc",
        {"g": {"x": 1, "z": "abc"}},
    ),
    "fewer": (
        "{group: g, prefix: u8, encoded: text, split: ';', fields: [{name: x}, {name: y, optional: true}]}",
        b"\x021 ",
        {"g": {"x": "1"}},
    ),
    "list": (
        "{group: null, until: '00', encoded: text, fields: [{list: l, item_until: '|', split: ',', fields: "
        "[{name: x, type: number}, {name: y}]}]}",
        b"1,a|2,b\x00",
        {"l": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]},
    ),
    "tag": (
        f"{{items: {{key: u8, length: u8, tags: {{5: {{group: null, encoded: text, fields: [{KEYED}]}}}}}}}}",
        b"\x05\x03a=7\x05\x03b=x",
        {"a": 7, "b": "x"},
    ),
    "hex within": (
        "{group: null, prefix: u8, encoded: text, split: ',', fields: [{name: x}, {group: null, encoded: hex, fields: "
        "[{name: y, type: u16}]}]}",
        b"\x06q,0102",
        {"x": "q", "y": 258},
    ),
}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("behind", [b"", b"\x2a"])
def test_text_in_a_group(name: str, behind: bytes) -> None:
    row, wire, expected = CASES[name]
    if behind and name == "tag":
        row = row.replace("length: u8, ", "length: u8, until_left: 1, ")
    compiled = rows(f"[{{name: n, type: u8}}, {row}{', {name: end, type: u8}' if behind else ''}]")
    wire = b"\x09" + wire + behind
    assert read(compiled, wire) == {"n": 9} | expected | ({"end": 42} if behind else {})
    assert prove(compiled, [golden(wire.hex())]).holds


def test_what_is_wrong_in_it() -> None:
    compiled = rows("[{group: null, prefix: u8, encoded: text, split: ',', fields: [{name: x, type: number}]}]")
    for wire, code in (
        (b"\x01a", DecodeCode.BAD_VALUE),
        (b"\x031,2", DecodeCode.TRAILING_BYTES),
        (b"\x09", DecodeCode.TRUNCATED),
    ):
        with pytest.raises(DecodeError) as caught:
            read(compiled, wire)
        assert caught.value.code is code


def test_building() -> None:
    spec = "{group: g, prefix: u8, encoded: text, split: ';', fields: [{name: x, type: number}, {name: y}]}"
    compiled = rows(f"[{spec}, {{name: z, type: u8}}]")
    made = compiled.encoders[0, "sample"].encode({"g": {"x": 12, "y": "ab"}, "z": 1})
    assert made == b"\x0512;ab\x01"
    assert read(compiled, made) == {"g": {"x": 12, "y": "ab"}, "z": 1}


def test_mistakes() -> None:
    with pytest.raises(SpecError, match="`encoded: text`"):
        rows("[{group: null, prefix: u8, split: ',', fields: [{name: x, type: u8}]}]")
    with pytest.raises(SpecError, match="reads bytes, and this is a text frame"):
        rows("[{group: null, prefix: u8, encoded: text, fields: [{name: x, type: u8}]}]")
    with pytest.raises(SpecError, match="`encoded: text`"):
        product("items: {key: text, tags: {a: {name: a}}}")
