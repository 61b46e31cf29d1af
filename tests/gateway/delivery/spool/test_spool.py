from __future__ import annotations

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from gateway.delivery.spool import spool as spool_module
from gateway.delivery.spool.blocks import FORMAT_VERSION, MAX_RECORD_BYTES, segment_header
from gateway.delivery.spool.cursors import write_cursor
from gateway.delivery.spool.segments import segment_name
from gateway.domain.errors import OperatorError, RefuseReason
from gateway.observe.metrics import Metrics
from tests.gateway.delivery.spool.conftest import GUARD_S, Opener, Rig, record


async def test_what_is_committed_can_be_read_in_order(spool: Opener) -> None:
    async with spool() as rig:
        first = await rig.put(record(1), record(2), targets=("main", "alerts"))
        second = await rig.put(record(3))
        assert (first.sequence, second.sequence, rig.spool.next_sequence) == (1, 3, 4)
        stored = await rig.read_all()
        assert [item.sequence for item in stored] == [1, 2, 3]
        assert [item.record for item in stored] == [record(1), record(2), record(3)]
        assert [item.targets for item in stored] == [("main", "alerts"), ("main", "alerts"), ("main",)]
        assert await rig.bodies(2) == [record(2).body, record(3).body]


async def test_puts_of_one_turn_share_a_commit(spool: Opener) -> None:
    async with spool() as rig:
        for n in range(20):
            rig.offer([record(n)])
        await rig.owner.wait(20)
        assert [len(batch) for batch in rig.owner.batches] == [20]
        assert [put.sequence for put in rig.owner.committed_puts] == list(range(1, 21))


async def test_nothing_is_reported_before_the_disk_has_it(spool: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    real, steps = os.fdatasync, list[str]()

    def synced(fd: int) -> None:
        real(fd)
        steps.append(Path(os.readlink(f"/proc/self/fd/{fd}")).parent.name)

    monkeypatch.setattr(os, "fdatasync", synced)
    async with spool() as rig:
        for n in range(5):
            await rig.put(record(n))
            assert steps == ["segments"] * len(rig.owner.batches)
        assert rig.counters.commits == 5


async def test_everything_is_there_after_a_restart(spool: Opener) -> None:
    async with spool() as rig:
        await rig.put(record(1), states=[b"key-1"])
        await rig.put(record(2), states=[b"key-2"])
    async with spool() as rig:
        assert rig.keeper.payloads == [b"key-1", b"key-2"]
        assert rig.spool.next_sequence == 3
        await rig.put(record(3))
        assert await rig.bodies() == [record(n).body for n in (1, 2, 3)]
    async with spool() as rig:
        assert rig.keeper.payloads == [b"key-1", b"key-2"]
        assert await rig.bodies() == [record(n).body for n in (1, 2, 3)]


async def test_each_segment_begins_with_all_states(spool: Opener) -> None:
    async with spool(segment_bytes=2000) as rig:
        for n in range(40):
            await rig.put(record(n, 200), states=[b"key-%d" % n])
        assert rig.counters.segments > 3
        cursor = rig.spool.cursor("main")
        cursor.delivered(range(1, 41))
        rig.spool.release(cursor.low)
    async with spool(segment_bytes=2000) as rig:
        assert sorted(rig.keeper.payloads) == sorted(b"key-%d" % n for n in range(40))
        assert rig.counters.segments == 1


async def test_delivered_segments_are_deleted_and_sequences_go_on(spool: Opener, tmp_path: Path) -> None:
    files = tmp_path / "gw" / "segments"
    async with spool(segment_bytes=2000) as rig:
        for n in range(30):
            await rig.put(record(n, 300))
        rig.spool.release(15)
        await rig.read_all(15)  # behind the deletion, in the same thread
        assert rig.spool.first_sequence <= 15
        assert len(list(files.iterdir())) == rig.counters.segments
        rig.spool.release(31)
        await rig.read_all()  # as above
        assert len(list(files.iterdir())) == rig.counters.segments == 1
        assert rig.counters.bytes == rig.spool.disk_bytes == sum(path.stat().st_size for path in files.iterdir())
    async with spool() as rig:
        assert rig.spool.next_sequence == 31
        assert (await rig.put(record(31))).sequence == 31


async def test_a_reader_follows_what_is_committed(spool: Opener) -> None:
    async with spool(segment_bytes=2000) as rig:
        reader = rig.spool.reader(1)
        assert await reader.read(1) == []
        seen: list[int] = []
        for n in range(25):
            await rig.put(record(n, 300))
            seen += [stored.sequence for stored in await reader.read(10_000)]
            assert reader.position == rig.spool.next_sequence
        assert seen == list(range(1, 26))


async def test_a_reader_gives_no_more_than_it_was_asked_for_but_whole_blocks(spool: Opener) -> None:
    async with spool() as rig:
        for n in range(6):
            await rig.put(record(n, 100), record(n, 100))
        reader = rig.spool.reader(1)
        assert [len(await reader.read(size)) for size in (1, 200, 201, 10_000, 1)] == [2, 2, 4, 4, 0]


async def test_records_of_a_segment_that_is_deleted_under_a_reader_are_passed(spool: Opener) -> None:
    async with spool(segment_bytes=2000) as rig:
        for n in range(20):
            await rig.put(record(n, 300))
        reader = rig.spool.reader(1)
        assert [stored.sequence for stored in await reader.read(1)] == [1]
        rig.spool.release(15)
        rest = [stored.sequence for stored in await reader.read(100_000)]
        assert rest[0] == rig.spool.first_sequence
        assert rest[-1] == 20


async def test_cursors_are_saved_and_new_ones_begin_at_the_first_entry(spool: Opener) -> None:
    async with spool() as rig:
        await rig.put(*[record(n) for n in range(10)])
        main = rig.spool.cursor("main")
        assert (main.low, main is rig.spool.cursor("main")) == (1, True)
        main.delivered([1, 2, 3, 7])
        main.skip(9, 11)
    async with spool() as rig:
        assert rig.spool.cursor_names() == ["main"]
        main = rig.spool.cursor("main")
        assert [n for n in range(1, 12) if not main.has(n)] == [4, 5, 6, 8, 11]
        assert rig.spool.cursor("alerts").low == 1
        await rig.spool.drop_cursor("main")
        assert rig.spool.cursor_names() == ["alerts"]
    async with spool() as rig:
        assert rig.spool.cursor_names() == ["alerts"]


async def test_cursors_are_saved_while_the_spool_runs(
    spool: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_TICK_S", 0.001)
    saved, loop = asyncio.Event(), asyncio.get_running_loop()

    def write(path: Path, data: bytes) -> None:
        write_cursor(path, data)
        loop.call_soon_threadsafe(saved.set)

    monkeypatch.setattr(spool_module, "write_cursor", write)
    async with spool() as rig, asyncio.timeout(GUARD_S):
        rig.spool.cursor("main")
        await saved.wait()
        assert (tmp_path / "gw" / "cursors" / "main.cur").exists()


async def test_states_that_fill_a_segment_are_not_written_with_each_commit(spool: Opener) -> None:
    async with spool(segment_bytes=2000) as rig:
        for n in range(60):
            await rig.put(record(n), states=[b"%03d" % n * 100])
        assert rig.counters.segments < 10


async def test_cursors_ahead_of_a_lost_spool_swallow_no_new_record(spool: Opener, tmp_path: Path) -> None:
    async with spool() as rig:
        await rig.put(*[record(n) for n in range(10)])
        rig.spool.cursor("main").delivered([*range(1, 6), 10])
    for path in (tmp_path / "gw" / "segments").iterdir():
        path.unlink()
    async with spool() as rig:
        main = rig.spool.cursor("main")
        put = await rig.put(record(11))
        assert put.sequence == main.low == 11
        assert not main.has(put.sequence)


async def test_a_gap_does_not_hold_up_a_cursor(spool: Opener, tmp_path: Path) -> None:
    """Numbers that may have stood in a damaged end are not given again, and nobody waits for them."""
    async with spool() as rig:
        await rig.put(record(1))
        rig.spool.cursor("main").delivered([1])
        size = rig.spool.disk_bytes
        await rig.put(record(2, 500))
    (segment,) = (tmp_path / "gw" / "segments").iterdir()
    os.truncate(segment, size + 300)
    async with spool() as rig:
        assert rig.counters.torn_bytes == 300
        main = rig.spool.cursor("main")
        assert main.low == rig.spool.next_sequence > 3
        fresh = rig.spool.cursor("fresh")
        reader = rig.spool.reader(fresh.low, fresh)
        assert [stored.sequence for stored in await reader.read(1 << 20)] == [1]
        assert await reader.read(1) == []
        fresh.delivered([1])
        assert fresh.low == reader.position == rig.spool.next_sequence


async def test_a_second_process_is_refused(spool: Opener, tmp_path: Path) -> None:
    async with spool():
        other = Rig(tmp_path / "gw", 1 << 30, 1 << 20)
        with pytest.raises(OperatorError, match=rf"in use by process {os.getpid()}"):
            await other.open()
    async with spool():
        pass  # free again


async def test_a_newer_format_is_refused(spool: Opener, tmp_path: Path) -> None:
    async with spool() as rig:
        await rig.put(record(1))
    newer = tmp_path / "gw" / "segments" / segment_name(500)
    newer.write_bytes(segment_header(500, 0, FORMAT_VERSION + 1) + b"what we cannot know")
    before = newer.read_bytes()
    rig = Rig(tmp_path / "gw", 1 << 30, 1 << 20)
    with pytest.raises(OperatorError, match=rf"{newer.name}: spool format 2 of a newer gateway"):
        await rig.open()
    assert newer.read_bytes() == before
    newer.unlink()
    async with spool() as again:
        assert await again.bodies() == [record(1).body]


async def test_a_directory_that_cannot_be_made_is_the_operators(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="the spool cannot be opened"):
        await Rig(tmp_path / "file" / "gw", 1 << 30, 1 << 20).open()


async def test_files_are_for_the_gateways_user_only(spool: Opener, tmp_path: Path) -> None:
    async with spool() as rig:
        await rig.put(record(1))
        rig.spool.cursor("main")
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "gw", *(tmp_path / "gw").rglob("*"))
    }
    assert modes == {
        "gw": 0o700,
        "gw/lock": 0o600,
        "gw/segments": 0o700,
        f"gw/segments/{segment_name(1)}": 0o600,
        "gw/cursors": 0o700,
        "gw/cursors/main.cur": 0o600,
    }


async def test_the_cap_closes_the_door_and_delivery_opens_it(spool: Opener) -> None:
    async with spool(max_bytes=80_000, segment_bytes=4000) as rig:
        calls: list[bool] = []
        rig.spool.on_room(calls.append)
        n = 0
        while rig.offer([record(n, 500)]) is None:
            n += 1
            await rig.owner.wait(n)
        assert rig.spool.disk_bytes <= 80_000
        assert (rig.spool.has_room(), calls) == (False, [False])
        assert rig.counters.refused[RefuseReason.OUTBOX_FULL] == 1
        cursor = rig.spool.cursor("main")
        for sequence in range(1, n + 1):
            cursor.delivered([sequence])
            rig.spool.release(cursor.low)
            if sequence % 10 == 0:
                await rig.read_all(sequence)
        await rig.read_all()
        assert (rig.spool.has_room(), calls) == (True, [False, True])
        await rig.put(record(n, 500))


async def test_what_can_never_fit_is_refused_or_raised_and_harms_nobody(spool: Opener) -> None:
    async with spool() as rig:
        assert rig.offer([record(1, MAX_RECORD_BYTES + 1)]) is RefuseReason.TOO_LARGE
        with pytest.raises(ValueError):
            rig.offer([record(1, lane="x" * 70_000)])
        await rig.put(record(2))
        assert await rig.bodies() == [record(2).body]


async def test_a_large_put_makes_several_blocks_with_its_states_in_the_last(spool: Opener) -> None:
    async with spool() as rig:
        await rig.put(*[record(n, 200_000) for n in range(8)], states=[b"key"])
        reader = rig.spool.reader(1)
        parts = [len(await reader.read(1)) for _ in range(4)]
        assert parts == [3, 3, 2, 0]
    async with spool() as rig:
        assert rig.keeper.payloads == [b"key"]


async def test_a_commit_takes_no_more_than_so_much_but_whole_puts_in_order(spool: Opener) -> None:
    async with spool(segment_bytes=1 << 20) as rig:
        for n in range(9):
            rig.offer([record(n, 300_000)], b"%d" % n)
        await rig.owner.wait(9)
        assert [len(batch) for batch in rig.owner.batches] == [4, 4, 1]
        assert [put.sequence for put in rig.owner.committed_puts] == list(range(1, 10))
        assert [len(body) for body in await rig.bodies()] == [300_000] * 9
        assert rig.keeper.payloads == [b"%d" % n for n in range(9)]


async def test_what_waits_behind_a_full_commit_is_refused_with_it_at_the_end(spool: Opener) -> None:
    async with spool(segment_bytes=1 << 20) as rig:
        for n in range(9):
            rig.offer([record(n, 300_000)])
        rig.spool.refuse_rest(rig.owner)
        assert [put.records[0] for put, _ in rig.owner.refused] == [record(n, 300_000) for n in range(9)]


async def test_states_alone_are_kept_and_no_two_segments_share_a_name(spool: Opener) -> None:
    for n in range(3):
        async with spool() as rig:
            await rig.put(states=[b"key-%d" % n])
    async with spool() as rig:
        assert rig.keeper.payloads == [b"key-0", b"key-1", b"key-2"]
        put = await rig.put(record(1))
        assert put.sequence == rig.spool.next_sequence - 1
        assert await rig.bodies() == [record(1).body]


async def test_at_the_end_the_commit_under_way_is_finished_and_what_waits_is_refused(
    spool: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdatasync
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(fd: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(GUARD_S)
        real(fd)

    async with spool() as rig:
        monkeypatch.setattr(os, "fdatasync", slow)
        rig.offer([record(1)])
        await begun.wait()
        rig.offer([record(2)])
        assert rig.task is not None
        rig.task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await rig.stop()
        assert [put.sequence for put in rig.owner.committed_puts] == [1]
        assert [reason for _, reason in rig.owner.refused] == [RefuseReason.SINK_FAILED]
        assert rig.offer([record(3)]) is RefuseReason.SINK_FAILED
        assert not rig.spool.has_room()


async def test_an_adopted_spool_gives_what_it_has_and_goes(spool: Opener, tmp_path: Path) -> None:
    async with spool() as rig:
        await rig.put(record(1), record(2))
        rig.spool.cursor("main").delivered([1])
    adopted = Rig(tmp_path / "gw", 1 << 30, 1 << 20, adopted=True)
    await adopted.open()
    assert adopted.offer([record(3)]) is RefuseReason.SINK_FAILED
    assert not adopted.spool.has_room()
    cursor = adopted.spool.cursor("main")
    assert [stored.sequence for stored in await adopted.read_all(cursor.low, cursor)] == [2]
    await adopted.stop()
    await adopted.spool.remove()
    assert not (tmp_path / "gw").exists()
    assert (adopted.counters.bytes, adopted.counters.segments, adopted.counters.records) == (0, 0, 0)


async def test_a_long_backlog_is_opened_by_reading_its_newest_segment(
    spool: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spool(segment_bytes=20_000) as rig:
        for n in range(50):
            await rig.put(*[record(n, 500) for _ in range(20)])
        segments, size = rig.counters.segments, rig.spool.disk_bytes
    assert segments > 20
    read = 0
    real = os.pread

    def counted(fd: int, count: int, offset: int) -> bytes:
        nonlocal read
        read += count
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    async with spool(segment_bytes=20_000) as rig:
        assert rig.spool.next_sequence == 1001
        assert rig.spool.disk_bytes == size
    assert read < 2 * size / segments


async def test_the_spool_shows_in_the_metrics(spool: Opener) -> None:
    metrics = Metrics()
    names = {family.name for family in metrics.registry.collect()}
    for name in ("bytes", "capacity_bytes", "records", "segments", "commits", "commit_duration_seconds", "bad_blocks"):
        assert f"iotlink_spool_{name}" in names
    metrics.spool.observe_commit(0.001)
    assert metrics.registry.get_sample_value("iotlink_spool_commit_duration_seconds_count") == 1
    assert metrics.registry.get_sample_value("iotlink_spool_refused_total", {"reason": "outbox_full"}) == 0


async def test_a_segment_that_lost_its_end_is_passed_without_a_walk_over_what_is_not_there(
    spool: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair of the file system cut it. The newest segment says that there was more."""
    async with spool(segment_bytes=100_000) as rig:
        for n in range(1, 31):
            await rig.put(record(n, 10_000))
        first = rig.spool._shelf.segments[0]
        os.truncate(first.path, 30_000)
        reads = 0
        pread = os.pread

        def counted(fd: int, count: int, offset: int) -> bytes:
            nonlocal reads
            reads += 1
            return pread(fd, count, offset)

        monkeypatch.setattr(os, "pread", counted)
        numbers = [stored.sequence for stored in await rig.read_all()]
        assert numbers == [1, 2, *range(first.end, 31)]
        assert rig.counters.lost_bytes > 60_000
        assert reads < 100
