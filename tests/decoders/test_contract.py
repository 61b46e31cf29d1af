"""The data contract: what breaks it, what only flags, and where."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.contract import BREACHES
from decoders.framing.framer import cut
from decoders.product import CompiledProduct
from decoders.types import SessionContext, ViolationCode
from tests.decoders.specs import product, rows


def flags(compiled: CompiledProduct, data: str) -> dict[str, str]:
    decoded = compiled.decode(cut(compiled.framing, bytes.fromhex(data)), SessionContext())
    return {violation.field: violation.code.value for violation in decoded.violations or ()}


def check(values: dict[str, Any], fields: str) -> dict[str, str]:
    """The contract of a message that also comes as JSON, where values may be of any type."""
    compiled = product(f"messages: {{m: {{json: true, fields: {fields}}}}}")
    contract = compiled.messages["m"].check
    assert contract is not None
    return {violation.field: violation.code.value for violation in contract(values) or ()}


@pytest.mark.parametrize(
    ("data", "code"), [("27", "out_of_range"), ("28", None), ("64", None), ("7d", None), ("7e", "out_of_range")]
)
def test_range(data: str, code: str | None) -> None:
    compiled = rows("[{name: a, type: u8, offset: -80, range: [-40, 45]}]")
    assert flags(compiled, data) == ({"a": code} if code else {})


def test_required_and_absent() -> None:
    compiled = rows(
        "[{name: a, type: u8, absent: 255, required: true, range: [0, 9]}, {name: b, type: u8, absent: 255, "
        "range: [0, 9]}]"
    )
    assert flags(compiled, "ffff") == {"a": "required"}
    assert flags(compiled, "0a0a") == {"a": "out_of_range", "b": "out_of_range"}
    assert flags(compiled, "0000") == {}


def test_enum() -> None:
    closed = rows("[{name: a, type: u8, enum: {1: one, 2..4: few}}]")
    assert flags(closed, "03") == {}
    assert flags(closed, "05") == {"a": "not_in_enum"}
    assert rows("[{name: a, type: u8, enum: {1: one, _: other}}]").messages["sample"].check is None
    bits = rows("[{name: f, type: u8, bits: {mode: {at: 0-1, enum: {0: off, 1: on}}, n: {at: 2-7, range: [0, 3]}}}]")
    assert flags(bits, "01") == {}
    assert flags(bits, "12") == {"mode": "not_in_enum", "n": "out_of_range"}


def test_a_date_that_does_not_exist() -> None:
    assert flags(rows("[{name: time, type: ymdhms}]"), "190d01000000") == {"time": "bad_time"}
    assert flags(rows("[{name: time, type: ymdhms}]"), "190c01000000") == {}
    assert flags(rows("[{name: n, type: u8}, {name: time, type: ymdhms, if: n}]"), "00") == {}


def test_a_formula_that_failed() -> None:
    compiled = rows("[{name: a, type: u8}, {name: b, formula: 1 / a}, {name: c, formula: 'first(b, 5)'}]")
    assert flags(compiled, "00") == {"b": "formula_failed"}
    assert flags(compiled, "01") == {}


def test_what_may_be_missing_is_not_missed() -> None:
    compiled = rows(
        "[{name: n, type: u8}, {name: a, type: u8, if: n, range: [0, 5]}, {name: b, formula: a + 1, if: n}]"
    )
    assert flags(compiled, "00") == {}
    assert flags(compiled, "0109") == {"a": "out_of_range"}


def test_lists_and_groups_are_named_by_path() -> None:
    compiled = rows(
        "[{list: l, count_type: u8, fields: [{name: a, type: u8, range: [0, 5]}, {list: m, count: 1, fields: "
        "[{name: b, type: u8, "
        "range: [1, 9]}]}]}, {group: g, fields: [{name: c, type: u8, range: [0, 1]}]}]"
    )
    assert flags(compiled, "020601050002") == {
        "l[0].a": "out_of_range",
        "l[1].m[0].b": "out_of_range",
        "g.c": "out_of_range",
    }
    assert flags(compiled, "00" + "01") == {}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (5, None),
        (5.5, None),
        (None, "required"),
        ("5", "wrong_type"),
        (True, "wrong_type"),
        ([5], "wrong_type"),
        (10, "out_of_range"),
    ],
)
def test_values_of_documents_may_have_any_type(value: Any, code: str | None) -> None:
    values = {} if value is None else {"a": value}
    expected = {"a": code} if code else {}
    assert check(values, "[{name: a, type: u8, range: [0, 9], required: true}]") == expected


@pytest.mark.parametrize("value", ["turbo", 7, [1], {}])
def test_names_of_documents_may_be_anything(value: Any) -> None:
    assert check({"a": value}, "[{name: a, type: u8, enum: {1: one}}]") == {"a": "not_in_enum"}


@pytest.mark.parametrize(
    ("row", "data"),
    [
        ("{name: a, type: u8, enum: {1: one}, range: [0, 5]}", "01"),
        ("{name: a, type: u8, formula: text(x), range: [0, 5]}", "01"),
        ("{name: a, type: text, bytes: 1, range: [0, 5]}", "41"),
        ("{name: a, type: u8, flags: {0: low}, range: [0, 5]}", "01"),
    ],
)
def test_a_range_of_what_is_no_number_never_harms(row: str, data: str) -> None:
    assert set(flags(rows(f"[{row}]"), data).values()) <= {"wrong_type", "not_in_enum"}


def test_a_message_without_rules_has_no_check() -> None:
    assert rows("[{name: a, type: u8}, {name: b, type: unix32}]").messages["sample"].check is None
    assert rows("[{name: a, type: u8, unit: V}]").messages["sample"].check is None


def test_units() -> None:
    compiled = rows(
        "[{name: a, type: u8, unit: V}, {group: g, fields: [{name: b, type: u8, unit: °C}]}, {name: f, type: "
        "u8, bits: {c: {at: 0-3, "
        "unit: '%'}}}]"
    )
    assert compiled.messages["sample"].units == {"a": "V", "g.b": "°C", "c": "%"}


def test_which_violations_break_the_contract() -> None:
    assert ViolationCode.OUT_OF_RANGE in BREACHES
    assert ViolationCode.REQUIRED in BREACHES
    assert not BREACHES & {ViolationCode.BAD_TIME, ViolationCode.FORMULA_FAILED, ViolationCode.CLOCK_OFF}


def test_a_products_policy_and_a_messages_own() -> None:
    compiled = product(
        "contract: reject\nmessages: {a: {}, b: {when: {length: 9}, contract: flag, fields: [{skip: 9}]}}"
    )
    assert compiled.messages["a"].policy == "reject"
    assert compiled.messages["b"].policy == "flag"
