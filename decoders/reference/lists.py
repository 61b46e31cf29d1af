"""Lists and tag lists by construct."""

from __future__ import annotations

from typing import Any

import construct as c

from decoders.errors import DecodeCode
from decoders.formula import Formula
from decoders.layout import IntWire, Prefix, Repeat, Rest, Tags, least_size, may_be_empty, raw_names
from decoders.raw import as_size
from decoders.reference.building import build_list
from decoders.reference.raw_tree import (
    NO_KEY,
    Scope,
    Trace,
    Window,
    check_depth,
    check_empty_items,
    check_items,
    evaluate,
    failure,
    is_going_on,
    whole,
)
from decoders.reference.rows import PARTS, Part, Rows, read_item
from decoders.reference.tag_building import TagWriter
from decoders.reference.values import item_count, primitive, sub_window


class RepeatPart(Part):
    def __init__(self, node: Repeat) -> None:
        super().__init__(node)
        self.rows = Rows(node.nodes)
        self.may_be_empty = may_be_empty(node)
        self.tells_index = "index" not in raw_names((node,))
        names = () if node.going is None else node.going.names
        self.told_by_items = not raw_names(node.nodes).isdisjoint(names)

    def going(self, items: list[Scope], scope: Scope, window: Window) -> bool:
        """Whether there is another item. Where the items themselves say so, the first one is always there."""
        going = self.node.going
        if going is None or (self.told_by_items and not items):
            return True
        return bool(evaluate(going, items[-1] if items else scope, window))

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Repeat = self.node
        scope: Scope = context["scope"]
        items: list[Scope] = []
        count = item_count(node.count, node.count_wire, node.max_items, stream, context, path)
        window = stream if node.size is None else sub_window(node.size, stream, scope, path)
        left = 0
        if node.left is not None:
            left = whole(evaluate(node.left, scope, stream), node.left, stream, path)
        beside = scope.raw.get(node.into) or () if node.into else ()
        while (len(items) < count) if count is not None else (window.remaining > left):
            if not self.going(items, scope, window):
                break
            check_items(len(items), node.max_items, window, path)
            if self.may_be_empty:
                check_empty_items(scope, window, path)
            inner = {**context, "scope": scope.inner()}
            if len(items) < len(beside):
                inner["scope"].outer = beside[len(items)]
            if self.tells_index:
                inner["scope"].raw["index"] = len(items)
            check_depth(inner["scope"], stream, path)
            here = f"{path}[{len(items)}]"
            part = window
            if node.item_size is not None:
                part = sub_window(node.item_size, window, scope, here)
            self.rows._parse(part, inner, here)
            if part is not window and part.remaining:
                raise failure(DecodeCode.TRAILING_BYTES, f"{part.remaining} bytes left in the item", part, here)
            items.append(inner["scope"])
        if window is not stream and window.remaining:
            raise failure(DecodeCode.TRAILING_BYTES, f"{window.remaining} bytes left in the list", window, path)
        earlier = scope.raw.get(node.name)
        self.keep(context, items)
        if isinstance(earlier, list) and not node.numbered and not node.into:  # read before: the list grows
            if len(earlier) + len(items) > node.max_items:
                raise failure(DecodeCode.TOO_MANY_ITEMS, f"more than {node.max_items} items", stream, path)
            earlier.extend(items)
            scope.raw[node.name] = earlier
        else:
            scope.raw[node.name] = list(items)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        build_list(self, stream, context, path)
        return obj


class TagList(Part):
    def __init__(self, node: Tags) -> None:
        super().__init__(node)
        self.rows: dict[int, tuple[Rows, int]] = {}
        self.ranges: list[tuple[int, int, tuple[Rows, int]]] = []
        parts = [Rows(nodes) for _, nodes in node.tags]
        for (keys, nodes), part in zip(node.tags, parts, strict=True):
            rows = part, least_size(nodes)
            self.rows.update({low: rows for low, high in keys if low == high})
            self.ranges += [(low, high, rows) for low, high in keys if low < high]
        self.others = (parts[-1], least_size(node.tags[-1][1])) if node.unknown == "rows" else None
        self.key = None if isinstance(node.key, Formula) else primitive(node.key)
        self.escapes = [(key, primitive(wire), 8 * wire.size) for key, wire in node.escapes]
        self.header = Rows(node.header)
        self.may_be_empty = may_be_empty(node)
        self.tells_key = "key" not in raw_names((node,))
        self.parts = parts
        self.last_key: int | None = None  # while a list is read
        self.writer: TagWriter | None = None  # made when a message is built

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Tags = self.node
        scope: Scope = context["scope"]
        count = item_count(node.count, node.count_wire, node.max_items, stream, context, path)
        window = stream if node.size is None else sub_window(node.size, stream, scope, path)
        done = 0
        left = 0
        self.last_key = None
        if node.left is not None:
            left = whole(evaluate(node.left, scope, stream), node.left, stream, path)
        while (done < count) if count is not None else (window.remaining > left):
            if not is_going_on(node, self.last_key if self.tells_key else NO_KEY, scope, window):
                break
            check_items(done, node.max_items, window, path)
            if self.may_be_empty:
                check_empty_items(scope, window, path)
            done += 1
            if not self.item(window, context, path):
                window.seek(window.size - left)
                return
        if window is not stream and window.remaining:
            raise failure(DecodeCode.TRAILING_BYTES, f"{window.remaining} bytes left in the list", window, path)

    def item(self, window: Window, context: Any, path: str) -> bool:
        """Reads one item; False when an unknown tag says stop."""
        node: Tags = self.node
        scope: Scope = context["scope"]
        start = window.tell()
        head = Scope(outer=scope, depth=scope.depth)
        try:
            self.header._parse(window, {**context, "scope": head}, path)
            key, part = self.key_and_value(window, {**context, "scope": head}, start, path)
        except c.StreamError:
            window.seek(start)
            raise failure(DecodeCode.TRUNCATED, f"item cut off, {window.remaining} bytes left", window, path) from None
        self.last_key = key
        here = f"{path}#{self.spelled(key)}"
        if context["trace"] is not None and self.key is not None:
            end = window.tell() if part is window else part.base - window.base
            context["trace"].append(Trace(here, window.base + start, end - start, key, window.data[start:end]))
        if node.raw and part is not window:
            entry = {"id": key, "value": part.getvalue().hex()}
            scope.raw.setdefault(node.raw, []).append(entry)
            if len(scope.raw[node.raw]) == 1:
                scope.taken.append((node, scope.raw[node.raw]))
        rows, least = self.rows.get(key) or self.within(key)
        if rows is None or (part is not window and part.size < least):
            if self.others is None:
                return self.unknown(key, part, window, context, here)
            rows, least = self.others
            if part is not window and part.size < least:
                return True
        if self.tells_key:
            head.raw["key"] = key
        before = {name: scope.raw[name] for name in head.raw if name in scope.raw}
        scope.raw |= head.raw
        read_item(node, rows, key if self.tells_key else None, part, context, here)
        for name in head.raw:
            if name in before:
                scope.raw[name] = before[name]
            else:
                scope.raw.pop(name, None)
        return True

    def spelled(self, key: int) -> str:
        """The key in the path of an error or of `--explain`: longer ones as documents write them, in hexadecimal."""
        wire = self.node.key
        return f"0x{key:0{2 * wire.size}X}" if isinstance(wire, IntWire) and wire.size > 1 and key >= 0 else str(key)

    def within(self, key: int) -> tuple[Rows | None, int]:
        """The rows of the range that holds the key."""
        return next((rows for low, high, rows in self.ranges if low <= key <= high), (None, 0))

    def key_and_value(self, window: Window, context: Any, start: int, path: str) -> tuple[int, Window]:
        """Key and value of the item that starts at `start`; its header is read already, into the context's scope."""
        node: Tags = self.node
        if node.length_first and isinstance(node.length, IntWire):
            item = sub_window(Prefix(node.length), window, context["scope"], path)
            key = self.read_key(item, context, path)
            return key, sub_window(Rest(), item, context["scope"], path)
        key = self.read_key(window, context, path)
        return key, self.value_window(window, context, start, path)

    def read_key(self, window: Window, context: Any, path: str) -> int:
        node: Tags = self.node
        if isinstance(node.key, Formula):
            value = evaluate(node.key, context["scope"], window)
            if not isinstance(value, int):
                raise failure(DecodeCode.UNKNOWN_TAG, f"`{node.key.text}` gives {value!r}, no key", window, path)
            return int(value)
        assert self.key is not None
        key = int(self.key._parsereport(window, context, path))
        for mark, more, bits in self.escapes:
            if key == mark:
                key = key << bits | int(more._parsereport(window, context, path))
        return key

    def value_window(self, window: Window, context: Any, start: int, path: str) -> Window:
        node: Tags = self.node
        if node.length is None:
            return window
        if isinstance(node.length, int):
            return sub_window(node.length, window, context["scope"], path)
        if isinstance(node.length, Formula):
            size = as_size(evaluate(node.length, context["scope"], window))
            if isinstance(size, bool) or not isinstance(size, int):
                detail = f"`{node.length.text}` gives {size!r}, not a size"
                raise failure(DecodeCode.BAD_LENGTH, detail, window, path)
        else:
            size = int(primitive(node.length)._parsereport(window, context, path))
        if node.length_counts_key:
            size -= window.tell() - start
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
        if self.writer is None:
            self.writer = TagWriter(self.node, self.parts, self.header, tells_key=self.tells_key)
        self.writer.build(stream, context)
        return obj


PARTS.update({Repeat: RepeatPart, Tags: TagList})
