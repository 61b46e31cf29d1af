"""Where the generated code notes why a row that was read has no value (`decoders.faults`)."""

from __future__ import annotations

from decoders.faults import Fault, noting
from decoders.fused.scope import Structure
from decoders.fused.writer import FAULTY, Writer

__all__ = ["note_missing"]


def note_missing(
    writer: Writer, scope: Structure, fault: Fault, name: str, value: str, raw: str, when: str = ""
) -> None:
    """Code that notes it when the variable `value` is None. name: an expression that gives the value's name. raw: what
    the value is made of. when: a test that must be true for that."""
    out = writer.out
    if not scope.faults:
        scope.faults = out.fresh("faults")
        writer.start(scope.faults, "None")
    writer.faulty = True
    with out.block(f"if {value} is None{f' and {when}' if when else ''}:"):
        out.emit(f"{scope.faults} = {out.bind(noting(fault))}({scope.faults}, {raw}, {name})")
        out.emit(f"{FAULTY} = True")
