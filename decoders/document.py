"""JSON documents of a product: the same messages, values and contract as its binary frames.

Without a mapping a value is looked for by its name in `metrics`, `fields`, `data.metrics` and at the top; with
`json: {tempC: data.temperature}` at that path. Identity and times have the names that all JSON of the gateway uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from decoders import times
from decoders.errors import DecodeCode, DecodeError
from decoders.spec.notes import Structure

_PLACES = (("metrics",), ("fields",), ("data", "metrics"), ())
_DEVICE = ("device_id", "device_uuid")
_MAX_DEPTH = 32
_NESTING = re.compile(rb"[\[\]{}]")


class JsonCodec:
    """Decodes the JSON form of a product's messages. `messages`: name -> (mapping or True, structure of the body)."""

    def __init__(self, messages: Mapping[str, tuple[Mapping[str, str] | bool | None, Structure]]) -> None:
        self.messages = {
            name: (mapping if isinstance(mapping, dict) else {}, structure)
            for name, (mapping, structure) in messages.items()
        }

    def decode(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """One JSON object -> message name and values. Raises DecodeError."""
        document = read_object(data)
        name = document.get("message")
        if name is None and len(self.messages) == 1:
            name = next(iter(self.messages))
        if not isinstance(name, str) or name not in self.messages:
            words = ", ".join(self.messages)
            raise DecodeError(
                DecodeCode.UNKNOWN_MESSAGE, f"`message` is {name!r}; it must be one of: {words}", field="message"
            )
        mapping, structure = self.messages[name]
        values: dict[str, Any] = {}
        for field in structure.notes:
            value = _at(document, mapping[field].split(".")) if field in mapping else _find(document, field)
            if value is not None:
                values[field] = value
        return name, {**values, **_common(document)}


def read_object(data: bytes) -> dict[str, Any]:
    """Bytes -> one JSON object: UTF-8, no NaN, no duplicate keys, nesting bounded. Raises DecodeError(bad_document)."""
    depth = deepest = 0
    for match in _NESTING.finditer(data):
        depth += 1 if match[0] in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise DecodeError(DecodeCode.TOO_DEEP, f"JSON nests deeper than {_MAX_DEPTH}")
    try:
        document = json.loads(data, parse_constant=_refuse, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not JSON: {error.msg}", offset=error.pos) from None
    except (UnicodeDecodeError, ValueError) as error:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "expected one JSON object")
    return document


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice")
        found[key] = value
    return found


def _at(document: Any, path: list[str]) -> Any:
    for step in path:
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def _find(document: dict[str, Any], name: str) -> Any:
    for place in _PLACES:
        inner = _at(document, list(place)) if place else document
        if isinstance(inner, dict) and name in inner:
            return inner[name]
    return None


def _common(document: dict[str, Any]) -> dict[str, Any]:
    """Identity and times under the names that all JSON of the gateway uses."""
    values: dict[str, Any] = {}
    device = next((document[key] for key in _DEVICE if isinstance(document.get(key), str)), None)
    child, hub = document.get("childDeviceId"), document.get("hub_id")
    if device is not None:
        values["device_id"] = device
    if isinstance(hub, str) and hub:
        values["hub_id"] = hub
    if isinstance(child, str) and child:
        values["childDeviceId"] = child
    header = document.get("header")
    candidates = (document.get("device_timestamp"), header.get("timestamp") if isinstance(header, dict) else None)
    moment = next((value for value in (*candidates, document.get("ts")) if value is not None), None)
    for name, value in (("device_timestamp", moment), ("hub_timestamp", document.get("hub_timestamp"))):
        text = time_text(value)
        if text is not None:
            values[name] = text
    return values


def time_text(value: Any) -> str | None:
    """Epoch seconds or milliseconds, or ISO text -> RFC 3339 UTC; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        unix_ms = value if abs(value) >= 1e11 else value * 1000
        return times.iso_from_unix_ms(int(unix_ms)) if abs(unix_ms) < 1e16 else None
    if isinstance(value, str):
        try:
            return times.iso_from_unix_ms(times.unix_ms_from_iso(value))
        except ValueError:
            return None
    return None
