"""The brokers that are measured, each a process of its own: the gateway as users start it, and mosquitto beside it.

Place in the walk: CPU time and memory are read from /proc, so that the load, which is made here, does not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from loadtest.ends import End, open_end
from loadtest.faults.processes import GUARD_S, GatewayProcess, RunFailed

__all__ = ["Gateway", "Mosquitto", "Server", "SomeBroker", "find_mosquitto", "gateway_settings", "mqtt_address"]

Address = tuple[str, int]

_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
persistence false
log_dest none
log_type none
user root
"""
"""No subscriber, no log, nothing stored: what taking and answering alone cost. `user` counts only for root, who could
not read the folder otherwise."""

_TICK = os.sysconf("SC_CLK_TCK")
_START_TRIES = 5


class Server(Protocol):
    """name: as the table shows it. pid: 0 if it is not known."""

    name: str
    address: Address
    pid: int

    async def kept(self, messages: int) -> None:
        """Returns when all of so many messages, since its start, are where it keeps them. RunFailed: they are not."""
        ...


class Gateway:
    """`iotlink serve` with its data in `folder`; `async with gateway.run()`. end: of `loadtest.ends.ENDS`."""

    name = "gateway"

    def __init__(self, folder: Path, end: str = "file") -> None:
        self.address: Address = ("", 0)
        self.pid = 0
        self._folder = folder
        self._end_name = end
        self._end: End
        self._process: GatewayProcess

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Gateway]:
        async with open_end(self._end_name, self._folder) as self._end:
            settings = gateway_settings(self._folder, *self._end.settings)
            process = self._process = GatewayProcess(settings, cwd=self._folder)
            async with process.serving():
                self.address, self.pid = mqtt_address(process), process.pid
                yield self

    async def kept(self, messages: int) -> None:
        await self._end.kept(self._process, messages)


class Mosquitto:
    """A mosquitto of its own, which keeps nothing; `async with mosquitto.run()`."""

    name = "mosquitto"

    def __init__(self, folder: Path, program: str) -> None:
        self.address: Address = ("", 0)
        self.pid = 0
        self._folder = folder
        self._program = program

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Mosquitto]:
        process = await self._start()
        try:
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        """It cannot choose a port itself, so another process may take the one that was free: then again."""
        config = self._folder / "mosquitto.conf"
        for _ in range(_START_TRIES):
            port = _free_port()
            config.write_text(_CONFIG.format(port=port))
            process = await asyncio.create_subprocess_exec(
                *(self._program, "-c", str(config)),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            self.address, self.pid = ("127.0.0.1", port), process.pid
            if await _listens(self.address, process):
                return process
        raise RunFailed(f"mosquitto ends at once with the configuration {config}")

    async def kept(self, messages: int) -> None:
        """It keeps none."""


class SomeBroker:
    """A broker that somebody else has started. pid: 0 measures neither CPU nor memory."""

    name = "broker"

    def __init__(self, address: Address, pid: int = 0) -> None:
        self.address = address
        self.pid = pid

    @asynccontextmanager
    async def run(self) -> AsyncIterator[SomeBroker]:
        yield self

    async def kept(self, messages: int) -> None:
        """That is its own business."""


def gateway_settings(folder: Path, *more: str) -> list[str]:
    """For `--set`: MQTT on any free port, all data in `folder`, everything else as it comes."""
    return [
        f"gateway.data_dir={folder / 'data'}",
        "tcp.listeners=[]",
        "rest.listeners=[]",
        "mqtt.listeners=[{name: mqtt, host: 127.0.0.1, port: 0}]",
        "observe.port=0",
        "admin.port=0",
        *more,
    ]


def mqtt_address(process: GatewayProcess) -> Address:
    """Where a started gateway takes MQTT."""
    line = next(line for line in process.events("listening") if line["face"] == "mqtt")
    return line["host"], line["port"]


def find_mosquitto() -> str | None:
    """The program, also where it is not on everybody's path."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_kib(pid: int) -> int:
    """Resident memory of a process now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _listens(address: Address, process: asyncio.subprocess.Process) -> bool:
    """Waits until it takes connections. False: it ended instead."""
    async with asyncio.timeout(GUARD_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(*address)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
    return False


def servers(
    folder: Path, broker: Address | None = None, pid: int = 0, end: str = "file"
) -> Iterator[Gateway | Mosquitto | SomeBroker]:
    """What is measured side by side: the gateway and, where it is installed, mosquitto; or a given broker alone."""
    if broker is not None:
        yield SomeBroker(broker, pid)
        return
    for name in ("gateway", "mosquitto"):
        (folder / name).mkdir()
    yield Gateway(folder / "gateway", end)
    if (program := find_mosquitto()) is not None:
        yield Mosquitto(folder / "mosquitto", program)
