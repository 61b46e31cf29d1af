"""The systemd unit: systemd itself reads it, and says how much it leaves open."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "deploy/systemd"
UNIT = FOLDER / "iotlink.service"
MOST_EXPOSED = 20
"""In tenths, as `systemd-analyze security --threshold` takes it: 10.0 is a unit that hardens nothing."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine on which it is installed, with as much of systemd's own units as it refers to."""
    program = re.findall(r"^ExecStart=(\S+)", UNIT.read_text("utf-8"), re.MULTILINE)[0]
    own = tmp_path / "etc/systemd/system"
    shipped = tmp_path / "usr/lib/systemd/system"
    for folder in (own, shipped, (tmp_path / program.lstrip("/")).parent):
        folder.mkdir(parents=True)
    shutil.copy(UNIT, own)
    for name in ("basic", "multi-user", "network-online", "network", "shutdown", "sysinit"):
        (shipped / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n", "utf-8")
    stand_in = tmp_path / program.lstrip("/")
    stand_in.write_text("#!/bin/sh\n", "utf-8")
    stand_in.chmod(0o755)
    return tmp_path


@needs_systemd
def test_systemd_understands_every_line(root: Path) -> None:
    done = analyze("verify", f"--root={root}", UNIT.name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_a_misspelt_line_would_be_seen(root: Path) -> None:
    unit = root / "etc/systemd/system" / UNIT.name
    unit.write_text(unit.read_text("utf-8").replace("ProtectSystem=", "ProtectSystems="), "utf-8")
    assert "ProtectSystems" in analyze("verify", f"--root={root}", UNIT.name).stderr


@needs_systemd
def test_it_leaves_little_open() -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", UNIT)
    assert done.returncode == 0, done.stdout[-500:]


def test_its_user_is_made_by_the_file_beside_it() -> None:
    user = re.findall(r"^User=(\S+)", UNIT.read_text("utf-8"), re.MULTILINE)[0]
    kind, name, *_ = (FOLDER / "iotlink.sysusers.conf").read_text("utf-8").split()
    assert (kind, name) == ("u", user)
