"""The scenarios: each does its worst to a gateway under load. Tests run them short, the harness long."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtest.faults.flip import flip_in_oldest
from loadtest.faults.handicap import used_bytes
from loadtest.faults.processes import RunFailed, until
from loadtest.faults.rig import PACKINGS, Plan, Result, Rig

_SMALL_SPOOL = ("spool.max_bytes=16MiB", "spool.segment_bytes=1MiB")
_LARGER_SPOOL = ("spool.max_bytes=64MiB", "spool.segment_bytes=1MiB")
_MIB = 1024 * 1024
_HALF_DAY_S = 43_200
_DISK_BYTES = 12 * _MIB

Act = Callable[[Rig], Awaitable[None]]


@dataclass(slots=True)
class Scenario:
    """act: what happens between the start of the rig and its `finish`. packings: with which it is run by default.
    plan: what differs from the default plan."""

    name: str
    says: str
    act: Act
    packings: tuple[str, ...] = ("plain",)
    plan: dict[str, Any] = field(default_factory=dict)


SCENARIOS: dict[str, Scenario] = {}


def _scenario(name: str, says: str, *, packings: tuple[str, ...] = ("plain",), **plan: Any) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        SCENARIOS[name] = Scenario(name, says, act, packings, plan)
        return act

    return register


async def run(name: str, plan: Plan) -> Result:
    """One run. RunFailed and everything else that goes wrong becomes a problem of the result."""
    scenario = SCENARIOS[name]
    async with Rig(replace(plan, **scenario.plan)) as rig:
        try:
            await scenario.act(rig)
            return await rig.finish(name)
        except (RunFailed, OSError) as error:
            rig.problems.append(f"{type(error).__name__}: {error}")
            return await rig.result(name)


# The gateway dies.


@_scenario("kill9", "kill -9 at random moments under load, start-up included", packings=PACKINGS, window=16)
async def kill9(rig: Rig) -> None:
    await _kill(rig, rig.plan.rounds, 1.0)


@_scenario("kill9_faults", "kill -9 at random moments while the sink fails in all its ways", window=16)
async def kill9_faults(rig: Rig) -> None:
    await rig.kinesis.set(record_failure=0.05, http_500=0.05, lost_answer=0.05, shuffle=True, jitter_s=0.05)
    await _kill(rig, -(-rig.plan.rounds // 2), 3.0)


async def _kill(rig: Rig, rounds: int, longest_s: float) -> None:
    """longest_s: that a gateway lives. Cursors are saved after a second: a shorter life repeats all before."""
    rig.fleet.send(True)
    early = 0
    for _ in range(rounds):
        gateway = await rig.spawn(*_LARGER_SPOOL)
        if rig.random.random() < 0.1:  # somewhere in its start
            await asyncio.sleep(rig.random.uniform(0.2, 1.5))
            early += 1
        else:
            await gateway.started()
            rig.fleet.connect_to(gateway.address)
            await asyncio.sleep(rig.random.uniform(0.02, longest_s))
        await rig.kill()
    rig.notes.append(f"{rounds} kills, {early} of them before it listened")
    await rig.start()


@_scenario("repack", "killed and started with the next packing while the spool is full", packings=("plain",))
async def repack(rig: Rig) -> None:
    for packing in (*PACKINGS, "plain"):
        await rig.kinesis.set(listening=False)
        await rig.start(*_SMALL_SPOOL, packing=packing)
        await rig.load_until_full()
        await rig.kinesis.set(listening=True)
        await rig.load(min(rig.plan.seconds, 1.0))  # some of it goes out
        await rig.kill()
    await rig.start(*_SMALL_SPOOL, packing="aggregated")


@_scenario("sigterm_down", "SIGTERM while the sink is down: what is left goes out at the next start")
async def sigterm_down(rig: Rig) -> None:
    gateway = await rig.start("drain={spread_s: 0, limit_s: 2}")
    await rig.load(rig.plan.seconds / 2)
    await rig.kinesis.set(listening=False)
    await rig.load(rig.plan.seconds / 2)
    code = await rig.stop()
    left = gateway.events("spool_keeps_backlog")
    if code or not left:
        rig.problems.append(f"SIGTERM ended with exit code {code}, backlog said: {left}")
    else:
        rig.notes.append(f"{sum(left[0]['records'].values())} records left in the spool, logged")
    await rig.kinesis.set(listening=True)
    await rig.start()


@_scenario("adoption", "an instance dies with a full spool on a shared folder; another delivers it")
async def adoption(rig: Rig) -> None:
    await rig.kinesis.set(listening=False)
    await rig.start(name="gw-first")
    await rig.load(rig.plan.seconds)
    await rig.kill()
    second = await rig.start(name="gw-second")
    await rig.load(rig.plan.seconds / 2)
    await rig.kinesis.set(listening=True)
    await until(lambda: bool(second.events("adopted_spool_delivered")), "the dead instance's spool is delivered")
    adopted = second.events("spool_adopted")[0]["records"]
    rig.notes.append(f"{sum(adopted.values())} records adopted")
    if (rig.spool_dir / "gw-first").exists():
        rig.problems.append("the adopted spool was not removed")


@_scenario("two_processes", "a second gateway on the same spool directory is refused")
async def two_processes(rig: Rig) -> None:
    first = await rig.start()
    await rig.load(rig.plan.seconds / 2)
    second = await rig.spawn()
    code = await second.ended()
    rig.gateway = first
    if code == 0 or "in use by process" not in second.stderr:
        rig.problems.append(f"the second one ended with {code}: {second.stderr.strip()}")
    await rig.load(rig.plan.seconds / 2)


# The sink fails.


async def _sink_fault(rig: Rig, **faults: float | bool) -> None:
    """A fault while records come, and the time after it."""
    await rig.start()
    await rig.load(1.0)
    await rig.kinesis.set(**faults)
    await rig.load(rig.plan.seconds)
    await rig.heal()
    await rig.load(1.0)


def _add_sink_faults() -> None:
    for name, says, faults in (
        ("sink_slow", "each answer of the sink takes 0.3 to 0.6 s", {"delay_s": 0.3, "jitter_s": 0.3}),
        ("partial", "a tenth of all records fails alone", {"record_failure": 0.1, "jitter_s": 0.02}),
        ("errors", "a third of all requests is answered 500", {"http_500": 0.33, "jitter_s": 0.02}),
        ("lost_answers", "every tenth request is stored and its answer lost", {"lost_answer": 0.1, "jitter_s": 0.02}),
        (
            "shuffle",
            "a request's records are stored in any order, some fail",
            {"shuffle": True, "record_failure": 0.05},
        ),
        ("credentials", "the credentials expire for a while", {"expired_credentials": True}),
        ("black_hole", "requests are taken and never answered", {"black_hole": True}),
        (
            "everything",
            "failed records, 500s, lost answers, shuffled, slow: all at once",
            {"record_failure": 0.05, "http_500": 0.05, "lost_answer": 0.05, "shuffle": True, "jitter_s": 0.05},
        ),
    ):
        act = functools.partial(_sink_fault, **faults)
        if name in ("credentials", "black_hole", "sink_slow"):
            SCENARIOS[name] = Scenario(name, says, act)
        else:
            SCENARIOS[name] = Scenario(name, says, act, PACKINGS, {"rate": 4000.0})


_add_sink_faults()


@_scenario("sink_down", "the sink is away until the spool is full, then comes back", packings=("plain", "aggregated"))
async def sink_down(rig: Rig) -> None:
    gateway = await rig.start(*_SMALL_SPOOL)
    await rig.load(1.0)
    await rig.kinesis.set(listening=False)
    await rig.load_until_full()
    acknowledged = rig.fleet.acknowledged
    await rig.load(rig.plan.seconds)
    if rig.fleet.acknowledged > acknowledged + 2 * rig.plan.devices * rig.plan.window:
        rig.problems.append("answers went on after the spool was full")
    samples = await gateway.samples()
    used, cap = (samples[f"iotlink_spool_{name}"] / _MIB for name in ("bytes", "capacity_bytes"))
    rig.notes.append(f"full at {used:.1f} of {cap:.0f} MiB")
    await rig.kinesis.set(listening=True)
    await rig.load_frames(2000)


@_scenario("throttled", "more records than four shards take, which then become two", packings=PACKINGS, rate=6000.0)
async def throttled(rig: Rig) -> None:
    await rig.kinesis.set(limits=True)
    await rig.start()
    await rig.load(rig.plan.seconds / 2)
    for _ in range(2):  # the gateway finds out some time after: until then it sends more than there are shards for
        names = [shard["ShardId"] for shard in (await rig.kinesis.open_shards())[:2]]
        await rig.kinesis.call("MergeShards", ShardToMerge=names[0], AdjacentShardToMerge=names[1])
    await rig.load(rig.plan.seconds / 2)
    await rig.settle()
    await rig.delivered()
    summary = await rig.kinesis.summary()
    rig.notes.append(f"{summary['throttled']} of {summary['offered']} records throttled")


@_scenario("stream_deleted", "the stream is deleted, and made again with other shards")
async def stream_deleted(rig: Rig) -> None:
    await rig.start()
    await rig.load(rig.plan.seconds / 2)
    await rig.kinesis.call("DeleteStream")
    await rig.load(rig.plan.seconds)
    await rig.kinesis.call("CreateStream", ShardCount=2)
    await rig.load(rig.plan.seconds / 2)


@_scenario("reshard", "shards are split and merged under load", packings=PACKINGS, rate=4000.0)
async def reshard(rig: Rig) -> None:
    await rig.kinesis.set(jitter_s=0.02)
    await rig.start()
    for step in range(6):
        await rig.load(rig.plan.seconds / 6)
        shards = await rig.kinesis.open_shards()
        if step % 3 < 2:
            shard = rig.random.choice(shards)
            low, high = (int(shard["HashKeyRange"][name]) for name in ("StartingHashKey", "EndingHashKey"))
            middle = str((low + high + 1) // 2)
            await rig.kinesis.call("SplitShard", ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
        else:
            at = rig.random.randrange(len(shards) - 1)
            names = [shard["ShardId"] for shard in shards[at : at + 2]]
            await rig.kinesis.call("MergeShards", ShardToMerge=names[0], AdjacentShardToMerge=names[1])
    rig.notes.append("4 splits, 2 merges")


# The disk fails.


def _can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A disk of `size` bytes at `folder`. False: it cannot be mounted here; the folder is as large as its disk."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = _can_mount() and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@_scenario("disk_full", "the spool's disk is full, and has space again; three times, the sink being there or not")
async def disk_full(rig: Rig) -> None:
    with small_disk(rig.spool_dir, _DISK_BYTES) as mounted:
        handicap = [] if mounted else ["--disk", str(rig.spool_dir), "--disk-bytes", str(_DISK_BYTES)]
        gateway = await rig.start(*_LARGER_SPOOL, handicap=handicap)
        for turn in range(3):
            await rig.load_frames(1000)
            await rig.kinesis.set(listening=turn == 0)
            ballast = rig.spool_dir / "ballast"
            if turn < 2:  # somebody else's file; the third time it is the spool alone
                ballast.write_bytes(bytes(_DISK_BYTES - used_bytes(str(rig.spool_dir)) - 64 * 1024))
            fulls = len(gateway.events("spool_disk_full"))
            rig.fleet.set_rate(0.0)
            await until(lambda fulls=fulls: len(gateway.events("spool_disk_full")) > fulls, "the disk is full")  # type: ignore[misc]
            rig.fleet.set_rate(rig.plan.rate)
            await rig.load(rig.plan.seconds / 3)
            ballast.unlink(missing_ok=True)
            await rig.kinesis.set(listening=True)
            await rig.load_frames(500)
        rig.notes.append(f"full {len(gateway.events('spool_disk_full'))} times, {'tmpfs' if mounted else 'quota'}")
        await rig.settle()
        await rig.delivered()
        await rig.kill()
        rig.spool_dir = rig.plan.folder / "spool-after"
        await rig.start()


@_scenario("disk_errors", "fdatasync fails once, later twice in a row: the process ends and is started again")
async def disk_errors(rig: Rig) -> None:
    fails = [part for call in (50, 120, 121) for part in ("--sync-fails-at", str(call))]
    gateway = await rig.start(*_SMALL_SPOOL, handicap=fails)
    rig.fleet.send(True)
    code = await gateway.ended()
    rig.fleet.connect_to(None)
    if code != 1 or "failed twice in a row" not in gateway.stderr:
        rig.problems.append(f"it ended with {code}: {gateway.stderr.strip()[-300:]}")
    rig.notes.append(f"{len(gateway.events('spool_disk_failed'))} errors, ended after two in a row")
    await rig.start(*_SMALL_SPOOL)
    await rig.load(1.0)


@_scenario("flipped_bit", "one bit of an old segment changes while the gateway is down")
async def flipped_bit(rig: Rig) -> None:
    await rig.kinesis.set(listening=False)
    await rig.start(*_SMALL_SPOOL)
    rig.fleet.set_rate(0.0)
    await rig.load_frames(6000)
    rig.fleet.set_rate(rig.plan.rate)
    await rig.kill()
    [segments] = rig.spool_dir.glob("*/segments")
    rig.expected = await asyncio.to_thread(flip_in_oldest, segments, rig.random)
    gateway = await rig.start(*_SMALL_SPOOL)
    await rig.load(1.0)
    await rig.kinesis.set(listening=True)
    await rig.settle()
    await rig.delivered()
    samples = await gateway.samples()
    reported = gateway.events("spool_damaged")
    rig.notes.append(f"{len(rig.expected)} records in the block, {len(reported)} reported")
    if samples["iotlink_spool_bad_blocks_total"] != 1 or len(reported) != 1:
        rig.problems.append(f"one damaged block was counted as {samples['iotlink_spool_bad_blocks_total']}: {reported}")


# The clock.


@_scenario("clock_jumps", "the clock jumps a day ahead, two days back, and the gateway restarts in the past")
async def clock_jumps(rig: Rig) -> None:
    clock = rig.plan.folder / "clock"
    clock.write_text("0")
    await rig.start(handicap=["--clock", str(clock)])
    await rig.kinesis.set(record_failure=0.05, jitter_s=0.02)
    for days in (0, 1, -1, 0):
        clock.write_text(str(days * 2 * _HALF_DAY_S))
        rig.signal(signal.SIGUSR1)
        await rig.load(rig.plan.seconds / 6)
    for days in (1, -2):
        await rig.kill()
        clock.write_text(str(days * 2 * _HALF_DAY_S))
        await rig.start(handicap=["--clock", str(clock)])
        await rig.load(rig.plan.seconds / 6)
