"""The key file: written whole and private, read again when it has changed, refused with its name when it is bad."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import orjson
import pytest

from gateway.access.key_file import MAX_BYTES, MAX_KEYS, IssuedKey, KeyFile, KeyFileError, revoke_key
from gateway.access.scopes import Scope

ROW: dict[str, object] = {
    "id": "erp",
    "sha256": "0a" * 32,
    "scopes": ["ingest"],
    "created_at": "2026-03-01T00:00:00.000Z",
}


def key(client_id: str, number: int = 1, **more: float | str) -> IssuedKey:
    return IssuedKey(client_id, number.to_bytes(32, "big"), Scope(), 1_767_225_600.5, **more)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data" / "keys.json")


def write(file: KeyFile, data: bytes) -> None:
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_bytes(data)
    file.path.chmod(0o600)


def rows(*given: dict[str, object], **top: object) -> bytes:
    return orjson.dumps({"format": "iotlink.keys/1", "keys": list(given), **top})


def test_no_file_is_no_keys(file: KeyFile) -> None:
    assert file.has_changed()  # it was not looked at yet
    assert file.read() == ()
    assert not file.has_changed()
    assert not file.path.parent.exists()


def test_keys_come_back_as_they_were(file: KeyFile) -> None:
    full = IssuedKey(
        "all.of-it",
        bytes(range(32)),
        Scope.of(["admin", "ingest"], ["prod-a"], ["truck-*"], "acme"),
        1_767_225_600.0,
        "local:alice",
        1_800_000_000.25,
        1_767_225_700.125,
        "local:bob",
    )
    with file.edited() as keys:
        keys += [full, key("plain")]
    assert KeyFile(file.path).read() == (full, key("plain"))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.path.parent.iterdir()) == [".keys.json.lock", "keys.json"]


def test_a_change_is_seen(file: KeyFile) -> None:
    reader = KeyFile(file.path)
    reader.read()
    with file.edited() as keys:
        keys.append(key("a"))
    assert reader.has_changed()
    assert [one.id for one in reader.read()] == ["a"]
    assert not reader.has_changed()
    file.path.unlink()
    assert reader.has_changed()
    assert reader.read() == ()
    assert not reader.has_changed()


def test_an_error_while_editing_changes_nothing(file: KeyFile) -> None:
    with file.edited() as keys:
        keys.append(key("a"))
    data = file.path.read_bytes()

    def fail() -> None:
        with file.edited() as keys:
            keys.clear()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.path.read_bytes() == data


def test_editors_wait_for_each_other(file: KeyFile) -> None:
    def add(number: int) -> None:
        for turn in range(5):
            with KeyFile(file.path).edited() as keys:
                keys.append(key(f"{number}-{turn}", number * 10 + turn))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read()) == 20


def test_what_a_crash_left_is_no_matter(file: KeyFile) -> None:
    file.path.parent.mkdir()
    (file.path.parent / ".keys.json.new").write_text("half")
    with file.edited() as keys:
        keys.append(key("a"))
    assert len(file.read()) == 1


def test_a_link_stays_a_link(file: KeyFile, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "real.json"
    target.parent.mkdir()
    file.path.parent.mkdir()
    file.path.symlink_to(target)
    with file.edited() as keys:
        keys.append(key("a"))
    assert file.path.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_revoking() -> None:
    keys = [key("a", 1, revoked_unix_s=5.0), key("b", 2), key("a", 3)]
    revoked = revoke_key(keys, "a", 9.0, "local:bob")
    assert revoked == key("a", 3, revoked_unix_s=9.0, revoked_by="local:bob")
    assert keys == [key("a", 1, revoked_unix_s=5.0), key("b", 2), revoked]
    assert revoke_key(keys, "a", 10.0, "local:bob") is None
    assert revoke_key(keys, "c", 10.0, "local:bob") is None


def test_states() -> None:
    assert key("a").state(10.0**12) == "active"
    assert [key("a", expires_unix_s=100.0).state(now) for now in (99.9, 100.0)] == ["active", "expired"]
    assert key("a", expires_unix_s=100.0, revoked_unix_s=50.0).state(60.0) == "revoked"


def test_nothing_shows_a_hash() -> None:
    made = key("a")
    assert "digest" not in repr(made)
    assert made.as_words() == {"id": "a", "scopes": ["ingest"], "created_at": "2026-01-01T00:00:00.500Z"}


def test_times_may_have_any_zone_or_none(file: KeyFile) -> None:
    write(file, rows(ROW | {"created_at": "2026-03-01", "expires_at": "2026-03-01T09:00:00+09:00"}))
    (read,) = file.read()
    assert read.created_unix_s == read.expires_unix_s == 1_772_323_200


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", r"keys\.json:1:1: not JSON"),
        (b'{"format":\n oops}', r"keys\.json:2:\d+: not JSON"),
        (b"[]", "valid dictionary"),
        (b'{"keys": []}', "format: Field required"),
        (rows(format="iotlink.keys/2"), "format: Input should be 'iotlink.keys/1'"),
        (rows(more=1), "more: Extra inputs"),
        (rows(ROW, ROW | {"id": "x y", "sha256": "0b" * 32}), r"keys\.1\.id: String should match"),
        (rows(ROW | {"sha256": "0a"}), "64 hex digits"),
        (rows(ROW | {"scopes": ["write"]}), "no scope `write`"),
        (rows(ROW | {"devices": ["a*b"]}), "at the end of a device pattern"),
        (rows(ROW | {"created_at": "yesterday"}), "yesterday"),
        (rows(ROW | {"created_at": 5}), r"keys\.0\.created_at: Input should be a valid string"),
        (rows(ROW, ROW), "the same key of `erp` stands there twice"),
        (rows(ROW, ROW | {"sha256": "0b" * 32}), "`erp` has several keys that are not revoked"),
        (rows(*([ROW] * (MAX_KEYS + 1))), r"keys: List should have at most 10000"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_files_that_cannot_be_used(file: KeyFile, data: bytes, said: str) -> None:
    write(file, data)
    with pytest.raises(KeyFileError, match=said) as error:
        file.read()
    assert str(file.path) in str(error.value)
    assert "0a0a" not in str(error.value)
    assert file.has_changed()  # looked at again until it is mended


def test_a_file_that_everybody_may_write(file: KeyFile) -> None:
    write(file, rows(ROW))
    file.path.chmod(0o666)
    with pytest.raises(KeyFileError, match="chmod 600"):
        file.read()


def test_too_many_keys_to_keep(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.access.key_file.MAX_KEYS", 1)
    with pytest.raises(KeyFileError, match="holds 1 keys already"), file.edited() as keys:
        keys += [key("a", 1), key("b", 2)]
    assert not file.path.exists()


def test_what_the_disk_says(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(KeyFileError, match="Is a directory"):
        file.read()
    below = KeyFile(file.path.parent / ".keys.json.lock" / "keys.json")
    (file.path.parent / ".keys.json.lock").write_text("")
    for work in (below.has_changed, below.read, lambda: below.edited().__enter__()):
        with pytest.raises(KeyFileError, match=r"Not a directory|File exists"):
            work()
    good = KeyFile(file.path.parent / "good.json")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"), good.edited() as keys:
        keys.append(key("a"))
    assert not good.path.exists()
    assert not (file.path.parent / ".good.json.new").exists()


def test_the_lock_ends_with_the_editing(file: KeyFile) -> None:
    with file.edited():
        pass
    with (file.path.parent / ".keys.json.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_is_the_gateways(file: KeyFile) -> None:
    file.path.parent.mkdir()
    os.chown(file.path.parent, 10_001, 10_002)
    with file.edited() as keys:
        keys.append(key("a"))
    for path in file.path.parent.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (10_001, 10_002)
