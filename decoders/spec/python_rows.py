"""Registered Python types in a spec: `type: "python:name"` of a row, `encoded: "python:name"` of a group."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from decoders import custom
from decoders.layout import Nodes, PythonWire, Rest, Value
from decoders.spec import model
from decoders.spec.conversions import words_of
from decoders.spec.names import add_note, add_status, place_of, repeats
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.text_rows import own_size

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder


def is_python(word: str | None) -> bool:
    return word is not None and word.startswith(custom.PREFIX)


def known_function(rows: RowBuilder, word: str, path: Path) -> bool:
    """Whether the function is registered; reports one that is not."""
    name = word.removeprefix(custom.PREFIX).strip()
    if name in custom.names():
        return True
    why = custom.why_unavailable(name)
    if why:
        rows.report(path, f"`{custom.PREFIX}{name}` could not be loaded: {why}", "install or repair its package")
        return False
    near = difflib.get_close_matches(name, custom.names(), 1, 0.5)
    there = f"there are {', '.join(custom.names())}" if custom.names() else "there are none"
    hint = f"did you mean `{custom.PREFIX}{near[0]}`?" if near else f"{there}; packages add them as `iotlink.types`"
    rows.report(path, f"no registered Python type `{name}`", hint)
    return False


def python_row(rows: RowBuilder, row: model.ValueRow, path: Path, structure: Structure, conditional: bool) -> Nodes:
    """A row whose value a registered function makes. Without a size it takes all bytes that are left."""
    if not known_function(rows, row.type, (*path, "type")):
        return ()
    for key in ("bits", "const", "counts", "crc", "equals"):
        if getattr(row, key) is not None:
            rows.report((*path, key), f"`{key}` has no meaning with `{row.type}`", "remove it")
    size = own_size(rows, row, path) or Rest()
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
        timestamp=row.timestamp or "",
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
    wire = PythonWire(size, row.type.removeprefix(custom.PREFIX).strip())
    negate = rows.converts.formula(row.negate, (*path, "negate"))
    return (Value(row.name, wire, convert, hidden=hidden, negate=negate, status=status, place=place),)
