"""The gateway that is measured: `iotlink serve` with one REST listener and one client, spool and file sink.

Place in the walk: CPU time and memory are read from /proc, so that the load, which is made here, does not count.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.access.api_keys import hash_api_key, make_api_key
from loadtest.faults.processes import GatewayProcess, RunFailed, until
from loadtest.mqtt.servers import Lines

__all__ = ["RestGateway", "rest_settings"]

_CLIENT = "load"


class RestGateway:
    """Its data in `folder`; `async with gateway.run()`. key: of its client."""

    def __init__(self, folder: Path) -> None:
        self.address = ("", 0)
        self.key = make_api_key(_CLIENT)
        self._folder = folder
        self._process = GatewayProcess(rest_settings(folder, hash_api_key(self.key).hex()), cwd=folder)
        self._lines = Lines(folder / "data" / "records")

    @asynccontextmanager
    async def run(self) -> AsyncIterator[RestGateway]:
        process = self._process
        await process.spawn()
        try:
            await process.started()
            line = next(line for line in process.events("listening") if line["face"] == "rest")
            self.address = line["host"], line["port"]
            yield self
            code = await process.terminate()
        except BaseException:
            await process.kill()
            raise
        if code:
            raise RunFailed(f"the gateway ended with exit code {code}: {process.stderr.strip()[-500:]}")

    def cpu_s(self) -> float:
        """User and system time so far."""
        return self._process.cpu_s()

    def rss_kib(self) -> int:
        """Resident memory now."""
        return self._process.look_at_memory()

    async def kept(self, records: int) -> None:
        """Returns when the files hold so many records, of all since the start. RunFailed: they do not, or more."""
        await until(lambda: self._lines.count() >= records, f"{records} records are in the files")
        if self._lines.count() > records:
            raise RunFailed(f"{self._lines.count()} records of {records} items")


def rest_settings(folder: Path, key_digest: str) -> list[str]:
    """For `--set`: REST on any free port for one client, spool and file sink in `folder`, all else as it comes."""
    return [
        f"gateway.data_dir={folder / 'data'}",
        "tcp.listeners=[]",
        "mqtt.listeners=[]",
        "rest.listeners=[{name: rest, host: 127.0.0.1, port: 0}]",
        f"auth.clients=[{{id: {_CLIENT}, api_key_sha256: '{key_digest}', scopes: [ingest]}}]",
        "observe.port=0",
        "admin.port=0",
    ]
