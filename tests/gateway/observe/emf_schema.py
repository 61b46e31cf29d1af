"""What CloudWatch Logs takes: the JSON Schema of the section "Embedded metric format document structure" of the user
guide of Amazon CloudWatch, in our words and without its examples; the specification forbids members that it does not
name, but for those of the root. Beside it what a schema cannot say."""

from __future__ import annotations

from typing import Any

import jsonschema

MAX_BYTES = 256 * 1024

_UNITS = ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None"]
_UNITS += [f"{prefix}{what}" for what in ("Bytes", "Bits") for prefix in ("", "Kilo", "Mega", "Giga", "Tera")]
_UNITS += [f"{unit}/Second" for unit in [*_UNITS[6:], "Count"]]

_METRIC = {
    "type": "object",
    "required": ["Name"],
    "additionalProperties": False,
    "properties": {
        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
        "Unit": {"enum": _UNITS},
        "StorageResolution": {"enum": [1, 60]},
    },
}
_DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "array",
                "maxItems": 30,
                "items": {"type": "string", "minLength": 1, "maxLength": 250},
            },
        },
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": _METRIC},
    },
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {"type": "array", "items": _DIRECTIVE},
            },
        }
    },
}


def check(document: dict[str, Any]) -> None:
    """Raises ValidationError or AssertionError for what CloudWatch would not make metrics of."""
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for name in (name for names in directive["Dimensions"] for name in names):
            assert isinstance(document[name], str)
            assert 1 <= len(document[name]) <= 1024
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            assert isinstance(value, int | float)
            assert not isinstance(value, bool)
