"""Keys and values that the documents name and this version does not have yet: they are refused with that message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple["str | int", ...]

_LATER = "is not available in this version yet"

_KEYS: tuple[tuple[str, ...], ...] = (
    ("rest",),
    ("auth", "anonymous_rest"),
)

# `*` stands for any key.
_VALUES: tuple[tuple[tuple[str, ...], frozenset[str], str], ...] = (
    (("shared_state",), frozenset({"redis"}), f"`shared_state: redis` {_LATER}: use `shared_state: memory`"),
)


def unavailable_keys(data: Any) -> Iterator[tuple[Path, str]]:
    """Path and message of each key of a later version. One that switches its part off (`sources: []`) is no problem."""
    for path in _KEYS:
        parent = data
        for item in path[:-1]:
            parent = parent.get(item) if isinstance(parent, Mapping) else None
        if isinstance(parent, Mapping) and path[-1] in parent and not _is_off(parent[path[-1]]):
            yield path, f"`{path[-1]}` {_LATER}"


def unavailable_values(data: Any) -> Iterator[tuple[Path, str]]:
    """Path and message of each value of a later version."""
    for pattern, words, message in _VALUES:
        for path, value in _matching(data, pattern):
            if isinstance(value, str) and value in words:
                yield path, message


def without_later_keys(data: Any) -> Any:
    """The data without the keys of later versions: they are reported here, not as unknown ones."""
    for path in _KEYS:
        data = _without(data, path)
    return data


def _is_off(value: Any) -> bool:
    return (
        value is None or value is False or value == [] or (isinstance(value, Mapping) and value.get("enabled") is False)
    )


def _matching(data: Any, pattern: tuple[str, ...], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, data
    elif isinstance(data, Mapping):
        for key in data if pattern[0] == "*" else [key for key in data if key == pattern[0]]:
            yield from _matching(data[key], pattern[1:], (*path, key))


def _without(data: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(data, Mapping) or path[0] not in data:
        return data
    if len(path) == 1:
        return {key: value for key, value in data.items() if key != path[0]}
    return {**data, path[0]: _without(data[path[0]], path[1:])}
