"""Registered Python types in a spec: `type: "python:name"` of a row, `encoded: "python:name"` of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoders import custom
from decoders.layout import Nodes, PythonWire, Rest
from decoders.spec import model
from decoders.spec.notes import Path, Structure
from decoders.spec.problems import nearest
from decoders.spec.result_rows import result_row
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
    near = nearest(name, custom.names())
    there = f"there are {', '.join(custom.names())}" if custom.names() else "there are none"
    hint = f"did you mean `{custom.PREFIX}{near}`?" if near else f"{there}; packages add them as `iotlink.types`"
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
    wire = PythonWire(size, row.type.removeprefix(custom.PREFIX).strip())
    return result_row(rows, row, wire, path, structure, conditional=conditional)
