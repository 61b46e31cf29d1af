"""Rows of a spec -> nodes of a layout, with every mistake named by its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.layout import (
    Branch,
    Condition,
    Derived,
    Group,
    IntWire,
    Node,
    Nodes,
    Place,
    Prefix,
    Rest,
    Size,
    fixed_size,
)
from decoders.naming import resolved
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder
from decoders.spec.list_rows import list_row, tag_list
from decoders.spec.names import given_instead, place_of, repeats
from decoders.spec.notes import Path, Report, Structure
from decoders.spec.origins import Origins
from decoders.spec.python_rows import is_python, known_function, python_row
from decoders.spec.record_rows import RecordTag, reads_record, record_list, record_row
from decoders.spec.result_rows import raw_row
from decoders.spec.sentinels import as_signed
from decoders.spec.text_items import text_tags
from decoders.spec.text_rows import (
    is_bounded,
    is_optional,
    literal_row,
    optional_nodes,
    own_size,
    rest_size,
    skip_row,
    split_of,
    unless_empty,
)
from decoders.spec.value_rows import formula_row, value_row
from decoders.spec.words import integer as integer_type
from decoders.spec.words import is_whole

_MAX_NODES = 10_000
_MAX_NESTING = 40  # of rows within rows, through blocks too
_MAX_SIZE_DIGITS = 7


@dataclass(slots=True)
class RowBuilder:
    """Builds nodes for one spec. Collects problems instead of raising, so that an author sees all of them."""

    spec: model.SpecFile
    report: Report
    big: bool = True
    text: bool = False  # the rows are those of a text frame, whose values are parted by `split` (b"": nothing)
    split: bytes = b""
    converts: ConvertBuilder = field(init=False)
    origins: Origins = field(default_factory=Origins)
    constants: dict[str, int | str] = field(default_factory=dict)  # what names may be built from: `key` within a tag
    record: RecordTag | None = None  # the rows are those of a self-describing record
    answered: frozenset[str] = frozenset()  # names that replies read: such a row is no metric rather than hidden
    integers: dict[str, bool] = field(default_factory=dict)  # raw value -> every row of the name reads an integer
    signed: dict[str, tuple[int, str] | None] = field(default_factory=dict)  # raw value -> width, sign
    _used: list[str] = field(default_factory=list)
    _nodes: int = 0
    _nesting: int = 0

    def __post_init__(self) -> None:
        self.converts = ConvertBuilder(self.spec, self.report)

    def build(self, rows: Sequence[Any], path: Path, structure: Structure, *, conditional: bool = False) -> Nodes:
        if self._nesting >= _MAX_NESTING:
            self.report(path, f"rows nest more than {_MAX_NESTING} levels deep", "use fewer blocks within blocks")
            return ()
        self._nesting += 1
        nodes = self._build(rows, path, structure, conditional)
        self._nesting -= 1
        return tuple(nodes)

    def _build(self, rows: Sequence[Any], path: Path, structure: Structure, conditional: bool) -> list[Node]:
        nodes: list[Node] = []
        may_end = False  # behind an optional row all others are optional too
        for index, row in enumerate(rows):
            before, self._nodes = self._nodes, self._nodes + 1 + _parts(row)
            if before <= _MAX_NODES < self._nodes:  # said once
                self.report(path, f"the spec unfolds into more than {_MAX_NODES} rows", "use fewer or smaller blocks")
            if self.full:
                break
            here = (*path, index)
            test = self.converts.formula(getattr(row, "if_", None), (*here, "if"))
            may_end = may_end or is_optional(row)
            instead = getattr(row, "else_", None) is not None
            built = self._row(row, here, structure, conditional or (not instead and (may_end or test is not None)))
            if self.text and isinstance(row, model.GroupRow) and row.optional and row.encoded in ("hex", "base64"):
                built = unless_empty(built)
            self.origins.keep(built, row, here)
            otherwise = given_instead(self, row, built, here, always=not may_end and test is None) if instead else ()
            if may_end and any(not isinstance(node, Derived) for node in built):
                built = tuple(
                    replace(node, otherwise=otherwise) if isinstance(node, Condition) else node
                    for node in optional_nodes(built)
                )
            if test is None or not built or isinstance(row, model.FormulaRow):
                nodes.extend(built)  # the `if` of a formula row reads values and belongs to the row
            else:
                nodes.append(Condition(test, built, otherwise=otherwise))
        return nodes

    def _row(self, row: Any, path: Path, structure: Structure, conditional: bool) -> Nodes:
        if isinstance(row, model.ValueRow | model.FormulaRow) and (row.name in self.answered or _is_asked_for(row)):
            check = isinstance(row, model.ValueRow) and row.crc is not None and row.hidden is None
            if row.hidden or check:
                row = row.model_copy(update={"hidden": False, "metric": bool(row.metric)})
        match row:
            case model.ValueRow() | model.FormulaRow() if reads_record(self, row):
                return record_row(self, row, path, structure, conditional)
            case model.ValueRow() if row.raw is not None:
                return raw_row(self, row, path, structure, conditional)
            case model.ValueRow() if is_python(row.type):
                return python_row(self, row, path, structure, conditional)
            case model.ValueRow():
                return value_row(self, row, path, structure, conditional)
            case model.FormulaRow():
                return formula_row(self, row, path, structure, conditional)
            case model.UseRow():
                return self._use(row, path, structure, conditional)
            case model.SkipRow():
                return skip_row(self, row, path)
            case model.LiteralRow():
                return literal_row(self, row, path)
            case model.GroupRow():
                return self._group(row, path, structure, conditional)
            case model.ListRow():
                return list_row(self, row, path, structure)
            case model.SwitchRow():
                return self._switch(row, path, structure)
            case model.ItemsRow():
                return self.items(row.items, (*path, "items"), structure)
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
        size = own_size(self, row, path)
        as_text = row.encoded == "text"
        if size is None and (is_bounded(self, row.split) or as_text or (self.text and row.encoded)):
            size = rest_size(self)
        if isinstance(size, Prefix) and row.prefix_counts_itself:
            size = Prefix(size.wire, itself=True)
        if row.encoded is not None and is_python(row.encoded):
            known_function(self, row.encoded, (*path, "encoded"))
        with self.reading(text=self.text or as_text, split=self.split):
            split = split_of(self, row.split, (*path, "split"))
        inner, place = structure, None
        if row.group:
            row, inner, place = self._named_group(row, path, structure)
        encoded = "" if as_text else row.encoded or ""
        with self.reading(text=(self.text or as_text) and not encoded, split=split):
            nodes = self.build(row.fields, (*path, "fields"), inner, conditional=conditional)
        group = Group(row.group or "", nodes, size, row.rest == "skip", encoded=encoded, place=place)
        if encoded and size is None and group.byte_for_byte and not group.skip_rest:
            group = replace(group, size=fixed_size(nodes))
        return (group,)

    def _named_group(
        self, row: model.GroupRow, path: Path, structure: Structure
    ) -> tuple[model.GroupRow, Structure, Place | None]:
        """The row with what is known of its name, where its values are noted, and where it goes."""
        name = resolved(row.group or "", self.constants)
        place = place_of(self, name, row.repeat, path)
        repeats(self, structure, name, place, path)
        inner = Structure()
        key = f"{name}_{{n}}" if place is not None and place.repeat == "number" else name
        if place is not None and place.repeat == "list":
            inner = structure.inner.get(key, inner)
            structure.lists.add(key)
        structure.inner[key] = inner
        return row.model_copy(update={"group": name}), inner, place

    def items(self, spec: model.ItemsSpec, path: Path, structure: Structure) -> Nodes:
        """A tag list of bytes or of text, or records that describe themselves."""
        if spec.format != "tags":
            return record_list(self, spec, path, structure)
        if self.text or spec.key == "text":
            return text_tags(self, spec, path, structure)
        return tag_list(self, spec, path, structure)

    @contextmanager
    def reading(self, *, text: bool, split: bytes) -> Iterator[None]:
        """Rows that are built meanwhile read text, or bytes."""
        before = self.text, self.split
        self.text, self.split = text, split
        yield
        self.text, self.split = before

    def _switch(self, row: model.SwitchRow, path: Path, structure: Structure) -> Nodes:
        on = self.converts.formula(row.switch, (*path, "switch"))
        if on is None:
            return ()
        cases = []
        for key, rows in row.cases.items():
            here = (*path, "cases", key)
            parts = [key] if isinstance(key, int) else [part.strip() for part in key.split(",")]
            spans = tuple(span for part in parts for span in self.converts.spans(part, here, text=self.text))
            spans = self._as_signed(row.switch, spans)
            cases.append((spans, self.build(rows, here, structure, conditional=True)))
        default = None
        if row.default != "refuse":
            default = self.build(row.default, (*path, "default"), structure, conditional=True)
        return (Branch(on, tuple(cases), default),)

    def _as_signed(
        self, name: str, spans: tuple[tuple[int | str, int | str], ...]
    ) -> tuple[tuple[int | str, int | str], ...]:
        """Cases of a signed integer may be spelled as the unsigned number of the same bytes."""
        sign = self.signed.get(name)
        found: list[tuple[int | str, int | str]] = []
        for low, high in spans:
            if sign is not None and isinstance(low, int) and isinstance(high, int):
                found += as_signed(low, high, sign)
            else:
                found.append((low, high))
        return tuple(found)

    @property
    def full(self) -> bool:
        """True when no more rows are built."""
        return self._nodes > _MAX_NODES

    def enter(self, name: str, path: Path) -> bool:
        """Marks a shared block or table as being built; False when it contains itself."""
        if name in self._used:
            self.report(path, f"`{name}` contains itself: {' -> '.join([*self._used, name])}", "")
            return False
        self._used.append(name)
        return True

    def leave(self) -> None:
        self._used.pop()

    @contextmanager
    def table(self, tags: Mapping[int | str, Any] | str, path: Path) -> Iterator[tuple[Mapping[int | str, Any], Path]]:
        """The rows of `tags` by key, and where they stand; of a table of the spec, which is marked as being built
        meanwhile, none when there is none or when it contains itself."""
        if not isinstance(tags, str):
            yield tags, (*path, "tags")
        elif tags not in self.spec.tags:
            self.converts.unknown(tags, self.spec.tags, (*path, "tags"), "table of tags")
            yield {}, path
        elif self.enter(f"tags {tags}", (*path, "tags")):
            yield self.spec.tags[tags], ("tags", tags)
            self.leave()
        else:
            yield {}, path

    # parts

    def size(self, given: str | None, prefix: str | None, path: Path, key: str) -> Size | None:
        if prefix is not None:
            wire = self.integer(prefix, (*path, "prefix"))
            return Prefix(wire) if wire else None
        if given is None:
            return None
        if given == "rest":
            return Rest()
        if is_whole(given):
            if len(given) > _MAX_SIZE_DIGITS:
                self.report((*path, key), "no frame has so many bytes", "a smaller number")
                return None
            return int(given)
        return self.converts.formula(given, (*path, key))

    def integer(self, word: str | None, path: Path) -> IntWire | None:
        if word is None:
            return None
        wire = integer_type(word, self.big)
        if wire is None:
            self.report(path, f"`{word}` is no integer type", "such as u8 or u16le")
        return wire


def _is_asked_for(row: model.ValueOptions) -> bool:
    """True for a value that the gateway itself reads: such a row is no metric rather than hidden."""
    return bool(row.identity or row.session or row.timestamp)


def _parts(row: Any) -> int:
    """Bits and cases of a row, which cost as much as rows."""
    if isinstance(row, model.SwitchRow):
        return len(row.cases)
    bits = getattr(row, "bits", None) or ()
    places = (part.at for part in bits.values() if isinstance(part, model.BitField)) if isinstance(bits, dict) else ()
    return len(bits) + sum(len(at) for at in places if isinstance(at, list))
