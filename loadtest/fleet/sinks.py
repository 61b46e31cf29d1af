"""Where records end, watched: the files of the local sink while they grow, and the fake Kinesis once all is delivered.

Place in the walk: hands every record to the balance with the moment at which it was seen there. A line of a file is
seen at the look after it was written, `LOOK_S` later at most; for a record of a stream its own arrival time counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from loadtest.consume import Consumer
from loadtest.fleet.balance import SinkBalance

__all__ = ["LOOK_S", "FileWatch", "read_stream"]

LOOK_S = 0.005
_FOLDERS_S = 0.25  # between two looks for new files; a line in a new one may be seen so much later
_MOST_BYTES = 1 << 20  # of one look, so that devices are not held up


class FileWatch:
    """Follows the NDJSON files under some folders. now: the clock of the run. lines: read so far."""

    def __init__(self, folders: Sequence[Path], balance: SinkBalance, now: Callable[[], float]) -> None:
        self.lines = 0
        self._folders = folders
        self._balance = balance
        self._now = now
        self._places: dict[Path, int] = {}
        self._rests: dict[Path, bytes] = {}
        self._looked_for_files = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            moved = self.look()
            await asyncio.sleep(0 if moved >= _MOST_BYTES else LOOK_S)

    def read_to_end(self) -> None:
        """All that the files hold now."""
        self._looked_for_files = 0.0
        while self.look():
            pass

    def look(self) -> int:
        """Reads what is new, up to some size; returns how many bytes that was."""
        now = self._now()
        if now - self._looked_for_files >= _FOLDERS_S or not self._places:
            self._looked_for_files = now
            for folder in self._folders:
                for path in sorted(folder.rglob("*.ndjson")):
                    self._places.setdefault(path, 0)
        moved = 0
        for path, place in self._places.items():
            if path.stat().st_size > place and moved < _MOST_BYTES:
                with path.open("rb") as file:
                    file.seek(place)
                    data = file.read(_MOST_BYTES)
                self._places[path] = place + len(data)
                moved += len(data)
                self._take(path, data)
        return moved

    def _take(self, path: Path, data: bytes) -> None:
        seen = self._now()
        *lines, rest = (self._rests.get(path, b"") + data).split(b"\n")
        self._rests[path] = rest
        for line in lines:
            self._balance.take(orjson.loads(line), seen)
        self.lines += len(lines)


async def read_stream(endpoint_url: str, stream: str, balance: SinkBalance, now: Callable[[], float]) -> int:
    """Reads a stream to its end with `loadtest.consume`; returns how many records that was.

    Arrival times are those of the stream, whose clock is this machine's.
    """
    ahead = time.time() - now()
    config = AioConfig(retries={"mode": "standard", "total_max_attempts": 5})
    made = get_session().create_client(
        *("kinesis", "us-east-1"),
        endpoint_url=endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )
    count = 0
    async with made as client:
        consumer = Consumer(client, stream)
        async for record in consumer.records():
            balance.take(record, consumer.arrived_at - ahead)
            count += 1
    balance.count_repeats(consumer.repeats.dropped)
    return count
