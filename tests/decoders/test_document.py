"""JSON documents of a product: the same values as its frames, and bytes that are no document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.document import time_text
from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import cut
from decoders.plan import Decoded
from decoders.types import SessionContext
from tests.decoders.specs import product

SPEC = """
frame: {begins: "7B", until: "\\n", format: json, max_bytes: 100000}
messages:
  status: {json: true, fields: [{name: tempC, type: i16}, {name: rpm, type: u16}]}
  mapped: {json: {tempC: data.t.inside, rpm: fan}, fields: [{name: tempC, type: i16}, {name: rpm, type: u16}]}
  frame_only: {when: {length: 9}, fields: [{skip: 9}]}
"""


def decode(document: dict[str, Any] | str) -> Decoded:
    compiled = product(SPEC)
    text = document if isinstance(document, str) else json.dumps(document)
    return compiled.decode(cut(compiled.framing, text.encode() + b"\n"), SessionContext())


@pytest.mark.parametrize(
    "document",
    [
        {"tempC": 5, "rpm": 7},
        {"metrics": {"tempC": 5, "rpm": 7}},
        {"fields": {"tempC": 5}, "rpm": 7},
        {"data": {"metrics": {"tempC": 5}}, "metrics": {"rpm": 7}},
        {"metrics": {"tempC": 5, "other": 1}, "tempC": 9, "rpm": 7},
    ],
)
def test_values_are_found_by_name(document: dict[str, Any]) -> None:
    assert decode({"message": "status", **document}).values == {"tempC": 5, "rpm": 7}


def test_values_are_found_by_path() -> None:
    found = decode({"message": "mapped", "data": {"t": {"inside": 5}}, "fan": 7, "tempC": 1})
    assert found.message.name == "mapped"
    assert found.values == {"tempC": 5, "rpm": 7}
    assert decode({"message": "mapped", "data": [1], "tempC": 1}).values == {}


@pytest.mark.parametrize("name", [None, "frame_only", "nothing", 5, ["status"]])
def test_a_document_names_its_message(name: object) -> None:
    with pytest.raises(DecodeError) as caught:
        decode({"message": name, "tempC": 5})
    assert caught.value.code is DecodeCode.UNKNOWN_MESSAGE
    assert "status, mapped" in str(caught.value)


def test_the_only_message_needs_no_name() -> None:
    compiled = product(
        'frame: {until: "\\n", format: json}\nmessages: {m: {json: true, fields: [{name: a, type: u8}]}}'
    )
    assert compiled.decode(cut(compiled.framing, b'{"a": 1}\n'), SessionContext()).values == {"a": 1}


def test_identity_and_times() -> None:
    document = {
        "message": "status",
        "tempC": 5,
        "device_id": "d1",
        "hub_id": "h1",
        "childDeviceId": "c1",
        "device_timestamp": "2025-06-15T17:06:40+02:00",
        "hub_timestamp": 1_750_000_001,
    }
    found = decode(document)
    assert found.values == {
        "tempC": 5,
        "device_id": "d1",
        "hub_id": "h1",
        "childDeviceId": "c1",
        "device_timestamp": "2025-06-15T15:06:40.000Z",
        "hub_timestamp": "2025-06-15T15:06:41.000Z",
    }
    identity = product(SPEC).identity(found)
    assert identity is not None
    assert (identity.device_id, identity.hub_id, identity.child_id) == ("d1", "h1", "c1")
    [part] = product(SPEC).parts(found)
    assert part.metrics == {"tempC": 5}
    assert (part.device_time, part.hub_time) == ("2025-06-15T15:06:40.000Z", "2025-06-15T15:06:41.000Z")


def test_other_names_of_identity_and_time() -> None:
    assert decode({"message": "status", "device_uuid": "d1", "header": {"timestamp": 1_750_000_000_123}}).values == {
        "device_id": "d1",
        "device_timestamp": "2025-06-15T15:06:40.123Z",
    }
    assert decode({"message": "status", "ts": 0}).values == {"device_timestamp": "1970-01-01T00:00:00.000Z"}
    assert decode({"message": "status", "device_id": 5, "hub_id": "", "ts": "", "header": []}).values == {}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"ts": "soon"}, ["device_timestamp"]),
        ({"device_timestamp": [], "ts": 0}, ["device_timestamp"]),
        ({"header": {"timestamp": True}}, ["device_timestamp"]),
        ({"ts": 0, "hub_timestamp": "2025-13-01"}, ["hub_timestamp"]),
        ({"ts": 10**15 * 4, "hub_timestamp": {}, "device_id": "d"}, ["device_timestamp", "hub_timestamp"]),
        ({"ts": " ", "hub_timestamp": None, "header": {}}, []),
    ],
)
def test_times_that_nobody_can_read_are_flagged(said: dict[str, Any], names: list[str]) -> None:
    compiled = product(SPEC)
    for _ in range(2):  # the second one is of a shape that is known
        text = json.dumps({"message": "status", "tempC": 5, **said})
        found = compiled.decode(cut(compiled.framing, text.encode() + b"\n"), SessionContext())
        flags = [(flag.field, flag.code.value) for flag in found.violations or ()]
        assert flags == [(name, "bad_time") for name in names]
        assert (found.values["tempC"], *(name in found.values for name in names)) == (5, *(False for _ in names))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_750_000_000, "2025-06-15T15:06:40.000Z"),
        (1_750_000_000.5, "2025-06-15T15:06:40.500Z"),
        (1_750_000_000_500, "2025-06-15T15:06:40.500Z"),
        ("2025-06-15T15:06:40Z", "2025-06-15T15:06:40.000Z"),
        (True, None),
        (None, None),
        ([], None),
        (1e300, None),
        (10**30, None),
        (-5, None),
        ("", None),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_times_of_documents(value: object, text: str | None) -> None:
    assert time_text(value) == text


@pytest.mark.parametrize("text", ["", "[]", "5", '"x"', "null", "{", '{"a": 1, "a": 2}'])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        product(SPEC).decode_json(text.encode(), SessionContext())
    assert caught.value.code is DecodeCode.BAD_DOCUMENT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "message",
        "metrics",
        "fields",
        "data",
        "tempC",
        "rpm",
        "ts",
        "header",
        "timestamp",
        "device_id",
        "device_timestamp",
        "t",
        "fan",
    ]
)
DOCUMENTS = st.dictionaries(
    KEYS, st.sampled_from(["status", "mapped"]) | JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=6
)


@given(DOCUMENTS)
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    """Contract and records included: a document can hold any value under any name."""
    compiled = product(SPEC.replace("type: u16}]}\n  frame", "type: u16, range: [0, 9], enum: {1: one}}]}\n  frame"))
    wire = json.dumps({"message": "mapped", **document}).encode() + b"\n"
    try:
        decoded = compiled.decode(cut(compiled.framing, wire), SessionContext())
    except DecodeError:
        return
    compiled.remember(decoded, SessionContext())
    json.dumps([part.metrics for part in compiled.parts(decoded)])
