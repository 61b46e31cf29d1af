"""Small specs for the tests of the decoders, and reading with both codecs at once."""

from __future__ import annotations

import functools
from typing import Any

from decoders.compile import compile_spec
from decoders.errors import DecodeError
from decoders.faults import without_faults
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.fused.refusal import Refused
from decoders.golden import GoldenCase
from decoders.product import CompiledProduct
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.types import SessionContext


@functools.cache
def product(text: str) -> CompiledProduct:
    """A spec as YAML; `product:` may be left out. Raises SpecError."""
    document = load(text if "product:" in text else f"product: sample\n{text}", "spec.yaml")
    return compile_spec(validate(SpecFile, document), document)


def rows(text: str, **more: str) -> CompiledProduct:
    """A product of one message whose body is the whole payload, and whose rows are the flow list `text`.
    more: further keys of the spec, as YAML."""
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    return product(f"{extra}messages: {{sample: {{fields: {text}}}}}")


def read(compiled: CompiledProduct, data: bytes | str, context: SessionContext | None = None) -> dict[str, Any]:
    """Values of a frame, which both codecs must give. Raises the reference codec's DecodeError; the fused codec must
    then refuse as well."""
    wire = bytes.fromhex(data) if isinstance(data, str) else data
    context = context or SessionContext()
    frame = cut(compiled.framing, wire)
    kind = compiled.kinds[frame.kind.index]
    assert kind.reference is not None
    assert kind.fused is not None, kind.why_not_fused
    body = wire if kind.kind.escape is None else unescape(kind.kind.escape, wire)
    zone_s = compiled.zone_s if context.zone_s is None else context.zone_s
    try:
        name, values = kind.reference.decode(body, context, zone_s)
    except DecodeError as error:
        try:
            other = kind.fused.decode(body, context, zone_s)
        except (Refused, DecodeError):
            raise error from None
        raise AssertionError(f"{body.hex()}: construct says {error}, fused reads {other}") from error
    assert name not in kind.fused.others, kind.fused.others[name]
    fused = kind.fused.decode(body, context, zone_s)
    assert fused[0] == name
    assert exact(fused[1]) == exact(values), body.hex()
    return without_faults(values)


def exact(value: Any) -> Any:
    """With types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return type(value), value


def golden(hex_text: str, **keys: Any) -> GoldenCase:
    return GoldenCase.model_validate({"name": "case", "hex": hex_text, **keys})
