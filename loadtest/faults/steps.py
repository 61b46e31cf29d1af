"""kill -9 at every step: a delivery dies at its 1st, 2nd, 3rd ... call that changes the disk, until a run has no more.

`python -m loadtest.faults.steps FOLDER [--power-cut] [--puts N]` forks one process per run, all on the same spool. A
run opens the spool that the last one left, puts records, delivers, rolls, deletes and closes; it kills itself before
call n or, of a write, in the middle of it. With `--power-cut` it first takes away from every file what was never
synced, and files whose names were not: the least that a disk must have kept. Prints counts as one JSON line.

What was acknowledged, and what came to the sink, stands in two files beside the spool, written by calls that do not
count and never fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.delivery.backoff import Backoff
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.lanes import FifoQueue, Parcel, ParcelQueue
from gateway.delivery.outbox import Outbox
from gateway.delivery.pacing import Pacing
from gateway.delivery.routes import Route, Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.delivery.spool.spool import Spool
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.domain.state import State, StateKind
from gateway.observe.logs import configure_logs
from gateway.observe.metrics import Metrics
from loadtest.faults.balance import Balance
from loadtest.faults.processes import GUARD_S, RunFailed, environment
from loadtest.faults.rig import Result

_LANES = 5
_PUTS = 200  # of a run
_SEGMENT_BYTES = 6_000
_MAX_RUNS = 5000
_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(os, name)
    for name in ("open", "write", "fdatasync", "fsync", "replace", "rename", "unlink", "ftruncate", "mkdir", "rmdir")
}


class DeadlyDisk:
    """Takes the place of the functions of `os` that change the disk. The call number `dies_at` is the last one."""

    def __init__(self, folder: Path, dies_at: int, *, power_cut: bool, seed: int) -> None:
        self.calls = 0
        self._lock = threading.Lock()  # one call at a time: a death must know what was synced until then
        self._folder = str(folder)
        self._dies_at = dies_at
        self._power_cut = power_cut
        self._random = random.Random(seed)
        self._synced: dict[str, int] = {}  # bytes of files that were written to
        self._unnamed: set[str] = set()  # files that were made, in directories that were not synced since

    def install(self) -> None:
        for name in _REAL:
            setattr(os, name, self._counted(name))

    def _counted(self, name: str) -> Callable[..., Any]:
        real = _REAL[name]

        def call(*args: Any, **options: Any) -> Any:
            if not self._is_step(name, args):
                return real(*args, **options)
            with self._lock:
                self.calls += 1
                if self.calls == self._dies_at:
                    self._die(name, args)
                before = self._size(args[0]) if name == "write" else 0
                result = real(*args, **options)
                self._note(name, args, before)
                return result

        return call

    def _is_step(self, name: str, args: tuple[Any, ...]) -> bool:
        if not self._path(args[0]).startswith(self._folder):
            return False
        return name != "open" or bool(args[1] & (os.O_CREAT | os.O_TRUNC))

    @staticmethod
    def _path(place: Any) -> str:
        return os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else os.fspath(place)

    @staticmethod
    def _size(fd: int) -> int:
        return os.fstat(fd).st_size

    def _note(self, name: str, args: tuple[Any, ...], before: int) -> None:
        path = self._path(args[0])
        if name == "open":
            if path not in self._synced:
                self._unnamed.add(path)
            self._synced[path] = 0 if args[1] & os.O_TRUNC else self._synced.get(path, 0)
        elif name == "write":
            self._synced.setdefault(path, before)
        elif name in ("fdatasync", "fsync"):
            if os.path.isdir(path):
                self._unnamed = {one for one in self._unnamed if os.path.dirname(one) != path}
            else:
                self._synced[path] = os.stat(path).st_size
        elif name in ("replace", "rename"):
            new = os.fspath(args[1])
            self._synced[new] = self._synced.pop(path, os.stat(new).st_size)
            self._unnamed.discard(path)
        elif name == "unlink":
            self._synced.pop(path, None)
            self._unnamed.discard(path)

    def _die(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "write" and self._random.random() < 0.7:
            data = bytes(args[1])
            _REAL["write"](args[0], data[: self._random.randrange(len(data) + 1)])
            self._synced.setdefault(self._path(args[0]), 0)
        if self._power_cut:
            self._cut_power()
        os.kill(os.getpid(), signal.SIGKILL)

    def _cut_power(self) -> None:
        for path, size in self._synced.items():
            if os.path.exists(path) and (now := os.stat(path).st_size) > size:
                os.truncate(path, self._random.randint(size, now))
        for path in self._unnamed:
            if os.path.exists(path) and self._random.random() < 0.5:
                _REAL["unlink"](path)


class Notes:
    """A file of lines that nothing of this module takes away."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, text: str) -> None:
        _REAL["write"](self._fd, f"{text}\n".encode())


class NotedSink:
    """Keeps the bodies of records in a file of notes; every eighth request fails first."""

    name = "main"
    error_codes: Sequence[SinkErrorCode] = (SinkErrorCode.INTERNAL,)
    linger_ms = 0.0
    max_requests = 1
    max_batch_records = 40
    max_batch_bytes = 1_000_000
    max_record_bytes = 10_000

    def __init__(self, notes: Notes, source: random.Random) -> None:
        self.pacing = Pacing()
        self._notes = notes
        self._random = source

    def new_queue(self) -> ParcelQueue:
        return FifoQueue()

    async def start(self) -> None:
        """Nothing to make ready."""

    async def send(self, parcels: Sequence[Parcel]) -> Sequence[EntryFailure | None] | None:
        await asyncio.sleep(0)
        if self._random.random() < 0.125:
            return [EntryFailure(SinkErrorCode.INTERNAL, "for the test") for _ in parcels]
        for parcel in parcels:
            for record, _ in parcel.entries:
                self._notes.add(record.body.decode())
        return None

    async def close(self) -> None:
        """Nothing to give back."""


class Remembered:
    """A state for each record: (lane, number). After a restart it must know all that were acknowledged."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def snapshot(self) -> Sequence[bytes]:
        return [orjson.dumps([lane, number]) for lane, number in self.known.items()]

    def restore(self, payload: bytes) -> None:
        lane, number = orjson.loads(payload)
        self.known[lane] = max(number, self.known.get(lane, 0))


async def deliver(folder: Path, run: int, puts: int) -> None:
    """One run on the spool in `folder`, with so many puts. It ends when all is delivered."""
    source = random.Random(run)
    metrics = Metrics()
    keeper = Remembered()
    arrived, acknowledged, forgotten = (Notes(folder / name) for name in ("arrived", "acknowledged", "forgotten"))
    last = _last_acknowledged(folder)
    spool = Spool(
        folder / "disk" / "spool",
        metrics.spool,
        max_bytes=100_000_000,
        segment_bytes=_SEGMENT_BYTES,
        commit_interval_max_ms=0.0,
        keepers={StateKind.DEDUP: keeper},
    )
    sender = Sender(NotedSink(arrived, source), metrics, backoff=Backoff(0.0, 0.0), linger_ms=0.0)
    letters = DeadLetterStore(folder / "disk" / "letters", metrics.dead_letters, max_bytes=1 << 20)
    outbox = Outbox(spool, {"main": sender}, Routes([Route(("main",))]), letters)
    await outbox.start()
    for lane, number in last.items():
        if keeper.known.get(lane, 0) < number:
            forgotten.add(f"{lane} {number}")
    task = asyncio.create_task(outbox.run(), name="outbox")
    next_number = {f"lane-{i}": last.get(f"lane-{i}", 0) + 1 for i in range(_LANES)}
    for i in range(puts):
        lane = f"lane-{source.randrange(_LANES)}"
        number = next_number[lane]
        next_number[lane] += 1

        def settled(receipt: Receipt, lane: str = lane, number: int = number) -> None:
            if receipt.kept:
                keeper.known[lane] = number
                acknowledged.add(f"{lane} {number}")

        name = {"gateway_id": "gw", "epoch": run, "seq": i + 1, "device_id": lane, "n": number, "pad": "x" * 100}
        record = Record(f"{run}-{i}", "telemetry", "p", lane, orjson.dumps(name), 0)
        state = State(StateKind.DEDUP, orjson.dumps([lane, number]))
        outbox.put(Receipt(settled), [record], [state])
        if source.random() < 0.5:
            await asyncio.sleep(0.0005)
        if i % 20 == 19:
            await spool.save_cursors()  # what the clock does each second
    await outbox.drain(GUARD_S)
    await task


def _last_acknowledged(folder: Path) -> dict[str, int]:
    last: dict[str, int] = {}
    for line in (folder / "acknowledged").read_text().splitlines():
        lane, _, number = line.partition(" ")
        last[lane] = max(int(number), last.get(lane, 0))
    return last


@dataclass(slots=True)
class Outcome:
    """What the runs came to. runs: of which all but the last died, each at another call."""

    runs: int = 0
    deaths: int = 0
    acknowledged: int = 0
    arrived: int = 0
    lost: int = 0
    repeated: int = 0
    resent: int = 0
    disordered: int = 0
    forgotten: int = 0  # states that were acknowledged and not known after a restart


def run_all(folder: Path, *, power_cut: bool, puts: int = _PUTS) -> Outcome:
    """Forks a run for each step. Must be called where no threads run. RunFailed: a run ended as it should not."""
    (folder / "disk").mkdir(parents=True)
    for name in ("arrived", "acknowledged", "forgotten"):
        (folder / name).touch()
    outcome = Outcome()
    for step in range(1, _MAX_RUNS):
        outcome.runs += 1
        status = _fork(folder, step, puts, dies_at=step, power_cut=power_cut)
        if status == 0:
            break
        if status != -signal.SIGKILL:
            raise RunFailed(f"run {step} ended with {status}")
        outcome.deaths += 1
    else:
        raise RunFailed(f"no end of steps in {_MAX_RUNS} runs")
    if _fork(folder, _MAX_RUNS, 0, dies_at=0, power_cut=False):
        raise RunFailed("the last run failed")
    _compare(folder, outcome)
    return outcome


def _fork(folder: Path, run: int, puts: int, *, dies_at: int, power_cut: bool) -> int:
    """The exit code of a run, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            configure_logs("error", "json", sys.stderr)
            if dies_at:
                DeadlyDisk(folder / "disk", dies_at, power_cut=power_cut, seed=run).install()
            asyncio.run(deliver(folder, run, puts))
            code = 0
        except BaseException as error:  # whatever it is, the parent must not go on in the child
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _compare(folder: Path, outcome: Outcome) -> None:
    acknowledged = set((folder / "acknowledged").read_text().splitlines())
    names: set[tuple[int, int]] = set()
    numbers: set[str] = set()
    last: dict[str, int] = {}
    for line in (folder / "arrived").read_bytes().splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        name, lane, number = (record["epoch"], record["seq"]), record["device_id"], record["n"]
        if name in names:
            outcome.repeated += 1
            continue
        names.add(name)
        if f"{lane} {number}" in numbers:
            outcome.resent += 1
            continue
        numbers.add(f"{lane} {number}")
        outcome.disordered += number < last.get(lane, 0)
        last[lane] = max(number, last.get(lane, 0))
    outcome.acknowledged = len(acknowledged)
    outcome.arrived = len(numbers)
    outcome.lost = len(acknowledged - numbers)
    outcome.forgotten = len((folder / "forgotten").read_text().splitlines())


async def every_step(folder: Path, *, power_cut: bool, puts: int = _PUTS) -> Result:
    """All runs, each with so many puts, in a process of their own."""
    began = time.monotonic()
    name = "every_step_power" if power_cut else "every_step"
    place = folder / name
    place.mkdir(parents=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.faults.steps", str(place), "--puts", str(puts)),
        *(["--power-cut"] if power_cut else []),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        problem = f"exit code {process.returncode}: {errors.decode()[-500:]}"
        return Result(name, "-", Balance(), time.monotonic() - began, 0, "", [problem])
    outcome = Outcome(**json.loads(output))
    balance = Balance(
        sent=outcome.acknowledged,
        acknowledged=outcome.acknowledged,
        arrived=outcome.arrived,
        lost=outcome.lost,
        repeated=outcome.repeated,
        resent=outcome.resent,
        disordered=outcome.disordered,
    )
    note = f"{outcome.deaths} deaths, each at the next call"
    problems = [f"{outcome.forgotten} states were forgotten"] if outcome.forgotten else []
    return Result(name, "-", balance, time.monotonic() - began, 0, note, problems)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.faults.steps", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--power-cut", action="store_true")
    parser.add_argument("--puts", type=int, default=_PUTS, help="of a run")
    options = parser.parse_args()
    outcome = run_all(options.folder, power_cut=options.power_cut, puts=options.puts)
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}))


if __name__ == "__main__":
    main()
