"""Awaits the receipts of one request: counted down, without a task or future for each.

Place in the walk: made by the handler for each item, settled by the outbox; the answer waits here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.dead_letter import DeadLetter
from gateway.domain.receipt import Receipt
from gateway.ingress.topic_flow import count_outcome
from gateway.observe.metrics import TrafficCounters

__all__ = ["ItemReceipt", "OnItem", "Receipts", "Window"]


class ItemReceipt(Receipt):
    """The receipt of one item. index: the item's in its request; size: bytes that it holds in memory. letter: what
    its dead letter would have been, of an item that the pipeline rejected. traffic: where it is counted, of an item
    that is one uplink. group: indexes of all items that it stands for, where these are several."""

    __slots__ = ("group", "index", "letter", "size", "traffic")

    def __init__(self, on_settled: Callable[[Receipt], None], index: int, size: int) -> None:
        super().__init__(on_settled)
        self.index = index
        self.size = size
        self.letter: DeadLetter | None = None
        self.traffic: TrafficCounters | None = None
        self.group: Sequence[int] = ()

    def reject(self, letter: DeadLetter) -> None:
        """Takes what the pipeline says against it."""
        self.letter = letter


OnItem: TypeAlias = Callable[[ItemReceipt], None]
"""Hears of each item as it settles; `outcome` and `reason` stand in the receipt."""


@dataclass(slots=True, frozen=True)
class Window:
    """What of one request may be unsettled before it has to wait: items, and bytes of them."""

    max_items: int = 2_000
    max_bytes: int = 8 * 1024 * 1024


class Receipts:
    """Of one request. unsettled: how many items are; unsettled_bytes: their size together.

    Every receipt is settled at some time (rule 1), so `told` hears of all, also after whoever waited has given up.
    """

    __slots__ = ("_told", "_waiter", "_wake_at", "unsettled", "unsettled_bytes")

    def __init__(self, told: OnItem) -> None:
        self._told = told
        self._waiter: asyncio.Future[None] | None = None
        self._wake_at = Window(0, 0)
        self.unsettled = 0
        self.unsettled_bytes = 0

    def make(self, index: int, size: int = 0) -> ItemReceipt:
        """A receipt for the next item; give it to the outbox."""
        self.unsettled += 1
        self.unsettled_bytes += size
        return ItemReceipt(self._settled, index, size)

    def make_group(self, indexes: Sequence[int], size: int) -> ItemReceipt:
        """One for several items, at least one."""
        receipt = self.make(indexes[0], size)
        receipt.group = indexes
        self.unsettled += len(indexes) - 1
        return receipt

    async def settle(self, timeout_s: float) -> bool:
        """Waits until all are settled. False: some are not by then."""
        return await self._wait(Window(0, 0), timeout_s)

    async def shrink(self, window: Window, timeout_s: float) -> bool:
        """Waits until less than `window` is unsettled. False: it is not by then."""
        if self.unsettled < window.max_items and self.unsettled_bytes < window.max_bytes:
            return True
        # To the half: so that a fast sender is not woken for each item.
        return await self._wait(Window(window.max_items // 2, window.max_bytes // 2), timeout_s)

    async def _wait(self, wake_at: Window, timeout_s: float) -> bool:
        assert self._waiter is None, "one waits at a time"
        if self._is_within(wake_at):
            return True
        self._wake_at = wake_at
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        alarm = loop.call_later(timeout_s, _wake, waiter) if timeout_s < math.inf else None
        try:
            await waiter
        finally:
            self._waiter = None
            if alarm is not None:
                alarm.cancel()
        return self._is_within(wake_at)

    def _is_within(self, window: Window) -> bool:
        return self.unsettled <= window.max_items and self.unsettled_bytes <= window.max_bytes

    def _settled(self, receipt: Receipt) -> None:
        assert isinstance(receipt, ItemReceipt)
        items = len(receipt.group) or 1
        self.unsettled -= items
        self.unsettled_bytes -= receipt.size
        if receipt.traffic is not None:
            receipt.traffic.grouped -= items - 1
            count_outcome(receipt.traffic, receipt, items)
        try:
            self._told(receipt)
        finally:
            waiter = self._waiter
            if waiter is not None and self._is_within(self._wake_at):
                _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
