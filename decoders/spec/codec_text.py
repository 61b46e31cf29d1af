"""`spec show --construct | --generated`: what the two codecs of a product are made of, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from decoders.layout import (
    Branch,
    BytesWire,
    Condition,
    Derived,
    Group,
    IntWire,
    Node,
    Repeat,
    Skip,
    Tags,
    Value,
    fixed_size,
    least_size,
)
from decoders.product import CompiledProduct, KindCodec
from decoders.spec.node_words import children, node_size, size_text, spelled, wire_word

__all__ = ["construct_text", "generated_text"]

_STEP = "  "


def generated_text(product: CompiledProduct) -> str:
    """Source of the fused codec of every kind of frame, or why there is none."""
    parts = []
    for kind in product.kinds:
        source = kind.fused.source if kind.fused is not None else f"# none: {kind.why_not_fused or 'JSON'}\n"
        others = kind.fused.others if kind.fused is not None else {}
        notes = "".join(f"# `{message}` is read by construct: {why}\n" for message, why in others.items())
        parts.append(f"# {product.id}, {kind.kind.name} frames\n{notes}\n{source}")
    return "\n\n".join(parts)


def construct_text(product: CompiledProduct) -> str:
    """The constructs that the reference codec reads with, indented as they are nested."""
    return "\n".join(line for kind in product.kinds for line in _kind_lines(product, kind))


def _kind_lines(product: CompiledProduct, kind: KindCodec) -> Iterator[str]:
    yield f"{product.id}, {kind.kind.name} frames"
    if kind.reference is None:
        yield f"{_STEP}none: JSON"
        return
    yield f"{_STEP}header"
    yield from _node_lines(kind.layout.header, 2)
    yield f"{_STEP}trailer ({kind.layout.trailer_size} bytes)"
    yield from _node_lines(kind.layout.trailer, 2)
    for name, message in kind.layout.messages.items():
        size = fixed_size(message.body)
        shown = f"{size} bytes" if size is not None else f"at least {least_size(message.body)} bytes"
        yield f"{_STEP}{name} ({shown})"
        yield from _node_lines(message.body, 2)


def _node_lines(nodes: Sequence[Node], depth: int) -> Iterator[str]:
    indent = _STEP * depth
    for node in nodes:
        match node:
            case Value():
                yield f"{indent}{node.name}: {_primitive(node)}"
            case Derived():
                yield f"{indent}{node.name}: Computed({node.formula.text})"
            case Skip():
                yield f"{indent}Padding({size_text(node.size)})"
            case Condition():
                yield f"{indent}If({node.test.text})"
                yield from _node_lines(node.nodes, depth + 1)
            case Branch():
                yield f"{indent}Switch({node.on.text})"
                for spans, rows in node.cases:
                    shown = ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in spans)
                    yield f"{indent}{_STEP}{shown}"
                    yield from _node_lines(rows, depth + 2)
                if node.default is not None:
                    yield f"{indent}{_STEP}otherwise"
                    yield from _node_lines(node.default, depth + 2)
            case Group():
                size = f"FixedSized({size_text(node.size)})" if node.size is not None else "Struct"
                yield f"{indent}{node.name or '(group)'}: {size}"
                yield from _node_lines(node.nodes, depth + 1)
            case Repeat():
                yield f"{indent}{node.name}: {_array(node)}"
                yield from _node_lines(node.nodes, depth + 1)
            case Tags():
                yield f"{indent}TagList(key={_integer(node.key)}, unknown={node.unknown})"
                for key, rows in node.tags:
                    yield f"{indent}{_STEP}{f'{key} (0x{key:X})' if isinstance(key, int) else key}"
                    yield from _node_lines(rows, depth + 2)
            case _:
                yield f"{indent}{getattr(node, 'name', '') or '-'}: {type(node).__name__}({node_size(node)})"
                for _title, rows in children(node):
                    yield from _node_lines(rows, depth + 1)
    if not nodes:
        yield f"{indent}Pass"


def _primitive(node: Value) -> str:
    wire = node.wire
    text = f"{wire.form.capitalize()}({size_text(wire.size)})" if isinstance(wire, BytesWire) else _integer(wire)
    if node.const is not None:
        text = f"Const({spelled(node.const)}, {text})"
    if node.check is not None:
        text += f"  check {node.check.algorithm}, frame[{node.check.span.start}:-{node.check.span.tail}]"
    return text


def _array(node: Repeat) -> str:
    if node.count_wire is not None:
        return f"PrefixedArray({_integer(node.count_wire)})"
    if node.count is not None:
        return f"Array({node.count.text})"
    if node.size is not None:
        return f"FixedSized({size_text(node.size)}, GreedyRange)"
    return f"RepeatUntil({node.left.text} left)" if node.left is not None else "GreedyRange"


def _integer(wire: Any) -> str:
    if not isinstance(wire, IntWire):
        return wire_word(wire)
    signed = {"unsigned": "", "twos": ", signed", "magnitude": ", sign and magnitude"}[wire.sign]
    return f"BytesInteger({wire.size}{signed}{'' if wire.big else ', swapped'})"
