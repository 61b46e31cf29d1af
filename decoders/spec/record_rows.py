"""`items: {format: mbus}` and `dlms` of a spec -> nodes: records that describe themselves, and the rows of tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from decoders.convert import Convert
from decoders.layout import IntWire, Nodes, Records, RecordWire, Value
from decoders.metering.formats import FORMATS, Format
from decoders.metering.records import RecordWord
from decoders.naming import resolved
from decoders.spec import model
from decoders.spec.bit_rows import bit_list
from decoders.spec.conversions import words_of
from decoders.spec.names import add_note, add_status, place_of, reads_key, repeats, status_name
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.problems import nearest
from decoders.spec.sentinels import sentinels
from decoders.spec.words import without_size

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

_MEANINGLESS = (
    *("key", "escape", "header", "length", "length_counts", "length_first", "assign", "split", "count", "count_type"),
    *("until_left", "while_", "until"),
)
_RANGE = re.compile(r"(.*_)([0-9]{1,9})\.\.([0-9]{1,9})")
_MAX_RANGE = 256


def record_list(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> Nodes:
    """Self-describing records."""
    given = FORMATS[spec.format]
    for name in _MEANINGLESS:
        if name in spec.model_fields_set:
            word = name.rstrip("_")
            rows.report((*path, word), f"`{word}` has no meaning with `format: {spec.format}`", "remove it")
    if rows.text:
        hint = "a group with `encoded: hex` around it"
        rows.report((*path, "format"), f"`{spec.format}` reads bytes, and this is a text frame", hint)
    tags: list[Nodes] = []
    words: list[tuple[str, ...]] = []
    known: dict[str, int | str] = {}
    with rows.table(spec.tags, path) as (table, place):
        for key, held in table.items():
            here = (*place, key)
            spoken = _words(rows, given, key, here)
            for word, _ in spoken:
                if word in known:
                    rows.report(here, f"the record {word} is also in `{known[word]}`", "give each record to one tag")
                known.setdefault(word, key)
            for group, number in _groups(rows, held, spoken):
                with _reading(rows, given, group, number):
                    tags.append(rows.build(_sized(held), here, structure, conditional=True))
                    words.append(group)
    if spec.raw:
        structure.notes[spec.raw] = ValueNote(spec.raw, (*path, "raw"), metric=False, conditional=True)
    return (
        Records(
            key=IntWire(1),
            length=None,
            tags=tuple((((number, number),), nodes) for number, nodes in enumerate(tags)),
            unknown=_on_unknown(rows, spec, path, structure),
            raw=spec.raw or "",
            size=rows.size(spec.bytes, None, path, "bytes"),
            max_items=spec.max,
            format=spec.format,
            words=tuple(words),
        ),
    )


def _words(rows: RowBuilder, given: Format, key: int | str, path: Path) -> list[tuple[str, int | None]]:
    """The words that a key of `tags` stands for: `0413`, `volume`, `A, B`; those of a range such as
    `volume_storage_1..15` with their numbers."""
    if isinstance(key, int):
        rows.report(path, f"`{key}` is a number here", 'write the key of a record in quotes: "0413", "#3"')
        return []
    found: list[tuple[str, int | None]] = []
    for part in key.split(","):
        word = part.strip()
        span = _RANGE.fullmatch(word)
        if span is None:
            found.append((given.spoken(word), None))
        elif 0 <= int(span[3]) - int(span[2]) < _MAX_RANGE:
            if not rows.converts.room_for(int(span[3]) - int(span[2]), path):
                return []
            found += [(f"{span[1]}{number}", number) for number in range(int(span[2]), int(span[3]) + 1)]
        else:
            rows.report(path, f"`{word}` is no range", "such as volume_storage_1..15")
            return []
    for word, _ in found:
        if given.known(word) is None:
            close = nearest(word, given.nearest())
            hint = f"did you mean `{close}`?" if close else given.examples
            rows.report(path, f"`{word}` is no record of `{_name_of(given)}`", hint)
            return []
    return found


def _name_of(given: Format) -> str:
    return next(name for name, known in FORMATS.items() if known is given)


def _groups(
    rows: RowBuilder, held: Sequence[Any], spoken: Sequence[tuple[str, int | None]]
) -> Iterator[tuple[tuple[str, ...], int | None]]:
    """Words that have rows of their own: each of a range whose rows read `key` in a name, else all together."""
    if reads_key(rows, held) and any(number is not None for _, number in spoken):
        yield from (((word,), number) for word, number in spoken)
    elif spoken:
        yield tuple(word for word, _ in spoken), None


@dataclass(slots=True, frozen=True)
class RecordTag:
    """The records that the rows which are built now are for. word: what is known of all of them."""

    word: RecordWord


@contextmanager
def _reading(rows: RowBuilder, given: Format, words: Sequence[str], number: int | None) -> Iterator[None]:
    """Rows without a type that are built meanwhile read a record."""
    known = [given.known(word) or RecordWord() for word in words]
    units = {word.unit for word in known}
    before = rows.record, rows.constants
    rows.record = RecordTag(
        RecordWord(units.pop() if len(units) == 1 else "", bool(known) and all(word.clock for word in known))
    )
    if number is not None:
        rows.constants = {**rows.constants, "key": number}
    yield
    rows.record, rows.constants = before


def _sized(given: Sequence[Any]) -> list[Any]:
    """A value whose type has no size of its own takes all bytes of the record's data."""
    return [
        row.model_copy(update={"bytes": "rest"})
        if isinstance(row, model.ValueRow) and without_size(row.type) and row.bytes is None and row.prefix is None
        else row
        for row in given
    ]


def _on_unknown(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> str:
    if isinstance(spec.on_unknown, list) or (not isinstance(spec.on_unknown, str) and spec.on_unknown.fields):
        hint = "`{into: name}`, or leave it out"
        rows.report((*path, "on_unknown"), "records that no tag names have no rows", hint)
        return "skip"
    if not isinstance(spec.on_unknown, str):
        if spec.on_unknown.type is not None:
            hint = "remove `type`: every record says itself what it is"
            rows.report((*path, "on_unknown", "type"), "records have a type of their own", hint)
        structure.inner.setdefault(spec.on_unknown.into, Structure())
        structure.formats.add(spec.format)
        return f"into:{spec.on_unknown.into}"
    if spec.tags or "on_unknown" in spec.model_fields_set:
        return spec.on_unknown
    structure.formats.add(spec.format)
    structure.open = True
    return "into:"


# Rows


def reads_record(rows: RowBuilder, row: model.ValueRow | model.FormulaRow) -> bool:
    """True for a row that names the value of the record around it: it has no type, and nothing else says what it reads.
    One with a formula over `x` alone is such a row too."""
    if rows.record is None:
        return False
    if isinstance(row, model.FormulaRow):
        formula = None if row.formula is None else rows.converts.formula(row.formula, ("",))
        return formula is not None and formula.names == ("x",)
    sized = (row.bytes, row.prefix, row.until, row.chars, row.const, row.crc, row.counts)
    return not row.type and all(part is None for part in sized)


def record_row(
    rows: RowBuilder, given: model.ValueRow | model.FormulaRow, path: Path, structure: Structure, conditional: bool
) -> Nodes:
    """A row that reads the record around it."""
    assert rows.record is not None
    row = given if isinstance(given, model.ValueRow) else _value_row(given)
    row = row.model_copy(update={"name": resolved(row.name, rows.constants)})
    formula = rows.converts.formula(row.formula, (*path, "formula"), only={"x"})
    absent, words = sentinels(row.absent, None, rows.report, (*path, "absent"))
    convert = rows.converts.of_result(row.model_copy(update={"absent": None}), path)
    convert = replace(convert, formula=formula, missing=True, loose=True, clock=convert.clock or "meter")
    raw = row.enum is not None or row.flags is not None or bool(row.bits) or row.clock is not None
    wire = RecordWire("raw" if raw else "value", absent)
    place = place_of(rows, row.name, row.repeat, path)
    bits = bit_list(rows, row, path, wire, structure, conditional)
    hidden = bool(bits) if row.hidden is None else row.hidden
    note = _note(rows.record.word, row, convert, path, conditional)
    if not hidden or row.identity or row.session:
        add_note(rows, structure, note, place)
    if not hidden:
        repeats(rows, structure, row.name, place, path)
    negate = rows.converts.formula(row.negate, (*path, "negate"))
    node = Value(row.name, wire, convert, hidden=hidden, bits=bits, negate=negate, place=None if bits else place)
    if not words:
        return (node,)
    add_status(rows, structure, ValueNote(row.name, path, metric=row.metric), place)
    status = Convert(words=words, missing=True, loose=True)
    return node, Value(status_name(row.name), RecordWire("raw"), status, hidden=hidden, place=place)


def _value_row(row: model.FormulaRow) -> model.ValueRow:
    return model.ValueRow.model_validate(row.model_dump(by_alias=True, exclude_unset=True))


def _note(word: RecordWord, row: model.ValueRow, convert: Convert, path: Path, conditional: bool) -> ValueNote:
    """What is said of the value; the unit of the record counts where the row does not change the value."""
    clock = row.clock is not None or word.clock
    changed = row.formula is not None or convert.linear is not None or convert.enum is not None
    unit = row.unit or ("" if changed or clock or convert.flags is not None else word.unit)
    return ValueNote(
        row.name,
        path,
        unit=unit,
        range=row.range,
        required=row.required,
        metric=row.metric,
        identity=row.identity or "",
        timestamp=row.timestamp or ("device" if clock and row.name == "time" else ""),
        session=row.session or "",
        clock=clock,
        words=words_of(convert),
        conditional=conditional,
        note=row.note,
    )
