"""What REST costs: `python -m loadtest.rest`.

Prints CPU seconds of the gateway's process per 100,000 records, the rate and the time until the answer, for records
sent alone and in batches over connections that stay open (JSON telemetry of about 120 bytes with an API key, decoded,
in spool and file sink), as medians of some rounds. After each round aiohttp alone gets the same requests (it reads them
and answers as many bytes): so much is the floor, and so fast was the machine meanwhile. Then come uploads of a body
larger than the gateway's memory should ever be, as NDJSON and as CSV, with its memory before, at most, and after. Every
answer is checked, every line must be accounted for, and the files must hold a record of every line that was accepted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from loadtest.ends import ENDS
from loadtest.faults.processes import RunFailed
from loadtest.rest.floor import FloorProcess
from loadtest.rest.loads import LOADS, Load, LoadFailed, Played, Uploaded, run, upload
from loadtest.rest.server import RestGateway
from loadtest.rest.telemetry import CSV, NDJSON, PRODUCT, Table

_WARM_UP = 2_000
_MIB = 1 << 20
_TABLES = {"ndjson": NDJSON, "csv": CSV}


@dataclass(slots=True)
class Series:
    """What the rounds of one load came to."""

    cpu_s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def add(self, played: Played, cpu_s: float) -> None:
        """One round."""
        self.cpu_s.append(cpu_s / played.records * 100_000)
        self.rates.append(played.records / played.seconds)
        self.p50_ms.append(played.percentile(50))
        self.p99_ms.append(played.percentile(99))


class Bench:
    """sent: records that the gateway has taken since its start."""

    def __init__(self, gateway: RestGateway, floor: FloorProcess) -> None:
        self._gateway = gateway
        self._floor = floor
        self.sent = 0

    async def measure(self, load: Load, records: int, rounds: int) -> str:
        """Two lines of the table: the gateway's, and that of aiohttp alone."""
        await self._play(load, min(records, _WARM_UP), Series())
        series, floor = Series(), Series()
        for _ in range(rounds):
            await self._play(load, records, series)
            await self._play_floor(load, records, floor)
        aim = f"{load.aim:g}" if load.aim is not None else ""
        return _row(load.says, aim, series) + "\n" + _row("- the same to bare aiohttp", "", floor)

    async def _play(self, load: Load, records: int, series: Series) -> None:
        """One round, until every record is in the files."""
        gateway = self._gateway
        before = gateway.cpu_s()
        played = await run(gateway.address, gateway.key, load, _whole_batches(load, records), self.sent)
        self.sent += played.records
        await gateway.kept(self.sent)
        series.add(played, gateway.cpu_s() - before)

    async def _play_floor(self, load: Load, records: int, series: Series) -> None:
        floor = self._floor
        before = floor.cpu_s()
        played = await run(floor.address, self._gateway.key, load, _whole_batches(load, records))
        series.add(played, floor.cpu_s() - before)

    async def upload(self, table: Table, size: int, broken_every: int) -> str:
        """A line of the table of uploads. RunFailed: not every line is accounted for."""
        gateway = self._gateway
        before = gateway.cpu_s()
        path = f"/v1/telemetry?product={PRODUCT}"
        done = await upload(gateway.address, gateway.key, table, size, broken_every, gateway.rss_kib, path)
        check_lines(done)
        self.sent += done.lines - done.broken
        await gateway.kept(self.sent)
        cpu_s = gateway.cpu_s() - before
        rss = " | ".join(f"{kib / 1024:.0f}" for kib in done.rss_kib)
        return (
            f"| {table.name} | {done.size / _MIB:.0f} | {done.lines} | {done.answer['accepted']} | "
            f"{done.answer['rejected']} | {rss} | {done.size / _MIB / done.seconds:.1f} | "
            f"{cpu_s / done.lines * 100_000:.2f} |"
        )


def check_lines(done: Uploaded) -> None:
    """Every line is accepted or broken, as it was sent. RunFailed: it is not."""
    answer = done.answer
    if (answer["accepted"], answer["rejected"]) != (done.lines - done.broken, done.broken):
        raise RunFailed(f"{done.lines} lines, {done.broken} of them broken, were answered as {str(answer)[:300]}")
    if len(answer["errors"]) != min(done.broken, 1_000) or answer["errors_truncated"] != (done.broken > 1_000):
        raise RunFailed(f"{done.broken} broken lines were answered with {len(answer['errors'])} errors")


def _whole_batches(load: Load, records: int) -> int:
    return max(1, records // load.batch) * load.batch


def _row(name: str, aim: str, series: Series) -> str:
    figures = (_median(series.cpu_s), aim, f"{statistics.median(series.rates):.0f}")
    return "| " + " | ".join((name, *figures, _median(series.p50_ms), _median(series.p99_ms))) + " |"


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}"


async def _measure(options: argparse.Namespace, folder: Path) -> None:
    async with RestGateway(folder, options.to).run() as gateway, FloorProcess() as floor:
        bench = Bench(gateway, floor)
        if options.rounds:
            print("| load | CPU s per 100,000 | at most | records/s | answer p50 ms | p99 ms |")
            print("|---|---|---|---|---|---|", flush=True)
            for name in options.load or LOADS:
                print(await bench.measure(LOADS[name], options.records, options.rounds), flush=True)
        if options.upload_mb:
            print(
                "\n| upload | MiB | lines | accepted | rejected | RSS before, MiB | most | after | MiB/s "
                "| CPU s per 100,000 |"
            )
            print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
            for name in options.upload or _TABLES:
                size = round(options.upload_mb * 1_000_000)
                print(await bench.upload(_TABLES[name], size, options.broken_every), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.rest", description=__doc__.split("\n\n")[0])
    parser.add_argument("--load", action="append", choices=list(LOADS), help="only this one; may be given again")
    parser.add_argument("--to", choices=ENDS, default="file", help="where the records end (default %(default)s)")
    parser.add_argument("--records", type=int, default=50_000, help="of one round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s; 0 leaves the loads out")
    parser.add_argument("--upload", action="append", choices=list(_TABLES), help="only this one")
    parser.add_argument("--upload-mb", type=float, default=1_000, help="default %(default)s; 0 leaves uploads out")
    parser.add_argument("--broken-every", type=int, default=100_000, help="one line in so many is broken; 0: none")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="iotlink-rest-") as folder:
            uvloop.run(_measure(options, Path(folder)))
    except (LoadFailed, RunFailed, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
