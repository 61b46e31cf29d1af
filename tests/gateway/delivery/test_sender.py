"""The sender with a scripted sink: when requests leave, and what becomes of their parcels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.backoff import Backoff
from gateway.delivery.lanes import StripeQueue
from gateway.delivery.pacing import Pacing, ShardRange
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.delivery.stripes import Stripes
from gateway.domain.errors import OperatorError, SinkError
from gateway.domain.record import Record

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import RecordFactory, ScriptedSink, SendingFactory

THROTTLED = EntryFailure(SinkErrorCode.THROTTLED, "rate exceeded")
INVALID = EntryFailure(SinkErrorCode.VALIDATION, "never", retriable=False)
LOST = SinkError("no answer", code=SinkErrorCode.CONNECTION)
HOUR = Backoff(3600, 3600, lambda: 1.0)


def ids(records: Sequence[Record]) -> list[str]:
    return [record.record_id for record in records]


def two_shards() -> Pacing:
    """Lanes whose names begin with `hot` have a shard of their own."""
    pacing = Pacing(lambda key: 0 if key.startswith("hot") else 2)
    pacing.learn([ShardRange("shard-0", 1), ShardRange("shard-1", 3)])
    return pacing


@pytest.fixture
async def stripe_sink(lane_sink: ScriptedSink) -> ScriptedSink:
    """All records in one stripe, parcels of 1000 bytes."""
    lane_sink.new_queue = lambda: StripeQueue(Stripes(1), 1000)
    return lane_sink


async def test_a_lone_record_leaves_at_once(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    async with sending(fifo_sink, linger_ms=3_600_000) as s:
        s.put(make_record())
        await s.wait()
        s.put(make_record())
        await s.wait()
        assert [len(request) for request in fifo_sink.requests] == [1, 1]


async def test_what_comes_while_a_request_is_in_flight_shares_the_next(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    async with sending(fifo_sink) as s:
        s.put(make_record())
        await fifo_sink.wait_requests(1)
        for _ in range(9):
            s.put(make_record())
        fifo_sink.gate.set()
        await s.wait()
        assert [len(request) for request in fifo_sink.requests] == [1, 9]


@pytest.mark.parametrize("limit", ["records", "bytes"])
async def test_a_backlog_lingers_until_a_request_is_full(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory, limit: str
) -> None:
    fifo_sink.gate.clear()
    if limit == "records":
        fifo_sink.max_batch_records = 10
    else:
        fifo_sink.max_batch_bytes = 1000
    async with sending(fifo_sink, linger_ms=3_600_000) as s:
        s.put(make_record(size=100))
        await fifo_sink.wait_requests(1)
        for _ in range(10 if limit == "bytes" else 4):
            s.put(make_record(size=100))
        fifo_sink.gate.set()
        if limit == "records":
            await s.wait(1)
            for _ in range(6):
                assert len(fifo_sink.requests) == 1
                s.put(make_record(size=100))
        await s.wait()
        assert [len(request) for request in fifo_sink.requests] == [1, 10]


async def test_a_sink_that_always_lingers_keeps_its_requests_apart(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    async with sending(fifo_sink, linger_ms=3_600_000, always_lingers=True) as s:
        s.put(make_record())
        await s.wait()  # the first one leaves at once
        s.put(make_record())
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(fifo_sink.requests) == 1
        s.sender.hurry()
        await s.wait()
        assert len(fifo_sink.requests) == 2


async def test_who_is_in_a_hurry_does_not_linger(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    fifo_sink.gate.clear()
    async with sending(fifo_sink, linger_ms=3_600_000) as s:
        s.put(make_record())
        await fifo_sink.wait_requests(1)
        s.put(make_record())
        fifo_sink.gate.set()
        await s.wait(1)
        s.sender.hurry()
        await s.wait()


async def test_under_backlog_full_requests_with_other_keys_are_in_flight_together(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.gate.clear()
    lane_sink.max_requests, lane_sink.max_batch_records = 3, 4
    async with sending(lane_sink) as s:
        s.put(*[make_record(f"dev-{n % 20}") for n in range(40)])
        await lane_sink.wait_requests(3)
        assert [len(request) for request in lane_sink.requests] == [4, 4, 4]
        assert len({record.lane for request in lane_sink.requests for record in request}) == 12
        assert s.sender.depth("dev-0") == 2
        lane_sink.gate.set()
        await s.wait()
        assert s.sender.depth("dev-0") == 0
    for n in range(20):
        assert [i for i in ids(lane_sink.stored) if i.startswith(f"dev-{n}#")] == [f"dev-{n}#1", f"dev-{n}#2"]


async def test_while_one_is_in_flight_another_leaves_only_if_it_is_full(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.gate.clear()
    lane_sink.max_requests, lane_sink.max_batch_records = 3, 4
    async with sending(lane_sink) as s:
        s.put(make_record("a"))
        await lane_sink.wait_requests(1)
        s.put(*[make_record(lane) for lane in "bcd"])
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(lane_sink.requests) == 1
        s.put(make_record("e"))
        await lane_sink.wait_requests(2)
        lane_sink.gate.set()
        await s.wait()
        assert [len(request) for request in lane_sink.requests] == [1, 4]


async def test_a_failed_request_is_repeated_as_it_was(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    fifo_sink.script += [SinkError("no answer", code=SinkErrorCode.TIMEOUT)] * 4
    records = [make_record() for _ in range(20)]
    async with sending(fifo_sink) as s:
        s.put(*records)
        await fifo_sink.wait_requests(1)
        s.put(make_record())
        await s.wait()
        assert ids(fifo_sink.stored) == [*ids(records), "dev-1#21"]
        assert fifo_sink.parcels == [[ids(records)]] * 5 + [[["dev-1#21"]]]
        counters = s.counters
        assert counters.failed["timeout"] == 4
        assert counters.retried == 80
        assert counters.requests == 6
        assert (counters.records, counters.record_bytes) == (21, sum(len(record.body) for record in s.accepted))


@pytest.mark.parametrize("how", ["whole request", "entry"])
async def test_a_parcel_of_a_stripe_is_repeated_as_it_was(
    sending: SendingFactory, stripe_sink: ScriptedSink, make_record: RecordFactory, how: str
) -> None:
    stripe_sink.gate.clear()
    async with sending(stripe_sink) as s:
        s.put(make_record("a"), make_record("b"))
        await stripe_sink.wait_requests(1)
        s.put(make_record("a"), make_record("c"))  # there would be room for these
        assert s.sender.depth("x") == 4
        stripe_sink.script += [
            SinkError("lost", code=SinkErrorCode.CONNECTION) if how == "whole request" else [THROTTLED]
        ]
        stripe_sink.gate.set()
        await s.wait()
    assert stripe_sink.parcels == [[["a#1", "b#1"]], [["a#1", "b#1"]], [["a#2", "c#1"]]]


async def test_a_busy_shard_does_not_slow_the_others(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    """The shard of `hot-*` throttles and backs off for an hour; the other goes on, and its requests are not filled
    with lanes that would have to wait."""
    lane_sink.pacing = two_shards()
    lane_sink.max_batch_records = 3
    lane_sink.script.append(lambda records: [THROTTLED if record.lane == "hot-1" else None for record in records])
    async with sending(lane_sink, backoff=HOUR) as s:
        s.put(*[make_record(lane) for lane in ("hot-1", "cold-1", "hot-1", "cold-2", "hot-2", "cold-1", "cold-3")])
        await s.wait(4)
        assert set(ids(lane_sink.stored)) == {"cold-1#1", "cold-1#2", "cold-2#1", "cold-3#1"}
        assert sum(len(request) for request in lane_sink.requests) == 5  # hot-2 was not tried
        assert s.counters.healthy
        s.put(make_record("hot-3"), make_record("cold-4"))
        await s.wait(5)
        assert lane_sink.requests[-1][0].lane == "cold-4"
        s.task.cancel()
        await asyncio.wait((s.task,))
        assert sorted(ids([record for record, _ in s.sender.take_all()])) == [
            "hot-1#1",
            "hot-1#2",
            "hot-2#1",
            "hot-3#1",
        ]


async def test_another_map_lets_go_what_waited_for_its_shard(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    """A split: the shard that throttles is replaced by two, which are tried at once."""
    pacing = lane_sink.pacing = two_shards()
    lane_sink.script.append([THROTTLED])
    async with sending(lane_sink, backoff=HOUR) as s:
        s.put(make_record("hot-1"))
        await lane_sink.wait_requests(1)
        s.put(make_record("hot-1"), make_record("cold"))
        await s.wait(1)
        pacing.learn([ShardRange("shard-2", 0), ShardRange("shard-3", 1), ShardRange("shard-1", 3)])
        s.put(make_record("cold"))
        await s.wait()
        assert [i for i in ids(lane_sink.stored) if i.startswith("hot")] == ["hot-1#1", "hot-1#2"]


async def test_a_shard_that_keeps_failing_has_more_than_enough(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    """What is read ahead goes to the others; when it works again, it counts like them."""
    lane_sink.pacing = two_shards()
    failing = True
    busy = EntryFailure(SinkErrorCode.THROTTLED, "rate exceeded")

    def answer(records: Sequence[Record]) -> list[EntryFailure | None]:
        return [busy if failing and record.lane.startswith("hot") else None for record in records]

    lane_sink.script += [answer] * 10_000
    async with sending(lane_sink) as s:
        s.put(make_record("hot-1"))
        while s.sender.depth("hot-2") == 0:
            s.put(make_record("cold"))
            await s.wait(len(s.accepted) - 1)
        assert s.sender.depth("hot-2") > 1_000_000
        assert s.sender.depth("cold") == 0
        failing = False
        await s.wait()
        assert s.sender.depth("hot-2") == 0


async def test_a_shard_gets_no_more_than_its_rate(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.pacing = two_shards()
    async with sending(lane_sink) as s:
        s.put(*[make_record(f"hot-{n}") for n in range(1200)], make_record("cold"))
        await s.wait(901)
        assert sum(record.lane != "cold" for record in lane_sink.stored) < 1000
        s.put(make_record("hot-0"))
        await s.wait()


async def test_a_throttled_record_goes_before_its_successors(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.script += [lambda records: [THROTTLED] * len(records)] * 3
    async with sending(lane_sink) as s:
        s.put(*[make_record(lane) for lane in ("a", "b", "a", "b", "a")])
        await s.wait()
        assert [i for i in ids(lane_sink.stored) if i[0] == "a"] == ["a#1", "a#2", "a#3"]
        assert [i for i in ids(lane_sink.stored) if i[0] == "b"] == ["b#1", "b#2"]
        for request in lane_sink.requests:
            assert len({record.lane for record in request}) == len(request)


async def test_health_follows_what_the_sink_says(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    seen = []
    fifo_sink.script.append(SinkError("token expired", code=SinkErrorCode.CREDENTIALS))
    async with sending(fifo_sink) as s:
        assert s.counters.failed == {code.value: 0 for code in SinkErrorCode}

        def look(records: Sequence[Record]) -> None:
            seen.append((s.counters.healthy, s.counters.last_error))

        fifo_sink.script.append(look)
        s.put(make_record())
        await s.wait()
        assert seen == [(False, "credentials: token expired")]
        assert s.counters.healthy
        assert s.counters.last_error == ""


async def test_nothing_stored_is_not_healthy(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.script.append([THROTTLED, THROTTLED])
    async with sending(lane_sink, backoff=HOUR) as s:
        s.put(make_record("a"), make_record("b"))
        await s.until(lambda: not s.counters.healthy)
        assert s.counters.last_error == "throttled: rate exceeded"


async def test_a_sink_out_of_reach_at_start_is_not_fatal(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    fifo_sink.start_error = SinkError("no such stream", code=SinkErrorCode.NOT_FOUND)
    async with sending(fifo_sink) as s:
        assert not s.counters.healthy
        assert s.counters.last_error == "not_found: no such stream"
        s.put(make_record())
        await s.wait()
        assert s.counters.healthy


async def test_a_sink_that_can_never_work_refuses_the_start(sending: SendingFactory, fifo_sink: ScriptedSink) -> None:
    fifo_sink.start_error = OperatorError("sink scripted: AUTO")
    with pytest.raises(OperatorError, match="AUTO"):
        async with sending(fifo_sink):
            pass


async def test_a_buried_entry_does_not_block_its_lane(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.script.append(lambda records: [INVALID] + [None] * (len(records) - 1))
    async with sending(lane_sink) as s:
        s.put(*[make_record("tenant-1/dev-1") for _ in range(3)])
        await s.wait()
        assert s.buried == [(s.accepted[0], "validation")]
        assert ids(lane_sink.stored) == ["tenant-1/dev-1#2", "tenant-1/dev-1#3"]
        assert (s.counters.buried, s.counters.retried, s.counters.failed["validation"]) == (1, 0, 1)


def refusing(bad: set[str]) -> Callable[[Sequence[Record]], None]:
    def answer(batch: Sequence[Record]) -> None:
        if any(record.record_id in bad for record in batch):
            raise SinkError("1 validation error detected", code=SinkErrorCode.VALIDATION, retriable=False)

    return answer


@pytest.mark.parametrize("queue", ["fifo", "lanes", "stripes"])
@pytest.mark.parametrize("poisons", [{0}, {99}, {42}, {7, 8, 63}, set(range(100))])
async def test_halving_finds_the_records_that_spoil_a_request(
    sending: SendingFactory,
    fifo_sink: ScriptedSink,
    lane_sink: ScriptedSink,
    make_record: RecordFactory,
    queue: str,
    poisons: set[int],
) -> None:
    sink = fifo_sink if queue == "fifo" else lane_sink
    if queue == "stripes":
        sink.new_queue = lambda: StripeQueue(Stripes(4), 600)
    records = [make_record(f"dev-{i}") for i in range(100)]
    bad = {records[i].record_id for i in poisons}
    sink.script += [refusing(bad)] * 2000
    async with sending(sink) as s:
        s.put(*records)
        await s.wait()
        stored = set(ids(sink.stored))
        assert stored == {record.record_id for record in records} - bad
        if queue != "stripes":
            assert ids(sink.stored) == [record.record_id for record in records if record.record_id not in bad]
        assert {record.record_id for record, _ in s.buried} == bad
        assert s.counters.buried == len(poisons)
        if len(poisons) == 1 and queue != "stripes":
            assert len(sink.requests) <= 16  # about twice log2 of 100
        s.put(make_record())  # and everything goes on
        await s.wait()


async def test_halves_of_a_parcel_keep_their_order_whatever_fails(
    sending: SendingFactory, stripe_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    """One record of eight is poison; in between, requests fail and newer records of the stripe arrive."""
    records = [make_record(f"dev-{i % 2}") for i in range(8)]
    refuse = refusing({records[5].record_id})
    for _ in range(20):
        stripe_sink.script += [refuse, LOST, [THROTTLED], refuse]
    async with sending(stripe_sink) as s:
        s.put(*records)
        await stripe_sink.wait_requests(2)
        s.put(*[make_record(f"dev-{i % 2}") for i in range(8)])
        await s.wait()
        assert [record for record, _ in s.buried] == [records[5]]
        assert stripe_sink.stored == [record for record in s.accepted if record is not records[5]]


async def test_what_is_not_halved_goes_on_meanwhile(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    """The halves wait (the answer got lost); other lanes are served."""
    records = [make_record(lane) for lane in "ab"]

    def step(batch: Sequence[Record]) -> list[EntryFailure | None]:
        if len(batch) == 2:
            raise SinkError("invalid", code=SinkErrorCode.VALIDATION, retriable=False)
        return [THROTTLED if record in records else None for record in batch]

    lane_sink.pacing = two_shards()
    lane_sink.script += [step] * 3
    async with sending(lane_sink, backoff=Backoff(0.05, 0.05, lambda: 1.0)) as s:
        s.put(*records)
        await lane_sink.wait_requests(2)
        s.put(make_record("hot"))
        await s.wait()
        assert ids(lane_sink.stored) == ["hot#1", "a#1", "b#1"]


async def test_an_undeclared_exception_of_a_sink_ends_the_sender(
    sending: SendingFactory, fifo_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    fifo_sink.script.append(ZeroDivisionError("a bug"))
    async with sending(fifo_sink) as s:
        s.put(make_record(), make_record())
        with pytest.raises(ZeroDivisionError):
            await s.wait()
        assert ids([record for record, _ in s.sender.take_all()]) == ["dev-1#1", "dev-1#2"]


async def test_outcomes_that_do_not_fit_end_the_sender(
    sending: SendingFactory, lane_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    lane_sink.script.append([None] * 3)
    async with sending(lane_sink) as s:
        s.put(make_record("a"), make_record("b"))
        with pytest.raises(RuntimeError, match="3 outcomes for 2 parcels"):
            await s.wait()
        assert len(s.sender.take_all()) == 2
        assert not s.delivered_records


async def test_what_is_left_at_the_end_is_handed_back(
    sending: SendingFactory, stripe_sink: ScriptedSink, make_record: RecordFactory
) -> None:
    stripe_sink.gate.clear()
    async with sending(stripe_sink) as s:
        s.put(make_record("a"), make_record("b"))
        await stripe_sink.wait_requests(1)
        s.put(make_record("a"))
        s.task.cancel()
        await asyncio.wait((s.task,))
        assert s.sender.take_all() == [(record, n) for n, record in enumerate(s.accepted)]
