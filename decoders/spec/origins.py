"""Which row of a spec each node of its layout was built from: what tables, pages and lint say about a node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from decoders.spec.notes import Path

__all__ = ["Origin", "Origins"]


@dataclass(slots=True, frozen=True)
class Origin:
    """A row of the model and its place in the document. node: held, so that its id stays its own."""

    node: Any
    row: Any
    path: Path


@dataclass(slots=True)
class Origins:
    """Origins by node. Nodes are told apart by identity: two equal ones may come from different rows."""

    known: dict[int, Origin] = field(default_factory=dict)

    def keep(self, nodes: Iterable[Any], row: Any, path: Path) -> None:
        """Of rows within rows the innermost is the origin: it was kept first. What a row made of itself within its
        node, such as the value of a plain list, is its own too."""
        for node in nodes:
            if id(node) not in self.known:
                self.known[id(node)] = Origin(node, row, path)
                self.keep(getattr(node, "nodes", ()), row, path)

    def moved(self, old: Any, new: Any) -> None:
        """A node was replaced by a changed copy of it."""
        origin = self.known.get(id(old))
        if origin is not None and new is not old:
            self.known[id(new)] = Origin(new, origin.row, origin.path)

    def of(self, node: Any) -> Origin | None:
        """None for what no row says: the marks of a frame, a tag list that is a message's whole body."""
        return self.known.get(id(node))

    def row(self, node: Any) -> Any:
        """The row of a node, or None."""
        origin = self.known.get(id(node))
        return None if origin is None else origin.row
