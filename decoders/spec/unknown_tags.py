"""`on_unknown` of tag lists: what becomes of keys that no tag is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from decoders.layout import Entry, Nodes
from decoders.spec import model
from decoders.spec.notes import Path, Structure

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

Sized = Callable[[Sequence[Any]], Sequence[Any]]
_OF_METRICS = ("range", "required", "identity", "timestamp", "session")


def unknown_rows(
    rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure, sized: Sized
) -> Nodes | None:
    """The nodes for all keys that no tag is for; None where `on_unknown` has no rows. sized: gives rows the size that
    an item has."""
    given, here = spec.on_unknown, (*path, "on_unknown")
    if isinstance(given, list):
        with _any_key(rows):
            return rows.build(sized(given), here, structure, conditional=True)
    if isinstance(given, str) or not given.fields:
        return None
    if given.type is not None:
        rows.report((*here, "type"), "`fields` already say how the value is read", "keep one of the two")
    mine = Structure()
    with _any_key(rows):
        nodes = rows.build(sized(given.fields), (*here, "fields"), mine, conditional=True)
    for note in mine.notes.values():
        for key in _OF_METRICS:
            if getattr(note, key):
                hint = f"write a tag for the value, without `into: {given.into}`"
                rows.report((*note.path, key), f"`{key}` needs a plain name", hint)
    note_object(rows, given.into, here, structure)
    names = [*mine.notes, *mine.inner]
    only = names[0] if len(names) == 1 and "{" not in names[0] and not mine.open else ""
    entry = Entry(given.into, nodes, only=only)
    rows.origins.keep((entry,), given, here)
    return (entry,)


def note_object(rows: RowBuilder, name: str, path: Path, structure: Structure) -> None:
    """Notes the object that unknown ones go into."""
    if name in structure.notes or name in structure.lists:
        rows.report((*path, "into"), f"`{name}` is another value already", "give one of the two another name")
    structure.inner.setdefault(name, Structure())
    structure.collected.add(name)


@contextmanager
def _any_key(rows: RowBuilder) -> Iterator[None]:
    """Names that are built meanwhile read the key where the item is read, not that of a tag around the list."""
    before = rows.constants
    rows.constants = {name: value for name, value in before.items() if name != "key"}
    yield
    rows.constants = before
