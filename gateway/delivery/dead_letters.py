"""Dead letters on the disk: JSON lines with all that is needed to understand and to replay.

Files are `<directory>/letters-<start of process>-<n>.ndjson` and `unsound-…` (0600, in a directory 0700). A letter is
durable before its receipt settles. The whole directory stays below a byte cap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from decoders.errors import DecodeCode
from gateway.delivery.dead_letter_files import LetterFiles
from gateway.delivery.dead_letter_lines import LetterFilter, Line, encode_letter
from gateway.delivery.dead_letter_pages import (
    WORK_LOCK,
    Cursor,
    DirectoryLock,
    Page,
    letter_paths,
    read_page,
)
from gateway.delivery.disk import DiskThread, disk_error
from gateway.delivery.sinks import SinkErrorCode
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import OperatorError, RefuseReason
from gateway.domain.receipt import Receipt
from gateway.observe import events
from gateway.observe.metrics import DeadLetterCounters

_MAX_WAITING_BYTES = 8 * 1024 * 1024
_MAX_PAGE_BYTES = 4 * 1024 * 1024
_MAX_ATTEMPTS_KNOWN = 10_000
_EXPIRE_EVERY_S = 3600.0
_CLOSE_TIMEOUT_S = 2.0
_NEARLY_FULL = 0.8

# Anybody who reaches a port can cause these, as fast as the line carries them.
_UNSOUND = frozenset({DecodeCode.BAD_CHECK.value, DecodeCode.NOT_A_FRAME.value, DecodeCode.FRAME_TOO_LONG.value})

_Waiting = tuple[bytes, Receipt, str, bool]
"""Line, receipt, reason, and whether it is unsound."""

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
    rate_limit: of letters that unidentified peers can cause, per listener and product; a tenth of the space is theirs.
    gateway_id: who writes, as it stands in the letters; to be set before the first one.
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
        self.directory = directory.absolute()
        self.gateway_id = ""
        self._counters = counters
        counters.capacity_bytes = max_bytes
        self._max_bytes = max_bytes
        self._when_full = when_full
        self._rate_limit = rate_limit or RateLimit(per_s=10, burst=100)
        self._wall_clock = wall_clock
        self._files = LetterFiles(
            directory,
            max_bytes=max_bytes,
            max_age_s=max_age_days * 86_400,
            drops_oldest=when_full is WhenFull.DROP_OLDEST,
            wall_clock=wall_clock,
        )
        self._thread = DiskThread("dead-letters")
        self._waiting: list[_Waiting] = []
        self._writing: list[_Waiting] = []
        self._waiting_bytes = 0  # of both
        self._evictable = 0
        self._attempts: dict[str, int] = {}  # of records that were sent again, by key of their letter
        self._wake = asyncio.Event()

    @property
    def pending(self) -> int:
        """Letters that are not durable yet."""
        return len(self._waiting) + len(self._writing)

    async def start(self) -> None:
        """OperatorError if the directory cannot be used."""
        self._thread.start()
        try:
            await self._thread.call(self._files.open)
        except OSError as error:
            raise OperatorError(f"dead_letters.dir: cannot use {self._files.directory}: {error.strerror}") from error
        self._take_stock()

    def put(self, letter: DeadLetter, receipt: Receipt) -> RefuseReason | None:
        """None: taken, `letter_done` will follow. Else why it is refused, now."""
        refusal = self._refusal(letter, receipt)
        if refusal is not None:
            refused = self._counters.refused
            refused[refusal] = refused.get(refusal, 0) + 1
        return refusal

    def _refusal(self, letter: DeadLetter, receipt: Receipt) -> RefuseReason | None:
        unsound = letter.reason in _UNSOUND
        if unsound and not self._rate_limit.allow((letter.listener, letter.product)):
            return RefuseReason.RATE_LIMITED
        letter.gateway_id = self.gateway_id
        letter.stored_ms = int(self._wall_clock() * 1000)
        if letter.sink:
            letter.attempts = self._attempts.pop(letter.key, letter.attempts)
        line = encode_letter(letter)
        if not self._files.fits(len(line), unsound=unsound):
            return RefuseReason.TOO_LARGE
        waiting = self._waiting_bytes + len(line)
        at_cap = self._counters.stored_bytes - self._evictable + waiting > self._max_bytes
        refuses = self._when_full is WhenFull.REFUSE and not unsound  # what is unsound has its own share
        if waiting > max(_MAX_WAITING_BYTES, len(line)) or (at_cap and refuses):
            return RefuseReason.OUTBOX_FULL
        self._waiting_bytes = waiting
        self._waiting.append((line, receipt, letter.reason, unsound))
        self._wake.set()
        return None

    def take_all(self) -> list[Receipt]:
        """Receipts of all letters that are not durable; to be called once `run` has ended."""
        receipts = [item[1] for item in self._writing + self._waiting]
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
                    await self._expire()
                    continue
            self._writing = self._take()
            data = b"".join([item[0] for item in self._writing])
            refusal: RefuseReason | None = None
            try:
                append = partial(self._files.append, data, unsound=self._writing[0][3])
                self._counters.dropped += await self._thread.call(append)
            except OSError as error:
                failure = disk_error(error, self._files.directory)
                full = failure.code == SinkErrorCode.DISK_FULL
                refusal = RefuseReason.OUTBOX_FULL if full else RefuseReason.SINK_FAILED
                events.dead_letters_not_written(self._counters, len(self._writing), str(failure))
            else:
                self._counters.last_error = ""
            self._take_stock()
            done, self._writing = self._writing, []
            self._waiting_bytes -= len(data)
            for _, receipt, reason, _ in done:
                if refusal is None:
                    counts, name = self._counters.written, reason
                else:
                    counts, name = self._counters.refused, refusal.value
                counts[name] = counts.get(name, 0) + 1
                owner.letter_done(receipt, reason, refusal)

    async def _expire(self) -> None:
        try:
            await self._thread.call(self._files.expire)
        except OSError as error:  # the cap holds all the same
            _log.error("dead_letters_not_expired", detail=str(disk_error(error, self._files.directory)))
        self._take_stock()

    async def close(self) -> None:
        if not await self._thread.close(self._files.close, _CLOSE_TIMEOUT_S):
            _log.warning("dead_letters_close_timeout")

    # For those who look at letters, replay and purge them.

    async def page(self, wanted: LetterFilter, cursor: Cursor, limit: int) -> Page:
        """The next letters; see `read_page`. Read beside the thread that writes."""
        return await asyncio.to_thread(read_page, self.directory, wanted, cursor, limit, _MAX_PAGE_BYTES)

    async def roll(self) -> str:
        """Ends the files being written, so that all letters there are stand in files that change no more.

        Returns the name of the newest of them. OSError.
        """
        return await self._thread.call(self._files.roll)

    async def mark(self, marks: Mapping[Path, Mapping[str, Line | None]]) -> None:
        """Makes durable what a replay made of letters, by file and key: None for done, else what changed. OSError."""
        await self._thread.call(partial(self._files.mark, marks))
        self._take_stock()

    async def clean(self, paths: Sequence[Path]) -> None:
        """Frees the space of letters that are done, where it is worth it. OSError."""
        for path in paths:
            await self._thread.call(partial(self._files.clean, [path]))
        self._take_stock()

    async def purge(self, wanted: LetterFilter) -> dict[str, int]:
        """Deletes letters for good. Returns how many, by reason. OSError."""
        removed: dict[str, int] = {}
        await self.roll()
        for path in await asyncio.to_thread(letter_paths, self.directory):
            done = await self._thread.call(partial(self._files.purge, path, wanted.matches))
            for reason, count in done.removed.items():
                removed[reason] = removed.get(reason, 0) + count
                self._counters.purged += count
        self._take_stock()
        return removed

    def work_lock(self) -> DirectoryLock:
        """To be taken by whoever replays or purges: others may share the directory."""
        return DirectoryLock(self.directory, WORK_LOCK)

    def sent_again(self, key: str, attempts: int) -> None:
        """A buried record is on its way again: should its sink bury it again, that is its attempt of this number."""
        while len(self._attempts) >= _MAX_ATTEMPTS_KNOWN:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[key] = attempts

    def _take_stock(self) -> None:
        counters = self._counters
        counters.stored_bytes = self._files.stored
        self._evictable = self._files.evictable
        nearly_full = counters.stored_bytes >= self._max_bytes * _NEARLY_FULL
        events.dead_letters_level(counters, nearly_full, self._when_full.value)

    def _take(self) -> list[_Waiting]:
        """The first letters of one kind that together fit into one file; at least one."""
        unsound = self._waiting[0][3]
        max_bytes = self._files.max_file_bytes(unsound=unsound)
        count = size = 0
        for line, _, _, kind in self._waiting:
            size += len(line)
            if kind is not unsound or (count and size > max_bytes):
                break
            count += 1
        taken = self._waiting[:count]
        del self._waiting[:count]
        return taken
