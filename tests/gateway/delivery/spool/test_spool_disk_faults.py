"""A disk that is full, fails, or gave bits back that nobody wrote."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.delivery.spool import spool as spool_module
from gateway.delivery.spool.blocks import BLOCK_HEADER_BYTES, SEGMENT_HEADER_BYTES, BlockHeader
from gateway.delivery.spool.segments import SegmentFile
from gateway.domain.errors import OperatorError, RefuseReason
from tests.gateway.delivery.spool.conftest import GUARD_S, Opener, Rig, record


class Disk:
    """Fails the calls that `fail` names, for files of segments (and the probe), as long as it says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: dict[str, list[int]] = {}
        self.full = False
        for name in ("write", "fdatasync", "ftruncate", "pread"):
            monkeypatch.setattr(os, name, self._faulty(name, getattr(os, name)))

    def _faulty(self, name: str, real: Callable[..., int]) -> Callable[..., int]:
        def call(fd: int, *arguments: object) -> int:
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path.endswith((".seg", "probe.new")):
                if name == "write" and self.full:
                    data = arguments[0]
                    assert isinstance(data, bytes | memoryview)
                    if len(data) > 8:
                        return real(fd, bytes(data[: len(data) // 2]))  # a full disk takes a part first
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if self.errors.get(name):
                    number = self.errors[name].pop(0)
                    if number:
                        raise OSError(number, os.strerror(number))
            return real(fd, *arguments)

        return call


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def segment_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "gw" / "segments").iterdir())


def blocks_of(path: Path) -> list[tuple[int, int, BlockHeader]]:
    with SegmentFile(path, path.stat().st_size) as file:
        return [(start, end, header) for start, end, header in file.blocks(0) if header is not None]


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


# Full.


async def test_what_came_during_a_commit_without_space_does_not_overtake_it(
    spool: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".seg") and not answer.is_set():
            asked.set()
            answer.wait(GUARD_S)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    async with spool() as rig:
        rig.offer([record(1)])
        await asyncio.to_thread(asked.wait, GUARD_S)
        rig.offer([record(2)])  # of the same device; there is room for it when its turn comes
        answer.set()
        await rig.owner.wait(2)
        assert [put.records[0].record_id for put, _ in rig.owner.refused] == ["id-1", "id-2"]
        assert {reason for _, reason in rig.owner.refused} == {RefuseReason.OUTBOX_FULL}


@pytest.mark.parametrize("first", [True, False], ids=["first segment", "later"])
async def test_a_full_disk_refuses_keeps_delivering_and_recovers_by_itself(
    spool: Opener, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    monkeypatch.setattr(spool_module, "_TICK_S", 0.001)
    async with spool() as rig:
        kept = []
        if not first:
            await rig.put(record(1))
            kept = [record(1).body]
        before = [path.read_bytes() for path in segment_files(tmp_path)]
        calls: list[bool] = []
        rig.spool.on_room(calls.append)
        disk.full = True
        rig.offer([record(2, 500)])
        await rig.owner.wait(rig.made)
        assert [reason for _, reason in rig.owner.refused] == [RefuseReason.OUTBOX_FULL]
        assert [path.read_bytes() for path in segment_files(tmp_path)] == before, "nothing of it is left"
        assert rig.offer([record(3)]) is RefuseReason.OUTBOX_FULL
        assert not rig.spool.has_room()
        assert await rig.bodies() == kept
        disk.full = False
        await rig.wait_for_room()
        assert calls == [False, True]
        rig.owner.refused.clear()
        rig.made = len(rig.owner.committed_puts)
        await rig.put(record(4))
        assert await rig.bodies() == [*kept, record(4).body]
        assert rig.counters.sealed == 0
    async with spool() as rig:
        assert await rig.bodies() == [*kept, record(4).body]


async def test_a_disk_that_is_full_when_a_segment_ends_goes_on_in_the_old_one(
    spool: Opener, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_TICK_S", 0.001)
    async with spool(segment_bytes=1000) as rig:
        await rig.put(record(1, 1200))
        disk.full = True
        rig.offer([record(2)])
        await rig.owner.wait(2)
        disk.full = False
        await rig.wait_for_room()
        rig.owner.refused.clear()
        rig.made = 1
        await rig.put(record(3))
        assert [stored.sequence for stored in await rig.read_all()] == [1, 2]
        assert rig.counters.segments == 2


async def test_a_real_limit_of_a_files_size(spool: Opener) -> None:
    """RLIMIT_FSIZE: the kernel itself says no. That file cannot grow, but another can."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with spool() as rig:
        await rig.put(record(1, 3000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        try:
            rig.offer([record(2, 3000)])
            await rig.owner.wait(2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [reason for _, reason in rig.owner.refused] == [RefuseReason.OUTBOX_FULL]
        assert await rig.bodies() == [record(1, 3000).body]


# Failing.


@pytest.mark.parametrize("call", ["fdatasync", "write"])
async def test_a_segment_that_failed_is_sealed_and_the_batch_goes_into_a_new_one(
    spool: Opener, tmp_path: Path, disk: Disk, call: str
) -> None:
    async with spool() as rig:
        await rig.put(record(1), states=[b"key-1"])
        cursor = rig.spool.cursor("main")
        cursor.delivered([1])
        disk.errors["ftruncate"] = [errno.EIO]  # so the failed bytes stay where they are
        disk.errors[call] = [errno.EIO]
        put = await rig.put(record(2), states=[b"key-2"])
        assert rig.counters.sealed == 1
        assert await rig.bodies() == [record(1).body, record(2).body]
        cursor.delivered([put.sequence])
        assert cursor.low == rig.spool.next_sequence == put.sequence + 1
        assert len(segment_files(tmp_path)) == 2
    async with spool() as rig:
        stored = await rig.read_all()
        # What failed may be read again from the sealed file: a repeat, under another number.
        assert {item.record.body for item in stored} == {record(1).body, record(2).body}
        assert (stored[-1].sequence, stored[-1].record) == (put.sequence, record(2))
        assert len({item.sequence for item in stored}) == len(stored)
        assert rig.keeper.payloads == [b"key-1", b"key-2"]


async def test_a_second_failure_in_a_row_ends_the_spool(spool: Opener, tmp_path: Path, disk: Disk) -> None:
    async with spool() as rig:
        await rig.put(record(1))
        disk.errors["fdatasync"] = [errno.EIO, errno.EIO]
        rig.offer([record(2)])
        await rig.owner.wait(2)
        assert rig.task is not None
        with pytest.raises(OperatorError, match="failed twice in a row"):
            await rig.task
        assert [reason for _, reason in rig.owner.refused] == [RefuseReason.SINK_FAILED]
        assert not rig.spool.has_room()
        assert rig.offer([record(3)]) is RefuseReason.SINK_FAILED
        assert await rig.bodies() == [record(1).body]
    async with spool() as rig:
        assert await rig.bodies() == [record(1).body]


async def test_two_failures_with_a_success_between_are_not_in_a_row(spool: Opener, disk: Disk) -> None:
    async with spool() as rig:
        for n in range(4):
            disk.errors["fdatasync"] = [errno.EIO] if n % 2 else []
            await rig.put(record(n))
        assert rig.counters.sealed == 2
        assert await rig.bodies() == [record(n).body for n in range(4)]


async def test_a_disk_that_cannot_be_read_for_a_while_loses_nothing(spool: Opener, disk: Disk) -> None:
    async with spool() as rig:
        await rig.put(record(1))
        reader = rig.spool.reader(1)
        disk.errors["pread"] = [errno.EIO] * 3
        for _ in range(3):
            with pytest.raises(OSError, match="Input/output"):
                await reader.read(1)
        assert [stored.sequence for stored in await reader.read(1)] == [1]
        assert rig.counters.bad_blocks == 0


async def test_pages_that_stay_unreadable_are_passed(
    spool: Opener, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spool() as rig:
        for n in range(30):
            await rig.put(record(n, 1000))
        reader = rig.spool.reader(1)
        real = os.pread

        def bad_page(fd: int, count: int, offset: int) -> bytes:
            if offset <= 9000 < offset + count:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(fd, count, offset)

        monkeypatch.setattr(os, "pread", bad_page)
        for _ in range(10):
            with pytest.raises(OSError, match="Input/output"):
                await reader.read(1)
        found = [stored.sequence for stored in await reader.read(1 << 20)]
        assert found == sorted(found)
        assert set(range(1, 31)) - set(found) <= set(range(5, 15))
        assert rig.counters.bad_blocks > 0


# Flipped bits.


@pytest.mark.parametrize("part", ["header", "body"])
@pytest.mark.parametrize("place", [0, 2, -1], ids=["first", "middle", "last"])
async def test_a_flipped_bit_costs_its_block_only(spool: Opener, tmp_path: Path, part: str, place: int) -> None:
    async with spool() as rig:
        for n in range(1, 6):
            await rig.put(record(n))
    (path,) = segment_files(tmp_path)
    blocks = [block for block in blocks_of(path) if block[2].records]
    start, end, header = blocks[place]
    flip(path, start + 9 if part == "header" else end - 20)
    async with spool() as rig:
        cursor = rig.spool.cursor("main")
        fresh = await rig.put(record(6))
        stored = await rig.read_all(1, cursor)
        assert [item.sequence for item in stored] == [
            *(n for n in range(1, 6) if n != header.base),
            fresh.sequence,
        ]
        cursor.delivered([item.sequence for item in stored])
        assert cursor.low == rig.spool.next_sequence, "nobody waits for what is lost"
        if (part, place) == ("header", -1):  # looks like a torn write
            assert (rig.counters.bad_blocks, rig.counters.torn_bytes) == (0, end - start)
        else:
            assert (rig.counters.bad_blocks, rig.counters.lost_bytes) == (1, end - start)


async def test_damage_is_counted_once_however_many_read_it(spool: Opener, tmp_path: Path) -> None:
    async with spool(segment_bytes=500) as rig:
        for n in range(6):
            await rig.put(record(n, 300))
        flip(segment_files(tmp_path)[0], SEGMENT_HEADER_BYTES + 2 * BLOCK_HEADER_BYTES + 60)
        for _ in range(3):
            assert len(await rig.read_all()) < 6
        assert rig.counters.bad_blocks == 1


async def test_a_damaged_segment_header_costs_nothing(spool: Opener, tmp_path: Path) -> None:
    async with spool(segment_bytes=500) as rig:
        for n in range(6):
            await rig.put(record(n, 300))
    for path in segment_files(tmp_path):
        flip(path, 3)
    async with spool() as rig:
        assert await rig.bodies() == [record(n, 300).body for n in range(6)]
        assert rig.counters.bad_blocks > 1


async def test_a_segment_that_somebody_deleted_is_passed(spool: Opener, tmp_path: Path) -> None:
    async with spool(segment_bytes=500) as rig:
        for n in range(6):
            await rig.put(record(n, 300))
        segment_files(tmp_path)[1].unlink()
        cursor = rig.spool.cursor("main")
        stored = await rig.read_all(1, cursor)
        assert 0 < len(stored) < 6
        cursor.delivered([item.sequence for item in stored])
        assert cursor.low == rig.spool.next_sequence


async def test_states_of_a_damaged_snapshot_come_from_the_segment_before(spool: Opener, tmp_path: Path) -> None:
    async with spool(segment_bytes=500) as rig:
        for n in range(3):
            await rig.put(record(n, 300), states=[b"key-%d" % n])
    newest = segment_files(tmp_path)[-1]
    flip(newest, blocks_of(newest)[0][1] - 2)
    async with spool(segment_bytes=500) as rig:
        assert rig.keeper.payloads == [b"key-0", b"key-1", b"key-2"]
        rig.spool.release(100)  # must not delete the only whole snapshot
    rig = Rig(tmp_path / "gw", 1 << 30, 500)
    await rig.open()
    assert rig.keeper.payloads == [b"key-0", b"key-1", b"key-2"]
    await rig.put(record(4))
    rig.spool.release(100)
    assert len(rig.spool._shelf.segments) == 1
    await rig.close()
