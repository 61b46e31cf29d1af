"""Several sources of settings laid over each other, each value still knowing where it came from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.errors import SpecError, SpecProblem
from decoders.spec.problems import describe
from decoders.spec.source import Document

Path = tuple["str | int", ...]

DEFAULT = "default"


def dotted(path: Sequence[str | int]) -> str:
    """`tcp.listeners.0.port`, as `--set` takes it."""
    return ".".join(str(item) for item in path)


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Path and value of everything that is no container, and of empty containers."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


@dataclass(slots=True, frozen=True)
class _Origin:
    """The file that holds the value, or the name of another source."""

    name: str
    document: Document | None = None


class Layers:
    """The merged data, as `decoders.spec.problems.PlacedData`. Mappings merge, everything else is replaced."""

    def __init__(self) -> None:
        self.data: dict[str | int, Any] = {}
        self.references: dict[Path, str] = {}  # text with `${...}` as it was written, by the path of its value
        self._origins: dict[Path, _Origin] = {}

    def put_document(self, document: Document) -> None:
        """The file: always the lowest source. Raises SpecError when it holds no mapping."""
        if document.data is None:
            return
        if not isinstance(document.data, dict):
            source, line, column = document.where(())
            message = f"expected a mapping, got {describe(document.data)}"
            raise SpecError([SpecProblem(source, line, column, "", message)])
        self.data = copy.deepcopy(document.data)
        self._mark((), self.data, _Origin(document.source, document))

    def put(self, path: Sequence[str], value: Any, name: str) -> None:
        """Sets one value. Digits count into a list, whose length is the next free place; names are met in any case.

        Raises ValueError when there is no such place.
        """
        container: Any = self.data
        origin = _Origin(name)
        here: Path = ()
        for position, part in enumerate(path):
            key = _key_in(container, part, here)
            last = position == len(path) - 1
            if last:
                new = value
            else:
                held = _get(container, key)
                # A value in the way that is neither mapping nor list is found out at the next turn.
                new = held if held is not None else ([] if path[position + 1] == "0" else {})
            here = (*here, key)
            if last or _get(container, key) is None:
                _set(container, key, new)
                self._forget(here)
                self._mark(here, new, origin)
            container = new

    def remove(self, path: Path) -> None:
        """Takes a key of a mapping away."""
        container: Any = self.data
        for item in path[:-1]:
            container = container[item]
        del container[path[-1]]
        self._forget(path)

    def replace_text(self, path: Path, value: Any) -> None:
        """Another value at the same place and of the same origin: what a reference stands for."""
        container: Any = self.data
        for item in path[:-1]:
            container = container[item]
        self.references[path] = container[path[-1]]
        container[path[-1]] = value

    def get(self, path: Path) -> Any:
        """The value, or None."""
        value: Any = self.data
        for item in path:
            value = _get(value, item)
        return value

    def is_set(self, path: Path) -> bool:
        """True when a source other than the defaults says something there."""
        origin = self._origins.get(path)
        return origin is not None and origin.name != DEFAULT

    def origin(self, path: Path) -> str:
        """`file:line`, `env NAME`, `--set` or `default`."""
        origin = self._origins.get(path)
        if origin is None:
            return DEFAULT
        if origin.document is not None:
            return f"{origin.name}:{origin.document.place(path)[0]}"
        return "--set" if origin.name.startswith("--set") else origin.name

    def where(self, path: Sequence[str | int], *, key: bool = False) -> tuple[str, int, int]:
        """Source, line and column; lines and columns of sources that have none are 0."""
        for end in range(len(path), -1, -1):
            origin = self._origins.get(tuple(path[:end]))
            if origin is not None and origin.document is not None:
                # The rest of the path says which key of an ancestor is missing; only that ancestor has a place.
                return origin.document.where(path[:end], key=key and end == len(path))
            if origin is not None:
                return origin.name, 0, 0
        return "settings", 0, 0

    def path_text(self, path: Sequence[str | int]) -> str:
        text = ""
        for item in path:
            text += f"[{item}]" if isinstance(item, int) else f".{item}" if text else item
        return text

    def hidden(self, path: Sequence[str | int]) -> bool:
        """What a reference stands for may be a secret."""
        return any(tuple(path[:end]) in self.references for end in range(1, len(path) + 1))

    def problem(self, path: Sequence[str | int], message: str, hint: str = "", *, key: bool = False) -> SpecProblem:
        return SpecProblem(*self.where(path, key=key), self.path_text(path), message, hint)

    def expand(self, expansion: Callable[[Path, str], Any]) -> list[SpecProblem]:
        """Replaces each text that holds a reference (`${`) by what `expansion` gives; its ValueErrors are returned."""
        problems = []
        for path, value in list(leaves(self.data)):
            if isinstance(value, str) and "${" in value:
                try:
                    self.replace_text(path, expansion(path, value))
                except ValueError as error:
                    problems.append(self.problem(path, str(error)))
        return problems

    def _mark(self, path: Path, value: Any, origin: _Origin) -> None:
        self._origins[path] = origin
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            self._mark((*path, key), inner, origin)

    def _forget(self, path: Path) -> None:
        for known in [known for known in self._origins if known[: len(path)] == path]:
            del self._origins[known]


def _get(container: Any, key: str | int) -> Any:
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, list) and isinstance(key, int) and key < len(container):
        return container[key]
    return None


def _set(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, list) and key == len(container):
        container.append(value)
    else:
        container[key] = value


def _key_in(container: Any, part: str, here: Path) -> str | int:
    if isinstance(container, dict):
        return next((key for key in container if isinstance(key, str) and key.lower() == part.lower()), part)
    if not isinstance(container, list):
        raise ValueError(f"`{dotted(here)}` holds {describe(container)}: nothing can be set inside it")
    if not part.isdecimal() or not part.isascii() or len(part) > 6:
        raise ValueError(f"`{dotted(here)}` is a list: a number was expected, not `{part}`")
    if int(part) > len(container):
        raise ValueError(f"`{dotted(here)}` has {len(container)} items: there is no item {part}")
    return int(part)
