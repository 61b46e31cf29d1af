"""What becomes of records that are owed to a sink which is configured no more."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.routes import Route
from gateway.domain.receipt import Outcome

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

MakeSink = Callable[[str], "ScriptedSink"]


def ids(sink: ScriptedSink) -> list[str]:
    return [record.record_id for record in sink.stored]


async def fill(rig: RigFactory, sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory, count: int) -> None:
    """So many acknowledged records that `sink` is owed, and a gateway that has ended."""
    sink.gate.clear()
    async with rig(sink, drain_s=0) as r:
        r.outbox.put(ledger.receipt(), [make_record() for _ in range(count)])
        await ledger.wait()


async def test_a_sink_with_another_name_gets_the_backlog_of_a_full_spool(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    old, new = make_sink("old"), make_sink("new")
    old.gate.clear()
    async with rig(old, drain_s=0, max_bytes=400_000, segment_bytes=50_000) as r:
        while Outcome.REFUSED not in ledger.outcomes():
            r.outbox.put(ledger.receipt(), [make_record(size=1_000) for _ in range(10)])
            await ledger.wait()
        assert not r.outbox.has_room()
    accepted = 10 * ledger.outcomes().count(Outcome.ACCEPTED)
    async with rig(new, max_bytes=200_000, segment_bytes=50_000) as r:
        await r.until_delivered()
        await r.until(r.outbox.has_room)
    assert ids(new) == [f"dev-1#{n}" for n in range(1, accepted + 1)]


async def test_a_device_keeps_its_order_when_its_sink_gets_another_name(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    await fill(rig, make_sink("old"), ledger, make_record, 1_000)
    new = make_sink("new")
    async with rig(new) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await r.until_delivered()
    assert ids(new) == [f"dev-1#{n}" for n in range(1, 1_002)]


async def test_a_backlog_for_two_heirs_reaches_both(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    await fill(rig, make_sink("old"), ledger, make_record, 100)
    quick, stuck = make_sink("quick"), make_sink("stuck")
    stuck.gate.clear()
    async with rig(quick, stuck, drain_s=0) as r:
        await r.until(lambda: len(quick.stored) == 100)
    quick, stuck = make_sink("quick"), make_sink("stuck")
    async with rig(quick, stuck) as r:
        await r.until_delivered()
        await r.until(lambda: r.spool.cursor("old").closed)
    assert ids(stuck) == [f"dev-1#{n}" for n in range(1, 101)]


async def test_what_was_delivered_to_a_sink_that_is_gone_comes_to_nobody_again(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    old = make_sink("old")
    old.max_batch_records = 30
    async with rig(old, drain_s=0) as r:
        r.outbox.put(ledger.receipt(), [make_record() for _ in range(100)])
        await old.wait_requests(2)
        old.gate.clear()
        await ledger.wait()
        await r.until(lambda: r.feed("old").backlog < 100)
    delivered = len(old.stored)
    first, second = make_sink("first"), make_sink("second")
    async with rig(first) as r:
        await r.until_delivered()
    async with rig(first, second, routes=[Route(("second",))]) as r:
        await r.until_delivered()
    assert ids(first) == [f"dev-1#{n}" for n in range(delivered + 1, 101)]
    assert not second.stored


@pytest.mark.parametrize("damage", ["folder is gone", "file is gone", "file is damaged"])
async def test_without_its_cursor_a_sink_that_is_gone_is_still_owed_what_it_was(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink, tmp_path: Path, damage: str
) -> None:
    """A sink is given another name after a loss of storage."""
    await fill(rig, make_sink("old"), ledger, make_record, 20)
    cursors = tmp_path / "spool" / "own" / "cursors"
    if damage == "folder is gone":
        shutil.rmtree(cursors)
    elif damage == "file is gone":
        (cursors / "old.cur").unlink()
    else:
        (cursors / "old.cur").write_bytes(b"\x89Curgarbage")
    new = make_sink("new")
    async with rig(new) as r:
        await r.until_delivered()
    assert ids(new) == [f"dev-1#{n}" for n in range(1, 21)]


async def test_a_cursor_is_on_the_disk_before_the_first_record_is_acknowledged(
    rig: RigFactory, make_sink: MakeSink, tmp_path: Path
) -> None:
    async with rig(make_sink("old")):
        assert (tmp_path / "spool" / "own" / "cursors" / "old.cur").exists()


async def test_a_sink_that_gets_its_old_name_back_gets_nothing_again(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    await fill(rig, make_sink("old"), ledger, make_record, 20)
    new, old = make_sink("new"), make_sink("old")
    async with rig(new) as r:
        await r.until_delivered()
    async with rig(old) as r:
        r.outbox.put(ledger.receipt(), [make_record()])
        await r.until_delivered()
        assert not r.spool.cursor("old").closed
    assert (len(new.stored), ids(old)) == (20, ["dev-1#21"])


async def test_a_cursor_is_forgotten_when_no_record_of_its_time_is_left(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    await fill(rig, make_sink("old"), ledger, make_record, 20)
    for _ in range(3):
        async with rig(make_sink("new"), segment_bytes=10_000) as r:
            names = r.spool.cursor_names()
            for _ in range(5):
                r.outbox.put(ledger.receipt(), [make_record(size=5_000)])
                await ledger.wait()
            await r.until_delivered()
    assert names == ["new"]


async def test_sequences_that_are_never_used_hold_up_no_heir(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    """A commit fails and cannot be undone while the backlog of a sink that is gone is under way."""
    await fill(rig, make_sink("old"), ledger, make_record, 20)
    new = make_sink("new")
    new.gate.clear()
    async with rig(new) as r:
        await new.wait_requests(1)
        r.spool._skip_to(r.spool.next_sequence + 5)
        r.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        new.gate.set()
        await r.until_delivered()
    assert len(new.stored) == 21


async def test_a_sink_inherits_nothing_that_it_was_owed_itself(
    rig: RigFactory, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    kept, gone = make_sink("kept"), make_sink("gone")
    gone.gate.clear()
    async with rig(kept, gone, drain_s=0) as r:
        r.outbox.put(ledger.receipt(), [make_record() for _ in range(20)])
        await ledger.wait()
        await r.until(lambda: r.feed("kept").backlog == 0)
    async with rig(kept) as r:
        await r.until_delivered()
    assert ids(kept) == [f"dev-1#{n}" for n in range(1, 21)]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("seed", range(12))
async def test_however_sinks_come_and_go_nothing_is_lost_and_no_device_loses_its_order(
    rig: RigFactory,
    ledger: Ledger,
    make_record: RecordFactory,
    make_sink: MakeSink,
    tmp_path: Path,
    seed: int,
    crash: bool,
) -> None:
    """Runs with one sink of three names, which takes some requests and then no more; the last one takes all.
    crash: the next run finds the disk as it was before the end of this one."""
    folder = tmp_path / "spool" / "0"
    chance = random.Random(seed)
    arrived: list[str] = []
    accepted = 0
    for run in range(8):
        sink = make_sink(chance.choice(["a", "b", "c"]))
        sink.max_batch_records = chance.randrange(1, 8)
        last = run == 7
        requests = chance.randrange(6)
        async with rig(sink, drain_s=30 if last else 0, segment_bytes=5_000, directory=folder) as r:
            if not requests and not last:
                sink.gate.clear()
            for _ in range(chance.randrange(1, 6)):
                count = chance.randrange(1, 9)
                r.outbox.put(ledger.receipt(), [make_record(f"d{chance.randrange(3)}", size=300) for _ in range(count)])
                accepted += count
                await ledger.wait()
            if not last and requests:
                await sink.wait_requests(1)
                sink.gate.clear()
            if crash and not last:
                copy = partial(shutil.copytree, folder, tmp_path / "spool" / f"{run + 1}")
                folder = await r.spool._file_thread.call(copy)  # which also deletes segments
        arrived += [name for name in ids(sink) if name not in arrived]
    assert len(arrived) == accepted
    for lane in ("d0", "d1", "d2"):
        numbers = [int(name.split("#")[1]) for name in arrived if name.startswith(lane)]
        assert numbers == sorted(numbers)
