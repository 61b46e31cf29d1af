"""The gateway's id and the epoch of a run, on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import OperatorError
from gateway.settings import Settings
from gateway.settings.identity import ECS_METADATA, gateway_id, next_epoch
from gateway.settings.model import GatewaySettings

NOW_MS = 1_767_225_600_000


def never(url: str) -> bytes:
    raise AssertionError(f"{url} was asked for")


def test_the_configured_id_goes_first(tmp_path: Path) -> None:
    settings = Settings(gateway=GatewaySettings(id="gw-1"))
    assert gateway_id(settings, tmp_path, {ECS_METADATA: "http://x"}, never) == "gw-1"
    assert list(tmp_path.iterdir()) == []


def test_an_id_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    first = gateway_id(Settings(), folder, {}, never)
    assert first.startswith("gw-")
    assert gateway_id(Settings(), folder, {}, never) == first
    assert gateway_id(Settings(), tmp_path / "other", {}, never) != first
    assert [path.name for path in folder.iterdir()] == ["gateway_id"]


def test_on_ecs_it_is_the_task(tmp_path: Path) -> None:
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b'{"TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/cluster/158d1c8083dd49d6b527399fd6414f5c"}'

    environ = {ECS_METADATA: "http://169.254.170.2/v4/abc"}
    assert gateway_id(Settings(), tmp_path, environ, fetch) == "158d1c8083dd49d6b527399fd6414f5c"
    assert asked == ["http://169.254.170.2/v4/abc/task"]


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"TaskARN": 5}', b'{"TaskARN": "a/b c"}', OSError("refused")])
def test_without_metadata_the_kept_id_serves(tmp_path: Path, answer: bytes | OSError) -> None:
    def fetch(_: str) -> bytes:
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert gateway_id(Settings(), tmp_path, {ECS_METADATA: "http://x"}, fetch).startswith("gw-")


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"x" * 100])
def test_a_corrupt_id_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gateway_id").write_bytes(content)
    with pytest.raises(OperatorError, match=r"gateway_id: expected 1 to 64 letters.* or delete the file"):
        gateway_id(Settings(), tmp_path, {}, never)


@given(st.lists(st.integers(min_value=0, max_value=1 << 45), min_size=1, max_size=8))
def test_epochs_rise_whatever_the_clock_says(tmp_path_factory: pytest.TempPathFactory, clock: list[int]) -> None:
    folder = tmp_path_factory.mktemp("epochs")
    epochs = [next_epoch(folder, now_ms) for now_ms in clock]
    assert epochs[0] == clock[0]
    assert all(after == max(before + 1, now) for before, after, now in zip(epochs, epochs[1:], clock[1:], strict=False))
    assert (folder / "epoch").read_text() == f"{epochs[-1]}\n"
    assert not (folder / "epoch.new").exists()


def test_a_write_that_was_cut_off_does_no_harm(tmp_path: Path) -> None:
    assert next_epoch(tmp_path, NOW_MS) == NOW_MS
    (tmp_path / "epoch.new").write_text("17")
    assert next_epoch(tmp_path, NOW_MS) == NOW_MS + 1


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"-5", b"1.5", b"9" * 17, b"\xff", "٣".encode(), str(1 << 53).encode()]
)
def test_a_corrupt_epoch_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "epoch").write_bytes(content)
    with pytest.raises(OperatorError, match=r"/epoch: expected a whole number.*delete it"):
        next_epoch(tmp_path, NOW_MS)
    assert (tmp_path / "epoch").read_bytes() == content


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="cannot be read: Not a directory"):
        next_epoch(tmp_path / "file", NOW_MS)
    (tmp_path / "epoch.new").mkdir()
    with pytest.raises(OperatorError, match=r"cannot be written: Is a directory.*writable"):
        next_epoch(tmp_path, NOW_MS)
