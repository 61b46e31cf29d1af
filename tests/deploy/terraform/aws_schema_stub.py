"""Stands in for the Terraform provider hashicorp/aws: its schema and nothing else.

`terraform validate` and `terraform test` (with `mock_provider "aws" {}`) ask a provider only which resources there are
and what stands in them. That is read here from the npm package @cdktf/provider-aws: names, types, what is required,
which blocks repeat. Which values are allowed it does not know, nor which optional values AWS sets where none is given:
mocks fill in all of them.

Runs beside terraform: `python aws_schema_stub.py LIB TYPE...`, with the folder `lib` of the package and the types
wanted (`aws_lb`, `data.aws_region`). It prints what TF_REATTACH_PROVIDERS must be.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROVIDER = "hashicorp/aws"

_NAMED = re.compile(r"^(?:function|class) (\w+)", re.M)
_ATTRS = re.compile(r"const attrs = \{\n(.*?)\n\s*\};", re.S)
_ATTR = re.compile(
    r"^\s+(\w+): \{\s*value: (.*?),\s*isBlock: (\w+),(?:\s*type: \"(\w+)\",\s*storageClassType: \"(\w+)\",)?\s*\},?$",
    re.S | re.M,
)
_COMPUTED = re.compile(
    r"get \w+\(\) \{\n\s+return [^\n]*?get(\w+)Attribute\('(\w+)'\)|new cdktf\.(\w+Map)\(this, \"(\w+)\"\)"
)


@dataclass(slots=True)
class Attribute:
    """kind: as the package calls it: `string`, `stringList`, `stringMap`, ... as_set: a list whose order counts not."""

    kind: str
    required: bool = False
    computed_only: bool = False
    as_set: bool = False


@dataclass(slots=True)
class Block:
    """What stands in a resource, or in a block of it. nesting: `set`, `list` or `struct` (one, as `timeouts`)."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    nesting: str = "struct"
    required: bool = False
    single: bool = False


def schema_of(lib: Path, resource_type: str) -> Block:
    """resource_type: `aws_lb` or `data.aws_region`. FileNotFoundError: the provider has none of that name."""
    data, _, name = resource_type.rpartition(".")
    folder = ("data-aws-" if data else "") + name.removeprefix("aws_").replace("_", "-")
    text = (lib / folder / "index.js").read_text(encoding="utf-8")
    parts = dict(_parts(text))
    (resource,) = (body for body in parts.values() if "terraformResourceType: '" in body)
    block = _block(resource, resource, parts)
    for read_as, name, kept_as, kept_name in _COMPUTED.findall(resource):
        kind = "StringList" if read_as == "List" else read_as or kept_as
        if (one := name or kept_name) not in block.blocks:
            block.attributes.setdefault(one, Attribute(kind[0].lower() + kind[1:], computed_only=True))
    return block


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Every function and class with its source."""
    found = list(_NAMED.finditer(text))
    for index, one in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        yield one[1], text[one.start() : end]


def _block(writer: str, holder: str, parts: Mapping[str, str]) -> Block:
    """writer: the source that lists the attributes. holder: that of their class, which can reset what is optional."""
    block = Block()
    attrs = _ATTRS.findall(writer)
    if not attrs:
        return block
    optional = {name.lower() for name in re.findall(r"^    reset(\w+)\(\)", holder, re.M)}
    for name, value, is_block, container, kind in _ATTR.findall(attrs[-1]):
        required = name.replace("_", "") not in optional
        if is_block != "true":
            block.attributes[name] = Attribute(kind, required, as_set=container == "set")
            continue
        (function,) = re.findall(r"(\w+)ToHclTerraform", value)
        holder_name = f"{function[0].upper()}{function[1:]}OutputReference"
        inner = _block(parts[f"{function}ToHclTerraform"], parts.get(holder_name, ""), parts)
        inner.nesting, inner.required, inner.single = container, required, "listMapper" not in value
        block.blocks[name] = inner
    return block


def _serve(lib: Path, kinds: list[str]) -> None:
    # In an environment of its own: it needs an older protobuf than the project's other tools.
    runner, schema, types = (importlib.import_module(f"tf.{name}") for name in ("runner", "schema", "types"))
    plain = {"string": types.String, "number": types.Number, "boolean": types.Bool}

    def typed(attribute: Attribute) -> Any:
        for end, container in (("List", types.Set if attribute.as_set else types.List), ("Map", types.Map)):
            if attribute.kind.endswith(end):
                return container(plain[attribute.kind.removesuffix(end)]())
        return plain[attribute.kind]()

    class Listed(schema.NestedBlock):  # type: ignore[misc, name-defined]
        """A block that may be indexed, which the library does not know."""

        def to_pb(self) -> Any:
            message = super().to_pb()
            message.nesting = type(message).NestingMode.LIST
            return message

    def content(block: Block) -> dict[str, Any]:
        attributes = [
            schema.Attribute(
                name,
                typed(one),
                required=one.required,
                optional=not one.required and not one.computed_only,
                computed=not one.required,
            )
            for name, one in block.attributes.items()
        ]
        blocks = []
        for name, inner in block.blocks.items():
            body = schema.Block(**content(inner))
            if inner.nesting == "struct":
                blocks.append(schema.NestedBlock(name, schema.NestMode.Single, body))
                continue
            made = Listed if inner.nesting == "list" else schema.NestedBlock
            least, most = int(inner.required), int(inner.single)
            blocks.append(made(name, schema.NestMode.Set, body, min_items=least, max_items=most))
        return {"attributes": attributes, "block_types": blocks}

    def made_for(kind: str) -> type:
        name, described = kind.rpartition(".")[2].removeprefix("aws_"), schema.Schema(**content(schema_of(lib, kind)))

        class Kind:
            """One resource type. The mock provider of `terraform test` makes what would be done here."""

            def __init__(self, provider: object) -> None:
                pass

            @classmethod
            def get_name(cls) -> str:
                return name

            @classmethod
            def get_schema(cls) -> Any:
                return described

            def validate(self, *_: object) -> None:
                pass

        return Kind

    made = {kind: made_for(kind) for kind in kinds}

    class Provider:
        def get_model_prefix(self) -> str:
            return "aws_"

        def full_name(self) -> str:
            return PROVIDER

        def get_provider_schema(self, _: object) -> Any:
            return schema.Schema(attributes=[schema.Attribute("region", types.String(), optional=True)])

        def validate_config(self, *_: object) -> None:
            pass

        def configure_provider(self, *_: object) -> None:
            pass

        def get_data_sources(self) -> list[type]:
            return [one for kind, one in made.items() if kind.startswith("data.")]

        def get_resources(self) -> list[type]:
            return [one for kind, one in made.items() if not kind.startswith("data.")]

        def get_functions(self) -> list[type]:
            return []

        def new_resource(self, kind: type) -> Any:
            return kind(self)

        new_data_source = new_resource

    runner.run_provider(Provider(), [sys.argv[0], "--dev"])


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2:])
