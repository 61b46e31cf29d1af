"""SIGTERM while `serve` still loads its modules or reads its configuration: it ends at once, in good order."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.process import Command

pytestmark = pytest.mark.e2e


async def test_sigterm_before_the_gateway_runs_ends_it(tmp_path: Path) -> None:
    """The configuration is a pipe that says nothing. A process that the signal had killed would end with -15."""
    pipe = tmp_path / "gateway.yaml"
    os.mkfifo(pipe)
    command = Command(tmp_path, ["serve", "--config", pipe])
    await command.start()
    writing = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)  # returns when `serve` reads
    try:
        command.send_signal(signal.SIGTERM)
        assert await command.ended() == 0
    finally:
        os.close(writing)
        await command.kill()
    assert command.stderr == ""
    assert command.events("started") == []


async def test_sigterm_while_modules_are_loaded_ends_it(tmp_path: Path) -> None:
    """The first module that the command needs waits for a pipe; it is found in the working directory."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "typer.py").write_text(f"with open({str(pipe)!r}) as file:\n    file.read()\n", "utf-8")
    command = Command(tmp_path, ["serve"])
    await command.start()
    writing = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)
    try:
        command.send_signal(signal.SIGTERM)
        assert await command.ended() == 0
    finally:
        os.close(writing)
        await command.kill()
    assert (command.stderr, command.stdout) == ("", [])


async def test_another_command_is_ended_by_sigterm_as_any_process_is(tmp_path: Path) -> None:
    """Nobody shall take what it has done by then for all of it."""
    pipe = tmp_path / "gateway.yaml"
    os.mkfifo(pipe)
    command = Command(tmp_path, ["config", "check", "--config", pipe])
    await command.start()
    writing = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)
    try:
        command.send_signal(signal.SIGTERM)
        assert await command.ended() == -signal.SIGTERM
    finally:
        os.close(writing)
        await command.kill()
