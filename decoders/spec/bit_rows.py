"""`bits:` of a row -> parts of its integer, and what is fixed about each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from decoders.layout import Bit, BytesWire, Counts, IntWire, RecordWire, Wire
from decoders.naming import resolved
from decoders.raw import BCD_NUMBERS, INTEGER_FORMS, MIXED_INTEGERS
from decoders.spec import model
from decoders.spec.conversions import bits_kind, timestamp_of, words_of
from decoders.spec.model_conversion import BitOrder
from decoders.spec.model_rows import bit_fields
from decoders.spec.names import add_note, add_status, place_of, repeats
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.words import TEXT_NUMBERS
from decoders.text_forms import WHOLE_FORMS

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

_UNKNOWN_WIDTH = 64
"""Bits of an integer whose size is read: what is not there is 0."""


def bit_list(
    rows: RowBuilder, row: model.ValueRow, path: Path, wire: Wire, structure: Structure, conditional: bool
) -> tuple[Bit, ...]:
    """The named bits of a row, noted in the structure."""
    if not row.bits:
        return ()
    here = (*path, "bits")
    width = _width(row, wire)
    sized = width > 0
    number = isinstance(wire, BytesWire) and wire.form in (INTEGER_FORMS | WHOLE_FORMS) - BCD_NUMBERS
    if not sized and not number and not isinstance(wire, RecordWire):
        rows.report(here, f"only integers have bits, not `{row.type}`", "such as u16, or `type: bits` with `bytes: n`")
        return ()
    width = width or _UNKNOWN_WIDTH
    order = _order(rows, row, wire)
    if not sized and (isinstance(row.bits, list) or order == "msb"):
        rows.report(here, "bits are counted from the highest, but the size is not known", "add `bytes: n`")
        return ()
    if isinstance(row.bits, list) and not _complete(rows, row, width, here):
        return ()
    bits: list[Bit] = []
    for given, part in bit_fields(row, width, order).items():
        name = resolved(given, rows.constants)
        bit = _bit(rows, row, part, (*here, given), name, width, order)
        if bit is None:
            continue
        bits.append(bit)
        if not bit.hidden:
            _note(rows, row, part, bit, (*here, given), structure, conditional)
    return tuple(bits)


def _width(row: model.ValueRow, wire: Wire) -> int:
    """Bits of an integer. Of a number in hexadecimal digits: by these, else by the parts that the row lists. 0: not
    known."""
    mixed = isinstance(wire, BytesWire) and wire.form in MIXED_INTEGERS
    if (isinstance(wire, IntWire) or mixed) and isinstance(wire.size, int):
        return 8 * wire.size
    if not isinstance(wire, BytesWire) or wire.form != "hexnumber":
        return 0
    if isinstance(wire.size, int):
        return 4 * wire.size
    if not isinstance(row.bits, list):
        return 0
    return sum(part.skip or part.width or 0 for part in row.bits if isinstance(part, model.BitPart))


def _order(rows: RowBuilder, row: model.ValueRow, wire: Wire) -> BitOrder | None:
    """Which bit has number 0, and comes first in a list. A stream of bits that is packed from the lowest byte on begins
    with the lowest bit."""
    said = row.bit_order or rows.converts.bit_order
    stream = row.type.startswith("bits") and isinstance(wire, IntWire) and not wire.big
    return "lsb" if said is None and stream else said


def _complete(rows: RowBuilder, row: model.ValueRow, width: int, path: Path) -> bool:
    """A list of parts holds every bit once, so that a part that was left out is noticed."""
    parts = [part for part in row.bits or () if isinstance(part, model.BitPart)]
    total = sum(part.skip or part.width or 0 for part in parts)
    names = [part.name for part in parts if part.name is not None]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        rows.report(path, f"two parts are called `{twice}`", "give each part a name of its own")
    if total < width:
        rows.report(path, f"the parts have {total} bits, `{row.name}` has {width}", f"add {{skip: {width - total}}}")
    elif total > width:
        rows.report(path, f"the parts have {total} bits, `{row.name}` has {width}", "correct `width` or `bytes`")
    return total == width and twice is None


def _bit(
    rows: RowBuilder,
    row: model.ValueRow,
    part: model.BitField,
    path: Path,
    name: str,
    width: int,
    order: BitOrder | None,
) -> Bit | None:
    places = []
    for at in part.at if isinstance(part.at, list) else [part.at]:
        low, high = rows.converts.bit_span(at, path)
        if low < 0 or high >= width:
            rows.report(path, f"bits {at} are not within `{row.type}`", f"0 to {width - 1}")
            return None
        size = high - low + 1
        places.append((width - 1 - high if order == "msb" else low, size))
    if not places:
        rows.report((*path, "at"), "no bits are named", "such as 3, 2-4, or [0-3, 12-15]")
        return None
    taken = sum(((1 << size) - 1) << low for low, size in places)
    total = sum(size for _, size in places)
    if taken.bit_count() != total:
        rows.report((*path, "at"), f"`{part.at}` names a bit twice", "name each bit once")
    convert = rows.converts.of_bits(part, path, total, order)
    if row.type in TEXT_NUMBERS:
        convert = replace(convert, missing=True)
    kind = bits_kind(part, total)
    counts = None if part.counts is None else Counts(None, 0)
    if part.counts is not None and part.counts != "body":
        rows.report((*path, "counts"), f"bits cannot count `{part.counts}`", "only `counts: body` is possible")
    if part.counts is not None and (len(places) > 1 or part.bcd):
        rows.report((*path, "counts"), "a length is one range of bits", "name one range")
    if part.const is not None and not 0 <= part.const < 1 << total:
        rows.report((*path, "const"), f"{part.const} does not fit into {total} bits", f"0 to {(1 << total) - 1}")
    silent = part.counts is not None or part.const is not None
    place = place_of(rows, name, row.repeat, path)
    status = rows.converts.status(part.absent, kind, path, convert)
    if status is not None and place is not None and place.repeat:
        rows.report((*path, "absent"), "words of sentinels cannot repeat", "without words, or without `repeat`")
    return Bit(
        name,
        places[0][0],
        total,
        convert,
        silent if part.hidden is None else part.hidden,
        counts,
        tuple(places) if len(places) > 1 else (),
        part.bcd,
        status,
        place,
        part.const,
    )


def _note(
    rows: RowBuilder,
    row: model.ValueRow,
    part: model.BitField,
    bit: Bit,
    path: Path,
    structure: Structure,
    conditional: bool,
) -> None:
    note = ValueNote(
        bit.name,
        path,
        unit=part.unit,
        range=part.range,
        required=part.required,
        metric=row.metric if part.metric is None else part.metric,
        timestamp=timestamp_of(part.timestamp, bit.name, bit.convert),
        clock=bool(bit.convert.clock),
        words=words_of(bit.convert),
        number=bit.convert.keeps_numbers,
        conditional=conditional or row.absent is not None,
        note=part.note,
    )
    repeats(rows, structure, bit.name, bit.place, path)
    add_note(rows, structure, note, bit.place)
    if bit.status is not None:
        add_status(rows, structure, note, bit.place)
