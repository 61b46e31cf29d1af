"""Tag lists of text by construct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from decoders.errors import DecodeCode, EncodeError
from decoders.layout import BytesWire, TextTags, Until, raw_names
from decoders.raw import read_form
from decoders.reference.draft import Draft
from decoders.reference.fields import fields_of
from decoders.reference.raw_tree import NO_KEY, Scope, Window, check_items, failure, is_going_on
from decoders.reference.rows import PARTS, Part, Rows, read_item
from decoders.reference.tag_building import entry_values
from decoders.reference.values import Output, item_count, sub_window, write_value


class TextTagList(Part):
    def __init__(self, node: TextTags) -> None:
        super().__init__(node)
        self.rows = {
            word: Rows(nodes)
            for (_, nodes), words in zip(node.tags, node.words, strict=True)
            for word in words
        }  # fmt: skip
        self.others = Rows(node.tags[-1][1]) if node.unknown == "rows" else None
        self.fields = [fields_of(nodes) for _, nodes in node.tags]
        self.tells_key = "key" not in raw_names((node,))
        self.last_key: str | None = None  # while a list is read

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: TextTags = self.node
        scope: Scope = context["scope"]
        count = item_count(node.count, node.count_wire, node.max_items, stream, context, path)
        window = stream if node.size is None else sub_window(node.size, stream, scope, path)
        done = 0
        self.last_key = None
        while (done < count) if count is not None else window.remaining:
            if not is_going_on(node, self.last_key if self.tells_key else NO_KEY, scope, window):
                break
            check_items(done, node.max_items, window, path)
            if not window.remaining:
                raise failure(DecodeCode.TRUNCATED, f"{done} items, {count} expected", window, path)
            done += 1
            if not self.item(window, context, path):
                window.seek(window.size)
                break
        if window is not stream and window.remaining:
            raise failure(DecodeCode.TRAILING_BYTES, f"{window.remaining} bytes left in the list", window, path)

    def item(self, window: Window, context: Any, path: str) -> bool:
        """Reads one item; False when an unknown key says stop."""
        node: TextTags = self.node
        start = window.tell()
        stop = window.data.find(node.split, start)
        if stop < 0:
            stop = window.size
        window.seek(stop + len(node.split))
        if not window.data[start:stop].strip(b" "):
            return True
        mark = window.data.find(node.assign, start, stop)
        begin = mark + len(node.assign) if mark >= 0 else stop
        key = window.data[start : mark if mark >= 0 else stop].decode("utf-8", "replace").strip(" ")
        value = Window(window.data[begin:stop], window.base + begin)
        self.last_key = key
        scope: Scope = context["scope"]
        if node.raw:
            entries = scope.raw.setdefault(node.raw, [])
            entries.append({"id": key, "value": value.data.decode("utf-8", "replace")})
            if len(entries) == 1:
                scope.taken.append((node, entries))
        here = f"{path}#{_shown(key)}"
        rows = self.rows.get(key, self.others)
        if rows is None:
            return self.unknown(key, value, context, here)
        if not self.tells_key:
            read_item(node, rows, None, value, context, here)
            return True
        missing = "key" not in scope.raw
        before = scope.raw.get("key")
        scope.raw["key"] = key
        read_item(node, rows, key, value, context, here)
        scope.raw["key"] = before
        if missing:
            del scope.raw["key"]
        return True

    def unknown(self, key: str, value: Window, context: Any, path: str) -> bool:
        node: TextTags = self.node
        if node.unknown == "stop":
            return False
        if node.unknown == "refuse":
            raise failure(DecodeCode.UNKNOWN_TAG, f"key `{key}` is not in the spec", value, path)
        if node.unknown.startswith("into:") and isinstance(node.unknown_wire, BytesWire):
            raw = read_form(value.data, node.unknown_wire)
            if raw is not None:
                scope: Scope = context["scope"]
                scope.taken.append((node, (node.unknown[5:], key, raw)))
        return True

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        """One item for each tag whose values are given, in the order of the spec."""
        node: TextTags = self.node
        scope: Draft = context["scope"]
        out = stream if node.size is None else Output()
        between = Until(node.split, needed=False)
        for fields, words in zip(self.fields, node.words, strict=True):
            if words and fields.told(scope.values):
                value = Output()
                self.rows[words[0]]._build(None, value, context, path)
                write_value(out, words[0].encode() + node.assign + value.getvalue(), between)
        for key, data in self.unknown_items(context, path):
            write_value(out, key.encode() + node.assign + data, between)
        if node.size is not None:
            if isinstance(node.size, Until):
                write_value(stream, out.getvalue(), node.size)
            else:
                stream.write(out.getvalue())
        return obj

    def unknown_items(self, context: Any, path: str) -> Iterator[tuple[str, bytes]]:
        """Key and value of the items that no tag is for. Raises EncodeError."""
        node: TextTags = self.node
        scope: Draft = context["scope"]
        if self.others is not None and node.entry is None:
            told = self.fields[-1].told(scope.values) - scope.written
            if told:
                raise EncodeError(scope.place(min(told)), "nothing says the key of the item")
            return
        given = scope.values.get(node.into) if node.into else None
        if not isinstance(given, Mapping):
            return
        for key, value in given.items():
            if node.entry is None or self.others is None:
                yield str(key), f"{value}".encode()
                continue
            inner = scope.part(f"#{key}", {node.into: entry_values(node.entry, value)}, self.fields[-1])
            inner.raw["key"] = str(key)
            out = Output()
            self.others._build(None, out, {**context, "scope": inner}, path)
            inner.finish()
            yield str(key), out.getvalue()
        scope.written.add(node.into)


def _shown(key: str) -> str:
    """The key in the path of an error or of `--explain`, where it stands in quotes."""
    return "'" + key[:40].replace("'", "?") + "'"


PARTS[TextTags] = TextTagList
