"""Local files as a sink: one JSON line per record, durable before `send` returns.

Files are `<directory>/YYYY/MM/DD/HH/records-<start of process>-<n>.ndjson`, mode 0600; date and hour (UTC) are those
of the record's arrival. A file is followed by a new one when it reaches its size or age.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from gateway.delivery.disk import AppendFile, DiskThread, check_writable, disk_error, new_file, start_stamp
from gateway.delivery.lanes import FifoQueue, Parcel, ParcelQueue
from gateway.delivery.pacing import Pacing
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.domain.errors import OperatorError
from gateway.domain.record import Record

_HOUR_MS = 3_600_000
_MAX_OPEN_FILES = 4  # this hour, the one before, and some that old records (a replay) need
_CLOSE_TIMEOUT_S = 2.0
LINGER_MS = 10.0  # a commit costs about 150 µs of CPU: without, 5 CPU s per 100,000 records at 10,000/s

_log = structlog.get_logger("gateway.delivery.file")


class FileSink:
    """Stores a request whole: one write and one fdatasync per file that it touches, nearly always one file.

    rotate_bytes, rotate_s: a file that has reached one of them gets no further request.
    linger_ms: may be longer where nobody waits for the file (a spool stands in front).
    """

    error_codes: Sequence[SinkErrorCode] = (SinkErrorCode.DISK_FULL, SinkErrorCode.DISK)
    max_requests = 1
    max_batch_records = 8192
    max_batch_bytes = 4 * 1024 * 1024
    max_record_bytes = 16 * 1024 * 1024

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        rotate_bytes: int = 64 * 1024 * 1024,
        rotate_s: float = 3600.0,
        linger_ms: float = LINGER_MS,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.linger_ms = linger_ms
        self.pacing = Pacing()
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        self._rotate_s = rotate_s
        self._stamp = start_stamp(wall_clock())
        self._clock = clock
        self._thread = DiskThread(f"sink-{name}")
        # Of the disk thread only:
        self._open: dict[int, tuple[AppendFile, float]] = {}  # by hour since the epoch: file, when it was made
        self._number = 0

    async def start(self) -> None:
        """OperatorError if the directory cannot be made or written to; SinkError if the disk is full."""
        self._thread.start()
        try:
            await self._thread.call(lambda: check_writable(self._directory))
        except OSError as error:
            failure = disk_error(error, self._directory)
            if failure.code == SinkErrorCode.DISK_FULL:
                raise failure from error
            raise OperatorError(f"sink {self.name}: cannot write to {self._directory}: {error.strerror}") from error

    def new_queue(self) -> ParcelQueue:
        return FifoQueue()

    async def send(self, parcels: Sequence[Parcel]) -> Sequence[EntryFailure | None] | None:
        records = [record for parcel in parcels for record, _ in parcel.entries]
        await self._thread.call(lambda: self._store(records))
        return None

    async def close(self) -> None:
        if not await self._thread.close(self._close_files, _CLOSE_TIMEOUT_S):
            _log.warning("sink_close_timeout", sink=self.name)

    # In the disk thread.

    def _store(self, records: Sequence[Record]) -> None:
        hours = _by_hour(records)
        for first in range(0, len(hours), _MAX_OPEN_FILES):
            self._store_hours(hours[first : first + _MAX_OPEN_FILES])

    def _store_hours(self, hours: Sequence[tuple[int, bytes]]) -> None:
        touched: list[AppendFile] = []
        try:
            self._close_old_files({hour for hour, _ in hours})
            for hour, lines in hours:
                file = self._file(hour)
                touched.append(file)
                file.write(lines)
            for file in touched:
                file.commit()
        except OSError as error:
            for file in touched:
                if not file.roll_back():
                    self._seal(file)
            raise disk_error(error, touched[-1].path if touched else self._directory) from error

    def _file(self, hour: int) -> AppendFile:
        if hour in self._open:
            return self._open[hour][0]
        directory = self._directory / datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y/%m/%d/%H")
        file, self._number = new_file(directory, "records", self._stamp, self._number + 1)
        self._open[hour] = (file, self._clock())
        return file

    def _close_old_files(self, needed: set[int]) -> None:
        """Ends the files that are big or old enough, and, to keep few open, those that are not needed now."""
        now = self._clock()
        for hour, (file, made_at) in list(self._open.items()):
            if file.size >= self._rotate_bytes or now - made_at >= self._rotate_s:
                self._close_file(hour)
        for hour in [hour for hour in self._open if hour not in needed]:
            if len(self._open.keys() | needed) > _MAX_OPEN_FILES:
                self._close_file(hour)

    def _close_file(self, hour: int) -> None:
        self._open.pop(hour)[0].close()

    def _seal(self, file: AppendFile) -> None:
        for hour, (other, _) in list(self._open.items()):
            if other is file:
                self._close_file(hour)

    def _close_files(self) -> None:
        for hour in list(self._open):
            self._close_file(hour)


def _by_hour(records: Sequence[Record]) -> list[tuple[int, bytes]]:
    """The lines of each hour in which records arrived, in the order of `records`; nearly always one hour."""
    arrivals = [record.received_ms for record in records]
    first = min(arrivals) // _HOUR_MS
    if max(arrivals) // _HOUR_MS == first:
        return [(first, _lines(records))]
    hours: dict[int, list[Record]] = {}
    for record in records:
        hours.setdefault(record.received_ms // _HOUR_MS, []).append(record)
    return [(hour, _lines(some)) for hour, some in hours.items()]


def _lines(records: Sequence[Record]) -> bytes:
    bodies = [record.body for record in records]
    bodies.append(b"")  # so that the last line ends with a newline too
    return b"\n".join(bodies)
