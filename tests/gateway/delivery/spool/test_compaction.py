from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.gateway.delivery.spool.conftest import Opener, Rig, record

SIZES = {"max_bytes": 120_000, "segment_bytes": 10_000}


def is_slow(sequence: int, targets: tuple[str, ...]) -> bool:
    """What a slow lane still needs: each 50th record."""
    return sequence % 50 == 0


async def fill(rig: Rig, count: int = 130) -> None:
    for n in range(1, count + 1):
        await rig.put(record(n, 600))


def segment_bytes(tmp_path: Path) -> int:
    return sum(path.stat().st_size for path in (tmp_path / "gw" / "segments").iterdir())


async def test_a_slow_lane_does_not_pin_the_disk(spool: Opener, tmp_path: Path) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        before = rig.spool.disk_bytes
        newest = rig.spool._shelf.segments[-1].first
        freed = await rig.spool.compact(is_slow)
        assert freed > 60_000
        assert before - freed == rig.spool.disk_bytes == rig.counters.bytes == segment_bytes(tmp_path)
        expected = [n for n in range(1, 131) if n % 50 == 0 or n >= newest]
        stored = await rig.read_all()
        assert [item.sequence for item in stored] == expected
        assert [item.record for item in stored] == [record(n, 600) for n in expected]
        assert await rig.spool.compact(is_slow) == 0, "not crowded any more"
    async with spool(**SIZES) as rig:
        assert [item.sequence for item in await rig.read_all()] == expected
        assert (await rig.put(record(131))).sequence == 131


async def test_a_reader_in_a_rewritten_segment_goes_on(spool: Opener) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        newest = rig.spool._shelf.segments[-1].first
        readers = [rig.spool.reader(position) for position in (1, 10, 25, 60)]
        started = [(await reader.read(1))[-1].sequence for reader in readers]
        assert started == [1, 10, 25, 60]
        assert await rig.spool.compact(is_slow)
        for reader, position in zip(readers, started, strict=True):
            rest = [item.sequence for item in await reader.read(1 << 20)]
            assert rest == [n for n in range(position + 1, 131) if n % 50 == 0 or n >= newest]


async def test_a_new_sink_waits_for_nothing_that_is_gone(spool: Opener) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        assert await rig.spool.compact(is_slow)
        cursor = rig.spool.cursor("fresh")
        stored = await rig.read_all(cursor.low, cursor)
        cursor.delivered([item.sequence for item in stored])
        assert (cursor.low, cursor.ranges) == (131, 0)


async def test_segments_of_which_nothing_is_wanted_are_deleted(spool: Opener, tmp_path: Path) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        assert await rig.spool.compact(lambda sequence, targets: False)
        assert len(rig.spool._shelf.segments) == 1
        assert rig.spool.disk_bytes == segment_bytes(tmp_path)


async def test_full_segments_are_left_alone_and_those_behind_them_are_not(spool: Opener) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        wanted_until = rig.spool._shelf.segments[2].first
        newest = rig.spool._shelf.segments[-1].first
        assert await rig.spool.compact(lambda sequence, targets: sequence < wanted_until) > 60_000
        assert [item.sequence for item in await rig.read_all()] == [*range(1, wanted_until), *range(newest, 131)]


async def test_nothing_happens_when_most_is_wanted(spool: Opener) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        assert await rig.spool.compact(lambda sequence, targets: True) == 0
        assert len(await rig.read_all()) == 130


async def test_what_is_released_meanwhile_is_deleted_afterwards(spool: Opener) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)

        def wanted(sequence: int, targets: tuple[str, ...]) -> bool:
            rig.spool.release(131)
            return is_slow(sequence, targets)

        await rig.spool.compact(wanted)
        await rig.read_all()
        assert len(rig.spool._shelf.segments) == 1


@pytest.mark.parametrize("call", ["write", "fdatasync"])
async def test_a_disk_that_says_no_changes_nothing(
    spool: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    async with spool(**SIZES) as rig:
        await fill(rig)
        files = {path: path.read_bytes() for path in (tmp_path / "gw" / "segments").iterdir()}
        with monkeypatch.context() as patch:

            def full(fd: int, *data: bytes) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr(os, call, full)
            assert await rig.spool.compact(is_slow) == 0
        assert {path: path.read_bytes() for path in (tmp_path / "gw" / "segments").iterdir()} == files
        assert len(await rig.read_all()) == 130
        assert await rig.spool.compact(is_slow)


async def test_a_crash_at_any_step_loses_and_repeats_nothing(spool: Opener, tmp_path: Path) -> None:
    """The steps on the disk: a new file, a rename, deletions one by one."""
    async with spool(**SIZES) as rig:
        await fill(rig)
        before = tmp_path / "before"
        shutil.copytree(tmp_path / "gw" / "segments", before)
        assert await rig.spool.compact(is_slow)
        newest = rig.spool._shelf.segments[-1].first
    after = tmp_path / "gw" / "segments"
    old = sorted(before.iterdir())
    rewritten = old[:-1]
    for step in range(len(rewritten) + 1):
        crashed = tmp_path / f"crashed-{step}"
        shutil.copytree(before, crashed / "segments")
        if step == 0:
            half = (after / rewritten[0].name).read_bytes()[:99]
            (crashed / "segments" / f"{rewritten[0].stem}.new").write_bytes(half)
        else:
            shutil.copy(after / rewritten[0].name, crashed / "segments" / rewritten[0].name)
            for path in rewritten[1:step]:
                (crashed / "segments" / path.name).unlink()
        async with spool(crashed, **SIZES) as rig:
            sequences = [item.sequence for item in await rig.read_all()]
            kept = [n for n in range(1, 131) if n % 50 == 0 or n >= newest]
            assert sequences == ([*range(1, 131)] if step == 0 else kept)
            assert rig.spool.disk_bytes == sum(path.stat().st_size for path in (crashed / "segments").iterdir())
