"""The example consumer against the fake, for the three packings, with repeats and resharding."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiobotocore.session import get_session

from gateway.delivery.backoff import Backoff
from gateway.delivery.lanes import Entry
from gateway.delivery.sender import Sender
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.delivery.sinks.packings import Aggregated, Ndjson, Packing, Plain
from gateway.domain.record import Record
from gateway.observe.metrics import Metrics
from loadtest.consume import Consumer, Repeats, bodies
from loadtest.fake_kinesis import FakeKinesis

ROOT = Path(__file__).parents[2]
PACKINGS: dict[str, Callable[[], Packing]] = {
    "plain": Plain,
    "aggregated": lambda: Aggregated(16, 2000),
    "ndjson": lambda: Ndjson(16, 2000),
}


class Owner:
    """Puts records in and waits until they are stored."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.stored = asyncio.Event()

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        self.left -= len(entries)
        if not self.left:
            self.stored.set()

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        raise AssertionError(detail)


def record(n: int) -> Record:
    device = f"dev-{n % 23}"
    body = {"device_id": device, "gateway_id": "gw-1", "epoch": 7, "seq": n}
    return Record(f"r{n}", "telemetry", "p", device, orjson.dumps(body), 0)


async def send(kinesis: FakeKinesis, packing: Packing, first: int, count: int) -> None:
    sink = KinesisSink("main", "telemetry", packing=packing, region="us-east-1", endpoint_url=kinesis.url)
    sender = Sender(sink, Metrics(), backoff=Backoff(0.001, 0.01), linger_ms=0)
    await sender.start()
    owner = Owner(count)
    task = asyncio.create_task(sender.run(owner))
    for n in range(first, first + count):
        one = record(n)
        sender.put([(one, None)], len(one.body))
        if n % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(owner.stored.wait(), 60)
    task.cancel()
    await asyncio.wait((task,))
    await sink.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no_config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no_credentials"))


@pytest.fixture
async def kinesis() -> AsyncIterator[FakeKinesis]:
    async with FakeKinesis(seed=4) as fake:
        fake.create_stream("telemetry", 2)
        yield fake


@pytest.fixture
async def client(kinesis: FakeKinesis) -> AsyncIterator[Any]:
    async with get_session().create_client("kinesis", region_name="us-east-1", endpoint_url=kinesis.url) as made:
        yield made


@pytest.mark.parametrize("packing", PACKINGS)
async def test_every_record_once_in_the_order_of_its_device(kinesis: FakeKinesis, client: Any, packing: str) -> None:
    make = PACKINGS[packing]
    kinesis.faults.lost_answer = kinesis.faults.record_failure = 0.1
    await send(kinesis, make(), 0, 500)
    stream = kinesis.streams["telemetry"]
    kinesis.split("telemetry", stream.shards[0].shard_id)
    await send(kinesis, make(), 500, 500)
    kinesis.merge("telemetry", stream.shards[3].shard_id, stream.shards[1].shard_id)
    await send(kinesis, make(), 1000, 500)
    kinesis.faults.lost_answer = 0
    consumer = Consumer(client, "telemetry")
    found = [one async for one in consumer.records()]
    assert sorted(one["seq"] for one in found) == list(range(1500))
    for device in range(23):
        seqs = [one["seq"] for one in found if one["device_id"] == f"dev-{device}"]
        assert seqs == sorted(seqs)
    stored = sum(1 for one in kinesis.records("telemetry") for _ in bodies(one.data))
    assert consumer.repeats.dropped == stored - 1500 > 0


async def test_it_follows(kinesis: FakeKinesis, client: Any) -> None:
    consumer = Consumer(client, "telemetry", follow=True, poll_s=0.001)
    records = consumer.records()
    await send(kinesis, Plain(), 0, 10)
    assert {(await anext(records))["seq"] for _ in range(10)} == set(range(10))
    await send(kinesis, Ndjson(), 10, 10)
    assert {(await anext(records))["seq"] for _ in range(10)} == set(range(10, 20))
    await records.aclose()  # type: ignore[attr-defined]


async def test_a_slow_reader_outlives_its_iterators(client: Any, kinesis: FakeKinesis) -> None:
    await send(kinesis, Plain(), 0, 10)
    records = Consumer(client, "telemetry").records()
    found = [await anext(records)]
    kinesis._clock = lambda: time.monotonic() + 600
    found += [one async for one in records]
    assert sorted(one["seq"] for one in found) == list(range(10))


def test_repeats_are_remembered_within_bounds() -> None:
    repeats = Repeats(max_seen=3, max_gateways=2)

    def first(gateway: str, seq: int) -> bool:
        return repeats.is_first({"gateway_id": gateway, "epoch": 1, "seq": seq})

    assert [first("a", seq) for seq in (1, 2, 2, 3, 1, 4, 1)] == [True, True, False, True, False, True, True]
    assert repeats.dropped == 2
    assert first("b", 1)
    assert not first("b", 1)
    assert first("c", 1)
    assert first("a", 4)  # forgotten, as the gateway longest unheard of
    assert repeats.is_first({"device_id": "no name"})
    assert repeats.is_first({"device_id": "no name"})


async def test_it_prints_json_lines(kinesis: FakeKinesis) -> None:
    await send(kinesis, Aggregated(), 0, 20)
    command = [
        "-m",
        "loadtest.consume",
        "--stream",
        "telemetry",
        "--region",
        "us-east-1",
        "--endpoint-url",
        kinesis.url,
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, error
    assert sorted(orjson.loads(line)["seq"] for line in out.splitlines()) == list(range(20))
    assert b"repeats dropped: 0" in error


async def test_a_stream_that_is_missing_is_said(kinesis: FakeKinesis) -> None:
    command = ["-m", "loadtest.consume", "--stream", "absent", "--region", "us-east-1", "--endpoint-url", kinesis.url]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (1, b"")
    assert b"absent" in error
    assert b"Traceback" not in error
