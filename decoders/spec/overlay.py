"""One spec's data laid over another's, with the place of every value in the file that it is from.

What `extends:` and `variants:` have in common. Objects merge; lists and scalars replace; `null` removes a key (among
names of raw values it stays what it is there: no value). An object over a list of rows changes the rows of these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.errors import SpecProblem
from decoders.spec.problems import nearest
from decoders.spec.source import Document

__all__ = ["LayeredDocument", "Place", "lay_over", "place_in"]

_ROW_NAMES = ("name", "list", "group", "use", "switch")


@dataclass(slots=True)
class Place:
    """Where a value of merged data stands: in one file, but for those of its children that are from elsewhere."""

    document: Document
    path: tuple[str | int, ...] = ()
    children: dict[str | int, Place] = field(default_factory=dict)

    def child(self, item: str | int) -> Place:
        found = self.children.get(item)
        return Place(self.document, (*self.path, item)) if found is None else found

    def at(self, path: Sequence[str | int]) -> Place:
        place = self
        for item in path:
            place = place.child(item)
        return place


@dataclass(slots=True)
class LayeredDocument(Document):
    """Merged data of several places. `source` names the file that was asked for; `where` the one a value is from."""

    top: Place

    def place(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        found = self.top.at(path)
        return found.document.place(found.path, key=key)

    def where(self, path: Sequence[str | int], *, key: bool = False) -> tuple[str, int, int]:
        found = self.top.at(path)
        return found.document.where(found.path, key=key)

    def path_text(self, path: Sequence[str | int]) -> str:
        found = self.top.at(path)
        return found.document.path_text(found.path)


def place_in(document: Document, path: Sequence[str | int] = ()) -> Place:
    """Where a value of a document stands, whether that is one file or several."""
    top = document.top if isinstance(document, LayeredDocument) else Place(document)
    return top.at(path)


def lay_over(
    base: Any,
    base_place: Place,
    changes: Any,
    changes_place: Place,
    problems: list[SpecProblem],
    path: tuple[str | int, ...] = (),
) -> tuple[Any, Place]:
    """`base` with `changes` laid over it, and where its values stand. Neither is changed. path: of both in the spec.

    Rows that `base` does not have are added to `problems`.
    """
    if not isinstance(changes, Mapping):
        return changes, changes_place
    if isinstance(base, list) and any(_row_names(row) for row in base):
        return _rows(base, base_place, changes, changes_place, problems, path)
    if not isinstance(base, Mapping):
        return changes, changes_place
    result, place = dict(base), Place(base_place.document, base_place.path, dict(base_place.children))
    words = path[-1:] == ("enum",) or path[-2:-1] == ("enums",)  # here null is a word: no value
    for name, value in changes.items():
        its_place = changes_place.child(name)
        if name not in base:
            result[name], place.children[name] = value, its_place
        elif value is None and not words:
            del result[name]
            place.children.pop(name, None)
        else:
            result[name], place.children[name] = lay_over(
                base[name], base_place.child(name), value, its_place, problems, (*path, name)
            )
    return result, place


def _rows(
    base: list[Any],
    base_place: Place,
    changes: Mapping[Any, Any],
    changes_place: Place,
    problems: list[SpecProblem],
    path: tuple[str | int, ...],
) -> tuple[list[Any], Place]:
    """Rows of a list changed by their names; several rows may have one name."""
    known = {name for row in base for name in _row_names(row)}
    for name in changes:
        if name not in known:
            problems.append(_unknown_row(str(name), known, changes_place.child(name)))
    rows: list[Any] = []
    place = Place(base_place.document, base_place.path)
    for index, row in enumerate(base):
        its_place = base_place.child(index)
        name = next((name for name in _row_names(row) if name in changes), None)
        if name is not None and changes[name] is None:
            continue
        if name is not None:
            changed = changes_place.child(name)
            row, its_place = lay_over(row, its_place, changes[name], changed, problems, (*path, index))
        place.children[len(rows)] = its_place
        rows.append(row)
    return rows, place


def _row_names(row: Any) -> list[str]:
    """What a row is called: its name, or what it repeats, holds, uses or switches on."""
    if not isinstance(row, Mapping):
        return []
    named = [row[key] for key in _ROW_NAMES if isinstance(row.get(key), str)]
    return [*named[:1], *(["items"] if "items" in row else [])]


def _unknown_row(name: str, known: set[str], place: Place) -> SpecProblem:
    close = nearest(name, known)
    hint = f"did you mean `{close}`?" if close else f"rows: {', '.join(sorted(known))}"
    where = place.document.where(place.path, key=True)
    message = f"there is no row `{name}` to change (a list in place of an object replaces all rows)"
    return SpecProblem(*where, place.document.path_text(place.path), message, hint)
