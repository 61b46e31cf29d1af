"""When keys were used: written down once a minute, merged, no more than there are keys, and no harm when it fails."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import orjson
import pytest

from gateway.access.key_file import KeyFileError
from gateway.access.key_uses import MAX_BYTES, WRITE_EVERY_S, KeyUses

NOW = 1_767_225_600.0
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


class Rig:
    """Of one gateway."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.uses = KeyUses(folder / "keys.json", lambda: self.now)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_its_name_stands_beside_the_key_file(tmp_path: Path) -> None:
    assert KeyUses(tmp_path / "k.json", lambda: NOW).path == tmp_path / "k.used.json"


def test_nothing_used_is_no_file(rig: Rig) -> None:
    rig.uses.write_down([A])
    assert rig.uses.read() == {}
    assert not rig.uses.path.exists()


def test_it_comes_back_and_is_private(rig: Rig) -> None:
    rig.now += 0.25
    rig.uses.note(A)
    rig.uses.write_down([A, B])
    assert rig.uses.read() == {A: NOW + 0.25}
    assert stat.S_IMODE(rig.uses.path.stat().st_mode) == 0o600
    assert orjson.loads(rig.uses.path.read_bytes())["used"] == {A.hex(): "2026-01-01T00:00:00.250Z"}


def test_at_most_once_a_minute(rig: Rig) -> None:
    rig.uses.note(A)
    rig.uses.write_down([A])
    rig.now += WRITE_EVERY_S - 1
    rig.uses.note(A)
    rig.uses.write_down([A])
    assert rig.uses.read() == {A: NOW}
    rig.now += 1
    rig.uses.write_down([A])
    assert rig.uses.read() == {A: NOW + WRITE_EVERY_S - 1}


def test_what_is_not_new_is_not_written(rig: Rig) -> None:
    rig.uses.note(A)
    rig.uses.write_down([A])
    rig.uses.path.unlink()
    rig.now += WRITE_EVERY_S
    rig.uses.write_down([A])
    assert not rig.uses.path.exists()


def test_a_clock_that_was_set_back_stops_nothing(rig: Rig) -> None:
    rig.uses.note(A)
    rig.uses.write_down([A, B])
    rig.now -= 86_400
    rig.uses.note(B)
    rig.uses.write_down([A, B])
    assert rig.uses.read() == {A: NOW, B: NOW - 86_400}


def test_gateways_that_share_it_keep_the_latest_of_each_key(tmp_path: Path) -> None:
    one, two = Rig(tmp_path), Rig(tmp_path)
    two.now += 5
    for rig, digests in ((two, (A, B)), (one, (A, C))):
        for digest in digests:
            rig.uses.note(digest)
        rig.uses.write_down([A, B, C])
    assert one.uses.read() == {A: NOW + 5, B: NOW + 5, C: NOW}


def test_a_key_that_is_gone_is_forgotten(rig: Rig) -> None:
    rig.uses.note(A)
    rig.uses.note(B)
    rig.uses.write_down([A, B])
    rig.now += WRITE_EVERY_S
    rig.uses.note(C)
    rig.uses.write_down([B])
    assert rig.uses.read() == {B: NOW}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": "iotlink.keys/1", "used": {}}',
        b'{"format": "iotlink.key_uses/1"}',
        b'{"format": "iotlink.key_uses/1", "used": []}',
        b'{"format": "iotlink.key_uses/1", "used": {"zz": "2026-01-01T00:00:00Z"}}',
        b'{"format": "iotlink.key_uses/1", "used": {"00": 5}}',
        b'{"format": "iotlink.key_uses/1", "used": {"00": "soon"}}',
        b" " * (MAX_BYTES + 1),
    ],
)
def test_a_file_that_is_none_is_named_and_made_anew(rig: Rig, data: bytes) -> None:
    rig.uses.path.write_bytes(data)
    with pytest.raises(KeyFileError, match=r"keys\.used\.json: does not say when keys were used"):
        rig.uses.read()
    rig.uses.note(A)
    rig.uses.write_down([A])
    assert rig.uses.read() == {A: NOW}


def test_a_folder_that_cannot_be_written_is_named_and_tried_again_in_a_minute(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    rig = Rig(tmp_path / "data")
    rig.uses.note(A)
    with pytest.raises(KeyFileError, match="data"):
        rig.uses.write_down([A])
    rig.uses.write_down([A])
    (tmp_path / "data").unlink()
    rig.now += WRITE_EVERY_S
    rig.uses.write_down([A])
    assert rig.uses.read() == {A: NOW}


def test_keys_may_be_used_while_it_is_written(rig: Rig) -> None:
    known = [number.to_bytes(32, "big") for number in range(2_000)]

    def use() -> None:
        for digest in known:
            rig.uses.note(digest)

    thread = threading.Thread(target=use)
    thread.start()
    while thread.is_alive():
        rig.uses.write_down(known)
        rig.now += WRITE_EVERY_S
    thread.join()
    rig.uses.write_down(known)
    assert rig.uses.read().keys() == set(known)
