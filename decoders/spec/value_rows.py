"""Rows that are values -> nodes: fields, check values, bits, formulas."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from decoders.convert import PLAIN, Convert
from decoders.formula import Formula, list_formula
from decoders.layout import BytesWire, Counts, Derived, IntWire, Nodes, Place, Span, Until, Value, Wire
from decoders.naming import resolved
from decoders.raw import INTEGER_FORMS, is_number
from decoders.spec import model
from decoders.spec.bit_rows import bit_list
from decoders.spec.check_rows import check_row
from decoders.spec.conversions import ConvertBuilder, timestamp_of, words_of
from decoders.spec.names import add_note, add_status, place_of, repeats
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.problems import nearest
from decoders.spec.sentinels import Bits, Kind, sentinels, sign_of
from decoders.spec.text_rows import own_size, text_wire
from decoders.spec.words import (
    MAX_BCD_BYTES,
    MAX_BITS_BYTES,
    TEXT_NUMBERS,
    TEXT_TYPES,
    known_words,
    usual_word,
    wire_of,
    without_size,
)
from decoders.text_forms import READERS

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder


def value_row(rows: RowBuilder, row: model.ValueRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
    big = row.endian == "big" if row.endian else rows.big
    if "{" in row.name:
        row = row.model_copy(update={"name": resolved(row.name, rows.constants)})
    if row.crc is not None:
        if row.hidden is False:
            add_note(rows, structure, ValueNote(row.name, path, metric=bool(row.metric), note=row.note), None)
        return check_row(rows, row, path, big=big)
    bare = not rows.text and not row.type and row.bytes is None and row.until is None
    if bare and isinstance(row.const, str):  # bytes in hex say type and size themselves
        row = row.model_copy(update={"type": "hex", "bytes": str(len(row.const.replace(" ", "")) // 2)})
    found = _wire(rows, row, path, big=big)
    if found is None:
        return ()
    wire, clock = found
    wire, kind = _without_sign(row, wire)
    convert = rows.converts.of_row(row, path, clock, wire)
    if isinstance(kind, Bits):
        absent, _ = sentinels(row.absent, kind, rows.report, (*path, "absent"))
        convert = replace(convert, absent=absent, signed_width=kind.width, magnitude=True)
    const = _const(rows, row, path, wire)
    whole = isinstance(wire, IntWire) or (isinstance(wire, BytesWire) and wire.form in INTEGER_FORMS)
    rows.integers[row.name] = whole and rows.integers.get(row.name, True)
    rows.signed[row.name] = sign_of(wire)
    bits = bit_list(rows, row, path, wire, structure, conditional)
    rows.integers |= {bit.name: rows.integers.get(bit.name, True) for bit in bits}
    place = place_of(rows, row.name, row.repeat, path)
    status = rows.converts.status(row.absent, kind, path, convert)
    _check_place(rows, row, path, place, status is not None)
    silent = row.counts is not None or row.const is not None or bool(bits)
    hidden = silent if row.hidden is None else row.hidden
    if hidden and bits and status is not None:
        rows.report((*path, "absent"), "the words of hidden rows are not shown", "add `hidden: false`")
    if not hidden or row.identity or row.session:
        number, timed = is_number(wire) and not convert.clock, bool(convert.clock)
        letters = isinstance(wire, BytesWire) and wire.form == "text" and wire.encoding != "latin-1"
        text = letters and convert.plain and const is None
        _note(
            rows, structure, row, path, conditional, clock=timed, number=number, text=text, convert=convert, place=place
        )
    if not hidden:
        repeats(rows, structure, row.name, place, path)
    if not hidden and status is not None:
        add_status(rows, structure, ValueNote(row.name, path, metric=row.metric), place)
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
            default=_default(rows, row, path, wire, convert),
            status=status,
            place=place,
        ),
    )


def _wire(rows: RowBuilder, row: model.ValueRow, path: Path, *, big: bool) -> tuple[Wire, str] | None:
    """How a row is read, and the clock that its type is, "" for none. None for a row that cannot be read."""
    size = own_size(rows, row, path)
    found: tuple[Wire, str] | None
    if rows.text and (row.type in TEXT_TYPES or not row.type or wire_of(row.type, size or 1, big) is not None):
        text = text_wire(rows, row, path, size)
        if text is None:
            return None
        found = text, ""
    else:
        found = wire_of(row.type, size, big)
    if found is None:
        _unknown_type(rows, row, path)
        return None
    wire, clock = found
    if row.endian is not None and row.type.endswith(("le", "be")) and wire_of(row.type, size, not big) == found:
        rows.report((*path, "endian"), f"`{row.type}` says its order itself", "remove `endian`")
    if size not in (None, wire.size) and not rows.text and not without_size(row.type):
        rows.report((*path, "bytes"), f"`{row.type}` has its own size", "remove `bytes` and `prefix`")
        size = None
    if rows.text or row.type in TEXT_NUMBERS:
        wire = _with_words(wire, row, rows.converts)
    elif isinstance(wire, BytesWire):
        if isinstance(size, Until) and (row.encoding or "").startswith("utf-16") and len(size.mark) % 2 == 0:
            size = replace(size, unit=2)
        wire = replace(
            wire,
            encoding=row.encoding or "ascii",
            trim=row.trim is not False,
            digits=row.digits or 0,
            size=wire.size if size is None else size,
            strip=row.trim if isinstance(row.trim, str) else "",
        )
    if row.counts and isinstance(wire, BytesWire) and wire.form == "number":
        wire = replace(wire, form="whole")
    return wire, clock


def _without_sign(row: model.ValueRow, wire: Wire) -> tuple[Wire, Kind]:
    """Sign and magnitude have two zeros, one of which may be a sentinel, and bits: such a row reads the plain integer;
    the sign is a matter of its conversion."""
    if isinstance(wire, IntWire) and wire.sign == "magnitude" and (row.absent is not None or row.bits):
        return replace(wire, sign="unsigned"), Bits(wire.size * 8, "magnitude")
    return wire, wire


def _check_place(rows: RowBuilder, row: model.ValueRow, path: Path, place: Place | None, words: bool) -> None:
    """What does not go with a name that many values have."""
    if place is None:
        return
    if row.negate is not None:
        rows.report((*path, "negate"), "a value with a computed or repeated name keeps its sign", "use `formula`")
    if words and place.repeat:
        rows.report((*path, "absent"), "words of sentinels cannot repeat", "without words, or without `repeat`")


def _with_words(wire: Wire, row: model.ValueRow, converts: ConvertBuilder) -> Wire:
    """A number written as text knows the words that may stand in its place."""
    if not isinstance(wire, BytesWire) or wire.form == "text":
        return wire
    form = "whole" if wire.form == "number" and (row.bits or row.flags) else wire.form
    strip = row.trim if isinstance(row.trim, str) else ""
    return replace(wire, form=form, strip=strip, words=converts.words_for(row.absent, wire))


def _unknown_type(rows: RowBuilder, row: model.ValueRow, path: Path) -> None:
    if not row.type:
        rows.report(path, f"`{row.name}` has no type", "such as `type: u8`, or `formula:` for a computed value")
        return
    if row.type in ("bits", "bitsle", "bitsbe"):
        rows.report((*path, "type"), f"`{row.type}` needs `bytes: n`, from 1 to {MAX_BITS_BYTES}", "")
        return
    if without_size(row.type):
        if row.bytes is None and row.prefix is None and row.until is None and row.chars is None:
            hint = "`bytes: n`, `bytes: rest`, `prefix: u8` or `until`"
            rows.report((*path, "type"), f"`{row.type}` has no size of its own", hint)
        elif row.bytes is not None and row.bytes.isdigit() and row.prefix is None and row.until is None:
            most = 8 if row.type.startswith(("u", "i")) else MAX_BCD_BYTES
            rows.report((*path, "bytes"), f"`{row.type}` cannot have {row.bytes} bytes", f"1 to {most}")
        return
    near = usual_word(row.type) or nearest(row.type, known_words())
    hint = f"did you mean `{near}`?" if near else "types are u8 i16le u24 f32 bcd hex text mac unix32 ymdhms …"
    rows.report((*path, "type"), f"unknown type `{row.type}`", hint)


def _const(rows: RowBuilder, row: model.ValueRow, path: Path, wire: Wire) -> int | str | None:
    if row.const is None:
        return None
    if isinstance(wire, BytesWire) and wire.form == "text":
        size = len(str(row.const).encode(wire.encoding, "replace"))
        if isinstance(wire.size, int) and size > wire.size:
            rows.report((*path, "const"), f"`{row.const}` has {size} bytes, the row {wire.size}", "make them equal")
        return str(row.const)
    if isinstance(wire, BytesWire) and wire.form in READERS:
        return _const_number(rows, row, path)
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
    size = len(text) // 2
    if isinstance(wire, BytesWire) and wire.form == "hex" and isinstance(wire.size, int) and size != wire.size:
        rows.report((*path, "const"), f"`{row.const}` has {size} bytes, the row {wire.size}", "make them equal")
    return text


def _default(rows: RowBuilder, row: model.ValueRow, path: Path, wire: Wire, convert: Convert) -> int | str | None:
    """The raw value of `default`; of an integer with names it may be one of them."""
    if not isinstance(row.default, str) or not isinstance(wire, IntWire):
        return row.default
    raw = next((raw for raw, word in (convert.enum or {}).items() if word == row.default), None)
    if not isinstance(raw, int):
        words = [str(word) for word in (convert.enum or {}).values()]
        hint = f"a number, or one of {', '.join(words)}" if words else "a number"
        rows.report((*path, "default"), f"`{row.default}` is no value of `{row.type}`", hint)
        return None
    return raw


def _const_number(rows: RowBuilder, row: model.ValueRow, path: Path) -> int | str | None:
    """The constant of a number that is written as text."""
    if isinstance(row.const, str):
        try:
            return int(row.const, 16 if row.type == "hexnumber" else 10)
        except ValueError:
            rows.report(
                (*path, "const"), f"`{row.const}` is no whole number", "such as 5, or change the type to `text`"
            )
            return None
    return row.const


def _counts(rows: RowBuilder, text: str | None, adjust: int) -> Counts | None:
    """The span is resolved by `frames.py`, which knows the whole frame."""
    return None if text is None else Counts(None if text == "body" else Span(-1, -1), adjust)


def _clock_parts(rows: RowBuilder, parts: list[str], path: Path) -> Formula | None:
    """[year, month, day, hour, minute, second, ms] as one formula that gives the list."""
    if not 3 <= len(parts) <= 7:
        rows.report(path, f"a time has 3 to 7 parts, not {len(parts)}", "[year, month, day, hour, minute, second]")
        return None
    formulas = [rows.converts.formula(part, (*path, index)) for index, part in enumerate(parts)]
    if any(formula is None for formula in formulas):
        return None
    return rows.converts.places.keep(list_formula([formula for formula in formulas if formula is not None]), path)


def formula_row(rows: RowBuilder, row: model.FormulaRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
    formula = _clock_parts(rows, row.clock, (*path, "clock")) if isinstance(row.clock, list) else None
    formula = formula or rows.converts.formula(row.formula, (*path, "formula"))
    if formula is None:
        return ()
    convert = rows.converts.of_result(row, path)
    if not row.hidden or row.identity or row.session:
        _note(rows, structure, row, path, conditional, clock=bool(convert.clock), convert=convert)
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
    number: bool = False,
    text: bool = False,
    convert: Convert = PLAIN,
    place: Place | None = None,
) -> None:
    words, instead = words_of(convert), getattr(row, "else_", None)
    name: str = getattr(row, "name")  # noqa: B009 - every row with options has a name
    note = ValueNote(
        name,
        path,
        unit=row.unit,
        range=row.range,
        required=row.required,
        metric=row.metric,
        identity=row.identity or "",
        timestamp=timestamp_of(row.timestamp, name, convert),
        session=row.session or "",
        clock=clock,
        words=words if words is None or instead is None else words | {instead},
        number=number and convert.keeps_numbers and not isinstance(instead, str | bool),
        text=text,
        conditional=conditional,
        note=row.note,
    )
    add_note(rows, structure, note, place)
