"""Tagged items: key, perhaps length, value, again and again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from decoders.fused.lists import each
from decoders.fused.pairs import pair_pattern, pair_value, take_pair
from decoders.fused.refusal import Unsupported
from decoders.fused.scope import Structure, raw_names
from decoders.fused.sizes import count_of, enter_span, span
from decoders.fused.values import share_raw, variable_of
from decoders.fused.wires import byte_form, read_integer
from decoders.fused.writer import Place, Writer
from decoders.layout import BytesWire, Derived, IntWire, Nodes, Tags, Value, least_size

_TREE_LEAF = 3  # tags up to this many are tested one after the other; more by halves


@dataclass(slots=True)
class _Loop:
    """The loop over the items. place: variable with the start of the next item; end: where the items end; value:
    variable with an item's value as an unsigned integer, where it was read together with its key."""

    node: Tags
    scope: Structure
    place: str
    end: str
    value: str = ""


def tags(writer: Writer, node: Tags, scope: Structure) -> None:
    count = count_of(writer, node.count, node.count_wire, node.max_items, scope)
    end = writer.place.end
    if node.size is not None:
        enter_span(writer, node.size, scope)
    after = writer.place
    out = writer.out
    for name in (node.raw, node.unknown.removeprefix("into:") if node.unknown.startswith("into:") else ""):
        if name and name not in scope.values:
            known = variable_of(writer, scope, name, hidden=False)
            if not writer.conditional:
                out.emit(f"{known.source} = None")
    with writer.branching((node,), scope):
        for name in raw_names(node):  # a branch may read what another kept the time before
            if name in writer.names.raw:
                share_raw(writer, name, scope)
        if count and isinstance(node.length, int) and node.unknown != "stop":
            place = _equal_sizes(writer, node, scope, count, node.length)
        else:
            place = out.fresh("o")
            out.emit(f"{place} = {writer.position}")
            loop = _Loop(node, scope, place, writer.place.end)
            with each(writer, count, node.max_items, f"{place} >= {loop.end}"):
                writer.enter(place, loop.end)
                _item(writer, loop, sure=not count)
    if node.size is not None:
        writer.enter(after.end, end)
    else:
        writer.enter(place, end)


def _equal_sizes(writer: Writer, node: Tags, scope: Structure, count: str, length: int) -> str:
    """A number of items of one size: one length check for all of them."""
    out, start, end, size = writer.out, writer.position, writer.place.end, node.key.size + length
    stop = out.fresh("o")
    out.emit(f"{stop} = {start} + {count} * {size}")
    writer.refuse_if(f"{stop} > {end}")
    loop = _Loop(node, scope, stop, end)
    pattern = pair_pattern(node, length)
    if pattern:
        key, value = out.fresh("key"), out.fresh("x")
        pairs = f"{out.iter_unpack(pattern)}(b[{start}:{stop}])"
        with out.block(f"if {count}:"), out.block(f"for {key}, {value} in {pairs}:"):
            writer.enter(stop, end, length)
            loop.value = value
            _dispatch(writer, loop, key)
        return stop
    place = out.fresh("o")
    with out.block(f"for {place} in range({start}, {stop}, {size}):"):
        writer.enter(place, end, size)
        key = read_integer(writer, node.key, "key")
        item_end, mark = out.fresh("e"), out.mark()
        out.emit(f"{item_end} = {place} + {size}")
        here = writer.place
        writer.place = Place(here.base, here.shift, item_end, length)
        _value(writer, loop, key)
        if not any(re.search(rf"\b{item_end}\b", line) for line in out.lines[mark + 1 :]):
            del out.lines[mark]
    return stop


def _item(writer: Writer, loop: _Loop, *, sure: bool) -> None:
    """One item at `place`. sure: one byte of it is known to be there."""
    node, out = loop.node, writer.out
    if node.length is None:
        writer.require(node.key.size)
        _dispatch(writer, loop, read_integer(writer, node.key, "key"))
        return
    begin = out.fresh("o")
    if isinstance(node.length, int):
        writer.require(node.key.size + node.length)
        key = read_integer(writer, node.key, "key")
        out.emit(f"{begin} = {writer.position}")
        out.emit(f"{loop.place} = {begin} + {node.length}")
        writer.enter(begin, loop.place, node.length)
        _value(writer, loop, key)
        return
    header = node.key.size + node.length.size
    if header - sure <= writer.slack:  # the check of the item's end comes in time
        writer.know(header)
    writer.require(header)
    if node.length_first:
        size = read_integer(writer, node.length, "size")
        writer.refuse_if(f"{size} < {node.key.size}")
        stop = out.fresh("e")
        out.emit(f"{stop} = {writer.position} + {size}")
        writer.refuse_if(f"{stop} > {loop.end}")
        key = read_integer(writer, node.key, "key")
        out.emit(f"{begin} = {writer.position}")
        out.emit(f"{loop.place} = {stop}")
        writer.enter(begin, loop.place)
        _value(writer, loop, key)
        return
    key = read_integer(writer, node.key, "key")
    size = read_integer(writer, node.length, "size")
    if node.length_counts_key:
        out.emit(f"{size} -= {header}")
        writer.refuse_if(f"{size} < 0")
    out.emit(f"{begin} = {writer.position}")
    out.emit(f"{loop.place} = {begin} + {size}")
    writer.refuse_if(f"{loop.place} > {loop.end}")
    writer.enter(begin, loop.place)
    writer.remember_left(begin, loop.place, size)
    _value(writer, loop, key)


def _value(writer: Writer, loop: _Loop, key: str) -> None:
    """The value of one item, whose window the writer is in."""
    if loop.node.raw:
        raw = loop.scope.values[loop.node.raw].source
        value = f"b[{writer.position}:{writer.place.end}].hex()"
        writer.out.emit(f"if {raw} is None: {raw} = []")
        writer.out.emit(f"{raw}.append({{'id': {key}, 'value': {value}}})")
    _dispatch(writer, loop, key)


def _dispatch(writer: Writer, loop: _Loop, key: str) -> None:
    """Finds the tag by halves, so that a long list of tags costs a few comparisons."""
    node, out, here, scope = loop.node, writer.out, writer.place, loop.scope
    before = scope.late
    late: dict[int, list[Value | Derived]] = {}

    def leaf(part: list[tuple[int, Nodes]]) -> None:
        word = "if"
        for number, nodes in part:
            least = least_size(nodes)
            writer.place = here
            enough = "" if node.length is None or here.checked >= least else f" and {writer.left} >= {least}"
            with out.block(f"{word} {key} == {number}{enough}:"):
                if node.length is not None:
                    writer.know(least)
                scope.late = late[number] = []
                if loop.value:
                    take_pair(writer, nodes, loop.value, scope)
                else:
                    writer.write(nodes, scope)
                if node.length is None:
                    out.emit(f"{loop.place} = {writer.position}")
            word = "elif"
        writer.place = here
        if not part:
            _unknown(writer, loop, key)
        elif node.unknown != "skip" or node.length is None:
            with out.block("else:"):
                _unknown(writer, loop, key)

    def tree(part: list[tuple[int, Nodes]]) -> None:
        if len(part) <= _TREE_LEAF:
            leaf(part)
            return
        middle = len(part) // 2
        with out.block(f"if {key} < {part[middle][0]}:"):
            tree(part[:middle])
        with out.block("else:"):
            tree(part[middle:])

    tree(sorted(node.tags, key=lambda tag: tag[0]))
    scope.late = before
    for number, _ in node.tags:  # formulas are worked out in the order of the rows
        scope.late += late[number]


def _unknown(writer: Writer, loop: _Loop, key: str) -> None:
    node, out = loop.node, writer.out
    if node.unknown == "stop":
        out.emit(f"{loop.place} = {loop.end}")
        out.emit("break")
    elif node.unknown == "refuse" or node.length is None:
        out.emit("raise Refused")
    elif node.unknown.startswith("into:"):
        target = variable_of(writer, loop.scope, node.unknown[5:], hidden=False)
        target.sure = False
        out.emit(f"if {target.source} is None: {target.source} = {{}}")
        name = f"DIGITS[{key}]" if node.key.size == 1 and node.key.sign == "unsigned" else f"str({key})"
        value = _raw_value(writer, node, loop.scope) if not loop.value else pair_value(node.unknown_wire, loop.value)
        out.emit(f"{target.source}[{name}] = {value}")


def _raw_value(writer: Writer, node: Tags, scope: Structure) -> str:
    """Reads the value of an unknown tag."""
    wire = node.unknown_wire
    if isinstance(wire, IntWire):
        return read_integer(writer, wire)
    if not isinstance(wire, BytesWire):
        raise Unsupported("unknown tags as floats")
    start, stop = span(writer, wire.size, scope)
    source, form = f"b[{start}:{stop}]", byte_form(wire)
    if form.count("{x}") > 1:
        variable = writer.out.fresh("x")
        writer.out.emit(f"{variable} = {source}")
        source = variable
    return form.format(x=source) if form else source
