"""CPU of delivery to Kinesis per 100,000 records, by packing, with the shares of queue, packing and sending.

    python tests/benchmarks/bench_delivery.py [--records 100000] [--rate 10000] [--devices 5000] [--delay-ms 30]

The record is that of a gt06 location frame, decoded and shaped as `iotlink serve` does it. The fake Kinesis is a
process of its own; only the CPU of this process counts (user + system). Records are put in ticks of 5 ms at the rate;
what that loop costs without a sender is taken off. Queue and packing are measured by themselves, over the same records
in parcels and requests of the size that the run had; sending is the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from gateway.cli.serve import GC_THRESHOLD
from gateway.delivery.backoff import Backoff
from gateway.delivery.lanes import Entry, Parcel
from gateway.delivery.pacing import Pacing
from gateway.delivery.sender import Sender
from gateway.delivery.sinks import EntryFailure
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.delivery.sinks.packings import Aggregated, Ndjson, Packing, Plain
from gateway.domain.record import Record
from gateway.observe.logs import configure_logs
from gateway.observe.metrics import Metrics

TICK_S = 0.005
PACKINGS: dict[str, Callable[[], Packing]] = {"plain": Plain, "aggregated": Aggregated, "ndjson": Ndjson}
FRAME = "78781f12120b1e0c1e0dd0024bb93007d3fb783dd4c501940500f2006c8504a6"
IMEI = "860000000000000"


def location_record() -> Record:
    """The record of a gt06 location frame with one cell."""
    from decoders.checksum import checksum
    from decoders.framing.framer import cut
    from decoders.types import SessionContext
    from gateway.devices.directory import FileDirectory
    from gateway.domain.device import Device, DeviceKey
    from gateway.domain.receipt import Receipt
    from gateway.domain.uplink import Uplink
    from gateway.pipeline.shape import Numbering, Shaper
    from gateway.specs import load_catalog

    product = load_catalog(only=["concox_gt06"]).find("concox_gt06").product
    assert product is not None
    body = bytes.fromhex(FRAME[4:])
    wire = b"\x78\x78" + body + checksum("crc16_x25").function(body).to_bytes(2, "big") + b"\x0d\x0a"
    decoded = product.decode(cut(product.framing, wire), SessionContext(IMEI))
    device = Device(DeviceKey("", IMEI))
    uplink_id = "019c0000-0000-7000-8000-000000000000"
    uplink = Uplink(uplink_id, wire, 1_772_366_400_123, product, device, Receipt(), "l", "s", decoded=decoded)
    made = Shaper(Numbering("gateway-1", 1_767_225_600_000, 1_000_000), "prd", FileDirectory()).shape(uplink)
    assert isinstance(made, list)
    return made[0]


def records(count: int, devices: int) -> Iterator[Record]:
    """So many records of so many devices in turn."""
    one = location_record()
    names = [f"{int(IMEI) + n}" for n in range(devices)]
    bodies = [one.body.replace(IMEI.encode(), name.encode()) for name in names]
    for n in range(count):
        yield Record(one.record_id, one.type, one.product, names[n % devices], bodies[n % devices], one.received_ms)


class Tally:
    """Owner of the entries: counts them."""

    def __init__(self, expected: int) -> None:
        self.left = expected
        self.done = asyncio.Event()

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        self.left -= len(entries)
        if not self.left:
            self.done.set()

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        raise RuntimeError(f"{code}: {detail}")


class CountingSink(KinesisSink):
    parcels = 0

    async def send(self, parcels: Sequence[Parcel]) -> Sequence[EntryFailure | None] | None:
        self.parcels += len(parcels)
        return await super().send(parcels)


async def pace(entries: Sequence[Entry], rate: float, put: Callable[[Sequence[Entry], int], None]) -> None:
    start = time.monotonic()
    sent = 0
    while sent < len(entries):
        due = min(len(entries), int((time.monotonic() - start + TICK_S) * rate))
        for entry in entries[sent:due]:  # as uplinks arrive: one by one
            put((entry,), len(entry[0].body))
        sent = due
        await asyncio.sleep(TICK_S)


@dataclass
class Figures:
    seconds: float
    cpu_s: float
    queue_s: float
    packing_s: float
    requests: int
    parcels: int


async def measure(options: argparse.Namespace, packing: Packing, url: str) -> Figures:
    entries: list[Entry] = [(record, n) for n, record in enumerate(records(options.records, options.devices))]
    sink = CountingSink("main", "telemetry", packing=packing, region="us-east-1", endpoint_url=url)
    sender = Sender(sink, Metrics(), backoff=Backoff(0.1, 5))
    await sender.start()
    tally = Tally(len(entries))
    task = asyncio.create_task(sender.run(tally))
    gc.collect()
    gc.set_threshold(GC_THRESHOLD)
    gc.freeze()  # a gateway does not hold all these records: they should not be looked at again and again
    start, cpu = time.monotonic(), time.process_time()
    if options.rate:
        await pace(entries, options.rate, sender.put)
    else:
        sender.put(entries, sum(len(record.body) for record, _ in entries))
    await tally.done.wait()
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    task.cancel()
    await asyncio.wait((task,))
    await sink.close()
    if options.rate:
        cpu_idle = time.process_time()
        await pace(entries, options.rate, lambda entry, size: None)
        cpu -= time.process_time() - cpu_idle
    requests = sender.counters.requests
    queue_s, packing_s = alone(packing, entries, requests)
    return Figures(seconds, cpu, queue_s, packing_s, requests, sink.parcels)


def alone(packing: Packing, entries: Sequence[Entry], requests: int) -> tuple[float, float]:
    """CPU of queue and packing for these entries in about so many requests."""
    queue, pacing = packing.new_queue(), Pacing()
    each = -(-len(entries) // requests)
    queue_s = packing_s = 0.0
    for first in range(0, len(entries), each):
        some = entries[first : first + each]
        started = time.process_time()
        for entry in some:
            queue.put((entry,), len(entry[0].body))
        parcels = queue.take(500, 4_500_000, pacing, 0.0)
        queue.done(parcels)
        packed = time.process_time()
        for parcel in parcels:
            packing.entry(parcel)
        packing_s += time.process_time() - packed
        queue_s += packed - started
    return queue_s, packing_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=10_000, help="records per second; 0: all at once")
    parser.add_argument("--devices", type=int, default=5000)
    parser.add_argument("--delay-ms", type=float, default=30, help="before each answer of the stream")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--limits", action="store_true", help="the stream holds the limits of its shards")
    parser.add_argument("--packing", action="append", choices=sorted(PACKINGS), help="default: all")
    options = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", AWS_EC2_METADATA_DISABLED="true")
    configure_logs("error", "json", sys.stderr)
    command = [sys.executable, "-m", "loadtest.fake_kinesis", "--stream", "telemetry"]
    command += ["--shards", str(options.shards), "--delay-ms", str(options.delay_ms)]
    command += ["--limits"] if options.limits else []
    size = len(next(records(1, 1)).body)
    print(f"{options.records} records of {size} bytes, {options.devices} devices, {options.rate:.0f}/s", flush=True)
    print("| packing | records/s | requests | Kinesis records | CPU s per 100,000 | queue | packing | sending |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.packing or PACKINGS:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as fake:
            assert fake.stdout is not None
            answer: dict[str, Any] = json.loads(fake.stdout.readline())
            try:
                figures = uvloop.run(measure(options, PACKINGS[name](), answer["endpoint_url"]))
            finally:
                fake.terminate()
        scale = 100_000 / options.records
        cpu, queue, packing = (scale * s for s in (figures.cpu_s, figures.queue_s, figures.packing_s))
        print(
            f"| {name} | {options.records / figures.seconds:.0f} | {figures.requests} | {figures.parcels} "
            f"| {cpu:.2f} | {queue:.2f} | {packing:.2f} | {cpu - queue - packing:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
