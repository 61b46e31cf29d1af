"""Headers of a changing size that decide `when`: rows under conditions, groups, what they may not read."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from tests.decoders.specs import product, read

GROUP = """\
frame:
  header:
    - {name: k, type: u8}
    - {name: o, type: u8, if: k & 1, bits: {a: 0, b: 1, c: 2, d: 3}}
    - {group: g, if: a, fields: [{name: x, type: u8}, {name: y, type: u8, if: x > 5}]}
    - {name: t, type: u8}
messages:
  m: {when: {t: 10}, fields: [{name: v, type: u8}]}
"""


def test_a_group_behind_many_bits_that_may_not_be_there() -> None:
    compiled = product(GROUP)
    bits = {"a": True, "b": True, "c": True, "d": True}
    assert read(compiled, "01 FF 01 0A 07") == {"k": 1, **bits, "g": {"x": 1}, "t": 10, "v": 7}
    assert read(compiled, "01 FF 06 09 0A 07") == {"k": 1, **bits, "g": {"x": 6, "y": 9}, "t": 10, "v": 7}
    assert read(compiled, "00 0A 07") == {"k": 0, "t": 10, "v": 7}


@pytest.mark.parametrize("test", ["length > 3", "u8(0) > 3", "length == 2 and t"])
@pytest.mark.parametrize("place", ["header", "trailer"])
def test_header_and_trailer_know_nothing_of_the_body(place: str, test: str) -> None:
    spec = f"""\
frame:
  header: [{{name: t, type: u8}}]
  {place}: [{{name: t, type: u8}}, {{group: g, fields: [{{name: a, type: u8, if: {test}}}]}}]
messages: {{m: {{fields: [{{name: v, type: hex, bytes: rest}}]}}}}
"""
    with pytest.raises(SpecError) as caught:
        product(spec if place == "trailer" else spec.replace("  header: [{name: t, type: u8}]\n", "", 1))
    assert "body" in str(caught.value)


def test_a_field_of_the_header_may_be_called_length() -> None:
    spec = """\
frame:
  header: [{name: length, type: u8, counts: body}, {name: a, type: u8, if: length > 3}]
  stop: "0D"
messages: {m: {fields: [{name: v, type: hex, bytes: rest}]}}
"""
    assert read(product(spec), "04 09 01020304 0D") == {"a": 9, "v": "01020304"}
