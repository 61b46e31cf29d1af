"""Simulated fleets against a gateway: `python -m loadtest.fleet run steady`.

Starts the gateway (a process of its own), plays a scenario, checks that every acknowledged frame is in the sink, and
writes a report. Exit code 1 when the balance does not hold or the run did not go as it should (with `--strict` also
when an aim was missed), 2 for a wrong command line or scenario.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import uvloop

from decoders.catalog import Catalog, UnknownProduct
from decoders.errors import SpecError
from gateway.specs import ProofMemory, cache_dir, load_catalog, prove_once
from loadtest.faults.processes import RunFailed
from loadtest.fleet.ladder import Rung, climb, table
from loadtest.fleet.limits import NotAllowed
from loadtest.fleet.model import Scenario
from loadtest.fleet.outcome import Outcome
from loadtest.fleet.paths import FACES, SINKS, Way, head, measure
from loadtest.fleet.report import html
from loadtest.fleet.runner import Others, run
from loadtest.fleet.scenario import Changes, UnknownScenario, change, find, names, schema
from loadtest.fleet.speech import NothingToSay

EXIT_FAILED = 1
EXIT_USAGE = 2


def _catalog() -> Catalog:
    catalog = load_catalog()
    prove_once(catalog, ProofMemory(cache_dir(os.environ)))
    return catalog


def _scenario(options: argparse.Namespace) -> Scenario:
    changes = Changes(options.rate, options.seconds, options.devices, options.idle, options.sink, options.seed)
    return change(find(options.scenario), changes)


def _others(options: argparse.Namespace) -> Others | None:
    """Gateways that somebody else has started, if any are named. ValueError: no address."""
    addresses = {}
    for face in ("tcp", "mqtt", "rest"):
        if text := getattr(options, face):
            host, colon, port = text.rpartition(":")
            if not colon or not port.isdecimal():
                raise ValueError(f"--{face}: host:port is expected, not `{text}`")
            addresses[face] = (host, int(port))
    if not addresses:
        return None
    key = options.key_file.read_text("utf-8").strip() if options.key_file else ""
    return Others(addresses, key, options.records, options.allow_remote)


def _play(options: argparse.Namespace) -> int:
    scenario, others = _scenario(options), _others(options)
    catalog = _catalog()
    with tempfile.TemporaryDirectory(prefix="iotlink-load-", dir=options.work_dir) as folder:
        outcome = uvloop.run(run(scenario, catalog, Path(folder), others))
    _show(outcome)
    _write(outcome, options.report)
    missed = options.strict and not all(aim.met for aim in outcome.aims)
    return 0 if outcome.holds and not missed else EXIT_FAILED


def _show(outcome: Outcome) -> None:
    print(f"{outcome.scenario.scenario}: {outcome.scenario.title}")
    for name, value in outcome.figures():
        print(f"  {name:26} {value}")
    for aim in outcome.aims:
        found = "-" if aim.found is None else f"{aim.found:g}"
        print(f"  {'met   ' if aim.met else 'MISSED'}  {aim.what}: {found}, at most {aim.wanted:g}")
    for one in outcome.happened:
        until = "" if one.until_s is None else f" until {one.until_s:.1f} s"
        print(f"  at {one.at_s:.1f} s{until}: {one.what}")
    for name, counts in outcome.counts.items():
        print(f"  {name}: " + ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in counts.items() if value))
    for error, count in outcome.errors.items():
        print(f"  {count} times: {error}")
    for problem in (*outcome.problems, *outcome.balance.examples):
        print(f"  PROBLEM: {problem}")
    print("the balance holds" if outcome.holds else "THE BALANCE DOES NOT HOLD")


def _write(outcome: Outcome, path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(outcome), "utf-8")
    plain = path.with_suffix(".json")
    plain.write_text(json.dumps(outcome.to_plain(), indent=1), "utf-8")
    print(f"report: {path}, figures: {plain}")


def _climb(options: argparse.Namespace) -> int:
    scenario = _scenario(options)
    catalog = _catalog()
    print(table([]), flush=True)

    def tell(rung: Rung) -> None:
        print(rung.row(), flush=True)

    with tempfile.TemporaryDirectory(prefix="iotlink-load-", dir=options.work_dir) as folder:
        rungs = uvloop.run(
            climb(scenario, catalog, Path(folder), options.start, options.step, options.limit_ms, options.rungs, tell)
        )
    highest = max((rung.rate for rung in rungs if rung.held), default=0.0)
    print(f"highest steady rate that held: {highest:.0f}/s")
    return 0 if all(rung.outcome.holds for rung in rungs) else EXIT_FAILED


def _measure(options: argparse.Namespace) -> int:
    catalog = _catalog()
    print(head(), flush=True)

    def tell(way: Way, outcome: Outcome) -> None:
        print(way.row(outcome), flush=True)

    faces: list[str] = options.face or list(FACES)
    sinks: list[str] = options.to or list(SINKS)
    rates: list[float] = options.rate or [5_000.0, 10_000.0]
    with tempfile.TemporaryDirectory(prefix="iotlink-load-", dir=options.work_dir) as folder:
        held = uvloop.run(measure(faces, sinks, rates, options.seconds, catalog, Path(folder), tell))
    return 0 if held else EXIT_FAILED


def _list(options: argparse.Namespace) -> int:
    for name in names():
        print(f"{name:10} {find(name).title}")
    return 0


def _check(options: argparse.Namespace) -> int:
    scenario = find(options.scenario)
    print(scenario.model_dump_json(indent=2))
    return 0


def _schema(options: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtest.fleet", description=__doc__.split("\n\n")[1])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    play = commands.add_parser("run", help="play a scenario")
    _add_changes(play)
    play.add_argument("--report", type=Path, metavar="FILE.html", help="write a report, and its figures beside it")
    play.add_argument("--strict", action="store_true", help="exit code 1 also when an aim was missed")
    outside = play.add_argument_group("gateways that run already, instead of one for the run")
    for face in ("tcp", "mqtt", "rest"):
        outside.add_argument(f"--{face}", metavar="HOST:PORT", help=f"where {face.upper()} is taken")
    outside.add_argument("--records", type=Path, action="append", default=[], help="folder of a file sink, to compare")
    outside.add_argument("--key-file", type=Path, help="file with the API key of the REST clients")
    outside.add_argument("--allow-remote", action="store_true", help="they may be on other machines")
    play.set_defaults(call=_play)
    ladder = commands.add_parser("ladder", help="find the highest steady rate")
    _add_changes(ladder, scenario="steady", seconds=20.0)
    ladder.add_argument("--start", type=float, default=2_000.0, help="first rate (default %(default)g)")
    ladder.add_argument("--step", type=float, default=1_000.0, help="between two rungs (default %(default)g)")
    ladder.add_argument("--rungs", type=int, default=20, help="most of them (default %(default)s)")
    ladder.add_argument("--limit-ms", type=float, default=100.0, help="answer p99 of a rung (default %(default)g)")
    ladder.set_defaults(call=_climb)
    paths = commands.add_parser("paths", help="what each face costs into each kind of sink")
    paths.add_argument("--face", action="append", choices=list(FACES), help="only this one; may be given again")
    paths.add_argument("--to", action="append", choices=list(SINKS), help="only this sink; may be given again")
    paths.add_argument("--rate", action="append", type=float, help="frames a second; may be given again")
    paths.add_argument("--seconds", type=float, default=20.0, help="of each run (default %(default)g)")
    paths.add_argument("--work-dir", type=Path, help="where the gateways keep their data; default: a temporary folder")
    paths.set_defaults(call=_measure)
    commands.add_parser("list", help="the shipped scenarios").set_defaults(call=_list)
    check = commands.add_parser("check", help="read a scenario and print it with all defaults")
    check.add_argument("scenario")
    check.set_defaults(call=_check)
    commands.add_parser("schema", help="JSON Schema of scenario files").set_defaults(call=_schema)
    return parser


def _add_changes(parser: argparse.ArgumentParser, scenario: str = "", seconds: float | None = None) -> None:
    if scenario:
        parser.add_argument("scenario", nargs="?", default=scenario, help="default: %(default)s")
    else:
        parser.add_argument("scenario", help="name of a shipped one, or a .yaml file")
    parser.add_argument("--rate", type=float, help="of the busiest stretch; others in proportion")
    parser.add_argument("--seconds", type=float, default=seconds, help="of the whole load; events in proportion")
    parser.add_argument("--devices", type=int, help="that send, over all faces")
    parser.add_argument("--idle", type=int, help="idle sessions")
    parser.add_argument("--sink", choices=("file", "kinesis"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--work-dir", type=Path, help="where the gateways keep their data; default: a temporary folder")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.call(options)
        return code
    except (SpecError, UnknownScenario, UnknownProduct, NothingToSay, NotAllowed, ValueError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except (RunFailed, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 128 + 2


if __name__ == "__main__":
    raise SystemExit(main())
