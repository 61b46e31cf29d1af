"""Keys and values of fixed sizes, read at once."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


def items(length: int, tags: str, more: str = "", key: str = "u8") -> str:
    return f"[{{items: {{key: {key}, length: {length}, count_type: u8, tags: {{{tags}}}{more}}}}}]"


@pytest.mark.parametrize("length", [1, 2, 4, 8])
@pytest.mark.parametrize("wire", ["uint", "int", "hex"])
@pytest.mark.parametrize("fill", ["00", "01", "7f", "80", "ff"])
def test_values_of_all_sizes(length: int, wire: str, fill: str) -> None:
    compiled = rows(items(length, f"1: {{name: a, type: {wire}}}", f", on_unknown: {{into: io, type: {wire}}}"))
    assert "for key_" in source(compiled)
    value = bytes.fromhex(fill * length)
    number = int.from_bytes(value, "big", signed=wire == "int")
    expected = value.hex() if wire == "hex" else number
    assert read(compiled, b"\2\1" + value + b"\x09" + value) == {"a": expected, "io": {"9": expected}}
    with pytest.raises(DecodeError):
        read(compiled, b"\2\1" + value + b"\x09" + value[1:])


def test_signs_bits_and_constants() -> None:
    tags = (
        "1: {name: a, type: sm16, negate: west}, 2: {name: b, type: u16, bits: {c: 0-3}}, "
        "3: {name: d, const: 7, type: u16}"
    )
    compiled = rows(f"[{{name: west, type: u8}}, {items(2, tags)[1:]}")
    assert "for key_" in source(compiled)
    assert read(compiled, "0101018005") == {"west": 1, "a": 5}
    assert read(compiled, "0002020013030007") == {"west": 0, "c": 3}
    with pytest.raises(DecodeError):
        read(compiled, "0001030008")


@pytest.mark.parametrize(
    "text",
    [
        items(2, "1: {name: a, type: u16le}"),
        items(2, "1: [{name: a, type: u8}, {name: b, type: u8}]"),
        items(2, "1: {name: a, type: text}"),
        items(3, "1: {name: a, type: uint}"),
        items(2, "1: {name: a, type: uint}", ", raw: all"),
        items(2, "1: {name: a, type: uint}", key="u24"),
        items(2, "1: {name: a, type: uint}", key="u16le"),
    ],
)
def test_other_items_are_read_by_position(text: str) -> None:
    compiled = rows(text)
    assert "for key_" not in source(compiled)
    assert " in range(" in source(compiled)


def test_long_keys_are_written_as_text() -> None:
    compiled = rows(items(1, "1: {name: a, type: uint}", ", on_unknown: {into: io, type: uint}", key="u16"))
    assert read(compiled, "02 000105 012c06".replace(" ", "")) == {"a": 5, "io": {"300": 6}}
