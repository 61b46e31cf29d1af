"""The worse machine: a quota, a disk whose sync fails, a clock that jumps."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from loadtest.faults.handicap import BrokenSync, JumpingClock, Quota, used_bytes


def test_a_quota_takes_what_fits_and_counts_everything_below_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    (folder / "deep").mkdir(parents=True)
    (folder / "ballast").write_bytes(bytes(60))
    quota = Quota(folder, 100)
    with (folder / "deep" / "file").open("wb", buffering=0) as inside, (tmp_path / "other").open("wb") as outside:
        assert quota.write(inside.fileno(), bytes(50)) == 40
        with pytest.raises(OSError) as raised:
            quota.write(inside.fileno(), b"x")
        assert raised.value.errno == errno.ENOSPC
        assert quota.write(outside.fileno(), bytes(50)) == 50
        assert used_bytes(str(folder)) == 100
        (folder / "ballast").unlink()
        assert quota.write(inside.fileno(), bytes(50)) == 50


def test_sync_fails_at_the_calls_that_were_named(tmp_path: Path) -> None:
    sync = BrokenSync([2, 3])
    with (tmp_path / "file").open("wb") as file:
        sync.fdatasync(file.fileno())
        for _ in range(2):
            with pytest.raises(OSError) as raised:
                sync.fdatasync(file.fileno())
            assert raised.value.errno == errno.EIO
        sync.fdatasync(file.fileno())


def test_the_clock_jumps_when_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_text("0")
    clock = JumpingClock(path)
    before = clock.time()
    path.write_text("-86400")
    assert clock.time() >= before
    clock.read()
    assert before - 86_401 < clock.time() < before - 86_000
    assert abs(clock.time_ns() / 1e9 - clock.time()) < 60
