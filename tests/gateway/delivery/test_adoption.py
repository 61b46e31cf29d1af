"""On a shared volume a live gateway delivers what a dead one has left."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.adoption import Adoption
from gateway.delivery.backoff import Backoff
from gateway.delivery.routes import Route, Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.delivery.spool.spool import Spool
from gateway.domain.errors import OperatorError
from gateway.observe.metrics import Metrics

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, Rig, RigFactory, ScriptedSink

MakeSink = Callable[[str], "ScriptedSink"]
INVALID = EntryFailure(SinkErrorCode.VALIDATION, "never", retriable=False)


@contextlib.asynccontextmanager
async def adopting(
    r: Rig, own: Path, *sinks: ScriptedSink, look_every_s: float = 0.01
) -> AsyncIterator[asyncio.Task[None]]:
    metrics = Metrics()

    def open_spool(path: Path) -> Spool:
        return Spool(
            path,
            metrics.spool,
            max_bytes=10_000_000,
            segment_bytes=100_000,
            commit_interval_max_ms=0,
            keepers={},
            adopted=True,
        )

    def make_senders() -> dict[str, Sender]:
        return {sink.name: Sender(sink, metrics, backoff=Backoff(0.001, 0.01), linger_ms=0) for sink in sinks}

    routes = Routes([Route(tuple(sink.name for sink in sinks))])
    adoption = Adoption(own, r.outbox, routes, open_spool, make_senders, look_every_s=look_every_s)
    task = asyncio.create_task(adoption.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def leave_behind(
    rig: RigFactory, folder: Path, sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    """Ten acknowledged records in the spool of a gateway that has ended."""
    sink.gate.clear()
    async with rig(sink, directory=folder, drain_s=0) as r:
        r.outbox.put(ledger.receipt(), [make_record() for _ in range(10)])
        await ledger.wait()


async def test_the_spool_of_a_dead_gateway_is_delivered_and_removed(
    rig: RigFactory, tmp_path: Path, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    await leave_behind(rig, tmp_path / "spool" / "dead", make_sink("main"), ledger, make_record)
    own, other = make_sink("main"), make_sink("main")
    async with rig(own) as r, adopting(r, r.spool.directory, other):
        await r.until(lambda: not (tmp_path / "spool" / "dead").exists())
        assert [record.record_id for record in other.stored] == [f"dev-1#{n}" for n in range(1, 11)]
        assert other.closed
        assert not own.stored
        assert r.spool.directory.exists()


async def test_a_gateway_that_starts_again_finds_its_own_spool(
    rig: RigFactory, tmp_path: Path, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    """Between its end and its start the lock is free: that alone makes nobody dead."""
    folder = tmp_path / "spool" / "restarted"
    first, again, other = make_sink("main"), make_sink("main"), make_sink("main")
    async with rig(make_sink("main")) as r:
        async with adopting(r, r.spool.directory, other, look_every_s=0.5):
            await leave_behind(rig, folder, first, ledger, make_record)
            async with rig(again, directory=folder) as started:
                await started.until_delivered()
        assert len(again.stored) == 10
        assert not other.stored


async def test_the_spool_of_a_live_gateway_is_left_alone(
    rig: RigFactory, tmp_path: Path, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    stuck, other = make_sink("main"), make_sink("main")
    stuck.gate.clear()
    async with rig(stuck, directory=tmp_path / "spool" / "live", drain_s=0) as live, rig(make_sink("main")) as r:
        live.outbox.put(ledger.receipt(), [make_record()])
        await ledger.wait()
        async with adopting(r, r.spool.directory, other):
            await asyncio.sleep(0.05)
        assert not other.stored
        assert (tmp_path / "spool" / "live" / "lock").exists()


async def test_an_adoption_that_is_interrupted_goes_on_elsewhere(
    rig: RigFactory, tmp_path: Path, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    dead = tmp_path / "spool" / "dead"
    await leave_behind(rig, dead, make_sink("main"), ledger, make_record)
    slow, other = make_sink("main"), make_sink("main")
    slow.max_batch_records = 4
    async with rig(make_sink("main")) as r:
        async with adopting(r, r.spool.directory, slow):
            await slow.wait_requests(2)
            slow.gate.clear()
        assert dead.exists()
        async with adopting(r, r.spool.directory, other):
            await r.until(lambda: not dead.exists())
    found = [record.record_id for record in slow.stored + other.stored]
    assert set(found) == {f"dev-1#{n}" for n in range(1, 11)}


async def test_a_buried_record_of_an_adopted_spool_becomes_a_letter(
    rig: RigFactory, tmp_path: Path, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    dead = tmp_path / "spool" / "dead"
    await leave_behind(rig, dead, make_sink("main"), ledger, make_record)
    picky = make_sink("main")
    picky.max_batch_records = 1
    picky.script += [None, [INVALID]]
    async with rig(make_sink("main")) as r, adopting(r, r.spool.directory, picky):
        await r.until(lambda: not dead.exists())
        assert r.metrics.dead_letters.written["buried"] == 1
        assert len(picky.stored) == 9


async def test_what_cannot_be_adopted_is_said_and_tried_again(
    rig: RigFactory, tmp_path: Path, make_sink: MakeSink, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "spool" / "newer"
    (broken / "segments").mkdir(parents=True)
    (broken / "lock").touch()
    async with rig(make_sink("main")) as r:
        fixture = r.spool.directory / "segments"
        assert fixture.exists()
        (broken / "segments" / f"{1:020d}.seg").write_bytes(b"\x89IoTspl\n" + b"\xff" * 100)
        async with adopting(r, r.spool.directory, make_sink("main")) as task:
            await asyncio.sleep(0.05)
            assert not task.done()


async def test_what_breaks_in_an_adoption_leaves_the_own_delivery_alone(
    rig: RigFactory, tmp_path: Path, ledger: Ledger, make_record: RecordFactory, make_sink: MakeSink
) -> None:
    await leave_behind(rig, tmp_path / "spool" / "dead", make_sink("main"), ledger, make_record)
    refusing = make_sink("main")
    refusing.script.append(OperatorError("the stream ignores the partition key"))
    async with rig(make_sink("main")) as r, adopting(r, r.spool.directory, refusing) as task:
        await r.until(lambda: task.done() or not (tmp_path / "spool" / "dead").exists())
        assert not task.done()
        assert len(refusing.stored) == 10


async def test_a_removal_that_breaks_off_leaves_the_cursors(
    rig: RigFactory,
    tmp_path: Path,
    ledger: Ledger,
    make_record: RecordFactory,
    make_sink: MakeSink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without them everything in the segments that are left would be sent again."""
    dead = tmp_path / "spool" / "dead"
    await leave_behind(rig, dead, make_sink("main"), ledger, make_record)
    remove = shutil.rmtree

    def fail(path: Path) -> None:
        if path.name == "segments":
            monkeypatch.setattr(shutil, "rmtree", remove)
            raise OSError(5, "Input/output error", str(path))
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", fail)
    sink = make_sink("main")
    async with rig(make_sink("main")) as r, adopting(r, r.spool.directory, sink):
        await r.until(lambda: not dead.exists())
    assert len(sink.stored) == 10
