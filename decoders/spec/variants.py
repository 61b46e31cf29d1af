"""`variants:` of a spec: the same file with some keys changed, and still with the place of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.spec.source import Document

KEY = "variants"


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` laid over it: objects merge, lists and scalars replace. Neither is changed."""
    if not isinstance(base, Mapping) or not isinstance(changes, Mapping):
        return changes
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(base[key], value) if key in base else value
    return result


@dataclass(slots=True)
class VariantDocument(Document):
    """One variant of a document: a value that the variant changes has its place under `variants`."""

    name: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    def place(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        # The zero-argument super() does not work in a dataclass with slots.
        return Document.place(self, self._own(path), key=key)

    def path_text(self, path: Sequence[str | int]) -> str:
        return Document.path_text(self, self._own(path))

    def _own(self, path: Sequence[str | int]) -> Sequence[str | int]:
        """The path in the file: under `variants` as soon as the variant says something of its own there."""
        changed: Any = self.changes
        for item in path:
            if not isinstance(changed, Mapping):  # a list or scalar that replaces: all below it is the variant's
                return (KEY, self.name, *path)
            if item not in changed:
                return path
            changed = changed[item]
        return path if isinstance(changed, Mapping) else (KEY, self.name, *path)


def variant_document(document: Document, name: str, changes: Mapping[str, Any]) -> VariantDocument:
    """The document of one variant: the file's data without `variants`, with the variant's changes laid over it."""
    base = {key: value for key, value in document.data.items() if key != KEY}
    return VariantDocument(document.source, merged(base, changes), document._root, name, changes)
