"""Nodes of a layout -> straight-line Python: the body of a generated decode function.

Runs of values with a fixed size become one length check and one `struct` call. Whatever does not fit raises `Refused`:
the reference codec then reads the frame again and says what is wrong and where. So the generated code has to be
right about *whether* a frame is readable and about its values, never about the words of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from decoders.fused.assemble import formula_row
from decoders.fused.formulas import over_raw
from decoders.fused.lists import repeat
from decoders.fused.python_values import python_value
from decoders.fused.records import record_value, records
from decoders.fused.runs import Row, write_run
from decoders.fused.scope import Structure, is_late
from decoders.fused.sizes import running_check, sized_value, span, token_mark, token_run
from decoders.fused.structures import branch, condition, entry, group
from decoders.fused.tags import tags
from decoders.fused.text_items import text_tags
from decoders.fused.text_values import optional_mark
from decoders.fused.values import take
from decoders.fused.writer import Writer
from decoders.layout import (
    Branch,
    Check,
    Condition,
    Derived,
    Entry,
    FormulaWire,
    Group,
    Node,
    OptionalMark,
    PythonWire,
    Records,
    RecordWire,
    Repeat,
    Skip,
    Tags,
    TextTags,
    Value,
    fixed_size,
)


def write_nodes(writer: Writer, nodes: Sequence[Node], scope: Structure) -> None:
    """Writes the code that reads the nodes from the writer's position on, into the structure's variables."""
    run: list[Row] = []
    tokens: list[Row] = []
    for node in _flat(nodes):
        if isinstance(node, Derived):
            if run or tokens:
                (run or tokens).append(node)
            else:
                formula_row(writer, node, scope)
            continue
        if is_late(node):
            scope.late.append(node)
        running = isinstance(node, Value) and node.check is not None and node.check.running
        if isinstance(node, Value | Skip) and fixed_size((node,)) is not None and not running:
            _write_tokens(writer, tokens, scope)
            run.append(node)
            continue
        write_run(writer, run, scope)
        run = []
        mark = token_mark(node)
        if not mark or (tokens and mark != token_mark(tokens[0])):
            _write_tokens(writer, tokens, scope)
        if isinstance(node, Value | Skip) and mark:
            tokens.append(node)
        else:
            _write_node(writer, node, scope)
    _write_tokens(writer, tokens, scope)
    write_run(writer, run, scope)


def _write_tokens(writer: Writer, tokens: list[Row], scope: Structure) -> None:
    """Values of a text between equal marks, which are then done with."""
    if sum(not isinstance(node, Derived) for node in tokens) > 1:
        token_run(writer, tokens, scope)
    else:
        for node in tokens:
            _write_node(writer, node, scope)
    tokens.clear()


def _write_node(writer: Writer, node: Node, scope: Structure) -> None:
    match node:
        case Derived():
            formula_row(writer, node, scope)
        case Value(wire=PythonWire()):
            python_value(writer, node, scope)
        case Value(wire=FormulaWire(formula=formula)):
            variable = writer.out.fresh(node.name)
            writer.out.emit(f"{variable} = {over_raw(writer, formula, scope).source}")
            take(writer, node, variable, "", scope)
        case Value(check=Check(running=True)):
            running_check(writer, node, scope)
        case Value(wire=RecordWire()):
            record_value(writer, node, scope)
        case Value():
            sized_value(writer, node, scope)
        case Skip(size=size):
            span(writer, size, scope)
        case OptionalMark():
            optional_mark(writer, node)
        case Condition():
            condition(writer, node, scope)
        case Branch():
            branch(writer, node, scope)
        case Entry():
            entry(writer, node, scope)
        case Group():
            group(writer, node, scope)
        case Repeat():
            repeat(writer, node, scope)
        case Records():
            records(writer, node, scope)
        case TextTags():
            text_tags(writer, node, scope)
        case Tags():
            tags(writer, node, scope)


def _flat(nodes: Sequence[Node]) -> Iterator[Node]:
    """Nodes with unnamed, unbounded groups opened, so that their values join the run around them."""
    for node in nodes:
        if isinstance(node, Group) and not node.name and node.size is None and not node.encoded:
            yield from _flat(node.nodes)
        else:
            yield node
