"""One of many: what the lists of tags have in common, whether their keys are numbers, texts or records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from decoders.fused.scope import Known, OwnValue, Structure
from decoders.fused.values import share_raw, variable_of
from decoders.fused.writer import Writer
from decoders.layout import Branch, Condition, Derived, Group, Node, Nodes, Tags, Value, raw_names
from decoders.moments import KEY

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
    for name in (node.raw, node.into):
        if name and name not in scope.values:
            known = variable_of(writer, scope, name, hidden=False)
            if not writer.conditional:
                writer.out.emit(f"{known.source} = None")
    if node.raw in writer.names.raw:
        scope.raw[node.raw] = scope.values[node.raw]


def share_values(writer: Writer, node: Tags, scope: Structure) -> None:
    """Values that formulas read are kept in one variable each: a tag may read what another kept the time before."""
    for name in sorted(raw_names((node,))):
        if name in writer.names.raw:
            share_raw(writer, name, scope)
    for name in dict.fromkeys(_tested(writer, [row for _, nodes in node.tags for row in nodes])):
        variable_of(writer, scope, name, hidden=True)


def _tested(writer: Writer, nodes: Sequence[Node]) -> Iterator[str]:
    """Names of the structure that formula rows among the nodes need where they stand."""
    for node in nodes:
        match node:
            case Derived():
                moment = writer.names.moments[id(node)]
                yield from (name for name in moment.tests if name not in moment.own)
            case Condition(nodes=inner) | Group(name="", nodes=inner):
                yield from _tested(writer, inner)
            case Branch(cases=cases, default=default):
                for _, rows in cases:
                    yield from _tested(writer, rows)
                yield from _tested(writer, default or ())
            case Tags(tags=tags):
                for _, rows in tags:
                    yield from _tested(writer, rows)


def write_item(writer: Writer, nodes: Nodes, scope: Structure, key: Known | None) -> None:
    """The rows of a tag, for one item. key: what they read as `key`."""
    outside, out = scope.key, writer.out
    scope.key = key or outside
    names = writer.names.own.get(id(nodes), frozenset())
    mine: dict[str, OwnValue] = {}
    for name in sorted(names):
        variable = out.fresh("own_" + name)
        writer.preset(variable, "None")
        mine[name] = OwnValue(Known(variable, False, "none", own=True), writer.conditional)
        if name == KEY and key is not None:
            out.emit(f"{variable} = {key.source}")
            mine[name] = OwnValue(replace(key, source=variable, own=True), writer.conditional, given=True, sound=True)
    scope.items.append(mine)
    scope.own[id(nodes)] = mine
    mark, level = out.mark(), out.level
    writer.write(nodes, scope)
    for own in mine.values():
        if not own.sound:
            out.insert(mark, level, f"{own.known.source} = None")
    scope.items.pop()
    scope.key = outside
