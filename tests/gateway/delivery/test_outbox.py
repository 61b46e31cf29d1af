"""Rule 1: a receipt is settled exactly once, by the outbox; and room, drain and death of what is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import SinkError
from gateway.domain.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from gateway.domain.ports import OutboxPort
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

INVALID = EntryFailure(SinkErrorCode.VALIDATION, "never", retriable=False)


async def test_accepted_only_when_all_records_are_durable(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.max_batch_records = 2
    fifo_sink.gate.clear()
    async with rig(fifo_sink) as r:
        port: OutboxPort = r.outbox
        receipt = ledger.receipt()
        port.put(receipt, [make_record() for _ in range(3)])
        assert receipt.pending == 3
        await fifo_sink.wait_requests(1)
        assert receipt.outcome is None
        fifo_sink.gate.set()
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.ACCEPTED]
        assert (receipt.reason, receipt.pending) == ("", 0)
        assert [len(request) for request in fifo_sink.requests] == [2, 1]


async def test_an_uplink_without_records_settles_at_once(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger
) -> None:
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), [])
        r.outbox.settle(ledger.receipt(), Outcome.REFUSED, "unknown_device")
        r.outbox.settle(ledger.receipt(), Outcome.DUPLICATE)
        assert ledger.outcomes() == [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.DUPLICATE]
        assert ledger.made[1].reason == "unknown_device"


async def test_settling_twice_is_an_error(
    rig: RigFactory, fifo_sink: ScriptedSink, make_record: RecordFactory, make_letter: Callable[..., DeadLetter]
) -> None:
    fifo_sink.gate.clear()
    async with rig(fifo_sink, drain_s=0) as r:
        settled, pending = Receipt(), Receipt()
        r.outbox.settle(settled, Outcome.ACCEPTED)
        r.outbox.put(pending, [make_record()])
        for receipt in (settled, pending):
            with pytest.raises(RuntimeError):
                r.outbox.settle(receipt, Outcome.ACCEPTED)
            with pytest.raises(RuntimeError):
                r.outbox.put(receipt, [make_record()])
            with pytest.raises(RuntimeError):
                r.outbox.put_dead_letter(receipt, make_letter())
        assert (settled.outcome, pending.outcome, pending.pending) == (Outcome.ACCEPTED, None, 1)


async def test_a_record_too_large_for_the_sink_refuses_its_uplink_whole(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), [make_record(), make_record(size=fifo_sink.max_record_bytes + 1)])
        r.outbox.put(ledger.receipt(), [make_record(size=fifo_sink.max_record_bytes)])
        assert ledger.made[0].outcome is Outcome.REFUSED
        assert ledger.made[0].reason == "too_large"
        await ledger.wait()
        assert ledger.made[1].outcome is Outcome.ACCEPTED
        assert len(fifo_sink.stored) == 1


async def test_the_worst_outcome_of_an_uplink_wins(
    rig: RigFactory, lane_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    lane_sink.script.append(lambda records: [INVALID if r.lane == "b" else None for r in records])
    async with rig(lane_sink) as r:
        r.outbox.put(ledger.receipt(), [make_record("a"), make_record("b"), make_record("b"), make_record("c")])
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED]
        assert [record.record_id for record in lane_sink.stored] == ["a#1", "c#1", "b#2"]
        assert not r.outbox._worst


async def test_a_letter_settles_when_it_is_kept(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_letter: Callable[..., DeadLetter]
) -> None:
    async with rig(fifo_sink) as r:
        receipt = ledger.receipt()
        r.outbox.put_dead_letter(receipt, make_letter(reason="bad_length"))
        assert receipt.outcome is None
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED]
        assert receipt.reason == "bad_length"
        assert r.metrics.dead_letters.written["bad_length"] == 1


async def test_a_mistake_in_a_callback_harms_nobody_else(
    rig: RigFactory,
    fifo_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(receipt: Receipt) -> None:
        raise KeyError("a bug in a face")

    async with rig(fifo_sink) as r:
        broken = Receipt(fail)
        r.outbox.put(broken, [make_record()])
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert broken.outcome is Outcome.ACCEPTED
    assert "on_settled_failed" in capsys.readouterr().out


async def test_room_is_lost_and_regained_with_hysteresis(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.max_batch_records = 1
    calls: list[tuple[bool, int]] = []
    async with rig(fifo_sink, max_bytes=1000) as r:
        counters = r.metrics.outbox
        assert counters.capacity_bytes == 1000
        r.outbox.on_room(lambda room: calls.append((room, counters.bytes)))
        for _ in range(10):
            r.outbox.put(ledger.receipt(), [make_record(size=100)])
        assert r.outbox.has_room()
        for _ in range(5):  # had been read already
            r.outbox.put(ledger.receipt(), [make_record(size=100)])
        assert not r.outbox.has_room()
        await ledger.wait()
        assert calls == [(False, 1100), (True, 700)]
        assert r.outbox.has_room()
        assert counters.bytes == 0
    assert ledger.outcomes() == [Outcome.ACCEPTED] * 15


async def test_the_outbox_is_bounded_whatever_callers_do(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    async with rig(fifo_sink, max_bytes=1000, slack_bytes=500) as r:
        for _ in range(30):
            r.outbox.put(ledger.receipt(), [make_record(size=100)])
        assert r.metrics.outbox.bytes == 1500
        assert {receipt.reason for receipt in ledger.settled} == {"outbox_full"}
        fifo_sink.gate.set()
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.ACCEPTED] * 15 + [Outcome.REFUSED] * 15


async def test_room_that_comes_back_may_be_used_at_once(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    """A face that puts its held frames from within the callback does not disturb the settlement under way."""
    fifo_sink.max_batch_records = 4
    async with rig(fifo_sink, max_bytes=1000) as r:

        def resume(room: bool) -> None:
            if room and len(ledger.made) < 100:
                while r.outbox.has_room():
                    r.outbox.put(ledger.receipt(), [make_record(size=100)])

        r.outbox.on_room(resume)
        resume(True)
        await ledger.wait(100)
        await ledger.wait()
        assert [record.record_id for record in fifo_sink.stored] == [f"dev-1#{n + 1}" for n in range(len(ledger.made))]


async def test_drain_waits_until_everything_is_durable(
    rig: RigFactory,
    fifo_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    make_letter: Callable[..., DeadLetter],
) -> None:
    fifo_sink.script += [SinkError("not now")] * 3
    async with rig(fifo_sink) as r:
        for _ in range(10):
            r.outbox.put(ledger.receipt(), [make_record()])
        r.outbox.put_dead_letter(ledger.receipt(), make_letter())
        assert await r.outbox.drain(30) == 0
        await r.task
        assert ledger.outcomes() == [Outcome.ACCEPTED] * 10 + [Outcome.DEAD_LETTERED]
        assert fifo_sink.closed


async def test_drain_refuses_what_is_left_at_the_deadline(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.max_batch_records = 2
    async with rig(fifo_sink) as r:
        fifo_sink.gate.clear()
        for _ in range(5):
            r.outbox.put(ledger.receipt(), [make_record(), make_record()])
        await fifo_sink.wait_requests(1)
        assert await r.outbox.drain(0) == 5
        await r.task
        assert ledger.outcomes() == [Outcome.REFUSED] * 5
        assert {receipt.reason for receipt in ledger.made} == {"sink_failed"}
        assert r.metrics.outbox.records == r.metrics.outbox.bytes == 0
        late = ledger.receipt()
        r.outbox.put(late, [make_record()])
        assert (late.outcome, late.reason) == (Outcome.REFUSED, "sink_failed")
        assert not r.outbox.has_room()


async def test_drain_right_after_start_waits_as_well(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), [make_record()])  # the task of run() has had no turn yet
        assert await r.outbox.drain(30) == 0
        assert ledger.outcomes() == [Outcome.ACCEPTED]


async def test_drain_without_run_strands_nobody(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink) as r:
        r.task.cancel()  # before its first turn
        r.outbox.put(ledger.receipt(), [make_record()])
        assert await r.outbox.drain(0) == 1
        assert ledger.outcomes() == [Outcome.REFUSED]


@pytest.mark.parametrize("how", ["sender", "dead letters", "cancelled"])
async def test_when_a_task_dies_every_pending_receipt_is_refused(
    rig: RigFactory,
    lane_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    make_letter: Callable[..., DeadLetter],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    lane_sink.gate.clear()
    lane_sink.max_batch_records = 2
    async with rig(lane_sink) as r:
        for lane in "abcaab":
            r.outbox.put(ledger.receipt(), [make_record(lane)])
        await lane_sink.wait_requests(1)
        if how == "sender":
            lane_sink.script.append(ZeroDivisionError("a bug"))
            lane_sink.gate.set()
        elif how == "dead letters":
            monkeypatch.setattr(r.letters._files, "append", lambda data: 1 // 0)
            r.outbox.put_dead_letter(ledger.receipt(), make_letter())
        else:
            r.task.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancelled" else ExceptionGroup):
            await asyncio.wait_for(r.task, 30)
        assert set(ledger.outcomes()) == {Outcome.REFUSED}
        assert len(ledger.settled) == len(ledger.made)
        assert await r.outbox.drain(1) == len(ledger.made)


@pytest.mark.parametrize("mistake", ["outcomes are missing", "settled from outside"])
async def test_our_own_mistakes_strand_nobody(
    rig: RigFactory, lane_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory, mistake: str
) -> None:
    lane_sink.gate.clear()
    async with rig(lane_sink) as r:
        for lane in "abc":
            r.outbox.put(ledger.receipt(), [make_record(lane)])
        await lane_sink.wait_requests(1)
        for _ in range(3):
            r.outbox.put(ledger.receipt(), [make_record("d")])
        if mistake == "outcomes are missing":
            lane_sink.script.append([INVALID] * 4)  # for three records
            expected = [Outcome.REFUSED] * 6
        else:
            ledger.made[0].outcome = Outcome.DUPLICATE
            ledger.settled.append(ledger.made[0])
            expected = [Outcome.DUPLICATE, *[Outcome.ACCEPTED] * 2, *[Outcome.REFUSED] * 3]
        lane_sink.gate.set()
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(r.task, 30)
        assert isinstance(caught.value.exceptions[0], RuntimeError)
        assert ledger.outcomes() == expected
        assert len(ledger.settled) == 6
