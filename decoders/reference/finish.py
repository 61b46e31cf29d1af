"""Raw tree -> values, the reference way: each raw value through its `Convert`, then what needs the whole structure.

Order within one structure: values and formulas as their rows were read (of several with one name the last one that has
a value counts), then, in the order of the rows, `negate` and the formulas that `decoders.moments` calls late. A formula
that gives nothing leaves an earlier value of its name alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from decoders.clocks import read_meter
from decoders.convert import Convert, negative
from decoders.faults import FAULTS, Fault, Faults, add_values, fault_of_result, fault_of_value, without_faults
from decoders.formula import Formula
from decoders.layout import (
    STATUS,
    Bit,
    Branch,
    Condition,
    Derived,
    Entry,
    Given,
    Group,
    Nodes,
    Records,
    Repeat,
    Tags,
    Value,
)
from decoders.moments import KEY, Moment, moments
from decoders.raw import read_bits
from decoders.reference.raw_tree import Item, Labelled, Scope
from decoders.times import Zone
from decoders.types import SessionContext, ViolationCode

Outer = tuple[dict[str, Any], ...]
_NO_NAMES: Mapping[str, str | None] = {}
_NO_SESSION = SessionContext()


class Values(dict[str, Any]):
    """The values of one structure. named: those whose names were built while reading; they come last, and formulas
    look there when there is no plain value of the name. counts: how many there are of each that is numbered. records:
    meter records under their own names, where no row has that name. open_items: values of the items of tag lists that
    are being read, the outermost first; own: of the last item of each tag, by the `id` of its rows. faults: why rows
    have no value, None for nothing."""

    __slots__ = ("counts", "faults", "named", "open_items", "own", "records")

    def __init__(self) -> None:
        super().__init__()
        self.named: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.records: dict[str, Any] = {}
        self.open_items: list[dict[str, Any]] = []
        self.own: dict[int, dict[str, Any]] = {}
        self.faults: Faults | None = None

    def put(self, name: str, value: Any) -> None:
        """A value under its name, in the structure and in the items that are being read."""
        self[name] = value
        for item in self.open_items:
            item[name] = value

    def note(self, name: str | None, code: ViolationCode | None) -> None:
        """Why a row has no value, where that is not meant so."""
        if name is not None and code is not None:
            if self.faults is None:
                self.faults = Faults()
            self.faults[name] = code

    def begin_item(self, item: Item) -> None:
        own = self.own[item.rows] = {} if item.key is None else {KEY: item.key}
        self.open_items.append(own)

    def read(self, name: str, moment: Moment) -> Any:
        """What a formula row reads of its structure: of its own item where that gives the name."""
        if name in moment.own:
            return self.own.get(moment.own[name], {}).get(name)
        value = self.get(name)
        return self.named.get(name) if value is None else value

    def give(self, node: Value | Given | Group | Bit, value: Any, label: str | None, suffix: str = "") -> None:
        """Puts a value where it belongs; without one, an earlier one stays. label: its computed name. suffix: what is
        put is the word of a sentinel, which is always that of the row read last."""
        place, name = node.place, node.name + suffix
        if place is None:
            if value is not None or suffix:
                self.put(name, value)
        elif place.naming is not None:
            if label is not None and (value is not None or suffix):
                self.named[label + suffix] = value
        elif place.repeat == "number":
            count = self.counts[name] = self.counts.get(name, 0) + 1
            self.named[f"{name}_{count}"] = value
        elif value is not None:
            self.setdefault(name, []).append(value)


class Finisher:
    """Turns the scopes of one structure into values. Built once for a layout."""

    def __init__(self, nodes: Nodes, closing: Nodes = ()) -> None:
        """closing: the frame's trailer, which follows them."""
        self.converts: dict[int, Callable[..., Any]] = {}
        self.bits: dict[int, list[tuple[Bit, Callable[..., Any]]]] = {}
        self.gone: dict[int, Callable[..., Any]] = {}  # of integers with bits: None for a sentinel
        self.words: dict[int, Callable[..., Any]] = {}
        self.inner: dict[int, Finisher] = {}
        self.unknown: dict[int, Callable[..., Any]] = {}
        self.faults: dict[int, Fault] = {}
        self.late: list[Value | Derived] = []
        self.rounds: dict[int, Callable[..., Any]] = {}
        self.hidden: set[str] = set()
        shown: set[str] = set()
        self._take((*nodes, *closing), shown)
        self.hidden -= shown
        self.moments = moments((*nodes, *closing), closing).rows
        self._nodes = nodes  # keeps the ids above alive

    def _take(self, nodes: Nodes, shown: set[str]) -> None:
        for node in nodes:
            match node:
                case Value():
                    self.converts[id(node)] = node.convert.function()
                    self.bits[id(node)] = [(bit, bit.convert.function()) for bit in node.bits]
                    for part in node.parts:
                        self._flags(part, fault_of_value(part, node.wire if part is node else None))
                    if node.bits and node.convert.absent:
                        self.gone[id(node)] = Convert(absent=node.convert.absent, loose=True).function()
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
                    self._flags(node, fault_of_result(node))
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
                case Given(name=name, hidden=hidden):
                    (self.hidden if hidden else shown).add(name)
                case Condition(nodes=inner, otherwise=otherwise):
                    self._take((*inner, *otherwise), shown)
                case Branch(cases=cases, default=default):
                    for _, rows in cases:
                        self._take(rows, shown)
                    self._take(default or (), shown)
                case Tags(tags=tags):
                    for _, rows in tags:
                        self._take(rows, shown)

    def _flags(self, node: Value | Bit | Derived, fault: Fault | None) -> None:
        if fault is not None:
            self.faults[id(node)] = fault

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
        if values.faults:
            shown[FAULTS] = values.faults
        return values.records | shown if values.records else shown

    def compute(self, scope: Scope, zone_s: Zone, outer: Outer, session: SessionContext) -> Values:
        values = Values()
        givers: dict[str, Value] = {}
        waiting: set[int] = set()  # formulas whose rows were read, and which are still to be worked out
        around = (values, *outer)
        inside = [around]  # what structures within may read, here and within the items of tag lists around
        for node, taken in scope.taken:
            raw, names = (taken.raw, taken.names) if isinstance(taken, Labelled) else (taken, _NO_NAMES)
            match node:
                case Value():
                    value = self.converts[id(node)](raw, zone_s, session)
                    self._give(values, node, raw, names, value)
                    if value is not None:
                        givers[node.name] = node
                    if id(node) in self.gone and self.gone[id(node)](raw, 0) is None:
                        continue
                    for bit, convert in self.bits[id(node)]:
                        part = read_bits(raw, bit)
                        self._give(values, bit, part, names, convert(part, zone_s, session))
                case Derived():
                    moment = self.moments[id(node)]
                    if moment.late or any(values.read(name, moment) is None for name in moment.tests):
                        waiting.add(id(node))
                    else:
                        waiting.discard(id(node))
                        self._derive(node, values, outer, zone_s, session)
                case Given():
                    values.give(node, node.value, names.get(node.name))
                case Repeat(into=into) if into:
                    self._add_to(values, node, raw, zone_s, inside[-1][1:], session)
                case Repeat(numbered=True):
                    for number, item in self._items(node, raw, zone_s, inside[-1], session, values):
                        given = {node.name: item} if node.plain else item
                        for name, code in given.pop(FAULTS, {}).items():
                            values.note(f"{name}_{number}", code)
                        there = ((name, value) for name, value in given.items() if value is not None)
                        values |= {f"{name}_{number}": value for name, value in there}
                case Repeat():
                    items = [item for _, item in self._items(node, raw, zone_s, inside[-1], session, values)]
                    if isinstance(values.get(node.name), list):
                        values[node.name].extend(items)  # read before: the list grows
                    else:
                        values[node.name] = items
                case Entry():
                    given = without_faults(self.inner[id(node)].finish(raw, zone_s, inside[-1], session))
                    entry = given.get(node.only) if node.only else given
                    if entry is not None:
                        values.setdefault(node.name, {})[names[node.name]] = entry
                case Group():
                    group = self.inner[id(node)].finish(raw, zone_s, inside[-1], session)
                    values.give(node, group, names.get(node.name))
                case Tags() if isinstance(raw, Item):
                    values.begin_item(raw)
                    here = inside[-1] if raw.key is None else (values, {KEY: raw.key}, *outer)
                    inside.append(here)
                case Tags() if raw is None:
                    values.open_items.pop()
                    inside.pop()
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
                if id(late) in waiting:
                    self._derive(late, values, outer, zone_s, session)
            elif late.negate is not None and givers.get(late.name) is late and _evaluate(late.negate, around):
                values[late.name] = negative(values[late.name])
        return values

    def _derive(self, node: Derived, values: Values, outer: Outer, zone_s: Zone, session: SessionContext) -> None:
        """Works a formula row out. Where its result means that there is no value, an earlier one stays, unless the
        formula is made of that."""
        moment = self.moments[id(node)]

        def lookup(name: str) -> Any:
            value = values.read(name, moment)
            return _find(name, outer) if value is None and name not in moment.own else value

        if node.test is not None and not node.test.evaluate(lookup):
            return
        result = value = node.formula.evaluate(lookup)
        if result is not None:
            value = self.rounds[id(node)](result, zone_s, session)
            if value is not None or node.name in node.formula.names:
                values.put(node.name, value)
        if value is None and id(node) in self.faults:
            values.note(node.name, self.faults[id(node)](result))

    def _give(self, values: Values, node: Value | Bit, raw: Any, names: Mapping[str, str | None], value: Any) -> None:
        """A value, and the word of the sentinel that it may be. A hidden one with a computed name is nowhere."""
        label = names.get(node.name)
        if node.hidden and node.place is not None and node.place.repeat != "list":
            return
        values.give(node, value, label)
        if node.status is not None:
            values.give(node, self.words[id(node)](raw, 0, _NO_SESSION), label, STATUS)
        if value is None and id(node) in self.faults:
            name: str | None = node.name
            if node.place is not None and node.place.naming is not None:
                name = label
            elif node.place is not None and node.place.repeat == "number":
                name = f"{node.name}_{values.counts[node.name]}"
            values.note(name, self.faults[id(node)](raw))

    def _items(
        self,
        node: Repeat,
        scopes: list[Scope],
        zone_s: Zone,
        around: Outer,
        session: SessionContext,
        into: Values,
    ) -> list[tuple[int, Any]]:
        """The items that are kept, each with its number, counted from 1. into: gets the faults of plain values."""
        before = into.get(node.name)
        first = len(before) if isinstance(before, list) else 0
        inner = self.inner[id(node)]
        items: list[tuple[int, Any]] = []
        for number, scope in enumerate(scopes, 1):
            beyond = _around_item(scope, around)
            values = inner.compute(scope, zone_s, beyond, session)
            if node.keep is None or _evaluate(node.keep, (values, *beyond)):
                for code in (values.faults or {}).values() if node.plain else ():
                    place = f"_{number}" if node.numbered else f"[{first + len(items)}]"
                    into.note(node.name + place, code)
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
            add_values(there, inner.shown(own))
        values[node.into] = [item for number, item in enumerate(target) if number not in dropped]


def _around_item(scope: Scope, around: Outer) -> Outer:
    """What formulas of an item may read beyond its values: first of all its number, counted from 0."""
    return ({"index": scope.raw["index"]}, *around) if "index" in scope.raw else around


def _evaluate(formula: Formula, around: Outer) -> Any:
    return formula.evaluate(lambda name: _find(name, around))


def _find(name: str, around: Outer) -> Any:
    """The value of the innermost structure that has one."""
    for values in around:
        value = values.get(name)
        if value is None and isinstance(values, Values):
            value = values.named.get(name)
        if value is not None:
            return value
    return None
