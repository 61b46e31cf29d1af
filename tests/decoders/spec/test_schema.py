from __future__ import annotations

import json
from typing import Any

from decoders.spec.schema import spec_schema


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_the_schema_is_whole_and_plain_json() -> None:
    schema = spec_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"].endswith("2020-12/schema")
    assert {f"#/$defs/{name}" for name in schema["$defs"]} >= set(references(schema))


def test_keys_are_spelt_as_in_a_file() -> None:
    schema = spec_schema()
    assert {"product", "messages", "variants"} <= schema["properties"].keys()
    assert "list" in schema["$defs"]["ListRow"]["properties"]
    assert "if" in schema["$defs"]["ValueRow"]["properties"]
    assert schema["additionalProperties"] is False


def test_editors_are_offered_types_and_check_values() -> None:
    row = spec_schema()["$defs"]["ValueRow"]["properties"]
    assert {"u8", "bcd", "unix32"} <= set(row["type"]["examples"])
    assert "crc16_x25" in row["crc"]["examples"]
    assert "two's complement" in row["type"]["description"]
