from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.delivery.spool.adoption import adoptable
from gateway.delivery.spool.lock import DirectoryLock, is_free
from gateway.domain.errors import OperatorError

HOLD = """
import sys
from pathlib import Path
from gateway.delivery.spool.lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not is_free(tmp_path)
        with pytest.raises(OperatorError, match=rf"in use by process {holder.pid} on "):
            DirectoryLock(tmp_path)
        holder.kill()  # however it ends
    assert is_free(tmp_path)
    DirectoryLock(tmp_path).release()


def test_the_lock_is_for_its_user_only(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    assert lock.path.stat().st_mode & 0o777 == 0o600
    lock.release()


def test_a_lock_whose_file_was_deleted_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner removed the directory between our open and our flock."""
    real = os.open
    deleted: list[Path] = []

    def opened(path: Path, *arguments: int) -> int:
        fd = real(path, *arguments)
        if not deleted:
            deleted.append(path)
            os.unlink(path)
        return fd

    monkeypatch.setattr(os, "open", opened)
    lock = DirectoryLock(tmp_path)
    assert lock.path.exists()
    assert not is_free(tmp_path)
    lock.release()


def test_a_removed_lock_leaves_nothing(tmp_path: Path) -> None:
    DirectoryLock(tmp_path).remove()
    assert not list(tmp_path.iterdir())


def test_directories_of_dead_instances_can_be_adopted(tmp_path: Path) -> None:
    for name in ("own", "dead-b", "dead-a", "alive", "no-spool"):
        (tmp_path / name).mkdir()
    for name in ("own", "dead-a", "dead-b"):
        DirectoryLock(tmp_path / name).release()
    (tmp_path / "file").touch()
    alive = DirectoryLock(tmp_path / "alive")
    assert adoptable(tmp_path, "own") == [tmp_path / "dead-a", tmp_path / "dead-b"]
    alive.release()
    assert adoptable(tmp_path / "missing", "own") == []
