"""Rows of fixed size that follow each other: one length check, and one `struct` call for each byte order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from decoders.fused.assemble import formula_row
from decoders.fused.scope import Structure
from decoders.fused.values import MARK, take
from decoders.fused.wires import SPLIT, byte_order, split_form, struct_code
from decoders.fused.writer import Writer
from decoders.layout import BytesWire, Derived, FormulaWire, PythonWire, RecordWire, Skip, Value, fixed_size
from decoders.raw import MAY_FAIL

Row: TypeAlias = Value | Skip | Derived
"""Rows of a run: of a fixed size, and formula rows among them."""


@dataclass(slots=True)
class Stretch:
    """Rows of one byte order. parts: struct codes in order; readers: (row, variable, what makes the value of it), and
    formula rows where they stand."""

    order: str = ">"
    parts: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    readers: list[tuple[Value | Derived, str, str]] = field(default_factory=list)
    size: int = 0

    @property
    def pattern(self) -> str:
        return self.order + "".join(self.parts)


def write_run(writer: Writer, run: Sequence[Row], scope: Structure) -> None:
    total = fixed_size(run) or 0
    if not total:
        for node in run:
            if isinstance(node, Derived):
                formula_row(writer, node, scope)
        return
    writer.require(total)
    for nodes in by_order(run):
        _unpack(writer, stretch_of(writer, nodes), scope)


def by_order(run: Sequence[Row]) -> list[list[Row]]:
    """The rows, cut where the byte order changes."""
    parts: list[list[Row]] = []
    order = ""
    for node in run:
        wanted = _order_of(node)
        if not parts or (wanted and order and wanted != order):
            parts.append([])
            order = ""
        order = order or wanted
        parts[-1].append(node)
    return parts


def _order_of(node: Row) -> str:
    return "" if isinstance(node, Derived) else byte_order(node)


def stretch_of(writer: Writer, nodes: Sequence[Row]) -> Stretch:
    orders = [order for order in map(_order_of, nodes) if order]
    made = Stretch(orders[0] if orders else ">")
    for node in nodes:
        if isinstance(node, Derived):
            made.readers.append((node, "", ""))
            continue
        size = fixed_size((node,)) or 0
        made.size += size
        if isinstance(node, Skip) or _unread(writer, node):
            made.parts.append(f"{size}x")
            continue
        assert not isinstance(node.wire, RecordWire | PythonWire | FormulaWire)  # they are read apart
        code, form = ("B", MARK) if size == 1 and _is_mark(writer, node) else struct_code(node.wire)
        made.parts.append(code)
        variable = writer.out.fresh(node.name)
        if code in SPLIT:
            high, low = writer.out.fresh("h"), writer.out.fresh("l")
            made.variables += (high, low)
            form = split_form(node.wire, high, low)  # type: ignore[arg-type]  # codes of integers
        else:
            made.variables.append(variable)
        made.readers.append((node, variable, form))
    return made


def _unread(writer: Writer, node: Value) -> bool:
    """True for bytes that nobody asks for."""
    if node.const is not None or node.counts or node.bits or node.equals or node.check:
        return False
    may_fail = isinstance(node.wire, BytesWire) and node.wire.form in MAY_FAIL
    return not may_fail and writer.names.unread(node)


def _unpack(writer: Writer, made: Stretch, scope: Structure) -> None:
    parts, ahead = made.parts, 0
    while parts and parts[0].endswith("x"):
        ahead += int(parts.pop(0)[:-1])
    while parts and parts[-1].endswith("x"):
        parts.pop()
    place = writer.at(ahead)
    single = parts[0] if len(parts) == 1 else ""
    if single == "B":
        writer.out.emit(f"{made.variables[0]} = b[{place}]")
    elif single.endswith("s"):
        writer.out.emit(f"{made.variables[0]} = b[{place}:{writer.at(ahead + int(single[:-1]))}]")
    elif parts:
        comma = "," if len(made.variables) == 1 else ""
        unpack = writer.out.unpack(made.pattern)
        writer.out.emit(f"{', '.join(made.variables)}{comma} = {unpack}(b, {place})")
    writer.advance(made.size)
    take_all(writer, made, scope)


def take_all(writer: Writer, made: Stretch, scope: Structure) -> None:
    """What follows once the variables of the rows hold what was read."""
    for node, variable, form in made.readers:
        if isinstance(node, Derived):
            formula_row(writer, node, scope)
        else:
            take(writer, node, variable, form, scope)


def _is_mark(writer: Writer, node: Value) -> bool:
    """True for a constant byte that is only looked at."""
    hexed = isinstance(node.wire, BytesWire) and node.wire.form == "hex"
    return hexed and node.const is not None and writer.names.unread(node)
