"""Where every field of one frame stands, and where reading stopped: what `decode --explain` shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from decoders.errors import DecodeError
from decoders.faults import without_faults
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.layout import Value
from decoders.product import CompiledProduct, KindCodec
from decoders.raw import read_bits
from decoders.reference.raw_tree import Trace
from decoders.types import SessionContext

__all__ = ["ExplainedField", "explain"]

SKIPPED = "-"
"""Path of bytes that are no value: skipped, unknown tags, marks."""
_TAG = re.compile(r"#[^.\[\]#]+")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_SHOWN_AT_FAULT = 16


@dataclass(slots=True, frozen=True)
class ExplainedField:
    """One field as it was read, or the place where reading stopped.

    offset, size: in bytes, in the frame without byte stuffing; None for a value of a document, or of bytes that some
    text in the frame stands for. raw: as on the wire.
    value: what the spec makes of it; for an integer with named bits an object of them; None for what has no value.
    error: why reading stopped here; hex then has what stands there. row: place of the row in the spec, where known.
    """

    path: str
    offset: int | None
    size: int
    hex: str
    raw: Any
    value: Any
    error: str = ""
    row: tuple[str | int, ...] | None = None

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        raw = self.raw.hex() if isinstance(self.raw, bytes) else self.raw
        plain = {
            "path": self.path,
            "offset": self.offset,
            "size": self.size,
            "hex": self.hex,
            "raw": raw,
            "value": self.value,
        }
        return {**plain, "error": self.error} if self.error else plain


def explain(
    product: CompiledProduct, wire: bytes, context: SessionContext, *, text: bool = False
) -> list[ExplainedField]:
    """All fields in the order of the frame; those before the fault, then the fault, where there is one.

    Also of a frame that is cut off or has a wrong check value all that can be read. text: the payload of a product
    without frames is known to be text. Never raises on any bytes.
    """
    if product.body_codec(wire, text=text) is not None:
        return _document(product, wire, context, text=text)
    fault: DecodeError | None = None
    data = wire
    try:
        frame = cut(product.framing, wire)
        kind, wire = product.kinds[frame.kind.index], frame.wire
        data = wire if kind.escape is None else unescape(kind.escape, wire)
    except DecodeError as error:
        found = _likely(product, wire)
        if found is None:
            return [_fault(product, wire, error)]
        kind, fault = found, error
        data = _unescaped(kind, wire)
    if kind.reference is None:
        return _document(product, wire, context, text=text)
    zone_s = product.zone_s if context.zone_s is None else context.zone_s
    trace: list[Trace] = []
    values: Mapping[str, Any] = {}
    if fault is None:
        try:
            _name, found_values = kind.reference.decode(data, context, zone_s, trace)
            values = without_faults(found_values)
        except DecodeError as error:
            fault, values = error, error.values
            if not error.message:  # refused before its body was read
                trace = []
                kind.reference.attempt(data, context, trace, whole=True)
    else:
        kind.reference.attempt(data, context, trace, whole=False)
    for item in trace:
        item.data = item.data or data[item.offset : item.offset + item.size]
    shown_to = len(data) if fault is None else fault.offset or 0
    fields = _gaps(data, sorted(trace, key=lambda item: (item.offset, item.size > 0)), shown_to)
    shown = [_field(product, data, item, values, zone_s) for item in fields]
    return shown if fault is None else [*shown, _fault(product, data, fault)]


def _likely(product: CompiledProduct, wire: bytes) -> KindCodec | None:
    """The first kind of frame that could begin so."""
    for kind in product.kinds:
        if wire and all(
            allowed is None or byte in allowed for byte, allowed in zip(wire, kind.kind.begins, strict=False)
        ):
            return kind
    return None


def _unescaped(kind: KindCodec, wire: bytes) -> bytes:
    if kind.escape is None:
        return wire
    try:
        return unescape(kind.escape, wire)
    except DecodeError:
        return wire


def _gaps(data: bytes, trace: list[Trace], shown_to: int) -> Iterator[Trace]:
    """The fields, with the bytes between them that are no value, those behind the last one up to `shown_to` too."""
    end = 0
    for item in trace:
        if item.offset > end:
            yield Trace(SKIPPED, end, item.offset - end, None, data[end : item.offset])
        yield item
        if item.data == data[item.offset : item.offset + item.size]:  # else it is what some text stands for
            end = max(end, item.offset + item.size)
    if end < shown_to:
        yield Trace(SKIPPED, end, shown_to - end, None, data[end:shown_to])


def _field(
    product: CompiledProduct, data: bytes, item: Trace, values: Mapping[str, Any], zone_s: Any
) -> ExplainedField:
    node = item.node
    value: Any = None
    if isinstance(node, Value):
        value = _value(node, item, values, zone_s)
    elif node is None and item.path != SKIPPED and not _TAG.search(item.path):  # a record that names itself
        value = _reach(values, item.path)
    origin = product.origins.of(node)
    raw = None if item.path == SKIPPED else item.raw
    row = None if origin is None else origin.path
    place = item.offset if item.data == data[item.offset : item.offset + item.size] else None
    return ExplainedField(item.path, place, item.size, item.data.hex(), raw, value, row=row)


def _value(node: Value, item: Trace, values: Mapping[str, Any], zone_s: Any) -> Any:
    """What the spec makes of the raw value; of one whose sign another decides, what came out in the end."""
    if node.bits and node.convert.absent and _converted(node.convert.function(), item.raw, zone_s) is None:
        return None
    if node.bits:
        bits = {bit.name: _converted(bit.convert.function(), read_bits(item.raw, bit), zone_s) for bit in node.bits}
        return {name: value for name, value in bits.items() if value is not None} or None
    if node.hidden:
        return None
    if node.negate is not None:
        reached = _reach(values, _TAG.sub("", item.path).lstrip("."))
        if reached is not None:
            return reached
    value = _converted(node.convert.function(), item.raw, zone_s)
    if value is None and node.status is not None:
        word = _converted(node.status.function(), item.raw, zone_s)
        return None if word is None else {f"{node.name}_status": word}
    return value


def _converted(convert: Callable[[Any, Any], Any], raw: Any, zone_s: Any) -> Any:
    try:
        return convert(raw, zone_s)
    except (ArithmeticError, TypeError, ValueError, DecodeError):
        return None


def _fault(product: CompiledProduct, data: bytes, error: DecodeError) -> ExplainedField:
    """Where reading stopped, and what stands there."""
    origin = product.origins.of(error.node)
    there = b"" if error.offset is None else data[error.offset : error.offset + _SHOWN_AT_FAULT]
    left = 0 if error.offset is None else max(len(data) - error.offset, 0)
    row = None if origin is None else origin.path
    return ExplainedField(error.field, error.offset, left, there.hex(), None, None, str(error), row)


def _document(product: CompiledProduct, wire: bytes, context: SessionContext, *, text: bool) -> list[ExplainedField]:
    """Values of JSON or CSV, which have no place in bytes."""
    try:
        values = product.read(wire, context, text=text).values
    except DecodeError as error:
        return [_fault(product, wire, error)]
    return [ExplainedField(path, None, 0, "", None, value) for path, value in _flat(values, "")]


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{index}]")
    else:
        yield path, value


def _reach(values: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        if index:
            values = values[int(index)] if isinstance(values, list) and int(index) < len(values) else None
        else:
            values = values.get(name) if isinstance(values, Mapping) else None
    return values
