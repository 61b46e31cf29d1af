"""Rules on what nobody uses: shared tables and hidden values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from decoders.errors import SpecProblem
from decoders.spec import model
from decoders.spec.lint.subject import Rule, Subject

__all__ = ["UNUSED_RULES"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BRACES = re.compile(r"\{([^{}]*)\}")  # what names are built from
_FOR_PEOPLE = frozenset({"name", "note", "title", "source", "vendor", "unit", "product", "measurement", "data_type"})
_TABLES: Mapping[str, str] = {"blocks": "use", "enums": "enum", "flags": "flags", "tags": "tags"}
"""Table of the spec -> key that names one of its entries."""


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(key, text) of all texts below a value."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str) and "{" in name:
                yield "name", name
            yield from _texts(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, key)


def _said(subject: Subject) -> list[tuple[str, str]]:
    """All texts of the spec, and of what its variants change."""
    return list(_texts(subject.loaded.document.data))


def _unused_table(subject: Subject) -> Iterator[SpecProblem]:
    said = _said(subject)
    for table, key in _TABLES.items():
        used = {text for name, text in said if name == key}
        for entry in getattr(subject.spec, table):
            if entry not in used:
                message = f"nothing uses `{entry}` of `{table}`"
                yield subject.problem(
                    "unused", (table, entry), message, f"remove it, or say `{key}: {entry}`", key=True
                )


def _unused_hidden(subject: Subject) -> Iterator[SpecProblem]:
    said = _said(subject)
    read = {word for key, text in said if key not in _FOR_PEOPLE for word in _NAME.findall(text)}
    read |= {word for _, text in said for part in _BRACES.findall(text) for word in _NAME.findall(part)}
    read |= {name for message in subject.spec.messages.values() for name in message.when}
    for placed in subject.rows:
        row = placed.row
        if not isinstance(row, model.ValueRow) or not row.hidden or row.identity or row.session or row.timestamp:
            continue
        if row.bits or row.counts or row.crc or row.const is not None or row.equals or row.note or row.name in read:
            continue
        message = f"`{row.name}` is hidden, and no formula reads it"
        yield subject.problem(
            "unused_hidden", (*placed.path, "hidden"), message, "write `skip:` in its place, or a `note` of what it is"
        )


UNUSED_RULES = (
    Rule(
        *("unused", "warning", "every block, enum, list of flags and table of tags is used"),
        *("remove it", _unused_table),
        whole=True,
    ),
    Rule(
        *("unused_hidden", "warning", "a hidden value is read by some formula"),
        *("write `skip:` in its place, or a `note` of what it is", _unused_hidden),
        whole=True,
    ),
)
