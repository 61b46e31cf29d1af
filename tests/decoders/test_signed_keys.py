"""Keys of signed raw values as the protocol document spells the bytes: `absent`, `enum` and `switch` alike."""

from __future__ import annotations

import pytest

from decoders.catalog import build_product
from decoders.spec.lint import lint
from tests.decoders.specs import product, read

SPEC = """\
fields:
  - {name: a, type: %s, enum: {0: zero, 0x%s: minus_one, -2: minus_two, 0x%s..0x%s: low}}
  - {name: b, type: %s, absent: 0x%s}
  - {name: c, type: %s}
  - {switch: c, cases: {0x%s: [{name: d, type: u8}], 5: [{name: e, type: u8}]}, default: []}
"""


@pytest.mark.parametrize(
    ("form", "ones", "low", "top"),
    [
        ("i8", "FF", "80", "81"),
        ("i16", "FFFF", "8000", "8001"),
        ("i24le", "FFFFFF", "800000", "800001"),
        ("i32cdab", "FFFFFFFF", "80000000", "80000001"),
        ("int, bytes: 3", "FFFFFF", "800000", "800001"),
    ],
)
def test_the_bytes_and_the_number_are_the_same(form: str, ones: str, low: str, top: str) -> None:

    spec = SPEC % (form, ones, low, top, form, ones, form, ones)
    values = read(product(spec), ones * 3 + "07")
    assert values == {"a": "minus_one", "c": -1, "d": 7}
    size = len(ones) // 2
    two = (-2).to_bytes(size, "little" if form.endswith("le") else "big", signed=True).hex()
    if "cdab" not in form:
        assert read(product(spec), two + "00" * size + two) == {"a": "minus_two", "b": 0, "c": -2}
        lowest = (-(1 << 8 * size - 1)).to_bytes(size, "little" if form.endswith("le") else "big", signed=True).hex()
        assert read(product(spec), lowest + lowest + "00" * size)["a"] == "low"
    encoder = product(spec).encoders[0, "uplink"]
    assert encoder.encode({"a": "minus_one", "c": -1, "d": 7}).hex() == (ones * 3 + "07").lower()


def test_sign_and_magnitude() -> None:
    compiled = product(
        "fields: [{name: a, type: sm8, enum: {0x81: minus_one}}, {name: b, type: sm8}, {switch: b, cases: {0x82: []}}]"
    )
    assert read(compiled, "8182") == {"a": "minus_one", "b": -2}


def test_bits() -> None:
    spec = "fields: [{name: x, type: u8, bits: {a: {at: 0-3, signed: true, enum: {15: minus_one, 1: one, 0x8: low}}}}]"
    assert read(product(spec), "0F") == {"a": "minus_one"}
    assert read(product(spec), "08") == {"a": "low"}
    assert read(product(spec), "01") == {"a": "one"}


def test_scaled_values_are_no_bytes() -> None:
    spec = "fields: [{name: a, type: i8, scale: 10, enum: {-10: low, 200: high}}]"
    assert read(product(spec), "FF") == {"a": "low"}
    assert read(product(spec), "14") == {"a": "high"}


def test_lint_knows_them() -> None:
    spec = SPEC % ("i8", "FF", "80", "81", "i8", "FF", "i8", "FF")
    codes = {finding.problem.code for finding in lint(build_product("x", f"product: x\n{spec}", "x", {}))}
    assert codes.isdisjoint({"contradiction", "unreachable_case", "overlapping_cases", "overlapping_enum"})
    spec = SPEC.replace("0x%s: [{name: d", "300: [{name: d") % ("i8", "FF", "80", "81", "i8", "1FF", "i8")
    codes = {finding.problem.code for finding in lint(build_product("x", f"product: x\n{spec}", "x", {}))}
    assert {"contradiction", "unreachable_case"} <= codes
