"""Switches and enums by texts that look like numbers. Both codecs, always."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from decoders.framing.framer import cut
from decoders.types import SessionContext
from tests.decoders.specs import product, read, rows


def test_digits_in_quotes_are_the_text_too() -> None:
    compiled = rows(
        "[{name: k, type: hex, bytes: 1}, {switch: k, cases: {'41': [{name: a, type: u8}], '42, 0f': [{name: b, "
        "type: u8}]}}]"
    )
    assert read(compiled, "4105") == {"k": "41", "a": 5}
    assert read(compiled, "4205") == {"k": "42", "b": 5}
    assert read(compiled, "0f05") == {"k": "0f", "b": 5}
    with pytest.raises(DecodeError):
        read(compiled, "4305")


def test_digits_in_quotes_are_the_number_too() -> None:
    compiled = rows("[{name: k, type: u8, enum: {'1': one}}, {switch: k, cases: {'1, 2': [], '0x10': []}}]")
    assert read(compiled, "01") == {"k": "one"}
    assert read(compiled, "02") == {"k": 2}
    assert read(compiled, "10") == {"k": 16}


def test_names_of_texts() -> None:
    compiled = rows("[{name: k, type: text, bytes: 2, enum: {'01': low, 'A1': high}}]")
    assert [read(compiled, text.encode())["k"] for text in ("01", "A1", "1 ")] == ["low", "high", "1"]


def test_names_of_texts_are_built_again() -> None:
    compiled = rows(
        "[{name: k, type: text, bytes: 2, enum: {'01': low, 10: high}}, {name: n, type: u8, enum: {'1': one}}]"
    )
    wire = compiled.encoders[(0, "sample")].encode({"k": "low", "n": "one"})
    assert wire == b"01\x01"
    assert read(compiled, b"10\x01") == {"k": "high", "n": "one"}


def test_messages_by_text() -> None:
    compiled = product(
        """
frame: {header: [{name: command, type: text, bytes: 2}]}
messages:
  numbers: {when: {command: ["01", "10"]}, fields: [{name: a, type: u8}]}
  letters: {when: {command: AB}, fields: [{name: b, type: u8}]}
"""
    )

    def message(wire: bytes) -> str:
        return compiled.decode(cut(compiled.framing, wire), SessionContext()).message.name

    assert message(b"01\x05") == "numbers"
    assert message(b"10\x05") == "numbers"
    assert message(b"AB\x05") == "letters"
    with pytest.raises(DecodeError):
        message(b"11\x05")


def test_constants_can_be_asked_for() -> None:
    compiled = rows("[{name: a, type: hex, bytes: 1, const: '41'}, {switch: a, cases: {'41': [{name: b, type: u8}]}}]")
    assert read(compiled, "4105") == {"b": 5}
