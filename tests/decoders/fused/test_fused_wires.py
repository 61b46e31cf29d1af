"""Wire forms as struct codes: every integer and text form against the readers of the reference codec."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.fused.wires import SPLIT, byte_form, split_form, struct_code
from decoders.layout import BytesWire, FloatWire, IntWire
from decoders.raw import bcd_text, integer_of, magnitude, read_form

NAMES = {"magnitude": magnitude, "from_bytes": int.from_bytes, "bcd_text": bcd_text, "integer_of": integer_of}


def compute(source: str) -> Any:
    return eval(source, dict(NAMES))  # noqa: S307 - source of the code under test


def truth(wire: IntWire, data: bytes) -> int:
    order = "big" if wire.big else "little"
    if wire.sign == "magnitude":
        return magnitude(int.from_bytes(data, order), wire.size)  # type: ignore[arg-type]
    return int.from_bytes(data, order, signed=wire.sign == "twos")  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", ["unsigned", "twos", "magnitude"])
@pytest.mark.parametrize("big", [True, False])
@given(data=st.binary(min_size=1, max_size=8))
def test_integers(sign: str, big: bool, data: bytes) -> None:
    wire = IntWire(len(data), sign, big)
    code, form = struct_code(wire)
    parts = struct.unpack((">" if big else "<") + code, data)
    if code in SPLIT:
        value = compute(split_form(wire, str(parts[0]), str(parts[1])))
    else:
        value = compute(form.format(x=repr(parts[0]))) if form else parts[0]
    assert value == truth(wire, data)


def test_floats() -> None:
    assert struct_code(FloatWire(4)) == ("f", "")
    assert struct_code(FloatWire(8)) == ("d", "")


@pytest.mark.parametrize(
    "wire",
    [
        BytesWire(3),
        BytesWire(3, "text"),
        BytesWire(3, "text", trim=False),
        BytesWire(3, "mac"),
        BytesWire(3, "bcd"),
        BytesWire(3, "bcd", digits=5),
        BytesWire(3, "uint"),
        BytesWire(3, "intle"),
        BytesWire(3, "raw"),
    ],
)
@pytest.mark.parametrize("data", [b"\x12\x34\x56", b"a \0", b"\x1f\xff\xff", b"\xff\xff\xff", b""])
def test_bytes(wire: BytesWire, data: bytes) -> None:
    form = byte_form(wire)
    try:
        expected = read_form(data, wire)
    except Exception as error:
        with pytest.raises(type(error)):
            compute(form.format(x=repr(data)))
    else:
        assert (compute(form.format(x=repr(data))) if form else data) == expected
