"""Raw tree -> values, the reference way: each raw value through its `Convert`, then what needs the whole structure.

Order within one structure: values as they were read (of two with one name the later counts), then its `negate` and
formulas in the order of the rows. A formula that gives nothing leaves an earlier value of its name alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from decoders.clocks import read_meter
from decoders.convert import negative
from decoders.formula import Formula
from decoders.layout import STATUS, Bit, Branch, Condition, Derived, Given, Group, Nodes, Records, Repeat, Tags, Value
from decoders.raw import read_bits
from decoders.reference.raw_tree import Labelled, Scope
from decoders.times import Zone
from decoders.types import SessionContext

Outer = tuple[dict[str, Any], ...]
_NO_NAMES: Mapping[str, str | None] = {}
_NO_SESSION = SessionContext()


class Values(dict[str, Any]):
    """The values of one structure. named: those whose names were built while reading; they come last, and formulas
    look there when there is no plain value of the name. counts: how many there are of each that is numbered. records:
    meter records under their own names, where no row has that name."""

    __slots__ = ("counts", "named", "records")

    def __init__(self) -> None:
        super().__init__()
        self.named: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.records: dict[str, Any] = {}

    def give(self, node: Value | Given | Group | Bit, value: Any, label: str | None, suffix: str = "") -> None:
        """Puts a value where it belongs. label: its computed name."""
        place, name = node.place, node.name + suffix
        if place is None:
            self[name] = value
        elif place.naming is not None:
            if label is not None:
                self.named[label + suffix] = value
        elif place.repeat == "number":
            count = self.counts[name] = self.counts.get(name, 0) + 1
            self.named[f"{name}_{count}"] = value
        elif value is not None:
            self.setdefault(name, []).append(value)


class Finisher:
    """Turns the scopes of one structure into values. Built once for a layout."""

    def __init__(self, nodes: Nodes) -> None:
        self.converts: dict[int, Callable[..., Any]] = {}
        self.bits: dict[int, list[tuple[Bit, Callable[..., Any]]]] = {}
        self.words: dict[int, Callable[..., Any]] = {}
        self.inner: dict[int, Finisher] = {}
        self.unknown: dict[int, Callable[..., Any]] = {}
        self.late: list[Value | Derived] = []
        self.rounds: dict[int, Callable[..., Any]] = {}
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
                    self.bits[id(node)] = [(bit, bit.convert.function()) for bit in node.bits]
                    for part in node.parts:
                        (self.hidden if part.hidden else shown).add(part.name)
                        if part.status is not None:
                            self.words[id(part)] = part.status.function()
                            (self.hidden if part.hidden else shown).add(part.name + STATUS)
                    if node.negate is not None:
                        self.late.append(node)
                case Derived():
                    self.late.append(node)
                    self.rounds[id(node)] = node.convert.function()
                    (self.hidden if node.hidden else shown).add(node.name)
                case Repeat(nodes=inner, name=name, hidden=hidden, into=into):
                    self.inner[id(node)] = Finisher(inner)
                    if not into:
                        (self.hidden if hidden else shown).add(name)
                case Group(nodes=inner, name=name):
                    if name:
                        self.inner[id(node)] = Finisher(inner)
                    else:
                        self._take(inner, shown)
                case Given(name=name):
                    shown.add(name)
                case Condition(nodes=inner, otherwise=otherwise):
                    self._take((*inner, *otherwise), shown)
                case Branch(cases=cases, default=default):
                    for _, rows in cases:
                        self._take(rows, shown)
                    self._take(default or (), shown)
                case Tags(tags=tags):
                    for _, rows in tags:
                        self._take(rows, shown)

    def finish(
        self, scope: Scope, zone_s: Zone, outer: Outer = (), session: SessionContext | None = None
    ) -> dict[str, Any]:
        """All values that are there, hidden ones left out. outer: values of the structures around, innermost first."""
        return self.shown(self.compute(scope, zone_s, outer, session or SessionContext()))

    def shown(self, values: Values) -> dict[str, Any]:
        """The values that are there and not hidden."""
        shown = {name: value for name, value in values.items() if value is not None and name not in self.hidden}
        if values.named:
            shown |= {name: value for name, value in values.named.items() if value is not None}
        return values.records | shown if values.records else shown

    def compute(self, scope: Scope, zone_s: Zone, outer: Outer, session: SessionContext) -> Values:
        values = Values()
        givers: dict[str, Value] = {}
        reached: set[int] = set()  # formulas whose rows were read
        around = (values, *outer)
        for node, taken in scope.taken:
            raw, names = (taken.raw, taken.names) if isinstance(taken, Labelled) else (taken, _NO_NAMES)
            match node:
                case Value():
                    self._give(values, node, raw, names, self.converts[id(node)](raw, zone_s, session))
                    givers[node.name] = node
                    for bit, convert in self.bits[id(node)]:
                        part = read_bits(raw, bit)
                        self._give(values, bit, part, names, convert(part, zone_s, session))
                case Derived():
                    reached.add(id(node))
                case Given():
                    values.give(node, node.value, names.get(node.name))
                case Repeat(into=into) if into:
                    self._add_to(values, node, raw, zone_s, outer, session)
                case Repeat(numbered=True):
                    for number, item in self._items(node, raw, zone_s, around, session):
                        given = {node.name: item} if node.plain else item
                        there = ((name, value) for name, value in given.items() if value is not None)
                        values |= {f"{name}_{number}": value for name, value in there}
                case Repeat():
                    items = [item for _, item in self._items(node, raw, zone_s, around, session)]
                    if isinstance(values.get(node.name), list):
                        values[node.name].extend(items)  # read before: the list grows
                    else:
                        values[node.name] = items
                case Group():
                    values.give(node, self.inner[id(node)].finish(raw, zone_s, around, session), names.get(node.name))
                case Records() if isinstance(raw, tuple):
                    into, key, value = raw
                    target = values.setdefault(into, {}) if into else values.records
                    target[key] = read_meter(value, zone_s)
                case Tags():
                    if isinstance(raw, tuple):
                        into, key, value = raw
                        values.setdefault(into, {})[key] = value
                    else:
                        values[node.raw] = raw
        for late in self.late:
            if isinstance(late, Derived):
                if id(late) not in reached or (late.test is not None and not _evaluate(late.test, around)):
                    continue
                value = _evaluate(late.formula, around)
                if value is not None:
                    values[late.name] = self.rounds[id(late)](value, zone_s, session)
            elif late.negate is not None and givers.get(late.name) is late and _evaluate(late.negate, around):
                values[late.name] = negative(values[late.name])
        return values

    def _give(self, values: Values, node: Value | Bit, raw: Any, names: Mapping[str, str | None], value: Any) -> None:
        """A value, and the word of the sentinel that it may be. A hidden one with a computed name is nowhere."""
        label = names.get(node.name)
        if node.hidden and node.place is not None and node.place.repeat != "list":
            return
        values.give(node, value, label)
        if node.status is not None:
            values.give(node, self.words[id(node)](raw, 0, _NO_SESSION), label, STATUS)

    def _items(
        self, node: Repeat, scopes: list[Scope], zone_s: Zone, around: Outer, session: SessionContext
    ) -> list[tuple[int, Any]]:
        """The items that are kept, each with its number, counted from 1."""
        inner = self.inner[id(node)]
        items: list[tuple[int, Any]] = []
        for number, scope in enumerate(scopes, 1):
            beyond = _around_item(scope, around)
            values = inner.compute(scope, zone_s, beyond, session)
            if node.keep is None or _evaluate(node.keep, (values, *beyond)):
                items.append((number, values.get(node.name) if node.plain else inner.shown(values)))
        return items

    def _add_to(
        self,
        values: dict[str, Any],
        node: Repeat,
        scopes: list[Scope],
        zone_s: Zone,
        outer: Outer,
        session: SessionContext,
    ) -> None:
        """Parallel lists: what was read goes into the items of an earlier list; items for which `keep`, over all values
        of the item, is false are dropped from it."""
        inner = self.inner[id(node)]
        target: list[dict[str, Any]] = values.get(node.into) or []
        dropped = set()
        for number, scope in enumerate(scopes):
            there: dict[str, Any] = target[number] if number < len(target) else {}
            around = _around_item(scope, (there, values, *outer))
            own = inner.compute(scope, zone_s, around, session)
            if number >= len(target):
                target.append(there)
            if node.keep is not None and not _evaluate(node.keep, (own, *around)):
                dropped.add(number)
            there |= inner.shown(own)
        values[node.into] = [item for number, item in enumerate(target) if number not in dropped]


def _around_item(scope: Scope, around: Outer) -> Outer:
    """What formulas of an item may read beyond its values: first of all its number, counted from 0."""
    return ({"index": scope.raw["index"]}, *around) if "index" in scope.raw else around


def _evaluate(formula: Formula, around: Outer) -> Any:
    def lookup(name: str) -> Any:
        for values in around:
            value = values.get(name)
            if value is None and isinstance(values, Values):
                value = values.named.get(name)
            if value is not None:
                return value
        return None

    return formula.evaluate(lookup)
