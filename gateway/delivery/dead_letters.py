"""Dead letters on the disk: JSON lines with all that is needed to understand and to replay.

Files are `<directory>/letters-<start of process>-<n>.ndjson` (0600, in a directory 0700). A letter is durable before
its receipt settles. The whole directory stays below a byte cap.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Protocol

import orjson
import structlog

from decoders.errors import DecodeCode
from gateway.delivery.disk import AppendFile, DiskThread, disk_error, new_file, start_stamp
from gateway.delivery.sinks import SinkErrorCode
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import OperatorError, RefuseReason
from gateway.domain.receipt import Receipt
from gateway.observe.metrics import DeadLetterCounters

_STEM = "letters"
_MAX_FILE_BYTES = 16 * 1024 * 1024
_MAX_FILE_AGE_S = 86_400.0  # so that letters can expire by the day
_MAX_WAITING_BYTES = 8 * 1024 * 1024
_EXPIRE_EVERY_S = 3600.0
_CLOSE_TIMEOUT_S = 2.0

# Anybody who reaches a port can cause these, as fast as the line carries them.
_RATE_LIMITED = frozenset({DecodeCode.BAD_CHECK.value, DecodeCode.NOT_A_FRAME.value, DecodeCode.FRAME_TOO_LONG.value})

_log = structlog.get_logger("gateway.delivery.dead_letters")


class WhenFull(StrEnum):
    """What gives way at the byte cap: the oldest letters, or the new one (its sender gets no "yes")."""

    DROP_OLDEST = "drop_oldest"
    REFUSE = "refuse"


class LetterOwner(Protocol):
    """Who settles the receipts of letters (the outbox)."""

    def letter_done(self, receipt: Receipt, reason: str, refusal: RefuseReason | None) -> None:
        """The letter is durable; or it cannot be kept, and `refusal` says why."""
        ...


class RateLimit:
    """Token buckets, one per key: `burst` at once, `per_s` each second after that. Keys come from a closed set."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}  # tokens, as of when

    def allow(self, key: tuple[str, str]) -> bool:
        now = self._clock()
        tokens, since = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_s)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        return allowed


class DeadLetterStore:
    """Writes letters in batches from a thread of its own; one batch is one write and one fdatasync.

    max_bytes: cap of all letters on the disk. max_age_days: older ones are deleted.
    rate_limit: of letters that unidentified peers can cause, per listener and product.
    """

    def __init__(
        self,
        directory: Path,
        counters: DeadLetterCounters,
        *,
        max_bytes: int,
        when_full: WhenFull = WhenFull.DROP_OLDEST,
        max_age_days: float = 30,
        rate_limit: RateLimit | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._counters = counters
        counters.capacity_bytes = max_bytes
        self._max_bytes = max_bytes
        self._when_full = when_full
        self._rate_limit = rate_limit or RateLimit(per_s=10, burst=100)
        self._files = _LetterFiles(directory, max_bytes, max_age_days * 86_400, wall_clock)
        self._thread = DiskThread("dead-letters")
        self._waiting: list[tuple[bytes, Receipt, str]] = []  # line, receipt, reason
        self._writing: list[tuple[bytes, Receipt, str]] = []
        self._waiting_bytes = 0  # of both
        self._wake = asyncio.Event()

    @property
    def pending(self) -> int:
        """Letters that are not durable yet."""
        return len(self._waiting) + len(self._writing)

    async def start(self) -> None:
        """OperatorError if the directory cannot be used."""
        self._thread.start()
        try:
            self._counters.stored_bytes = await self._thread.call(self._files.open)
        except OSError as error:
            raise OperatorError(f"dead_letters.dir: cannot use {self._files.directory}: {error.strerror}") from error

    def put(self, letter: DeadLetter, receipt: Receipt) -> RefuseReason | None:
        """None: taken, `letter_done` will follow. Else why it is refused, now."""
        if letter.reason in _RATE_LIMITED and not self._rate_limit.allow((letter.listener, letter.product)):
            return RefuseReason.RATE_LIMITED
        line = _line(letter)
        if len(line) > self._max_bytes:
            return RefuseReason.TOO_LARGE
        waiting = self._waiting_bytes + len(line)
        at_cap = self._counters.stored_bytes + waiting > self._max_bytes
        if waiting > max(_MAX_WAITING_BYTES, len(line)) or (at_cap and self._when_full is WhenFull.REFUSE):
            return RefuseReason.OUTBOX_FULL
        self._waiting_bytes = waiting
        self._waiting.append((line, receipt, letter.reason))
        self._wake.set()
        return None

    def take_all(self) -> list[Receipt]:
        """Receipts of all letters that are not durable; to be called once `run` has ended."""
        receipts = [receipt for _, receipt, _ in self._writing + self._waiting]
        self._writing, self._waiting, self._waiting_bytes = [], [], 0
        return receipts

    async def run(self, owner: LetterOwner) -> None:
        """Writes until cancelled."""
        while True:
            if not self._waiting:
                self._wake.clear()
                try:
                    async with asyncio.timeout(_EXPIRE_EVERY_S):
                        await self._wake.wait()
                except TimeoutError:
                    self._counters.stored_bytes = await self._thread.call(self._files.expire)
                    continue
            self._writing = self._take()
            data = b"".join([line for line, _, _ in self._writing])
            refusal: RefuseReason | None = None
            try:
                stored, dropped = await self._thread.call(partial(self._files.append, data))
            except OSError as error:
                failure = disk_error(error, self._files.directory)
                full = failure.code == SinkErrorCode.DISK_FULL
                refusal = RefuseReason.OUTBOX_FULL if full else RefuseReason.SINK_FAILED
                _log.error("dead_letters_not_written", letters=len(self._writing), detail=str(failure))
            else:
                self._counters.stored_bytes = stored
                self._counters.dropped += dropped
            done, self._writing = self._writing, []
            self._waiting_bytes -= len(data)
            for _, receipt, reason in done:
                if refusal is None:
                    written = self._counters.written
                    written[reason] = written.get(reason, 0) + 1
                owner.letter_done(receipt, reason, refusal)

    async def close(self) -> None:
        if not await self._thread.close(self._files.close, _CLOSE_TIMEOUT_S):
            _log.warning("dead_letters_close_timeout")

    def _take(self) -> list[tuple[bytes, Receipt, str]]:
        """The first letters that together fit into one file; at least one."""
        count = size = 0
        for line, _, _ in self._waiting:
            size += len(line)
            if count and size > self._files.max_file_bytes:
                break
            count += 1
        taken = self._waiting[:count]
        del self._waiting[:count]
        return taken


class _LetterFiles:
    """The directory of letters. Blocking; for the disk thread only. Errors are OSErrors."""

    def __init__(self, directory: Path, max_bytes: int, max_age_s: float, wall_clock: Callable[[], float]) -> None:
        self.directory = directory
        self.max_file_bytes = min(_MAX_FILE_BYTES, max(1, max_bytes // 8))  # the unit in which the oldest are dropped
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._wall_clock = wall_clock
        self._stamp = start_stamp(wall_clock())
        self._number = 0
        self._closed: list[tuple[Path, int]] = []  # oldest first, with size
        self._current: AppendFile | None = None
        self._current_since = 0.0
        self._stored = 0

    def open(self) -> int:
        """Takes stock of earlier letters. Returns the bytes of all."""
        probe, _ = new_file(self.directory, "probe", self._stamp, 1)
        probe.close()
        self._closed = [(path, path.stat().st_size) for path in sorted(self.directory.glob(f"{_STEM}-*.ndjson"))]
        self._stored = sum(size for _, size in self._closed)
        return self.expire()

    def expire(self) -> int:
        """Deletes files whose newest letter is too old. Returns the bytes of the rest."""
        now = self._wall_clock()
        if self._current is not None and now - self._current_since >= _MAX_FILE_AGE_S:
            self._finish_current()
        with contextlib.suppress(PermissionError):  # the cap still holds; the operator sees it in the directory
            while self._closed and now - _modified(self._closed[0][0]) > self._max_age_s:
                self._delete_oldest()
        return self._stored

    def append(self, data: bytes) -> tuple[int, int]:
        """Makes lines durable. Returns the bytes of all letters and how many old ones had to go."""
        dropped = 0
        self.expire()
        if self._current is not None and self._current.size + len(data) > self.max_file_bytes:
            self._finish_current()
        while self._stored + len(data) > self._max_bytes:
            if not self._closed:
                self._finish_current()
            dropped += self._delete_oldest(count=True)
        if self._current is None:
            self._current, self._number = new_file(self.directory, _STEM, self._stamp, self._number + 1)
            self._current_since = self._wall_clock()
        before = self._current.size
        try:
            self._current.write(data)
            self._current.commit()
        except OSError:
            if not self._current.roll_back():
                self._finish_current()
            raise
        self._stored += self._current.size - before
        return self._stored, dropped

    def close(self) -> None:
        self._finish_current()

    def _finish_current(self) -> None:
        if self._current is None:
            return
        self._current.close()
        if self._current.size:
            self._closed.append((self._current.path, self._current.size))
        self._current = None

    def _delete_oldest(self, *, count: bool = False) -> int:
        """Returns how many letters went with it, if asked to count. Somebody else may have deleted the file."""
        path, size = self._closed[0]
        letters = 0
        if count:
            with contextlib.suppress(FileNotFoundError):
                letters = path.read_bytes().count(b"\n")
        path.unlink(missing_ok=True)
        del self._closed[0]
        self._stored -= size
        return letters


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _line(letter: DeadLetter) -> bytes:
    received = datetime.fromtimestamp(letter.received_ms / 1000, UTC)
    return orjson.dumps(
        {
            "dead_letter_id": letter.dead_letter_id,
            "reason": letter.reason,
            "stage": letter.stage,
            "detail": letter.detail,
            "raw_hex": letter.raw.hex(),
            "received_at": received.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "product": letter.product,
            "spec_version": letter.spec_version,
            "device_id": letter.device_id,
            "tenant": letter.tenant,
            "listener": letter.listener,
            "session_id": letter.session_id,
            "peer": letter.peer,
            "message": letter.message,
            "field": letter.field,
            "offset": letter.offset,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
