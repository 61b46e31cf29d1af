"""Names of values that are not plain: built from raw integers, or given to several values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from decoders.formula import Formula, FormulaError
from decoders.layout import STATUS, Given, Keys, Nodes, Place, Value
from decoders.naming import makes_digits, parse_name, pattern_of, reads
from decoders.spec import model
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.row_walk import inner_rows

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder


_MAX_KEYS = 256
_MAX_COMPUTED = 100
_MAX_DIGITS = 10
_MAX_DEPTH = 8
_WHOLE = frozenset({"index", "length", "port"})
_OF_THE_WINDOW = frozenset({"remaining", "next_u8", "next_u16"})


def place_of(rows: RowBuilder, name: str, repeat: str | None, path: Path) -> Place | None:
    """Where a value of this name goes; None for one that just has its name."""
    try:
        naming = parse_name(name)
    except FormulaError as error:
        rows.report((*path, "name"), str(error), "such as chn_{k}, of integers that are read before it")
        return None
    window = next((word for word in (naming.names if naming else ()) if word in _OF_THE_WINDOW), None)
    if window is not None:
        rows.report((*path, "name"), f"`{window}` cannot be a part of a name", "use integers that are read before it")
        return None
    if naming is not None and repeat:
        rows.report((*path, "repeat"), "a name that is built from numbers does not repeat", "remove one of the two")
        return Place(naming)
    for part in naming.parts if naming is not None else ():
        if isinstance(part, Formula):
            rows.converts.places.keep(part, (*path, "name"))
    return Place(naming, repeat or "") if naming is not None or repeat else None


def add_note(rows: RowBuilder, structure: Structure, note: ValueNote, place: Place | None) -> None:
    """Notes a value, under a pattern where its names are known only when it is read."""
    if place is not None and place.repeat == "list":
        note = replace(note, items=True, number=False)
    elif place is not None:
        for key in ("required", "identity", "timestamp", "session"):
            if getattr(note, key):
                rows.report((*note.path, key), f"`{key}` needs a plain name", f"`{note.name}` has many")
        name = f"{note.name}_{{n}}" if place.repeat else note.name
        note = replace(note, name=name, required=False, identity="", timestamp="", session="", conditional=True)
    _no_collision(rows, structure, note)
    structure.add(note)


def add_status(rows: RowBuilder, structure: Structure, note: ValueNote, place: Place | None) -> None:
    """Notes the value that holds the word of a sentinel."""
    status = ValueNote(status_name(note.name), note.path, metric=note.metric, conditional=True)
    add_note(rows, structure, status, place)


def status_name(name: str) -> str:
    return name + STATUS


def repeats(rows: RowBuilder, structure: Structure, name: str, place: Place | None, path: Path) -> None:
    """All rows of one name repeat alike, or the one would replace what the other collects."""
    mode = place.repeat if place is not None else ""
    before = structure.repeats.setdefault(name, mode)
    if before != mode:
        said = f"`repeat: {before}`" if before else "no `repeat`"
        rows.report((*path, "repeat"), f"another row `{name}` has {said}", "say the same on each of them")


def given_instead(rows: RowBuilder, row: Any, built: Nodes, path: Path, *, always: bool) -> tuple[Given, ...]:
    """What a row says under `else`. always: the row is there anyway."""
    value = getattr(row, "else_", None)
    if value is None or not built or not isinstance(built[0], Value):
        return ()
    node = built[0]
    if always:
        rows.report((*path, "else"), f"`{row.name}` is always there", "`else` goes with `if` or `optional`")
    if node.hidden and node.bits:
        rows.report((*path, "else"), f"`{row.name}` is not shown", "remove `else`, or add `hidden: false`")
    raw = isinstance(value, int) and not isinstance(value, bool) and node.convert.plain
    return (Given(node.name, value, raw, node.place, node.hidden),)


def _no_collision(rows: RowBuilder, structure: Structure, note: ValueNote) -> None:
    """A computed name that may become the plain name of another value would hide it."""
    if note.name in structure.collected:
        hint = "give one of the two another name"
        rows.report(note.path, f"`{note.name}` is the object of `on_unknown: {{into: {note.name}}}`", hint)
    if "{" in note.name:
        if note.name not in structure.computed and len(structure.computed) >= _MAX_COMPUTED:
            rows.report(note.path, f"more than {_MAX_COMPUTED} names are built from numbers", "use a list or tags")
            return
        pattern = pattern_of(note.name)
        near = [name for name in structure.notes if pattern.fullmatch(name)]
        found = [(note.name, name) for name in near if _becomes(rows, note.name, name)]
    else:
        found = [(name, note.name) for name in structure.computed if _becomes(rows, name, note.name)]
    for computed, plain in found:
        hint = "give one of the two another name"
        rows.report(note.path, f"`{computed}` may become `{plain}`, which is another value", hint)


def _becomes(rows: RowBuilder, computed: str, name: str) -> bool:
    """Whether a computed name may become this plain one, as far as is known of what it is built from."""
    if "{" in name or not pattern_of(computed).fullmatch(name):
        return False
    digits = makes_digits(computed, lambda raw: rows.integers.get(raw, raw in _WHOLE))
    return not digits or pattern_of(computed, digits=True).fullmatch(name) is not None


def by_key(
    rows: RowBuilder, given: Sequence[Any], keys: Keys, build: Callable[[], Nodes]
) -> Iterator[tuple[Keys, Nodes]]:
    """The nodes of a tag; once for each of its keys where names are built from the key, so that they are plain."""
    numbers = [number for low, high in keys for number in range(low, min(high, low + _MAX_KEYS) + 1)]
    if len(numbers) > _MAX_KEYS or not reads_key(rows, given):
        yield keys, build()
        return
    for number in numbers:
        if rows.full:
            return
        with key_is(rows, number):
            yield ((number, number),), build()


def by_word(
    rows: RowBuilder, given: Sequence[Any], words: tuple[str, ...], build: Callable[[], Nodes]
) -> Iterator[tuple[tuple[str, ...], Nodes]]:
    """The same for keys that are text; one of digits counts as a number too."""
    if len(words) > _MAX_KEYS or not reads_key(rows, given):
        yield words, build()
        return
    for word in words:
        if rows.full:
            return
        with key_is(rows, int(word) if word.isdecimal() and len(word) < _MAX_DIGITS else word):
            yield (word,), build()


@contextmanager
def key_is(rows: RowBuilder, key: int | str) -> Iterator[None]:
    """Names that are built meanwhile may read the tag's key."""
    before = rows.constants
    rows.constants = {**before, "key": key}
    yield
    rows.constants = before


def reads_key(rows: RowBuilder, given: Sequence[Any], depth: int = 0) -> bool:
    """Whether some name in these rows of a tag, or in rows within them, is built from the tag's `key`."""
    for row in given:
        if isinstance(row, model.UseRow) and depth < _MAX_DEPTH:
            if reads_key(rows, rows.spec.blocks.get(row.use, ()), depth + 1):
                return True
            continue
        texts = [getattr(row, "name", None), getattr(row, "group", None), getattr(row, "list_", None)]
        bits = getattr(row, "bits", None) or ()
        texts += [part.name if isinstance(part, model.BitPart) else part for part in bits]
        if any(isinstance(text, str) and reads(text, "key") for text in texts):
            return True
        if any(reads_key(rows, inner, depth) for _, inner in inner_rows(row, ())):
            return True
    return False
