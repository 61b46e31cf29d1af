"""Values that the documents name and this version does not have yet: they are refused with that message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple["str | int", ...]

_LATER = "is not available in this version yet"

# `*` stands for any key.
_VALUES: tuple[tuple[tuple[str, ...], frozenset[str], str], ...] = (
    (("shared_state",), frozenset({"redis"}), f"`shared_state: redis` {_LATER}: use `shared_state: memory`"),
)


def unavailable_values(data: Any) -> Iterator[tuple[Path, str]]:
    """Path and message of each value of a later version."""
    for pattern, words, message in _VALUES:
        for path, value in _matching(data, pattern):
            if isinstance(value, str) and value in words:
                yield path, message


def _matching(data: Any, pattern: tuple[str, ...], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, data
    elif isinstance(data, Mapping):
        for key in data if pattern[0] == "*" else [key for key in data if key == pattern[0]]:
            yield from _matching(data[key], pattern[1:], (*path, key))
