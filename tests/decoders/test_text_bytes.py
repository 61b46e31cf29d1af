"""Text within bytes: marks of wide characters, and bytes that are no text."""

from __future__ import annotations

import pytest

from decoders.product import CompiledProduct
from decoders.raw import find_mark
from decoders.types import SessionContext, ViolationCode
from tests.decoders.specs import product, read

WIDE = """\
messages:
  m:
    rest: skip
    fields: [{name: s, type: text, until: "0000", encoding: %s}, {name: v, type: u8}]
"""


@pytest.mark.parametrize(
    ("encoding", "wire", "text"),
    [
        ("utf-16le", "41004200 0000 07", "AB"),
        ("utf-16le", "0041 0100 0000 07", "\u4100\u0001"),
        ("utf-16le", "0001 0000 07", "\u0100"),
        ("utf-16be", "0041 4E00 0000 07", "A\u4e00"),
        ("utf-16be", "0000 07", ""),
    ],
)
def test_a_mark_stands_where_a_character_begins(encoding: str, wire: str, text: str) -> None:
    compiled = product(WIDE % encoding)
    assert read(compiled, wire) == {"s": text, "v": 7}
    if text:
        assert compiled.encoders[0, "m"].encode({"s": text, "v": 7}) == bytes.fromhex(wire)


def test_find_mark() -> None:
    data = bytes.fromhex("0100000000")
    assert find_mark(data, b"\0\0", 0, 5, 1) == 1
    assert find_mark(data, b"\0\0", 0, 5, 2) == 2
    assert find_mark(data, b"\0\0", 1, 5, 2) == 1
    assert find_mark(data, b"\0\0", 0, 3, 2) == -1


JUNK = """\
fields:
  - {name: a, type: text, bytes: 2}
  - {name: b, type: text, bytes: 2, encoding: utf-8, required: true}
  - {name: c, type: text, bytes: 3, encoding: utf-16le}
  - {name: d, type: text, bytes: 1, encoding: latin-1}
  - {group: g, fields: [{name: e, type: text, bytes: 1, if: remaining > 2}]}
  - {list: names, count_type: u8, item_prefix: u8, type: text}
"""


def flags(compiled: CompiledProduct, wire: str) -> dict[str, ViolationCode]:
    decoded = compiled.read(bytes.fromhex(wire), SessionContext())
    return {item.field: item.code for item in decoded.violations or ()}


def test_a_bad_letter_costs_no_frame() -> None:
    compiled = product(JUNK)
    wire = "41FF 41FF 410042 FF FF 02 01 41 01 FE"
    assert read(compiled, wire) == {
        "a": "A\ufffd", "b": "A\ufffd", "c": "A\ufffd", "d": "\xff", "g": {"e": "\ufffd"}, "names": ["A", "\ufffd"],
    }  # fmt: skip
    wrong = ("a", "b", "c", "g.e", "names[1]")
    assert flags(compiled, wire) == dict.fromkeys(wrong, ViolationCode.BAD_TEXT)
    assert flags(compiled, "4142 4142 410000 41 00") == {"c": ViolationCode.BAD_TEXT}


def test_names_that_are_built_from_numbers_hold_texts_too() -> None:
    compiled = product('fields: [{name: n, type: u8, metric: false}, {name: "x_{n}", type: text, bytes: 1}]')
    assert flags(compiled, "05 FF") == {"x_5": ViolationCode.BAD_TEXT}
    assert flags(compiled, "05 41") == {}
