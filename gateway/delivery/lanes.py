"""Records that wait for one sink, in the order of their lanes.

Two ways to take them, with the same interface:

FifoQueue   for a sink that stores a request whole and in order: one line, taken from its front.
LaneQueue   for a sink whose entries fail one by one: at most one record of a lane is out at any time. Sending "the
            failed ones and their successors" again does not keep order, as the successors are stored already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Sized
from typing import Protocol

from gateway.domain.receipt import Receipt
from gateway.domain.record import Record

Entry = tuple[Record, Receipt]


class PendingRecords(Protocol):
    """An entry is waiting (here), taken (with the sender), or gone. `take` and `put_back` keep the order of lanes."""

    @property
    def ready(self) -> Sized:
        """Entries that `take` could give now."""
        ...

    bytes: int
    """Bytes of the waiting bodies."""

    def put(self, records: Sequence[Record], receipt: Receipt, size: int) -> None:
        """Appends the records of one uplink; `size` is the sum of their bodies."""
        ...

    def take(self, max_records: int, max_bytes: int) -> list[Entry]:
        """Removes entries from the front: at least one if any is ready, then up to both limits."""
        ...

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Returns taken entries to the front of their lanes; they are the next to be taken, in this order."""
        ...

    def done(self, entries: Sequence[Entry]) -> None:
        """These taken entries are gone (stored or buried): their lanes may go on."""
        ...

    def take_all(self) -> list[Entry]:
        """Empties the queue, whether or not a record of the lane is out."""
        ...


class FifoQueue:
    """One line for all lanes."""

    __slots__ = ("bytes", "ready")

    def __init__(self) -> None:
        self.ready: list[Entry] = []
        self.bytes = 0

    def put(self, records: Sequence[Record], receipt: Receipt, size: int) -> None:
        self.bytes += size
        append = self.ready.append
        for record in records:
            append((record, receipt))

    def take(self, max_records: int, max_bytes: int) -> list[Entry]:
        ready = self.ready
        if len(ready) <= max_records and self.bytes <= max_bytes:
            return self.take_all()
        count = size = 0
        for record, _ in ready[:max_records]:
            if count and size + len(record.body) > max_bytes:
                break
            count += 1
            size += len(record.body)
        taken = ready[:count]
        del ready[:count]
        self.bytes -= size
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        self.bytes += sum(len(record.body) for record, _ in entries)
        self.ready[:0] = entries

    def done(self, entries: Sequence[Entry]) -> None:
        """Nothing to do: no lane waits for another."""

    def take_all(self) -> list[Entry]:
        taken = self.ready
        self.ready = []
        self.bytes = 0
        return taken


class LaneQueue:
    """One line per lane; the head of a lane is ready, or taken, and its successors wait for it.

    A lane is known (`_successors` has its name) from its first record until the last one is gone. Lanes take turns:
    one whose record is done goes to the end of the ready ones.
    """

    __slots__ = ("_successors", "bytes", "ready")

    def __init__(self) -> None:
        self.ready: deque[Entry] = deque()  # heads that are not taken, each of another lane
        self.bytes = 0
        self._successors: dict[str, deque[Entry] | None] = {}  # None: most lanes have one record waiting

    def put(self, records: Sequence[Record], receipt: Receipt, size: int) -> None:
        self.bytes += size
        lanes = self._successors
        for record in records:
            lane = record.lane
            if lane not in lanes:
                lanes[lane] = None
                self.ready.append((record, receipt))
                continue
            successors = lanes[lane]
            if successors is None:
                lanes[lane] = deque(((record, receipt),))
            else:
                successors.append((record, receipt))

    def take(self, max_records: int, max_bytes: int) -> list[Entry]:
        ready = self.ready
        taken: list[Entry] = []
        size = 0
        while ready and len(taken) < max_records:
            length = len(ready[0][0].body)
            if taken and size + length > max_bytes:
                break
            taken.append(ready.popleft())
            size += length
        self.bytes -= size
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        self.bytes += sum(len(record.body) for record, _ in entries)
        self.ready.extendleft(reversed(entries))

    def done(self, entries: Sequence[Entry]) -> None:
        lanes = self._successors
        for record, _ in entries:
            lane = record.lane
            successors = lanes[lane]
            if successors:
                self.ready.append(successors.popleft())
            else:
                del lanes[lane]

    def take_all(self) -> list[Entry]:
        taken = list(self.ready)
        for successors in self._successors.values():
            if successors:
                taken += successors
        self.ready.clear()
        self._successors.clear()
        self.bytes = 0
        return taken
