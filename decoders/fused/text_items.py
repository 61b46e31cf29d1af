"""Tag lists of text: key, `assign`, value, `split`, again and again, in generated code."""

from __future__ import annotations

from typing import Any

from decoders.fused.lists import each
from decoders.fused.scope import Known, Structure
from decoders.fused.sizes import count_of, enter_span
from decoders.fused.text_values import text_form
from decoders.fused.values import share_raw, variable_of
from decoders.fused.writer import Place, Writer
from decoders.layout import BytesWire, Derived, TextTags, Value, raw_names

_TREE_LEAF = 4  # tags up to this many are tested one after the other; more by halves


def text_tags(writer: Writer, node: TextTags, scope: Structure) -> None:
    out = writer.out
    count = count_of(writer, node.count, node.count_wire, node.max_items, scope)
    behind = None if node.size is None else enter_span(writer, node.size, scope)
    tells_key = "key" in writer.names.raw and "key" not in raw_names((node,))
    for name in (node.raw, node.unknown.removeprefix("into:") if node.unknown.startswith("into:") else ""):
        if name and name not in scope.values:
            known = variable_of(writer, scope, name, hidden=False)
            if not writer.conditional:
                out.emit(f"{known.source} = None")
    with writer.branching((node,), scope):
        for name in sorted(raw_names((node,))):
            if name in writer.names.raw:
                share_raw(writer, name, scope)
        place, end = out.fresh("o"), writer.place.end
        out.emit(f"{place} = {writer.position}")
        with each(writer, count, node.max_items, f"{place} >= {end}"):
            writer.enter(place, end)
            _item(writer, node, scope, place, tells_key=tells_key)
    if behind is not None:
        writer.refuse_if(f"{place} < {end}")
        writer.place = behind
    else:
        writer.enter(place, end)


def _item(writer: Writer, node: TextTags, scope: Structure, place: str, *, tells_key: bool) -> None:
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
    value = f"b[{begin}:{stop}].decode('utf-8', 'replace')"
    if node.raw:
        raw = scope.values[node.raw].source
        out.emit(f"if {raw} is None: {raw} = []")
        out.emit(f"{raw}.append({{'id': {key}, 'value': {value}}})")
    number = out.fresh("tag")
    numbers = {word: index for index, words in enumerate(node.words) for word in words}
    out.emit(f"{number} = {out.bind(numbers)}.get({key}, -1)")
    if tells_key:
        scope.raw["key"] = Known(key, kind="text")
    writer.place = Place(begin, 0, stop, 0, begin)
    _dispatch(writer, node, scope, number, key, (place, end))
    if tells_key:
        del scope.raw["key"]


def _dispatch(writer: Writer, node: TextTags, scope: Structure, number: str, key: str, window: tuple[str, str]) -> None:
    """Finds the tag by halves."""
    out, here, before = writer.out, writer.place, scope.late
    late: dict[int, list[Value | Derived]] = {}

    def leaf(part: range) -> None:
        word = "if"
        for index in part:
            writer.place = here
            with out.block(f"{word} {number} == {index}:"):
                scope.late = late[index] = []
                writer.write(node.tags[index][1], scope)
            word = "elif"
        writer.place = here

    def tree(part: range) -> None:
        if len(part) <= _TREE_LEAF:
            leaf(part)
            return
        middle = len(part) // 2
        with out.block(f"if {number} < {part[middle]}:"):
            tree(part[:middle])
        with out.block("else:"):
            tree(part[middle:])

    if node.unknown != "skip":
        with out.block(f"if {number} < 0:"):
            _unknown(writer, node, scope, key, window)
        with out.block("else:"):
            tree(range(len(node.tags)))
    else:
        tree(range(len(node.tags)))
    scope.late = before
    for index in range(len(node.tags)):  # formulas are worked out in the order of the rows
        scope.late += late[index]


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
        target = variable_of(writer, scope, node.unknown.removeprefix("into:"), hidden=False)
        target.sure = False
        value = out.fresh("t")
        out.emit(f"{value} = {text_form(wire).format(x=f'b[{writer.position}:{writer.place.end}]')}")
        with out.block(f"if {value} is not None:"):
            out.emit(f"if {target.source} is None: {target.source} = {{}}")
            out.emit(f"{target.source}[{key}] = {value}")
