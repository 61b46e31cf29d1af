"""Lists and tag lists of a spec -> nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from decoders.formula import Formula
from decoders.layout import (
    BytesWire,
    Condition,
    Group,
    IntWire,
    Keys,
    Node,
    Nodes,
    Repeat,
    Rest,
    Tags,
    Value,
    Wire,
    fixed_size,
    raw_names,
    walk,
)
from decoders.naming import resolved
from decoders.spec import model
from decoders.spec.names import by_key, repeats
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.text_rows import list_size, literal_node, mark_of, split_of
from decoders.spec.unknown_tags import note_object, unknown_rows
from decoders.spec.value_rows import value_row
from decoders.spec.words import integer, is_whole, wire_of, without_size
from decoders.text_forms import READERS

_NEXT = ("next_u8", "next_u16")
_TEXT_FORMS = READERS.keys() | {"text"}
_OF_LISTS = {"note", "hidden"}  # of the options of values, those that lists of structures have too
Length: TypeAlias = IntWire | int | Formula | None
_MAX_NOTES = 4096
_MAX_NOTED = 64  # numbered values beyond it have no contract and no unit

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder


def list_row(rows: RowBuilder, row: model.ListRow, path: Path, structure: Structure) -> Nodes:
    if "{" in row.list_:
        row = row.model_copy(update={"list_": resolved(row.list_, rows.constants)})
    if "{" in row.list_:
        rows.report((*path, "list"), f"`{row.list_}` is no plain name", "only a tag's `key` can be a part of it")
    _check_keys(rows, row, path)
    going, mark = _going(rows, row, path)
    mine = Structure()
    size, item_until = list_size(rows, row, path)
    with rows.reading(text=rows.text, split=split_of(rows, row.split, (*path, "split"))):
        if row.type is not None:
            nodes = _plain(rows, row, path, mine)
        else:
            nodes = rows.build(row.fields, (*path, "fields"), mine)
    if row.numbered:
        _note_numbered(row, mine, structure)
    elif row.into is not None:
        _note_parallel(rows, row, path, mine, structure)
    else:
        repeats(rows, structure, row.list_, None, path)
        if row.type is not None:
            structure.take(mine)
        else:
            _note_list(row, mine, structure)
    return (
        Repeat(
            row.list_,
            nodes,
            count=rows.converts.formula(row.count, (*path, "count")),
            count_wire=rows.integer(row.count_type, (*path, "count_type")),
            size=size,
            left=rows.converts.formula(row.until_left, (*path, "until_left")),
            item_prefix=rows.integer(row.item_prefix, (*path, "item_prefix")),
            keep=rows.converts.formula(row.keep, (*path, "keep")),
            max_items=row.max,
            going=going,
            plain=row.type is not None,
            into=row.into or "",
            numbered=row.numbered,
            item_until=item_until,
            marked=bool(item_until) and not rows.text and not any(map(_is_text, walk(nodes))),
            hidden=bool(row.hidden),
        ),
        *mark,
    )


def _is_text(node: Node) -> bool:
    """True for characters: where items are made of them, a mark may stand between these only, as in text frames."""
    return isinstance(node, Value) and isinstance(node.wire, BytesWire) and node.wire.form in _TEXT_FORMS


def _going(rows: RowBuilder, row: model.ListRow | model.ItemsSpec, path: Path) -> tuple[Formula | None, Nodes]:
    """The test for another item, and the row that reads the mark behind the last one."""
    going = rows.converts.formula(row.while_, (*path, "while"))
    if row.until is None:
        return going, ()
    others = [key for key in ("while_", "count", "count_type", "bytes", "until_left") if getattr(row, key) is not None]
    if others:
        what = f"`{others[0].rstrip('_')}` and `until` both say where the items end"
        rows.report((*path, "until"), what, "keep one of them")
        return going, ()
    mark = mark_of(rows, row.until, (*path, "until"))
    if mark is None:
        return None, ()
    if not rows.text and len(mark) > len(_NEXT):
        rows.report((*path, "until"), "such a mark has one or two bytes", "`while`, and a `literal` behind the list")
        return None, ()
    test = f"not starts({mark.decode()!r})" if rows.text else f"{_NEXT[len(mark) - 1]} != {int.from_bytes(mark, 'big')}"
    return rows.converts.formula(test, (*path, "until")), (literal_node(mark),)


def _check_keys(rows: RowBuilder, row: model.ListRow, path: Path) -> None:
    """Keys that do not go together."""
    given = row.model_fields_set
    if row.type is None:
        for key in sorted(given & (model.Conversion.model_fields.keys() - _OF_LISTS - {"metric"})):
            rows.report((*path, key), f"`{key}` belongs to the fields of the items", "write it there, or give `type`")
    ends = [key for key in ("count", "count_type", "until_left") if getattr(row, key) is not None]
    if len(ends) > 1:
        rows.report((*path, ends[1]), f"`{ends[0]}` and `{ends[1]}` both say where the list ends", "use one of them")
    elif row.bytes is not None and row.until_left is not None:
        rows.report((*path, "until_left"), "`bytes` says where the list ends", "remove `bytes` or `until_left`")
    if row.item_bytes is not None and (row.type is None or row.item_prefix is not None or row.item_until is not None):
        hint = "`item_prefix` and `item_until` say it too; a field of an item has `bytes` of its own"
        rows.report((*path, "item_bytes"), "it is the size of plain values that have no other", hint)
    if row.numbered and row.into is not None:
        rows.report((*path, "numbered"), "values go into another list or are numbered, not both", "remove one of them")


def _plain(rows: RowBuilder, row: model.ListRow, path: Path, mine: Structure) -> Nodes:
    """The node of one item of a list of plain values; its note is that of the list."""
    options = {key: getattr(row, key) for key in row.model_fields_set & model.Conversion.model_fields.keys()}
    for own in ("hidden", "metric"):
        options.pop(own, None)
    sizeless, bounded = without_size(row.type or ""), row.item_prefix is not None or row.item_until is not None
    if sizeless and not bounded and not rows.text and row.item_bytes is None:
        rows.report((*path, "type"), f"`{row.type}` has no size of its own", "`item_bytes: 4`, or `item_prefix: u8`")
        return ()
    if rows.text and not rows.split and not bounded and row.item_bytes is None:
        what = "`bytes` is the size of all items together" if row.bytes is not None else "nothing parts the items"
        rows.report((*path, "bytes" if row.bytes is not None else "type"), what, "`item_bytes: 2` is the size of each")
        return ()
    size = {"bytes": "rest"} if sizeless and bounded else {}
    if row.item_bytes is not None:
        size = {"bytes": row.item_bytes}
    if isinstance(row.absent, dict):
        hint = f"`fields: [{{name: value, type: {row.type}, absent: …}}]` in place of `type`, or no words"
        rows.report((*path, "absent"), "a list of plain values has no place for words of sentinels", hint)
    value = model.ValueRow(name=row.list_, type=row.type or "", metric=row.metric, **size, **options)
    nodes = value_row(rows, value, path, mine, conditional=True)
    for note in mine.notes.values():
        note.items = True
    if row.hidden:
        mine.notes.clear()
    return nodes


def _note_list(row: model.ListRow, mine: Structure, structure: Structure) -> None:
    """Several lists of one name, as in the cases of a switch, share their notes."""
    before = structure.inner.get(row.list_)
    if before is not None and row.list_ in structure.lists:
        for name in before.notes.keys() ^ mine.notes.keys():
            note = before.notes.get(name) or mine.notes[name]
            note.required, note.conditional = False, True
        before.take(mine)
    else:
        structure.inner[row.list_] = mine
    structure.lists.add(row.list_)
    if row.keep is not None:
        structure.kept.add(row.list_)
    if row.metric is False:
        structure.quiet.add(row.list_)


def _note_parallel(rows: RowBuilder, row: model.ListRow, path: Path, mine: Structure, structure: Structure) -> None:
    target = row.into or ""
    here = (*path, "into")
    if target not in structure.lists:
        rows.converts.unknown(target, dict.fromkeys(sorted(structure.lists)), here, "earlier list of structures")
        return
    if target in structure.kept:
        rows.report(here, f"`keep` drops items of `{target}` that this list has too", "put `keep` into the last list")
    for note in mine.notes.values():
        note.items = False
    structure.inner[target].take(mine)
    if row.keep is not None:
        structure.kept.add(target)


def _note_numbered(row: model.ListRow, mine: Structure, structure: Structure) -> None:
    """The values are called `name_1`, `name_2` ... in the structure around."""
    fixed = int(row.count) if row.count is not None and is_whole(row.count) else 0
    most = _MAX_NOTES // max(len(mine.notes) + len(mine.inner), 1)  # of lists within lists
    for number in range(1, min(fixed or row.max, _MAX_NOTED, most) + 1):
        for name, note in mine.notes.items():
            metric = row.metric if note.metric is None else note.metric
            structure.add(
                replace(
                    note,
                    name=f"{name}_{number}",
                    metric=metric,
                    items=False,
                    required=note.required and bool(fixed),
                    conditional=note.conditional or not fixed,
                )
            )
        structure.inner |= {f"{name}_{number}": inner for name, inner in mine.inner.items()}
        structure.lists |= {f"{name}_{number}" for name in mine.lists}
        structure.quiet |= {f"{name}_{number}" for name in mine.quiet}


def tag_list(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> Nodes:
    """A tag list."""
    header = _hidden(rows, rows.build(spec.header, (*path, "header"), Structure()))
    known = raw_names(header)
    length = spec.length if isinstance(spec.length, int) else _part(rows, spec, "length", path, known)
    if spec.length_first and not isinstance(length, IntWire):
        rows.report((*path, "length_first"), "there is no length on the wire", "such as `length: u8`")
    key = _part(rows, spec, "key", path, known)
    if spec.key is None:
        hint = f"such as `key: {min(known)}`" if known else "such as `key: u8`"
        rows.report(path, "a tag list needs a `key`", hint)
    if not isinstance(key, IntWire) and spec.escape:
        rows.report((*path, "escape"), "only a key that is an integer on the wire goes on", "such as `key: u8`")
    ends = [name for name in ("count", "count_type", "until_left") if getattr(spec, name) is not None]
    if len(ends) > 1:
        rows.report((*path, ends[1]), f"`{ends[0]}` and `{ends[1]}` both say where the list ends", "use one of them")
    elif spec.bytes is not None and spec.until_left is not None:
        rows.report((*path, "until_left"), "`bytes` says where the list ends", "remove `bytes` or `until_left`")
    tags = _tags(rows, spec, path, structure, length)
    going, mark = _going(rows, spec, path)
    unknown, unknown_wire = "rows", None
    others = unknown_rows(rows, spec, path, structure, lambda given: _sized(given, length))
    if others is None:
        unknown, unknown_wire = _on_unknown(rows, spec, path, structure)
    else:
        tags = (*tags, ((), others))
    if spec.raw:
        structure.notes[spec.raw] = ValueNote(spec.raw, (*path, "raw"), metric=False, conditional=True)
    return (
        Tags(
            key or IntWire(1),
            length,
            tags,
            unknown,
            unknown_wire,
            spec.raw or "",
            spec.length_counts == "key_and_value",
            spec.length_first,
            rows.converts.formula(spec.count, (*path, "count")),
            rows.integer(spec.count_type, (*path, "count_type")),
            rows.size(spec.bytes, None, path, "bytes"),
            spec.max,
            escapes=_escapes(rows, spec, path),
            header=header,
            going=going,
            left=rows.converts.formula(spec.until_left, (*path, "until_left")),
        ),
        *mark,
    )


def _part(rows: RowBuilder, spec: model.ItemsSpec, name: str, path: Path, known: set[str]) -> IntWire | Formula | None:
    """Key or length: an integer type, or a formula over the header, which gives these names."""
    text: str | None = getattr(spec, name)
    if text is None:
        return None
    if not spec.header or (integer(text, rows.big) is not None and text not in known):
        return rows.integer(text, (*path, name))
    formula = rows.converts.formula(text, (*path, name))
    if formula is not None and known.isdisjoint(formula.names):
        hint = f"such as `{name}: {min(known, default='')}`"
        rows.report((*path, name), f"`{text}` reads nothing of the header", hint)
    return formula


def _hidden(rows: RowBuilder, nodes: Nodes) -> Nodes:
    """The header of an item gives no values."""
    made: list[Node] = []
    for node in nodes:
        match node:
            case Value():
                bits = tuple(replace(bit, hidden=True) for bit in node.bits)
                made.append(replace(node, hidden=True, bits=bits))
            case Condition() | Group(name=""):
                made.append(replace(node, nodes=_hidden(rows, node.nodes)))
            case _:
                made.append(node)
        rows.origins.moved(node, made[-1])
    return tuple(made)


def _escapes(rows: RowBuilder, spec: model.ItemsSpec, path: Path) -> tuple[tuple[int, IntWire], ...]:
    """Keys that go on, the lowest first."""
    found = []
    for key, word in sorted(spec.escape.items()):
        wire = rows.integer(word, (*path, "escape", key))
        if wire is not None and wire.sign != "unsigned":
            rows.report((*path, "escape", key), f"`{word}` has a sign", "such as u8")
        elif wire is not None:
            found.append((key, wire))
    return tuple(found)


def _tags(
    rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure, length: Length
) -> tuple[tuple[Keys, Nodes], ...]:
    """Key -> nodes. Items of a fixed size use those rows of a shared table that have this size."""
    if isinstance(spec.tags, str):
        return _shared_tags(rows, spec.tags, path, structure, length)
    tags: list[tuple[Keys, Nodes]] = []
    used: list[Path] = []
    for key, given in spec.tags.items():
        here = (*path, "tags", key)

        def build(given: Sequence[Any] = given, here: Path = here) -> Nodes:
            return rows.build(_sized(given, length), here, structure, conditional=True)

        for keys, nodes in by_key(rows, given, tag_keys(rows, key, here), build):
            size = fixed_size(nodes)
            if isinstance(length, int) and size not in (None, length):
                rows.report(here, f"the rows take {size} bytes, the items have {length}", "use `skip` or another type")
            tags.append((keys, nodes))
            used.append(here)
    _no_overlap(rows, tags, used)
    return tuple(tags)


def tag_keys(rows: RowBuilder, key: int | str, path: Path) -> Keys:
    """The keys that a key of `tags` stands for: `5`, `3..7`, `1, 2`."""
    if isinstance(key, int):
        return ((key, key),)
    spans: list[tuple[int, int]] = []
    for part in key.split(","):
        low, dots, high = part.strip().partition("..")
        try:
            span = int(low, 0), int(high if dots else low, 0)
        except ValueError:
            hint = "a number, `3..7`, or `1, 2`; rows for all other keys stand under `on_unknown`"
            rows.report(path, f"`{key}` is no key of a tag", hint)
            return ()
        if span[0] > span[1]:
            rows.report(path, f"`{part.strip()}` is empty", "the lower key comes first")
            return ()
        spans.append(span)
    return tuple(spans)


def _no_overlap(rows: RowBuilder, tags: Sequence[tuple[Keys, Nodes]], paths: Sequence[Path]) -> None:
    """A key belongs to one tag."""
    spans = sorted((low, high, place) for place, (keys, _) in enumerate(tags) for low, high in keys)
    for (_, before, first), (low, high, second) in pairwise(spans):
        if low <= before:
            shared = f"{low}" if min(before, high) == low else f"{low}..{min(before, high)}"
            one, other = sorted((first, second))
            rows.report(paths[other], f"key {shared} is also in `{paths[one][-1]}`", "give each key to one tag")


def _shared_tags(
    rows: RowBuilder, name: str, path: Path, structure: Structure, length: Length
) -> tuple[tuple[Keys, Nodes], ...]:
    tags: list[tuple[Keys, Nodes]] = []
    used: list[Path] = []
    with rows.table(name, path) as (table, place):
        for key, given in table.items():
            mine, here = Structure(repeats=structure.repeats), (*place, key)

            def build(given: Sequence[Any] = given, here: Path = here, mine: Structure = mine) -> Nodes:
                return rows.build(_sized(given, length), here, mine, conditional=True)

            for keys, nodes in by_key(rows, given, tag_keys(rows, key, here), build):
                if not isinstance(length, int) or fixed_size(nodes) in (None, length):
                    structure.take(mine)
                    used.append(here)
                    tags.append((keys, nodes))
    _no_overlap(rows, tags, used)
    return tuple(tags)


def _on_unknown(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> tuple[str, Wire | None]:
    if not isinstance(spec.on_unknown, model.UnknownTag):
        return str(spec.on_unknown), None
    into = spec.on_unknown
    note_object(rows, into.into, (*path, "on_unknown"), structure)
    wire: Wire = BytesWire(Rest(), "hex")
    if into.type is not None:
        found = wire_of(into.type, spec.length if isinstance(spec.length, int) else Rest(), rows.big)
        if found is None:
            rows.report((*path, "on_unknown", "type"), f"unknown type `{into.type}`", "such as u16 or hex")
        else:
            wire = found[0]
    if spec.length is None and isinstance(wire, BytesWire):
        hint = "use `stop`, `refuse`, or `fields` that say their size"
        rows.report((*path, "on_unknown"), "the size of an unknown tag is not known", hint)
    return f"into:{into.into}", wire


def _sized(given: Sequence[Any], length: Length) -> list[Any]:
    """In a tag with a length, a value whose type has no size of its own takes the whole item, or the rest of it."""
    size = str(length) if isinstance(length, int) and len(given) == 1 else "rest"
    return [row.model_copy(update={"bytes": size}) if length is not None and _sizeless(row) else row for row in given]


def _sizeless(row: Any) -> bool:
    if not isinstance(row, model.ValueRow) or not without_size(row.type):
        return False
    return row.bytes is None and row.prefix is None and row.until is None
