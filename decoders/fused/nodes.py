"""Nodes of a layout -> straight-line Python: the body of a generated decode function.

Runs of values with a fixed size become one length check and one `struct` call. Whatever does not fit raises `Refused`:
the reference codec then reads the frame again and says what is wrong and where. So the generated code has to be
right about *whether* a frame is readable and about its values, never about the words of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from decoders.fused.lists import repeat
from decoders.fused.runs import write_run
from decoders.fused.scope import Structure, is_late
from decoders.fused.sizes import sized_value, span
from decoders.fused.structures import branch, condition, group
from decoders.fused.tags import tags
from decoders.fused.writer import Writer
from decoders.layout import Branch, Condition, Derived, Group, Node, Repeat, Skip, Tags, Value, fixed_size


def write_nodes(writer: Writer, nodes: Sequence[Node], scope: Structure) -> None:
    """Writes the code that reads the nodes from the writer's position on, into the structure's variables."""
    run: list[Value | Skip] = []
    for node in _flat(nodes):
        if is_late(node):
            scope.late.append(node)
        if isinstance(node, Value | Skip) and fixed_size((node,)) is not None:
            run.append(node)
        elif not isinstance(node, Derived):
            write_run(writer, run, scope)
            run = []
            _write_node(writer, node, scope)
    write_run(writer, run, scope)


def _write_node(writer: Writer, node: Node, scope: Structure) -> None:
    match node:
        case Value():
            sized_value(writer, node, scope)
        case Skip(size=size):
            span(writer, size, scope)
        case Condition():
            condition(writer, node, scope)
        case Branch():
            branch(writer, node, scope)
        case Group():
            group(writer, node, scope)
        case Repeat():
            repeat(writer, node, scope)
        case Tags():
            tags(writer, node, scope)


def _flat(nodes: Sequence[Node]) -> Iterator[Node]:
    """Nodes with unnamed, unbounded groups opened, so that their values join the run around them."""
    for node in nodes:
        if isinstance(node, Group) and not node.name and node.size is None:
            yield from _flat(node.nodes)
        else:
            yield node
