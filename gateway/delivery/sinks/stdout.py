"""Standard output as a sink: one JSON line per record, for pipes and for trying things out (logs go to stderr then).

A record counts as kept when the pipe, terminal or file behind has taken its line: what that keeps is not ours to say.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Sequence

import structlog

from gateway.delivery.disk import NO_SPACE, DiskThread
from gateway.delivery.lanes import FifoQueue, Parcel, ParcelQueue
from gateway.delivery.pacing import Pacing
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.domain.errors import SinkError

_STDOUT = 1
_CLOSE_TIMEOUT_S = 2.0

_log = structlog.get_logger("gateway.delivery.stdout")


class StdoutSink:
    """Writes in a thread, as a reader may be slow or stop. When the reader is gone for good (broken pipe) the sink
    fails from then on, in health as well; records stay where they are until the gateway is started anew.

    descriptor: an open file descriptor; it stays open.
    """

    error_codes: Sequence[SinkErrorCode] = (SinkErrorCode.CONNECTION, SinkErrorCode.DISK_FULL, SinkErrorCode.DISK)
    linger_ms = 10.0
    max_requests = 1
    max_batch_records = 1024
    max_batch_bytes = 1024 * 1024
    max_record_bytes = 16 * 1024 * 1024

    def __init__(self, name: str, descriptor: int = _STDOUT) -> None:
        self.name = name
        self.pacing = Pacing()
        self._descriptor = descriptor
        self._thread = DiskThread(f"sink-{name}")
        self._gone = False
        self._torn = False  # the last line was not written whole

    def new_queue(self) -> ParcelQueue:
        return FifoQueue()

    async def start(self) -> None:
        self._thread.start()

    async def send(self, parcels: Sequence[Parcel]) -> Sequence[EntryFailure | None] | None:
        lines = [record.body for parcel in parcels for record, _ in parcel.entries]
        lines.append(b"")  # so that the last line ends with a newline too
        await self._thread.call(lambda: self._write(b"\n".join(lines)))
        return None

    async def close(self) -> None:
        if not await self._thread.close(lambda: None, _CLOSE_TIMEOUT_S):
            _log.warning("sink_close_timeout", sink=self.name)

    def _write(self, data: bytes) -> None:
        if self._gone:
            raise _gone()
        rest = memoryview(b"\n" + data if self._torn else data)
        try:
            while rest:
                try:
                    count = os.write(self._descriptor, rest)
                except BlockingIOError:  # somebody else made it non-blocking
                    select.select((), (self._descriptor,), ())
                    continue
                self._torn = rest[count - 1] != 0x0A
                rest = rest[count:]
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF):
                self._gone = True
                raise _gone() from error
            code = SinkErrorCode.DISK_FULL if error.errno in NO_SPACE else SinkErrorCode.DISK
            raise SinkError(f"standard output: {error.strerror}", code=code) from error


def _gone() -> SinkError:
    return SinkError(
        "standard output: nobody reads it any more; start the gateway again with a reader",
        code=SinkErrorCode.CONNECTION,
    )
