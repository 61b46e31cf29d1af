"""Replay: marks after receipts, nothing twice, what fails stays; full outboxes, late receipts, failing disks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import pytest

from gateway.admin.replay import WorkedOnElsewhere
from gateway.delivery.dead_letter_lines import LetterFilter
from gateway.delivery.dead_letter_pages import WORK_LOCK, Cursor, DirectoryLock
from gateway.domain.errors import DeadLetterReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from tests.gateway.admin.conftest import LOGIN, TRUNCATED, MakeBench, buried, letter
from tests.gateway.fakes import FakeOutbox

ALL = LetterFilter()


async def test_letters_become_records_once(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(letter("u1"), letter("u2", TRUNCATED), letter("u3"), letter("u4", LOGIN))
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert (report.matched, report.replayed, report.failed, report.records) == (4, 3, 1, 2)
        assert report.reasons == {"unknown_message": {"replayed": 3, "failed": 1}}
        assert report.still == {"truncated": 1}
        assert (report.next, report.problem) == ("", "")
        assert [record["record_id"] for record in b.records()] == ["u1-0", "u3-0"]
        (found,) = await b.left()
        assert (found.key, found.line["reason"], found.line["attempts"]) == ("u2", "truncated", 1)
        again = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert (again.matched, again.replayed, again.failed) == (1, 0, 1)
        assert len(b.records()) == 2
        assert (await b.left())[0].line["attempts"] == 2
        assert b.counters.replayed == {"replayed": 3, "failed": 2, "refused": 0}
        assert b.outbox.letters == []


async def test_a_dry_run_leaves_no_trace(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(letter("u1"), letter("u2", TRUNCATED), buried("r-0"), buried("r-1", "gone"))
        before = {path.name: path.read_bytes() for path in b.store.directory.iterdir()}
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=True)
        assert (report.replayed, report.failed, report.records) == (2, 2, 2)
        assert [row["outcome"] for row in report.letters] == ["replayed", "failed", "replayed", "failed"]
        assert report.letters[3]["detail"] == "no sink `gone` is configured any more"
        assert {path.name: path.read_bytes() for path in b.store.directory.iterdir()} == before
        assert b.outbox.kept == []
        assert b.numbering.seq == 0


async def test_a_buried_record_goes_to_its_sink_again(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(buried("r-0"), buried("r-1", "gone"))
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert (report.replayed, report.failed, report.still) == (1, 1, {"buried": 1})
        assert b.outbox.again == ["main"]
        assert [record.body for record in b.outbox.records] == [buried("r-0").raw]
        assert await b.keys() == ["r-1@gone"]


async def test_a_record_that_is_buried_again_stays_one_letter_and_counts(bench: MakeBench) -> None:
    class Burying(FakeOutbox):
        def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
            self.settle(receipt, Outcome.DEAD_LETTERED, DeadLetterReason.BURIED)

    async with bench(Burying()) as b:
        await b.keep(buried("r-0"))
        for attempt in (1, 2):
            report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
            assert (report.failed, report.still) == (1, {"buried": 1})
            assert [type(reason) for reason in report.still] == [str]
            assert await b.keys() == []
            await b.keep(buried("r-0"))  # as the outbox does it
            (found,) = await b.left()
            assert found.line["attempts"] == attempt


async def test_filters_and_limits(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(*(letter(f"u{i}", device=f"d{i % 2}") for i in range(10)))
        only = LetterFilter(device="d1")
        first = await b.replayer.replay(only, Cursor(), 2, dry_run=False)
        assert (first.matched, bool(first.next)) == (2, True)
        await b.keep(letter("late", device="d1"))  # comes in between: not meant
        rest = await b.replayer.replay(only, Cursor.parse(first.next), 1000, dry_run=False)
        assert (rest.matched, rest.next) == (3, "")
        assert [record["record_id"] for record in b.records()] == [f"u{i}-0" for i in (1, 3, 5, 7, 9)]
        assert await b.keys() == ["u0", "u2", "u4", "u6", "u8", "late"]
        one = await b.replayer.replay(LetterFilter(keys=frozenset({"u4"})), Cursor(), 1000, dry_run=False)
        assert one.matched == 1
        dry = await b.replayer.replay(ALL, Cursor(), 3, dry_run=True)
        assert (dry.matched, bool(dry.next)) == (3, True)


async def test_two_replays_at_once_are_one(bench: MakeBench) -> None:
    async with bench(in_flight=4) as b:
        await b.keep(*(letter(f"u{i}") for i in range(30)))
        reports = await asyncio.gather(*(b.replayer.replay(ALL, Cursor(), 1000, dry_run=False) for _ in range(3)))
        assert sum(report.replayed for report in reports) == 30
        assert len({record["record_id"] for record in b.records()}) == len(b.records()) == 30
        assert await b.keys() == []


async def test_few_are_under_way_at_a_time(bench: MakeBench) -> None:
    outbox = FakeOutbox(hold=True)
    async with bench(outbox, in_flight=3) as b:
        await b.keep(*(letter(f"u{i}") for i in range(8)))
        replay = asyncio.create_task(b.replayer.replay(ALL, Cursor(), 1000, dry_run=False), name="replay")
        most = 0
        while not replay.done():
            most = max(most, len(outbox.waiting))
            outbox.settle_all()
            await asyncio.sleep(0)
        assert most == 3
        assert (await replay).replayed == 8


async def test_a_mark_comes_after_the_receipt_and_also_when_that_is_late(bench: MakeBench) -> None:
    outbox = FakeOutbox(hold=True)
    async with bench(outbox, settle_s=0.01) as b:
        await b.keep(letter("u1"))
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert (report.replayed, report.pending) == (0, 1)
        assert await b.keys() == ["u1"]
        again = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)  # not a second time
        assert (again.pending, len(outbox.kept)) == (1, 1)
        outbox.settle_all()
        async with asyncio.timeout(30):
            while not b.counters.replayed["replayed"]:  # noqa: ASYNC110 - the disk sets no event
                await asyncio.sleep(0.001)
        assert b.counters.replayed["replayed"] == 1
        assert await b.keys() == []


async def test_what_the_outbox_refuses_is_as_before(bench: MakeBench) -> None:
    class Refusing(FakeOutbox):
        def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
            self.settle(receipt, Outcome.REFUSED, reasons.pop(0))

    reasons = ["outbox_full", "too_large"]
    async with bench(Refusing()) as b:
        await b.keep(letter("u1"), letter("u2"))
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert (report.refused, report.failed, report.still) == (1, 1, {"too_large": 1})
        first, second = await b.left()
        assert (first.line["reason"], first.line["attempts"]) == ("unknown_message", 0)
        assert (second.line["reason"], second.line["attempts"]) == ("too_large", 1)


async def test_an_outbox_that_raises(bench: MakeBench) -> None:
    class Broken(FakeOutbox):
        def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
            raise RuntimeError("a bug")

    async with bench(Broken()) as b:
        await b.keep(letter("u1"))
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert report.refused == 1
        assert await b.keys() == ["u1"]


async def test_a_full_outbox_ends_the_replay(bench: MakeBench) -> None:
    outbox = FakeOutbox()
    async with bench(outbox, room_s=0.01) as b:
        await b.keep(letter("u1"))
        outbox.room = False
        report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert report.problem.startswith("the outbox is full")
        assert (report.matched, outbox.kept) == (0, [])
        outbox.room = True
        rest = await b.replayer.replay(ALL, Cursor.parse(report.next), 1000, dry_run=False)
        assert rest.replayed == 1


async def test_marks_that_cannot_be_written(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are there; the letters too: a repeat has the same ids."""

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    async with bench() as b:
        await b.keep(letter("u1"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fail)
            report = await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert "may be replayed again" in report.problem
        await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        assert [record["record_id"] for record in b.records()] == ["u1-0", "u1-0"]
        assert await b.keys() == []


async def test_done_letters_free_their_space(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(*(letter(f"u{i}") for i in range(20)), letter("bad", TRUNCATED))
        before = b.counters.stored_bytes
        await b.replayer.replay(ALL, Cursor(), 1000, dry_run=False)
        files = list(b.store.directory.glob("letters-*"))
        assert b.counters.stored_bytes == sum(path.stat().st_size for path in files) < before / 10


async def test_purge(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(letter("u1"), letter("u2", reason="contract"), letter("u3"))
        assert await b.replayer.purge(LetterFilter(reason="unknown_message"), dry_run=True) == {"unknown_message": 2}
        assert len(await b.keys()) == 3
        assert await b.replayer.purge(LetterFilter(reason="unknown_message"), dry_run=False) == {"unknown_message": 2}
        assert await b.keys() == ["u2"]
        assert b.counters.purged == 2
        assert await b.replayer.purge(ALL, dry_run=False) == {"contract": 1}
        assert b.counters.stored_bytes == 0


async def test_another_process_at_work_is_left_alone(bench: MakeBench) -> None:
    async with bench() as b:
        await b.keep(letter("u1"))
        with DirectoryLock(b.store.directory, WORK_LOCK) as lock:
            assert lock.take()
            with pytest.raises(WorkedOnElsewhere):
                await b.replayer.replay(ALL, Cursor(), 10, dry_run=False)
            with pytest.raises(WorkedOnElsewhere):
                await b.replayer.purge(ALL, dry_run=False)
        assert (await b.replayer.replay(ALL, Cursor(), 10, dry_run=False)).replayed == 1


async def test_a_letter_that_cannot_be_read_stays(bench: MakeBench) -> None:
    async with bench() as b:
        path = b.store.directory / "letters-20200101T000000Z-000001.ndjson"
        path.write_bytes(b'{"dead_letter_id":"odd","reason":"x","raw_hex":"zz"}\n')
        report = await b.replayer.replay(ALL, Cursor(), 10, dry_run=False)
        assert (report.failed, report.still) == (1, {"unreadable": 1})
        assert (await b.replayer.replay(ALL, Cursor(), 10, dry_run=True)).failed == 1
        assert await b.keys() == ["odd"]


async def test_the_end_of_the_gateway_waits_for_what_is_under_way(bench: MakeBench) -> None:
    outbox = FakeOutbox(hold=True)
    async with bench(outbox, in_flight=2) as b:
        await b.keep(*(letter(f"u{i}") for i in range(6)))
        replay = asyncio.create_task(b.replayer.replay(ALL, Cursor(), 1000, dry_run=False), name="replay")
        async with asyncio.timeout(30):
            while len(outbox.waiting) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        stopping = asyncio.create_task(b.replayer.stop(30), name="stop")
        await asyncio.sleep(0)
        outbox.settle_all()
        await stopping
        report = await replay
        assert (report.replayed, report.problem) == (2, "the gateway is ending")
        assert await b.keys() == ["u2", "u3", "u4", "u5"]
