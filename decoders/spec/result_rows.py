"""Rows whose raw value may be anything: what a registered function or a formula over raw integers gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from decoders.layout import FormulaWire, Nodes, PythonWire, Value
from decoders.spec import model
from decoders.spec.conversions import timestamp_of, words_of
from decoders.spec.names import add_note, add_status, place_of, repeats
from decoders.spec.notes import Path, Structure, ValueNote

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

_READING = (
    "type",
    "bytes",
    "prefix",
    "until",
    "chars",
    "bits",
    "const",
    "counts",
    "crc",
    "equals",
    "encoding",
    "digits",
)


def raw_row(rows: RowBuilder, row: model.ValueRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
    """A row that reads nothing: its raw value is a formula over what was read before."""
    for key in _READING:
        if getattr(row, key):
            rows.report(
                (*path, key), f"a row with `raw` reads no bytes: `{key}` has no meaning", "remove one of the two"
            )
    formula = rows.converts.formula(row.raw, (*path, "raw"))
    if formula is None:
        return ()
    return result_row(rows, row, FormulaWire(formula), path, structure, conditional=conditional)


def result_row(
    rows: RowBuilder,
    row: model.ValueRow,
    wire: PythonWire | FormulaWire,
    path: Path,
    structure: Structure,
    *,
    conditional: bool,
) -> Nodes:
    """The node of such a row, with all that may follow the raw value."""
    formula = rows.converts.formula(row.formula, (*path, "formula"), only={"x"})
    convert = replace(rows.converts.of_result(row, path), formula=formula, missing=True, loose=True)
    place = place_of(rows, row.name, row.repeat, path)
    status = rows.converts.status(row.absent, None, path, convert)
    hidden = bool(row.hidden)
    note = ValueNote(
        row.name,
        path,
        unit=row.unit,
        range=row.range,
        required=row.required,
        metric=row.metric,
        identity=row.identity or "",
        timestamp=timestamp_of(row.timestamp, row.name, convert),
        session=row.session or "",
        clock=bool(convert.clock),
        words=words_of(convert),
        conditional=conditional,
        note=row.note,
    )
    if not hidden or row.identity or row.session:
        add_note(rows, structure, note, place)
    if not hidden:
        repeats(rows, structure, row.name, place, path)
        if place is None and row.metric is not False:
            structure.objects.add(row.name)
        if status is not None:
            add_status(rows, structure, ValueNote(row.name, path, metric=row.metric), place)
    negate = rows.converts.formula(row.negate, (*path, "negate"))
    return (Value(row.name, wire, convert, hidden=hidden, negate=negate, status=status, place=place),)
