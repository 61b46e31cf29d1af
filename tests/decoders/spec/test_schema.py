from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from decoders.spec.scaffold import KINDS, scaffold
from decoders.spec.schema import spec_schema
from decoders.spec.source import load
from tests.decoders.spec.shipped import shipped


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


def test_rows_may_be_changed_by_their_names() -> None:
    schema = spec_schema()
    for properties in (schema["properties"], schema["$defs"]["MessageSpec"]["properties"]):
        assert [choice["type"] for choice in properties["fields"]["anyOf"]] == ["array", "object"]


def test_editors_are_offered_types_and_check_values() -> None:
    row = spec_schema()["$defs"]["ValueRow"]["properties"]
    assert {"u8", "bcd", "unix32"} <= set(row["type"]["examples"])
    assert "crc16_x25" in row["crc"]["examples"]
    assert "two's complement" in row["type"]["description"]


def plain(data: Any) -> Any:
    """As JSON has it: all keys are texts."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    return [plain(value) for value in data] if isinstance(data, list) else data


VALIDATOR = jsonschema.Draft202012Validator(spec_schema())


def test_the_schema_takes_every_shipped_spec_and_every_new_one() -> None:
    jsonschema.Draft202012Validator.check_schema(spec_schema())
    texts = {loaded.source: loaded.document.data for loaded in shipped().values()}
    texts |= {kind: load(scaffold("x", kind)["spec.yaml"], kind).data for kind in KINDS}
    wrong = {
        name: [f"{list(error.absolute_path)}: {error.message[:200]}" for error in VALIDATOR.iter_errors(plain(data))]
        for name, data in texts.items()
    }
    assert {name: faults for name, faults in wrong.items() if faults} == {}


@pytest.mark.parametrize(
    "data",
    [
        {"product": "x", "fields": [{"name": "a", "typ": "u8"}]},
        {"product": "x", "messages": {"m": {"field": []}}},
        {"product": "x y"},
        {"fields": []},
    ],
)
def test_the_schema_refuses_what_the_gateway_refuses(data: Any) -> None:
    assert not VALIDATOR.is_valid(data)


def test_every_key_has_a_description() -> None:
    schema = spec_schema()
    silent = [
        f"{name}.{key}"
        for name, model in {"SpecFile": schema, **schema["$defs"]}.items()
        for key, said in model.get("properties", {}).items()
        if not said.get("description")
    ]
    assert silent == []
