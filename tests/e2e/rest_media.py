"""Bodies of the media types that schemathesis does not know: loaded by it as hooks.

What a string of lines or digits must look like, no JSON Schema says: here bodies are made that are right. Nor does one
say of values with any name and depth how large their integers are: the document does so in words.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import schemathesis
from hypothesis import strategies as st

_NAMES = st.sampled_from(["truck-17", "truck-18", "hub/1", "온도계"])
_VALUES = st.one_of(st.integers(-1000, 1000), st.floats(-1e6, 1e6), st.booleans(), st.text(max_size=8))
_METRICS = st.dictionaries(st.sampled_from(["tempC", "rpm", "note"]), _VALUES, min_size=1)
_ITEMS = st.fixed_dictionaries(  # right for every call that takes lines
    {"device_id": _NAMES, "fields": _METRICS, "hex": st.just("a50d02010704b00ce40a0e000716a7")},
    optional={"trace_id": st.text(max_size=20), "ts": st.integers(1_600_000_000, 1_900_000_000)},
)
_FRAMES = st.one_of(st.just(bytes.fromhex("a50d02010704b00ce40a0e000716a7")), st.binary(min_size=1, max_size=40))


def _lines(items: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in items).encode()


def _table(rows: list[tuple[str, float]]) -> bytes:
    return "".join(["device_id,tempC\n", *(f"{name},{value}\n" for name, value in rows)]).encode()


schemathesis.openapi.media_type("application/x-ndjson", st.lists(_ITEMS, min_size=1, max_size=5).map(_lines))
schemathesis.openapi.media_type(
    "text/csv", st.lists(st.tuples(_NAMES, st.floats(-50, 50)), min_size=1, max_size=5).map(_table)
)
schemathesis.openapi.media_type("text/x-hex", _FRAMES.map(lambda frame: frame.hex().encode()))
schemathesis.openapi.media_type("text/x-base64", _FRAMES.map(base64.b64encode))
schemathesis.openapi.media_type("text/plain", _FRAMES.map(lambda frame: frame.hex().encode()))


@schemathesis.serializer("application/x-ndjson")
def as_it_is(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Examples are text."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: object) -> bool:
    """Whether every integer in it has at most 64 bits."""
    return all(-(1 << 63) <= number < 1 << 64 for number in _integers(body))


def _integers(value: object) -> Iterator[int]:
    match value:
        case int():
            yield value
        case list():
            for inner in value:
                yield from _integers(inner)
        case dict():
            for inner in value.values():
                yield from _integers(inner)
