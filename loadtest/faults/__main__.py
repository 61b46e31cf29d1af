"""The fault runs, as a table: `python -m loadtest.faults`.

Each scenario starts its own gateway, fake Kinesis (processes) and fleet. Exit code 1 when an acknowledged frame was
lost, a frame of a device came out of order, or a run did not go as it should.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from loadtest.faults.balance import Balance
from loadtest.faults.outage import outage
from loadtest.faults.rig import PACKINGS, Plan, Result
from loadtest.faults.scenarios import SCENARIOS, run
from loadtest.faults.steps import every_step

_COLUMNS = (
    ("scenario", 15),
    ("packing", 11),
    ("sent", 9),
    ("acknowledged", 13),
    ("arrived", 9),
    ("lost", 5),
    ("out of order", 13),
    ("repeated", 9),
    ("resent", 7),
    ("s", 6),
    ("RSS MiB", 8),
)


def row(result: Result) -> str:
    balance = result.balance
    cells = (
        *(result.scenario, result.packing, balance.sent, balance.acknowledged, balance.arrived, balance.lost),
        *(balance.disordered, balance.repeated, balance.resent, round(result.seconds), result.rss_max_kib // 1024),
    )
    return "| " + " | ".join(str(cell) for cell in cells) + f" | {result.note} |"


def head() -> str:
    names = [name for name, _ in _COLUMNS]
    return "| " + " | ".join(names) + " | |\n|" + "---|" * (len(names) + 1)


async def _run_all(options: argparse.Namespace, folder: Path) -> list[Result]:
    results: list[Result] = []
    for name in options.scenario or [*SCENARIOS, "every_step", "outage"]:
        for start in _runs(name, options, folder):
            result = await start()
            results.append(result)
            print(row(result), flush=True)
            for problem in (*result.problems, *result.balance.examples):
                print(f"    {problem}", file=sys.stderr, flush=True)
    return results


def _runs(name: str, options: argparse.Namespace, folder: Path) -> list[Callable[[], Awaitable[Result]]]:
    """What a scenario consists of."""
    place = folder / name
    if name == "every_step":
        return [functools.partial(every_step, place, power_cut=cut) for cut in (False, True)]
    if name == "outage":
        return [functools.partial(outage, place, records=options.records)]
    return [functools.partial(run, name, plan) for plan in _plans(name, options, folder)]


def _plans(name: str, options: argparse.Namespace, folder: Path) -> list[Plan]:
    packings = options.packing or SCENARIOS[name].packings
    rounds = -(-options.rounds // len(packings))
    plans = []
    for packing in packings:
        place = folder / f"{name}-{packing}"
        place.mkdir()
        plans.append(Plan(place, packing, seconds=options.seconds, rounds=rounds, seed=options.seed))
    return plans


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.faults", description=__doc__.split("\n\n")[0])
    names = [*SCENARIOS, "every_step", "outage"]
    parser.add_argument("--scenario", action="append", choices=names, help="only this one; may be given again")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each fault lasts")
    parser.add_argument("--rounds", type=int, default=200, help="kills of kill9, over all packings")
    parser.add_argument("--records", type=int, default=3_600_000, help="of the outage")
    parser.add_argument("--packing", action="append", choices=PACKINGS, help="default: what the scenario is about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="say what the scenarios do, and end")
    options = parser.parse_args()
    if options.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:15} {scenario.says}")
        return 0
    print(head(), flush=True)
    with tempfile.TemporaryDirectory(prefix="iotlink-faults-") as folder:
        results = uvloop.run(_run_all(options, Path(folder)))
    total = Balance()
    for result in results:
        total.add(result.balance)
    failed = [result.scenario for result in results if not result.holds]
    print(
        f"\n{len(results)} runs: {total.acknowledged} acknowledged, {total.lost} lost, {total.disordered} out of "
        f"order, {total.repeated} repeated and known by (gateway_id, epoch, seq)"
    )
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
