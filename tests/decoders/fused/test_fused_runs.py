"""Rows of fixed size: one check, one unpack for each byte order, constants compared as they stand."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from tests.decoders.fused.bodies import source
from tests.decoders.specs import product, read, rows


def test_one_unpack_for_each_byte_order() -> None:
    compiled = rows(
        "[{name: a, type: u8}, {name: b, type: u16}, {skip: 2}, {name: c, type: u32le}, {name: d, type: i8}]"
    )
    message = source(compiled).partition("def decode")[0]
    assert message.count(" = unpack") == 2
    assert "a_1, b_2 = unpack" in message
    assert read(compiled, "01 0002 ffff 03000000 fe".replace(" ", "")) == {"a": 1, "b": 2, "c": 3, "d": -2}


def test_a_single_byte_or_text_needs_no_unpack() -> None:
    assert "a_1 = b[0]" in source(rows("[{name: a, type: u8}]"))
    compiled = rows("[{skip: 1}, {name: a, type: hex, bytes: 2}, {skip: 1}]")
    assert "a_1 = b[1:3]" in source(compiled)
    assert read(compiled, "00abcd00") == {"a": "abcd"}


FRAMED = """
frame:
  header: [{name: start, const: "7E"}, {name: type, type: u8}]
  trailer: [{name: check, crc: sum8, over: type..body}, {name: stop, const: "0D0A"}]
messages: {m: {fields: []}}
"""


def test_marks_and_check_values() -> None:
    compiled = product(FRAMED)
    assert "!= 0x7e" in source(compiled)
    assert "!= b'\\r\\n'" in source(compiled)
    assert read(compiled, "7e05050d0a") == {"type": 5}
    for wrong in ("7f05050d0a", "7e05060d0a", "7e05050d0b"):
        with pytest.raises(DecodeError):
            read(compiled, wrong)


@pytest.mark.parametrize(
    ("wire", "data", "value"), [("i24", "fffffe", -2), ("u24le", "010200", 513), ("sm24", "800003", -3)]
)
def test_integers_of_three_bytes(wire: str, data: str, value: int) -> None:
    assert read(rows(f"[{{name: a, type: {wire}}}, {{name: b, type: u8}}]"), data + "07") == {"a": value, "b": 7}


def test_hidden_bytes_that_must_be_digits_are_still_looked_at() -> None:
    compiled = rows("[{name: a, type: bcd, bytes: 1, hidden: true}, {name: b, type: u8}]")
    assert read(compiled, "1201") == {"b": 1}
    with pytest.raises(DecodeError):
        read(compiled, "1c01")
