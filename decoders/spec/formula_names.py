"""Which names the formulas of a message may read."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from decoders.formula import Formula
from decoders.layout import STATUS, Bit, Derived, IntWire, Nodes, Place, Repeat, Tags, Value, walk
from decoders.naming import pattern_of
from decoders.spec.notes import Path, Report
from decoders.window_calls import BODY_CALLS, CALLS, without_calls

NEXT_NAMES = frozenset({"remaining", "next_u8", "next_u16"})
SPECIAL_NAMES = NEXT_NAMES | {"length", "port"}
"""Names that layout formulas may read besides fields: bytes left in the window, the integer (big-endian) of the next
bytes, which stay unread (no value when they are not there), body length, port."""
VALUES_OF_SESSION = frozenset({"received", "device_id", "port", "length"})
"""Names that all formulas may read besides fields and values that a login keeps: Unix seconds of arrival, with their
fraction, and the id from the login (no value where they are not known), the port and the length of the body."""
_LAYOUT_KEYS = ("test", "on", "count", "left", "size", "going", "key", "length")
"""Attributes of nodes that may be formulas over raw values."""


def check_names(nodes: Nodes, kept: Collection[str], path: Path, report: Report) -> None:
    """Every name in a formula is a field of the message or of its frame, a value that a login keeps, or a special name.

    nodes: header, body and trailer.
    """
    raw = raw_names(nodes) | SPECIAL_NAMES
    if any(isinstance(node, Tags) for node in walk(nodes)):
        raw.add("key")
    if any(isinstance(node, Repeat) for node in walk(nodes)):
        raw.add("index")
    raw |= set(kept) | VALUES_OF_SESSION
    values = (raw - NEXT_NAMES) | _value_names(nodes)
    for formula, layout in _formulas(nodes):
        known = raw if layout else values
        if not layout and len(without_calls(formula.names)) < len(formula.names):
            words = ", ".join(f"`{word}`" for word in (*CALLS, *BODY_CALLS))
            report(path, f"`{formula.text}` is over values", f"{words} stand in if, count, switch")
        for name in without_calls(formula.names):
            if name not in known and not (not layout and _is_numbered(name, nodes)):
                near = difflib.get_close_matches(name, sorted(known), 1)
                hint = f"did you mean `{near[0]}`?" if near else "use the name of a field of this message"
                report(path, f"`{formula.text}`: there is no field `{name}`", hint)


def raw_names(nodes: Sequence[Any]) -> set[str]:
    names: set[str] = set()
    for node in walk(nodes):
        if isinstance(node, Value):
            names.add(node.name)
            names.update(bit.name for bit in node.bits)
    return names


def _value_names(nodes: Sequence[Any]) -> set[str]:
    names = {name for node in walk(nodes) if (name := getattr(node, "name", ""))}
    return names | {part.name + STATUS for part in _parts(nodes) if part.status is not None}


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


def _is_numbered(name: str, nodes: Sequence[Any]) -> bool:
    """True for `name_3` of a list or row whose values are numbered, and for a name that a computed one may become."""
    for text, place in _places(nodes):
        if pattern_of(f"{text}_{{n}}" if place.repeat == "number" else text).fullmatch(name):
            return True
    base, _, number = name.rpartition("_")
    if not number.isdigit():
        return False
    lists = [node for node in walk(nodes) if isinstance(node, Repeat) and node.numbered]
    return any(int(number) <= node.max_items and base in _value_names(node.nodes) for node in lists)


def _formulas(nodes: Sequence[Any]) -> list[tuple[Formula, bool]]:
    """All formulas of the nodes; True for those over raw values."""
    found: list[tuple[Formula, bool]] = []
    for _, place in _places(nodes):
        found += [(part, True) for part in (place.naming.parts if place.naming else ()) if isinstance(part, Formula)]
    for node in walk(nodes):
        layout_keys = () if isinstance(node, Derived) else _LAYOUT_KEYS
        for key in layout_keys:
            formula = getattr(node, key, None)
            if isinstance(formula, Formula):
                found.append((formula, True))
        wire = getattr(node, "wire", None)
        if wire is not None and not isinstance(wire, IntWire) and isinstance(wire.size, Formula):
            found.append((wire.size, True))
        value_keys = ("formula", "test") if isinstance(node, Derived) else ("negate", "keep")
        for key in value_keys:
            formula = getattr(node, key, None)
            if isinstance(formula, Formula):
                found.append((formula, False))
    return found
