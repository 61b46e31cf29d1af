"""The gateway that is measured: `iotlink serve` with one REST listener and one client.

Place in the walk: CPU time and memory are read from /proc, so that the load, which is made here, does not count.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.access.api_keys import hash_api_key, make_api_key
from loadtest.ends import End, open_end
from loadtest.faults.processes import GatewayProcess

__all__ = ["RestGateway", "rest_settings"]

_CLIENT = "load"


class RestGateway:
    """Its data in `folder`; `async with gateway.run()`. key: of its client. end: of `loadtest.ends.ENDS`."""

    def __init__(self, folder: Path, end: str = "file") -> None:
        self.address = ("", 0)
        self.key = make_api_key(_CLIENT)
        self._folder = folder
        self._end_name = end
        self._end: End
        self._process: GatewayProcess

    @asynccontextmanager
    async def run(self) -> AsyncIterator[RestGateway]:
        async with open_end(self._end_name, self._folder) as self._end:
            settings = rest_settings(self._folder, hash_api_key(self.key).hex(), *self._end.settings)
            process = self._process = GatewayProcess(settings, cwd=self._folder)
            async with process.serving():
                line = next(line for line in process.events("listening") if line["face"] == "rest")
                self.address = line["host"], line["port"]
                yield self

    def cpu_s(self) -> float:
        """User and system time so far."""
        return self._process.cpu_s()

    def rss_kib(self) -> int:
        """Resident memory now."""
        return self._process.look_at_memory()

    async def kept(self, records: int) -> None:
        """As `End.kept`."""
        await self._end.kept(self._process, records)


def rest_settings(folder: Path, key_digest: str, *more: str) -> list[str]:
    """For `--set`: REST on any free port for one client, all data in `folder`, all else as it comes."""
    return [
        f"gateway.data_dir={folder / 'data'}",
        "tcp.listeners=[]",
        "mqtt.listeners=[]",
        "rest.listeners=[{name: rest, host: 127.0.0.1, port: 0}]",
        f"auth.clients=[{{id: {_CLIENT}, api_key_sha256: '{key_digest}', scopes: [ingest]}}]",
        "observe.port=0",
        "admin.port=0",
        *more,
    ]
