"""Rows of a spec -> nodes of a layout, with every mistake named by its place in the file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.checksum import checksum
from decoders.checksum import names as checksum_names
from decoders.convert import PLAIN, Convert
from decoders.layout import (
    Bit,
    Branch,
    BytesWire,
    Check,
    Condition,
    Counts,
    Derived,
    Group,
    IntWire,
    Node,
    Nodes,
    Prefix,
    Repeat,
    Rest,
    Size,
    Skip,
    Span,
    Tags,
    Value,
    Wire,
    fixed_size,
)
from decoders.raw import is_number
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder, Report, words_of
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.words import integer, known_words, wire_of, without_size

SPECIAL_NAMES = frozenset({"remaining", "next_u8", "next_u16", "length", "port"})
"""Names that layout formulas may read besides fields: bytes left in the window, the integer (big-endian) of the next
bytes, which stay unread (no value when they are not there), body length, port."""
_MAX_ENUM = 4096
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
                return self._value(row, path, structure, conditional)
            case model.FormulaRow():
                return self._formula_row(row, path, structure, conditional)
            case model.UseRow():
                return self._use(row, path, structure, conditional)
            case model.SkipRow():
                size = self.size(row.skip, None, path, "skip")
                return (Skip(size),) if size is not None else ()
            case model.GroupRow():
                return self._group(row, path, structure, conditional)
            case model.ListRow():
                return self._list(row, path, structure)
            case model.SwitchRow():
                return self._switch(row, path, structure)
            case model.ItemsRow():
                return self.items(row.items, (*path, "items"), structure)
        raise AssertionError(f"a row of kind {type(row).__name__} is not built")

    # values

    def _value(self, row: model.ValueRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
        big = row.endian == "big" if row.endian else self.big
        if row.crc is not None:
            return self._check(row, path, big)
        size = self.size(row.bytes, row.prefix, path, "bytes")
        found = wire_of(row.type, size, big)
        if found is None:
            self._unknown_type(row, path)
            return ()
        wire, clock = found
        if isinstance(wire, BytesWire):
            wire = replace(
                wire,
                encoding=row.encoding or "ascii",
                trim=row.trim is not False,
                digits=row.digits or 0,
                size=wire.size if size is None else size,
            )
        elif size is not None and not without_size(row.type):
            self.report((*path, "bytes"), f"`{row.type}` has its own size", "remove `bytes` and `prefix`")
        convert = self.converts.of_row(row, path, clock, wire)
        const = self._const(row, path, wire)
        bits = self._bits(row, path, wire, structure, conditional)
        silent = row.counts is not None or row.const is not None or bool(bits)
        hidden = silent if row.hidden is None else row.hidden
        if not hidden or row.identity or row.session:
            number = is_number(wire) and not clock
            self._note(structure, row, path, conditional, clock=bool(clock), number=number, convert=convert)
        return (
            Value(
                row.name,
                wire,
                convert,
                hidden=hidden,
                bits=bits,
                negate=self.converts.formula(row.negate, (*path, "negate")),
                const=const,
                counts=self._counts(row.counts, row.adjust),
                equals=row.equals or "",
                default=row.default,
            ),
        )

    def _unknown_type(self, row: model.ValueRow, path: Path) -> None:
        if without_size(row.type):
            self.report((*path, "type"), f"`{row.type}` needs `bytes: n`, `bytes: rest` or `prefix: u8`", "")
            return
        near = difflib.get_close_matches(row.type, known_words(), 1, 0.5)
        hint = f"did you mean `{near[0]}`?" if near else "types are u8 i16le u24 f32 bcd hex text mac unix32 ymdhms …"
        self.report((*path, "type"), f"unknown type `{row.type}`", hint)

    def _const(self, row: model.ValueRow, path: Path, wire: Wire) -> int | str | None:
        if row.const is None:
            return None
        if isinstance(wire, IntWire):
            value = row.const if isinstance(row.const, int) else int(row.const, 16)
            if not 0 <= value < 1 << wire.size * 8:
                self.report((*path, "const"), f"{value} does not fit into `{row.type}`", "")
                return None
            return value
        return row.const if isinstance(row.const, str) else f"{row.const:x}"

    def _check(self, row: model.ValueRow, path: Path, big: bool) -> Nodes:
        """A check value. One that is wrong keeps its place, so that it causes no further problems."""
        word = row.type if row.type != "check" else "u16"
        check = None
        try:
            algorithm = checksum(row.crc or "")
            word = row.type if row.type != "check" else f"u{algorithm.bits}"
            check = Check(algorithm.name, Span(-1, -1))
        except KeyError:
            near = difflib.get_close_matches(row.crc or "", checksum_names(), 1, 0.4)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(checksum_names())}"
            self.report((*path, "crc"), f"unknown check value `{row.crc}`", hint)
        wire = integer(word, big)
        if wire is None:
            self.report((*path, "type"), f"a check value is an integer, not `{row.type}`", "such as u16")
        return (Value(row.name, wire or IntWire(2), PLAIN, hidden=True, check=check),)

    def _counts(self, text: str | None, adjust: int) -> Counts | None:
        """The span is resolved by `frames.py`, which knows the whole frame."""
        return None if text is None else Counts(None if text == "body" else Span(-1, -1), adjust)

    def _bits(
        self, row: model.ValueRow, path: Path, wire: Wire, structure: Structure, conditional: bool
    ) -> tuple[Bit, ...]:
        if not row.bits:
            return ()
        if not isinstance(wire, IntWire):
            self.report((*path, "bits"), f"only integers have bits, not `{row.type}`", "such as u16")
            return ()
        bits: list[Bit] = []
        for name, given in row.bits.items():
            here = (*path, "bits", name)
            part = given if isinstance(given, model.BitField) else model.BitField(at=given)
            low, high = self.converts.bit_span(part.at, here)
            if low < 0 or high >= wire.size * 8:
                self.report(here, f"bits {part.at} are not within `{row.type}`", f"0 to {wire.size * 8 - 1}")
                continue
            width = high - low + 1
            convert = self.converts.of_bits(part, here, width)
            hidden = part.counts is not None if part.hidden is None else part.hidden
            bits.append(Bit(name, low, width, convert, hidden, self._counts(part.counts, 0)))
            if not hidden:
                note = ValueNote(
                    name,
                    here,
                    unit=part.unit,
                    range=part.range,
                    metric=row.metric if part.metric is None else part.metric,
                    words=words_of(convert),
                    number=convert.keeps_numbers,
                    conditional=conditional,
                    note=part.note,
                )
                structure.add(note)
        return tuple(bits)

    def _formula_row(self, row: model.FormulaRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
        formula = self.converts.formula(row.formula, (*path, "formula"))
        if formula is None:
            return ()
        convert = Convert(decimals=row.decimals) if row.decimals is not None else PLAIN
        if not row.hidden or row.identity or row.session:
            self._note(structure, row, path, conditional, derived=True, tolerant=formula.tolerant)
        test = self.converts.formula(row.if_, (*path, "if"))
        return (Derived(row.name, formula, convert, bool(row.hidden), test),)

    def _note(
        self,
        structure: Structure,
        row: model.ValueOptions,
        path: Path,
        conditional: bool,
        *,
        clock: bool = False,
        derived: bool = False,
        tolerant: bool = False,
        number: bool = False,
        convert: Convert = PLAIN,
    ) -> None:
        name: str = getattr(row, "name")  # noqa: B009 - every row with options has a name
        timestamp = row.timestamp or ("device" if clock and name == "time" else "")
        note = ValueNote(
            name,
            path,
            unit=row.unit,
            range=row.range,
            required=row.required,
            metric=row.metric,
            identity=row.identity or "",
            timestamp=timestamp,
            session=row.session or "",
            clock=clock,
            derived=derived,
            tolerant=tolerant,
            words=words_of(convert),
            number=number and convert.keeps_numbers,
            conditional=conditional,
            note=row.note,
        )
        structure.add(note)

    # structures

    def _use(self, row: model.UseRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
        rows = self.spec.blocks.get(row.use)
        if rows is None:
            self.converts.unknown(row.use, self.spec.blocks, (*path, "use"), "block")
            return ()
        if not self._enter(row.use, (*path, "use")):
            return ()
        nodes = self.build(rows, ("blocks", row.use), structure, conditional=conditional)
        self._used.pop()
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

    def _list(self, row: model.ListRow, path: Path, structure: Structure) -> Nodes:
        inner = structure.inner[row.list_] = Structure()
        structure.lists.add(row.list_)
        if not row.metric:
            structure.quiet.add(row.list_)
        nodes = self.build(row.fields, (*path, "fields"), inner)
        return (
            Repeat(
                row.list_,
                nodes,
                count=self.converts.formula(row.count, (*path, "count")),
                count_wire=self._integer(row.count_type, (*path, "count_type")),
                size=self.size(row.bytes, None, path, "bytes"),
                left=self.converts.formula(row.until_left, (*path, "until_left")),
                item_prefix=self._integer(row.item_prefix, (*path, "item_prefix")),
                keep=self.converts.formula(row.keep, (*path, "keep")),
                max_items=row.max,
            ),
        )

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

    def items(self, spec: model.ItemsSpec, path: Path, structure: Structure) -> Nodes:
        """A tag list."""
        length: IntWire | int | None = None
        if isinstance(spec.length, int):
            length = spec.length
        elif spec.length is not None:
            length = self._integer(spec.length, (*path, "length"))
        if spec.length_first and not isinstance(spec.length, str):
            self.report((*path, "length_first"), "there is no length on the wire", "such as `length: u8`")
        tags = self._tags(spec, path, structure, length)
        unknown, unknown_wire = self._on_unknown(spec, path, structure)
        if spec.raw:
            structure.notes[spec.raw] = ValueNote(spec.raw, (*path, "raw"), metric=False, conditional=True)
        return (
            Tags(
                self._integer(spec.key, (*path, "key")) or IntWire(1),
                length,
                tags,
                unknown,
                unknown_wire,
                spec.raw or "",
                spec.length_counts == "key_and_value",
                spec.length_first,
                self.converts.formula(spec.count, (*path, "count")),
                self._integer(spec.count_type, (*path, "count_type")),
                self.size(spec.bytes, None, path, "bytes"),
                spec.max,
            ),
        )

    def _tags(
        self, spec: model.ItemsSpec, path: Path, structure: Structure, length: IntWire | int | None
    ) -> tuple[tuple[int, Nodes], ...]:
        """Key -> nodes. Items of a fixed size use those rows of a shared table that have this size."""
        if isinstance(spec.tags, str):
            return self._shared_tags(spec.tags, path, structure, length)
        tags = []
        for key, rows in spec.tags.items():
            here = (*path, "tags", key)
            nodes = self.build([_sized(row, length) for row in rows], here, structure, conditional=True)
            size = fixed_size(nodes)
            if isinstance(length, int) and size not in (None, length):
                self.report(here, f"the rows take {size} bytes, the items have {length}", "use `skip` or another type")
            tags.append((key, nodes))
        return tuple(tags)

    def _shared_tags(
        self, name: str, path: Path, structure: Structure, length: IntWire | int | None
    ) -> tuple[tuple[int, Nodes], ...]:
        table = self.spec.tags.get(name)
        if table is None:
            self.converts.unknown(name, self.spec.tags, (*path, "tags"), "table of tags")
            return ()
        if not self._enter(f"tags {name}", (*path, "tags")):
            return ()
        tags = []
        for key, rows in table.items():
            mine = Structure()
            nodes = self.build([_sized(row, length) for row in rows], ("tags", name, key), mine, conditional=True)
            if not isinstance(length, int) or fixed_size(nodes) in (None, length):
                structure.take(mine)
                tags.append((key, nodes))
        self._used.pop()
        return tuple(tags)

    def _enter(self, name: str, path: Path) -> bool:
        """Marks a shared block or table as being built; False when it contains itself."""
        if name in self._used:
            self.report(path, f"`{name}` contains itself: {' -> '.join([*self._used, name])}", "")
            return False
        self._used.append(name)
        return True

    def _on_unknown(self, spec: model.ItemsSpec, path: Path, structure: Structure) -> tuple[str, Wire | None]:
        if isinstance(spec.on_unknown, str):
            return spec.on_unknown, None
        into = spec.on_unknown
        structure.inner.setdefault(into.into, Structure())
        wire: Wire = BytesWire(Rest(), "hex")
        if into.type is not None:
            found = wire_of(into.type, spec.length if isinstance(spec.length, int) else Rest(), self.big)
            if found is None:
                self.report((*path, "on_unknown", "type"), f"unknown type `{into.type}`", "such as u16 or hex")
            else:
                wire = found[0]
        if spec.length is None and isinstance(wire, BytesWire):
            self.report((*path, "on_unknown"), "the size of an unknown tag is not known", "use `stop` or `refuse`")
        return f"into:{into.into}", wire

    # parts

    def size(self, given: str | None, prefix: str | None, path: Path, key: str) -> Size | None:
        if prefix is not None:
            wire = self._integer(prefix, (*path, "prefix"))
            return Prefix(wire) if wire else None
        if given is None:
            return None
        if given == "rest":
            return Rest()
        if given.isdigit():
            return int(given)
        return self.converts.formula(given, (*path, key))

    def _integer(self, word: str | None, path: Path) -> IntWire | None:
        if word is None:
            return None
        wire = integer(word, self.big)
        if wire is None:
            self.report(path, f"`{word}` is no integer type", "such as u8 or u16le")
        return wire


def _sized(row: Any, length: IntWire | int | None) -> Any:
    """In a tag with a length, a value whose type has no size of its own takes the whole item."""
    sizeless = isinstance(row, model.ValueRow) and without_size(row.type) and row.bytes is None and row.prefix is None
    if length is not None and sizeless:
        return row.model_copy(update={"bytes": str(length) if isinstance(length, int) else "rest"})
    return row
