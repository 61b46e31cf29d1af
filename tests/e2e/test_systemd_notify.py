"""`iotlink serve` under a service manager that waits to be told: systemd's `Type=notify`."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.e2e.process import Serve
from tests.e2e.rig import GUARD_S, config, write_config

pytestmark = pytest.mark.e2e


async def test_it_is_ready_when_it_listens_and_says_that_it_ends(tmp_path: Path) -> None:
    path = write_config(tmp_path, config(tmp_path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.bind(str(tmp_path / "notify"))
        loop = asyncio.get_running_loop()
        async with (
            asyncio.timeout(GUARD_S),
            Serve(tmp_path, "--config", path, NOTIFY_SOCKET=str(tmp_path / "notify")) as gateway,
        ):
            assert await loop.sock_recv(manager, 100) == b"READY=1"
            await gateway.connect()
            assert (await gateway.get("/readyz"))[0] == 200
            assert await gateway.terminate() == 0
            assert await loop.sock_recv(manager, 100) == b"STOPPING=1"
            assert gateway.stderr == ""
