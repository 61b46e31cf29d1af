"""Which rows a structure has, by name: what building a message needs to know of a layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.formula import Formula
from decoders.layout import STATUS, Bit, Branch, Condition, Derived, Group, Node, Repeat, Tags, Value, walk
from decoders.naming import pattern_of

FOLLOWS = frozenset({"remaining", "next_u8", "next_u16", "length"})
"""Names of layout formulas that read what is built only later."""


def follows(formula: Formula) -> bool:
    """True for a formula that reads bytes which are built only later."""
    return any(name in FOLLOWS or name.startswith("_") for name in formula.names)


@dataclass(slots=True, frozen=True)
class Fields:
    """The rows of one structure by name, without those of structures in it."""

    values: dict[str, Value]
    bits: dict[str, tuple[Value, Bit]]
    derived: tuple[Derived, ...]
    inner: tuple[tuple[str, Derived], ...]  # of structures in it: those that may read its values
    names: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]

    def told(self, values: Mapping[str, Any]) -> set[str]:
        """Those of the caller's values that are of these rows."""
        found = {name for name in self.names if values.get(name) is not None}
        if self.patterns:
            found |= {
                name
                for name, value in values.items()
                if value is not None and any(pattern.fullmatch(name) for pattern in self.patterns)
            }
        return found


def fields_of(nodes: Sequence[Node]) -> Fields:
    values: dict[str, Value] = {}
    bits: dict[str, tuple[Value, Bit]] = {}
    derived: list[Derived] = []
    inner: list[tuple[str, Derived]] = []
    names: set[str] = set()
    patterns: list[re.Pattern[str]] = []

    def name(part: Any) -> None:
        place = getattr(part, "place", None)
        if place is None or place.repeat == "list":
            names.add(part.name)
        elif place.naming is not None:
            patterns.append(pattern_of(place.naming.text))
        else:
            patterns.append(re.compile(rf"{part.name}_[1-9][0-9]*"))
        if getattr(part, "status", None) is not None:
            names.add(part.name + STATUS)

    for node in own_rows(nodes):
        match node:
            case Value():
                values.setdefault(node.name, node)
                if node.const is None and node.check is None and node.counts is None:
                    name(node)
                for bit in node.bits:
                    bits.setdefault(bit.name, (node, bit))
                    if bit.counts is None and bit.const is None:
                        name(bit)
            case Derived():
                derived.append(node)
                names.add(node.name)
            case Group(nodes=rows):
                name(node)
                inner += [(node.name, row) for row in rows if isinstance(row, Derived)]
            case Repeat(numbered=True):
                bases = "|".join(map(re.escape, sorted(fields_of(node.nodes).names)))
                patterns.append(re.compile(rf"({bases})_[1-9][0-9]*"))
            case Repeat(nodes=rows):
                names.add(node.into or node.name)
                inner += [(node.into or node.name, row) for row in rows if isinstance(row, Derived)]
            case Tags():
                names.update(part for part in (node.raw, node.into) if part)
    return Fields(values, bits, tuple(derived), tuple(inner), frozenset(names), tuple(patterns))


def own_rows(nodes: Sequence[Node]) -> Iterator[Node]:
    """Rows whose values belong to the structure that the nodes stand in."""
    for node in nodes:
        match node:
            case Condition(nodes=inner) | Group(name="", nodes=inner):
                yield from own_rows(inner)
            case Branch(cases=cases, default=default):
                for _, rows in cases:
                    yield from own_rows(rows)
                yield from own_rows(default or ())
            case Tags(tags=tags):
                yield node
                for _, rows in tags:
                    yield from own_rows(rows)
            case _:
                yield node


_SIZES = ("count", "left", "size", "length")
_FORMULAS = ("test", "on", *_SIZES, "going", "key", "negate")


def sizing_names(nodes: Sequence[Node]) -> frozenset[str]:
    """Fields that say how many, or how large, others are: they follow from what is built."""
    return _names_read(nodes, _SIZES)


def told_names(nodes: Sequence[Node]) -> frozenset[str]:
    """Fields that say something about others: those that layout formulas and `negate` read."""
    return _names_read(nodes, _FORMULAS)


def _names_read(nodes: Sequence[Node], keys: Sequence[str]) -> frozenset[str]:
    names: set[str] = set()
    for node in walk(nodes):
        if isinstance(node, Derived):
            continue
        parts = [getattr(node, key, None) for key in keys] + [getattr(getattr(node, "wire", None), "size", None)]
        for part in parts:
            if isinstance(part, Formula):
                names.update(part.names)
    return frozenset(names)
