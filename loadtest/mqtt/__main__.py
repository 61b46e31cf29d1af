"""What MQTT costs: `python -m loadtest.mqtt`.

Prints CPU seconds of the broker's process per 100,000 messages, the rate and the time until the answer, for the gateway
(JSON telemetry of 100 bytes, decoded, in spool and file sink) and mosquitto (no subscriber, keeps nothing), in turn in
one run, as medians of some rounds; then the rate of connects and the memory of an idle connection. Every answer is
checked, and the gateway must have a record of every message. `--host` and `--port` measure another broker, whose CPU
and memory are known with `--pid`.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from loadtest.ends import ENDS
from loadtest.faults.processes import RunFailed
from loadtest.mqtt.loads import LOADS, Crowd, Load, LoadFailed, run
from loadtest.mqtt.servers import Server, cpu_s, rss_kib, servers

_WARM_UP = 4_000
_MAX_IDLE_KIB = 8.0
_MIN_CONNECTS = 3_000.0


@dataclass(slots=True)
class Series:
    """What the rounds of one load on one server came to."""

    cpu_s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


class Bench:
    """kept: messages that each server has taken since its start."""

    def __init__(self, found: list[Server]) -> None:
        self.servers = found
        self._kept = dict.fromkeys((server.name for server in found), 0)

    async def play(self, server: Server, load: Load, messages: int, series: Series | None) -> None:
        """One round of one load, until everything is where the server keeps it."""
        before = cpu_s(server.pid) if server.pid else 0.0
        played = await run(server.address, load, messages)
        self._kept[server.name] += played.messages
        await server.kept(self._kept[server.name])
        if series is None:
            return
        if server.pid:
            series.cpu_s.append((cpu_s(server.pid) - before) / played.messages * 100_000)
        series.rates.append(played.messages / played.seconds)
        for part, into in ((50, series.p50_ms), (99, series.p99_ms)):
            waited = played.percentile(part)
            if waited is not None:
                into.append(waited)

    async def measure(self, load: Load, messages: int, rounds: int) -> None:
        """A line per server: the rounds interleaved, so that all see the same machine."""
        found = {server.name: Series() for server in self.servers}
        for server in self.servers:
            await self.play(server, load, min(messages, _WARM_UP), None)
        for _ in range(rounds):
            for server in self.servers:
                await self.play(server, load, messages, found[server.name])
        for name, series in found.items():
            print(_row(load, name, series), flush=True)

    async def hold(self, count: int, rounds: int) -> None:
        """Connects that say nothing; memory is that of the first round, which the process had to find."""
        print("\n| server | connects/s | CPU s per 10,000 connects | memory of an idle connection, KiB |")
        print("|---|---|---|---|")
        found: dict[str, tuple[list[float], list[float], list[float]]] = {}
        for turn in range(rounds):
            for server in self.servers:
                rates, used, idle = found.setdefault(server.name, ([], [], []))
                cpu, memory = (cpu_s(server.pid), rss_kib(server.pid)) if server.pid else (0.0, 0)
                crowd = Crowd()
                try:
                    await crowd.connect(server.address, count)
                    rates.append(count / crowd.seconds)
                    if server.pid:
                        used.append((cpu_s(server.pid) - cpu) / count * 10_000)
                        idle += [(rss_kib(server.pid) - memory) / count] if turn == 0 else []
                    if crowd.lost_reasons:
                        raise LoadFailed(f"{server.name}: {crowd.lost_reasons[0]}")
                finally:
                    crowd.leave()
        for name, (rates, used, idle) in found.items():
            print(f"| {name} | {statistics.median(rates):.0f} | {_median(used)} | {_median(idle, 1)} |", flush=True)
        print(f"\nasked of the gateway: {_MIN_CONNECTS:.0f} connects/s, {_MAX_IDLE_KIB:.0f} KiB")


def _row(load: Load, server: str, series: Series) -> str:
    aim = f"{load.aim:g}" if load.aim is not None and server == "gateway" else ""
    figures = (_median(series.cpu_s), aim, f"{statistics.median(series.rates):.0f}")
    return "| " + " | ".join((load.says, server, *figures, _median(series.p50_ms), _median(series.p99_ms))) + " |"


def _median(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f}" if values else "-"


async def _measure(options: argparse.Namespace, folder: Path) -> None:
    broker = (options.host, options.port) if options.port else None
    async with contextlib.AsyncExitStack() as running:
        found: list[Server] = [
            await running.enter_async_context(server.run())
            for server in servers(folder, broker, options.pid, options.to)
        ]
        bench = Bench(found)
        if options.idle and not options.load:  # first, while the processes are small
            for server in found:
                await bench.play(server, LOADS["qos1"], _WARM_UP, None)
            await bench.hold(options.idle, options.rounds)
            print()
        print("| load | server | CPU s per 100,000 | at most | messages/s | answer p50 ms | p99 ms |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for name in options.load or LOADS:
            await bench.measure(LOADS[name], options.messages, options.rounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.mqtt", description=__doc__.split("\n\n")[0])
    parser.add_argument("--load", action="append", choices=list(LOADS), help="only this one; may be given again")
    parser.add_argument("--messages", type=int, default=100_000, help="of one round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--idle", type=int, default=5_000, help="idle connections; 0 leaves them out")
    parser.add_argument(
        "--to", choices=ENDS, default="file", help="where the gateway's records end (default %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="of a broker that runs already")
    parser.add_argument("--port", type=int, help="of a broker that runs already; it is then measured alone")
    parser.add_argument("--pid", type=int, default=0, help="of that broker, for its CPU and memory")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with tempfile.TemporaryDirectory(prefix="iotlink-mqtt-") as folder:
            uvloop.run(_measure(options, Path(folder)))
    except (LoadFailed, RunFailed, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
