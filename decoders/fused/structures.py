"""Conditions, branches and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from decoders.fused.assemble import assemble, finish
from decoders.fused.formulas import bytes_left, over_raw
from decoders.fused.placing import placed
from decoders.fused.refusal import Unsupported
from decoders.fused.scope import Known, Structure
from decoders.fused.sizes import enter_span
from decoders.fused.text_values import decoded_window
from decoders.fused.values import give, keep_raw, variable_of
from decoders.fused.writer import Writer
from decoders.layout import Branch, Condition, Entry, Given, Group, Nodes, Rest
from decoders.reference.raw_tree import MAX_DEPTH


def condition(writer: Writer, node: Condition, scope: Structure) -> None:
    test = over_raw(writer, node.test, scope).source
    after = writer.out.fresh("o")
    start, place = writer.position, writer.place
    with writer.branching(node.nodes, scope):
        writer.out.emit(f"{after} = {start}")
        with writer.out.block(f"if {test}:"):
            writer.know(bytes_left(node.test))
            writer.write(node.nodes, scope)
            writer.out.emit(f"{after} = {writer.position}")
        if node.otherwise:
            writer.place = place
            with writer.out.block("else:"):
                for given in node.otherwise:
                    _given(writer, given, scope)
    writer.place = place
    writer.move_to(after)


def _given(writer: Writer, node: Given, scope: Structure) -> None:
    """A value that stands in the spec."""
    kind = {bool: "bool", int: "int", float: "float", str: "text"}[type(node.value)]
    value = Known(repr(node.value), kind=kind, hidden=node.hidden)
    if node.raw:
        keep_raw(writer, node.name, value, scope)
    if node.hidden and not writer.names.wanted(node.name):
        return
    if node.place is None:
        give(writer, scope, node.name, value)
    else:
        placed(writer, scope, node, value)


def branch(writer: Writer, node: Branch, scope: Structure) -> None:
    known = over_raw(writer, node.on, scope)
    on, after, place = writer.out.fresh("on"), writer.out.fresh("o"), writer.place

    def case(nodes: Nodes) -> None:
        writer.place = place
        writer.write(nodes, scope)
        writer.out.emit(f"{after} = {writer.position}")

    with writer.branching((node,), scope):
        writer.out.emit(f"{on} = {known.source}")
        word = "if"
        for spans, nodes in node.cases:
            with writer.out.block(f"{word} {_in_spans(on, spans, known)}:"):
                case(nodes)
            word = "elif"
        with writer.out.block("else:"):
            if node.default is None:
                writer.out.emit("raise Refused")
            else:
                case(node.default)
    writer.place = place
    writer.move_to(after)


def _in_spans(on: str, spans: Sequence[tuple[Any, Any]], known: Known) -> str:
    whole = "" if known.sure and known.kind in ("int", "bool") else f"{on}.__class__ in INTEGERS and "
    tests = [f"{on} == {low!r}" if low == high else f"({whole}{low} <= {on} <= {high})" for low, high in spans]
    return " or ".join(tests)


def group(writer: Writer, node: Group, scope: Structure) -> None:
    inner = inside(scope) if node.name else scope
    if node.size is None and not node.encoded:
        _group_nodes(writer, node, scope, inner)
        return
    behind = enter_span(writer, node.size or Rest(), scope)
    if node.encoded:
        with decoded_window(writer, node, scope):
            _group_nodes(writer, node, scope, inner)
    else:
        _group_nodes(writer, node, scope, inner)
    writer.place = behind


def _group_nodes(writer: Writer, node: Group, scope: Structure, inner: Structure) -> None:
    def rows() -> None:
        writer.write(node.nodes, inner)
        if (node.size is not None or node.encoded) and not node.skip_rest:
            writer.refuse_if(writer.unread())

    if not node.name:
        rows()
        return
    with writer.unconditional():
        rows()
        variable = assemble(writer, inner)
    if node.name in writer.names.raw:
        keep_raw(writer, node.name, Known("True", kind="bool", most=1), scope)
    if node.place is None:
        give(writer, scope, node.name, Known(variable))
    else:
        placed(writer, scope, node, Known(variable))


def entry(writer: Writer, node: Entry, scope: Structure) -> None:
    """One entry of the object that unknown tags go into, under the tag's key."""
    out, inner = writer.out, inside(scope)
    inner.quiet = True
    with writer.unconditional():
        writer.write(node.nodes, inner)
        if node.only:
            finish(writer, inner)
            known = inner.values.get(node.only)
        else:
            known = Known(assemble(writer, inner))
    if known is None:
        return
    value = out.fresh("t")
    out.emit(f"{value} = {known.source}")
    target, key = variable_of(writer, scope, node.name, hidden=False), scope.find_raw("key")
    target.sure = False
    assert key is not None
    with out.block("if True:" if known.sure else f"if {value} is not None:"):
        out.emit(f"if {target.source} is None: {target.source} = {{}}")
        out.emit(f"{target.source}[str({key.source})] = {value}")


def inside(scope: Structure) -> Structure:
    """An inner structure. Raises Unsupported where structures nest too deep."""
    if scope.depth >= MAX_DEPTH:
        raise Unsupported(f"structures nest deeper than {MAX_DEPTH}")
    return Structure(scope, depth=scope.depth + 1, quiet=scope.quiet)
