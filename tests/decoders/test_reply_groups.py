"""Groups and lists of a reply: given back as the request has them, or told by `with`."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from tests.decoders.specs import product

GROUPS = """\
frame:
  header:
    - {group: a, fields: [{name: x, type: u8}, {group: deep, fields: [{name: z, type: u8}]}]}
    - {name: t, type: u8}
messages:
  m:
    when: {t: 2}
    fields: [{name: v, type: u8}, {group: b, fields: [{name: y, type: u8}, {name: w, type: u8, hidden: true}]}]
    replies: [%s]
  ack: {downlink: true, when: {t: 3}, fields: [{group: b, fields: [{name: y, type: u8}, {name: w, type: u8}]}]}
"""


def answer(compiled: CompiledProduct, wire: str) -> list[str]:
    decoded = compiled.read(bytes.fromhex(wire), SessionContext())
    return [reply.hex() for reply in compiled.replies(decoded.message.name, decoded.values, SessionContext(), 0)]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("ack", "0506030908"),
        ("{message: ack, with: {a: {x: 7}}}", "0706030908"),
        ("{message: ack, with: {a.x: v}}", "0706030908"),
        ("{message: ack, with: {a: {x: 1, deep: {z: 2}}, b.y: 3}}", "0102030308"),
        ("{message: ack, with: {a.deep.z: v}}", "0507030908"),
    ],
)
def test_groups_of_the_request_come_back(reply: str, expected: str) -> None:
    assert answer(product(GROUPS % reply), "05 06 02 07 09 08") == [expected]
    assert answer(product(GROUPS % reply), "05 06 02 07 09 08") == [expected]  # the request's groups are as they were


def test_a_list_of_the_request_comes_back() -> None:
    spec = """\
messages:
  m:
    when: {port: 1}
    fields: [{list: ids, count_type: u8, fields: [{name: id, type: u8}, {name: level, type: u8}]}]
    replies: [ack]
  ack: {downlink: true, when: {port: 2}, fields: [{list: ids, count_type: u8, fields: [{name: id, type: u8}]}]}
"""
    compiled = product(spec)
    context = SessionContext(port=1)
    decoded = compiled.read(bytes.fromhex("02 0A 01 0B 02"), context)
    assert [reply.hex() for reply in compiled.replies("m", decoded.values, context, 0)] == ["020a0b"]


def test_the_name_of_a_value_in_a_group_is_told() -> None:
    with pytest.raises(SpecError) as caught:
        product(GROUPS % "{message: ack, with: {x: 5}}")
    assert "no field `x`" in str(caught.value)
    assert "`a.x`" in str(caught.value)
