"""When the formula rows of a structure are worked out, and which value of a name they read: told by the layout alone,
so that every codec and the checks of a spec say the same.

A formula row is worked out where it stands, when the values that it reads have been read by then; one that reads what
comes only later is worked out when the whole structure is read. A row within a tag reads first of all what its own
item of the tag list gave.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from decoders.layout import (
    STATUS,
    Bit,
    Branch,
    Condition,
    Derived,
    Entry,
    Given,
    Group,
    Node,
    Nodes,
    Records,
    Repeat,
    Tags,
    Value,
    raw_names,
    walk,
)
from decoders.naming import pattern_of

__all__ = ["KEY", "Moment", "Moments", "all_moments", "moments", "tells_key"]

KEY = "key"
"""What the rows of a tag call the key of their item."""


@dataclass(slots=True, frozen=True)
class Moment:
    """When a formula row is worked out, and what it reads of its own item.

    late: when the structure is complete. tests: names that must have a value where the row stands; without one it is
    worked out when the structure is complete. own: name -> the rows (by `id`) of the tag whose item gives it.
    """

    late: bool = False
    tests: tuple[str, ...] = ()
    own: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Moments:
    """rows: of the formula rows of one structure, by `id` of their node. own: rows of a tag (by `id`) -> the names that
    formula rows read of its items."""

    rows: Mapping[int, Moment]
    own: Mapping[int, frozenset[str]]


def moments(nodes: Sequence[Node], closing: Sequence[Node] = ()) -> Moments:
    """closing: the rows at the end of `nodes` that may be read before others of them: a frame's trailer."""
    return _Order(nodes, closing).moments()


def tells_key(node: Tags) -> bool:
    """True where the rows of the tags may read the key of their item as `key`."""
    return not isinstance(node, Records) and KEY not in raw_names((node,))


def all_moments(nodes: Sequence[Node], closing: Sequence[Node] = ()) -> Moments:
    """The same of all structures in one another."""
    parts = [moments(nodes, closing)]
    for node in walk(nodes):
        if isinstance(node, Repeat) or (isinstance(node, Group) and (node.name or isinstance(node, Entry))):
            parts.append(moments(node.nodes))
        elif isinstance(node, Tags):
            parts.append(moments(node.header))
    rows = {row: moment for part in parts for row, moment in part.rows.items()}
    return Moments(rows, {tag: names for part in parts for tag, names in part.own.items()})


@dataclass(slots=True, frozen=True)
class _Part:
    """Places of rows: from `start` on, up to `stop`. rows: of a tag, by `id`; 0: a whole tag list. tells_key: its rows
    may read the item's key."""

    start: int
    stop: int
    rows: int = 0
    tells_key: bool = False


@dataclass(slots=True)
class _Formula:
    node: Derived
    place: int
    around: tuple[_Part, ...]  # tag lists and tags, outermost first
    inputs: tuple[str, ...]


class _Order:
    """The rows of one structure, numbered in their order, by the names that they give."""

    def __init__(self, nodes: Sequence[Node], closing: Sequence[Node]) -> None:
        self.place = 0
        self.plain: dict[str, list[int]] = {}  # name -> places of the rows that give it
        self.grown: dict[str, list[int]] = {}  # the same of lists and objects that several rows may add to
        self.patterns: dict[str, list[int]] = {}  # the same of names that are built while reading
        self.negated: set[str] = set()
        self.formulas: list[_Formula] = []
        self._opened: list[list[int]] = []  # start and number of formulas of the tag lists and tags that are being read
        self._parts: list[_Part] = []
        self._matched: dict[str, list[int]] = {}
        end = len(nodes) - len(closing)
        self._take(nodes[:end])
        self.closing = self.place
        self._take(nodes[end:])

    # the rows

    def _take(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.place += 1
            match node:
                case Value():
                    for part in node.parts:
                        self._value(part)
                    if node.negate is not None:
                        self.negated.add(node.name)
                case Derived():
                    inputs = (*node.formula.names, *(node.test.names if node.test is not None else ()))
                    self.formulas.append(_Formula(node, self.place, (), tuple(dict.fromkeys(inputs))))
                    self._give(self.plain, node.name)
                case Given():
                    self._value(node)
                case Condition():
                    self._take((*node.nodes, *node.otherwise))
                case Branch():
                    for _, rows in node.cases:
                        self._take(rows)
                    self._take(node.default or ())
                case Entry():
                    self._give(self.grown, node.name)
                case Group(name=""):
                    self._take(node.nodes)
                case Group():
                    self._value(node)
                case Repeat():
                    self._list(node)
                case Tags():
                    self._tags(node)

    def _give(self, into: dict[str, list[int]], name: str) -> None:
        places = into.setdefault(name, [])
        if not places or places[-1] != self.place:
            places.append(self.place)

    def _value(self, part: Value | Bit | Given | Group) -> None:
        status = getattr(part, "status", None) is not None
        for suffix in ("", STATUS) if status else ("",):
            place = part.place
            if place is None:
                self._give(self.plain, part.name + suffix)
            elif place.repeat == "list":
                self._give(self.grown, part.name + suffix)
            elif place.repeat == "number":
                self._give(self.patterns, rf"{re.escape(part.name + suffix)}_[0-9]+")
            else:
                self._give(self.patterns, pattern_of(part.name + suffix).pattern)

    def _list(self, node: Repeat) -> None:
        if not node.numbered:
            self._give(self.grown, node.into or node.name)
            return
        names = [node.name] if node.plain else sorted(_names(node.nodes))
        for name in names:
            self._give(self.patterns, rf"{re.escape(name)}_[0-9]+")

    def _tags(self, node: Tags) -> None:
        for name in filter(None, (node.raw, node.into)):
            self._give(self.grown, name)
        first, start = len(self.formulas), self.place
        told = tells_key(node)
        for _, rows in node.tags:
            before, begin = len(self.formulas), self.place + 1
            self._take(rows)
            self.place += 1
            self._enclose(before, _Part(begin, self.place, id(rows), told))
        self.place += 1
        self._enclose(first, _Part(start, self.place))

    def _enclose(self, first: int, part: _Part) -> None:
        for formula in self.formulas[first:]:
            formula.around = (part, *formula.around)

    # what the formula rows read

    def moments(self) -> Moments:
        self._propagate()
        own: dict[int, set[str]] = {}
        rows: dict[int, Moment] = {}
        for formula in self.formulas:
            mine = {name: part.rows for name in formula.inputs if (part := self._own(formula, name)) is not None}
            for name, tag in mine.items():
                own.setdefault(tag, set()).add(name)
            late = id(formula.node) in self.late
            rows[id(formula.node)] = Moment(late, () if late else self._tests(formula), mine)
        return Moments(rows, {tag: frozenset(names) for tag, names in own.items()})

    def _own(self, formula: _Formula, name: str) -> _Part | None:
        """The tag whose item gives a name to the formula; None for a value of the structure, or of one around."""
        if name in self.grown or name in self.negated or self._pattern_places(name):
            return None
        for part in reversed(formula.around):
            if not part.rows:
                continue
            places = self.plain.get(name, ())
            if any(place != formula.place for place in _between(places, part.start, part.stop)):
                return part
            if name == KEY and part.tells_key:
                return part
        return None

    def _pattern_places(self, name: str) -> list[int]:
        found = self._matched.get(name)
        if found is None:
            found = [place for text, places in self.patterns.items() if re.fullmatch(text, name) for place in places]
            found = self._matched[name] = sorted(found)
        return found

    def _when(self, formula: _Formula, places: Sequence[int], within: _Part | None) -> tuple[bool, bool]:
        """Whether some of the rows at these places may be read before the formula's, and some behind it."""
        start, stop = (within.start, within.stop) if within is not None else (0, self.place + 1)
        inner = formula.around[formula.around.index(within) + 1 :] if within is not None else formula.around
        again = inner[0] if inner else _Part(formula.place, formula.place + 1)  # is read several times
        behind_start = min(again.start, formula.place)
        before = any(place != formula.place for place in _between(places, start, max(again.stop, formula.place)))
        behind = any(place != formula.place for place in _between(places, behind_start, stop))
        return before, behind

    def _tests(self, formula: _Formula) -> tuple[str, ...]:
        """Names that may have a value already and may get another one yet."""
        tests = []
        for name in formula.inputs:
            places = self.plain.get(name, ())
            if self._when(formula, places, self._own(formula, name))[1]:
                tests.append(name)
        return tuple(tests)

    def _propagate(self) -> None:
        """Finds the rows that are worked out late: those that read what is read later, or is not complete, or comes
        from rows that are worked out late or may be."""
        self.late: set[int] = set()
        unsure: dict[str, list[int]] = {}  # name -> places of formula rows that may be worked out late: the first two
        readers: dict[str, list[_Formula]] = {}
        work: list[_Formula] = []
        for formula in self.formulas:
            for name in {*formula.inputs, formula.node.name}:
                readers.setdefault(name, []).append(formula)
            late = self._waits(formula)
            if late:
                self.late.add(id(formula.node))
            if late or self._tests(formula):
                work.append(formula)
        work.reverse()  # the first ones first: what they settle need not be looked at again
        while work:
            formula = work.pop()
            places = unsure.setdefault(formula.node.name, [])
            if formula.place in places or (len(places) > 1 and formula.place > places[1]):
                continue
            places[:] = sorted((*places, formula.place))[:2]
            for reader in readers.get(formula.node.name, ()):
                if id(reader.node) not in self.late and self._when(reader, places, None)[0]:
                    self.late.add(id(reader.node))
                    work.append(reader)

    def _waits(self, formula: _Formula) -> bool:
        """True for a formula row that is worked out late whatever becomes of other formula rows."""
        if formula.place > self.closing or formula.node.name in self.negated:
            return True
        for name in formula.inputs:
            if name in self.negated:
                return True
            places = self.plain.get(name, [])
            if name == "length" and not places:  # of the body: not known in the header
                return True
            grown = [*self.grown.get(name, ()), *self._pattern_places(name)]
            if self._when(formula, sorted(grown), None)[1]:
                return True
            if places and places[-1] > self.closing:
                return True
            before, behind = self._when(formula, places, self._own(formula, name))
            if behind and (grown or not before):
                return True
            if name == formula.node.name and formula.around and self._own(formula, name) is None:
                return True  # would be worked out of its own result, again with each item
        return False


def _between(places: Sequence[int], start: int, stop: int) -> Iterator[int]:
    """The places from `start` on before `stop`, of places in order; no more than the first two."""
    first = bisect_left(places, start)
    for place in places[first : first + 2]:
        if place < stop:
            yield place


def _names(nodes: Nodes) -> set[str]:
    """Names of the values that an item may have."""
    order = _Order(nodes, ())
    return {*order.plain, *order.grown}
