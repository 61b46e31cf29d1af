from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from gateway.delivery.disk import AppendFile, DiskThread, check_writable, disk_error, new_file


async def test_calls_run_in_order_in_one_other_thread() -> None:
    thread = DiskThread("disk")
    thread.start()
    names: list[tuple[int, str]] = []
    await asyncio.gather(
        *(thread.call(lambda i=i: names.append((i, threading.current_thread().name))) for i in range(50))  # type: ignore[misc]
    )
    assert names == [(i, "disk") for i in range(50)]
    assert await thread.call(lambda: 42) == 42
    with pytest.raises(OSError, match="gone"):
        await thread.call(lambda: (_ for _ in ()).throw(OSError("gone")))
    assert await thread.close(lambda: names.clear(), 30)
    assert names == []


async def test_close_gives_up_on_a_disk_that_hangs() -> None:
    thread = DiskThread("disk")
    thread.start()
    release = threading.Event()
    hanging = asyncio.ensure_future(thread.call(release.wait))
    await asyncio.sleep(0)
    assert not await thread.close(lambda: None, 0.01)
    release.set()
    assert await asyncio.wait_for(hanging, 30)


async def test_close_without_start() -> None:
    assert await DiskThread("disk").close(lambda: None, 1)


def test_files_and_directories_belong_to_the_gateway_alone(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a" / "b" / "c.ndjson")
    file.write(b"x")
    file.commit()
    file.close()
    assert stat.S_IMODE((tmp_path / "a/b/c.ndjson").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def test_new_names_are_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is only there after a crash if each directory that got a new name was synced."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(os.readlink(f"/proc/self/fd/{fd}"))))
    AppendFile(tmp_path / "a" / "b" / "c.ndjson").close()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_an_existing_file_is_never_appended_to(tmp_path: Path) -> None:
    (tmp_path / "f-s-000001.ndjson").write_bytes(b'{"torn": ')
    file, number = new_file(tmp_path, "f", "s", 1)
    assert (number, file.path.name) == (2, "f-s-000002.ndjson")
    file.close()
    assert (tmp_path / "f-s-000001.ndjson").read_bytes() == b'{"torn": '


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:3]))
    file = AppendFile(tmp_path / "f")
    file.write(b"0123456789")
    file.commit()
    file.close()
    assert (tmp_path / "f").read_bytes() == b"0123456789"
    assert file.size == 10


def test_roll_back_cuts_to_the_durable_end(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "f")
    file.write(b"good\n")
    file.commit()
    file.write(b"half a li")
    assert file.roll_back()
    file.write(b"next\n")
    file.commit()
    file.close()
    assert (tmp_path / "f").read_bytes() == b"good\nnext\n"


def test_a_file_that_failed_to_sync_is_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendFile(tmp_path / "f")
    file.write(b"good\n")
    file.commit()
    file.write(b"lost\n")

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            file.commit()
    assert not file.roll_back()
    file.close()
    assert (tmp_path / "f").read_bytes() == b"good\n"


def test_a_file_that_never_held_anything_leaves_no_trace(tmp_path: Path) -> None:
    AppendFile(tmp_path / "f").close()
    assert not list(tmp_path.iterdir())


def test_disk_errors_are_worth_another_try() -> None:
    for number, code in ((errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "disk")):
        error = disk_error(OSError(number, os.strerror(number)), Path("/data/f"))
        assert (error.code, error.retriable) == (code, True)
        assert "/data/f" in str(error)


def test_a_probe_leaves_nothing_and_takes_up_what_a_kill_left(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".probe").write_bytes(b"left")
    check_writable(tmp_path / "a")
    check_writable(tmp_path / "b" / "c")
    assert list((tmp_path / "a").iterdir()) == list((tmp_path / "b" / "c").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        check_writable(tmp_path / "file")
