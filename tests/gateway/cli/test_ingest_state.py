from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.cli.ingest_state import IngestState, StateFile, StateMismatch, head_digest

STATE = IngestState("run1", {"url": "http://a/v1/telemetry", "batch": 10}, head_digest(b"abc"), 3, 2, 21, 20, 1)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    memory = StateFile(tmp_path / "cache", tmp_path / "a.csv", "http://a")
    assert memory.read() is None
    memory.write(STATE)
    assert StateFile(tmp_path / "cache", tmp_path / "a.csv", "http://a").read() == STATE
    assert StateFile(tmp_path / "cache", tmp_path / "a.csv", "http://b").read() is None
    assert StateFile(tmp_path / "cache", tmp_path / "b.csv", "http://a").read() is None
    memory.remove()
    memory.remove()
    assert memory.read() is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "run": "x"}'])
def test_what_this_version_cannot_read_is_none(content: bytes, tmp_path: Path) -> None:
    memory = StateFile(tmp_path, tmp_path / "a.csv", "")
    memory.write(STATE)
    [path] = (tmp_path / "ingest").iterdir()
    path.write_bytes(content)
    assert memory.read() is None


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        StateFile(tmp_path / "file", tmp_path / "a.csv", "").write(STATE)


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.cli.ingest_state.os.replace", broken)
    with pytest.raises(OSError):
        StateFile(tmp_path, tmp_path / "a.csv", "").write(STATE)
    assert list((tmp_path / "ingest").iterdir()) == []


def test_it_goes_on_with_the_same_file_and_options_only() -> None:
    fresh = dataclasses.replace(STATE, run="run2", chunks=0, last_line=0)
    fresh.check(STATE)
    for change in ({"size": 4}, {"head": head_digest(b"abd")}):
        with pytest.raises(StateMismatch, match="has changed"):
            dataclasses.replace(fresh, **change).check(STATE)
    with pytest.raises(StateMismatch, match="another batch"):
        dataclasses.replace(fresh, options={**STATE.options, "batch": 11}).check(STATE)


def test_keys_differ_by_run_and_chunk() -> None:
    assert STATE.key(0) == "ingest-run1-0"
    assert len({STATE.key(0), STATE.key(1), dataclasses.replace(STATE, run="run2").key(0)}) == 3
