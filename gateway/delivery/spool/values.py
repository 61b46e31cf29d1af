"""What goes into the spool and what comes out of it, and whom the spool talks to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.domain.errors import RefuseReason
from gateway.domain.record import Record
from gateway.domain.state import State


@dataclass(slots=True, eq=False)
class Put:
    """What becomes durable as one: the records of an uplink and the states that belong to them.

    targets: for each record the names of the sinks that owe it. ticket: the owner's own; the spool never looks at it.
    sequence: of the first record, set before `committed`; the others follow without a gap.
    """

    records: Sequence[Record]
    targets: Sequence[tuple[str, ...]]
    states: Sequence[State]
    ticket: Any
    sequence: int = 0


@dataclass(slots=True, eq=False)
class Batch:
    """Puts that share a commit, and how they will stand in blocks.

    entries, targets: of all their records, in order. states: entries, each with the number of records before it.
    size: bytes of all entries.
    """

    puts: list[Put] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    targets: list[tuple[str, ...]] = field(default_factory=list)
    states: list[tuple[int, bytes]] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class Stored:
    """A record as it stands in the spool."""

    sequence: int
    record: Record
    targets: tuple[str, ...]


class SpoolOwner(Protocol):
    def committed(self, batch: Sequence[Put]) -> None:
        """These are durable now, in the order of their sequences."""
        ...

    def not_committed(self, batch: Sequence[Put], reason: RefuseReason) -> None:
        """These are not on the disk, and the spool has forgotten them."""
        ...


class Place(Protocol):
    """Where a sink is: all below `low` and some `ranges` above it are delivered, or not owed to it."""

    @property
    def low(self) -> int: ...

    @property
    def ranges(self) -> int: ...

    def has(self, sequence: int) -> bool: ...

    def delivered(self, sequences: Sequence[int]) -> None:
        """In any order; known ones do no harm."""
        ...

    def skip(self, first: int, end: int) -> None:
        """The sequences from `first` up to but without `end` are not owed."""
        ...


class StateKeeper(Protocol):
    """Holds the states of one kind in memory. Called on the event loop."""

    def snapshot(self) -> Iterable[bytes]:
        """Payloads that make up everything that must be known after a restart; states of commits that were not
        reported yet must not be in it."""
        ...

    def restore(self, payload: bytes) -> None:
        """Takes a payload of `snapshot` or of a `State`, in the order in which they were written."""
        ...
