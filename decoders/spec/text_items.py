"""Tag lists of text: `TMP=21.5;BAT=3.6`, or the lines of a telegram, `1-0:1.8.1(001.001*kWh)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from decoders.layout import BytesWire, IntWire, Nodes, Rest, TextTags, Wire
from decoders.spec import model
from decoders.spec.names import by_word
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.text_rows import is_bounded, mark_of, own_size, rest_size, split_of, text_wire
from decoders.spec.text_spans import texts_of
from decoders.spec.unknown_tags import note_object, unknown_rows

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

_NOT_OF_TEXT = ("length", "escape", "header", "length_first", "until", "until_left", "count_type")


def text_tags(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> Nodes:
    """A tag list of a text frame."""
    if not rows.text:
        hint = "`format: text` in the frame, or a group with `encoded: text`"
        rows.report((*path, "key"), "keys that are text stand in text frames", hint)
        return ()
    if spec.key not in (None, "text"):
        rows.report((*path, "key"), f"`{spec.key}` reads bytes, and this is a text frame", "`key: text`")
    for option in _NOT_OF_TEXT:
        if option in spec.model_fields_set and getattr(spec, option):
            hint = "text has `assign` and `split`, `count` and `while`"
            rows.report((*path, option), f"`{option}` is for binary tag lists", hint)
    assign = mark_of(rows, spec.assign, (*path, "assign")) or b"="
    split = split_of(rows, spec.split, (*path, "split"))
    if not split:
        rows.report(path, "nothing says what stands between the items", 'such as `split: ";"`')
        return ()
    size = own_size(rows, spec, path)
    if size is None and is_bounded(rows, spec.split):
        size = rest_size(rows)
    tags: list[Nodes] = []
    words: list[tuple[str, ...]] = []
    where: dict[str, int | str] = {}
    with rows.reading(text=True, split=b""), rows.table(spec.tags, path) as (table, place):
        for key, given in table.items():
            here = (*place, key)

            def build(given: Sequence[Any] = given, here: Path = here) -> Nodes:
                return rows.build(given, here, structure, conditional=True)

            for known, nodes in by_word(rows, given, _words(rows, key, here), build):
                tags.append(nodes)
                words.append(known)
            for word in _words(rows, key, here):
                if word in where:
                    rows.report(here, f"key {word} is also in `{where[word]}`", "give each key to one tag")
                where.setdefault(word, key)
    unknown, wire = "rows", None
    with rows.reading(text=True, split=b""):
        others = unknown_rows(rows, spec, path, structure, lambda given: given)
    if others is None:
        unknown, wire = _on_unknown(rows, spec, path, structure)
    else:
        tags.append(others)
        words.append(())
    if spec.raw:
        structure.notes[spec.raw] = ValueNote(spec.raw, (*path, "raw"), metric=False, conditional=True)
    return (
        TextTags(
            key=IntWire(1),
            length=None,
            tags=tuple((((number, number),), nodes) for number, nodes in enumerate(tags)),
            unknown=unknown,
            unknown_wire=wire,
            raw=spec.raw or "",
            count=rows.converts.formula(spec.count, (*path, "count")),
            size=size,
            max_items=spec.max,
            assign=assign,
            split=split,
            words=tuple(words),
            going=rows.converts.formula(spec.while_, (*path, "while")),
        ),
    )


def _words(rows: RowBuilder, key: int | str, path: Path) -> tuple[str, ...]:
    """The keys that a key of `tags` stands for: `TMP`, `A, B`, `1..8`, `P1..P4`; "" for items that begin with
    `assign`."""
    if key == "":
        return ("",)
    words: list[str] = []
    for part in str(key).split(","):
        word = part.strip()
        if ".." in word:
            try:
                found = texts_of(word)
            except ValueError as error:
                hint = "such as `1..16`, `01..16` or `P1..P4`; or list the keys: `A, B`"
                rows.report(path, f"`{word}` is {error}", hint)
                return ()
            if not rows.converts.room_for(len(found) - 1, path):
                return ()
            words += found
        elif word:
            words.append(word)
    if not words:
        rows.report(path, "the key is empty", "")
    return tuple(words)


def _on_unknown(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> tuple[str, Wire | None]:
    if not isinstance(spec.on_unknown, model.UnknownTag):
        return str(spec.on_unknown), None
    into = spec.on_unknown
    note_object(rows, into.into, (*path, "on_unknown"), structure)
    row = model.ValueRow(name=into.into, type=into.type or "text")
    wire = text_wire(rows, row, (*path, "on_unknown"), Rest())
    return f"into:{into.into}", wire or BytesWire(Rest(), "text")
