"""The same delivery against our fake and against an independent emulator (kinesalite, an npm package): sums and order
through a restart and a split, in all packings, read by the example consumer.

The emulator is taken from the folder that KINESALITE_DIR names (`npm install kinesalite` was run there), else
installed once into pytest's cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiobotocore.session import get_session

from gateway.delivery.backoff import Backoff
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.outbox import Outbox
from gateway.delivery.routes import Route, Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.delivery.sinks.packings import Aggregated, Ndjson, Packing, Plain
from gateway.delivery.spool.spool import Spool
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.observe.metrics import Metrics
from loadtest.consume import Consumer
from loadtest.fake_kinesis import FakeKinesis

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.filterwarnings("ignore:Sending a large body")]

KINESALITE = "KINESALITE_DIR"
STREAM = "telemetry"
DEVICES = 40
GUARD_S = 60.0
SERVER = """
const server = require('kinesalite')({createStreamMs: 0, updateStreamMs: 0})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""


@pytest.fixture(scope="session")
def kinesalite(request: pytest.FixtureRequest) -> Path:
    """The folder in which the emulator is installed."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: the conformance test needs it for kinesalite")
    given = os.environ.get(KINESALITE)
    if given:
        return Path(given)
    if shutil.which("npm") is None:
        pytest.skip(f"npm is not installed, and {KINESALITE} does not name a folder with kinesalite")
    folder: Path = request.config.cache.mkdir("kinesalite")
    if not (folder / "node_modules" / "kinesalite").is_dir():
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "kinesalite@3.3.3"]
        subprocess.run(command, check=True, capture_output=True, timeout=100)
    return folder


@contextlib.asynccontextmanager
async def emulator(folder: Path) -> AsyncIterator[str]:
    """kinesalite in a process of its own; its URL."""
    process = await asyncio.create_subprocess_exec(
        "node", "-e", SERVER, cwd=folder, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(GUARD_S):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def fake() -> AsyncIterator[str]:
    async with FakeKinesis(seed=3) as kinesis:
        kinesis.faults.jitter_s = 0.01
        yield kinesis.url


@pytest.fixture(params=["fake", "kinesalite"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    server = fake() if request.param == "fake" else emulator(request.getfixturevalue("kinesalite"))
    async with server as found:
        yield found


@pytest.fixture
async def client(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(f"AWS_{name}", value)
    async with get_session().create_client("kinesis", region_name="us-east-1", endpoint_url=url) as client:
        await client.create_stream(StreamName=STREAM, ShardCount=4)
        async with asyncio.timeout(GUARD_S):
            while True:
                summary = await client.describe_stream_summary(StreamName=STREAM)
                if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                    break
                await asyncio.sleep(0.01)
        yield client


class Producer:
    """Numbers records per device and puts them into one outbox after the other, on the same spool."""

    def __init__(self, folder: Path, url: str, packing: Packing) -> None:
        self.folder = folder
        self.url = url
        self.packing = packing
        self.acknowledged = 0
        self.seq = 0
        self.epoch = 0
        self._numbers = [0] * DEVICES

    @contextlib.asynccontextmanager
    async def outbox(self, drain_s: float = GUARD_S) -> AsyncIterator[Outbox]:
        """drain_s: how long its end may take for delivering the rest."""
        self.epoch += 1
        metrics = Metrics()
        spool = Spool(
            self.folder / "spool",
            metrics.spool,
            max_bytes=1 << 26,
            segment_bytes=1 << 20,
            commit_interval_max_ms=5.0,
            keepers={},
        )
        sink = KinesisSink("main", STREAM, packing=self.packing, region="us-east-1", endpoint_url=self.url)
        letters = DeadLetterStore(self.folder / "letters", metrics.dead_letters, max_bytes=1 << 20)
        sender = Sender(sink, metrics, backoff=Backoff(0.01, 0.1))
        outbox = Outbox(spool, {"main": sender}, Routes([Route(("main",))]), letters)
        await outbox.start()
        task = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            await outbox.drain(drain_s)
            await task

    async def put(self, outbox: Outbox, count: int) -> None:
        """Returns when all of them are acknowledged."""
        goal = self.acknowledged + count
        for i in range(count):
            device = (self.seq * 7) % DEVICES
            self._numbers[device] += 1
            self.seq += 1
            lane = f"device-{device:03d}"
            name = {"gateway_id": "gw", "epoch": self.epoch, "seq": self.seq, "device_id": lane}
            body = orjson.dumps(name | {"n": self._numbers[device], "text": "café"})
            outbox.put(Receipt(self._settled), [Record(f"r-{self.seq}", "telemetry", "p", lane, body, 0)])
            if i % 50 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(GUARD_S):
            while self.acknowledged < goal:  # noqa: ASYNC110 - counted by callbacks
                await asyncio.sleep(0.001)

    def _settled(self, receipt: Receipt) -> None:
        self.acknowledged += receipt.kept


@pytest.mark.parametrize("packing", [Plain, Aggregated, Ndjson])
async def test_everything_acknowledged_is_there_in_order_after_a_restart_and_a_split(
    client: Any, url: str, tmp_path: Path, packing: type[Plain] | type[Aggregated] | type[Ndjson]
) -> None:
    producer = Producer(tmp_path, url, packing())
    async with producer.outbox(drain_s=0.0) as outbox:
        await producer.put(outbox, 1200)  # some is delivered, the rest waits in the spool
    await client.split_shard(StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 125))
    async with producer.outbox() as outbox:
        await producer.put(outbox, 800)

    consumer = Consumer(client, STREAM)
    found = [record async for record in consumer.records()]
    assert len(found) == producer.acknowledged == 2000
    assert len({(record["epoch"], record["seq"]) for record in found}) == 2000
    numbers: dict[str, list[int]] = {}
    for record in found:
        assert record["text"] == "café"
        numbers.setdefault(record["device_id"], []).append(record["n"])
    assert {device: list(range(1, 51)) for device in numbers} == numbers
    assert len(numbers) == DEVICES
