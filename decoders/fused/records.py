"""Self-describing records: the parser of their format is called, then each record goes to the code of its tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.clocks import read_meter
from decoders.fused.dispatch import begin_collections, by_halves, share_values, write_item
from decoders.fused.scope import Structure
from decoders.fused.sizes import enter_span
from decoders.fused.values import take, variable_of
from decoders.fused.writer import Writer
from decoders.layout import Nodes, Records, RecordWire, Value, least_size
from decoders.metering.formats import FORMATS
from decoders.metering.records import Record, field_of


@dataclass(slots=True)
class _Loop:
    """The loop over the records. record, number, start, stop: variables with the record, the number of its tag (-1:
    none) and where its data stand."""

    node: Records
    record: str
    number: str
    start: str
    stop: str


def tag_number(record: Record, places: Mapping[str, int]) -> int:
    """The number of the tag that names the record; -1 when none does."""
    for word in record.words:
        if word in places:
            return places[word]
    return -1


def records(writer: Writer, node: Records, scope: Structure) -> None:
    out = writer.out
    behind = enter_span(writer, node.size, scope) if node.size is not None else None
    end = writer.place.end
    begin_collections(writer, node, scope)
    if node.unknown == "into:":
        scope.records.append(out.fresh("records"))
        if writer.conditional:
            writer.preset(scope.records[-1], "{}")
        else:
            out.emit(f"{scope.records[-1]} = {{}}")
    found, place = out.fresh("found"), out.fresh("o")
    with writer.repeating((node,), scope):
        share_values(writer, node, scope)
        out.emit(f"{found} = []")
        parse = out.bind(FORMATS[node.format].parse)
        out.emit(f"{place} = {parse}(b, {writer.position}, {end}, {node.max_items}, {found})")
        loop = _Loop(node, *(out.fresh(hint) for hint in ("record", "number", "o", "e")))
        with out.block(f"for {loop.record} in {found}:"):
            _record(writer, loop, scope)
    if behind is not None:
        writer.place = behind
    else:
        writer.enter(place, end)


def _record(writer: Writer, loop: _Loop, scope: Structure) -> None:
    node, out = loop.node, writer.out
    out.emit(f"{loop.start}, {loop.stop} = {loop.record}.start, {loop.record}.stop")
    if node.raw:
        raw = scope.values[node.raw].source
        out.emit(f"if {raw} is None: {raw} = []")
        data = f"b[{loop.start}:{loop.stop}].hex()"
        out.emit(f"{raw}.append({{'id': {loop.record}.words[0], 'value': {data}}})")
    if node.tags:
        places = {word: number for number, words in enumerate(node.words) for word in words}
        out.emit(f"{loop.number} = {out.bind(tag_number)}({loop.record}, {out.bind(places)})")
    before, writer.record = writer.record, loop.record
    tags = [(number, nodes) for number, (_, nodes) in enumerate(node.tags)]  # in the order of their formulas
    by_halves(writer, loop.number, tags, lambda part: _dispatch(writer, loop, part, scope))
    writer.record = before


def _dispatch(writer: Writer, loop: _Loop, part: Sequence[tuple[int, Nodes]], scope: Structure) -> None:
    """The rows of a few tags, behind tests for their numbers."""
    out = writer.out
    for index, (number, nodes) in enumerate(part):
        least = least_size(nodes)
        enough = f" and {loop.stop} - {loop.start} >= {least}" if least else ""
        with out.block(f"{'elif' if index else 'if'} {loop.number} == {number}{enough}:"):
            writer.enter(loop.start, loop.stop, least)
            write_item(writer, nodes, scope, None)
    if not part:
        _unknown(writer, loop, scope)
    elif loop.node.unknown != "skip":
        with out.block("else:"):
            _unknown(writer, loop, scope)


def _unknown(writer: Writer, loop: _Loop, scope: Structure) -> None:
    unknown, out, record = loop.node.unknown, writer.out, loop.record
    if unknown == "stop":
        out.emit("break")
    elif unknown == "refuse":
        out.emit("raise Refused")
    elif unknown == "skip":
        out.emit("pass")
    else:
        value = f"{out.bind(read_meter)}({record}.value, z)"
        if unknown == "into:":
            out.emit(f"if {record}.value is not None: {scope.records[-1]}[{record}.name] = {value}")
            return
        target = variable_of(writer, scope, unknown[5:], hidden=False)
        target.sure = False
        with out.block(f"if {record}.value is not None:"):
            out.emit(f"if {target.source} is None: {target.source} = {{}}")
            out.emit(f"{target.source}[{record}.name] = {value}")


def record_value(writer: Writer, node: Value, scope: Structure) -> None:
    """A row that reads the record around it."""
    wire: Any = node.wire
    assert isinstance(wire, RecordWire)
    out = writer.out
    variable = out.fresh(node.name)
    if wire.absent:
        source = f"{out.bind(field_of)}({writer.record}, {wire.part!r}, {out.bind(wire.absent)})"
    else:
        source = f"{writer.record}.{wire.part}"
    out.emit(f"{variable} = {source}")
    if not node.bits:
        take(writer, node, variable, "", scope)
        return
    with out.block(f"if {variable}.__class__ is int:"):
        take(writer, node, variable, "", scope)
