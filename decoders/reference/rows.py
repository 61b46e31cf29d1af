"""Layout -> construct: the reference codec, which reads raw trees and builds messages.

construct's own primitives read the bytes; the structures around them (`Rows`, `TagList`, windows) are construct
classes of ours, because a tag list or a branch must add its values to the structure around it and errors must name
offset and field. construct's `.compile()` is not used: it returns wrong values for short input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import construct as c

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import (
    Branch,
    Condition,
    Derived,
    Group,
    Node,
    Nodes,
    Skip,
    Value,
    least_size,
)
from decoders.reference.raw_tree import Scope, Trace, Window, check_depth, evaluate, failure, shown, within
from decoders.reference.values import primitive, size_of, sub_window

PARTS: dict[type[Any], Callable[[Any], Any]] = {}
"""Kind of node -> the construct that reads it; each module of parts adds its own."""


class Rows(c.Construct):  # type: ignore[misc]
    """Nodes read one after the other into the scope that the context carries."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__()
        self.nodes = nodes
        self.parts: list[tuple[Node, Any]] = [
            (node, PARTS[type(node)](node)) for node in nodes if not isinstance(node, Derived)
        ]

    def _parse(self, stream: Window, context: Any, path: str) -> Scope:
        scope: Scope = context["scope"]
        for node, part in self.parts:
            start = stream.tell()
            name = getattr(node, "name", "")
            here = f"{path}.{name}" if path and name else path or name
            try:
                part._parsereport(stream, context, here)
            except c.StreamError:
                stream.seek(start)
                least, left = least_size((node,)), stream.remaining
                need = f"needs {least} bytes, {left} left" if least > left else f"needs more than the {left} bytes left"
                raise failure(DecodeCode.TRUNCATED, need, stream, here) from None
            except DecodeError as error:
                if error.offset is None:
                    error.offset, error.field = stream.base + start, here
                raise
        return scope

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for _node, part in self.parts:
            part._build(obj, stream, context, path)
        return obj


class Part(c.Construct):  # type: ignore[misc]
    """A node as a construct: reads into and builds from `context["scope"]`."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.node = node

    def keep(self, context: Any, raw: Any) -> None:
        scope: Scope = context["scope"]
        scope.raw[self.node.name] = raw
        scope.taken.append((self.node, raw))


class ValuePart(Part):
    def __init__(self, node: Value) -> None:
        super().__init__(node)
        self.subcon = primitive(node.wire)

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        start = stream.tell()
        raw = self.subcon._parsereport(stream, context, path)
        node: Value = self.node
        if node.const is not None and raw != node.const:
            stream.seek(start)
            raise failure(DecodeCode.BAD_CONST, f"expected {shown(node.const)}, found {shown(raw)}", stream, path)
        self.keep(context, raw)
        scope: Scope = context["scope"]
        for bit in node.bits:
            scope.raw[bit.name] = raw >> bit.at & ((1 << bit.width) - 1)
        if context["trace"] is not None:
            context["trace"].append(Trace(path, stream.base + start, stream.tell() - start, raw))
        return raw

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        node: Value = self.node
        scope: Scope = context["scope"]
        if node.const is not None:
            raw: Any = node.const
        elif node.check is not None or node.counts is not None:
            raw = 0  # filled in when the frame is whole
        elif node.bits:
            raw = 0
            for bit in node.bits:
                part = 0 if bit.counts is not None else int(scope.find(bit.name) or 0)
                raw |= (part & ((1 << bit.width) - 1)) << bit.at
                scope.raw[bit.name] = part
        else:
            raw = scope.raw.get(node.equals or node.name, node.default)
            if raw is None:
                raise EncodeError(node.name, "has no value")
        scope.raw[node.name] = raw
        try:
            self.subcon._build(raw, stream, context, node.name)
        except (c.ConstructError, TypeError, ValueError, OverflowError) as error:
            raise EncodeError(node.name, f"{raw!r} does not fit: {str(error).splitlines()[-1]}") from None
        return obj


class SkipPart(Part):
    def _parse(self, stream: Window, context: Any, path: str) -> None:
        size = size_of(self.node.size, stream, context["scope"], path)
        c.stream_read(stream, size, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if isinstance(self.node.size, int):
            stream.write(bytes(self.node.size))
        return obj


class ConditionPart(Part):
    def __init__(self, node: Condition) -> None:
        super().__init__(node)
        self.rows = Rows(node.nodes)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        if evaluate(self.node.test, context["scope"], stream):
            self.rows._parse(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if evaluate(self.node.test, context["scope"], None):
            self.rows._build(obj, stream, context, path)
        return obj


class BranchPart(Part):
    def __init__(self, node: Branch) -> None:
        super().__init__(node)
        self.cases = [(spans, Rows(nodes)) for spans, nodes in node.cases]
        self.default = None if node.default is None else Rows(node.default)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        value = evaluate(self.node.on, context["scope"], stream)
        rows = self.choose(value)
        if rows is None:
            raise failure(DecodeCode.NO_BRANCH, f"no case for {shown(value)} of `{self.node.on.text}`", stream, path)
        rows._parse(stream, context, path)

    def choose(self, value: Any) -> Rows | None:
        for spans, rows in self.cases:
            for low, high in spans:
                if within(value, low, high):
                    return rows
        return self.default

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        rows = self.choose(evaluate(self.node.on, context["scope"], None))
        return obj if rows is None else rows._build(obj, stream, context, path)


class GroupPart(Part):
    def __init__(self, node: Group) -> None:
        super().__init__(node)
        self.rows = Rows(node.nodes)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Group = self.node
        window, inner = stream, context
        if node.size is not None:
            window = sub_window(node.size, stream, context["scope"], path)
        if node.name:
            inner = {**context, "scope": context["scope"].inner()}
            check_depth(inner["scope"], stream, path)
        self.rows._parse(window, inner, path)
        if window is not stream and window.remaining and not node.skip_rest:
            raise failure(DecodeCode.TRAILING_BYTES, f"{window.remaining} bytes left in the group", window, path)
        if node.name:
            self.keep(context, inner["scope"])

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        return self.rows._build(obj, stream, context, path)


PARTS.update({Value: ValuePart, Skip: SkipPart, Condition: ConditionPart, Branch: BranchPart, Group: GroupPart})
