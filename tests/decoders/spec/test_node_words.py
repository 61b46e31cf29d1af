from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from decoders.convert import PLAIN
from decoders.formula import compile_formula
from decoders.layout import BytesWire, FloatWire, IntWire, Prefix, Repeat, Rest, Skip, Value
from decoders.spec.model import SpecFile
from decoders.spec.node_words import (
    children,
    constant_count,
    enum_text,
    node_note,
    node_size,
    node_type,
    row_scale,
    size_text,
    spelled,
    wire_word,
)
from tests.decoders.specs import rows

SPEC = SpecFile.model_validate(
    {"product": "p", "fields": [], "messages": {"m": {}}, "enums": {"e": {1: "on", 2: None}}}
)


def first(text: str) -> tuple[Any, Any]:
    compiled = rows(f"[{text}]")
    node = compiled.kinds[0].layout.messages["sample"].body[-1]
    return node, compiled.origins.row(node)


@pytest.mark.parametrize(
    ("wire", "word"),
    [
        (IntWire(2), "u16"),
        (IntWire(2, "twos", big=False), "i16le"),
        (IntWire(1, "magnitude", big=False), "sm8"),
        (FloatWire(4, big=False), "f32le"),
        (BytesWire(4, "hex"), "hex"),
    ],
)
def test_wires_have_the_words_of_types(wire: Any, word: str) -> None:
    assert wire_word(wire) == word


def test_sizes() -> None:
    assert [size_text(size) for size in (None, 3, Rest(), Prefix(IntWire(1)), compile_formula("n - 1"))] == [
        "", "3", "rest", "u8 + n", "n - 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "size", "word"),
    [
        ("{name: a, type: u16le}", 2, "u16le"),
        ("{name: a, type: unix32le}", 4, "unix32le"),
        ("{name: a, type: bcd, bytes: 3}", 3, "bcd"),
        ("{name: a, type: text, bytes: rest}", "rest", "text"),
        ("{name: a, const: '0102'}", 2, "hex"),
        ("{list: a, type: u16, count: 2}", "", "repeat"),
        ("{skip: 2}", 2, "skip"),
    ],
)
def test_size_and_type_of_a_row(row: str, size: int | str, word: str) -> None:
    node, origin = first(row)
    assert (node_size(node), node_type(node, origin)) == (size, word)


@pytest.mark.parametrize(
    ("row", "scale"),
    [
        ("{name: a, type: u8}", ""),
        ("{name: a, type: u8, scale: 0.1}", "* 0.1"),
        ("{name: a, type: u8, scale: 1/3, offset: -40}", "* 1/3 - 40"),
        ("{name: a, type: u8, raw_offset: 5, scale: 2}", "+ 5, * 2"),
        ("{name: a, type: u8, formula: x * x}", "x * x"),
    ],
)
def test_scale(row: str, scale: str) -> None:
    assert row_scale(first(row)[1]) == scale


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("{name: a, type: u8, const: 7}", "= 0x07"),
        ("{name: a, type: u8, absent: [255, 254]}", "absent 0xFF or 0xFE"),
        ("{name: a, type: u8, enum: {0: off, 1: null}}", "0 off, 1 no value"),
        ("{name: a, type: u8, range: [0, 9], required: true, note: x}", "0 to 9; required; x"),
        ("{name: b, type: u8}, {name: a, type: u8, negate: b}", "negative if b"),
        ("{name: b, type: u8}, {name: a, formula: b + 1, if: b}", "if b"),
        ("{name: a, type: bcd, bytes: 8, digits: 15, identity: device}", "identity of the device; digits 15"),
    ],
)
def test_notes(row: str, note: str) -> None:
    node, origin = first(row)
    assert node_note(node, origin, SPEC) == note


def test_a_shared_list_is_named_and_begun() -> None:
    assert enum_text("e", SPEC) == "enum e: 1 on, 2 no value"
    assert enum_text({n: f"w{n}" for n in range(20)}, SPEC).endswith("7 w7, …")
    assert spelled({1: "a"}) == "0x01 a"


@dataclass(slots=True, frozen=True)
class Strange:
    """A kind of node that these tools have never seen."""

    name: str
    nodes: Any
    cases: Any = ()
    tempo: int = 0
    loud: bool = False


def test_an_unknown_kind_of_node_says_what_it_holds() -> None:
    inner = Value("a", IntWire(1), PLAIN)
    node = Strange("odd", (inner,), (((5, 5), (inner,)), ("x", (Skip(1),))), 3, True)
    assert node_type(node, None) == "strange"
    assert node_size(node) == ""
    assert node_note(node, None, SPEC) == "tempo 3; loud"
    assert [title for title, _ in children(node)] == ["", "(5, 5)", "x"]


def test_a_count_that_never_changes() -> None:
    assert constant_count(Repeat("l", (), count=compile_formula("6"))) == 6
    assert constant_count(Repeat("l", (), count=compile_formula("n"))) is None
    assert constant_count(Skip(1)) is None
