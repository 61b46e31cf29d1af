"""YAML text becomes plain data that still knows its lines: the first step of every spec, golden and config file.

Scalars are read by the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/, section 10.3.2), not by the 1.1 rules of
PyYAML: `on`, `off`, `yes`, `no`, `12:30` and dates are text, `010` is ten, `0x10` is sixteen, `0o17` is fifteen.
Duplicate keys are refused. Anchors, aliases and merge keys (`<<`) work, within caps. Nothing is read from disk here.

libyaml's events are read one by one instead of its composed tree: nesting is then refused while it grows,
before anything recurses over it.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from decoders.errors import SpecError, SpecProblem
from decoders.spec.problems import MAX_PROBLEMS, problems_from, validate

__all__ = ["Document", "Hexadecimal", "load", "problems_from", "scalar", "validate"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_ALIASED = 50_000
"""Values that aliases and merge keys may add to a file by repeating what stands elsewhere in it."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_MAX_DIGITS = 100  # far beyond any 64-bit value; keeps the conversion cheap
_UNPRINTABLE = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)


@dataclass(slots=True)
class _Node:
    """A value with its place (from 1). `size`: values in it, itself counted; `height`: levels below it."""

    line: int
    column: int
    value: Any
    size: int = 1
    height: int = 0
    children: dict[Any, _Node] | list[_Node] | None = None
    keys: dict[Any, tuple[int, int, str]] = field(default_factory=dict)  # place and spelling of each key

    def child(self, item: str | int) -> _Node | None:
        if isinstance(self.children, dict):
            return self.children.get(item)
        if isinstance(self.children, list) and isinstance(item, int) and 0 <= item < len(self.children):
            return self.children[item]
        return None


@dataclass(slots=True)
class Document:
    """One file as plain dicts, lists and scalars (`data`), and where each of them stands."""

    source: str
    data: Any
    _root: _Node

    def place(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, counted from 1, of the value at `path`, or of its key.

        The nearest known ancestor answers for a path that does not exist; an item of a list has no key of its own,
        so its value answers.
        """
        node = self._root
        key_place: tuple[int, int] | None = None
        for item in path:
            child = node.child(item)
            if child is None and _is_only_item(node, item):
                continue
            if child is None:
                return node.line, node.column
            key_place = node.keys[item][:2] if item in node.keys else None
            node = child
        return key_place if key and key_place else (node.line, node.column)

    def where(self, path: Sequence[str | int], *, key: bool = False) -> tuple[str, int, int]:
        """`place` together with the name of the source."""
        return (self.source, *self.place(path, key=key))

    def path_text(self, path: Sequence[str | int]) -> str:
        """`messages.status.fields[2].type`; keys as they are spelt in the file (`tags.0x0175`)."""
        node: _Node | None = self._root
        text = ""
        for item in path:
            if _is_only_item(node, item):
                continue
            if isinstance(item, int) and (node is None or not isinstance(node.children, dict)):
                text += f"[{item}]"
            else:
                spelling = node.keys[item][2] if node is not None and item in node.keys else str(item)
                text += f".{spelling}" if text else spelling
            node = node.child(item) if node is not None else None
        return text

    def hidden(self, path: Sequence[str | int]) -> bool:
        """A file's own values may be shown."""
        return False


def _is_only_item(node: _Node | None, item: str | int) -> bool:
    """True for the first item of a list in whose place its only item stands."""
    return item == 0 and node is not None and isinstance(node.children, dict) and item not in node.children


def load(text: str, source: str) -> Document:
    """Reads one YAML document. `source` names the file in every problem.

    Raises SpecError with every problem found: syntax (the first one ends the reading), duplicate keys, keys that are
    neither text nor whole numbers, tags, and a file beyond the caps of size, nesting or aliases. An empty file gives
    None.
    """
    reader = _Reader(source)
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        reader.fail(1, 1, f"the file is larger than {MAX_BYTES} bytes", code="too_large")
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        reader.fail(line, column, f"the character U+{ord(found[0]):04X} may not stand in YAML", code="syntax")
    root = reader.read(text)
    if reader.problems:
        raise SpecError(reader.problems)
    return Document(source, root.value, root)


class Hexadecimal(int):
    """A whole number that is spelled in hexadecimal. digits: without `0x`, zeros in front among them."""

    digits: str

    @classmethod
    def of(cls, digits: str) -> Hexadecimal:
        found = cls(digits, 16)
        found.digits = digits
        return found


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar by the YAML 1.2 core schema. ValueError: a number out of range."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise ValueError(f"a whole number of more than {_MAX_DIGITS} digits")
        if text.startswith("0x"):
            return Hexadecimal.of(text[2:])
        return int(text.removeprefix("0o"), 8 if text.startswith("0o") else 10)  # int(text, 0) would refuse `010`
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("a number beyond the range of a 64-bit float")
        return number
    if sign := _INFINITY.fullmatch(text):
        return -math.inf if sign[1] == "-" else math.inf
    return math.nan if text in _NAN else text


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    node: _Node
    anchor: str | None
    key: tuple[Any, _Node, bool] | None = None  # value, place, usable: the key that waits for its value
    spelling: str = ""
    merges: list[_Node] = field(default_factory=list)
    merge_seen: bool = False


_MERGE = object()


class _Reader:
    """Builds the tree from events; nesting lives in `stack`, not in Python's call stack."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[SpecProblem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Node | None] = {}  # None: its value has begun and not ended
        self.aliased = 0
        self.root: _Node | None = None

    def fail(self, line: int, column: int, message: str, *, hint: str = "", code: str = "syntax") -> NoReturn:
        self.note(line, column, message, hint=hint, code=code)
        raise SpecError(self.problems)

    def note(self, line: int, column: int, message: str, *, hint: str = "", code: str = "syntax") -> None:
        self.problems.append(SpecProblem(self.source, line, column, "", message, hint, code))
        if len(self.problems) >= MAX_PROBLEMS:
            raise SpecError(self.problems)

    def read(self, text: str) -> _Node:
        try:
            for event in _events(text):
                self.take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            lines = text.split("\n")
            here = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
            hint = "a tab cannot indent YAML: use spaces" if here == "\t" else ""
            if here and here in "%@`":
                hint = f"text that begins with {here} stands in quotes"
            context = f" ({error.context})" if error.context else ""
            self.fail(line, column, f"not YAML: {error.problem}{context}", hint=hint)
        except yaml.YAMLError as error:
            self.fail(1, 1, f"not YAML: {error}")
        return self.root or _Node(1, 1, None)

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.DocumentStartEvent):
            if self.root is not None:
                self.fail(line, column, "a second document begins here; one file holds one")
        elif isinstance(event, yaml.AliasEvent):
            self.put(self.alias(str(event.anchor), line, column))
        elif isinstance(event, yaml.ScalarEvent):
            self.scalar(event, line, column)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            self.open(event, line, column)
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self.close()

    def open(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, line: int, column: int) -> None:
        self.refuse_tag(event.tag, line, column)
        if len(self.stack) >= MAX_DEPTH:
            self.fail(line, column, f"nested more than {MAX_DEPTH} levels deep", code="too_deep")
        if event.anchor:
            self.anchors[event.anchor] = None
        is_list = isinstance(event, yaml.SequenceStartEvent)
        node = _Node(line, column, [], children=[]) if is_list else _Node(line, column, {}, children={})
        self.stack.append(_Open(node, event.anchor))

    def close(self) -> None:
        opened = self.stack[-1]
        if opened.merges:
            self.merge(opened)
        self.stack.pop()
        if opened.anchor:
            self.anchors[opened.anchor] = opened.node
        self.put(opened.node)

    def scalar(self, event: yaml.ScalarEvent, line: int, column: int) -> None:
        self.refuse_tag(event.tag, line, column)
        plain = bool(event.implicit[0])
        value: Any = event.value
        if plain:
            try:
                value = scalar(event.value)
            except ValueError as error:
                self.note(line, column, f"{error}; put it in quotes if it is text", code="out_of_range")
        node = _Node(line, column, value)
        if event.anchor:
            self.anchors[event.anchor] = node
        self.put(node, spelling=event.value, merge=plain and event.value == "<<")

    def refuse_tag(self, tag: str | None, line: int, column: int) -> None:
        if tag is not None:
            self.note(line, column, f"the tag `{tag[:80]}` is not used here", hint="quotes make text", code="tag")

    def alias(self, name: str, line: int, column: int) -> _Node:
        if name not in self.anchors:
            self.fail(line, column, f"`*{name}` names no anchor that stands before it", code="alias")
        target = self.anchors[name]
        if target is None:
            self.fail(line, column, f"`*{name}` stands inside the value that it repeats", code="alias")
        self.repeat(target, line, column)
        value = copy.deepcopy(target.value)
        return _Node(line, column, value, target.size, target.height, target.children, target.keys)

    def repeat(self, target: _Node, line: int, column: int) -> None:
        """Counts a value that is used again against the cap of aliases, and its height against the nesting."""
        self.aliased += target.size
        if self.aliased > MAX_ALIASED:
            self.fail(line, column, f"aliases repeat more than {MAX_ALIASED} values", code="too_large")
        if len(self.stack) + target.height > MAX_DEPTH:
            self.fail(line, column, f"nested more than {MAX_DEPTH} levels deep", code="too_deep")

    def put(self, node: _Node, *, spelling: str = "", merge: bool = False) -> None:
        """Places a finished value into what is open, as a key or as a value."""
        if not self.stack:
            self.root = node
            return
        opened = self.stack[-1]
        parent = opened.node
        if isinstance(parent.children, list):
            parent.children.append(node)
            parent.value.append(node.value)
            self.grow(parent, node)
        elif opened.key is None:
            value, usable = self.check_key(opened, node, merge)
            opened.key = (value, node, usable)
            opened.spelling = spelling or str(node.value)
        else:
            (value, key_node, usable), opened.key = opened.key, None
            if value is _MERGE:
                opened.merges.append(node)
            elif usable and isinstance(parent.children, dict):
                parent.children[value] = node
                parent.keys[value] = (key_node.line, key_node.column, opened.spelling)
                parent.value[value] = node.value
                self.grow(parent, node)

    def grow(self, parent: _Node, node: _Node) -> None:
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)

    def check_key(self, opened: _Open, node: _Node, merge: bool) -> tuple[Any, bool]:
        key = node.value
        if merge:
            if opened.merge_seen:
                self.note(node.line, node.column, "the key `<<` stands here twice", code="duplicate_key")
            opened.merge_seen = True
            return _MERGE, True
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            hint = "put it in quotes" if not isinstance(key, (dict, list)) else ""
            self.note(node.line, node.column, "a key must be text or a whole number", hint=hint, code="key")
            return None, False
        if key in opened.node.keys:
            line = opened.node.keys[key][0]
            message = f"the key `{str(key)[:80]}` stands here twice (first in line {line})"
            self.note(node.line, node.column, message, code="duplicate_key")
            return key, False
        return key, True

    def merge(self, opened: _Open) -> None:
        """`<<`: keys of other mappings, where this one does not have them; the first of several wins."""
        parent = opened.node
        for source in opened.merges:
            mappings = source.children if isinstance(source.children, list) else [source]
            for mapping in mappings:
                if not isinstance(mapping, _Node) or not isinstance(mapping.children, dict):
                    self.note(source.line, source.column, "`<<` takes a mapping or a list of mappings", code="merge")
                    break
                for key, child in mapping.children.items():
                    if key in parent.keys or not isinstance(parent.children, dict):
                        continue
                    self.repeat(child, source.line, source.column)
                    parent.children[key] = child
                    parent.keys[key] = mapping.keys[key]
                    parent.value[key] = copy.deepcopy(child.value)
                    self.grow(parent, child)


def _events(text: str) -> Iterator[yaml.Event]:
    # types-PyYAML does not know that the loader class decides the parser; CSafeLoader is libyaml's.
    yield from yaml.parse(text, Loader=yaml.CSafeLoader)
