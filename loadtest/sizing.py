"""Sizes an installation on paper: tasks, spool, shards, and the Kinesis bill of `plain` beside `aggregated`.

    python -m loadtest.sizing --devices 100000 --every 30 [--shard-hour USD --million-puts USD]

What is measured goes in as defaults (docs/sizing.md says from where), what is yours as options. Prices have no default.
The limits of shards, stripes and aggregated records are those of the gateway's own code.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.delivery.kpl import aggregate
from gateway.delivery.pacing import BYTES_PER_S, RECORDS_PER_S
from gateway.delivery.sinks.packings import PARCEL_BYTES
from gateway.delivery.stripes import STRIPES, Stripes
from gateway.domain.record import Record, RecordType

FLEETS = (1_000, 10_000, 100_000, 1_000_000)
MIN_TASKS = 2
"""One may go at any time."""

_HOURS = 730  # in a month, as AWS counts it
_PAYLOAD_UNIT = 25 * 1024
_BILLED_STEP = 1024  # on-demand: each record counts as full KB
_GIB = 1024**3


@dataclass(slots=True, frozen=True)
class Load:
    """What one task can do, and what devices send.

    every_s: between two frames of a device, each making one record of `record_bytes`. peak: highest rate, by the mean.
    frames_per_task, sessions_per_task: most that a task is to take. requests_per_s: of a task to the stream, packed.
    """

    every_s: float = 60.0
    record_bytes: int = 687
    peak: float = 2.0
    frames_per_task: float = 5_000.0
    sessions_per_task: int = 20_000
    requests_per_s: float = 20.0


@dataclass(slots=True, frozen=True)
class Prices:
    """USD; None: not known, so not counted. shard_hour, million_puts: provisioned. stream_hour, gb_in: on demand."""

    shard_hour: float | None = None
    million_puts: float | None = None
    stream_hour: float | None = None
    gb_in: float | None = None


@dataclass(slots=True, frozen=True)
class Packing:
    """A stream under one packing. shards: at the peak. million_puts (payload units), gb_in: billed in a month."""

    shards: int
    million_puts: float
    gb_in: float

    def provisioned(self, prices: Prices) -> float | None:
        if prices.shard_hour is None or prices.million_puts is None:
            return None
        return self.shards * _HOURS * prices.shard_hour + self.million_puts * prices.million_puts

    def on_demand(self, prices: Prices) -> float | None:
        if prices.stream_hour is None or prices.gb_in is None:
            return None
        return _HOURS * prices.stream_hour + self.gb_in * prices.gb_in


@dataclass(slots=True, frozen=True)
class Size:
    """An installation. frames_per_s: the mean. spool_bytes_per_s: of all tasks, at the peak."""

    devices: int
    frames_per_s: float
    tasks: int
    spool_bytes_per_s: float
    plain: Packing
    aggregated: Packing

    def spool_gib(self, hours: float) -> float:
        """What a task's spool takes while the stream is away for so long, at the peak."""
        return self.spool_bytes_per_s / self.tasks * hours * 3600 / _GIB


def size(devices: int, load: Load) -> Size:
    """For so many devices that stay connected."""
    mean = devices / load.every_s
    peak = mean * load.peak
    tasks = max(MIN_TASKS, math.ceil(peak / load.frames_per_task), math.ceil(devices / load.sessions_per_task))
    return Size(
        devices,
        mean,
        tasks,
        peak * load.record_bytes,
        _packing(_plain(peak, load), _plain(mean, load)),
        _packing(_aggregated(peak / tasks, load).times(tasks), _aggregated(mean / tasks, load).times(tasks)),
    )


@dataclass(slots=True, frozen=True)
class _Flow:
    """Of Kinesis records, a second. billed: bytes as on-demand counts them."""

    records: float = 0.0
    bytes: float = 0.0
    units: float = 0.0
    billed: float = 0.0

    def __add__(self, other: _Flow) -> _Flow:
        return _Flow(
            self.records + other.records,
            self.bytes + other.bytes,
            self.units + other.units,
            self.billed + other.billed,
        )

    def times(self, number: float) -> _Flow:
        return _Flow(self.records * number, self.bytes * number, self.units * number, self.billed * number)


def _record(length: int) -> _Flow:
    return _Flow(1, length, math.ceil(length / _PAYLOAD_UNIT), math.ceil(length / _BILLED_STEP) * _BILLED_STEP)


def _plain(records_per_s: float, load: Load) -> _Flow:
    return _record(load.record_bytes).times(records_per_s)


def _aggregated(records_per_s: float, load: Load) -> _Flow:
    """Of one task. A request holds what each stripe has by then: Poisson, as devices are spread over the stripes."""
    mean = records_per_s / load.requests_per_s / STRIPES
    alone = _aggregate_of(1, load).bytes
    further = _aggregate_of(2, load).bytes - alone
    in_parcel = 1 + max(0, int((PARCEL_BYTES - alone) // further))
    flow, chance = _Flow(), math.exp(-mean)
    for number in range(1, math.ceil(mean + 10 * math.sqrt(mean) + 10)):
        chance *= mean / number
        full, rest = divmod(number, in_parcel)
        parcels = _aggregate_of(in_parcel, load).times(full) if full else _Flow()
        flow += (parcels + _aggregate_of(rest, load) if rest else parcels).times(chance)
    return flow.times(load.requests_per_s * STRIPES)


@lru_cache
def _aggregate_of(records: int, load: Load) -> _Flow:
    """Of different devices with names of 15 digits: less can be shared in no parcel."""
    body = bytes(load.record_bytes)
    each = [Record("", RecordType.TELEMETRY, "", f"{number:015}", body, 0) for number in range(records)]
    return _record(len(aggregate(each, Stripes().hash_keys[-1])))


def _packing(peak: _Flow, mean: _Flow) -> Packing:
    shards = max(1, math.ceil(peak.records / RECORDS_PER_S), math.ceil(peak.bytes / BYTES_PER_S))
    month_s = _HOURS * 3600
    return Packing(shards, mean.units * month_s / 1e6, mean.billed * month_s / _GIB)


def table(sizes: Sequence[Size], prices: Prices, outage_h: float) -> list[str]:
    """Lines of Markdown. `a / b`: plain and aggregated."""
    heads = ["devices", "frames/s", "tasks", "spool MB/s", f"spool GiB a task, {outage_h:g} h"]
    heads += ["shards", "million PUT units a month", "GB in a month"]
    bills = [
        (f"USD a month, {name}", [(one.plain, one.aggregated) for one in sizes], bill)
        for name, bill in (("provisioned", Packing.provisioned), ("on demand", Packing.on_demand))
        if bill(sizes[0].plain, prices) is not None
    ]
    rows = [
        [
            f"{one.devices:,}",
            f"{one.frames_per_s:,.0f}",
            f"{one.tasks}",
            f"{one.spool_bytes_per_s / 1e6:,.2f}",
            f"{one.spool_gib(outage_h):.2f}",
            f"{one.plain.shards} / {one.aggregated.shards}",
            f"{one.plain.million_puts:,.0f} / {one.aggregated.million_puts:,.0f}",
            f"{one.plain.gb_in:,.0f} / {one.aggregated.gb_in:,.0f}",
            *(" / ".join(f"{bill(packing, prices):,.0f}" for packing in pairs[at]) for _, pairs, bill in bills),
        ]
        for at, one in enumerate(sizes)
    ]
    heads += [name for name, _, _ in bills]
    return ["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)]


def _arguments() -> argparse.ArgumentParser:
    usual = Load()
    parser = argparse.ArgumentParser(prog="python -m loadtest.sizing", description="Sizes an installation on paper.")
    add = parser.add_argument
    add("--devices", type=_count, action="append", help="that stay connected; may be given again")
    add("--every", type=_positive, default=usual.every_s, help="s between two frames of a device (default %(default)g)")
    add("--record-bytes", type=_count, default=usual.record_bytes, help="of a record (default %(default)s)")
    add("--peak", type=_positive, default=usual.peak, help="highest rate by the mean (default %(default)g)")
    add("--frames-per-task", type=_positive, default=usual.frames_per_task, help="a second (default %(default)g)")
    add("--sessions-per-task", type=_count, default=usual.sessions_per_task, help="default %(default)s")
    add("--requests-per-s", type=_positive, default=usual.requests_per_s, help="of a task (default %(default)g)")
    add("--outage-hours", type=_positive, default=1.0, help="that the spool shall hold (default %(default)g)")
    prices = parser.add_argument_group("prices of the region, USD; what is not given is not counted")
    for name, what in (
        ("shard-hour", "provisioned: an hour of a shard"),
        ("million-puts", "provisioned: a million PUT payload units"),
        ("stream-hour", "on demand: an hour of a stream"),
        ("gb-in", "on demand: a GB written"),
    ):
        prices.add_argument(f"--{name}", type=_positive, metavar="USD", help=what)
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    options = _arguments().parse_args(arguments)
    load = Load(
        options.every,
        options.record_bytes,
        options.peak,
        options.frames_per_task,
        options.sessions_per_task,
        options.requests_per_s,
    )
    prices = Prices(options.shard_hour, options.million_puts, options.stream_hour, options.gb_in)
    sizes = [size(devices, load) for devices in options.devices or FLEETS]
    print("\n".join(table(sizes, prices, options.outage_hours)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
