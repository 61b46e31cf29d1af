"""Receipts of the items of one request, and items that go into the outbox as one: they are spooled together anyway, and
share one receipt there.

Place in the walk: between the pipeline and the outbox. What nearly all items are, small records that are kept or
refused whole, goes together; whatever may end otherwise than its neighbours goes by itself, behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.domain.uplink import Uplink
from gateway.ingress.flow import Flow
from gateway.ingress.rest.answers import BatchAnswer
from gateway.ingress.rest.idempotency import Claim
from gateway.ingress.rest.receipts import ItemReceipt, Receipts
from gateway.observe.metrics import TrafficCounters

__all__ = ["BatchOffer", "ItemGroup", "LineOffer", "MakeReceipt"]

_MAX_ITEMS = 128
_SMALL_BYTES = 4_096
"""Of a record: no sink refuses one for its size."""
_TRACE = "trace_id"

MakeReceipt: TypeAlias = Callable[[Sequence[int], int], tuple[ItemReceipt, Sequence[State]]]
"""Indexes of items in rising order, and their bytes -> a receipt for them, and what becomes durable with their
records."""


class ItemGroup:
    """Of one request that waits for the spool alone: sinks may end records of a group in different ways. `flush` it
    before anything else of the request goes into the outbox, and at its end."""

    __slots__ = ("_flow", "_indexes", "_make", "_records", "_size", "_traffic")

    def __init__(self, flow: Flow, make: MakeReceipt) -> None:
        self._flow = flow
        self._make = make
        self._indexes: list[int] = []
        self._records: list[Record] = []
        self._size = 0
        self._traffic: TrafficCounters | None = None

    @staticmethod
    def suits(uplink: Uplink) -> bool:
        """Whether nothing of it has to become durable but its records, and no copy of it is looked for."""
        decoded = uplink.decoded
        if decoded is None or uplink.beside is not None or uplink.states:
            return False
        dedup = decoded.message.dedup
        return dedup is None or not (dedup.names or _TRACE in decoded.values)

    def add(self, index: int, size: int, records: Sequence[Record], traffic: TrafficCounters) -> bool:
        """An item with what the pipeline made of it. False: it is none for a group. size: its bytes."""
        if not records:
            return False
        for record in records:
            if len(record.body) > _SMALL_BYTES:
                return False
        if traffic is not self._traffic or len(self._indexes) >= _MAX_ITEMS:
            self.flush()
            self._traffic = traffic
        self._indexes.append(index)
        self._records += records
        self._size += size
        return True

    def flush(self) -> None:
        if not self._indexes:
            return
        receipt, states = self._make(self._indexes, self._size)
        assert self._traffic is not None
        receipt.traffic = self._traffic
        receipt.traffic.grouped += len(self._indexes) - 1
        receipt.on_sink = False
        records = self._records
        self._indexes, self._records, self._size = [], [], 0
        self._flow.put(receipt, records, states)


@dataclass(slots=True)
class BatchOffer:
    """The receipts of one batch. index, size: of the item that is being taken. Implements `items.Offer`."""

    answer: BatchAnswer
    claim: Claim | None
    index: int = 0
    size: int = 0
    group: ItemGroup | None = None
    receipts: Receipts = field(init=False)

    def __post_init__(self) -> None:
        self.receipts = Receipts(self._settled)

    @property
    def uplink_id(self) -> str:
        return self.claim.uplink_id(self.index) if self.claim is not None else ""

    def receipt(self, record_id: str) -> ItemReceipt:
        self.answer.expect(self.index, record_id)
        return self.receipts.make(self.index, self.size)

    def states(self) -> Sequence[State]:
        return (self.claim.state(self.index),) if self.claim is not None else ()

    def joined(self, record_id: str) -> None:
        self.answer.expect(self.index, record_id)

    def grouped(self, indexes: Sequence[int], size: int) -> tuple[ItemReceipt, Sequence[State]]:
        """A `MakeReceipt`."""
        claim = self.claim
        return self.receipts.make_group(indexes, size), (claim.state_of_group(indexes),) if claim is not None else ()

    def flush(self) -> None:
        if self.group is not None:
            self.group.flush()

    def _settled(self, receipt: ItemReceipt) -> None:
        self.answer.settled(receipt)
        if self.claim is not None:
            self.claim.settled(receipt)


@dataclass(slots=True)
class LineOffer:
    """The receipts of an upload. index, size: of the line that is being taken. Implements `items.Offer`."""

    receipts: Receipts
    uplink_id: str = ""
    index: int = 0
    size: int = 0
    group: ItemGroup | None = None

    def receipt(self, _: str) -> ItemReceipt:
        return self.receipts.make(self.index, self.size)

    def states(self) -> Sequence[State]:
        return ()

    def joined(self, _: str) -> None:
        """Answers of uploads name no records."""

    def grouped(self, lines: Sequence[int], size: int) -> tuple[ItemReceipt, Sequence[State]]:
        """A `MakeReceipt`."""
        return self.receipts.make_group(lines, size), ()

    def flush(self) -> None:
        if self.group is not None:
            self.group.flush()
