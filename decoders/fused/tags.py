"""Tagged items: key, perhaps length, value, again and again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from decoders.formula import Formula
from decoders.fused.dispatch import begin_collections, by_halves, in_order, share_values, write_item
from decoders.fused.formulas import over_raw
from decoders.fused.lists import each
from decoders.fused.pairs import pair_pattern, pair_value, take_pair
from decoders.fused.refusal import Unsupported
from decoders.fused.scope import Known, Structure
from decoders.fused.sizes import count_of, enter_span, span, whole
from decoders.fused.values import variable_of
from decoders.fused.wires import byte_form, read_integer
from decoders.fused.writer import Place, Writer
from decoders.layout import BytesWire, IntWire, Keys, Nodes, Tags, Value, least_size, raw_names
from decoders.reference.fields import own_rows


@dataclass(slots=True)
class _Loop:
    """The loop over the items. place: variable with the start of the next item; end: where the items end; value:
    variable with an item's value as an unsigned integer, where it was read together with its key; last: variable with
    the key of the item before, where the test for another item reads it; left: bytes that stay unread."""

    node: Tags
    scope: Structure
    place: str
    end: str
    value: str = ""
    last: str = ""
    left: str = ""

    @property
    def tells_key(self) -> bool:
        """True where the tags' rows may read the key as `key`."""
        return "key" not in raw_names((self.node,))


def tags(writer: Writer, node: Tags, scope: Structure) -> None:
    count = count_of(writer, node.count, node.count_wire, node.max_items, scope)
    end = writer.place.end
    if node.size is not None:
        enter_span(writer, node.size, scope)
    after = writer.place
    out = writer.out
    begin_collections(writer, node, scope)
    with writer.repeating((node,), scope):
        share_values(writer, node, scope)
        if count and isinstance(node.length, int) and node.unknown != "stop" and _simple(node) and not node.going:
            place = _equal_sizes(writer, node, scope, count, node.length)
        else:
            left = whole(writer, node.left, scope).source if node.left is not None else ""
            place = out.fresh("o")
            out.emit(f"{place} = {writer.position}")
            loop = _Loop(node, scope, place, writer.place.end, left=left)
            if loop.tells_key and node.going is not None and "key" in node.going.names:
                loop.last = out.fresh("last_key")
                out.emit(f"{loop.last} = None")
            done = f"{loop.end} - {place} <= {left}" if left else f"{place} >= {loop.end}"
            with each(writer, count, node.max_items, done, _going(writer, loop)):
                writer.count_item(node)
                writer.enter(place, loop.end)
                if _simple(node):
                    _item(writer, loop, sure=not count)
                else:
                    _item_with_header(writer, loop)
    if node.size is not None:
        writer.refuse_if(f"{place} != {after.end}")
        writer.enter(after.end, end)
    else:
        writer.enter(place, end)


def _simple(node: Tags) -> bool:
    """True where each item begins with a key, or a length and a key, of known sizes."""
    return isinstance(node.key, IntWire) and not (node.escapes or node.header or isinstance(node.length, Formula))


def _going(writer: Writer, loop: _Loop) -> Callable[[], str] | None:
    if loop.node.going is None:
        return None
    formula = loop.node.going

    def test() -> str:
        writer.enter(loop.place, loop.end)
        if not loop.last:
            return f"({over_raw(writer, formula, loop.scope).source})"
        before = Structure(loop.scope, raw={"key": Known(loop.last, False)}, depth=loop.scope.depth)
        return f"({loop.last} is None or {over_raw(writer, formula, before).source})"

    return test


def _item_with_header(writer: Writer, loop: _Loop) -> None:
    """One item at `place` whose key or length is not just an integer in front."""
    node, out, scope = loop.node, writer.out, loop.scope
    head = Structure(scope, depth=scope.depth, quiet=True)
    with writer.unconditional():
        writer.write(node.header, head)
    head.raw = {name: replace(raw, fleeting=True) for name, raw in head.raw.items()}
    begin, stop = out.fresh("o"), out.fresh("e")
    if isinstance(node.length, IntWire) and node.length_first:
        size = read_integer(writer, node.length, "size")
        out.emit(f"{stop} = {writer.position} + {size}")
        writer.refuse_if(f"{stop} > {loop.end}")
        writer.place = Place(writer.place.base, writer.place.shift, stop)
        key = _read_key(writer, node, head)
        out.emit(f"{begin} = {writer.position}")
    else:
        key = _read_key(writer, node, head)
        if node.length is None:
            _with_header(writer, loop, head, key)
            return
        if isinstance(node.length, IntWire):
            size = read_integer(writer, node.length, "size")
        elif isinstance(node.length, int):
            size = str(node.length)
        else:
            size = out.fresh("size")
            known = over_raw(writer, node.length, head)
            whole = known.sure and known.kind == "int"
            out.emit(f"{size} = {known.source if whole else f'as_size({known.source})'}")
            if not whole:
                writer.refuse_if(f"{size}.__class__ is not int")
        if node.length_counts_key:
            counted = out.fresh("size")
            out.emit(f"{counted} = {size} - ({writer.position} - {loop.place})")
            size = counted
        writer.refuse_if(f"{size} < 0")
        out.emit(f"{begin} = {writer.position}")
        out.emit(f"{stop} = {begin} + {size}")
        writer.refuse_if(f"{stop} > {loop.end}")
    out.emit(f"{loop.place} = {stop}")
    writer.enter(begin, loop.place)
    _with_header(writer, loop, head, key)


def _read_key(writer: Writer, node: Tags, head: Structure) -> str:
    out = writer.out
    if isinstance(node.key, Formula):
        known, key = over_raw(writer, node.key, head), out.fresh("key")
        out.emit(f"{key} = {known.source}")
        if not known.sure or known.kind not in ("int", "bool"):
            writer.refuse_if(f"{key}.__class__ not in INTEGERS")
        if known.kind != "int":
            out.emit(f"{key} = int({key})")
        return key
    key = read_integer(writer, node.key, "key")
    for mark, more in node.escapes:
        after, place = out.fresh("o"), writer.place
        out.emit(f"{after} = {writer.position}")
        with out.block(f"if {key} == {mark}:"):
            out.emit(f"{key} = {key} << {8 * more.size} | {read_integer(writer, more, 'more')}")
            out.emit(f"{after} = {writer.position}")
        writer.place = place
        writer.move_to(after)
    return key


def _with_header(writer: Writer, loop: _Loop, head: Structure, key: str) -> None:
    """The value of an item, whose rows may read the header's raw values."""
    read = writer.names.raw & head.raw.keys()
    own = own_rows([row for _, nodes in loop.node.tags for row in nodes])
    for name in read & {part.name for row in own if isinstance(row, Value) for part in row.parts}:
        raise Unsupported(f"`{name}` is in the header of a tag list and in its tags")
    before = {name: loop.scope.raw.get(name) for name in read}
    loop.scope.raw |= {name: head.raw[name] for name in read}
    if loop.node.length is None:
        _dispatch(writer, loop, key)
    else:
        _value(writer, loop, key)
    for name, known in before.items():
        if known is None:
            del loop.scope.raw[name]
        else:
            loop.scope.raw[name] = known


def _equal_sizes(writer: Writer, node: Tags, scope: Structure, count: str, length: int) -> str:
    """A number of items of one size: one length check for all of them."""
    assert isinstance(node.key, IntWire)
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
    assert isinstance(node.key, IntWire)
    assert not isinstance(node.length, Formula)
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
    if loop.last:
        out.emit(f"{loop.last} = {key}")
    outer_key = scope.raw.get("key")
    if loop.tells_key:
        scope.raw["key"] = Known(key, kind="int", fleeting=True)
    with in_order(scope) as begin:

        def tag(word: str, number: int) -> None:
            keys, nodes = node.tags[number]
            writer.place = here
            begin(number)
            _tag(writer, loop, word, key, keys, nodes)

        def leaf(part: Sequence[tuple[int, int]]) -> None:
            for index, (_, number) in enumerate(part):
                tag("elif" if index else "if", number)
            writer.place = here
            if not part:
                unknown()
            elif node.unknown != "skip" or node.length is None:
                with out.block("else:"):
                    unknown()

        def unknown() -> None:
            if other:
                out.emit(f"{other} = True")
            else:
                _unknown(writer, loop, key)

        other = out.fresh("other") if node.unknown == "rows" else ""
        if other:
            out.emit(f"{other} = False")
        many = [number for number, (keys, _) in enumerate(node.tags) if len(keys) > 1]
        for index, number in enumerate(many):
            tag("elif" if index else "if", number)
        single = sorted((keys[0][0], number) for number, (keys, _) in enumerate(node.tags) if len(keys) == 1)
        if many:
            with out.block("else:"):
                by_halves(writer, key, single, leaf)
        else:
            by_halves(writer, key, single, leaf)
        if other:
            writer.place = here
            begin(len(node.tags) - 1)
            _rows(writer, loop, f"if {other}", key, node.tags[-1][1])
    if loop.tells_key:
        scope.raw.pop("key")
        if outer_key is not None:
            scope.raw["key"] = outer_key


def _tag(writer: Writer, loop: _Loop, word: str, key: str, keys: Keys, nodes: Nodes) -> None:
    """The rows of one tag, behind the test for its keys. word: `if` or `elif`."""
    enough = loop.node.length is not None and writer.place.checked < least_size(nodes)
    _rows(writer, loop, f"{word} {_in_keys(key, keys, enough)}", key, nodes)


def _rows(writer: Writer, loop: _Loop, test: str, key: str, nodes: Nodes) -> None:
    """The rows of a tag, where the test is true and the item has enough bytes."""
    implied, least = loop.node.length is None, least_size(nodes)
    enough = "" if implied or writer.place.checked >= least else f" and {writer.left} >= {least}"
    with writer.out.block(f"{test}{enough}:"):
        if not implied:
            writer.know(least)
        if loop.value:
            take_pair(writer, nodes, loop.value, loop.scope)
        else:
            write_item(writer, nodes, loop.scope, Known(key, kind="int") if loop.tells_key else None)
        if implied:
            writer.out.emit(f"{loop.place} = {writer.position}")


def _in_keys(key: str, keys: Keys, joined: bool) -> str:
    """A test for the keys of a tag. joined: more is put behind it with `and`."""
    tests = [f"{key} == {low}" if low == high else f"{low} <= {key} <= {high}" for low, high in keys]
    text = " or ".join(tests)
    return f"({text})" if joined and len(tests) > 1 else text


def _unknown(writer: Writer, loop: _Loop, key: str) -> None:
    node, out = loop.node, writer.out
    if node.unknown == "stop":
        out.emit(f"{loop.place} = {loop.end}{f' - {loop.left}' if loop.left else ''}")
        out.emit("break")
    elif node.unknown == "refuse" or node.length is None:
        out.emit("raise Refused")
    elif node.unknown.startswith("into:"):
        target = variable_of(writer, loop.scope, node.unknown[5:], hidden=False)
        target.sure = False
        out.emit(f"if {target.source} is None: {target.source} = {{}}")
        small = isinstance(node.key, IntWire) and node.key.size == 1 and node.key.sign == "unsigned"
        name = f"DIGITS[{key}]" if small and not node.escapes else f"str({key})"
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
