"""Which message a frame is: the generated entry finds the same one as the reference codec."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from decoders.fused.refusal import Refused
from decoders.types import SessionContext
from tests.decoders.fused.bodies import source
from tests.decoders.specs import product, read


def test_messages_are_told_apart_as_by_construct() -> None:
    compiled = product(
        """
frame: {header: [{name: type, type: u8, bits: {low: 0-3}}, {name: sub, type: u8}], trailer: [{name: end, type: u8}]}
messages:
  pair: {when: {type: 1, sub: 0xFE}, fields: []}
  nibble: {when: {low: [2, 4..6]}, fields: []}
  long: {when: {length: 3}, fields: [{skip: rest}]}
  first: {when: {first: ["aabb", "cc"]}, fields: [{skip: rest}]}
  tail: {when: {end: 7}, fields: [{skip: rest}]}
  port: {when: {port: 9}, fields: [{skip: rest}]}
"""
    )

    def name(data: str, port: int = 0) -> str:
        context = SessionContext(port=port)
        kind = compiled.kinds[0]
        assert kind.reference is not None
        assert kind.fused is not None, kind.why_not_fused
        try:
            truth = kind.reference.decode(bytes.fromhex(data), context, 0)[0]
        except DecodeError:
            with pytest.raises(Refused):
                kind.fused.decode(bytes.fromhex(data), context, 0)
            return ""
        assert kind.fused.decode(bytes.fromhex(data), context, 0)[0] == truth
        return truth

    assert name("01fe00") == "pair"
    assert name("010000") == ""
    assert name("f20000") == "nibble"
    assert name("050000") == "nibble"
    assert name("0000aabbcc00") == "long"
    assert name("0000aabb00") == "first"
    assert name("0000cc00") == "first"
    assert name("0000bb07") == "tail"
    assert name("0000bb08", port=9) == "port"


def test_bits_within_a_byte_are_read_from_that_byte() -> None:
    compiled = product(
        """
frame: {header: [{name: type, type: u16, bits: {kind: 10-12, wide: 4-11}}, {name: next, type: u16le, bits: {low: 3}}]}
messages:
  kind: {when: {kind: 5}, fields: []}
  wide: {when: {wide: 0x81}, fields: []}
  low: {when: {low: 1}, fields: []}
"""
    )
    entry = source(compiled).partition("def decode")[2]
    assert "(b[0] >> 2 & 7) == 5" in entry
    assert "((b[0] << 8 | b[1]) >> 4 & 255) == 129" in entry
    assert "MESSAGES.get((b[2] >> 3 & 1), refuse)" in entry
    assert read(compiled, "14000000")["kind"] == 5
    assert read(compiled, "08100000")["wide"] == 0x81
    assert read(compiled, "00000800")["low"] == 1
    with pytest.raises(DecodeError):
        read(compiled, "00000000")


@pytest.mark.parametrize(
    ("wire", "table"), [("u8", "MESSAGES = (refuse, message_0, message_1, "), ("u32", "{1: message_0, ")]
)
def test_many_messages_are_looked_up(wire: str, table: str) -> None:
    compiled = product(
        f"frame: {{header: [{{name: type, type: {wire}}}]}}\n"
        "messages: {one: {when: {type: 1}, fields: []}, two: {when: {type: [2, 9]}, fields: []}}"
    )
    assert table in source(compiled)
    size = {"u8": 1, "u32": 4}[wire]
    assert read(compiled, (9).to_bytes(size, "big")) == {"type": 9}
    with pytest.raises(DecodeError):
        read(compiled, (3).to_bytes(size, "big"))
