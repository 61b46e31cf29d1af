"""Sizes by formula over the first bytes of a frame: integers, digits, header values; what is no size."""

from __future__ import annotations

import pytest

from decoders.errors import SpecError
from decoders.formula import FormulaError
from decoders.framing.framer import Framer
from decoders.spec.size_formulas import size_formula
from tests.decoders.specs import product, read


@pytest.mark.parametrize(
    ("text", "buffer", "size"),
    [
        ("u8(1) + 2", "ff05", 7),
        ("u16(1)", "ff0102", 258),
        ("u16le(1)", "ff0201", 258),
        ("u24(0)", "000102", 258),
        ("u24le(0)", "020100", 258),
        ("u32be(0)", "00000102", 258),
        ("u32le(0)", "02010000", 258),
        ("digits(0, 4)", b"0258".hex(), 258),
        ("hexdigits(0, 4)", b"01fF".hex(), 511),
        ("u16(1)", "ff01", None),
        ("digits(0, 4)", b"025".hex(), None),
        ("digits(0, 4)", b"02 8".hex(), -1),
        ("digits(0, 4)", b"0_28".hex(), -1),
        ("digits(0, 4)", b"+028".hex(), -1),
        ("digits(0, 0)", b"+028".hex(), -1),
        ("u8(-1)", "ff01", -1),
        ("u8(0) / u8(1)", "ff00", -1),
        ("u8(0) / 2", "05", 2),
    ],
)
def test_sizes(text: str, buffer: str, size: int | None) -> None:
    assert size_formula(text, ())(bytes.fromhex(buffer)) == size


def test_header_values_are_sizes_too() -> None:
    compiled = product(
        "frame: {size: k + n + 3, header: [{name: t, type: u8, bits: {k: 4-7}}, {name: n, type: number, bytes: 2}]}\n"
        "fields: [{name: a, type: hex, bytes: rest}]"
    )
    assert read(compiled, b"\x1002abc") == {"k": 1, "n": 2, "a": "616263"}
    framer = Framer(compiled.framing)
    assert not framer.receive(b"\x10")
    assert [frame.wire for frame in framer.receive(b"02abc\x0000")] == [b"\x1002abc", b"\x0000"]


def test_a_name_without_a_place() -> None:
    with pytest.raises(FormulaError, match="has no fixed place in the header"):
        size_formula("k + 1", ())
    with pytest.raises(SpecError, match="unknown function `u64`"):
        product("frame: {size: u64(1)}\nfields: [{name: a, type: u8}]")


def test_a_length_in_digits() -> None:
    compiled = product(
        'frame: {format: text, start: "##", header: [{name: n, type: number, bytes: 3, counts: body}]}\n'
        "fields: [{name: a, type: text}]"
    )
    assert read(compiled, b"##004abcd") == {"a": "abcd"}
    assert compiled.encoders[(0, "uplink")].encode({"a": "abcde"}) == b"##005abcde"
    framer = Framer(compiled.framing)
    wires = [frame.wire for frame in framer.receive(b"xx##001a##0-1b##002cd")]
    assert wires == [b"##001a", b"##002cd"]
    hexed = product(
        "frame: {header: [{name: n, type: hexnumber, bytes: 4, counts: rest}]}\n"
        "fields: [{name: a, type: hex, bytes: rest}]"
    )
    assert hexed.encoders[(0, "uplink")].encode({"a": "00" * 26}) == b"001A" + bytes(26)
    assert read(hexed, b"0002ab") == {"a": "6162"}


def test_byte_stuffing_by_xor() -> None:
    compiled = product(
        'frame: {start: "7E", stop: "7E", escape: {mark: 0x7D, xor: 0x20}, trailer: [{name: c, crc: xor8}]}\n'
        "fields: [{name: a, type: hex, bytes: rest}]"
    )
    assert read(compiled, "7e7d5e7d5d01027e") == {"a": "7e7d01"}
    assert compiled.encoders[(0, "uplink")].encode({"a": "7e7d01"}).hex() == "7e7d5e7d5d01027e"
    assert read(compiled, "7e7d5e7d5d7d21027e") == {"a": "7e7d01"}  # any byte may be sent as a pair
    assert [frame.wire.hex() for frame in Framer(compiled.framing).receive(bytes.fromhex("7e7e01017e7e"))]


def test_slip_with_one_mark() -> None:
    compiled = product(
        'frame: {until: "C0", escape: {mark: 0xDB, table: {0xDC: 0xC0, 0xDD: 0xDB}}}\n'
        "fields: [{name: a, type: hex, bytes: rest}]"
    )
    assert read(compiled, "01dbdcdbddc0") == {"a": "01c0db"}
    assert compiled.encoders[(0, "uplink")].encode({"a": "c0db"}).hex() == "dbdcdbddc0"


@pytest.mark.parametrize(
    ("escape", "words"),
    [
        ("{mark: 1}", "either a `table` or `xor`"),
        ("{mark: 1, xor: 2, table: {3: 4}}", "either a `table` or `xor`"),
        ("{mark: 1, table: {300: 4}}", "0 to 255"),
    ],
)
def test_mistakes_of_byte_stuffing(escape: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        product(f'frame: {{start: "7E", stop: "7E", escape: {escape}}}\nfields: [{{name: a, type: u8}}]')
