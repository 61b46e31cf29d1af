"""Layout formulas that look at any place of the body, also to choose the message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeError, SpecError
from decoders.types import SessionContext
from decoders.window_calls import BODY_CALLS, body_call_name, body_value
from tests.decoders.specs import product, read, rows


@given(st.binary(min_size=1, max_size=12), st.sampled_from(sorted(BODY_CALLS)), st.integers(-14, 14))
def test_both_codecs_see_the_same_integer(body: bytes, function: str, place: int) -> None:
    compiled = rows(f"[{{name: there, type: hex, bytes: rest, if: '{function}({place}) >= 0'}}, {{skip: rest}}]")
    there = body_value(body_call_name(function, place), body) is not None
    assert read(compiled, body) == ({"there": body.hex()} if there else {})


def test_a_mode_behind_the_fields_that_it_changes() -> None:
    compiled = rows(
        "[{switch: u8(2) & 15, cases: {1: [{name: warm, type: u16, scale: 0.1}]}, default: [{name: wet, type: u16}]},"
        " {name: mode, type: u8}]"
    )
    assert read(compiled, "00fa 11") == {"warm": 25.0, "mode": 17}
    assert read(compiled, "00fa 12") == {"wet": 250, "mode": 18}


def test_the_header_is_no_part_of_the_body() -> None:
    compiled = product(
        "frame: {header: [{name: n, type: u8}, {name: id, type: hex, bytes: n}]}\n"
        "messages: {m: {fields: [{name: a, type: u8, if: u16le(-2) == 0x0201}, {skip: rest}]}}"
    )
    assert read(compiled, "02 aabb 07 0102") == {"n": 2, "id": "aabb", "a": 7}
    assert read(compiled, "02 0102 07") == {"n": 2, "id": "0102"}


def test_when_may_be_a_formula_at_the_start_of_the_body() -> None:
    compiled = product(
        "messages:\n"
        "  a: {when: {'u8(0) >> 4': 1}, fields: [{name: x, type: u8}, {skip: rest}]}\n"
        "  b: {when: {'u8(0) >> 4': 2..4, 'u8(-1)': 7}, fields: [{name: y, type: u8}, {skip: rest}]}\n"
        "  c: {when: {\"starts('PQ')\": true}, fields: [{name: t, type: text, bytes: rest}]}\n"
        "  d: {when: {next_u8: 0x99, port: 3}, fields: [{name: z, type: u8}]}\n"
    )
    assert read(compiled, "1102") == {"x": 0x11}
    assert read(compiled, "2507") == {"y": 0x25}
    assert read(compiled, "5051") == {"t": "PQ"}
    assert read(compiled, "99", SessionContext(port=3)) == {"z": 0x99}
    with pytest.raises(DecodeError, match=r"u8\(0\) >> 4 2 .*starts\('PQ'\) False"):
        read(compiled, "25")


def test_when_may_compute_with_the_header() -> None:
    compiled = product(
        "frame: {header: [{name: k, type: u8}], trailer: [{name: c, crc: sum8, over: k..body}]}\n"
        "messages:\n"
        "  a: {when: {'k & 3': 1}, fields: [{name: x, type: u8}]}\n"
        "  b: {when: {'k & 3': 2}, fields: [{name: y, type: u8}]}\n"
    )
    assert read(compiled, "05 07 0c") == {"k": 5, "x": 7}
    assert read(compiled, "06 07 0d") == {"k": 6, "y": 7}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{name: a, type: u8, if: u8(b)}]", "takes a fixed place in the body"),
        ("[{name: a, type: u8, if: u8(99999)}]", "a body has at most"),
        ("[{name: a, type: u8}, {name: b, formula: a + u8(0)}]", "it reads values, no bytes"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        rows(text)
