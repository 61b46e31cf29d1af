"""CPU of the spool per 100,000 records, and how long an acknowledgement takes.

    python -m tests.benchmarks.bench_spool [--records 100000] [--rate 10000] [--devices 5000] [--dir DIR] [--keep-up]

The record is that of a gt06 location frame. Records are put one by one in ticks of 1 ms at the rate; what that loop
costs without a spool is taken off. Only CPU of this process counts (all threads, user + system). With `--keep-up` a
sink's cursor is moved as well and segments are deleted, as in normal operation.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from gateway.delivery.spool.spool import Cursor, Put, Spool
from gateway.domain.errors import RefuseReason
from gateway.domain.record import Record
from gateway.observe.metrics import SpoolCounters
from tests.benchmarks.bench_delivery import records

TICK_S = 0.001
TARGETS = (("main",),)


class Owner:
    """Notes how long each put took; the ticket is when it was made."""

    def __init__(self, expected: int, spool: Spool, cursor: Cursor | None) -> None:
        self.left = expected
        self.seconds: list[float] = []
        self.done = asyncio.Event()
        self._spool = spool
        self._cursor = cursor

    def committed(self, batch: Sequence[Put]) -> None:
        now = time.perf_counter()
        self.seconds += [now - put.ticket for put in batch]
        if self._cursor is not None:
            self._cursor.delivered([put.sequence for put in batch])
            self._spool.release(self._cursor.low)
        self.left -= len(batch)
        if not self.left:
            self.done.set()

    def not_committed(self, batch: Sequence[Put], reason: RefuseReason) -> None:
        raise RuntimeError(reason.value)


async def pace(items: Sequence[Record], rate: float, put: Callable[[Record], None]) -> None:
    start = time.monotonic()
    sent = 0
    while sent < len(items):
        due = min(len(items), int((time.monotonic() - start + TICK_S) * rate))
        for item in items[sent:due]:
            put(item)
        sent = due
        await asyncio.sleep(TICK_S)


async def measure(options: argparse.Namespace, directory: Path) -> None:
    items = list(records(options.records, options.devices))
    counters = SpoolCounters()
    spool = Spool(
        directory,
        counters,
        max_bytes=4 << 30,
        segment_bytes=32 << 20,
        commit_interval_max_ms=options.interval_ms,
        keepers={},
    )
    await spool.start()
    owner = Owner(len(items), spool, spool.cursor("main") if options.keep_up else None)
    task = asyncio.create_task(spool.run(owner))

    def into_spool(record: Record) -> None:
        refusal = spool.put(Put((record,), TARGETS, (), time.perf_counter()))
        if refusal is not None:
            raise RuntimeError(refusal.value)

    def nowhere(record: Record) -> None:
        Put((record,), TARGETS, (), time.perf_counter())

    started, cpu = time.monotonic(), time.process_time()
    await pace(items, options.rate, into_spool)
    await owner.done.wait()
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    task.cancel()
    await asyncio.wait((task,))
    await spool.close()
    idle = time.process_time()
    await pace(items, options.rate, nowhere)
    idle = time.process_time() - idle
    taken = sorted(owner.seconds)
    p50, p99 = (taken[len(taken) * part // 100] * 1000 for part in (50, 99))
    share = 100_000 / len(items)
    print(
        f"{len(items) / seconds:,.0f} records/s, {len(items[0].body)} bytes each; {counters.commits} commits; "
        f"CPU s per 100,000: {(cpu - idle) * share:.2f} (loop without spool {idle * share:.2f}); "
        f"acknowledged after p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--devices", type=int, default=5_000)
    parser.add_argument("--interval-ms", type=float, default=5.0)
    parser.add_argument("--dir", type=Path, default=None, help="on the disk that is measured")
    parser.add_argument("--keep-up", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        uvloop.run(measure(options, Path(directory) / "gw"))


if __name__ == "__main__":
    main()
