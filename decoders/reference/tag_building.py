"""Tag lists the other way round: the values that the caller gives become items, in the order of the spec's tags."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import construct as c

from decoders.errors import EncodeError
from decoders.formula import Formula
from decoders.layout import Entry, IntWire, Node, Repeat, Tags, Value, raw_names, walk
from decoders.naming import Naming, pattern_of
from decoders.reference.building import missing_bytes, write_count
from decoders.reference.draft import Draft
from decoders.reference.fields import fields_of
from decoders.reference.values import Output, primitive
from decoders.solve import Unknown, solve

__all__ = ["TagWriter", "entry_values"]


@dataclass(slots=True)
class _Item:
    """One item to be written. header: raw values of its header, and its `key`, as far as names of values tell them.
    values: in place of the structure's. list_, index: the place of what it holds in a list that several items make."""

    header: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    list_: str = ""
    index: int = 0


class TagWriter:
    """Builds the items of one tag list. rows: the construct of each of its tags; header: that of the items' header."""

    def __init__(self, node: Tags, rows: list[Any], header: Any, *, tells_key: bool) -> None:
        self.node = node
        self.rows = rows
        self.header = header
        self.tells_key = tells_key
        self.fields = [fields_of(nodes) for _, nodes in node.tags]
        self.header_fields = fields_of(node.header)
        self.header_names = raw_names(node.header)
        self.namings = [_namings(nodes) for _, nodes in node.tags]

    def build(self, stream: Any, context: Any) -> None:
        """Writes count, items and what else belongs to the list. Raises EncodeError."""
        node, scope = self.node, context["scope"]
        items = _in_order(list(self._items(context)))
        if len(items) > node.max_items:
            raise EncodeError(scope.place("items"), f"{len(items)} items, at most {node.max_items}")
        write_count(node.count, node.count_wire, len(items), stream, context, "items")
        data = b"".join(items)
        if node.size is not None:
            missing_bytes(node.size, len(data), scope, "items")
        stream.write(data)

    def _items(self, context: Any) -> Iterator[tuple[bytes, _Item]]:
        scope: Draft = context["scope"]
        if self.node.raw and scope.values.get(self.node.raw) is not None:
            yield from ((data, _Item()) for data in self._raw(context))
            return
        for number, mine in enumerate(self.fields):
            told = mine.told(scope.values)
            if self.node.entry is not None and number == len(self.fields) - 1:
                continue
            if not told - scope.written:
                continue
            try:
                items = [
                    (self._tag(number, item, place, context), item)
                    for place, item in enumerate(self._occurrences(number, told, scope))
                ]
            except EncodeError as error:  # another tag may have room for it
                scope.unfit |= {name: error for name in told if name not in scope.unfit}
                continue
            yield from items
            scope.written |= told - self._shared_list(number, scope, items)
        yield from ((data, _Item()) for data in self._unknown(context))

    def _occurrences(self, number: int, told: set[str], scope: Draft) -> list[_Item]:
        """One item; several where a value is a list of what several items say, or where names tell items apart."""
        named: dict[tuple[tuple[str, Any], ...], _Item] = {}
        for naming, pattern in self.namings[number]:
            for name in sorted(told):
                found = self._numbers(number, naming, name, scope) if pattern.fullmatch(name) else None
                if found is not None:
                    named.setdefault(tuple(sorted(found.items())), _Item(header=found))
        if named:
            return list(named.values())
        chunks = self._chunks(number, scope)
        if chunks is not None:
            return chunks
        repeats = _repeats(self.node.tags[number][1])
        lists = {name: scope.values[name] for name in repeats["list"] if isinstance(scope.values.get(name), list)}
        several = {name: list(_numbered(name, scope.values)) for name in repeats["number"]}
        count = max(map(len, [*lists.values(), *several.values()]), default=0)
        if not count:
            return [_Item()]
        items = []
        for place in range(count):
            values = {name: given[place] for name, given in lists.items() if place < len(given)}
            values |= {f"{name}_1": given[place] for name, given in several.items() if place < len(given)}
            items.append(_Item(values=values))
        return items

    def _shared_list(self, number: int, scope: Draft, items: list[tuple[bytes, _Item]]) -> set[str]:
        """The list that several items make, as long as some of its items are not written."""
        node = self._chunked(number, scope)
        if node is None:
            return set()
        size = int(node.count.text) if node.count is not None else 1
        scope.written |= {f"{item.list_}[{item.index}]" for _, item in items}
        if all(f"{node.name}[{index}]" in scope.written for index in range(0, len(scope.values[node.name]), size)):
            return set()
        scope.unfit.setdefault(node.name, EncodeError(scope.place(node.name), "has items that no tag is for"))
        return {node.name}

    def _chunked(self, number: int, scope: Draft) -> Repeat | None:
        """The list of which each item of the wire holds a fixed number of items, where several make the list."""
        for node in self.node.tags[number][1]:
            if isinstance(node, Repeat) and node.count is not None and node.count.text.isdigit():
                given, size = scope.values.get(node.name), int(node.count.text)
                if not node.numbered and not node.into and size and isinstance(given, list) and len(given) != size:
                    return node
        return None

    def _chunks(self, number: int, scope: Draft) -> list[_Item] | None:
        """Those items of such a list that this tag has the rows for."""
        node = self._chunked(number, scope)
        if node is None or node.count is None:
            return None
        given, size, mine = scope.values[node.name], int(node.count.text), fields_of(node.nodes)
        chunks = []
        for index in range(0, len(given), size):
            part = given[index : index + size]
            known = all(isinstance(item, Mapping) and len(mine.told(item)) == len(item) for item in part)
            if (known or node.plain) and f"{node.name}[{index}]" not in scope.written:
                chunks.append(_Item(values={node.name: part}, list_=node.name, index=index))
        return chunks

    def _numbers(self, number: int, naming: Naming, name: str, scope: Draft) -> dict[str, Any] | None:
        """The raw values with which the naming gives this name."""
        shape = "".join(re.escape(part) if isinstance(part, str) else r"(\w+?)" for part in naming.parts)
        matched = re.fullmatch(shape, name)
        if matched is None:
            return None
        formulas = [part for part in naming.parts if not isinstance(part, str)]
        found: dict[str, Any] = {}
        for formula, word in zip(formulas, matched.groups(), strict=True):
            wanted = int(word) if word.isdigit() else word
            unknown = [Unknown(each) for each in formula.names if each in self.header_names or each == "key"]
            solved = solve(formula, scope.find, unknown, wanted) if unknown else {}
            if solved is None:
                return None
            found |= solved
        if "key" in found and not self._is_for(number, found["key"]):
            return None
        return found

    def _is_for(self, number: int, key: int) -> bool:
        """Whether the tag is for this key."""
        keys = self.node.tags[number][0]
        if keys:
            return any(low <= key <= high for low, high in keys)
        return not any(low <= key <= high for others, _ in self.node.tags for low, high in others)

    def _tag(self, number: int, item: _Item, place: int, context: Any) -> bytes:
        scope: Draft = context["scope"]
        keys, _ = self.node.tags[number]
        if not keys and "key" not in item.header:
            raise EncodeError(scope.place("items"), "nothing says the key of the item")
        key = item.header.pop("key") if not keys else item.header.pop("key", keys[0][0])
        return self._item(number, key, item, place, context)

    def _item(self, number: int, key: int, item: _Item, place: int, context: Any) -> bytes:
        scope: Draft = context["scope"]
        head = self._head(item.header, scope)
        self._set_key(head, key)
        values: Mapping[str, Any] = ChainMap(item.values, scope.values) if item.values else scope.values  # type: ignore[arg-type]
        inner = scope.part(f"#{key}[{place}]", values, self.fields[number])
        inner.depth, inner.shown = scope.depth, scope.path
        told = {name: head.find(name) for name in self.header_names}
        if self.tells_key:
            told["key"] = key
        inner.raw |= told
        out = Output()
        self.rows[number]._build(None, out, {**context, "scope": inner}, "")
        inner.finish()
        scope.raw |= {name: raw for name, raw in inner.raw.items() if name not in told}
        return self._framed(key, out.getvalue(), head, context)

    def _head(self, given: Mapping[str, Any], scope: Draft) -> Draft:
        values = {name: scope.values[name] for name in self.header_fields.names if name in scope.values}
        head = scope.part("#", values, self.header_fields, lasting=False)
        head.given = given
        head.raw |= given
        return head

    def _set_key(self, head: Draft, key: int) -> None:
        if isinstance(self.node.key, Formula) and not head.settle(self.node.key, key):
            raise EncodeError(head.place(self.node.key.text), f"cannot be {key}")

    def _framed(self, key: int, data: bytes, head: Draft, context: Any) -> bytes:
        """Header, key and length around the value."""
        node = self.node
        inner = {**context, "scope": head}
        front = self._built(self.header, inner)
        if isinstance(node.length, Formula):
            size = len(data) + (len(front) + len(self._key(key, inner)) if node.length_counts_key else 0)
            if not head.settle(node.length, size):
                raise EncodeError(head.place(node.length.text), f"cannot say {size} bytes")
            front = self._built(self.header, inner)
        name = self._key(key, inner)
        if isinstance(node.length, int) and len(data) != node.length:
            raise EncodeError(head.place(str(key)), f"takes {len(data)} bytes, an item has {node.length}")
        if not isinstance(node.length, IntWire):
            return front + name + data
        if node.length_first:
            return front + self._integer(node.length, len(name) + len(data), inner, key) + name + data
        size = len(data)
        if node.length_counts_key:
            size += len(front) + len(name) + node.length.size
        return front + name + self._integer(node.length, size, inner, key) + data

    def _key(self, key: int, context: Any) -> bytes:
        node = self.node
        if isinstance(node.key, Formula):
            return b""
        for mark, more in reversed(node.escapes):
            if key >> 8 * more.size == mark and key != mark:
                rest = self._integer(more, key & (1 << 8 * more.size) - 1, context, key)
                return self._key(mark, context) + rest
        return self._integer(node.key, key, context, key)

    def _integer(self, wire: IntWire, number: int, context: Any, key: int) -> bytes:
        out = Output()
        try:
            primitive(wire)._build(number, out, context, "")
        except (c.ConstructError, OverflowError, ValueError):
            raise EncodeError(context["scope"].place(str(key)), f"{number} does not fit in {wire.size} bytes") from None
        return out.getvalue()

    def _built(self, rows: Any, context: Any) -> bytes:
        out = Output()
        context["scope"].work.fill, before = True, context["scope"].work.fill
        rows._build(None, out, context, "")
        context["scope"].work.fill = before
        return out.getvalue()

    def _unknown(self, context: Any) -> Iterator[bytes]:
        """Items that no tag of the spec is for, from the object of `into`."""
        node, scope = self.node, context["scope"]
        into, entry = node.into, node.entry
        given = scope.values.get(into) if into else None
        if entry is not None and isinstance(given, Mapping):
            for place, (word, value) in enumerate(given.items()):
                name = f"{into}.{word}"
                if name in scope.written:
                    continue
                item = _Item(values={into: entry_values(entry, value)})
                try:
                    yield self._item(len(node.tags) - 1, int(word), item, place, context)
                except (EncodeError, ValueError) as error:
                    what = error if isinstance(error, EncodeError) else EncodeError(scope.place(name), "is no key")
                    scope.unfit.setdefault(name, what)
                else:
                    scope.written.add(name)
        elif isinstance(given, Mapping) and node.unknown_wire is not None:
            for word, value in given.items():
                name = f"{into}.{word}"
                if name in scope.written:
                    continue
                out = Output()
                try:
                    primitive(node.unknown_wire)._build(value, out, context, name)
                    yield self._bare(int(word), out.getvalue(), context)
                except EncodeError as error:
                    scope.unfit.setdefault(name, error)
                except (c.ConstructError, TypeError, ValueError, OverflowError) as error:
                    scope.unfit.setdefault(name, EncodeError(scope.place(name), f"{value!r} does not fit: {error}"))
                else:
                    scope.written.add(name)
        if isinstance(given, Mapping) and all(f"{into}.{word}" in scope.written for word in given):
            scope.written.add(into)

    def _raw(self, context: Any) -> Iterator[bytes]:
        """All items, as `raw` kept them."""
        node, scope = self.node, context["scope"]
        for index, entry in enumerate(scope.values[node.raw]):
            try:
                key, data = int(entry["id"]), bytes.fromhex(entry["value"])
            except (TypeError, ValueError, LookupError):
                raise EncodeError(scope.place(f"{node.raw}[{index}]"), "is no `{id, value}` with hex text") from None
            yield self._bare(key, data, context)
        scope.written.update(*(mine.told(scope.values) for mine in self.fields))
        scope.written.update((node.raw, node.into))

    def _bare(self, key: int, data: bytes, context: Any) -> bytes:
        head = self._head({}, context["scope"])
        self._set_key(head, key)
        return self._framed(key, data, head, context)


def entry_values(entry: Entry, value: Any) -> Any:
    """The values of the rows that read an entry of an object, from the entry."""
    return {entry.only: value} if entry.only else value


def _in_order(items: list[tuple[bytes, _Item]]) -> list[bytes]:
    """The items; those that make one list in its order, whatever their tags are."""
    found = [data for data, _ in items]
    for name in {item.list_ for _, item in items if item.list_}:
        places = [place for place, (_, item) in enumerate(items) if item.list_ == name]
        ordered = sorted((items[place] for place in places), key=lambda pair: pair[1].index)
        for place, (data, _) in zip(places, ordered, strict=True):
            found[place] = data
    return found


def _namings(nodes: tuple[Node, ...]) -> list[tuple[Naming, re.Pattern[str]]]:
    found = []
    for node in walk(nodes):
        for part in (node, *getattr(node, "bits", ())):
            place = getattr(part, "place", None)
            if place is not None and place.naming is not None:
                found.append((place.naming, pattern_of(place.naming.text)))
    return found


def _repeats(nodes: tuple[Node, ...]) -> dict[str, list[str]]:
    """Names of which several items give one value each."""
    found: dict[str, list[str]] = {"list": [], "number": []}
    for node in nodes:
        for part in (node, *(node.bits if isinstance(node, Value) else ())):
            place = getattr(part, "place", None)
            if place is not None and place.repeat:
                found[place.repeat].append(getattr(part, "name"))  # noqa: B009 - what has a place has a name
    return found


def _numbered(name: str, values: Mapping[str, Any]) -> Iterator[Any]:
    number = 1
    while values.get(f"{name}_{number}") is not None:
        yield values[f"{name}_{number}"]
        number += 1
