"""Values that registered Python functions make."""

from __future__ import annotations

from typing import Any

from decoders.custom import value_by
from decoders.fused.scope import Structure, python_inputs
from decoders.fused.sizes import span
from decoders.fused.values import take
from decoders.fused.writer import Writer
from decoders.layout import PythonWire, Value


def python_value(writer: Writer, node: Value, scope: Structure) -> None:
    """A row whose value a function makes."""
    wire: Any = node.wire
    assert isinstance(wire, PythonWire)
    start, stop = span(writer, wire.size, scope)
    out = writer.out
    variable = out.fresh(node.name)
    out.emit(f"{variable} = {out.bind(value_by)}({wire.name!r}, b[{start}:{stop}], {python_inputs(scope)})")
    take(writer, node, variable, "", scope)
