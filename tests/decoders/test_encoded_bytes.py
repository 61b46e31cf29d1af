"""Groups to each byte of which something was done: `encoded: {add: ...}` and `{xor: ...}`, read and built."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError, SpecError
from decoders.golden import GoldenBuild
from decoders.golden_builds import run_build
from tests.decoders.specs import product, read, rows

METER = """
frame:
  header: [{name: start, const: "68"}, {name: control, type: u8}, {name: size, type: u8, counts: body}]
  trailer: [{name: check, crc: sum8, over: start..body}, {name: stop, const: "16"}]
messages:
  energy:
    when: {control: 0x91}
    fields:
      - group: null
        encoded: {add: 0x33}
        fields: [{name: item, type: u32le}, {name: energy, type: bcdnumberle, bytes: 4, scale: 0.01}]
"""


def test_a_meter_that_adds_to_each_byte() -> None:
    frame = "68 91 08 33333433 AB896745 AE 16".replace(" ", "")
    values = read(product(METER), frame)
    assert values["item"] == 0x00010000
    assert values["energy"] == 123456.78
    build = GoldenBuild(name="b", message="energy", values={"item": 0x00010000, "energy": 123456.78}, hex=frame)
    assert run_build(product(METER), build) == []


def test_bytes_above_the_constant_come_round() -> None:
    compiled = rows("[{group: g, encoded: {add: 0x33}, fields: [{name: a, type: u16}, {list: l, type: u8}]}]")
    assert read(compiled, "3233CDFF") == {"g": {"a": 0xFF00, "l": [0x9A, 0xCC]}}


@pytest.mark.parametrize(
    "text",
    [
        "[{group: null, encoded: {xor: 0x5A}, fields: [{name: a, type: u8}, {name: b, type: u16}]}, "
        "{name: c, type: u8}]",
        "[{group: null, bytes: 3, encoded: {xor: 90}, fields: [{name: a, type: u8}, {name: b, type: u16}]}, "
        "{name: c, type: u8}]",
        "[{name: a, type: u8, formula: x ^ 0x5A}, {group: null, encoded: {xor: 0x5A}, fields: [{name: b, type: u16}]}, "
        "{name: c, type: u8}]",
        "[{group: null, encoded: {xor: 0x5A}, fields: [{group: null, bytes: 1, encoded: {add: 0x33}, fields: "
        "[{name: a, type: u8, formula: x + 0x33 & 0xFF}]}, {name: b, type: u16}]}, {name: c, type: u8}]",
    ],
)
def test_sizes_come_from_the_rows(text: str) -> None:
    """What may follow a group of rows of a fixed size."""
    assert read(rows(text), "5B5A5809") == {"a": 1, "b": 2, "c": 9}
    with pytest.raises(DecodeError):
        read(rows(text), "5B5A")
    with pytest.raises(DecodeError):
        read(rows(text), "5B5A580909")


def test_in_lists_tags_and_with_marks() -> None:
    each = "{group: null, bytes: 1, encoded: {add: 1}, fields: [{name: v, type: u8}]}"
    assert read(rows(f"[{{list: l, count: 2, fields: [{each}]}}]"), "0203") == {"l": [{"v": 1}, {"v": 2}]}
    tags = f"{{1: [{each}]}}"
    assert read(rows(f"[{{items: {{key: u8, tags: {tags}}}}}]"), "0105") == {"v": 4}
    text = "[{group: null, until: '0D', encoded: {xor: 0x20}, fields: [{group: null, encoded: text, split: ',', "
    assert read(rows(text + "fields: [{name: a}, {name: b, type: number}]}]}]"), "610C120D") == {"a": "A", "b": 2}


@pytest.mark.parametrize("given", ["{add: 0}", "{add: 256}", "{sub: 3}", "{add: 1, xor: 1}", "{xor: a}", '"add:3"'])
def test_mistakes(given: str) -> None:
    with pytest.raises(SpecError, match="add"):
        rows(f"[{{group: g, encoded: {given}, fields: [{{name: a, type: u8}}]}}]")


def test_in_a_header() -> None:
    compiled = product(
        """
frame:
  header: [{name: size, type: u8, counts: body}, {group: null, encoded: {add: 0x33}, fields: [{name: di, type: u16}]}]
messages:
  a: {when: {di: 1}, fields: [{name: v, type: u8}]}
  ack: {downlink: true, when: {di: 0x0203}, fields: [{name: r, type: u8, default: 5}]}
"""
    )
    assert read(compiled, "01333407") == {"di": 1, "v": 7}
    assert run_build(compiled, GoldenBuild(name="b", message="ack", hex="01353605")) == []
