"""Layout formulas of a message (`if`, `count`, `bytes`, `switch` ...): which raw values they may read, of which kind.

A layout formula is worked out while the bytes are read. So it sees what was read before it: in its own structure, in
those around it, in header and trailer; in a tag list also what items of other tags gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from decoders.formula import Formula
from decoders.layout import (
    Bit,
    Branch,
    BytesWire,
    Condition,
    FloatWire,
    FormulaWire,
    Given,
    Group,
    IntWire,
    Nodes,
    Repeat,
    Skip,
    Tags,
    Value,
    walk,
)
from decoders.raw import INTEGER_FORMS, MIXED, as_size
from decoders.spec.formula_faults import Faults, compared
from decoders.spec.model_rows import SwitchRow
from decoders.spec.problems import nearest
from decoders.spec.words import whole_number_hint
from decoders.text_forms import WHOLE_FORMS
from decoders.window_calls import body_called, without_calls

__all__ = ["RawScopes", "branches", "kind_of"]

There: TypeAlias = dict[str, Any]
"""Raw values that are there: name -> the node or bit that gives it."""
_NEXT = frozenset({"remaining", "next_u8", "next_u16"})
_TEXTS = frozenset({"text", "hex", "bcd", "mac", "raw"})
_READ_AS = {"bcd": "read it as `bcdnumber`", "text": "read it as `number`"}


def kind_of(node: Any) -> str:
    """What the raw values of a node or bit are: `integer`, `text`, `fraction`; "" where that is not known."""
    match node:
        case Bit() | Value(wire=IntWire()):
            return "integer"
        case Value(wire=FloatWire()):
            return "fraction"
        case Value(wire=BytesWire(form=form)):
            if form in INTEGER_FORMS or form in WHOLE_FORMS or (form in MIXED and not form.startswith("f")):
                return "integer"
            return "text" if form in _TEXTS else ""
    return ""


def branches(node: Branch) -> Iterator[Nodes]:
    """The rows of all cases, and the default's."""
    yield from (rows for _, rows in node.cases)
    yield node.default or ()


def _own(nodes: Nodes) -> There:
    """The raw values of one structure, whatever of it is there."""
    found: There = {}
    for node in nodes:
        match node:
            case Value():
                found |= {part.name: part for part in node.parts}
            case Given(raw=True) | Repeat():
                found[node.name] = node
            case Condition():
                found |= _own((*node.nodes, *node.otherwise))
            case Branch():
                for rows in branches(node):
                    found |= _own(rows)
            case Group():
                found |= {node.name: node} if node.name else _own(node.nodes)
            case Tags():
                for _, rows in node.tags:
                    found |= _own(rows)
    return found


def _inside(node: Group | Repeat) -> str:
    """The structure that a node makes; "" for a group without a name, which makes none."""
    if isinstance(node, Repeat):
        return f"the items of `{node.name}`"
    return f"the group `{node.name}`" if node.name else ""


def _everywhere(nodes: Nodes, inside: str = "") -> Iterator[tuple[str, str]]:
    """All raw values by name, each with the list or group that it stands in."""
    yield from ((name, inside) for name in _own(nodes))
    for node in nodes:
        match node:
            case Condition():
                yield from _everywhere(node.nodes, inside)
            case Branch():
                for rows in branches(node):
                    yield from _everywhere(rows, inside)
            case Group():
                yield from _everywhere(node.nodes, _inside(node) or inside)
            case Repeat():
                yield from _everywhere(node.nodes, _inside(node))
            case Tags():
                yield from _everywhere(node.header, "the header of each item")
                for _, rows in node.tags:
                    yield from _everywhere(rows, inside)


@dataclass(slots=True)
class RawScopes:
    """Checks the layout formulas of one message.

    frame: header and trailer, which are read before the body. known: names that are there everywhere. computed: names
    of values by formula.
    """

    frame: Nodes
    body: Nodes
    known: set[str]
    computed: set[str]
    faults: Faults
    _inside: str = ""
    _before_body: bool = False  # header and trailer are read first: nothing is known of the body

    def check(self) -> None:
        there: There = {}
        self._before_body = True
        self._rows(self.frame, there)
        self._before_body = False
        for node in walk(self.body):
            self._no_length(node)
        self._rows(self.body, there)

    def _rows(self, nodes: Nodes, there: There, inside: str = "") -> None:
        """Adds what these nodes give to `there`. inside: the structure that they begin; "": they go on with one."""
        before = self._inside
        self._inside = inside or before
        for node in nodes:
            match node:
                case Value():
                    if isinstance(node.wire, FormulaWire):
                        self._formula(node.wire.formula, there)
                    self._size(getattr(node.wire, "size", None), there)
                    self._equals(node, there)
                    there |= {part.name: part for part in node.parts}
                    for part in node.parts:
                        self._naming(part, there)
                case Given():
                    there |= {node.name: node} if node.raw else {}
                    self._naming(node, there)
                case Skip():
                    self._size(node.size, there)
                case Condition():
                    self._formula(node.test, there)
                    self._rows((*node.nodes, *node.otherwise), there)
                case Branch():
                    self._formula(node.on, there)
                    self._cases(node, there)
                    for rows in branches(node):
                        self._rows(rows, there)
                case Group():
                    self._size(node.size, there)
                    self._rows(node.nodes, dict(there) if node.name else there, _inside(node))
                    self._naming(node, there)
                    there |= {node.name: node} if node.name else {}
                case Repeat():
                    self._repeat(node, there)
                case Tags():
                    self._tags(node, there)
        self._inside = before

    def _repeat(self, node: Repeat, there: There) -> None:
        for size in (node.count, node.size, node.left):
            self._size(size, there)
        inner = dict(there)
        beside = there.get(node.into)
        if isinstance(beside, Repeat):
            inner |= _own(beside.nodes)
        self._rows(node.nodes, inner, _inside(node))
        self._formula(node.going, inner)
        there[node.name] = node

    def _tags(self, node: Tags, there: There) -> None:
        for size in (node.count, node.size, node.left):
            self._size(size, there)
        there |= _own((node,))  # of the items before
        self._formula(node.going, there)
        head = dict(there)
        self._rows(node.header, head)
        self._formula(node.key, head)
        self._formula(node.length, head)
        for _, rows in node.tags:
            self._rows(rows, dict(head))
        if node.raw:
            there[node.raw] = node

    def _equals(self, node: Value, there: There) -> None:
        """Header and trailer are compared as a whole, all else with what was read before."""
        if not node.equals or node.equals in there or (node in self.frame and node.equals in _own(self.frame)):
            return
        close = nearest(node.equals, sorted(there))
        hint = f"did you mean `{close}`?" if close else "the name of an integer that is read before"
        self.faults.at(node, "equals", f"there is no field `{node.equals}` before this one", hint)

    def _no_length(self, node: Any) -> None:
        if isinstance(node, Value) and any(part.counts is not None for part in node.parts):
            hint = "`prefix: u8` of a group or value, `bytes: length`, or a row of `header`"
            self.faults.at(node, "counts", "the length of a frame stands in its header or trailer", hint)

    # formulas

    def _naming(self, part: Any, there: There) -> None:
        if part.place is not None and part.place.naming is not None:
            for formula in part.place.naming.parts:
                self._formula(formula, there)

    def _formula(self, formula: Any, there: There) -> None:
        """Whatever is no formula is right."""
        if not isinstance(formula, Formula):
            return
        for name in without_calls(formula.names):
            if name not in there and name not in self.known:
                self._missing(formula, name, there)
            elif name == "length" and name not in there and self._before_body:
                hint = "`remaining`, a field that says it, or a row of the messages' `fields`"
                self.faults.add(formula, "`length` is the body's, which is not known in header and trailer", hint)
            elif name in _NEXT and name in there and id(formula) in self.faults.places.known:
                self.faults.add(formula, f"`{name}` is what comes next, and a row is called so too", "rename the row")
        if self._before_body and any(body_called(name) is not None for name in formula.names):
            hint = "`next_u8`, a field of the header, or a row of the messages' `fields`"
            self.faults.add(formula, "its bytes are the body's, which is not known in header and trailer", hint)
        for name, word in compared(formula):
            if isinstance(word, str) and kind_of(there.get(name)) == "integer":
                self.faults.add(formula, f"`{name}` is an integer here, never '{word}'", _raw_of(there[name], word))

    def _size(self, size: Any, there: There) -> None:
        """A formula that gives a count or size."""
        if not isinstance(size, Formula):
            return
        self._formula(size, there)
        if not size.names:
            value = as_size(size.raw_function())
            if not isinstance(value, int) or value < 0:
                self.faults.add(size, "a size is a whole number from 0 on", "such as 4, `rest`, or `length - 4`")
            return
        giver = there.get(size.text)
        kind = kind_of(giver)
        if kind == "text" and isinstance(giver, Value) and isinstance(giver.wire, BytesWire):
            hint = _READ_AS.get(giver.wire.form, "read it as an integer such as u8")
            self.faults.add(size, "it is a text, and here stands a whole number", hint)
        elif kind == "fraction":
            self.faults.add(size, "it may have decimals, and here stands a whole number", "read it as an integer")

    def _missing(self, formula: Formula, name: str, there: There) -> None:
        """Why a name is not there."""
        places = [inside for other, inside in _everywhere((*self.frame, *self.body)) if other == name]
        if places and not {"", self._inside} & set(places):
            what = f"`{name}` stands in {places[0]}, which only formulas in there can read"
            self.faults.add(formula, what, "use a field of this structure")
        elif places:
            hint = "put that row first; `u8(n)` or `u16(n)` reads bytes of the body that come later"
            self.faults.add(formula, f"`{name}` is read behind this row", hint)
        elif name in self.computed:
            what = f"`{name}` is a value by formula, and those are worked out when all bytes are read"
            self.faults.add(formula, what, "write its formula here, over raw integers")
        else:
            self.faults.no_field(formula, name, there, self.known)

    def _cases(self, node: Branch, there: There) -> None:
        """Texts as cases of an integer are never taken."""
        origin = self.faults.origins.of(node)
        giver = there.get(node.on.text)
        if origin is None or not isinstance(origin.row, SwitchRow) or kind_of(giver) != "integer":
            return
        for key, (spans, _) in zip(origin.row.cases, node.cases, strict=False):
            words = [low for low, _ in spans if isinstance(low, str)]
            if words and not any(isinstance(low, int) for low, _ in spans):
                message = f"`{node.on.text}` is an integer, never '{words[0]}'"
                self.faults.report((*origin.path, "cases", key), message, _raw_of(giver, words[0]))


def _raw_of(giver: Any, word: str) -> str:
    """What to write in place of a word that an integer never is."""
    enum = giver.convert.enum or {}
    raw = next((raw for raw, name in enum.items() if name == word), None)
    return whole_number_hint(word) if raw is None else f"raw values stand here: {raw} is `{word}`"
