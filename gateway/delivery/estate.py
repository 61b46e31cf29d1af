"""Estate: what is still owed to sinks that are configured no more.

Place in the walk: between a feed and its cursor. Today's routes say which sinks get such a record instead: its heirs.
Each reads it where it stands in the spool, so that a device keeps its order and nothing needs room a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence

from gateway.delivery.routes import Routes
from gateway.delivery.spool.positions import Positions
from gateway.delivery.spool.spool import Cursor, Stored

UNKNOWN = ""
"""Name of the cursor that stands for all sinks of which no cursor is left, after a loss of storage."""


class Estate:
    """gone: the cursors of these sinks, which the estate moves on. sinks: those that are configured.
    end: a sequence from which on nothing is owed to one that is gone.

    settled: set when the heirs have everything.
    """

    def __init__(self, gone: Iterable[Cursor], sinks: Collection[str], routes: Routes, end: int) -> None:
        self.gone = {cursor.name: cursor for cursor in gone}
        self.settled = asyncio.Event()
        self._sinks = sinks
        self._routes = routes
        self._end = end
        self._heirs: list[Heir] = []

    @property
    def low(self) -> int:
        return min(cursor.low for cursor in self.gone.values())

    def heir(self, own: Cursor) -> Heir:
        """The place of a configured sink, in the spool and in the estate. To be asked for each before any moves."""
        heir = Heir(own, self)
        self._heirs.append(heir)
        return heir

    def waits(self, sequence: int, targets: Iterable[str]) -> bool:
        """Whether one of these is gone and was not given the record."""
        if sequence >= self._end:
            return False
        for name in targets:
            if name not in self._sinks:
                cursor = self.gone.get(name) or self.gone.get(UNKNOWN)
                if cursor is not None and not cursor.has(sequence):
                    return True
        return False

    def is_owed(self, heir: str, stored: Stored) -> bool:
        return self.waits(stored.sequence, stored.targets) and heir in self._routes.sinks(stored.record)

    def passed(self, heir: Heir, sequences: Sequence[int]) -> None:
        """This heir has these, or need not have them."""
        if self.settled.is_set():
            return
        others = [other for other in self._heirs if other is not heir]
        by_all = [sequence for sequence in sequences if all(other.has(sequence) for other in others)]
        low = min(other.low for other in self._heirs)
        for cursor in self.gone.values():
            cursor.delivered(by_all)
            cursor.skip(0, low)
        if low >= self._end:
            self.settled.set()


class Heir:
    """A sink's place in what it is owed itself and what it inherits; stands where its feed has a cursor else.

    Only its own cursor and those of the sinks that are gone are on the disk.
    """

    __slots__ = ("_estate", "_own", "_positions")

    def __init__(self, own: Cursor, estate: Estate) -> None:
        self._own = own
        self._estate = estate
        self._positions = Positions(min(own.low, estate.low))

    @property
    def low(self) -> int:
        return self._positions.low

    @property
    def ranges(self) -> int:
        return self._positions.range_count

    def has(self, sequence: int) -> bool:
        return self._positions.has(sequence)

    def delivered(self, sequences: Sequence[int]) -> None:
        self._positions.add(sequences)
        self._own.delivered(sequences)
        self._estate.passed(self, sequences)

    def skip(self, first: int, end: int) -> None:
        self._positions.add_range(first, end)
        self._own.skip(first, end)
        self._estate.passed(self, ())

    def owes(self, stored: Stored) -> bool:
        """Whether the sink has to get a record. It inherits none that it was owed itself."""
        name = self._own.name
        if name in stored.targets:
            return not self._own.has(stored.sequence)
        return self._estate.is_owed(name, stored)
