"""Lists: equal structures one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from decoders.fused.assemble import assemble, finish
from decoders.fused.formulas import over_values
from decoders.fused.runs import by_order, stretch_of
from decoders.fused.scope import Known, Structure, is_late
from decoders.fused.sizes import count_of, enter_span, whole
from decoders.fused.structures import inside
from decoders.fused.values import give, take
from decoders.fused.writer import Writer
from decoders.layout import Derived, Prefix, Repeat, Skip, Value, fixed_size


def repeat(writer: Writer, node: Repeat, scope: Structure) -> None:
    if node.count is not None and node.count.text == "1" and node.size is None and node.item_prefix is None:
        items = _single(writer, node, scope)
    else:
        count = count_of(writer, node.count, node.count_wire, node.max_items, scope)
        end, sized = writer.place.end, node.size is not None
        if node.size is not None:
            enter_span(writer, node.size, scope)
        stop = writer.place.end
        size = fixed_size(node.nodes) if node.item_prefix is None else None
        if size and (count or node.left is None):
            items = _equal_sizes(writer, node, scope, count, size)
        else:
            items = _any_sizes(writer, node, scope, count)
        if sized:
            if writer.position != stop:
                writer.refuse_if(f"{writer.position} != {stop}")
            writer.enter(stop, end)
    give(writer, scope, node.name, Known(items, kind="list"))


def _single(writer: Writer, node: Repeat, scope: Structure) -> str:
    """A list of one item needs no loop."""
    inner = inside(scope)
    with writer.unconditional():
        writer.write(node.nodes, inner)
        if node.keep is None:
            return f"[{assemble(writer, inner)}]"
        items = writer.out.fresh("items")
        writer.out.emit(f"{items} = []")
        _append(writer, node, inner, items)
    return items


def _append(writer: Writer, node: Repeat, inner: Structure, items: str) -> None:
    if node.keep is None:
        writer.out.emit(f"{items}.append({assemble(writer, inner)})")
        return
    finish(writer, inner)
    with writer.out.block(f"if {over_values(writer, node.keep, inner).source}:"):
        writer.out.emit(f"{items}.append({assemble(writer, inner)})")


def _equal_sizes(writer: Writer, node: Repeat, scope: Structure, count: str, size: int) -> str:
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
    rows = [row for row in node.nodes if isinstance(row, Value | Skip)]
    plain = all(isinstance(row, Value | Skip | Derived) for row in node.nodes) and len(by_order(rows)) == 1
    made = stretch_of(writer, rows) if plain else None
    out.emit(f"{items} = []")
    mark = out.mark()
    with writer.unconditional():
        if made is not None and made.variables:
            inner.late += filter(is_late, node.nodes)
            comma = "," if len(made.variables) == 1 else ""
            head = f"for {', '.join(made.variables)}{comma} in {out.iter_unpack(made.pattern)}(b[{start}:{stop}])"
            with out.block(f"{head}:"):
                for row, variable, form in made.readers:
                    take(writer, row, variable, form, inner)
                _append(writer, node, inner, items)
        else:
            place = out.fresh("o")
            head = f"for {place} in range({start}, {stop}, {size})"
            with out.block(f"{head}:"):
                writer.enter(place, end, size)
                writer.write(node.nodes, inner)
                _append(writer, node, inner, items)
    out.comprehend(mark, head, items)
    writer.enter(stop, end)
    return items


def _any_sizes(writer: Writer, node: Repeat, scope: Structure, count: str) -> str:
    out, end = writer.out, writer.place.end
    left = whole(writer, node.left, scope).source if node.left is not None else "0"
    items, place = out.fresh("items"), out.fresh("o")
    out.emit(f"{items} = []")
    out.emit(f"{place} = {writer.position}")
    done = f"{end} - {place} <= {left}" if left != "0" else f"{place} >= {end}"
    with writer.unconditional(), each(writer, count, node.max_items, done):
        writer.enter(place, end)
        inner = inside(scope)
        if node.item_prefix is None:
            writer.write(node.nodes, inner)
            out.emit(f"{place} = {writer.position}")
        else:
            enter_span(writer, Prefix(node.item_prefix), inner)
            writer.write(node.nodes, inner)
            writer.refuse_if(f"{writer.position} != {writer.place.end}")
            out.emit(f"{place} = {writer.place.end}")
        _append(writer, node, inner, items)
    writer.enter(place, end)
    return items


@contextmanager
def each(writer: Writer, count: str, most: int, done: str) -> Iterator[None]:
    """A loop over `count` items, or over at most `most` of them until `done` is true."""
    out = writer.out
    if count:
        with out.block(f"for _ in range({count}):"):
            yield
        return
    with out.block(f"for _ in range({most}):"):
        out.emit(f"if {done}: break")
        yield
    with out.block("else:"):
        writer.refuse_if(f"not {done}")
