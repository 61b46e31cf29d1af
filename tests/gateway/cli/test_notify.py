"""What systemd's socket gets, real ones of both kinds: `gateway.cli.notify.py`."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.cli.notify import Notifier
from gateway.lifecycle import Lifecycle, Phase


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        yield sock


def run(environ: dict[str, str]) -> list[str]:
    """A whole life; returns the names of log lines."""
    lifecycle = Lifecycle(lambda: 0.0)
    lifecycle.on_change(Notifier(environ).on_phase)
    with capture_logs() as logs:
        for phase in Phase:
            lifecycle.move(phase)
    return [line["event"] for line in logs]


def received(manager: socket.socket) -> list[bytes]:
    """What has come by now."""
    manager.setblocking(False)
    messages = []
    try:
        while True:
            messages.append(manager.recv(100))
    except BlockingIOError:
        return messages


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_told_of_the_start_and_the_end(manager: socket.socket, tmp_path: Path, abstract: bool) -> None:
    path = str(tmp_path / "notify")
    manager.bind("\0" + path if abstract else path)
    assert run({"NOTIFY_SOCKET": "@" + path if abstract else path}) == []
    assert received(manager) == [b"READY=1", b"STOPPING=1"]


def test_without_one_nobody_is_told() -> None:
    assert run({}) == []


def test_one_that_is_not_there_ends_nothing(tmp_path: Path) -> None:
    assert run({"NOTIFY_SOCKET": str(tmp_path / "gone")}) == ["service_manager_not_told"] * 2
