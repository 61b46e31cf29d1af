"""Where the records of a gateway end whose cost is measured: files in its folder, or the fake Kinesis.

Place in the walk: beside the gateway's process; its CPU time must not hold what is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from loadtest.faults.processes import GUARD_S, GatewayProcess, KinesisProcess, RunFailed, until

__all__ = ["ENDS", "End", "Files", "Stream", "open_end"]

ENDS = ("file", "plain", "aggregated")
"""Files, or a stream by how records are packed."""

_SHARDS = 64
_LOOK_S = 0.05


class End(Protocol):
    """settings: for `--set`."""

    settings: list[str]

    async def kept(self, process: GatewayProcess, records: int) -> None:
        """Returns when it holds so many records, of all since the start. RunFailed: it does not, or more."""
        ...


class Files:
    """The file sink of a gateway whose data is in `folder`. Counts whole lines, and reads each byte once."""

    def __init__(self, folder: Path) -> None:
        self.settings: list[str] = []
        self._folder = folder / "data" / "records"
        self._read: dict[Path, int] = {}
        self._count = 0

    async def kept(self, process: GatewayProcess, records: int) -> None:
        await until(lambda: self.count() >= records, f"{records} records are in the files")
        if self.count() > records:
            raise RunFailed(f"{self.count()} records of {records} messages")

    def count(self) -> int:
        """Lines so far."""
        for path in self._folder.rglob("*.ndjson"):
            at = self._read.get(path, 0)
            if path.stat().st_size > at:
                with path.open("rb") as file:
                    file.seek(at)
                    data = file.read()
                self._read[path] = at + len(data)
                self._count += data.count(b"\n")
        return self._count


class Stream:
    """What the gateway says that its stream keeps: to count in the stream would take the processor from it."""

    def __init__(self, kinesis: KinesisProcess, packing: str) -> None:
        self.settings = [f"sinks={kinesis.sinks(packing)}"]

    async def kept(self, process: GatewayProcess, records: int) -> None:
        try:
            async with asyncio.timeout(GUARD_S):
                while (count := await self._published(process)) < records:  # noqa: ASYNC110 - asked over HTTP
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise RunFailed(f"{count} of {records} records are in the stream after {GUARD_S:g} s") from None
        if count > records:
            raise RunFailed(f"{count} records of {records} messages")

    async def _published(self, process: GatewayProcess) -> int:
        return round((await process.samples()).get("iotlink_records_published_total", 0))


@asynccontextmanager
async def open_end(name: str, folder: Path) -> AsyncIterator[End]:
    """name: of `ENDS`."""
    if name == "file":
        yield Files(folder)
        return
    async with KinesisProcess(shards=_SHARDS) as kinesis:
        yield Stream(kinesis, name)
