"""Values of documents (JSON, CSV): which names a structure has, and of what kind each is.

It is told by the same nodes and notes that its frames are read by. Of a message that comes in frames of bytes too,
documents hold final values: scale and names do not apply, but clocks, formulas and the contract do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from decoders.document_kinds import Kind, kind_of
from decoders.errors import DecodeCode, DecodeError
from decoders.faults import Fault, fault_of_result
from decoders.formula import Formula
from decoders.layout import Branch, Condition, Derived, Group, Nodes, Repeat, Tags, Value
from decoders.spec.notes import Structure

__all__ = ["DocumentFields", "document_fields", "extra_values"]


@dataclass(slots=True)
class DocumentFields:
    """The values of one structure: kinds by name, groups and lists by name, what is computed, what is not shown.
    faults: what to say of computed ones (by `id`) that have no value. packed: rows whose bits are values, and negated:
    those whose sign is told by others, in messages that come as documents only. direct: types of values that need
    nothing done, by name (`settle`)."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    groups: dict[str, DocumentFields] = field(default_factory=dict)
    lists: dict[str, DocumentFields] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    packed: list[Value] = field(default_factory=list)
    negated: list[tuple[str, Formula]] = field(default_factory=list)
    max_items: int = 1000
    keep: Formula | None = None
    direct: dict[str, tuple[type, ...]] = field(default_factory=dict)

    def settle(self) -> None:
        """Once all rows are known."""
        self.direct = {name: types for name, kind in self.kinds.items() if (types := kind.direct)}
        for inner in (*self.groups.values(), *self.lists.values()):
            inner.settle()

    @property
    def names(self) -> set[str]:
        return {*self.cells, *self.groups, *self.lists}

    @property
    def cells(self) -> set[str]:
        """Names of what is one value in the document."""
        return {*self.kinds, *(row.name for row in self.packed)}


def document_fields(
    nodes: Nodes, structure: Structure, loose: Collection[str] = (), *, final: bool = True
) -> DocumentFields:
    """loose: values whose rows say no type. final: the documents hold values, not what the rows would read."""
    notes = structure.notes.items()
    fields = DocumentFields(kinds={name: Kind("clock" if note.clock else "any") for name, note in notes})
    gathered = _Gathered(structure, fields, loose, final)
    gathered.take(nodes)
    fields.hidden -= {*gathered.shown, *structure.notes}
    for node in fields.derived:
        note, fault = structure.notes.get(node.name), fault_of_result(node)
        if fault is not None and note is not None and not note.conditional:  # a document does not say what was reached
            fields.faults[id(node)] = fault
    return fields


@dataclass(slots=True)
class _Gathered:
    """What the nodes of one structure say. shown: names that are no secret; told: names that rows gave a kind."""

    structure: Structure
    fields: DocumentFields
    loose: Collection[str]
    final: bool
    shown: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    def take(self, nodes: Nodes) -> None:
        for node in nodes:
            match node:
                case Value():
                    self._value(node)
                case Derived():
                    self._see(node.name, hidden=node.hidden)
                    self.fields.derived.append(node)
                    if node.convert.absent and node.name in self.fields.kinds:
                        self.fields.kinds[node.name].absent = node.convert.absent
                case Repeat(plain=True):
                    inside = _Gathered(Structure(), DocumentFields(), self.loose, self.final)
                    inside.take(node.nodes)
                    kind = inside.fields.kinds.get(node.name, Kind())
                    kind.items = True
                    self._kind(node.name, kind)
                case Repeat():
                    self._list(node)
                case Group(name="") | Condition():
                    self.take(node.nodes)
                case Group():
                    known = self.structure.inner.get(node.name, Structure())
                    self.fields.groups[node.name] = document_fields(node.nodes, known, self.loose, final=self.final)
                case Branch():
                    for _, rows in node.cases:
                        self.take(rows)
                    self.take(node.default or ())
                case Tags():
                    for _, rows in node.tags:
                        self.take(rows)

    def _see(self, name: str, *, hidden: bool) -> None:
        (self.fields.hidden if hidden else self.shown).add(name)

    def _kind(self, name: str, kind: Kind) -> None:
        """Where rows of one name differ, as in the cases of a switch, nothing is known of the value."""
        before = self.fields.kinds.get(name)
        if name in self.told and before is not None and (before.word, before.items) != (kind.word, kind.items):
            kind = Kind(absent=kind.absent, words=kind.words)
        self.told.add(name)
        self.fields.kinds[name] = kind

    def _value(self, node: Value) -> None:
        self._see(node.name, hidden=node.hidden)
        silent = node.const is not None or node.counts is not None or node.check is not None or bool(node.bits)
        if not (node.hidden and silent) or node.name in self.structure.notes:
            self._kind(node.name, kind_of(node, final=self.final, loose=node.name in self.loose))
        for bit in node.bits:
            if not bit.hidden:
                self.shown.add(bit.name)
                self._kind(bit.name, kind_of(bit, final=self.final))
        if not self.final and node.bits:
            self.fields.packed.append(node)
        if not self.final and node.negate is not None:
            self.fields.negated.append((node.name, node.negate))

    def _list(self, node: Repeat) -> None:
        name = node.into or node.name
        inner = document_fields(node.nodes, self.structure.inner.get(name, Structure()), self.loose, final=self.final)
        inner.max_items, inner.keep = node.max_items, node.keep
        known = self.fields.lists.setdefault(name, inner)
        if known is not inner:
            known.kinds |= inner.kinds
            known.derived += inner.derived
            known.faults |= inner.faults
            known.packed += inner.packed
            known.negated += inner.negated


_MAX_EXTRA = 512
_NO_VALUES = frozenset(
    {
        *("device_id", "device_uuid", "hub_id", "childDeviceId", "device_timestamp", "hub_timestamp", "ts", "header"),
        *("trace_id", "productId", "message", "type", "measurement", "tags", "nodes", "data", "metrics", "fields"),
    }
)
"""Names that say something else in all documents of the gateway."""


def extra_values(document: Mapping[str, Any], fields: DocumentFields) -> dict[str, Any]:
    """The values that a document has and its message does not name: of its `metrics`, `fields` and `data.metrics`; of
    its top where it has none of these. Raises DecodeError(too_many_items)."""
    data = document.get("data")
    inner = data.get("metrics") if isinstance(data, dict) else None
    given = (inner, document.get("fields"), document.get("metrics"))
    places: list[Mapping[str, Any]] = [place for place in given if isinstance(place, dict)]
    known = fields.names
    found = {
        name: value
        for place in places or [document]
        for name, value in place.items()
        if value is not None and name not in _NO_VALUES and name not in known and name.isprintable()
    }
    if len(found) > _MAX_EXTRA:
        raise DecodeError(DecodeCode.TOO_MANY_ITEMS, f"{len(found)} values, at most {_MAX_EXTRA} allowed")
    return found
