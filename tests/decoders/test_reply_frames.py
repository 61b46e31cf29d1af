"""Replies in frames whose size a formula says, and of several kinds of frame."""

from __future__ import annotations

import pytest

from decoders.errors import EncodeError
from decoders.framing.framer import cut
from decoders.golden import GoldenFile, run_case
from decoders.types import SessionContext
from tests.decoders.specs import golden, product, read

SIZED = """
frame:
  size: SIZE
  header: [{name: start, const: "A5"}, {name: type, type: u8}, N]
  trailer: [{name: check, crc: sum8, over: type..body}]
messages:
  data: {when: {type: 1}, fields: [{name: dev, type: hex, bytes: 2}, {name: v, type: u16}], replies: [ack]}
  ack: {downlink: true, when: {type: 2}, fields: [{name: ok, type: u16, default: 1}]}
"""
KINDS = """
frames:
  long:
    header: [{name: start, const: "A5"}, {name: type, type: u8}, {name: n, type: u8, counts: body}]
    trailer: [{name: check, crc: sum8, over: type..body}]
  short:
    header: [{name: start, const: "A6"}, {name: type, type: u8}, {name: n, type: u8, counts: body}, {name: k, type: u8}]
messages:
  data: {when: {type: 1}, fields: [{name: v, type: u16}], replies: [{message: ack, with: {ok: v}}]}
  ack: {downlink: true, when: {type: 2}, fields: [{name: ok, type: u8}]}
"""


@pytest.mark.parametrize(
    ("size", "field", "request_", "reply"),
    [
        ("n + 4", "{name: n, type: u8}", "a501040102000a12", "a50202000105"),
        ("4 + n * 2", "{name: n, type: u8}", "a501020102000a10", "a50201000104"),
        ("n + 4", "{name: head, type: u8, bits: {n: 0-6, more: 7}}", "a501840102000a92", "a50282000185"),
        ("n", "{name: n, type: u16le}", "a50109000102000a17", "a502070000010a"),
    ],
)
def test_a_reply_carries_its_own_size(size: str, field: str, request_: str, reply: str) -> None:
    sample = product(SIZED.replace("SIZE", size).replace("N]", f"{field}]"))
    assert read(sample, request_)["v"] == 10
    decoded = sample.read(bytes.fromhex(request_), SessionContext())
    (found,) = sample.replies("data", decoded.values, SessionContext(), 0)
    assert found.hex() == reply
    assert cut(sample.framing, found).wire == found


def test_a_size_of_units_that_does_not_come_out() -> None:
    sample = product(SIZED.replace("SIZE", "n * 4 + 4").replace("N]", "{name: n, type: u8}]"))
    with pytest.raises(EncodeError, match="no whole number"):
        sample.encoders[0, "ack"].encode({})


@pytest.mark.parametrize(
    ("wire", "reply"), [("a50102000104", "a502010104"), ("a60102070009", "a602010709"), ("a60102080109", "")]
)
def test_a_reply_goes_out_in_the_kind_of_the_request(wire: str, reply: str) -> None:
    sample = product(KINDS)
    decoded = sample.read(bytes.fromhex(wire), SessionContext())
    why: list[str] = []
    found = sample.replies("data", decoded.values, SessionContext(), 0, decoded.kind, why)
    assert [each.hex() for each in found] == ([reply] if reply else [])
    assert bool(why) is not bool(reply)


def test_spec_test_says_why_a_reply_is_left_out() -> None:
    case = golden("a60102080109", message="data", replies=["a602010809"])
    (difference,) = run_case(product(KINDS), GoldenFile(source="here", cases=[case]), case).differences
    assert "ack is left out: ok" in str(difference)
