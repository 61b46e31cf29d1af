"""One of many: what the lists of tags have in common, whether their keys are numbers, texts or records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from decoders.fused.scope import Structure
from decoders.fused.values import share_raw, variable_of
from decoders.fused.writer import Writer
from decoders.layout import Derived, Tags, Value, raw_names

_FEW = 3  # as many are tested one after the other; more by halves

Entry = TypeVar("Entry")


def by_halves(
    writer: Writer,
    variable: str,
    part: Sequence[tuple[int, Entry]],
    leaf: Callable[[Sequence[tuple[int, Entry]]], None],
) -> None:
    """Tests that narrow a number down to a few of the numbers in `part`, which are in order. leaf: writes the code for
    those few."""
    if len(part) <= _FEW:
        leaf(part)
        return
    middle = len(part) // 2
    with writer.out.block(f"if {variable} < {part[middle][0]}:"):
        by_halves(writer, variable, part[:middle], leaf)
    with writer.out.block("else:"):
        by_halves(writer, variable, part[middle:], leaf)


@contextmanager
def in_order(scope: Structure) -> Iterator[Callable[[int], None]]:
    """Tags whose rows are written in any order, while their formulas are worked out in the order of the tags. Gives
    what is to be called with the number of a tag before its rows are written."""
    before, late = scope.late, dict[int, list[Value | Derived]]()

    def begin(number: int) -> None:
        scope.late = late[number] = []

    yield begin
    scope.late = before
    for number in sorted(late):
        scope.late += late[number]


def begin_collections(writer: Writer, node: Tags, scope: Structure) -> None:
    """Variables of the list of all items and of the object of unknown ones, which start as None."""
    into = node.unknown.removeprefix("into:") if node.unknown.startswith("into:") else ""
    for name in (node.raw, into):
        if name and name not in scope.values:
            known = variable_of(writer, scope, name, hidden=False)
            if not writer.conditional:
                writer.out.emit(f"{known.source} = None")
    if node.raw in writer.names.raw:
        scope.raw[node.raw] = scope.values[node.raw]


def share_raws(writer: Writer, node: Tags, scope: Structure) -> None:
    """Raw values that formulas read are kept in one variable each: a tag may read what another kept the time before."""
    for name in sorted(raw_names((node,))):
        if name in writer.names.raw:
            share_raw(writer, name, scope)
