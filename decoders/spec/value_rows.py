"""Rows that are values -> nodes: fields, check values, bits, formulas."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from decoders.checksum import checksum
from decoders.checksum import names as checksum_names
from decoders.convert import PLAIN, Convert
from decoders.layout import Bit, BytesWire, Check, Counts, Derived, IntWire, Nodes, Span, Value, Wire
from decoders.raw import is_number
from decoders.spec import model
from decoders.spec.conversions import words_of
from decoders.spec.model_rows import bit_fields
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.words import integer, known_words, wire_of, without_size

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder


def value_row(rows: RowBuilder, row: model.ValueRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
    big = row.endian == "big" if row.endian else rows.big
    if row.crc is not None:
        return _check(rows, row, path, big)
    if not row.type and isinstance(row.const, str) and row.bytes is None:  # bytes in hex say type and size themselves
        row = row.model_copy(update={"type": "hex", "bytes": str(len(row.const.replace(" ", "")) // 2)})
    size = rows.size(row.bytes, row.prefix, path, "bytes")
    found = wire_of(row.type, size, big)
    if found is None:
        _unknown_type(rows, row, path)
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
        rows.report((*path, "bytes"), f"`{row.type}` has its own size", "remove `bytes` and `prefix`")
    convert = rows.converts.of_row(row, path, clock, wire)
    const = _const(rows, row, path, wire)
    bits = _bits(rows, row, path, wire, structure, conditional)
    silent = row.counts is not None or row.const is not None or bool(bits)
    hidden = silent if row.hidden is None else row.hidden
    if not hidden or row.identity or row.session:
        number = is_number(wire) and not clock
        _note(rows, structure, row, path, conditional, clock=bool(clock), number=number, convert=convert)
    return (
        Value(
            row.name,
            wire,
            convert,
            hidden=hidden,
            bits=bits,
            negate=rows.converts.formula(row.negate, (*path, "negate")),
            const=const,
            counts=_counts(rows, row.counts, row.adjust),
            equals=row.equals or "",
            default=row.default,
        ),
    )


def _unknown_type(rows: RowBuilder, row: model.ValueRow, path: Path) -> None:
    if without_size(row.type):
        rows.report((*path, "type"), f"`{row.type}` needs `bytes: n`, `bytes: rest` or `prefix: u8`", "")
        return
    near = difflib.get_close_matches(row.type, known_words(), 1, 0.5)
    hint = f"did you mean `{near[0]}`?" if near else "types are u8 i16le u24 f32 bcd hex text mac unix32 ymdhms …"
    rows.report((*path, "type"), f"unknown type `{row.type}`", hint)


def _const(rows: RowBuilder, row: model.ValueRow, path: Path, wire: Wire) -> int | str | None:
    if row.const is None:
        return None
    if isinstance(wire, IntWire):
        try:
            value = row.const if isinstance(row.const, int) else int(row.const.replace(" ", ""), 16)
        except ValueError:
            rows.report((*path, "const"), f"`{row.const}` is no number", "such as 0xA5, or bytes in hex")
            return None
        if not 0 <= value < 1 << wire.size * 8:
            rows.report((*path, "const"), f"{value} does not fit into `{row.type}`", "")
            return None
        return value
    text = str(row.const).replace(" ", "").lower()
    if isinstance(row.const, int):
        digits = 2 * wire.size if isinstance(wire.size, int) else 0
        text = f"{row.const:0{digits}x}"
    if isinstance(wire, BytesWire) and wire.form == "hex" and not re.fullmatch("([0-9a-f]{2})+", text):
        rows.report((*path, "const"), f"`{row.const}` is no bytes in hex", 'such as "0D 0A"')
        return None
    return text


def _check(rows: RowBuilder, row: model.ValueRow, path: Path, big: bool) -> Nodes:
    """A check value. One that is wrong keeps its place, so that it causes no further problems."""
    word = row.type or "u16"
    check = None
    crc = row.crc if isinstance(row.crc, str) else ""
    try:
        algorithm = checksum(crc)
        word = row.type or f"u{algorithm.bits}"
        check = Check(algorithm.name, Span(-1, -1))
    except KeyError:
        near = difflib.get_close_matches(crc, checksum_names(), 1, 0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(checksum_names())}"
        rows.report((*path, "crc"), f"unknown check value `{row.crc}`", hint)
    wire = integer(word, big)
    if wire is None:
        rows.report((*path, "type"), f"a check value is an integer, not `{row.type}`", "such as u16")
    return (Value(row.name, wire or IntWire(2), PLAIN, hidden=True, check=check),)


def _counts(rows: RowBuilder, text: str | None, adjust: int) -> Counts | None:
    """The span is resolved by `frames.py`, which knows the whole frame."""
    return None if text is None else Counts(None if text == "body" else Span(-1, -1), adjust)


def _bits(
    rows: RowBuilder, row: model.ValueRow, path: Path, wire: Wire, structure: Structure, conditional: bool
) -> tuple[Bit, ...]:
    if not row.bits:
        return ()
    if not isinstance(wire, IntWire):
        rows.report((*path, "bits"), f"only integers have bits, not `{row.type}`", "such as u16")
        return ()
    bits: list[Bit] = []
    for name, part in bit_fields(row, wire.size * 8).items():
        here = (*path, "bits", name)
        low, high = rows.converts.bit_span(part.at if isinstance(part.at, int | str) else part.at[0], here)
        if low < 0 or high >= wire.size * 8:
            rows.report(here, f"bits {part.at} are not within `{row.type}`", f"0 to {wire.size * 8 - 1}")
            continue
        width = high - low + 1
        convert = rows.converts.of_bits(part, here, width)
        hidden = part.counts is not None if part.hidden is None else part.hidden
        bits.append(Bit(name, low, width, convert, hidden, _counts(rows, part.counts, 0)))
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


def formula_row(rows: RowBuilder, row: model.FormulaRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
    formula = rows.converts.formula(row.formula, (*path, "formula"))
    if formula is None:
        return ()
    convert = Convert(decimals=row.decimals) if row.decimals is not None else PLAIN
    if not row.hidden or row.identity or row.session:
        _note(rows, structure, row, path, conditional, derived=True, tolerant=formula.tolerant)
    test = rows.converts.formula(row.if_, (*path, "if"))
    return (Derived(row.name, formula, convert, bool(row.hidden), test),)


def _note(
    rows: RowBuilder,
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
