"""Tag lists of text: key, `assign`, value, `split`, again and again, in generated code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from decoders.fused.dispatch import begin_collections, by_halves, in_order, share_values, write_item
from decoders.fused.formulas import over_raw
from decoders.fused.lists import each
from decoders.fused.scope import Known, Structure
from decoders.fused.sizes import count_of, enter_span
from decoders.fused.text_values import text_form
from decoders.fused.values import variable_of
from decoders.fused.writer import Place, Writer
from decoders.layout import BytesWire, Nodes, TextTags, raw_names


def text_tags(writer: Writer, node: TextTags, scope: Structure) -> None:
    out = writer.out
    count = count_of(writer, node.count, node.count_wire, node.max_items, scope)
    behind = None if node.size is None else enter_span(writer, node.size, scope)
    tells_key = "key" in writer.names.raw and "key" not in raw_names((node,))
    begin_collections(writer, node, scope)
    with writer.repeating((node,), scope):
        share_values(writer, node, scope)
        place, end = out.fresh("o"), writer.place.end
        out.emit(f"{place} = {writer.position}")
        last = ""
        if tells_key and node.going is not None and "key" in node.going.names:
            last = out.fresh("last_key")
            out.emit(f"{last} = None")

        def going() -> str:
            assert node.going is not None
            writer.enter(place, end)
            if not last:
                return f"({over_raw(writer, node.going, scope).source})"
            before = Structure(scope, raw={"key": Known(last, False)}, depth=scope.depth)
            return f"({last} is None or {over_raw(writer, node.going, before).source})"

        with each(writer, count, node.max_items, f"{place} >= {end}", None if node.going is None else going):
            writer.enter(place, end)
            _item(writer, node, scope, place, last, tells_key=tells_key)
    if behind is not None:
        writer.refuse_if(f"{place} < {end}")
        writer.place = behind
    else:
        writer.enter(place, end)


def _item(writer: Writer, node: TextTags, scope: Structure, place: str, last: str, *, tells_key: bool) -> None:
    """last: variable with the key of the item before, where the test for another item reads it."""
    out, end = writer.out, writer.place.end
    start, stop, mark = out.fresh("o"), out.fresh("e"), out.fresh("x")
    begin, key = out.fresh("o"), out.fresh("key")
    out.emit(f"{start} = {place}")
    if node.count is not None:
        writer.refuse_if(f"{start} >= {end}")
    out.emit(f"{stop} = b.find({node.split!r}, {start}, {end})")
    out.emit(f"if {stop} < 0: {stop} = {end}")
    out.emit(f"{place} = {stop} + {len(node.split)}")
    with out.block(f"if not b[{start}:{stop}].strip(b' '):"):
        out.emit("continue")
    out.emit(f"{mark} = b.find({node.assign!r}, {start}, {stop})")
    out.emit(f"if {mark} < 0: {mark} = {begin} = {stop}")
    out.emit(f"else: {begin} = {mark} + {len(node.assign)}")
    out.emit(f"{key} = b[{start}:{mark}].decode('utf-8', 'replace').strip(' ')")
    if last:
        out.emit(f"{last} = {key}")
    value = f"b[{begin}:{stop}].decode('utf-8', 'replace')"
    if node.raw:
        raw = scope.values[node.raw].source
        out.emit(f"if {raw} is None: {raw} = []")
        out.emit(f"{raw}.append({{'id': {key}, 'value': {value}}})")
    number = out.fresh("tag")
    numbers = {word: index for index, words in enumerate(node.words) for word in words}
    out.emit(f"{number} = {out.bind(numbers)}.get({key}, -1)")
    around = scope.raw.get("key")  # of the item that this one stands in
    if tells_key:
        scope.raw["key"] = Known(key, kind="text")
    writer.place = Place(begin, 0, stop, 0, begin)
    _dispatch(writer, node, scope, number, key, (place, end))
    if tells_key:
        scope.raw.pop("key")
        if around is not None:
            scope.raw["key"] = around


def _dispatch(writer: Writer, node: TextTags, scope: Structure, number: str, key: str, window: tuple[str, str]) -> None:
    """Finds the tag by halves. number: variable with the tag's number, -1 for an unknown key."""
    out, here = writer.out, writer.place
    told = None if "key" in raw_names((node,)) else Known(key, kind="text")
    with in_order(scope) as begin:

        def leaf(part: Sequence[tuple[int, Nodes]]) -> None:
            for index, (tag, nodes) in enumerate(part):
                writer.place = here
                begin(tag)
                with out.block(f"{'elif' if index else 'if'} {number} == {tag}:"):
                    write_item(writer, nodes, scope, told)
            writer.place = here

        others = len(node.tags) - 1 if node.unknown == "rows" else -1
        tags = [(index, nodes) for index, (_, nodes) in enumerate(node.tags) if index != others]
        if others >= 0:
            begin(others)
            with out.block(f"if {number} < 0:"):
                write_item(writer, node.tags[others][1], scope, told)
            writer.place = here
            if tags:
                with out.block("else:"):
                    by_halves(writer, number, tags, leaf)
            return
        if node.unknown != "skip":
            with out.block(f"if {number} < 0:"):
                _unknown(writer, node, scope, key, window)
            with out.block("else:"):
                by_halves(writer, number, tags, leaf)
        else:
            by_halves(writer, number, tags, leaf)


def _unknown(writer: Writer, node: TextTags, scope: Structure, key: str, window: tuple[str, str]) -> None:
    out, (place, end) = writer.out, window
    if node.unknown == "stop":
        out.emit(f"{place} = {end}")
        out.emit("break")
    elif node.unknown == "refuse":
        out.emit("raise Refused")
    else:
        wire: Any = node.unknown_wire
        assert isinstance(wire, BytesWire)
        target = variable_of(writer, scope, node.into, hidden=False)
        target.sure = False
        value = out.fresh("t")
        out.emit(f"{value} = {text_form(wire).format(x=f'b[{writer.position}:{writer.place.end}]')}")
        with out.block(f"if {value} is not None:"):
            out.emit(f"if {target.source} is None: {target.source} = {{}}")
            out.emit(f"{target.source}[{key}] = {value}")
