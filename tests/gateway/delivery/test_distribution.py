"""Several sinks behind one spool: each at its own pace, and what becomes of one that is configured no more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.pacing import Pacing, ShardRange
from gateway.delivery.routes import Route
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.domain.errors import OperatorError, SinkError
from gateway.domain.receipt import Outcome
from gateway.domain.record import Record

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

MakeSink = Callable[[str], "ScriptedSink"]


def ids(sink: ScriptedSink) -> list[str]:
    return [record.record_id for record in sink.stored]


async def test_a_slow_sink_never_holds_up_another(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    quick, stuck = make_sink("quick"), make_sink("stuck")
    stuck.gate.clear()
    async with rig(quick, stuck, drain_s=0) as r:
        for _ in range(50):
            r.outbox.put(ledger.receipt(), [make_record(size=5_000) for _ in range(20)])
            await ledger.wait()
        await r.until(lambda: len(quick.stored) == 1_000)
        assert (r.feed("quick").backlog, r.feed("stuck").backlog) == (0, 1_000)
        assert set(ledger.outcomes()) == {Outcome.ACCEPTED}
        assert r.metrics.spool.segments > 1, "nothing may leave that a sink still needs"
        stuck.gate.set()
        await r.until_delivered()
        assert ids(stuck) == ids(quick)
        await r.until(lambda: r.metrics.spool.segments == 1)


async def test_records_go_where_routes_send_them(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    main, alerts = make_sink("main"), make_sink("alerts")
    routes = [Route(("alerts", "main"), types=frozenset({"alert"})), Route(("main",))]
    async with rig(main, alerts, routes=routes) as r:
        records = [make_record() for _ in range(6)]
        records[2].type = records[5].type = "alert"
        r.outbox.put(ledger.receipt(), records)
        await r.until_delivered()
        assert ids(main) == [f"dev-1#{n}" for n in range(1, 7)]
        assert ids(alerts) == ["dev-1#3", "dev-1#6"]


async def test_a_sink_that_comes_later_gets_what_comes_later(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    main, added = make_sink("main"), make_sink("added")
    main.script += [SinkError("down")] * 1000
    async with rig(main, drain_s=0) as r:
        r.outbox.put(ledger.receipt(), [make_record() for _ in range(3)])
        await ledger.wait()
    main = make_sink("main")
    async with rig(main, added) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await r.until_delivered()
    assert ids(main) == ["dev-1#1", "dev-1#2", "dev-1#3", "dev-1#4"]
    assert ids(added) == ["dev-1#4"]


async def test_what_a_removed_sink_was_owed_goes_where_todays_routes_send_it(
    rig: RigFactory,
    ledger: Ledger,
    make_record: RecordFactory,
    make_sink: MakeSink,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, kept = make_sink("old"), make_sink("kept")
    old.max_batch_records = 4
    old.gate.clear()
    routes = [Route(("kept",), types=frozenset({"alert"})), Route(("old",))]
    async with rig(old, kept, routes=routes, drain_s=0) as r:
        records = [make_record() for _ in range(600)]
        records[0].type = "alert"
        r.outbox.put(ledger.receipt(), records)
        await r.until(lambda: len(kept.stored) == 1)
    new, kept = make_sink("new"), make_sink("kept")
    async with rig(new, kept, routes=[Route(("new",))]) as r:
        assert "sink_gone" in capsys.readouterr().out
        await r.until_delivered()
        assert ids(new) == [f"dev-1#{n}" for n in range(2, 601)]
        assert not kept.stored
    async with rig(new, kept, routes=[Route(("new",))]) as r:
        await r.until_delivered()
    assert len(new.stored) == 599


async def test_sinks_start_at_the_same_time_and_one_that_cannot_work_is_said(
    rig: RigFactory, make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = asyncio.Barrier(2)

    async def start() -> None:
        async with asyncio.timeout(5):
            await both.wait()

    one, two, wrong = make_sink("one"), make_sink("two"), make_sink("wrong")
    for sink in (one, two):
        monkeypatch.setattr(sink, "start", start)
    async with rig(one, two) as r:
        assert not r.task.done()
    wrong.start_error = OperatorError("sink wrong: no region")
    with pytest.raises(OperatorError, match="no region"):
        async with rig(one, two, wrong):
            pass
    assert one.closed
    assert wrong.closed


async def test_a_sink_that_cannot_be_closed_keeps_nothing_else_open(
    rig: RigFactory, make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close() -> None:
        raise RuntimeError("the client is broken")

    bad, good = make_sink("bad"), make_sink("good")
    monkeypatch.setattr(bad, "close", close)
    async with rig(bad, good):
        pass
    assert good.closed
    async with rig(make_sink("bad")):  # the spool's lock is free
        pass


async def test_a_shard_that_fails_does_not_hold_up_the_others(
    rig: RigFactory,
    ledger: Ledger,
    make_record: RecordFactory,
    make_sink: Callable[..., ScriptedSink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """32 MB for many devices of a shard that takes nothing, twice what may be in memory."""
    monkeypatch.setattr("gateway.delivery.pacing.RECORDS_PER_S", math.inf)
    monkeypatch.setattr("gateway.delivery.pacing.BYTES_PER_S", math.inf)
    sink = make_sink("main", one_per_lane=True)
    sink.pacing = Pacing(lambda key: 0 if key.startswith("hot") else 2)
    sink.pacing.learn([ShardRange("shard-0", 1), ShardRange("shard-1", 3)])
    busy = EntryFailure(SinkErrorCode.INTERNAL, "not now")
    failing = True

    def answer(records: Sequence[Record]) -> list[EntryFailure | None]:
        return [busy if failing and record.lane.startswith("hot") else None for record in records]

    sink.script += [answer] * 100_000
    async with rig(sink) as r:
        for turn in range(800):
            r.outbox.put(ledger.receipt(), [*(make_record(f"hot-{turn * 5 + n}", size=8_000) for n in range(5))])
            r.outbox.put(ledger.receipt(), [make_record(f"cold-{turn % 50}", size=8_000)])
            if turn % 20 == 0:
                await ledger.wait()
        await r.until(lambda: sum(record.lane.startswith("cold") for record in sink.stored) == 800)
        assert not any(record.lane.startswith("hot") for record in sink.stored)
        failing = False
        await r.until_delivered()
    expected = [f"hot-{n}#1" for n in range(4_000)] + [f"cold-{n % 50}#{n // 50 + 1}" for n in range(800)]
    assert sorted(ids(sink)) == sorted(expected)
    for lane in range(50):
        numbers = [int(name.partition("#")[2]) for name in ids(sink) if name.startswith(f"cold-{lane}#")]
        assert numbers == sorted(numbers)
