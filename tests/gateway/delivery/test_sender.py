"""The sender, through an outbox and a scripted sink: when requests leave, and what becomes of their entries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.delivery.backoff import Backoff
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.domain.errors import OperatorError, SinkError
from gateway.domain.receipt import Outcome
from gateway.domain.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

THROTTLED = EntryFailure(SinkErrorCode.THROTTLED, "rate exceeded")
INVALID = EntryFailure(SinkErrorCode.VALIDATION, "never", retriable=False)


def ids(records: Sequence[Record]) -> list[str]:
    return [record.record_id for record in records]


async def test_a_lone_record_leaves_at_once(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink, linger_ms=3_600_000) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert [len(request) for request in fifo_sink.requests] == [1, 1]


async def test_what_comes_while_a_request_is_in_flight_shares_the_next(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await fifo_sink.wait_requests(1)
        for _ in range(9):
            r.outbox.put(ledger.receipt(), [make_record()])
        fifo_sink.gate.set()
        await ledger.wait()
        assert [len(request) for request in fifo_sink.requests] == [1, 9]


async def test_a_backlog_lingers_until_a_request_is_full(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.max_batch_records = 10
    fifo_sink.gate.clear()
    async with rig(fifo_sink, linger_ms=3_600_000) as r:
        for count in (1, 4):
            for _ in range(count):
                r.outbox.put(ledger.receipt(), [make_record()])
            await fifo_sink.wait_requests(1)
        fifo_sink.gate.set()
        await ledger.wait(1)
        for _ in range(6):
            assert len(fifo_sink.requests) == 1
            r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert [len(request) for request in fifo_sink.requests] == [1, 10]


async def test_drain_does_not_linger(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    async with rig(fifo_sink, linger_ms=3_600_000) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await fifo_sink.wait_requests(1)
        r.outbox.put(ledger.receipt(), [make_record()])
        fifo_sink.gate.set()
        assert await r.outbox.drain(30) == 0
    assert ledger.outcomes() == [Outcome.ACCEPTED] * 2


async def test_a_failed_request_is_repeated_in_order(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.script += [SinkError("no answer", code=SinkErrorCode.TIMEOUT)] * 4
    records = [make_record() for _ in range(20)]
    async with rig(fifo_sink) as r:
        for record in records:
            r.outbox.put(ledger.receipt(), [record])
        await ledger.wait()
        assert ids(fifo_sink.stored) == ids(records)
        counters = r.metrics.sink("scripted")
        assert counters.failed["timeout"] == 4
        assert counters.retried == 80
        assert counters.requests == 5
        assert (counters.records, counters.record_bytes) == (20, sum(len(record.body) for record in records))


async def test_one_busy_lane_does_not_slow_the_others(
    rig: RigFactory, lane_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    """The lane `hot` is throttled and backs off for an hour; its successors wait with it; `cold` goes on."""
    lane_sink.script.append(lambda records: [THROTTLED if record.lane == "hot" else None for record in records])
    async with rig(lane_sink, backoff=Backoff(3600, 3600, lambda: 1.0), drain_s=0) as r:
        for lane in ("hot", "cold", "hot", "cold", "cold"):
            r.outbox.put(ledger.receipt(), [make_record(lane)])
        await ledger.wait(3)
        assert ids(lane_sink.stored) == ["cold#1", "cold#2", "cold#3"]
        assert r.metrics.outbox.records == 2
        assert r.metrics.sink("scripted").healthy
        assert await r.outbox.drain(0) == 2


async def test_a_throttled_record_goes_before_its_successors(
    rig: RigFactory, lane_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    lane_sink.script += [lambda records: [THROTTLED] * len(records)] * 3
    async with rig(lane_sink) as r:
        for lane in ("a", "b", "a", "b", "a"):
            r.outbox.put(ledger.receipt(), [make_record(lane)])
        await ledger.wait()
        assert [i for i in ids(lane_sink.stored) if i[0] == "a"] == ["a#1", "a#2", "a#3"]
        assert [i for i in ids(lane_sink.stored) if i[0] == "b"] == ["b#1", "b#2"]
        for request in lane_sink.requests:
            assert len({record.lane for record in request}) == len(request)


async def test_health_follows_what_the_sink_says(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    seen = []
    fifo_sink.script.append(SinkError("token expired", code=SinkErrorCode.CREDENTIALS))
    async with rig(fifo_sink) as r:
        counters = r.metrics.sink("scripted")
        assert counters.failed == {code.value: 0 for code in SinkErrorCode}

        def look(records: Sequence[Record]) -> None:
            seen.append((counters.healthy, r.sender.last_error))

        fifo_sink.script.append(look)
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert seen == [(False, "credentials: token expired")]
        assert counters.healthy
        assert r.sender.last_error == ""


async def test_a_sink_out_of_reach_at_start_is_not_fatal(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.start_error = SinkError("no such stream", code=SinkErrorCode.NOT_FOUND)
    async with rig(fifo_sink) as r:
        assert not r.metrics.sink("scripted").healthy
        assert r.sender.last_error == "not_found: no such stream"
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        assert r.metrics.sink("scripted").healthy


async def test_a_sink_that_can_never_work_refuses_the_start(rig: RigFactory, fifo_sink: ScriptedSink) -> None:
    fifo_sink.start_error = OperatorError("sink scripted: AUTO")
    with pytest.raises(OperatorError, match="AUTO"):
        async with rig(fifo_sink):
            pass


async def test_a_buried_entry_does_not_block_its_lane(
    rig: RigFactory, lane_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory, tmp_path: Path
) -> None:
    lane_sink.script.append(lambda records: [INVALID] + [None] * (len(records) - 1))
    async with rig(lane_sink) as r:
        for _ in range(3):
            r.outbox.put(ledger.receipt(), [make_record("tenant-1/dev-1")])
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED, Outcome.ACCEPTED, Outcome.ACCEPTED]
        assert ledger.made[0].reason == "buried"
        assert ids(lane_sink.stored) == ["tenant-1/dev-1#2", "tenant-1/dev-1#3"]
        counters = r.metrics.sink("scripted")
        assert (counters.buried, counters.retried, counters.failed["validation"]) == (1, 0, 1)
        assert r.metrics.dead_letters.written["buried"] == 1
        assert r.metrics.outbox.bytes == r.metrics.outbox.records == 0
    (path,) = (tmp_path / "dead_letters").glob("*.ndjson")
    letter = orjson.loads(path.read_bytes())
    assert letter["stage"] == "sink"
    assert letter["reason"] == "buried"
    assert letter["dead_letter_id"] == "tenant-1/dev-1#1"
    assert orjson.loads(bytes.fromhex(letter["raw_hex"])) == {"device_id": "tenant-1/dev-1", "n": 1}


@pytest.mark.parametrize("one_per_lane", [False, True])
@pytest.mark.parametrize("poisons", [{0}, {99}, {42}, {7, 8, 63}, set(range(100))])
async def test_halving_finds_the_records_that_spoil_a_request(
    rig: RigFactory,
    fifo_sink: ScriptedSink,
    lane_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    one_per_lane: bool,
    poisons: set[int],
) -> None:
    sink = lane_sink if one_per_lane else fifo_sink
    records = [make_record(f"dev-{i}") for i in range(100)]
    bad = {records[i].record_id for i in poisons}

    def refuse_poison(batch: Sequence[Record]) -> None:
        if any(record.record_id in bad for record in batch):
            raise SinkError("1 validation error detected", code=SinkErrorCode.VALIDATION, retriable=False)

    sink.script += [refuse_poison] * 2000
    async with rig(sink) as r:
        for record in records:
            r.outbox.put(ledger.receipt(), [record])
        await ledger.wait()
        assert ids(sink.stored) == [record.record_id for record in records if record.record_id not in bad]
        assert {i for i, receipt in enumerate(ledger.made) if receipt.outcome is Outcome.DEAD_LETTERED} == poisons
        assert r.metrics.sink("scripted").buried == len(poisons)
        if len(poisons) == 1:
            assert len(sink.requests) <= 16  # about twice log2 of 100


async def test_an_undeclared_exception_of_a_sink_ends_the_sender(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    fifo_sink.script.append(ZeroDivisionError("a bug"))
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(r.task, 30)
        assert isinstance(caught.value.exceptions[0], ZeroDivisionError)
    assert ledger.outcomes() == [Outcome.REFUSED]
    assert ledger.made[0].reason == "sink_failed"
