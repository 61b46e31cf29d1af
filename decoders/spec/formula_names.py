"""Which names the formulas of a message may read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.formula import Formula
from decoders.layout import (
    STATUS,
    Bit,
    Branch,
    Condition,
    Derived,
    Given,
    Group,
    Nodes,
    Place,
    Repeat,
    Tags,
    Value,
    walk,
)
from decoders.moments import KEY, Moments, moments, tells_key
from decoders.naming import pattern_of
from decoders.spec.formula_faults import Faults, compared
from decoders.spec.raw_scopes import RawScopes, branches
from decoders.spec.words import is_whole
from decoders.window_calls import BODY_CALLS, CALLS, without_calls

__all__ = ["NEXT_NAMES", "SPECIAL_NAMES", "VALUES_OF_SESSION", "check_names"]

NEXT_NAMES = frozenset({"remaining", "next_u8", "next_u16"})
SPECIAL_NAMES = NEXT_NAMES | {"length", "port"}
"""Names that layout formulas may read besides fields: bytes left in the window, the integer (big-endian) of the next
bytes, which stay unread (no value when they are not there), body length, port."""
VALUES_OF_SESSION = frozenset({"received", "device_id", "port", "length"})
"""Names that all formulas may read besides fields and values that a login keeps: Unix seconds of arrival, with their
fraction, and the id from the login (no value where they are not known), the port and the length of the body."""


def check_names(frame: Nodes, body: Nodes, kept: Collection[str], faults: Faults) -> None:
    """Every name in a formula is a field that is there when the formula is worked out, a value that a login keeps, or a
    special name.

    frame: header and trailer, which are read before the body.
    """
    nodes = (*frame, *body)
    known = {*kept, *VALUES_OF_SESSION}
    if any(isinstance(node, Tags) for node in walk(nodes)):
        known.add("key")
    if any(isinstance(node, Repeat) for node in walk(nodes)):
        known.add("index")
    computed = {node.name for node in walk(nodes) if isinstance(node, Derived)}
    RawScopes(frame, body, known | SPECIAL_NAMES, computed, faults).check()
    _ValueScopes(nodes, known - {KEY}, faults).check()


def _parts(nodes: Sequence[Any]) -> Iterator[Value | Bit]:
    """Values and bits."""
    for node in walk(nodes):
        if isinstance(node, Value):
            yield from node.parts


def _places(nodes: Sequence[Any]) -> Iterator[tuple[str, Place]]:
    """Values with computed or repeated names."""
    for node in (*walk(nodes), *_parts(nodes)):
        place = getattr(node, "place", None)
        if isinstance(place, Place):
            yield getattr(node, "name", ""), place


def _given(nodes: Nodes, *, computed: bool) -> set[str]:
    """The values of one structure. computed: those by formula too."""
    found: set[str] = set()
    for node in nodes:
        match node:
            case Value():
                found |= {part.name for part in node.parts}
                found |= {part.name + STATUS for part in node.parts if part.status is not None}
            case Derived():
                found |= {node.name} if computed else set()
            case Condition():
                found |= _given((*node.nodes, *node.otherwise), computed=computed)
            case Branch():
                for rows in branches(node):
                    found |= _given(rows, computed=computed)
            case Group(name=""):
                found |= _given(node.nodes, computed=computed)
            case Given() | Group() | Repeat():
                found.add(node.name)
            case Tags():
                found |= {node.raw, node.into}
                for _, rows in node.tags:
                    found |= _given(rows, computed=computed)
    return found


@dataclass(slots=True)
class _ValueScopes:
    """Checks the formulas over values of one message.

    Such a formula is worked out where it stands, or when its structure is complete (see `decoders.moments`); those of
    the items of a list when the list is: so it sees its own structure and, of those around, what was read or computed
    before.
    """

    nodes: Nodes
    known: set[str]
    faults: Faults
    patterns: set[re.Pattern[str]] = field(init=False)  # of names that are built from numbers
    numbered: dict[str, int] = field(init=False)  # names of numbered values without their number -> most items
    rows: dict[str, list[Value | Bit | Derived]] = field(init=False)  # by name
    late: set[str] = field(default_factory=set)  # formula rows so far that are worked out when all is read
    within_tags: int = 0  # tags around whose rows may read the key

    def __post_init__(self) -> None:
        places = _places(self.nodes)
        self.patterns = {pattern_of(f"{text}_{{n}}" if place.repeat == "number" else text) for text, place in places}
        self.numbered = {}
        for node in walk(self.nodes):
            if isinstance(node, Repeat) and node.numbered:
                for name in _given(node.nodes, computed=True):
                    self.numbered[name] = max(node.max_items, self.numbered.get(name, 0))
        self.rows = {}
        for row in (*_parts(self.nodes), *(node for node in walk(self.nodes) if isinstance(node, Derived))):
            self.rows.setdefault(row.name, []).append(row)

    def check(self) -> None:
        self._structure(self.nodes, set())

    def _structure(self, nodes: Nodes, around: set[str]) -> None:
        """around: values of the structures around that are there."""
        self._rows(nodes, set(around), around | _given(nodes, computed=False), moments(nodes))

    def _rows(self, nodes: Nodes, before: set[str], whole: set[str], when: Moments) -> None:
        """before: values that were read before. whole: of the whole structure, those by formula only as far as they
        are computed before. Both grow. when: of the structure's formula rows."""
        for node in nodes:
            match node:
                case Value():
                    before |= _given((node,), computed=False)
                    tags, self.within_tags = self.within_tags, 0  # a sign is worked out when the list is read
                    self._formula(node.negate, whole)
                    self.within_tags = tags
                case Derived():
                    self._formula(node.formula, whole)
                    self._formula(node.test, whole)
                    whole.add(node.name)
                    (self.late if when.rows[id(node)].late else before).add(node.name)
                case Given():
                    before.add(node.name)
                case Condition():
                    self._rows((*node.nodes, *node.otherwise), before, whole, when)
                case Branch():
                    for rows in branches(node):
                        self._rows(rows, before, whole, when)
                case Group():
                    if node.name:
                        self._structure(node.nodes, before)
                        before.add(node.name)
                    else:
                        self._rows(node.nodes, before, whole, when)
                case Repeat():
                    self._repeat(node, before)
                case Tags():
                    before |= _given((node,), computed=False)
                    told = tells_key(node)
                    self.within_tags += told
                    for _, rows in node.tags:
                        self._rows(rows, before, whole, when)
                    self.within_tags -= told

    def _repeat(self, node: Repeat, before: set[str]) -> None:
        around = set(before)
        if node.into:
            lists = (other for other in walk(self.nodes) if isinstance(other, Repeat) and other.name == node.into)
            around |= {name for other in lists for name in _given(other.nodes, computed=True)}
        self._structure(node.nodes, around)
        self._formula(node.keep, around | _given(node.nodes, computed=True))
        before.add(node.name)

    def _formula(self, formula: Formula | None, there: set[str]) -> None:
        if formula is None:
            return
        names = without_calls(formula.names)
        if len(names) < len(formula.names):
            words = ", ".join(f"`{word}`" for word in (*CALLS, *BODY_CALLS))
            self.faults.add(formula, "it reads values, no bytes", f"{words} stand in if, count, switch")
        for name in names:
            if name == KEY and self.within_tags:
                continue
            if name not in there and name not in self.known and not self._is_numbered(name):
                self._missing(formula, name, there)
        for name, number in compared(formula):
            word = self._word_of(name, number)
            if word is not None:
                self.faults.add(formula, f"`{name}` is a word here, never {number}", f"write '{word}' for {number}")

    def _word_of(self, name: str, number: Any) -> str | None:
        """The word that a value always has in place of this raw number."""
        if not isinstance(number, int) or isinstance(number, bool):
            return None
        words = {(row.convert.enum or {}).get(number) for row in self.rows.get(name, ())}
        word = words.pop() if len(words) == 1 else None
        return word if isinstance(word, str) else None

    def _missing(self, formula: Formula, name: str, there: set[str]) -> None:
        """Why a name is not there."""
        if name in NEXT_NAMES:
            what = f"`{name}` is known only while bytes are read, and this formula reads values"
            self.faults.add(formula, what, "it stands in if, count, bytes, switch")
            return
        if name == KEY:
            what = "`key` is known only within a tag of a list, unless a row of the list has this name"
            self.faults.add(formula, what, "a row of the tag such as {name: tag, raw: key, hidden: true}")
            return
        if name in self.late:
            what = f"`{name}` is worked out when all is read: it reads what comes later or is not complete before"
            self.faults.add(formula, what, f"put `{name}` behind all that it reads, or write its formula here")
            return
        for node in walk(self.nodes):
            if isinstance(node, Repeat) and name in _given(node.nodes, computed=True):
                what = f"`{name}` stands in the items of `{node.name}`"
                hint = f"such as sum(values({node.name}, '{name}')) or item({node.name}, 0, '{name}')"
                self.faults.add(formula, what, hint)
                return
            if isinstance(node, Group) and node.name and name in _given(node.nodes, computed=True):
                hint = "put the formula into the group, or use `group: null`"
                self.faults.add(formula, f"`{name}` stands in the group `{node.name}`", hint)
                return
        if name in _given(self.nodes, computed=True):
            what = f"`{name}` is not there yet: it is computed or read later"
            self.faults.add(formula, what, "put its row first, or compute it here")
            return
        self.faults.no_field(formula, name, sorted(there - {""}), self.known)

    def _is_numbered(self, name: str) -> bool:
        """True for `name_3` of a list or row whose values are numbered, and for a name that a computed one may be."""
        base, _, number = name.rpartition("_")
        if is_whole(number) and int(number) <= self.numbered.get(base, 0):
            return True
        return any(pattern.fullmatch(name) for pattern in self.patterns)
