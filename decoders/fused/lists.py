"""Lists: equal structures one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from decoders.fused.assemble import assemble, finish
from decoders.fused.formulas import over_raw, over_values
from decoders.fused.parallel import beside, grow, number, own_target
from decoders.fused.refusal import Unsupported
from decoders.fused.runs import by_order, stretch_of, take_all
from decoders.fused.scope import Known, Structure
from decoders.fused.sizes import count_of, enter_span, whole
from decoders.fused.structures import inside
from decoders.fused.values import give, keep_raw
from decoders.fused.writer import Writer
from decoders.layout import Derived, Repeat, Skip, Value, fixed_size, raw_names


def repeat(writer: Writer, node: Repeat, scope: Structure) -> None:
    target = own_target(writer, node, scope) if node.into else ""
    items = _items(writer, node, scope, target)
    counted = node.name in writer.names.raw
    if counted and not items.isidentifier():
        items, source = writer.out.fresh("items"), items
        writer.out.emit(f"{items} = {source}")
    scope.lists.setdefault(node.into or node.name, []).append(node)
    if target:
        writer.out.emit(f"add_items({target}, {items})")
    elif node.numbered:
        number(writer, node, scope, items)
    elif not node.hidden or writer.names.wanted(node.name):
        if node.name in writer.names.growing:
            grow(writer, node, scope, items)
        else:
            give(writer, scope, node.name, Known(items, kind="list", hidden=node.hidden))
    if counted:
        _keep_count(writer, node, scope, items)


def _keep_count(writer: Writer, node: Repeat, scope: Structure, items: str) -> None:
    """What layout formulas may know of the list: how many items were read."""
    if node.keep is not None and not node.numbered and node.name not in writer.names.growing:
        raise Unsupported(f"a layout formula that reads `{node.name}`, of which `keep` drops items")
    count = scope.counters.get(node.name, f"len({items})")
    variable = writer.out.fresh("r_" + node.name)
    writer.out.emit(f"{variable} = [None] * {count}")
    keep_raw(writer, node.name, Known(variable, kind="list"), scope)


def _items(writer: Writer, node: Repeat, scope: Structure, target: str) -> str:
    """Reads the items. target: variable of the list whose items their formulas may read."""
    plain = node.size is None and node.item_size is None and node.going is None and not target
    if node.count is not None and node.count.text == "1" and plain:
        items = _single(writer, node, scope)
    else:
        count = count_of(writer, node.count, node.count_wire, node.max_items, scope)
        behind = None if node.size is None else enter_span(writer, node.size, scope)
        stop = writer.place.end
        size = fixed_size(node.nodes) if node.item_size is None and not writer.open_ended else None
        if size and (count or node.left is None) and node.going is None:
            items = _equal_sizes(writer, node, scope, count, size, target)
        else:
            items = _any_sizes(writer, node, scope, count, target)
        if behind is not None:
            if writer.position != stop:
                writer.refuse_if(writer.unread(stop))
            writer.place = behind
    return items


def _single(writer: Writer, node: Repeat, scope: Structure) -> str:
    """A list of one item needs no loop."""
    inner = inside(scope)
    if _tells_index(writer, node):
        _number(inner, Known("0", kind="int", most=0))
    with writer.unconditional():
        writer.write(node.nodes, inner)
        if node.keep is None:
            return f"[{_item(writer, node, inner)}]"
        items = writer.out.fresh("items")
        writer.out.emit(f"{items} = []")
        _append(writer, node, inner, items)
    return items


def _tells_index(writer: Writer, node: Repeat) -> bool:
    """True where something reads the number of the item, counted from 0."""
    return "index" in writer.names.raw | writer.names.values and "index" not in raw_names((node,))


def _number(inner: Structure, known: Known) -> None:
    """The number of the item, around the item: no value of it, but all formulas may read it."""
    inner.outer = Structure(inner.outer, raw={"index": known}, values={"index": known}, depth=inner.depth - 1)


def _indexed(writer: Writer, node: Repeat, inner: Structure, index: str) -> None:
    """In the loop: the next number of an item."""
    if index:
        writer.out.emit(f"{index} += 1")
        _number(inner, Known(index, kind="int", most=node.max_items))


def _index(writer: Writer, node: Repeat) -> str:
    """Before the loop: a variable for the number of the item; "" where nothing reads it."""
    index = writer.out.fresh("index") if _tells_index(writer, node) else ""
    if index:
        writer.out.emit(f"{index} = -1")
    return index


def _append(writer: Writer, node: Repeat, inner: Structure, items: str) -> None:
    if node.keep is None:
        writer.out.emit(f"{items}.append({_item(writer, node, inner)})")
        return
    finish(writer, inner)
    with writer.out.block(f"if {over_values(writer, node.keep, inner).source}:"):
        writer.out.emit(f"{items}.append({_item(writer, node, inner)})")
    grows = node.name in writer.names.growing and not node.numbered and not node.into
    if node.numbered or grows:
        with writer.out.block("else:"):
            instead = "DROPPED" if grows else "None" if node.plain else "{}"
            writer.out.emit(f"{items}.append({instead})")


def _item(writer: Writer, node: Repeat, inner: Structure) -> str:
    """An item as an expression, or the variable that holds it."""
    if not node.plain or node.into:
        return assemble(writer, inner)
    finish(writer, inner)
    if inner.faults:
        writer.refuse_if(f"{inner.faults} is not None")
    return inner.values[node.name].source


def _equal_sizes(writer: Writer, node: Repeat, scope: Structure, count: str, size: int, target: str) -> str:
    """Items of a fixed size: one length check for all of them."""
    out, items = writer.out, writer.out.fresh("items")
    start, end = writer.position, writer.place.end
    if count:
        stop = out.fresh("o")
        out.emit(f"{stop} = {start} + {count} * {size}")
        writer.refuse_if(f"{stop} > {end}")
    else:
        stop = end
        left = writer.left
        writer.refuse_if(
            f"{left} % {size} or {left} > {node.max_items * size}" if size > 1 else f"{left} > {node.max_items}"
        )
    inner = inside(scope)
    rows = [row for row in node.nodes if isinstance(row, Value | Skip | Derived)]
    plain = len(rows) == len(node.nodes) and len(by_order(rows)) == 1
    made = stretch_of(writer, rows) if plain else None
    index = _index(writer, node)
    out.emit(f"{items} = []")
    mark = out.mark()
    with writer.unconditional():
        if made is not None and made.variables:
            inner.late += [row for row in node.nodes if isinstance(row, Value) and row.negate is not None]
            comma = "," if len(made.variables) == 1 else ""
            head = f"for {', '.join(made.variables)}{comma} in {out.iter_unpack(made.pattern)}(b[{start}:{stop}])"
            with out.block(f"{head}:"):
                if target:
                    beside(writer, node, scope, inner, target, items)
                _indexed(writer, node, inner, index)
                take_all(writer, made, inner)
                _append(writer, node, inner, items)
        else:
            place = out.fresh("o")
            head = f"for {place} in range({start}, {stop}, {size})"
            with out.block(f"{head}:"):
                if target:
                    beside(writer, node, scope, inner, target, items)
                _indexed(writer, node, inner, index)
                writer.enter(place, end, size)
                writer.write(node.nodes, inner)
                _append(writer, node, inner, items)
    out.comprehend(mark, head, items)
    writer.enter(stop, end)
    return items


def _any_sizes(writer: Writer, node: Repeat, scope: Structure, count: str, target: str) -> str:
    out, end, going = writer.out, writer.place.end, node.going
    left = whole(writer, node.left, scope).source if node.left is not None else "0"
    items, place = out.fresh("items"), out.fresh("o")
    index = _index(writer, node)
    out.emit(f"{items} = []")
    out.emit(f"{place} = {writer.position}")
    done = f"{end} - {place} <= {left}" if left != "0" else f"{place} >= {end}"
    more = ""
    if going is not None and not raw_names(node.nodes).isdisjoint(going.names):  # the item before says whether
        more = out.fresh("more")
        out.emit(f"{more} = True")

    def test() -> str:
        if more or going is None:
            return more
        writer.enter(place, end)
        return f"({over_raw(writer, going, scope).source})"

    with writer.unconditional(), each(writer, count, node.max_items, done, None if going is None else test):
        writer.count_item(node)
        writer.enter(place, end)
        inner = inside(scope)
        if target:
            beside(writer, node, scope, inner, target, items)
        _indexed(writer, node, inner, index)
        size = node.item_size
        if size is None:
            writer.write(node.nodes, inner)
            out.emit(f"{place} = {writer.position}")
        else:
            behind = enter_span(writer, size, inner)
            writer.write(node.nodes, inner)
            writer.refuse_if(writer.unread())
            writer.place = behind
            out.emit(f"{place} = {writer.position}")
        if more and going is not None:
            writer.enter(place, end)
            out.emit(f"{more} = {over_raw(writer, going, inner).source}")
        _append(writer, node, inner, items)
    writer.enter(place, end)
    return items


@contextmanager
def each(writer: Writer, count: str, most: int, done: str, going: Callable[[], str] | None = None) -> Iterator[None]:
    """A loop over `count` items, or over at most `most` of them until `done` is true. going: writes what is needed to
    know whether there is another item, and gives the test."""
    out = writer.out
    if count:
        with out.block(f"for _ in range({count}):"):
            if going is not None:
                out.emit(f"if not {going()}: break")
            yield
        return
    with out.block(f"for _ in range({most}):"):
        out.emit(f"if {done}: break")
        if going is not None:
            out.emit(f"if not {going()}: break")
        yield
    with out.block("else:"):
        if going is None:
            writer.refuse_if(f"not {done}")
        else:
            with out.block(f"if not {done}:"):
                writer.refuse_if(going())
