"""Rows that are there only when certain bytes come next: what is built is what would be read."""

from __future__ import annotations

import pytest

from decoders.errors import EncodeError
from decoders.types import SessionContext
from tests.decoders.specs import product

OPTIONS = """\
frame:
  header:
    - {name: options, type: %s, if: "%s", bits: {p: %s}}
    - {name: id, type: u8, if: p}
    - {name: t, type: u8}
messages:
  m: {when: {t: 2}, fields: [{name: v, type: u8}], replies: [ack]}
  ack: {downlink: true, when: {t: 3}}
"""


@pytest.mark.parametrize(
    ("form", "test", "bit", "request_", "answer"),
    [
        ("u8", "next_u8 >= 128", 0, "81 09 02 07", "810903"),
        ("u8", "next_u8 >= 128", 0, "02 07", "03"),
        ("u8", "next_u8 & 0xC0 == 0xC0", 0, "C1 09 02 07", "ff0903"),  # no one bit does
        ("u16", "next_u16 & 0x4000", 0, "4001 09 02 07", "40010903"),
        ("u16le", "next_u8 & 0x40", 0, "4100 09 02 07", "41000903"),
    ],
)
def test_bits_without_a_name_are_set_for_the_condition(
    form: str, test: str, bit: int, request_: str, answer: str
) -> None:
    compiled = product(OPTIONS % (form, test, bit))
    decoded = compiled.read(bytes.fromhex(request_), SessionContext())
    (reply,) = compiled.replies("m", decoded.values, SessionContext(), 0)
    assert reply.hex() == answer


def test_what_would_not_be_read_is_no_answer() -> None:
    compiled = product(OPTIONS % ("u8", "next_u8 < 0x80", 7))
    assert compiled.replies("m", {"p": True, "id": 9, "t": 2}, SessionContext(), 0) == []
    assert [reply.hex() for reply in compiled.replies("m", {"t": 2}, SessionContext(), 0)] == ["03"]


@pytest.mark.parametrize("strict", [True, False])
def test_a_value_that_would_not_be_read_is_an_error(strict: bool) -> None:
    encoder = product("fields: [{name: x, type: u8, if: next_u8 < 128}]").encoders[0, "uplink"]
    assert encoder.encode({"x": 5}, strict=strict).hex() == "05"
    with pytest.raises(EncodeError, match="only if `next_u8 < 128`"):
        encoder.encode({"x": 200}, strict=strict)
