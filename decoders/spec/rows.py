"""Rows of a spec -> nodes of a layout, with every mistake named by its place in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.layout import Branch, Condition, Group, IntWire, Node, Nodes, Prefix, Rest, Size, Skip
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder, Report
from decoders.spec.list_rows import list_row, tag_list
from decoders.spec.notes import Path, Structure
from decoders.spec.value_rows import formula_row, value_row
from decoders.spec.words import integer as integer_type

SPECIAL_NAMES = frozenset({"remaining", "next_u8", "next_u16", "length", "port"})
"""Names that layout formulas may read besides fields: bytes left in the window, the integer (big-endian) of the next
bytes, which stay unread (no value when they are not there), body length, port."""
_MAX_NODES = 5000


@dataclass(slots=True)
class RowBuilder:
    """Builds nodes for one spec. Collects problems instead of raising, so that an author sees all of them."""

    spec: model.SpecFile
    report: Report
    big: bool = True
    converts: ConvertBuilder = field(init=False)
    _used: list[str] = field(default_factory=list)
    _nodes: int = 0

    def __post_init__(self) -> None:
        self.converts = ConvertBuilder(self.spec, self.report)

    def build(self, rows: Sequence[Any], path: Path, structure: Structure, *, conditional: bool = False) -> Nodes:
        nodes: list[Node] = []
        for index, row in enumerate(rows):
            self._nodes += 1
            if self._nodes > _MAX_NODES:
                self.report(path, f"the spec unfolds into more than {_MAX_NODES} rows", "use fewer or smaller blocks")
                return tuple(nodes)
            here = (*path, index)
            test = self.converts.formula(getattr(row, "if_", None), (*here, "if"))
            built = self._row(row, here, structure, conditional or test is not None)
            if test is None or not built or isinstance(row, model.FormulaRow):
                nodes.extend(built)  # the `if` of a formula row reads values and belongs to the row
            else:
                nodes.append(Condition(test, built))
        return tuple(nodes)

    def _row(self, row: Any, path: Path, structure: Structure, conditional: bool) -> Nodes:
        match row:
            case model.ValueRow():
                return value_row(self, row, path, structure, conditional)
            case model.FormulaRow():
                return formula_row(self, row, path, structure, conditional)
            case model.UseRow():
                return self._use(row, path, structure, conditional)
            case model.SkipRow():
                size = self.size(row.skip, None, path, "skip")
                return (Skip(size),) if size is not None else ()
            case model.GroupRow():
                return self._group(row, path, structure, conditional)
            case model.ListRow():
                return list_row(self, row, path, structure)
            case model.SwitchRow():
                return self._switch(row, path, structure)
            case model.ItemsRow():
                return tag_list(self, row.items, (*path, "items"), structure)
        raise AssertionError(f"a row of kind {type(row).__name__} is not built")

    # structures

    def _use(self, row: model.UseRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
        rows = self.spec.blocks.get(row.use)
        if rows is None:
            self.converts.unknown(row.use, self.spec.blocks, (*path, "use"), "block")
            return ()
        if not self.enter(row.use, (*path, "use")):
            return ()
        nodes = self.build(rows, ("blocks", row.use), structure, conditional=conditional)
        self.leave()
        return nodes

    def _group(self, row: model.GroupRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
        size = self.size(row.bytes, row.prefix, path, "bytes")
        if isinstance(size, Prefix) and row.prefix_counts_itself:
            size = Prefix(size.wire, itself=True)
        inner = structure
        if row.group:
            inner = structure.inner[row.group] = Structure()
        nodes = self.build(row.fields, (*path, "fields"), inner, conditional=conditional)
        return (Group(row.group or "", nodes, size, row.rest == "skip"),)

    def _switch(self, row: model.SwitchRow, path: Path, structure: Structure) -> Nodes:
        on = self.converts.formula(row.switch, (*path, "switch"))
        if on is None:
            return ()
        cases = []
        for key, rows in row.cases.items():
            here = (*path, "cases", key)
            parts = [key] if isinstance(key, int) else [part.strip() for part in key.split(",")]
            spans = tuple(span for part in parts for span in self.converts.spans(part, here))
            cases.append((spans, self.build(rows, here, structure, conditional=True)))
        default = None
        if row.default != "refuse":
            default = self.build(row.default, (*path, "default"), structure, conditional=True)
        return (Branch(on, tuple(cases), default),)

    def enter(self, name: str, path: Path) -> bool:
        """Marks a shared block or table as being built; False when it contains itself."""
        if name in self._used:
            self.report(path, f"`{name}` contains itself: {' -> '.join([*self._used, name])}", "")
            return False
        self._used.append(name)
        return True

    def leave(self) -> None:
        self._used.pop()

    # parts

    def size(self, given: str | None, prefix: str | None, path: Path, key: str) -> Size | None:
        if prefix is not None:
            wire = self.integer(prefix, (*path, "prefix"))
            return Prefix(wire) if wire else None
        if given is None:
            return None
        if given == "rest":
            return Rest()
        if given.isdigit():
            return int(given)
        return self.converts.formula(given, (*path, key))

    def integer(self, word: str | None, path: Path) -> IntWire | None:
        if word is None:
            return None
        wire = integer_type(word, self.big)
        if wire is None:
            self.report(path, f"`{word}` is no integer type", "such as u8 or u16le")
        return wire
