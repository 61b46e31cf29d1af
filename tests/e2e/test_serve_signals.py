"""SIGTERM while `serve` still reads its configuration: it ends at once, in good order."""

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
