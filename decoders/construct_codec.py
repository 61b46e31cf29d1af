"""Layout -> construct: the reference codec, which reads raw trees and builds messages.

construct's own primitives read the bytes; the structures around them (`Rows`, `TagList`, windows) are construct
classes of ours, because a tag list or a branch must add its values to the structure around it and errors must name
offset and field. construct's `.compile()` is not used: it returns wrong values for short input.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import construct as c

from decoders.construct_values import item_count, primitive, size_of, sub_window
from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import (
    Branch,
    Condition,
    Derived,
    Group,
    IntWire,
    Node,
    Nodes,
    Prefix,
    Repeat,
    Rest,
    Skip,
    Tags,
    Value,
    least_size,
)
from decoders.raw_tree import Scope, Trace, Window, check_depth, evaluate, failure, shown, whole, within


class Rows(c.Construct):  # type: ignore[misc]
    """Nodes read one after the other into the scope that the context carries."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__()
        self.nodes = nodes
        self.parts: list[tuple[Node, Any]] = [(node, _part(node)) for node in nodes if not isinstance(node, Derived)]

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


class _Part(c.Construct):  # type: ignore[misc]
    """A node as a construct: reads into and builds from `context["scope"]`."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.node = node

    def keep(self, context: Any, raw: Any) -> None:
        scope: Scope = context["scope"]
        scope.raw[self.node.name] = raw
        scope.taken.append((self.node, raw))


class ValuePart(_Part):
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


class SkipPart(_Part):
    def _parse(self, stream: Window, context: Any, path: str) -> None:
        size = size_of(self.node.size, stream, context["scope"], path)
        c.stream_read(stream, size, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if isinstance(self.node.size, int):
            stream.write(bytes(self.node.size))
        return obj


class ConditionPart(_Part):
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


class BranchPart(_Part):
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


class GroupPart(_Part):
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


class RepeatPart(_Part):
    def __init__(self, node: Repeat) -> None:
        super().__init__(node)
        self.rows = Rows(node.nodes)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Repeat = self.node
        scope: Scope = context["scope"]
        items: list[Scope] = []
        count = item_count(node.count, node.count_wire, node.max_items, stream, context, path)
        window = stream if node.size is None else sub_window(node.size, stream, scope, path)
        left = 0
        if node.left is not None:
            left = whole(evaluate(node.left, scope, stream), node.left, stream, path)
        while (len(items) < count) if count is not None else (window.remaining > left):
            if len(items) >= node.max_items:
                raise failure(DecodeCode.TOO_MANY_ITEMS, f"more than {node.max_items} items", window, path)
            inner = {**context, "scope": scope.inner()}
            check_depth(inner["scope"], stream, path)
            here = f"{path}[{len(items)}]"
            part = window
            if node.item_prefix is not None:
                part = sub_window(Prefix(node.item_prefix), window, scope, here)
            self.rows._parse(part, inner, here)
            if part is not window and part.remaining:
                raise failure(DecodeCode.TRAILING_BYTES, f"{part.remaining} bytes left in the item", part, here)
            items.append(inner["scope"])
        if window is not stream and window.remaining:
            raise failure(DecodeCode.TRAILING_BYTES, f"{window.remaining} bytes left in the list", window, path)
        self.keep(context, items)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        raise EncodeError(self.node.name, "lists cannot be built")


class TagList(_Part):
    def __init__(self, node: Tags) -> None:
        super().__init__(node)
        self.rows = {key: (Rows(nodes), least_size(nodes)) for key, nodes in node.tags}
        self.key = primitive(node.key)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Tags = self.node
        scope: Scope = context["scope"]
        count = item_count(node.count, node.count_wire, node.max_items, stream, context, path)
        window = stream if node.size is None else sub_window(node.size, stream, scope, path)
        done = 0
        while (done < count) if count is not None else window.remaining:
            if done >= node.max_items:
                raise failure(DecodeCode.TOO_MANY_ITEMS, f"more than {node.max_items} items", window, path)
            done += 1
            if not self.item(window, context, path):
                window.seek(window.size)
                return

    def item(self, window: Window, context: Any, path: str) -> bool:
        """Reads one item; False when an unknown tag says stop."""
        node: Tags = self.node
        scope: Scope = context["scope"]
        start = window.tell()
        try:
            key, part = self.key_and_value(window, context, path)
        except c.StreamError:
            window.seek(start)
            raise failure(DecodeCode.TRUNCATED, f"item cut off, {window.remaining} bytes left", window, path) from None
        here = f"{path}#{key}" if path else f"#{key}"
        if node.raw and part is not window:
            entry = {"id": key, "value": part.getvalue().hex()}
            scope.raw.setdefault(node.raw, []).append(entry)
            if len(scope.raw[node.raw]) == 1:
                scope.taken.append((node, scope.raw[node.raw]))
        rows, least = self.rows.get(key, (None, 0))
        if rows is None or (part is not window and part.size < least):
            return self.unknown(key, part, window, context, here)
        rows._parse(part, context, here)
        return True

    def key_and_value(self, window: Window, context: Any, path: str) -> tuple[int, Window]:
        node: Tags = self.node
        if node.length_first and isinstance(node.length, IntWire):
            whole = sub_window(Prefix(node.length), window, context["scope"], path)
            key = self.key._parsereport(whole, context, path)
            return key, sub_window(Rest(), whole, context["scope"], path)
        key = self.key._parsereport(window, context, path)
        return key, self.value_window(window, context, path)

    def value_window(self, window: Window, context: Any, path: str) -> Window:
        node: Tags = self.node
        if node.length is None:
            return window
        if isinstance(node.length, int):
            return sub_window(node.length, window, context["scope"], path)
        size = primitive(node.length)._parsereport(window, context, path)
        if node.length_counts_key:
            size -= node.key.size + node.length.size
        if size < 0:
            raise failure(DecodeCode.BAD_LENGTH, f"an item cannot have {size} bytes", window, path)
        return sub_window(size, window, context["scope"], path)

    def unknown(self, key: int, part: Window, window: Window, context: Any, path: str) -> bool:
        node: Tags = self.node
        if node.unknown == "stop":
            return False
        if node.unknown == "refuse" or part is window:
            raise failure(DecodeCode.UNKNOWN_TAG, f"tag {key} (0x{key:02x}) is not in the spec", window, path)
        if node.unknown.startswith("into:") and node.unknown_wire is not None:
            raw = primitive(node.unknown_wire)._parsereport(part, context, path)
            scope: Scope = context["scope"]
            scope.taken.append((node, (node.unknown[5:], str(key), raw)))
        return True

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        raise EncodeError("items", "tag lists cannot be built")


def _part(node: Node) -> Any:
    match node:
        case Value():
            return ValuePart(node)
        case Skip():
            return SkipPart(node)
        case Condition():
            return ConditionPart(node)
        case Branch():
            return BranchPart(node)
        case Group():
            return GroupPart(node)
        case Repeat():
            return RepeatPart(node)
        case Tags():
            return TagList(node)
    raise AssertionError(f"{type(node).__name__} reads no bytes")


ReadRows = Callable[[Window, Scope, list[Trace] | None], None]


def reader(nodes: Sequence[Node]) -> ReadRows:
    """`(window, scope, trace) -> None`: reads the nodes into the scope. Raises DecodeError."""
    rows = Rows(tuple(nodes))

    def read(window: Window, scope: Scope, trace: list[Trace] | None) -> None:
        rows._parse(window, {"scope": scope, "trace": trace}, "")

    return read


def builder(nodes: Sequence[Node]) -> Callable[[Scope], bytes]:
    """`scope -> bytes`: builds the nodes from raw values in the scope. Raises EncodeError."""
    rows = Rows(tuple(nodes))

    def build(scope: Scope) -> bytes:
        stream = io.BytesIO()
        rows._build(None, stream, {"scope": scope, "trace": None}, "")
        return stream.getvalue()

    return build
