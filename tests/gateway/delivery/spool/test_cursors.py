from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gateway.delivery.spool.cursors import Cursor, cursor_path, decode_cursor, load_cursors, write_cursor
from gateway.delivery.spool.positions import Positions


def test_a_cursor_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    cursor = Cursor("main", Positions(10))
    cursor.delivered([12, 13, 11, 20])
    cursor.skip(30, 40)
    write_cursor(cursor_path(tmp_path, "main"), cursor.encode())
    loaded = load_cursors(tmp_path)["main"]
    assert (loaded.low, loaded.ranges, loaded.top, loaded.changed) == (10, 3, 40, False)
    assert [n for n in range(45) if loaded.has(n)] == [*range(10), 11, 12, 13, 20, *range(30, 40)]


@pytest.mark.parametrize("name", ["main", "a/b", "..", "ümlaut", "x" * 60, "a b%"])
def test_any_name_of_a_sink_has_its_own_file(tmp_path: Path, name: str) -> None:
    path = cursor_path(tmp_path, name)
    assert path.parent == tmp_path
    write_cursor(path, Cursor(name, Positions(3)).encode())
    assert list(load_cursors(tmp_path)) == [name]


def test_every_changed_byte_and_every_cut_is_seen() -> None:
    cursor = Cursor("main", Positions(10, [(12, 14)]))
    data = cursor.encode()
    for i in range(len(data)):
        assert decode_cursor("main", data[:i]) is None
        assert decode_cursor("main", data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]) is None


def test_a_damaged_cursor_begins_anew(tmp_path: Path) -> None:
    cursor_path(tmp_path, "main").write_bytes(b"nonsense")
    assert {name: cursor.low for name, cursor in load_cursors(tmp_path).items()} == {"main": 0}


def test_a_file_is_synced_before_it_takes_the_place_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cursor_path(tmp_path, "main")
    write_cursor(path, b"old")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append((os.readlink(f"/proc/self/fd/{fd}"), path.read_bytes())))
    write_cursor(path, b"new")
    assert seen == [(f"{path}.new", b"old")]
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cursor_path(tmp_path, "main")
    write_cursor(path, b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_cursor(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]
