"""Tagged items whose key and value have fixed sizes: both are read at once, the value as an unsigned integer."""

from __future__ import annotations

from decoders.fused.scope import Structure
from decoders.fused.values import take
from decoders.fused.wires import byte_form
from decoders.fused.writer import Writer
from decoders.layout import BytesWire, IntWire, Nodes, Tags, Value, Wire

_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def pair_pattern(node: Tags, length: int) -> str:
    """struct pattern of key and value; "" where some tag is not just one value of that size."""
    key = node.key
    if not isinstance(key, IntWire) or key.sign != "unsigned" or node.raw or node.unknown == "rows":
        return ""
    if key.size not in _CODES or length not in _CODES:
        return ""
    if not key.big and max(key.size, length) > 1:
        return ""
    wires: list[Wire | None] = [node.unknown_wire] if node.unknown.startswith("into:") else []
    for _, nodes in node.tags:
        if len(nodes) != 1 or not isinstance(nodes[0], Value):
            return ""
        wires.append(nodes[0].wire)
    return f">{_CODES[key.size]}{_CODES[length]}" if all(_fits(wire, length) for wire in wires) else ""


def _fits(wire: Wire | None, length: int) -> bool:
    match wire:
        case IntWire(size=size, big=big):
            return size == length and (big or size == 1)
        case BytesWire(size=size, form="hex" | "mac"):
            return size == length
    return False


def pair_value(wire: Wire | None, value: str) -> str:
    """The raw value of a wire from its bytes as an unsigned integer."""
    match wire:
        case IntWire(size=size, sign="twos"):
            return f"({value} - {1 << 8 * size} if {value} >= {1 << 8 * size - 1} else {value})"
        case IntWire(size=size, sign="magnitude"):
            return f"magnitude({value}, {size})"
        case BytesWire(size=int(size)):
            return byte_form(wire).format(x=f"{value}.to_bytes({size}, 'big')")
    return value


def take_pair(writer: Writer, nodes: Nodes, value: str, scope: Structure) -> None:
    """The value of a tag that is one row."""
    (row,) = nodes
    assert isinstance(row, Value)
    if row.negate is not None:
        scope.late.append(row)
    source = pair_value(row.wire, value)
    if source != value:
        variable = writer.out.fresh(row.name)
        writer.out.emit(f"{variable} = {source}")
        value = variable
    take(writer, row, value, "", scope)
