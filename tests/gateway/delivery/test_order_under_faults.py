"""Outbox, lanes, sender and Kinesis sink against the fake with every fault at once.

What must hold: nothing accepted is lost; within a lane, first appearances keep the order of acceptance (repeats are
allowed); every receipt settles once; no request holds two records of a lane.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.delivery.backoff import Backoff
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.domain.receipt import Outcome
from loadtest.fake_kinesis import FakeKinesis
from loadtest.kinesis_faults import Faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtest.kinesis_shards import StoredRecord
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("aws_environment")]

DEVICES = 60
EACH = 50


def first_appearances(records: Sequence[StoredRecord]) -> dict[str, list[int]]:
    """Lane -> its `n`s in the order in which they first appeared. A lane lives in one shard."""
    seen: dict[str, list[int]] = defaultdict(list)
    for record in records:
        n = orjson.loads(record.data)["n"]
        if n not in seen[record.partition_key]:
            seen[record.partition_key].append(n)
    return seen


@pytest.mark.parametrize(
    ("faults", "limits"),
    [
        pytest.param(Faults(), False, id="none"),
        pytest.param(Faults(record_failure=0.1, shuffle=True), False, id="partial failures"),
        pytest.param(Faults(http_500=0.3), False, id="http 500"),
        pytest.param(Faults(lost_answer=0.3, shuffle=True), False, id="lost answers"),
        pytest.param(Faults(), True, id="throttling"),
        pytest.param(
            Faults(record_failure=0.05, http_500=0.1, lost_answer=0.1, jitter_s=0.003, shuffle=True), True, id="all"
        ),
    ],
)
async def test_nothing_is_lost_and_lanes_keep_their_order(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, faults: Faults, limits: bool
) -> None:
    async with FakeKinesis(seed=7) as kinesis:
        kinesis.create_stream("telemetry", 2)
        sink = KinesisSink("main", "telemetry", region="us-east-1", endpoint_url=kinesis.url)
        async with rig(sink, linger_ms=1, backoff=Backoff(0.002, 0.05)) as r:
            kinesis.faults, kinesis.limits = faults, limits
            for n in range(EACH):
                for device in range(DEVICES):
                    records = [make_record(f"dev-{device}") for _ in range(1 + (n + device) % 2)]
                    r.outbox.put(ledger.receipt(), records)
                if n % 10 == 0:
                    await asyncio.sleep(0)  # lets requests start in between
            await ledger.wait()
            counters = r.metrics.sink("main")
        stored = kinesis.records("telemetry")

    assert ledger.outcomes() == [Outcome.ACCEPTED] * (DEVICES * EACH)
    per_device = EACH * 3 // 2
    assert first_appearances(stored) == {f"dev-{d}": list(range(1, per_device + 1)) for d in range(DEVICES)}
    assert kinesis.counts.repeated_keys == 0
    assert counters.records == DEVICES * per_device
    assert counters.buried == 0
    if faults == Faults() and not limits:
        assert len(stored) == counters.records
        assert counters.retried == 0
    else:
        assert counters.retried > 0
    if limits:
        assert kinesis.counts.throttled > 0
    if faults.lost_answer:
        assert len(stored) > counters.records


async def test_poison_is_buried_while_its_lane_goes_on(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with FakeKinesis(seed=7) as kinesis:
        kinesis.create_stream("telemetry", 2)
        kinesis.faults.poison = b'{"device_id":"dev-3","n":2}'
        kinesis.faults.record_failure = 0.05
        sink = KinesisSink("main", "telemetry", region="us-east-1", endpoint_url=kinesis.url)
        async with rig(sink) as r:
            for _ in range(5):
                for device in range(40):
                    r.outbox.put(ledger.receipt(), [make_record(f"dev-{device}")])
            await ledger.wait()
            assert r.metrics.sink("main").buried == 1
            assert r.metrics.dead_letters.written["buried"] == 1
        seen = first_appearances(kinesis.records("telemetry"))
    assert [i for i, receipt in enumerate(ledger.made) if receipt.outcome is Outcome.DEAD_LETTERED] == [43]
    assert seen.pop("dev-3") == [1, 3, 4, 5]
    assert set(map(tuple, seen.values())) == {(1, 2, 3, 4, 5)}


async def test_an_outage_is_sat_out(rig: RigFactory, ledger: Ledger, make_record: RecordFactory) -> None:
    """The stream is missing, then the credentials have expired, then all is well: accepted in order, nothing buried."""
    async with FakeKinesis(seed=7) as kinesis:
        kinesis.faults.stream_missing = True
        sink = KinesisSink("main", "telemetry", region="us-east-1", endpoint_url=kinesis.url)
        async with rig(sink) as r:
            counters = r.metrics.sink("main")
            for _ in range(100):
                r.outbox.put(ledger.receipt(), [make_record()])
            assert not counters.healthy
            async with asyncio.timeout(30):
                await kinesis.wait_answered(kinesis.counts.answered + 2)  # the first of them has been seen then
                assert counters.failed["not_found"]
                assert "ResourceNotFoundException" in r.sender.last_error
                kinesis.faults.expired_credentials = True
                kinesis.faults.stream_missing = False
                await kinesis.wait_answered(kinesis.counts.answered + 3)
                assert counters.failed["credentials"]
            assert ledger.settled == []
            kinesis.create_stream("telemetry")
            kinesis.faults.expired_credentials = False
            await ledger.wait()
            assert counters.healthy
            assert counters.buried == 0
        seen = first_appearances(kinesis.records("telemetry"))
    assert seen == {"dev-1": list(range(1, 101))}
