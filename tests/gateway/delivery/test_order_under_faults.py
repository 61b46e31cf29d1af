"""Lanes, sender and Kinesis sink against the fake with every fault at once, in every packing.

What must hold: nothing is lost; within a lane, first appearances keep the order of acceptance (repeats are allowed),
also when shards are split and merged in the middle; no request holds two parcels of a key; what is aggregated lies
inside its shard.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.delivery.backoff import Backoff
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.delivery.sinks.packings import Aggregated, Ndjson, Packing, Plain
from gateway.domain.record import Record
from loadtest.fake_kinesis import FakeKinesis
from loadtest.kinesis_faults import Faults
from loadtest.kpl_reader import NotAggregated, user_records

if TYPE_CHECKING:
    from loadtest.kinesis_shards import StoredRecord
    from tests.gateway.delivery.conftest import RecordFactory, SendingFactory

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("aws_environment")]

DEVICES = 60
EACH = 50
PER_DEVICE = EACH * 3 // 2
STORM = Faults(record_failure=0.05, http_500=0.1, lost_answer=0.1, jitter_s=0.003, shuffle=True)
QUICK = Backoff(0.002, 0.05)


def bodies(record: StoredRecord) -> Iterator[bytes]:
    try:
        yield from [user.data for user in user_records(record.data)]
    except NotAggregated:
        yield from record.data.split(b"\n")


def first_appearances(stored: Sequence[StoredRecord]) -> dict[str, list[int]]:
    """Lane -> its `n`s in the order in which they first appeared: shard by shard, parents before their children."""
    seen: dict[str, dict[int, None]] = defaultdict(dict)
    for record in stored:
        for body in bodies(record):
            values = orjson.loads(body)
            seen[values["device_id"]].setdefault(values["n"])
    return {lane: list(numbers) for lane, numbers in seen.items()}


def expected(count: int = PER_DEVICE) -> dict[str, list[int]]:
    return {f"dev-{device}": list(range(1, count + 1)) for device in range(DEVICES)}


def uplinks(make_record: RecordFactory) -> Iterator[list[Record]]:
    for n in range(EACH):
        for device in range(DEVICES):
            yield [make_record(f"dev-{device}") for _ in range(1 + (n + device) % 2)]


def make_sink(kinesis: FakeKinesis, packing: Packing | None = None) -> KinesisSink:
    return KinesisSink("main", "telemetry", packing=packing, region="us-east-1", endpoint_url=kinesis.url)


@pytest.mark.parametrize("packing", [Plain, lambda: Aggregated(16, 2000), lambda: Ndjson(16, 2000)])
@pytest.mark.parametrize(
    ("faults", "limits"),
    [
        pytest.param(Faults(), False, id="none"),
        pytest.param(Faults(record_failure=0.1, shuffle=True), False, id="partial failures"),
        pytest.param(Faults(http_500=0.3), False, id="http 500"),
        pytest.param(Faults(lost_answer=0.3, shuffle=True), False, id="lost answers"),
        pytest.param(Faults(), True, id="limits"),
        pytest.param(STORM, True, id="all"),
    ],
)
async def test_nothing_is_lost_and_lanes_keep_their_order(
    sending: SendingFactory,
    make_record: RecordFactory,
    packing: Callable[[], Packing],
    faults: Faults,
    limits: bool,
) -> None:
    async with FakeKinesis(seed=7) as kinesis:
        kinesis.create_stream("telemetry", 2)
        async with sending(make_sink(kinesis, packing()), linger_ms=1, backoff=QUICK) as s:
            kinesis.faults, kinesis.limits = faults, limits
            for index, records in enumerate(uplinks(make_record)):
                s.put(*records)
                if index % 600 == 0:
                    await asyncio.sleep(0)  # lets requests start in between
            await s.wait()
            counters = s.counters
        stored = kinesis.records("telemetry")
        assert not kinesis.dropped_by_a_consumer("telemetry")

    assert first_appearances(stored) == expected()
    if isinstance(s.sender.sink, KinesisSink) and packing is Plain:
        assert kinesis.counts.repeated_keys == 0
    assert counters.records == DEVICES * PER_DEVICE
    assert counters.buried == 0
    count = sum(1 for record in stored for _ in bodies(record))
    if faults == Faults():
        assert count == counters.records
    else:
        assert counters.retried > 0
    if faults.lost_answer:
        assert count > counters.records


@pytest.mark.parametrize("packing", [Plain, lambda: Aggregated(16, 2000), lambda: Ndjson(16, 2000)])
@pytest.mark.parametrize("faults", [Faults(), STORM], ids=["alone", "with all faults"])
async def test_resharding_in_the_middle(
    sending: SendingFactory, make_record: RecordFactory, packing: Callable[[], Packing], faults: Faults
) -> None:
    """Split and merge while records flow. The sender's map of shards is stale from then on."""
    async with FakeKinesis(seed=3) as kinesis:
        stream = kinesis.create_stream("telemetry", 4)
        async with sending(make_sink(kinesis, packing()), linger_ms=1, backoff=QUICK) as s:
            kinesis.faults = faults
            for index, records in enumerate(uplinks(make_record)):
                s.put(*records)
                if index == 500:
                    await s.wait(200)
                    kinesis.split("telemetry", stream.shards[0].shard_id)
                    kinesis.split("telemetry", stream.shards[2].shard_id)
                elif index == 1500:
                    await s.wait(1000)
                    children = [shard for shard in stream.open_shards if shard.parents]
                    kinesis.merge("telemetry", children[1].shard_id, stream.shards[1].shard_id)
                    kinesis.split("telemetry", stream.shards[3].shard_id)
            await s.wait()
        stored = kinesis.records("telemetry")
        assert len(stream.shards) == 11
        assert sum(bool(shard.records) for shard in stream.shards) >= 10
        assert not kinesis.dropped_by_a_consumer("telemetry")
    assert first_appearances(stored) == expected()


async def test_another_packing_with_records_waiting_keeps_order(
    sending: SendingFactory, make_record: RecordFactory
) -> None:
    """Four runs over the same backlog, each with another packing or number of stripes; what a run had in flight at its
    end, its answer unknown, goes to the next, together with all that waited."""
    packings: list[Packing] = [Plain(), Aggregated(16, 2000), Ndjson(64, 2000), Aggregated(4, 500), Plain()]
    async with FakeKinesis(seed=11) as kinesis:
        kinesis.create_stream("telemetry", 1)
        kinesis.faults = Faults(record_failure=0.05, lost_answer=0.1, jitter_s=0.003, shuffle=True)
        waiting = [record for records in uplinks(make_record) for record in records]
        for index, packing in enumerate(packings):
            async with sending(make_sink(kinesis, packing), linger_ms=1, backoff=QUICK) as s:
                s.put(*waiting)
                last = index == len(packings) - 1
                await s.wait(None if last else len(waiting) // 3)
            gone = {record.record_id for record in s.delivered_records}
            waiting = [record for record in waiting if record.record_id not in gone]
        assert not waiting
        stored = kinesis.records("telemetry")
    assert first_appearances(stored) == expected()


@pytest.mark.parametrize("packing", [Plain, lambda: Aggregated(4, 2000), lambda: Ndjson(4, 2000)])
@pytest.mark.parametrize("how", ["request", "entry"])
async def test_poison_is_buried_while_its_lane_goes_on(
    sending: SendingFactory, make_record: RecordFactory, packing: Callable[[], Packing], how: str
) -> None:
    async with FakeKinesis(seed=7) as kinesis:
        kinesis.create_stream("telemetry", 2)
        poison = b'{"device_id":"dev-3","n":2}'
        if how == "request":
            kinesis.faults.poison = poison
        else:
            kinesis.faults.poison_entry = poison
        kinesis.faults.record_failure = 0.05
        async with sending(make_sink(kinesis, packing()), backoff=QUICK) as s:
            for _ in range(5):
                for device in range(40):
                    s.put(make_record(f"dev-{device}"))
            await s.wait()
            assert s.buried == [(s.accepted[43], "validation")]
            assert s.counters.buried == 1
        seen = first_appearances(kinesis.records("telemetry"))
    assert seen.pop("dev-3") == [1, 3, 4, 5]
    assert set(map(tuple, seen.values())) == {(1, 2, 3, 4, 5)}


async def test_an_outage_is_sat_out(sending: SendingFactory, make_record: RecordFactory) -> None:
    """The stream is missing, then the credentials have expired, then all is well: kept in order, nothing buried."""
    async with FakeKinesis(seed=7) as kinesis:
        kinesis.faults.stream_missing = True
        async with sending(make_sink(kinesis)) as s:
            for _ in range(100):
                s.put(make_record())
            assert not s.counters.healthy
            await s.until(lambda: s.counters.failed["not_found"] > 0)
            assert "ResourceNotFoundException" in s.counters.last_error
            kinesis.faults.expired_credentials = True
            kinesis.faults.stream_missing = False
            await s.until(lambda: s.counters.failed["credentials"] > 0)
            assert not s.delivered_records
            kinesis.create_stream("telemetry")
            kinesis.faults.expired_credentials = False
            await s.wait()
            assert s.counters.healthy
            assert s.counters.buried == 0
        seen = first_appearances(kinesis.records("telemetry"))
    assert seen == {"dev-1": list(range(1, 101))}


async def test_a_throttled_shard_leaves_the_others_their_speed(
    sending: SendingFactory, make_record: RecordFactory
) -> None:
    """One shard takes nothing (its limit is used up by others); all of the others' records arrive meanwhile."""
    async with FakeKinesis(seed=5) as kinesis:
        stream = kinesis.create_stream("telemetry", 4)
        kinesis.limits = True
        busy = stream.shards[0]
        busy.has_capacity = lambda size: False  # type: ignore[method-assign]
        async with sending(make_sink(kinesis), linger_ms=1, backoff=QUICK) as s:
            await s.until(lambda: s.sender.sink.pacing.generation > 0)
            for records in uplinks(make_record):
                s.put(*records)
            others = [record for record in s.accepted if stream.shard_of(record.lane) is not busy]
            await s.wait(len(others))
            assert {record.record_id for record in s.delivered_records} == {record.record_id for record in others}
            waits = len(s.accepted) - len(others)
            assert kinesis.counts.throttled < waits  # one probe after the other, not all of them again and again
            del busy.has_capacity
            await s.wait()
        seen = first_appearances(kinesis.records("telemetry"))
    assert seen == expected()
