"""A field that is called as a built-in name is what formulas read, everywhere behind it."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeError, SpecError
from decoders.prove import prove
from tests.decoders.specs import golden, product, read, rows

HEADER = 'header: [{name: start, const: "A5"}, {name: length, type: u8, counts: length..body}]'
SHIFTED = "header: [{name: tag, type: hex, prefix: u8}, {name: length, type: u8}]"
MESSAGES = """
messages:
  long:
    when: {WHEN}
    fields: [{name: a, raw: length}, {name: b, formula: length + 0}, {switch: length, cases: {6: [{skip: length - 1}]}}]
  short: {when: {length: [1, 3]}, fields: [{name: rest, type: hex, bytes: length - 1}]}
"""


@pytest.mark.parametrize("when", ["length: 6", "'length == 6': 1", "'length + 0': 6"])
@pytest.mark.parametrize(("header", "front"), [(HEADER, "A5"), (SHIFTED, "02ABCD"), (SHIFTED, "00")])
def test_a_length_of_the_header(when: str, header: str, front: str) -> None:
    sample = product(f"transports: [mqtt]\nframe: {{{header}}}{MESSAGES.replace('WHEN', when)}")
    values = read(sample, f"{front} 06 0102030405")
    assert (values["a"], values["b"]) == (6, 6)
    assert read(sample, f"{front} 03 0102")["rest"] == "0102"
    with pytest.raises(DecodeError, match="unknown_message"):
        read(sample, f"{front} 02 01")
    cases = [golden(f"{front} 06 0102030405", message="long"), golden(f"{front} 03 0102", message="short")]
    (proof,) = prove(sample, cases).kinds
    assert (proof.disagreement, proof.others) == ("", {})


def test_without_such_a_field_it_is_the_size_of_the_body() -> None:
    sample = product(
        "frame: {header: [{name: n, type: u8, counts: body}]}\nfields: [{name: a, raw: length}, {skip: 2}]"
    )
    assert read(sample, "02 0102")["a"] == 2


def test_what_comes_next_cannot_be_read_beside_a_row_of_its_name() -> None:
    with pytest.raises(SpecError, match="`remaining` is what comes next, and a row is called so too"):
        rows("[{name: remaining, type: u8}, {name: x, type: u8, if: remaining > 2}]")


@pytest.mark.parametrize("name", ["remaining", "next_u8"])
def test_a_row_of_its_name_alone_is_as_good_as_any(name: str) -> None:
    text = f"[{{name: {name}, type: u8}}, {{name: x, type: u8, optional: true}}, {{name: z, formula: {name} + 1}}]"
    expected: dict[str, Any] = {name: 1, "z": 2}
    assert read(rows(text), "01") == expected
    assert read(rows(text), "0102") == expected | {"x": 2}
