"""An hour of outage at 1,000 frames a second, compressed: how much memory it takes, and how fast what waited goes out.

No TCP here: a process of its own puts records straight into the outbox, as fast as the spool takes them, while the sink
(the fake Kinesis, `aggregated`) is away. Then it is killed; another process opens what it left, takes the first new
record, and catches up. Both say each half second how much memory they have.
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from gateway.delivery.backoff import Backoff
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.outbox import Outbox
from gateway.delivery.routes import Route, Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.delivery.sinks.packings import Aggregated
from gateway.delivery.spool.spool import Spool
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.observe.logs import configure_logs
from gateway.observe.metrics import Metrics
from loadtest.consume import bodies
from loadtest.faults.balance import Balance
from loadtest.faults.processes import STREAM, KinesisProcess, RunFailed, environment
from loadtest.faults.rig import Result

_DEVICES = 1000
_SHARDS = 64  # so many that their limits are not what is measured: four take about 8,000 records a second
_GROUP = 200  # puts between two turns of the event loop
_WAITING = 4000  # that may wait for their commit, as with four frames of each device
_BYTES_PER_RECORD = 620  # of the spool's cap
_RSS_EVERY_S = 0.5
_GUARD_S = 3600.0
_METRICS = {"latitude": 22.546096, "longitude": 114.050133, "speed": 42, "course": 148, "satellites": 11}


def body(device: int, number: int, epoch: int, seq: int) -> bytes:
    """A record of about 450 bytes, as a location frame makes it."""
    return orjson.dumps(
        {
            "schema": "iotlink.record/1",
            "record_id": f"01a1ff7e-9e09-7a82-a41a-{epoch:04x}{seq:08x}-0",
            "device_id": f"8600000000{device:05d}",
            "type": "telemetry",
            "productId": "concox_gt06",
            "message": "location",
            "spec_version": 1,
            "device_timestamp": "2026-03-01T08:30:00.000Z",
            "ingest_timestamp": "2026-03-01T08:30:00.505Z",
            "metrics": _METRICS | {"n": number},
            "gateway_id": "gw-outage",
            "epoch": epoch,
            "seq": seq,
        }
    )


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


class Process:
    """What runs in the process of its own: an outbox in front of the stream."""

    def __init__(self, folder: Path, endpoint_url: str, records: int, epoch: int) -> None:
        metrics = Metrics()
        self._records = records
        self._epoch = epoch
        self._acknowledged = 0
        self._refused = 0
        self.spool = Spool(
            folder / "spool",
            metrics.spool,
            max_bytes=max(64 << 20, records * _BYTES_PER_RECORD),
            segment_bytes=32 << 20,
            commit_interval_max_ms=5.0,
            keepers={},
        )
        sink = KinesisSink("main", STREAM, packing=Aggregated(), region="us-east-1", endpoint_url=endpoint_url)
        self._sender = Sender(sink, metrics, backoff=Backoff(0.1, 5.0))
        letters = DeadLetterStore(folder / "letters", metrics.dead_letters, max_bytes=1 << 20)
        self.outbox = Outbox(self.spool, {"main": self._sender}, Routes([Route(("main",))]), letters)

    async def run(self, *, fill: bool) -> None:
        began = time.perf_counter()
        await self.outbox.start()
        opened_s = time.perf_counter() - began
        tasks = [asyncio.create_task(self.outbox.run()), asyncio.create_task(self._say_memory())]
        try:
            if fill:
                await self._fill()
                await asyncio.Event().wait()  # until it is killed
            else:
                await self._catch_up(opened_s)
        finally:
            tasks[1].cancel()
            await self.outbox.drain(5.0)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _fill(self) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        _say(phase="start", rss=rss_mib())
        for seq in range(self._records):
            self._put(seq % _DEVICES, seq // _DEVICES, seq)
            if seq % _GROUP == _GROUP - 1:
                await asyncio.sleep(0)
                while self._is_crowded(seq):  # noqa: ASYNC110 - as a paced fleet
                    await asyncio.sleep(0.001)
        while self._acknowledged + self._refused < self._records:  # noqa: ASYNC110 - the last commits
            await asyncio.sleep(0.001)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        _say(
            phase="filled",
            rss=rss_mib(),
            acknowledged=self._acknowledged,
            refused=self._refused,
            seconds=seconds,
            cpu_s=cpu_s,
            disk_mib=self.spool.disk_bytes / (1 << 20),
        )

    async def _catch_up(self, opened_s: float) -> None:
        began = time.perf_counter()
        self._put(0, self._records // _DEVICES, 0)
        while not self._acknowledged:  # noqa: ASYNC110 - one commit
            await asyncio.sleep(0.001)
        _say(phase="opened", opened_s=opened_s, first_s=opened_s + time.perf_counter() - began, rss=rss_mib())
        delivered = self._sender.counters
        while not delivered.records:  # noqa: ASYNC110 - the sink comes back, the backoff ends
            await asyncio.sleep(0.01)
        began, cpu, before = time.perf_counter(), time.process_time(), delivered.records
        await self.outbox.distribution.until_done()
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        count = delivered.records - before
        _say(phase="caught_up", rss=rss_mib(), peak=peak, records=count, seconds=seconds, cpu_s=cpu_s)

    def _is_crowded(self, seq: int) -> bool:
        return seq - self._acknowledged - self._refused > _WAITING or not self.outbox.has_room()

    def _put(self, device: int, number: int, seq: int) -> None:
        data = body(device, number, self._epoch, seq)
        record = Record(f"{self._epoch}-{seq}", "telemetry", "concox_gt06", f"8600000000{device:05d}", data, 0)
        self.outbox.put(Receipt(self._settled), [record])

    def _settled(self, receipt: Receipt) -> None:
        if receipt.kept:
            self._acknowledged += 1
        else:
            self._refused += 1

    async def _say_memory(self) -> None:
        while True:
            _say(phase="memory", rss=rss_mib())
            await asyncio.sleep(_RSS_EVERY_S)


@dataclass(slots=True)
class _Told:
    """What a process has said so far."""

    rss: list[float]
    facts: dict[str, dict[str, float]]


async def _listen(process: asyncio.subprocess.Process, phase: str, told: _Told) -> None:
    """Reads until the process says this. RunFailed: it ended before."""
    assert process.stdout is not None
    async with asyncio.timeout(_GUARD_S):
        async for line in process.stdout:
            said = json.loads(line)
            told.rss.append(said["rss"])
            told.facts[said["phase"]] = said
            if said["phase"] == phase:
                return
    raise RunFailed(f"the process ended before it said {phase!r}")


async def outage(folder: Path, *, records: int) -> Result:
    """records: of the outage; an hour at 1,000 frames/s has 3.6 million."""
    began = time.monotonic()
    await asyncio.to_thread(folder.mkdir, parents=True)
    filling, catching = _Told([], {}), _Told([], {})
    async with KinesisProcess(shards=_SHARDS) as kinesis:
        await kinesis.set(listening=False)
        first = await _spawn(folder, kinesis.endpoint_url, records, "--fill")
        try:
            await _listen(first, "filled", filling)
        finally:
            first.kill()
            await first.wait()
        second = await _spawn(folder, kinesis.endpoint_url, records)
        try:
            await _listen(second, "opened", catching)
            await kinesis.set(listening=True)
            await _listen(second, "caught_up", catching)
            await second.wait()
        finally:
            if second.returncode is None:
                second.kill()
                await second.wait()
        balance = await _compare(kinesis, round(filling.facts["filled"]["acknowledged"]) + 1)
    filled, opened, caught = filling.facts["filled"], catching.facts["opened"], catching.facts["caught_up"]
    half = filling.rss[len(filling.rss) // 2 :]
    note = (
        f"no TCP; spool {filled['disk_mib']:.0f} MiB; filled at {filled['acknowledged'] / filled['seconds']:.0f}/s, "
        f"{filled['cpu_s'] / filled['acknowledged'] * 1e5:.2f} CPU s per 100,000; RSS {filling.rss[0]:.0f} MiB at the "
        f"start, {min(half):.0f} to {max(filling.rss):.0f} while it filled; killed, opened in {opened['opened_s']:.2f} "
        f"s, first answer after {opened['first_s']:.2f} s; caught up at {caught['records'] / caught['seconds']:.0f}/s, "
        f"{caught['cpu_s'] / caught['records'] * 1e5:.2f} CPU s per 100,000, RSS {opened['rss']:.0f} to "
        f"{max(catching.rss):.0f} MiB"
    )
    rss_kib = round(max(caught["peak"], *filling.rss) * 1024)
    problems = [] if opened["first_s"] < 1.0 else [f"accepted again only after {opened['first_s']:.2f} s"]
    return Result("outage", "aggregated", balance, time.monotonic() - began, rss_kib, note, problems)


async def _spawn(folder: Path, url: str, records: int, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.faults.outage", str(folder), url, str(records), *more),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )


async def _compare(kinesis: KinesisProcess, acknowledged: int) -> Balance:
    """In constant memory: the numbers of a device must come without a gap."""
    balance = Balance(sent=acknowledged, acknowledged=acknowledged)
    following: dict[str, int] = {}
    async for _, _, data in kinesis.stored():
        for one in bodies(binascii.a2b_base64(data)):
            record = orjson.loads(one)
            device, number = record["device_id"], record["metrics"]["n"]
            expected = following.get(device, 0)
            if number < expected:
                balance.repeated += 1
                continue
            balance.disordered += number > expected  # a gap: what is missing is lost, or comes too late
            following[device] = number + 1
            balance.arrived += 1
    balance.lost = max(0, acknowledged - balance.arrived)
    return balance


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.faults.outage", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("endpoint_url")
    parser.add_argument("records", type=int)
    parser.add_argument("--fill", action="store_true", help="puts records and waits to be killed")
    options = parser.parse_args()
    configure_logs("error", "json", sys.stderr)
    process = Process(options.folder, options.endpoint_url, options.records, 1 if options.fill else 2)
    uvloop.run(process.run(fill=options.fill))


if __name__ == "__main__":
    main()
