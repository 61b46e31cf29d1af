"""Raw tree -> values, the reference way: each raw value through its `Convert`, then what needs the whole structure.

Order within one structure: values as they were read (of two with one name the later counts), then its `negate` and
formulas in the order of the rows. A formula that gives nothing leaves an earlier value of its name alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from decoders.convert import negative
from decoders.formula import Formula
from decoders.layout import Branch, Condition, Derived, Group, Nodes, Repeat, Tags, Value
from decoders.reference.raw_tree import Scope

Outer = tuple[dict[str, Any], ...]


class Finisher:
    """Turns the scopes of one structure into values. Built once for a layout."""

    def __init__(self, nodes: Nodes) -> None:
        self.converts: dict[int, Callable[[Any, int], Any]] = {}
        self.bits: dict[int, list[tuple[str, int, int, Callable[[Any, int], Any]]]] = {}
        self.inner: dict[int, Finisher] = {}
        self.unknown: dict[int, Callable[[Any, int], Any]] = {}
        self.late: list[Value | Derived] = []
        self.rounds: dict[int, Callable[[Any, int], Any]] = {}
        self.hidden: set[str] = set()
        shown: set[str] = set()
        self._take(nodes, shown)
        self.hidden -= shown
        self._nodes = nodes  # keeps the ids above alive

    def _take(self, nodes: Nodes, shown: set[str]) -> None:
        for node in nodes:
            match node:
                case Value():
                    self.converts[id(node)] = node.convert.function()
                    self.bits[id(node)] = [
                        (bit.name, bit.at, (1 << bit.width) - 1, bit.convert.function()) for bit in node.bits
                    ]
                    for bit in node.bits:
                        (self.hidden if bit.hidden else shown).add(bit.name)
                    (self.hidden if node.hidden else shown).add(node.name)
                    if node.negate is not None:
                        self.late.append(node)
                case Derived():
                    self.late.append(node)
                    self.rounds[id(node)] = node.convert.function()
                    (self.hidden if node.hidden else shown).add(node.name)
                case Repeat(nodes=inner):
                    self.inner[id(node)] = Finisher(inner)
                case Group(nodes=inner, name=name):
                    if name:
                        self.inner[id(node)] = Finisher(inner)
                    else:
                        self._take(inner, shown)
                case Condition(nodes=inner):
                    self._take(inner, shown)
                case Branch(cases=cases, default=default):
                    for _, rows in cases:
                        self._take(rows, shown)
                    self._take(default or (), shown)
                case Tags(tags=tags):
                    for _, rows in tags:
                        self._take(rows, shown)

    def finish(self, scope: Scope, zone_s: int, outer: Outer = ()) -> dict[str, Any]:
        """All values that are there, hidden ones left out."""
        values = self.compute(scope, zone_s, outer)
        return {name: value for name, value in values.items() if value is not None and name not in self.hidden}

    def compute(self, scope: Scope, zone_s: int, outer: Outer) -> dict[str, Any]:
        values: dict[str, Any] = {}
        givers: dict[str, Value] = {}
        around = (values, *outer)
        for node, raw in scope.taken:
            match node:
                case Value():
                    values[node.name] = self.converts[id(node)](raw, zone_s)
                    givers[node.name] = node
                    for name, at, mask, convert in self.bits[id(node)]:
                        values[name] = convert(raw >> at & mask, zone_s)
                case Repeat():
                    values[node.name] = self._items(node, raw, zone_s, around)
                case Group():
                    values[node.name] = self.inner[id(node)].finish(raw, zone_s, around)
                case Tags():
                    if isinstance(raw, tuple):
                        into, key, value = raw
                        values.setdefault(into, {})[key] = value
                    else:
                        values[node.raw] = raw
        for late in self.late:
            if isinstance(late, Derived):
                if late.test is not None and not _evaluate(late.test, around):
                    continue
                value = _evaluate(late.formula, around)
                if value is not None:
                    values[late.name] = self.rounds[id(late)](value, zone_s)
            elif late.negate is not None and givers.get(late.name) is late and _evaluate(late.negate, around):
                values[late.name] = negative(values[late.name])
        return values

    def _items(self, node: Repeat, scopes: list[Scope], zone_s: int, around: Outer) -> list[dict[str, Any]]:
        inner = self.inner[id(node)]
        items = []
        for scope in scopes:
            values = inner.compute(scope, zone_s, around)
            if node.keep is None or _evaluate(node.keep, (values, *around)):
                items.append(
                    {name: value for name, value in values.items() if value is not None and name not in inner.hidden}
                )
        return items


def _evaluate(formula: Formula, around: Outer) -> Any:
    def lookup(name: str) -> Any:
        for values in around:
            value = values.get(name)
            if value is not None:
                return value
        return None

    return formula.evaluate(lookup)
