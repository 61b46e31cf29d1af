"""`spec schema`: the JSON Schema of spec files, for editors."""

from __future__ import annotations

from typing import Any

from decoders.checksum import names as checksum_names
from decoders.spec.model import SpecFile
from decoders.spec.words import TYPES, known_words

__all__ = ["spec_schema"]


def spec_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a `spec.yaml`. Words of types and check values are offered, others are not refused:
    what they mean is checked when the spec is compiled."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SpecFile.model_json_schema(by_alias=True),
    }
    row = schema["$defs"]["ValueRow"]["properties"]
    table = "\n".join(f"{words}: {meaning}" for words, meaning in TYPES.items())
    row["type"] |= {"examples": known_words(), "description": f"{row['type']['description']}\n\n{table}"}
    row["crc"] |= {"examples": list(checksum_names())}
    return schema
