"""What the generator knows about a structure while it writes its code: which variable holds which value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from decoders.formula import Formula
from decoders.layout import Branch, Condition, Derived, Group, Node, Nodes, Repeat, Tags, Value, walk


@dataclass(slots=True)
class Known:
    """A value as a variable or a short expression.

    sure: it is never None. kind: `int`, `bool`, `float`, `text`, `hex` (a text of hexadecimal digits), `list`, or
    `any` when nothing is known. most: an integer is in 0..most. finite: never NaN or infinity. own: the variable
    holds nothing else and may be written again; version: how often that was done.
    """

    source: str
    sure: bool = True
    kind: str = "any"
    most: int | None = None
    finite: bool = True
    hidden: bool = False
    own: bool = False
    version: int = 0


@dataclass(slots=True)
class Begun:
    """A dict that is filled while its structure is read. early: what the literal at its start may hold."""

    variable: str
    mark: int
    level: int
    early: dict[str, tuple[Known, int]]


@dataclass(slots=True)
class Structure:
    """Variables of one structure while its code is written. direct: values that stand in the begun dict only."""

    outer: Structure | None = None
    raw: dict[str, Known] = field(default_factory=dict)
    values: dict[str, Known] = field(default_factory=dict)
    late: list[Value | Derived] = field(default_factory=list)
    givers: dict[str, str] = field(default_factory=dict)  # value -> variable with the row that gave it
    begun: Begun | None = None
    direct: set[str] = field(default_factory=set)
    depth: int = 0

    def find_raw(self, name: str) -> Known | None:
        found = self.raw.get(name)
        return found if found is not None or self.outer is None else self.outer.find_raw(name)

    def find_value(self, name: str) -> Known | None:
        """The value of the innermost structure that has one."""
        found = self.values.get(name)
        if self.outer is None or (found is not None and found.sure):
            return found
        outer = self.outer.find_value(name)
        if found is None or outer is None:
            return found or outer
        kind = found.kind if found.kind == outer.kind else "any"
        source = f"({outer.source} if {found.source} is None else {found.source})"
        return Known(source, outer.sure, kind, finite=found.finite and outer.finite)


@dataclass(slots=True)
class Names:
    """What is fixed about the names of a message before its code is written.

    raw, values: names that formulas of the layout, formulas over values read. shown: names that some row shows.
    late: names whose values change after they were read: by `negate`, a formula or tags. contested: numbers, by
    the node's id, for the rows that share a name which one of them negates.
    """

    raw: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    contested: dict[int, int] = field(default_factory=dict)

    def wanted(self, name: str) -> bool:
        """True for the value of a hidden row that a formula reads, or that overrides one that is shown."""
        return name in self.values or name in self.shown

    def unread(self, node: Value) -> bool:
        """True for a hidden row whose raw value and value nobody asks for."""
        return node.hidden and node.name not in self.raw and not self.wanted(node.name)


def names_of(nodes: Sequence[Node]) -> Names:
    names = Names()
    rows: dict[str, list[Value]] = {}
    for node in walk(nodes):
        _uses(node, names)
        if isinstance(node, Value):
            rows.setdefault(node.name, []).append(node)
            names.shown.update(bit.name for bit in node.bits if not bit.hidden and bit.counts is None)
        if isinstance(node, Value | Derived) and not node.hidden:
            names.shown.add(node.name)
        if is_late(node):
            names.late.add(node.name)
        if isinstance(node, Tags):
            names.late.update((node.raw, node.unknown.removeprefix("into:")))
    for same in rows.values():
        if len(same) > 1 and any(row.negate is not None for row in same):
            names.contested.update({id(row): number for number, row in enumerate(same, 1)})
    return names


def _uses(node: Node, names: Names) -> None:
    match node:
        case Condition(test=formula) | Branch(on=formula):
            names.raw.update(formula.names)
        case Derived(formula=formula, test=test):
            names.values.update(formula.names)
            names.values.update(test.names if test is not None else ())
        case Value(negate=formula) if formula is not None:
            names.values.update(formula.names)
        case Repeat(keep=formula) if formula is not None:
            names.values.update(formula.names)
    size = node.wire.size if isinstance(node, Value) else getattr(node, "size", None)
    for part in (getattr(node, "count", None), getattr(node, "left", None), size):
        if isinstance(part, Formula):
            names.raw.update(part.names)


def given_names(nodes: Nodes) -> Iterator[str]:
    """Names that the nodes may give to the structure they stand in."""
    for node in nodes:
        match node:
            case Value():
                yield node.name
                yield from (bit.name for bit in node.bits)
            case Condition(nodes=inner) | Group(name="", nodes=inner):
                yield from given_names(inner)
            case Group(name=name) | Repeat(name=name):
                yield name
            case Branch(cases=cases, default=default):
                for _, rows in cases:
                    yield from given_names(rows)
                yield from given_names(default or ())
            case Tags(tags=tags):
                for _, rows in tags:
                    yield from given_names(rows)


def is_late(node: Node) -> TypeGuard[Value | Derived]:
    """True for rows that have something to do once the whole structure is read."""
    return isinstance(node, Derived) or (isinstance(node, Value) and node.negate is not None)


def raw_names(node: Node) -> Iterator[str]:
    """Names of all raw values that the node reads."""
    for part in walk((node,)):
        if isinstance(part, Value):
            yield part.name
            yield from (bit.name for bit in part.bits)
