from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for `--specs`, with a memory of proofs of its own; the working directory is around it."""
    monkeypatch.setenv("IOTLINK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "specs"
    folder.mkdir()
    return folder
