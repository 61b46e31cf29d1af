"""Files that are replaced whole: private, never half of one, a link stays one, and one process at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from gateway.access.private_files import alone_with, replace_whole


def test_it_is_private_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    for data in (b"one", b"two"):
        replace_whole(file, data)
        assert file.read_bytes() == data
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["keys.json"]


def test_what_a_crash_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".keys.json.new").write_bytes(b"half of")
    replace_whole(tmp_path / "keys.json", b"all")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"keys.json": b"all"}


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "there" / "k.json")
    replace_whole(link, b"all")
    assert link.is_symlink()
    assert (tmp_path / "there" / "k.json").read_bytes() == b"all"


def test_one_that_cannot_be_written_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    replace_whole(file, b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_whole(file, b"after")
    assert file.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["keys.json"]


def test_others_wait(tmp_path: Path) -> None:
    file = tmp_path / "data" / "keys.json"
    with alone_with(file):
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        other = os.open(file.with_name(".keys.json.lock"), os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    with pytest.raises(RuntimeError), alone_with(file):
        raise RuntimeError
    with alone_with(file):  # that it failed holds nobody up
        pass
