"""What layout formulas may read: what was read before them, in sight, and of the right kind."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from decoders.layout import Bit, BytesWire, FloatWire, IntWire, Value
from decoders.spec.raw_scopes import kind_of
from tests.decoders.specs import product, rows

FRAME = """
frame:
  header: [{name: n, type: u8}, {name: m, type: u8, if: n}]
  trailer: [{name: last, type: u8, equals: n}, {name: check, crc: xor8}]
"""


@pytest.mark.parametrize(
    "text",
    [
        "[{name: n, type: u8}, {skip: n, if: n > 1}, {name: b, type: text, bytes: n - 1}]",
        "[{name: f, type: u8, bits: {n: 0-3}}, {list: l, count: n, type: u8}]",
        "[{name: n, type: bcdnumber, bytes: 1}, {skip: n}]",
        "[{group: null, fields: [{name: n, type: u8}]}, {group: g, fields: [{skip: n}]}]",
        "[{list: l, count: 2, fields: [{name: n, type: u8}, {name: t, type: hex, bytes: n}]}]",
        "[{list: l, while: more, fields: [{name: h, type: u8, bits: {more: 7}}]}]",
        "[{list: l, count: 3, fields: [{skip: 1, if: index == 0}]}]",
        "[{list: l, count: 2, fields: [{name: a, type: u8}]}, "
        "{list: k, into: l, count: 2, fields: [{skip: 1, if: a}]}]",
        "[{items: {key: u8, length: u8, tags: {1: {name: n, type: u8}, 2: [{skip: 1, if: n == 1 and key}]}}}]",
        "[{items: {key: u8, length: u8, tags: {2: [{name: t, type: u8, if: n}], 1: {name: n, type: u8}}}}, {skip: n}]",
        "[{items: {header: [{name: h, type: u8, bits: {s: 5-7, t: 0-4}}], key: t, length: s, "
        "tags: {1: {name: a, type: u8, if: h > 3}}}}]",
        "[{switch: u8(0), cases: {1: [{name: n, type: u8}], 2: [{name: n, type: u16}]}}, {skip: n}]",
        "[{name: k, type: text, bytes: 1}, {switch: k, cases: {A: [{skip: 1}], 'B, 5': [{skip: 2}]}}]",
        "[{name: k, type: text, bytes: 1}, {skip: 1, if: k == 'A'}]",
        "[{name: n, type: u8, if: remaining > 3, else: 2}, {skip: n}]",
        "[{name: n, type: u8}, {name: 'a_{n}', type: u8}, {name: f, type: u8, bits: {'b_{n}': 0}}]",
        "[{name: c, type: u8}, {name: d, type: u8, equals: c}, {list: l, type: u8, until_left: c}]",
        "[{skip: 1, if: port == 2 and length > 3 and next_u8 == 1 and starts('A')}]",
    ],
)
def test_what_was_read_before_is_there(text: str) -> None:
    rows(text)


@pytest.mark.parametrize(
    "fields",
    [
        "[{name: a, type: u8, if: n}, {skip: 1, if: m == 1 and last}]",
        "[{list: l, count: n, fields: [{name: a, type: u8, if: last}]}]",
    ],
)
def test_header_and_trailer_are_read_before_the_body(fields: str) -> None:
    product(f"{FRAME}messages: {{a: {{fields: {fields}}}}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[{list: l, count: 2, fields: [{name: n, type: u8}]}, {skip: n}]",
            "`n` stands in the items of `l`, which only",
        ),
        ("[{group: g, fields: [{name: n, type: u8}]}, {skip: n}]", "`n` stands in the group `g`"),
        ("[{list: l, count: 2, fields: [{skip: n}, {name: n, type: u8}]}]", "`n` is read behind this row"),
        (
            "[{items: {header: [{name: h, type: u8}], key: h, tags: {1: {name: a, type: u8}}}}, {skip: h}]",
            "`h` stands in the header of each item",
        ),
        ("[{name: f, type: f32}, {skip: f}]", "it may have decimals, and here stands a whole number"),
        ("[{name: t, type: hex, bytes: 1}, {skip: t}]", "(read it as an integer such as u8)"),
        ("[{name: a, type: u8}, {switch: a, cases: {x: []}}]", "`a` is an integer, never 'x' (a number, or a range"),
        ("[{name: a, type: u8}, {skip: 1, if: \"a in ('x', 'y')\"}]", "`a` is an integer here, never 'x'"),
        ("[{name: a, type: u8, if: nothing}]", "there is no field `nothing` in `sample` (use the name"),
        ("[{name: a, type: u8}, {skip: 2.5}]", "a size is a whole number from 0 on"),
        ("[{name: a, type: u8, bits: {l: {at: 0-3, counts: body}}}]", "the length of a frame stands in its header"),
    ],
)
def test_what_is_not_in_sight_is_named(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        rows(text)
    assert said in str(caught.value)


def test_kinds_of_raw_values() -> None:
    def value(wire: IntWire | FloatWire | BytesWire) -> Value:
        return Value("a", wire, convert=None)  # type: ignore[arg-type]

    assert kind_of(value(IntWire(2))) == "integer"
    assert kind_of(Bit("b", 0, 1, convert=None)) == "integer"  # type: ignore[arg-type]
    assert kind_of(value(FloatWire(4))) == "fraction"
    assert kind_of(value(BytesWire(4, "u_cdab"))) == "integer"
    assert kind_of(value(BytesWire(2, "bcd"))) == "text"
    assert kind_of(value(BytesWire(2, "ddmm"))) == ""
