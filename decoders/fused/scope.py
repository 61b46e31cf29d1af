"""What the generator knows about a structure while it writes its code: which variable holds which value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from decoders.custom import UNSEEN_BY_PYTHON
from decoders.formula import Formula
from decoders.layout import (
    STATUS,
    Branch,
    Condition,
    Derived,
    Entry,
    FormulaWire,
    Given,
    Group,
    Node,
    Nodes,
    Repeat,
    Tags,
    Value,
    calls_python,
    raw_names,
    walk,
)
from decoders.moments import KEY, Moment, all_moments


@dataclass(slots=True)
class Known:
    """A value as a variable or a short expression.

    sure: it is never None. kind: `int`, `bool`, `float`, `text`, `hex` (a text of hexadecimal digits), `list`, or
    `any` when nothing is known. most: an integer is in 0..most. finite: never NaN or infinity. own: the variable
    holds nothing else and may be written again; version: how often that was done. fleeting: it is of one element of a
    loop, and means nothing before it.
    """

    source: str
    sure: bool = True
    kind: str = "any"
    most: int | None = None
    finite: bool = True
    hidden: bool = False
    own: bool = False
    version: int = 0
    fleeting: bool = False


@dataclass(slots=True)
class OwnValue:
    """What the item of a tag gave under a name that its formula rows read: in a variable of its own. level: how deep
    the item's rows stand in branches. given: some row gave it. sound: the variable says nothing of the item before."""

    known: Known
    level: int
    given: bool = False
    sound: bool = False


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
    waiting: dict[int, str] = field(default_factory=dict)  # id of a formula -> whether it is still to be worked out
    givers: dict[str, str] = field(default_factory=dict)  # value -> variable with the row that gave it
    begun: Begun | None = None
    direct: set[str] = field(default_factory=set)
    depth: int = 0
    lists: dict[str, list[Repeat]] = field(default_factory=dict)  # lists read so far, parallel ones with their target
    numbered: list[tuple[frozenset[str], str]] = field(default_factory=list)  # names without number, variable of a dict

    named: str = ""  # variable of the dict of values with computed names
    named_sure: bool = True  # none of these is None
    patterns: list[re.Pattern[str]] = field(default_factory=list)  # what these names look like
    counters: dict[str, str] = field(default_factory=dict)  # numbered value -> variable that counts it

    records: list[str] = field(default_factory=list)  # variables of dicts of meter records under their own names

    items: list[dict[str, OwnValue]] = field(default_factory=list)  # of tags that are being written, outermost first
    own: dict[int, dict[str, OwnValue]] = field(default_factory=dict)  # rows of a tag (by id) -> the same
    key: Known | None = None  # of the item that is being written

    faults: str = ""  # variable with why rows have no value; None for nothing
    quiet: bool = False  # it is never said there

    def find_raw(self, name: str) -> Known | None:
        found = self.raw.get(name)
        return found if found is not None or self.outer is None else self.outer.find_raw(name)

    def find_value(self, name: str) -> Known | None:
        """The value of the innermost structure that has one."""
        found = self.values.get(name) or self._find_numbered(name) or (self.key if name == KEY else None)
        if self.outer is None or (found is not None and found.sure):
            return found
        outer = self.outer.find_value(name)
        if found is None or outer is None:
            return found or outer
        kind = found.kind if found.kind == outer.kind else "any"
        source = f"({outer.source} if {found.source} is None else {found.source})"
        return Known(source, outer.sure, kind, finite=found.finite and outer.finite)

    def _find_numbered(self, name: str) -> Known | None:
        if any(pattern.fullmatch(name) for pattern in self.patterns):
            return Known(f"{self.named}.get({name!r})", False, finite=False)
        base, _, digits = name.rpartition("_")
        for names, variable in self.numbered:
            if digits.isdigit() and base in names:
                return Known(f"{variable}.get({name!r})", False, finite=False)
        return None


@dataclass(slots=True)
class Names:
    """What is fixed about the names of a message before its code is written.

    raw, values: names that formulas of the layout, formulas over values read. shown: names that some row shows.
    late: names whose values change after they were read: by `negate`, a formula or tags. own: names that formula rows
    read of the items of a tag, by the `id` of its rows. moments: of all formula rows. contested: numbers, by
    the node's id, for the rows that share a name which one of them negates. growing: lists that may be read several
    times in one structure.
    """

    raw: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    contested: dict[int, int] = field(default_factory=dict)
    growing: set[str] = field(default_factory=set)
    own: Mapping[int, frozenset[str]] = field(default_factory=dict)
    own_names: set[str] = field(default_factory=set)
    moments: Mapping[int, Moment] = field(default_factory=dict)

    def wanted(self, name: str) -> bool:
        """True for the value of a hidden row that a formula reads, or that overrides one that is shown."""
        return self.kept(name) or name in self.own_names

    def kept(self, name: str) -> bool:
        """The same of what is read beyond the item of a tag."""
        return name in self.values or name in self.shown

    def unread(self, node: Value) -> bool:
        """True for a hidden row whose raw value and value nobody asks for."""
        status = node.status is not None and self.wanted(node.name + STATUS)
        return node.hidden and node.name not in self.raw and not self.wanted(node.name) and not status


def python_inputs(scope: Structure) -> str:
    """Source of the dict of what a registered function may look at: raw values of the rows before it, those of inner
    structures first."""
    found: dict[str, str] = {}
    place: Structure | None = scope
    while place is not None:
        found = {name: known.source for name, known in place.raw.items()} | found
        place = place.outer
    entries = (f"{name!r}: {source}" for name, source in found.items() if name not in UNSEEN_BY_PYTHON)
    return f"{{{', '.join(entries)}}}"


def names_of(nodes: Sequence[Node], closing: Sequence[Node] = ()) -> Names:
    """closing: the rows at the end of `nodes` that are a frame's trailer."""
    told = all_moments(nodes, closing)
    names = Names(moments=told.rows, own=told.own, own_names=set().union(*told.own.values()))
    _count_lists(nodes, names.growing)
    names.late |= names.growing
    rows: dict[str, list[Value | Derived]] = {}
    for node in walk(nodes):
        _uses(node, names)
        if isinstance(node, Value | Derived):
            rows.setdefault(node.name, []).append(node)
        if isinstance(node, Value):
            names.shown.update(bit.name for bit in node.bits if not bit.hidden and bit.counts is None)
            for part in node.parts:
                if part.status is not None and not part.hidden:
                    names.shown.add(part.name + STATUS)
                if part.place is not None:
                    names.late.add(part.name)
        if isinstance(node, Given) and not node.hidden:
            names.shown.add(node.name)
        if isinstance(node, Value | Derived) and not node.hidden:
            names.shown.add(node.name)
        if is_late(node):
            names.late.add(node.name)
        if isinstance(node, Tags):
            names.late.update((node.raw, node.into))
        if isinstance(node, Repeat) and node.into:
            names.late.add(node.into)
    for same in rows.values():
        if len(same) > 1 and any(isinstance(row, Value) and row.negate is not None for row in same):
            names.contested.update({id(row): number for number, row in enumerate(same, 1)})
    if calls_python(nodes):
        names.raw |= raw_names(nodes)
    return names


def _count_lists(nodes: Sequence[Node], growing: set[str]) -> Counter[str]:
    """How often each list of a structure may be read. growing: gets the names of those that are read again."""
    found: Counter[str] = Counter()
    for node in nodes:
        match node:
            case Repeat(name=name, nodes=inner, numbered=numbered, into=into):
                _count_lists(inner, growing)
                if not numbered and not into:
                    found[name] += 1
            case Group(name="", nodes=inner) | Condition(nodes=inner):
                found.update(_count_lists(inner, growing))
            case Group(nodes=inner):
                _count_lists(inner, growing)
            case Branch(cases=cases, default=default):
                branches = [_count_lists(rows, growing) for rows in (*(rows for _, rows in cases), default or ())]
                for name in set().union(*branches):
                    found[name] += max(branch[name] for branch in branches)
            case Tags(tags=tags):
                for _, rows in tags:
                    found.update({name: 2 * count for name, count in _count_lists(rows, growing).items()})
    growing.update(name for name, count in found.items() if count > 1)
    return found


def _uses(node: Node, names: Names) -> None:
    for named in node.parts if isinstance(node, Value) else (node,):
        place = getattr(named, "place", None)
        if place is not None and place.naming is not None:
            names.raw.update(place.naming.names)
    if isinstance(node, Value) and node.equals:
        names.raw.add(node.equals)
    match node:
        case Entry():
            names.raw.add("key")
        case Condition(test=formula) | Branch(on=formula):
            names.raw.update(formula.names)
        case Derived(formula=formula, test=test):
            read = {*formula.names, *(test.names if test is not None else ())}
            names.values.update(read - names.moments[id(node)].own.keys())
        case Value(negate=formula) if formula is not None:
            names.values.update(formula.names)
        case Repeat(keep=formula) if formula is not None:
            names.values.update(formula.names)
    if isinstance(node, Value) and isinstance(node.wire, FormulaWire):
        names.raw.update(node.wire.formula.names)
    size = node.wire.size if isinstance(node, Value) else getattr(node, "size", None)
    others = (getattr(node, name, None) for name in ("count", "left", "going", "key", "length"))
    for part in (*others, size):
        if isinstance(part, Formula):
            names.raw.update(part.names)


def given_names(nodes: Nodes) -> Iterator[str]:
    """Names that the nodes may give to the structure they stand in."""
    for node in nodes:
        match node:
            case Value():
                yield from (part.name for part in node.parts if part.place is None)
                yield from (part.name + STATUS for part in node.parts if part.status is not None)
            case Condition(nodes=inner) | Group(name="", nodes=inner):
                yield from given_names(inner)
            case Entry():
                continue
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
