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


def make(*, quick: bool) -> CompiledProduct:
    product = build_product("shapes", SPEC, "shapes.yaml", {}).product
    assert isinstance(product.json, JsonCodec)
    assert product.json._shapes is not None
    if not quick:
        product.json._shapes = None
    return product


QUICK, PLAIN = make(quick=True), make(quick=False)
SCALARS = st.one_of(
    st.integers(-5, 70_000), st.sampled_from([65535, 65535.0, 1 << 70]), st.floats(allow_nan=False, width=32),
    st.booleans(), st.none(), st.sampled_from(["", "x", "65535", "auto", "2026-03-01T00:00:00Z"]),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=1))
NAMES = st.sampled_from(["t", "n", "label", "on", "mode", "at", "hidden", "other"])
TOP = st.sampled_from(["ts", "device_id", "trace_id", "hub_id", "productId", "message", "fields", "header", "t", "x"])


def outcome(product: CompiledProduct, document: Any) -> Any:
    try:
        decoded = product.read_json(document, SessionContext())
    except Exception as error:
        return repr(error)
    return decoded.message.name, decoded.values, decoded.violations


@given(st.dictionaries(TOP, VALUES, max_size=4), st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=6)))
def test_any_document_reads_the_same(top: dict[str, Any], metrics: Any) -> None:
    document = {**top, "metrics": metrics}
    for _ in range(2):
        assert outcome(QUICK, document) == outcome(PLAIN, document)


def test_the_quick_way_is_taken() -> None:
    assert isinstance(QUICK.json, JsonCodec)
    shapes = QUICK.json._shapes
    assert shapes is not None
    document = json.loads('{"metrics": {"t": 21.5, "n": 5}, "ts": 1750000000}')
    assert shapes.read(document, 0) == {"t": 21.5, "n": 5, "device_timestamp": "2025-06-15T15:06:40.000Z"}
    assert shapes.read({"metrics": {"t": 21.5, "n": 65535}}, 0) is None
    assert shapes.read({"metrics": {"t": "21.5"}}, 0) is None
    assert shapes.read({"metrics": [], "t": 1}, 0) is None


@pytest.mark.parametrize("keys", [100, 2_000])
def test_what_is_remembered_is_bounded(keys: int) -> None:
    assert isinstance(PLAIN.json, JsonCodec)
    shapes = Shapes(PLAIN.json.messages["values"].fields, frozenset(), lambda document, zone: {})
    assert shapes.read({"metrics": {f"k{i}": i for i in range(keys)}}, 0) is None
    for index in range(keys):
        shapes.read({"metrics": {f"k{index}": 1}}, 0)
    assert len(shapes._known) <= 1_024
