"""Rule 1: a receipt is settled exactly once, by the outbox; and room, drain and death of what is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.delivery.outbox import AckOn
from gateway.delivery.routes import Route
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import SinkError
from gateway.domain.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from gateway.domain.ports import OutboxPort
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

INVALID = EntryFailure(SinkErrorCode.VALIDATION, "never", retriable=False)
MakeLetter = Callable[..., DeadLetter]


# Settling.


async def test_accepted_when_all_records_are_synced_whatever_the_sink_does(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    async with rig(fifo_sink) as r:
        port: OutboxPort = r.outbox
        receipt = ledger.receipt()
        port.put(receipt, [make_record() for _ in range(3)])
        assert (receipt.pending, receipt.outcome) == (1, None)
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.ACCEPTED]
        assert (receipt.reason, receipt.pending) == ("", 0)
        assert r.metrics.spool.commits == 1
        assert not fifo_sink.stored
        fifo_sink.gate.set()
        await r.until_delivered()
        assert len(fifo_sink.stored) == 3


async def test_with_ack_on_sink_accepted_when_every_sink_has_every_record(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: Callable[[str], ScriptedSink]
) -> None:
    fast, slow = make_sink("fast"), make_sink("slow")
    slow.gate.clear()
    slow.max_batch_records = 2
    async with rig(fast, slow, ack_on=AckOn.SINK) as r:
        receipt = ledger.receipt()
        r.outbox.put(receipt, [make_record() for _ in range(3)])
        await r.until(lambda: len(fast.stored) == 3)
        assert (receipt.pending, receipt.outcome) == (3, None)
        slow.gate.set()
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.ACCEPTED]
        assert [len(request) for request in slow.requests] == [2, 1]
        assert not r.outbox._owed


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
    rig: RigFactory, fifo_sink: ScriptedSink, make_record: RecordFactory, make_letter: MakeLetter
) -> None:
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
                r.outbox.put_again(receipt, make_record(), "scripted")
            with pytest.raises(RuntimeError):
                r.outbox.put_dead_letter(receipt, make_letter())
            with pytest.raises(RuntimeError):
                r.outbox.follow(receipt, settled)
        assert (settled.outcome, pending.outcome, pending.pending) == (Outcome.ACCEPTED, None, 1)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_second_copy_shares_the_fate_of_the_first(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory, kept: bool
) -> None:
    async with rig(fifo_sink) as r:
        first, second, third = ledger.receipt(), ledger.receipt(), ledger.receipt()
        if not kept:
            r.task.cancel()  # before its first turn: nothing will be committed
        r.outbox.put(first, [make_record()])
        r.outbox.follow(second, first)
        assert (second.outcome, second.pending) == (None, 1)
        if not kept:
            await r.outbox.drain(0)
        await ledger.wait(2)
        r.outbox.follow(third, first)
        expected = [Outcome.DUPLICATE] * 2 if kept else [Outcome.REFUSED] * 2
        assert [second.outcome, third.outcome] == expected
        assert (second.reason, second.pending) == (first.reason, 0)
        assert not r.outbox._followers


async def test_a_record_too_large_for_one_of_its_sinks_refuses_its_uplink_whole(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: Callable[[str], ScriptedSink]
) -> None:
    large, small = make_sink("large"), make_sink("small")
    large.max_record_bytes = 2 * small.max_record_bytes
    async with rig(large, small) as r:
        r.outbox.put(ledger.receipt(), [make_record(), make_record(size=small.max_record_bytes + 1)])
        r.outbox.put(ledger.receipt(), [make_record(size=small.max_record_bytes)])
        assert (ledger.made[0].outcome, ledger.made[0].reason) == (Outcome.REFUSED, "too_large")
        await ledger.wait()
        assert ledger.made[1].outcome is Outcome.ACCEPTED
        await r.until_delivered()
        assert len(small.stored) == len(large.stored) == 1


async def test_a_record_goes_again_to_the_sink_that_buried_it(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: Callable[[str], ScriptedSink]
) -> None:
    one, other = make_sink("one"), make_sink("other")
    async with rig(one, other) as r:
        r.outbox.put_again(ledger.receipt(), make_record("a"), "one")
        r.outbox.put_again(ledger.receipt(), make_record("b"), "gone")  # as today's routes say
        await ledger.wait()
        await r.until_delivered()
        assert [record.record_id for record in one.stored] == ["a#1", "b#1"]
        assert [record.record_id for record in other.stored] == ["b#1"]


# Dead letters.


async def test_a_letter_settles_when_it_is_kept(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_letter: MakeLetter
) -> None:
    async with rig(fifo_sink) as r:
        receipt = ledger.receipt()
        r.outbox.put_dead_letter(receipt, make_letter(reason="bad_length"))
        assert receipt.outcome is None
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED]
        assert receipt.reason == "bad_length"
        assert r.metrics.dead_letters.written["bad_length"] == 1


async def test_a_sink_may_get_a_copy_of_every_letter(
    rig: RigFactory,
    ledger: Ledger,
    make_record: RecordFactory,
    make_letter: MakeLetter,
    make_sink: Callable[[str], ScriptedSink],
) -> None:
    main, copies = make_sink("main"), make_sink("copies")
    routes = [Route(("copies",), types=frozenset({"dead_letter"})), Route(("main",))]
    async with rig(main, copies, routes=routes, letters_also_to="copies") as r:
        r.outbox.put_dead_letter(ledger.receipt(), make_letter("letter-7"))
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED, Outcome.ACCEPTED]
        await r.until_delivered()
        assert [record.record_id for record in main.stored] == ["dev-1#1"]
        (copy,) = copies.stored
        body = orjson.loads(copy.body)
        assert (body["schema"], body["dead_letter_id"]) == ("iotlink.dead_letter/1", "letter-7")
        assert (copy.type, copy.lane, body["raw_hex"]) == ("dead_letter", "868120303333333", bytes(20).hex())


@pytest.mark.parametrize("ack_on", AckOn)
async def test_what_a_sink_will_never_take_becomes_a_letter(
    rig: RigFactory, lane_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory, ack_on: AckOn
) -> None:
    lane_sink.script.append(lambda records: [INVALID if r.lane == "b" else None for r in records])
    async with rig(lane_sink, ack_on=ack_on) as r:
        r.outbox.put(ledger.receipt(), [make_record("a"), make_record("b"), make_record("b"), make_record("c")])
        await ledger.wait()
        expected = Outcome.DEAD_LETTERED if ack_on is AckOn.SINK else Outcome.ACCEPTED
        assert ledger.outcomes() == [expected]
        await r.until_delivered()
        assert [record.record_id for record in lane_sink.stored] == ["a#1", "c#1", "b#2"]
        assert r.metrics.dead_letters.written["buried"] == 1
        assert not r.outbox._worst


async def test_a_buried_record_stays_in_the_spool_until_its_letter_is_kept(
    rig: RigFactory,
    lane_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.delivery.distribution._BURY_AGAIN_S", 0.001)
    lane_sink.script.append([INVALID])
    async with rig(lane_sink) as r:
        append = r.letters._files.append

        def full(*_: object, **__: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(r.letters._files, "append", full)
        r.outbox.put(ledger.receipt(), [make_record("a")])
        r.outbox.put(ledger.receipt(), [make_record("a")])
        await r.until(lambda: len(lane_sink.stored) == 1)
        feed = r.feed()
        assert feed.cursor.low == 1
        assert not feed.done
        monkeypatch.setattr(r.letters._files, "append", append)
        await r.until_delivered()
        assert r.metrics.dead_letters.written["buried"] == 1


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


# Room.


async def test_a_full_spool_refuses_and_takes_again_when_sinks_have_taken(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    calls: list[bool] = []
    async with rig(fifo_sink, max_bytes=1_000_000, segment_bytes=50_000) as r:
        r.outbox.on_room(calls.append)
        while r.outbox.has_room():
            r.outbox.put(ledger.receipt(), [make_record(size=5_000)])
            await ledger.wait()
        assert set(ledger.outcomes()) == {Outcome.ACCEPTED}
        for _ in range(200):  # whatever callers do
            r.outbox.put(ledger.receipt(), [make_record(size=5_000)])
        await ledger.wait()
        assert ledger.outcomes()[-1] is Outcome.REFUSED
        assert ledger.made[-1].reason == "outbox_full"
        assert r.spool.disk_bytes < 1_001_000  # headers come on top
        fifo_sink.gate.set()
        await r.until_delivered()
        await r.until(r.outbox.has_room)
        assert calls == [False, True]
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert ledger.outcomes()[-1] is Outcome.ACCEPTED
    kept = [n for n, outcome in enumerate(ledger.outcomes(), 1) if outcome is Outcome.ACCEPTED]
    assert [record.record_id for record in fifo_sink.stored] == [f"dev-1#{n}" for n in kept]


# Its end.


async def test_drain_waits_until_everything_is_delivered(
    rig: RigFactory,
    fifo_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    make_letter: MakeLetter,
) -> None:
    fifo_sink.script += [SinkError("not now")] * 3
    async with rig(fifo_sink) as r:
        for _ in range(10):
            r.outbox.put(ledger.receipt(), [make_record()])
        r.outbox.put_dead_letter(ledger.receipt(), make_letter())
        assert await r.outbox.drain(30) == 0
        await r.task
        assert ledger.outcomes() == [Outcome.ACCEPTED] * 10 + [Outcome.DEAD_LETTERED]
        assert len(fifo_sink.stored) == 10
        assert fifo_sink.closed
        late = ledger.receipt()
        r.outbox.put(late, [make_record()])
        assert (late.outcome, late.reason) == (Outcome.REFUSED, "sink_failed")
        assert not r.outbox.has_room()


async def test_what_a_drain_cannot_deliver_goes_out_at_the_next_start(
    rig: RigFactory,
    ledger: Ledger,
    make_record: RecordFactory,
    make_sink: Callable[[str], ScriptedSink],
    capsys: pytest.CaptureFixture[str],
) -> None:
    down, up = make_sink("main"), make_sink("main")
    down.max_batch_records = 2
    down.gate.clear()
    async with rig(down) as r:
        for _ in range(5):
            r.outbox.put(ledger.receipt(), [make_record(), make_record()])
        await ledger.wait()
        assert await r.outbox.drain(0) == 0
        await r.task
    assert "spool_keeps_backlog" in capsys.readouterr().out
    assert ledger.outcomes() == [Outcome.ACCEPTED] * 5
    async with rig(up) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await r.until_delivered()
    assert [record.record_id for record in up.stored] == [f"dev-1#{n}" for n in range(1, 12)]


async def test_with_ack_on_sink_a_drain_refuses_what_is_left(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.max_batch_records = 2
    fifo_sink.gate.clear()
    async with rig(fifo_sink, ack_on=AckOn.SINK) as r:
        for _ in range(5):
            r.outbox.put(ledger.receipt(), [make_record(), make_record()])
        await fifo_sink.wait_requests(1)
        assert await r.outbox.drain(0) == 5
        await r.task
        assert ledger.outcomes() == [Outcome.REFUSED] * 5
        assert {receipt.reason for receipt in ledger.made} == {"sink_failed"}


async def test_drain_right_after_start_waits_as_well(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), [make_record()])  # the task of run() has had no turn yet
        assert await r.outbox.drain(30) == 0
        assert ledger.outcomes() == [Outcome.ACCEPTED]


async def test_drain_before_the_first_turn_ends_the_task(rig: RigFactory, fifo_sink: ScriptedSink) -> None:
    async with rig(fifo_sink) as r:
        assert await r.outbox.drain(30) == 0
        await asyncio.wait_for(r.task, 30)


async def test_drain_without_run_strands_nobody(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink) as r:
        r.task.cancel()  # before its first turn
        r.outbox.put(ledger.receipt(), [make_record()])
        assert await r.outbox.drain(0) == 1
        assert ledger.outcomes() == [Outcome.REFUSED]


@pytest.mark.parametrize("how", ["sender", "dead letters", "spool", "cancelled"])
async def test_when_a_task_dies_every_pending_receipt_is_refused(
    rig: RigFactory,
    lane_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    make_letter: MakeLetter,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    lane_sink.gate.clear()
    lane_sink.max_batch_records = 2
    async with rig(lane_sink, ack_on=AckOn.SINK) as r:
        for lane in "abcaab":
            r.outbox.put(ledger.receipt(), [make_record(lane)])
        await lane_sink.wait_requests(1)
        if how == "sender":
            lane_sink.script.append(ZeroDivisionError("a bug"))
            lane_sink.gate.set()
        elif how == "dead letters":
            monkeypatch.setattr(r.letters._files, "append", lambda *_, **__: 1 // 0)
            r.outbox.put_dead_letter(ledger.receipt(), make_letter())
        elif how == "spool":
            monkeypatch.setattr(r.spool._writer, "commit", lambda *_: 1 // 0)
            r.outbox.put(ledger.receipt(), [make_record("d")])
        else:
            r.task.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancelled" else ExceptionGroup):
            await asyncio.wait_for(r.task, 30)
        assert set(ledger.outcomes()) == {Outcome.REFUSED}
        assert len(ledger.settled) == len(ledger.made)
        assert await r.outbox.drain(1) == len(ledger.made)
