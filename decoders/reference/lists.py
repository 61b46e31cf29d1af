"""Lists and tag lists by construct."""

from __future__ import annotations

from typing import Any

import construct as c

from decoders.errors import DecodeCode, EncodeError
from decoders.layout import IntWire, Prefix, Repeat, Rest, Tags, least_size
from decoders.reference.raw_tree import Scope, Window, check_depth, evaluate, failure, whole
from decoders.reference.rows import PARTS, Part, Rows
from decoders.reference.values import item_count, primitive, sub_window


class RepeatPart(Part):
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


class TagList(Part):
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


PARTS.update({Repeat: RepeatPart, Tags: TagList})
