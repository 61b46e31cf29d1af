"""All rows of a spec with their places in the file, each once: blocks and shared tags where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.spec import model

__all__ = ["PlacedRow", "all_rows", "inner_rows", "kept_values"]

Path = tuple[str | int, ...]


@dataclass(slots=True, frozen=True)
class PlacedRow:
    """A row and its path in the document. frame: it belongs to the header or trailer of frames."""

    row: Any
    path: Path
    frame: bool = False


def all_rows(spec: model.SpecFile) -> Iterator[PlacedRow]:
    """Rows of frames, blocks, shared tags and messages, outer ones first."""
    given: dict[Path, model.FrameSpec] = {("frames", name): frame for name, frame in spec.frames.items()}
    if spec.frame is not None:
        given["frame",] = spec.frame
    for path, frame in given.items():
        yield from _walk(frame.header, (*path, "header"), frame=True)
        yield from _walk(frame.trailer, (*path, "trailer"), frame=True)
    for name, rows in spec.blocks.items():
        yield from _walk(rows, ("blocks", name))
    for name, tags in spec.tags.items():
        for key, rows in tags.items():
            yield from _walk(rows, ("tags", name, key))
    for name, message in spec.messages.items():
        place = spec.place_of(name)
        yield from _walk(message.fields, (*place, "fields"))
        if message.items is not None:
            for path, held in _tags(message.items, (*place, "items")):
                yield from _walk(held, path)


def kept_values(spec: model.SpecFile) -> frozenset[str]:
    """Names of the values that a login keeps for the messages behind it (`session: keep`)."""
    return frozenset(place.row.name for place in all_rows(spec) if getattr(place.row, "session", None) == "keep")


def inner_rows(row: Any, path: Path) -> list[tuple[Path, Sequence[Any]]]:
    """The lists of rows that a row holds, with their paths."""
    match row:
        case model.GroupRow() | model.ListRow():
            return [((*path, "fields"), row.fields)]
        case model.SwitchRow():
            found: list[tuple[Path, Sequence[Any]]] = [((*path, "cases", key), rows) for key, rows in row.cases.items()]
            if row.default != "refuse":
                found.append(((*path, "default"), row.default))
            return found
        case model.ItemsRow():
            return _tags(row.items, (*path, "items"))
    return []


def _tags(items: model.ItemsSpec, path: Path) -> list[tuple[Path, Sequence[Any]]]:
    found: list[tuple[Path, Sequence[Any]]] = [((*path, "header"), items.header)] if items.header else []
    if not isinstance(items.tags, str):
        found += [((*path, "tags", key), rows) for key, rows in items.tags.items()]
    if isinstance(items.on_unknown, list):
        found.append(((*path, "on_unknown"), items.on_unknown))
    elif isinstance(items.on_unknown, model.UnknownTag) and items.on_unknown.fields:
        found.append(((*path, "on_unknown", "fields"), items.on_unknown.fields))
    return found


def _walk(rows: Sequence[Any], path: Path, *, frame: bool = False) -> Iterator[PlacedRow]:
    for index, row in enumerate(rows):
        here = (*path, index)
        yield PlacedRow(row, here, frame)
        for inner, held in inner_rows(row, here):
            yield from _walk(held, inner, frame=frame)
