"""Lines of a generated function, and the names that its code may use.

Field names never become identifiers: variables are numbered (`v3`), and names enter the source only through `repr`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_WORD = re.compile(r"[^A-Za-z0-9]+")


class SourceWriter:
    """Collects source lines with indentation, and the objects that they refer to."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.lines: list[str] = []
        self.level = 1
        self._count = 0
        self._bound: dict[int, str] = {}
        self._structs: dict[str, str] = {}

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.level + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A compound statement; an empty body becomes `pass`."""
        self.emit(head)
        self.level += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.emit("pass")
        self.level -= 1

    def mark(self) -> int:
        """A place to `insert` a line later, at today's indentation."""
        return len(self.lines)

    def insert(self, mark: int, level: int, line: str) -> None:
        self.lines.insert(mark, "    " * level + line)

    def fresh(self, hint: str = "v") -> str:
        """A new variable. The hint only helps readers: it is reduced to letters and digits and always numbered."""
        self._count += 1
        return f"{_WORD.sub('_', hint)[:20] or 'v'}_{self._count}"

    def bind(self, thing: Any) -> str:
        """A name for an object in the function's namespace."""
        known = self._bound.get(id(thing))
        if known is not None and self.namespace[known] is thing:
            return known
        prefix = "fn" if callable(thing) else "const"
        name = f"{prefix}_{len(self.namespace)}"
        self.namespace[name] = thing
        self._bound[id(thing)] = name
        return name

    def unpack(self, pattern: str) -> str:
        """A name for the bound `unpack_from` of one struct pattern."""
        return self._struct("unpack", pattern, struct.Struct(pattern).unpack_from)

    def pack(self, pattern: str) -> str:
        """A name for the bound `pack` of one struct pattern."""
        return self._struct("pack", pattern, struct.Struct(pattern).pack)

    def _struct(self, verb: str, pattern: str, method: Callable[..., Any]) -> str:
        key = f"{verb} {pattern}"
        if key not in self._structs:
            name = f"{verb}_{len(self.namespace)}_{_WORD.sub('', pattern)[:24]}"
            self.namespace[name] = method
            self._structs[key] = name
        return self._structs[key]

    def iter_unpack(self, pattern: str) -> str:
        """A name for the bound `iter_unpack` of one struct pattern."""
        return self._struct("items", pattern, struct.Struct(pattern).iter_unpack)

    def comprehend(self, mark: int, head: str, items: str) -> None:
        """Turns a loop written since `mark` that does nothing but append to `items` into a comprehension; `head` is the
        loop's, without colon. The list was made empty in the line before."""
        start, end = f"{items}.append(", ")"
        body = self.lines[mark + 1].strip()
        if len(self.lines) == mark + 2 and body.startswith(start):
            del self.lines[mark - 1 :]
            self.emit(f"{items} = [{body[len(start) : -len(end)]} {head}]")
