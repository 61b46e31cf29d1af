"""Where every field of one frame stands: what `decode --explain` shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from decoders.errors import DecodeError
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.layout import Value, walk
from decoders.product import CompiledProduct
from decoders.reference.codec import FrameLayout
from decoders.reference.raw_tree import Trace
from decoders.types import SessionContext

__all__ = ["ExplainedField", "explain"]

_TAG = re.compile(r"#\d+")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(slots=True, frozen=True)
class ExplainedField:
    """One field as it was read. offset, size: in bytes, in the frame without byte stuffing. raw: as on the wire.

    value: what the spec makes of it; for an integer with named bits an object of them; None for what has no value.
    """

    path: str
    offset: int
    size: int
    hex: str
    raw: Any
    value: Any

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        raw = self.raw.hex() if isinstance(self.raw, bytes) else self.raw
        return {
            "path": self.path,
            "offset": self.offset,
            "size": self.size,
            "hex": self.hex,
            "raw": raw,
            "value": self.value,
        }


def explain(product: CompiledProduct, wire: bytes, context: SessionContext) -> list[ExplainedField]:
    """All fields that could be read, in the order of the frame; those before the fault where there is one.

    Empty for a frame that could not be cut, and for JSON. Never raises on any bytes.
    """
    try:
        frame = cut(product.framing, wire)
        kind = product.kinds[frame.kind.index]
        data = wire if kind.kind.escape is None else unescape(kind.kind.escape, wire)
    except DecodeError:
        return []
    if kind.reference is None:
        return []
    trace: list[Trace] = []
    zone_s = product.zone_s if context.zone_s is None else context.zone_s
    try:
        message, values = kind.reference.decode(data, context, zone_s, trace)
    except DecodeError as error:
        message, values = error.message, error.values
    bits = _bits(kind.layout, message)
    fields = []
    for item in sorted(trace, key=lambda item: item.offset):
        path = _TAG.sub("", item.path).lstrip(".")
        around, _, name = path.rpartition(".")
        value = _reach(values, path)
        if value is None and name in bits:
            inside = _reach(values, around) if around else values
            if isinstance(inside, Mapping):
                value = {bit: inside[bit] for bit in bits[name] if bit in inside} or None
        piece = data[item.offset : item.offset + item.size].hex()
        fields.append(ExplainedField(item.path, item.offset, item.size, piece, item.raw, value))
    return fields


def _bits(layout: FrameLayout, message: str) -> dict[str, list[str]]:
    """Names of the bits of each integer that has some."""
    known = layout.messages.get(message)
    nodes = (*layout.header, *(known.body if known is not None else ()), *layout.trailer)
    found: dict[str, list[str]] = {}
    for node in walk(nodes):
        if isinstance(node, Value) and node.bits:
            found.setdefault(node.name, []).extend(bit.name for bit in node.bits)
    return found


def _reach(values: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        if index:
            values = values[int(index)] if isinstance(values, list) and int(index) < len(values) else None
        else:
            values = values.get(name) if isinstance(values, Mapping) else None
    return values
