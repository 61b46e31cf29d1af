"""`spec schema`: the JSON Schema of spec files, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decoders.checksum import names as checksum_names
from decoders.spec.model import SpecFile
from decoders.spec.words import TYPES, known_words

__all__ = ["spec_schema"]

_EVERYWHERE: Mapping[str, str] = {
    "if": "The row is there only when this formula over raw values is true.",
    "optional": "The row is there only when any byte is left for it.",
    "note": "For people: what it means.",
    "title": "For people: what it is.",
    "endian": "Byte order of integers without `le` or `be` behind their type.",
    "fields": "Rows, in the order of the bytes.",
    "bytes": "Size in bytes: a number, a formula over raw values, or `rest`.",
    "name": "Name of the value.",
    "max": "More items than this are refused.",
    "signed": "Two's complement over its bits, or `magnitude`: the top bit is the sign.",
}
"""Key -> description, where the model has none of its own."""
_OWN: Mapping[str, Mapping[str, str]] = {
    "SpecFile": {
        "vendor": "Who makes it.",
        "frame": "How the stream is cut, when there is one kind of frame. Without it the whole payload is one message.",
        "frames": "Several kinds of frame by name; they are tried in this order.",
        "enums": "Shared lists of names, by name: raw value -> name.",
        "flags": "Shared lists of flags, by name: bit number -> name.",
        "blocks": "Rows that several places share, by name.",
    },
    "FrameSpec": {
        "escape": "Byte stuffing between start and stop.",
        "header": "Rows before the body of every message.",
        "trailer": "Rows behind the body of every message.",
        "min_bytes": "Size of the shortest frame; default: what header and trailer need.",
        "max_bytes": "Size of the longest frame; default 2048.",
    },
    "EscapeSpec": {"mark": "The byte that says: the next one stands for another."},
    "CsvSpec": {"delimiter": "What stands between two columns.", "encoding": "How its bytes are text."},
    "MessageSpec": {
        "measurement": "Copied into the record: `climate`, `position` ...",
        "replies": "What the gateway answers, in this order.",
    },
    "GroupRow": {
        "group": "Name of the nested object; null: its values belong to the structure around.",
        "prefix": "Type of the length that stands before the group.",
        "prefix_counts_itself": "The length includes its own bytes.",
    },
    "ListRow": {"list": "Name of the list.", "metric": "Whether the list is a metric; default: no."},
    "ItemsRow": {"items": "A tag list."},
    "ItemsSpec": {
        "bytes": "Size of all items together; default: to the end.",
        "on_unknown": "What an item of a key that is not among `tags` does.",
    },
    "LiteralRow": {"literal": "The bytes: hex, in text frames text."},
    "UseRow": {"use": "Name of the block."},
    "FormulaRow": {"formula": "A formula over values of the same structure."},
    "ValueRow": {"endian": "Byte order of this value, where its type says none."},
}
"""Model -> key -> description."""


def spec_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a `spec.yaml`. Words of types and check values are offered, others are not refused:
    what they mean is checked when the spec is compiled."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_any_of(SpecFile.model_json_schema(by_alias=True)),
    }
    for name, model in {"SpecFile": schema, **schema["$defs"]}.items():
        for key, said in model.get("properties", {}).items():
            known = _OWN.get(name, {}).get(key) or _EVERYWHERE.get(key)
            if known and not said.get("description"):
                said["description"] = known
    row = schema["$defs"]["ValueRow"]["properties"]
    table = "\n".join(f"{words}: {meaning}" for words, meaning in TYPES.items())
    row["type"] |= {"examples": known_words(), "description": f"{row['type']['description']}\n\n{table}"}
    row["crc"] |= {"examples": list(checksum_names())}
    for described in (schema, *schema["$defs"].values()):
        _let_rows_be_changed(described.get("properties", {}))
    return schema


def _let_rows_be_changed(properties: dict[str, Any]) -> None:
    """Where a spec extends another, an object over a list of rows changes the rows of these names."""
    for name in ("fields", "header", "trailer"):
        rows = properties.get(name)
        if rows is not None and rows.get("type") == "array":
            words = "In a spec that extends another: name of a row -> the keys that change; null removes the row."
            said = rows.pop("description", "")
            properties[name] = {"description": said, "anyOf": [rows, {"type": "object", "description": words}]}


def _any_of(node: Any) -> Any:
    """Which kind a row is follows from its keys; some rows have the keys of several kinds, so that `oneOf` would refuse
    them."""
    if isinstance(node, dict):
        return {"anyOf" if key == "oneOf" else key: _any_of(value) for key, value in node.items()}
    return [_any_of(value) for value in node] if isinstance(node, list) else node
