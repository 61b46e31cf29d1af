from __future__ import annotations

import asyncio

import pytest

from gateway.domain.receipt import Outcome, Receipt
from gateway.ingress.rest.receipts import ItemReceipt, Receipts, Window
from tests.gateway.fakes import FakeOutbox

GUARD_S = 30.0


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox(hold=True)


async def test_nothing_to_wait_for() -> None:
    assert await Receipts(lambda _: None).settle(0)


async def test_all_are_awaited_and_told(outbox: FakeOutbox) -> None:
    told: list[tuple[int, Outcome | None, str]] = []
    receipts = Receipts(lambda receipt: told.append((receipt.index, receipt.outcome, receipt.reason)))
    outbox.put(receipts.make(0), [])
    outbox.settle(receipts.make(1), Outcome.REFUSED, "outbox_full")
    outbox.put(receipts.make(2), [])
    waiting = asyncio.create_task(receipts.settle(GUARD_S))
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.settle_all()
    assert await waiting
    assert told == [(1, Outcome.REFUSED, "outbox_full"), (0, Outcome.ACCEPTED, ""), (2, Outcome.ACCEPTED, "")]
    assert receipts.unsettled == 0


async def test_at_the_deadline_some_are_open_and_told_later(outbox: FakeOutbox) -> None:
    told: list[ItemReceipt] = []
    receipts = Receipts(told.append)
    outbox.put(receipts.make(0, 10), [])
    assert not await receipts.settle(0)
    assert (told, receipts.unsettled, receipts.unsettled_bytes) == ([], 1, 10)
    outbox.settle_all()
    assert [receipt.index for receipt in told] == [0]
    assert await receipts.settle(0)


@pytest.mark.parametrize("window", [Window(4, 1_000), Window(1_000, 40)])
async def test_reading_waits_for_half_of_the_window(outbox: FakeOutbox, window: Window) -> None:
    receipts = Receipts(lambda _: None)
    for index in range(3):
        outbox.put(receipts.make(index, 10), [])
        assert await receipts.shrink(window, 0)
    outbox.put(receipts.make(3, 10), [])
    assert not await receipts.shrink(window, 0)
    waiting = asyncio.create_task(receipts.shrink(window, GUARD_S))
    await asyncio.sleep(0)
    outbox.settle(outbox.waiting.pop(), Outcome.ACCEPTED)
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.settle(outbox.waiting.pop(), Outcome.ACCEPTED)
    assert await waiting
    assert receipts.unsettled == 2


async def test_a_mistake_of_the_listener_leaves_nobody_waiting() -> None:
    def told(receipt: Receipt) -> None:
        raise RuntimeError

    receipts = Receipts(told)
    receipt = receipts.make(0)
    waiting = asyncio.create_task(receipts.settle(GUARD_S))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        FakeOutbox().settle(receipt, Outcome.ACCEPTED)
    assert await waiting


async def test_whoever_waits_may_be_cancelled(outbox: FakeOutbox) -> None:
    receipts = Receipts(lambda _: None)
    outbox.put(receipts.make(0), [])
    waiting = asyncio.create_task(receipts.settle(GUARD_S))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    outbox.settle_all()
    assert await receipts.settle(0)
