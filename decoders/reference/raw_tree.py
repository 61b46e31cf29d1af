"""The raw tree that a layout is read into: windows of bytes, scopes of raw values, formulas over them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from decoders.errors import DecodeCode, DecodeError
from decoders.formula import Formula
from decoders.layout import MAX_EMPTY_ITEMS, Node, Tags
from decoders.raw import as_size
from decoders.window_calls import body_called, body_value, call_value

MAX_DEPTH = 16
NO_KEY = object()
"""In the place of the key of an item: nothing may read it."""


class Window(io.BytesIO):
    """Bytes that a structure may read; `base` is where they start in the frame.

    before: the bytes right before them, where the window goes on with what stands there; None for a window of its own.
    A text value that ends with the window moves behind its end by the length of the missing mark: so a position at
    the end means that one more, empty, value is there, and one behind it that none is.
    value: start and end of the value that was read last, without the mark or length around it.
    """

    def __init__(self, data: bytes, base: int, before: bytes | None = None) -> None:
        super().__init__(data)
        self.data = data
        self.base = base
        self.size = len(data)
        self.before = before
        self.value: tuple[int, int] | None = None

    @property
    def remaining(self) -> int:
        return max(0, self.size - self.tell())

    @property
    def place(self) -> int:
        return self.base + min(self.tell(), self.size)

    def has_value(self, mark: bytes) -> bool:
        """True when a value that ends with the mark is there, even an empty one."""
        here = self.tell()
        if here != self.size:
            return here < self.size
        if here == 0 and self.before is None:
            return True
        return ((self.before or b"") + self.data).endswith(mark)

    def ahead(self, size: int) -> int | None:
        """The big-endian integer of the next bytes, which stay unread; None when they are not there."""
        data = self.getbuffer()[self.tell() :][:size]
        return int.from_bytes(data, "big") if len(data) == size else None


@dataclass(slots=True)
class Scope:
    """Raw values of one structure while it is read or built, and the structure around it."""

    raw: dict[str, Any] = field(default_factory=dict)
    outer: Scope | None = None
    taken: list[tuple[Node, Any]] = field(default_factory=list)  # what was read, in order
    depth: int = 0
    empty_items: int = 0  # of the outermost structure: items so far of lists whose items may take no bytes

    def find(self, name: str) -> Any:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.raw:
                return scope.raw[name]
            scope = scope.outer
        return None

    def count_empty_item(self) -> int:
        """One more item that may have taken no bytes; gives how many there are in the frame."""
        scope = self
        while scope.outer is not None:
            scope = scope.outer
        scope.empty_items += 1
        return scope.empty_items

    def inner(self) -> Scope:
        return Scope(outer=self, depth=self.depth + 1)


@dataclass(slots=True)
class Labelled:
    """A raw value of a node with computed names: each as the spec says it -> as it was built, None for no name."""

    raw: Any
    names: dict[str, str | None]


@dataclass(slots=True)
class Item:
    """Stands among what was read where an item of a tag list begins whose rows (by `id`) are these; None stands where
    it ends. key: what its rows call `key`, None for nothing."""

    rows: int
    key: Any


@dataclass(slots=True)
class Trace:
    """One field as it was read, for `--explain`. data: its bytes, which differ from the frame's where these are text
    that stands for others. node: of the layout, which says how the raw value is converted."""

    path: str
    offset: int
    size: int
    raw: Any
    data: bytes = b""
    node: Node | None = None


def evaluate(formula: Formula, scope: Scope, stream: Window | None) -> Any:
    """A layout formula over raw values."""

    def lookup(name: str) -> Any:
        if name == "remaining":
            return stream.remaining if stream is not None else None
        if name == "next_u8":
            return stream.ahead(1) if stream is not None else None
        if name == "next_u16":
            return stream.ahead(2) if stream is not None else None
        if body_called(name) is not None:
            body = scope.find("_body")
            return body_value(name, body) if body is not None else None
        if name.startswith("_"):
            return call_value(name, stream.data, stream.tell(), stream.size) if stream is not None else None
        return _countable(scope.find(name))

    return formula.evaluate_raw(lookup)


def _countable(raw: Any) -> Any:
    """What formulas see of a structure: that it is there, and how many a list has."""
    if isinstance(raw, Scope):
        return True
    if isinstance(raw, list) and raw and isinstance(raw[0], Scope):
        return [None] * len(raw)
    return raw


def failure(code: DecodeCode, detail: str, stream: Window, path: str) -> DecodeError:
    return DecodeError(code, detail, offset=stream.place, field=path)


def within(value: Any, low: int | str, high: int | str) -> bool:
    """True when the value is `low`, or an integer (or truth, as 0 and 1) from `low` to `high`."""
    if low == high:
        return bool(value == low)
    return isinstance(value, int) and isinstance(low, int) and isinstance(high, int) and low <= value <= high


def whole(value: Any, formula: Formula, stream: Window, path: str) -> int:
    """A count or size by formula: a whole number that is not negative."""
    value = as_size(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise failure(DecodeCode.BAD_LENGTH, f"`{formula.text}` gives {value!r}, not a size", stream, path)
    return value


def check_depth(scope: Scope, stream: Window, path: str) -> None:
    if scope.depth > MAX_DEPTH:
        raise failure(DecodeCode.TOO_DEEP, f"structures nest deeper than {MAX_DEPTH}", stream, path)


def check_items(done: int, most: int, window: Window, path: str) -> None:
    """Before another item of a list that has `done` of them. Raises DecodeError(TOO_MANY_ITEMS)."""
    if done >= most:
        raise failure(DecodeCode.TOO_MANY_ITEMS, f"more than {most} items", window, path)


def is_going_on(node: Tags, key: Any, scope: Scope, window: Window) -> bool:
    """Whether a tag list has another item. key: of the item before, None before the first one, which is always there
    where `key` is asked for; NO_KEY where the list tells no key."""
    formula = node.going
    if formula is None:
        return True
    if key is NO_KEY or "key" not in formula.names:
        return bool(evaluate(formula, scope, window))
    return key is None or bool(evaluate(formula, Scope(raw={"key": key}, outer=scope), window))


def check_empty_items(scope: Scope, window: Window, path: str) -> None:
    """The same before an item that may take no bytes, whatever list it is of."""
    if scope.count_empty_item() > MAX_EMPTY_ITEMS:
        detail = f"more than {MAX_EMPTY_ITEMS} items that may be empty"
        raise failure(DecodeCode.TOO_MANY_ITEMS, detail, window, path)


def shown(value: Any) -> str:
    return f"0x{value:x}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)
