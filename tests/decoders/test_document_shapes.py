"""Documents whose keys were seen before read as all others do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.catalog import build_product
from decoders.document import JsonCodec
from decoders.document_shapes import Shapes
from decoders.product import CompiledProduct
from decoders.types import SessionContext

SPEC = """
product: shapes
messages:
  values:
    json: true
    fields:
      - {name: t, unit: "°C", range: [-40, 85], required: true}
      - {name: n, type: u16, absent: 0xFFFF}
      - {name: label, type: text, bytes: rest}
      - {name: mode, type: u8, enum: {0: "off", 1: auto}}
      - {name: at, type: unix32, timestamp: hub}
      - {name: hidden, type: u8, hidden: true}
"""
SEVERAL = """
product: shapes
messages:
  values:
    json: true
    fields: [{name: t, range: [-40, 85], required: true}, {name: label, type: text, bytes: rest}]
  others:
    json: true
    fields: [{name: message, type: text, bytes: 4}, {name: device_timestamp, type: u8}, {name: n, type: u16}]
"""
KEEPS = """
product: shapes
messages: {values: {record: telemetry, json: true, extra: keep, fields: [{name: t}, {name: n, type: u16}]}}
"""


def make(spec: str, *, quick: bool) -> CompiledProduct:
    product = build_product("shapes", spec, "shapes.yaml", {}).product
    assert isinstance(product.json, JsonCodec)
    assert product.json._shapes
    if not quick:
        product.json._shapes = {}
    return product


QUICK, PLAIN = make(SPEC, quick=True), make(SPEC, quick=False)
TWO, TWO_PLAIN = make(SEVERAL, quick=True), make(SEVERAL, quick=False)
ALL, ALL_PLAIN = make(KEEPS, quick=True), make(KEEPS, quick=False)
SCALARS = st.one_of(
    st.integers(-5, 70_000), st.sampled_from([65535, 65535.0, 1 << 70]), st.floats(allow_nan=False, width=32),
    st.booleans(), st.none(), st.sampled_from(["", "x", "65535", "auto", "2026-03-01T00:00:00Z"]),
    st.sampled_from([1_772_366_400_123, 99_999_999_999, 10**16, -1_772_366_400_123, 253_402_300_800_000]),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=1))
NAMES = st.sampled_from(["t", "n", "label", "on", "mode", "at", "hidden", "other"])
TOP = st.sampled_from(
    ["ts", "device_timestamp", "device_id", "trace_id", "hub_id", "productId", "fields", "header", "data", "t", "x"]
)
MESSAGES = st.sampled_from([None, "values", "others", "", 1])


def outcome(product: CompiledProduct, document: Any) -> Any:
    try:
        decoded = product.read_json(document, SessionContext())
    except Exception as error:
        return repr(error)
    return decoded.message.name, list(decoded.values.items()), decoded.violations


@given(st.dictionaries(TOP, VALUES, max_size=4), st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=6)))
def test_any_document_reads_the_same(top: dict[str, Any], metrics: Any) -> None:
    document = {**top, "metrics": metrics}
    for _ in range(2):
        assert outcome(QUICK, document) == outcome(PLAIN, document)


@given(st.dictionaries(TOP | NAMES | st.just("message"), VALUES, max_size=6))
def test_any_document_with_values_at_its_top_reads_the_same(document: dict[str, Any]) -> None:
    assert outcome(QUICK, document) == outcome(PLAIN, document)


@given(
    MESSAGES,
    st.dictionaries(TOP, SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["t", "n", "label", "message", "device_timestamp"]), SCALARS, max_size=4),
    st.booleans(),
)
def test_any_message_reads_the_same(message: Any, top: dict[str, Any], metrics: dict[str, Any], nested: bool) -> None:
    document = {**top, "metrics": metrics} if nested else {**top, **metrics}
    document["message"] = message
    assert outcome(TWO, document) == outcome(TWO_PLAIN, document)


@given(st.dictionaries(TOP, VALUES, max_size=3), st.dictionaries(NAMES | TOP, VALUES, max_size=5), st.booleans())
def test_any_value_is_kept_the_same(top: dict[str, Any], metrics: dict[str, Any], nested: bool) -> None:
    document = {**top, "metrics": metrics} if nested else {**top, **metrics}
    assert outcome(ALL, document) == outcome(ALL_PLAIN, document)


@pytest.mark.parametrize("name", ["1", "2x", "class", "", "é", "'", "}", "a\\", "\ud800", "{x}", "read", "n" * 5_000])
def test_any_name_can_be_a_key(name: str) -> None:
    document = {"metrics": {name: 1, "t": 2}}
    assert outcome(ALL, document) == outcome(ALL_PLAIN, document)
    assert outcome(ALL, {name: 1}) == outcome(ALL_PLAIN, {name: 1})


def test_the_quick_way_is_taken() -> None:
    assert isinstance(QUICK.json, JsonCodec)
    _, shapes = QUICK.json._shapes[None]
    document = json.loads('{"metrics": {"t": 21.5, "n": 5}, "ts": 1750000000}')
    values = {"t": 21.5, "n": 5, "device_timestamp": "2025-06-15T15:06:40.000Z"}
    assert shapes.read(document, 0) == values
    assert shapes.read({"t": 21.5, "n": 5, "device_timestamp": 1750000000000}, 0) == values
    assert shapes.read({"metrics": {"t": 21.5, "n": 65535}}, 0) is None
    assert shapes.read({"metrics": {"t": "21.5"}}, 0) is None
    assert shapes.read({"metrics": [], "t": 1}, 0) is None
    assert isinstance(ALL.json, JsonCodec)
    assert ALL.json._shapes[None][1].read({"metrics": {"x": "1", "t": 2}}, 0) == {"x": "1", "t": 2}
    assert isinstance(TWO.json, JsonCodec)
    assert TWO.json._shapes.keys() == {"values", "others"}


@pytest.mark.parametrize("keys", [100, 2_000])
def test_what_is_remembered_is_bounded(keys: int) -> None:
    assert isinstance(PLAIN.json, JsonCodec)
    shapes = Shapes(PLAIN.json.messages["values"].fields, frozenset(), lambda document, zone: {})
    assert shapes.read({"metrics": {f"k{i}": i for i in range(keys)}}, 0) is None
    for index in range(keys):
        shapes.read({"metrics": {f"k{index}": 1}}, 0)
    assert len(shapes._known) <= 1_024
