"""Lists and tag lists of a spec -> nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from decoders.layout import BytesWire, IntWire, Nodes, Repeat, Rest, Tags, Wire, fixed_size
from decoders.spec import model
from decoders.spec.notes import Path, Structure, ValueNote
from decoders.spec.words import wire_of, without_size

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder


def list_row(rows: RowBuilder, row: model.ListRow, path: Path, structure: Structure) -> Nodes:
    inner = structure.inner[row.list_] = Structure()
    structure.lists.add(row.list_)
    if not row.metric:
        structure.quiet.add(row.list_)
    nodes = rows.build(row.fields, (*path, "fields"), inner)
    return (
        Repeat(
            row.list_,
            nodes,
            count=rows.converts.formula(row.count, (*path, "count")),
            count_wire=rows.integer(row.count_type, (*path, "count_type")),
            size=rows.size(row.bytes, None, path, "bytes"),
            left=rows.converts.formula(row.until_left, (*path, "until_left")),
            item_prefix=rows.integer(row.item_prefix, (*path, "item_prefix")),
            keep=rows.converts.formula(row.keep, (*path, "keep")),
            max_items=row.max,
        ),
    )


def tag_list(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> Nodes:
    """A tag list."""
    length: IntWire | int | None = None
    if isinstance(spec.length, int):
        length = spec.length
    elif spec.length is not None:
        length = rows.integer(spec.length, (*path, "length"))
    if spec.length_first and not isinstance(spec.length, str):
        rows.report((*path, "length_first"), "there is no length on the wire", "such as `length: u8`")
    tags = _tags(rows, spec, path, structure, length)
    unknown, unknown_wire = _on_unknown(rows, spec, path, structure)
    if spec.raw:
        structure.notes[spec.raw] = ValueNote(spec.raw, (*path, "raw"), metric=False, conditional=True)
    return (
        Tags(
            rows.integer(spec.key, (*path, "key")) or IntWire(1),
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
        ),
    )


def _tags(
    rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure, length: IntWire | int | None
) -> tuple[tuple[int, Nodes], ...]:
    """Key -> nodes. Items of a fixed size use those rows of a shared table that have this size."""
    if isinstance(spec.tags, str):
        return _shared_tags(rows, spec.tags, path, structure, length)
    tags: list[tuple[int, Nodes]] = []
    for key, given in spec.tags.items():
        here = (*path, "tags", key)
        nodes = rows.build([_sized(row, length) for row in given], here, structure, conditional=True)
        size = fixed_size(nodes)
        if isinstance(length, int) and size not in (None, length):
            rows.report(here, f"the rows take {size} bytes, the items have {length}", "use `skip` or another type")
        tags += [(number, nodes) for number in tag_keys(key)]
    return tuple(tags)


def tag_keys(key: int | str) -> list[int]:
    """The keys that a key of `tags` stands for: `5`, `3..7`, `1, 2`."""
    if isinstance(key, int):
        return [key]
    numbers: list[int] = []
    for part in key.split(","):
        low, dots, high = part.strip().partition("..")
        numbers += range(int(low, 0), int(high if dots else low, 0) + 1)
    return numbers


def _shared_tags(
    rows: RowBuilder, name: str, path: Path, structure: Structure, length: IntWire | int | None
) -> tuple[tuple[int, Nodes], ...]:
    table = rows.spec.tags.get(name)
    if table is None:
        rows.converts.unknown(name, rows.spec.tags, (*path, "tags"), "table of tags")
        return ()
    if not rows.enter(f"tags {name}", (*path, "tags")):
        return ()
    tags: list[tuple[int, Nodes]] = []
    for key, given in table.items():
        mine = Structure()
        nodes = rows.build([_sized(row, length) for row in given], ("tags", name, key), mine, conditional=True)
        if not isinstance(length, int) or fixed_size(nodes) in (None, length):
            structure.take(mine)
            tags += [(number, nodes) for number in tag_keys(key)]
    rows.leave()
    return tuple(tags)


def _on_unknown(rows: RowBuilder, spec: model.ItemsSpec, path: Path, structure: Structure) -> tuple[str, Wire | None]:
    if isinstance(spec.on_unknown, str):
        return spec.on_unknown, None
    into = spec.on_unknown
    structure.inner.setdefault(into.into, Structure())
    wire: Wire = BytesWire(Rest(), "hex")
    if into.type is not None:
        found = wire_of(into.type, spec.length if isinstance(spec.length, int) else Rest(), rows.big)
        if found is None:
            rows.report((*path, "on_unknown", "type"), f"unknown type `{into.type}`", "such as u16 or hex")
        else:
            wire = found[0]
    if spec.length is None and isinstance(wire, BytesWire):
        rows.report((*path, "on_unknown"), "the size of an unknown tag is not known", "use `stop` or `refuse`")
    return f"into:{into.into}", wire


def _sized(row: Any, length: IntWire | int | None) -> Any:
    """In a tag with a length, a value whose type has no size of its own takes the whole item."""
    sizeless = isinstance(row, model.ValueRow) and without_size(row.type) and row.bytes is None and row.prefix is None
    if length is not None and sizeless:
        return row.model_copy(update={"bytes": str(length) if isinstance(length, int) else "rest"})
    return row
