"""Records that wait for one sink, in the order of their lanes, and the parcels in which they leave.

FifoQueue    for a sink that stores a request whole and in order: one parcel of everything.
LaneQueue    key = lane, a parcel is one record.
StripeQueue  key = stripe, a parcel holds records of one stripe, in order.

At most one parcel of a key is out at any time: sending "the failed ones and their successors" again does not keep
order, as the successors are stored already. A parcel that comes back leaves again as it was, before anything newer of
its key, since some of it may be stored: then its records are repeated, not mixed with others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gateway.delivery.pacing import Group, Pacing
from gateway.delivery.stripes import Stripes
from gateway.domain.record import Record

Entry = tuple[Record, Any]
"""A record, and a mark by which its owner knows it again; neither queue nor sender looks at the mark."""

_MAX_LANES = 65_536  # whose stripe is remembered
_ROOM_PER_RECORD = 16  # beside body and lane: what any packing adds to a record


@dataclass(slots=True, eq=False)
class Parcel:
    """What is stored as one: one Kinesis record; of a file, everything of a request. size: bytes of the bodies."""

    key: str
    entries: list[Entry]
    size: int


class ParcelQueue(Protocol):
    """An entry waits (here), is out in a parcel (with the sender), or is gone."""

    @property
    def ready(self) -> Sized:
        """What `take` would look at first: records (FifoQueue) or keys that have something to send."""
        ...

    def put(self, entries: Sequence[Entry], size: int) -> None:
        """Appends records in the order of their lanes; `size` is the sum of their bodies."""
        ...

    def full(self, max_records: int, max_bytes: int) -> bool:
        """True: a request of that size could be filled now."""
        ...

    def take(self, max_records: int, max_bytes: int, pacing: Pacing, now: float) -> list[Parcel]:
        """Parcels for one request, none of a group that must wait. What has to wait for its group is held: it is not
        `ready` until `opens_at`. max_records: parcels; of the FifoQueue, records in the one parcel. max_bytes: of
        bodies; a parcel beyond it goes alone."""
        ...

    def opens_at(self) -> float | None:
        """When the first group opens of which something is held; None: nothing is."""
        ...

    def release(self) -> None:
        """Holds nothing any more (the groups are others)."""
        ...

    def put_back(self, parcels: Sequence[Parcel]) -> None:
        """Returns parcels as they are; they are the next of their keys."""
        ...

    def done(self, parcels: Sequence[Parcel]) -> None:
        """These are gone (stored or buried): their keys may go on."""
        ...

    def key_of(self, lane: str) -> str:
        """The key of the parcels in which this lane's records leave."""
        ...

    def depth(self, lane: str) -> int:
        """How many records wait, or are out, with the key of this lane: what a slow lane has piled up."""
        ...

    def take_all(self) -> list[Entry]:
        """Empties the queue: everything that is not out."""
        ...


class FifoQueue:
    """One line and one key for all lanes."""

    __slots__ = ("_again", "_out", "_waiting", "bytes")

    def __init__(self) -> None:
        self.bytes = 0  # of those that wait and are in no parcel yet
        self._waiting: list[Entry] = []
        self._again: Parcel | None = None
        self._out: Parcel | None = None

    @property
    def ready(self) -> Sized:
        return self._waiting if self._out is None else ()

    def put(self, entries: Sequence[Entry], size: int) -> None:
        self.bytes += size
        self._waiting += entries

    def full(self, max_records: int, max_bytes: int) -> bool:
        return self._out is None and (len(self._waiting) >= max_records or self.bytes >= max_bytes)

    def take(self, max_records: int, max_bytes: int, pacing: Pacing, now: float) -> list[Parcel]:
        if self._out is not None:
            return []
        if self._again is not None:
            self._out, self._again = self._again, None
        elif self._waiting:
            self._out = self._load(max_records, max_bytes)
        return [] if self._out is None else [self._out]

    def _load(self, max_records: int, max_bytes: int) -> Parcel:
        waiting = self._waiting
        if len(waiting) <= max_records and self.bytes <= max_bytes:
            self._waiting = []
            parcel = Parcel("", waiting, self.bytes)
        else:
            count = size = 0
            for record, _ in waiting[:max_records]:
                if count and size + len(record.body) > max_bytes:
                    break
                count += 1
                size += len(record.body)
            parcel = Parcel("", waiting[:count], size)
            del waiting[:count]
        self.bytes -= parcel.size
        return parcel

    def opens_at(self) -> float | None:
        return 0.0 if self._again is not None else None

    def release(self) -> None:
        """Nothing to do: this line waits for no group."""

    def put_back(self, parcels: Sequence[Parcel]) -> None:
        (self._again,) = parcels
        self._out = None

    def done(self, parcels: Sequence[Parcel]) -> None:
        self._out = None

    def key_of(self, lane: str) -> str:
        return ""

    def depth(self, lane: str) -> int:
        """0: no lane is behind the others here."""
        return 0

    def take_all(self) -> list[Entry]:
        taken = [*(self._again.entries if self._again is not None else ()), *self._waiting]
        self._waiting, self.bytes, self._again = [], 0, None
        return taken


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


H = TypeVar("H", bound=_Keyed)


class _KeyedQueue(ABC, Generic[H]):
    """Keys that take turns. A head stands for a key that has something to send and nothing out."""

    __slots__ = ("_held", "ready")

    def __init__(self) -> None:
        self.ready: deque[H] = deque()
        self._held: dict[Group, deque[H]] = {}  # heads that wait for their group

    @abstractmethod
    def _load(self, head: H) -> Parcel:
        """The parcel that would leave for this head."""

    @abstractmethod
    def _leave(self, head: H, parcel: Parcel) -> None:
        """It leaves now."""

    def full(self, max_records: int, max_bytes: int) -> bool:
        return len(self.ready) >= max_records

    def take(self, max_records: int, max_bytes: int, pacing: Pacing, now: float) -> list[Parcel]:
        pacing.refill(now)
        taken: list[Parcel] = []
        room = max_bytes
        held = self._held
        for group in list(held):  # these have waited longer
            if len(taken) >= max_records:
                return taken
            line = held.pop(group)
            while line and len(taken) < max_records and group.is_open(now):
                parcel = self._load(line[0])
                if taken and parcel.size > room:
                    break
                room -= parcel.size
                group.charge(parcel.size)
                taken.append(parcel)
                self._leave(line.popleft(), parcel)
            if line:
                held[group] = line  # behind those that got nothing: groups take turns, too
        ready = self.ready
        group_of = pacing.group
        while ready and len(taken) < max_records:
            head = ready[0]
            group = group_of(head.key)
            if group in held or not group.is_open(now):
                held.setdefault(group, deque()).append(ready.popleft())
                continue
            parcel = self._load(head)
            if taken and parcel.size > room:
                break
            room -= parcel.size
            group.charge(parcel.size)
            taken.append(parcel)
            self._leave(ready.popleft(), parcel)
        return taken

    def opens_at(self) -> float | None:
        return min([group.opens_at() for group in self._held]) if self._held else None

    def release(self) -> None:
        for line in reversed(self._held.values()):
            self.ready.extendleft(reversed(line))
        self._held.clear()


class LaneQueue(_KeyedQueue[Parcel]):
    """One line per lane; its head is a parcel of one record, and the others wait for it.

    A lane is known (`_successors` has its name) from its first record until the last one is gone. Lanes take turns:
    one whose record is done goes to the end of the ready ones.
    """

    __slots__ = ("_successors",)

    def __init__(self) -> None:
        super().__init__()
        self._successors: dict[str, deque[Entry] | None] = {}  # None: most lanes have one record waiting

    def put(self, entries: Sequence[Entry], size: int) -> None:
        lanes = self._successors
        for entry in entries:
            record = entry[0]
            lane = record.lane
            if lane not in lanes:
                lanes[lane] = None
                self.ready.append(Parcel(lane, [entry], len(record.body)))
                continue
            successors = lanes[lane]
            if successors is None:
                lanes[lane] = deque((entry,))
            else:
                successors.append(entry)

    def _load(self, head: Parcel) -> Parcel:
        return head

    def _leave(self, head: Parcel, parcel: Parcel) -> None:
        """Nothing to note: the lane is known until `done`."""

    def put_back(self, parcels: Sequence[Parcel]) -> None:
        self.ready.extendleft(reversed(parcels))

    def done(self, parcels: Sequence[Parcel]) -> None:
        lanes = self._successors
        for parcel in parcels:
            lane = parcel.key
            successors = lanes[lane]
            if successors:
                entry = successors.popleft()
                self.ready.append(Parcel(lane, [entry], len(entry[0].body)))
            else:
                del lanes[lane]

    def key_of(self, lane: str) -> str:
        return lane

    def depth(self, lane: str) -> int:
        if lane not in self._successors:
            return 0
        return 1 + len(self._successors[lane] or ())

    def take_all(self) -> list[Entry]:
        self.release()
        taken = [parcel.entries[0] for parcel in self.ready]
        for successors in self._successors.values():
            if successors:
                taken += successors
        self.ready.clear()
        self._successors.clear()
        return taken


class _Stripe:
    __slots__ = ("again", "key", "known", "out", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.known = False  # ready, held or out
        self.waiting: deque[Entry] = deque()
        self.again: Parcel | None = None
        self.out: Parcel | None = None


class StripeQueue(_KeyedQueue[_Stripe]):
    """One line per stripe; a parcel is filled when it leaves, so parcels grow while they have to wait.

    parcel_bytes: what a parcel comes to when packed, at most; a larger record makes a parcel alone.
    """

    __slots__ = ("_by_key", "_by_lane", "_parcel_bytes", "_stripes")

    def __init__(self, stripes: Stripes, parcel_bytes: int) -> None:
        super().__init__()
        self._parcel_bytes = parcel_bytes
        self._stripes = stripes
        self._by_key = {key: _Stripe(key) for key in stripes.hash_keys}
        self._by_lane: dict[str, _Stripe] = {}

    def put(self, entries: Sequence[Entry], size: int) -> None:
        by_lane = self._by_lane
        for entry in entries:
            stripe = by_lane.get(entry[0].lane) or self._stripe(entry[0].lane)
            stripe.waiting.append(entry)
            if not stripe.known:
                stripe.known = True
                self.ready.append(stripe)

    def _stripe(self, lane: str) -> _Stripe:
        stripe = self._by_key[self._stripes.hash_keys[self._stripes.of(lane)]]
        if len(self._by_lane) >= _MAX_LANES:
            self._by_lane.clear()
        self._by_lane[lane] = stripe
        return stripe

    def _load(self, head: _Stripe) -> Parcel:
        if head.again is not None:
            return head.again
        waiting = head.waiting
        entries = [waiting.popleft()]
        record = entries[0][0]
        size = len(record.body)
        room = self._parcel_bytes - size - len(record.lane) - _ROOM_PER_RECORD
        while waiting:
            record = waiting[0][0]
            length = len(record.body)
            room -= length + len(record.lane) + _ROOM_PER_RECORD
            if room < 0:
                break
            size += length
            entries.append(waiting.popleft())
        head.again = Parcel(head.key, entries, size)
        return head.again

    def _leave(self, head: _Stripe, parcel: Parcel) -> None:
        head.out, head.again = parcel, None

    def put_back(self, parcels: Sequence[Parcel]) -> None:
        for parcel in reversed(parcels):
            stripe = self._by_key[parcel.key]
            stripe.again, stripe.out = parcel, None
            self.ready.appendleft(stripe)

    def done(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            stripe = self._by_key[parcel.key]
            stripe.out = None
            if stripe.waiting:
                self.ready.append(stripe)
            else:
                stripe.known = False

    def key_of(self, lane: str) -> str:
        return (self._by_lane.get(lane) or self._stripe(lane)).key

    def depth(self, lane: str) -> int:
        stripe = self._by_lane.get(lane) or self._stripe(lane)
        return len(stripe.waiting) + sum(
            len(parcel.entries) for parcel in (stripe.again, stripe.out) if parcel is not None
        )

    def take_all(self) -> list[Entry]:
        taken: list[Entry] = []
        for stripe in self._by_key.values():
            if stripe.again is not None:
                taken += stripe.again.entries
            taken += stripe.waiting
            stripe.again, stripe.known = None, stripe.out is not None
            stripe.waiting.clear()
        self.ready.clear()
        self._held.clear()
        return taken
