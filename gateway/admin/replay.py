"""Replay: dead letters go through today's specs and into the outbox once more.

Place in the walk: asked for over the admin API; stands where a face stands. Few letters are under way at a time, so
that live traffic goes on. A letter is marked as done once its receipt says that its records are durable; a crash
before that means that they may come twice, with the same `record_id`. What still fails stays, with its new reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import structlog

from gateway.admin.rereading import Reread, Rereader
from gateway.delivery.dead_letter_lines import LetterFilter, Line, failed_again, letter_of
from gateway.delivery.dead_letter_pages import Cursor, Found
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import DeadLetterReason, GatewayError, RefuseReason
from gateway.domain.ports import OutboxPort
from gateway.domain.receipt import Outcome, Receipt
from gateway.observe.metrics import DeadLetterCounters

__all__ = ["MAX_LETTERS", "Replayed", "Replayer", "WorkedOnElsewhere", "preview"]

MAX_LETTERS = 10_000
"""Most letters of one call; the answer says where the next one goes on."""

_MAX_ROWS = 1_000
_PAGE = 1_024
_IN_FLIGHT = 64
_SETTLE_S = 30.0
_ROOM_S = 5.0
_STOP_S = 5.0

_log = structlog.get_logger(__name__)


class WorkedOnElsewhere(GatewayError):
    """Another process replays or purges letters of this directory right now."""

    code = "busy"


@dataclass(slots=True)
class Replayed:
    """What one call made of letters.

    matched: letters that were tried. replayed: now records, or known to leave none. failed: still dead letters.
    refused: the outbox did not take them; they are as before. pending: not settled in time; marked when they are.
    reasons: the same counts by the reason that the letters had. still: failed ones by their reason now.
    letters: a row for each, up to 1,000. next: where to go on; "": nothing is left. problem: why it stopped early.
    """

    dry_run: bool
    matched: int = 0
    replayed: int = 0
    failed: int = 0
    refused: int = 0
    pending: int = 0
    records: int = 0
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    still: dict[str, int] = field(default_factory=dict)
    letters: list[Line] = field(default_factory=list)
    next: str = ""
    problem: str = ""

    def count(self, row: Line) -> None:
        """Adds one letter, as `preview` describes it."""
        outcome = row["outcome"]
        self.matched += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        of_reason = self.reasons.setdefault(row["reason"], {})
        of_reason[outcome] = of_reason.get(outcome, 0) + 1
        if outcome == "replayed":
            self.records += row["records"]
        elif outcome == "failed":
            self.still[row["now"]] = self.still.get(row["now"], 0) + 1
        if len(self.letters) < _MAX_ROWS:
            self.letters.append(row)


def preview(found: Found, rereader: Rereader, sinks: Collection[str]) -> Line:
    """What would become of a letter: `outcome` replayed or failed, `records` how many, else `now` and `detail` why."""
    try:
        letter = letter_of(found.line)
    except ValueError as error:
        return _row(found, "failed", now="unreadable", detail=str(error))
    return _row_of(found, _reread(letter, rereader, sinks, Receipt()))


@dataclass(slots=True, eq=False)
class _Attempt:
    """One letter under way. mark: what will be written about it; `no_mark` when nothing is."""

    found: Found
    letter: DeadLetter
    row: Line
    mark: Line | None = None
    no_mark: bool = False
    ended: bool = False


class Replayer:
    """Replays letters of one running gateway; one call at a time.

    trial: a rereader whose chain leaves no trace, for dry runs. sinks: those that are configured.
    in_flight: letters at a time. settle_s, room_s: how long a call waits for their receipts, and for room.
    """

    def __init__(
        self,
        store: DeadLetterStore,
        rereader: Rereader,
        trial: Rereader,
        outbox: OutboxPort,
        counters: DeadLetterCounters,
        sinks: Collection[str],
        *,
        in_flight: int = _IN_FLIGHT,
        settle_s: float = _SETTLE_S,
        room_s: float = _ROOM_S,
    ) -> None:
        self.store = store
        self._rereader = rereader
        self._trial = trial
        self._outbox = outbox
        self._counters = counters
        self._sinks = sinks
        self._max_in_flight = in_flight
        self._settle_s = settle_s
        self._room_s = room_s
        self._turn = asyncio.Lock()
        self._under_way: dict[tuple[Path, str], _Attempt] = {}
        self._settled: list[_Attempt] = []
        self._to_mark = asyncio.Event()
        self._progress = asyncio.Event()
        self._mark_problem = ""
        self._stop_by: float | None = None
        self._marking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._marking = asyncio.create_task(self._mark(), name="dead-letter-marks")

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """Takes no more letters and waits for what is under way. To be called while the outbox still delivers."""
        self._stop_by = asyncio.get_running_loop().time() + timeout_s
        self._progress.set()
        async with self._turn:
            await self._until(lambda: not self._under_way, timeout_s)
        if self._marking is not None:
            self._marking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._marking

    async def replay(self, wanted: LetterFilter, cursor: Cursor, limit: int, *, dry_run: bool) -> Replayed:
        """Replays at most `limit` letters, oldest first, of those that are there at the first call. WorkedOnElsewhere,
        OSError."""
        if dry_run:
            return await self._try(wanted, cursor, limit)
        async with self._turn:
            with self.store.work_lock() as lock:
                if not lock.take():
                    raise WorkedOnElsewhere("another process replays or purges these letters: try again later")
                return await self._replay(wanted, cursor, limit)

    async def purge(self, wanted: LetterFilter, *, dry_run: bool) -> dict[str, int]:
        """Deletes letters for good. Returns how many, by reason. WorkedOnElsewhere, OSError."""
        if dry_run:
            return await self._count(wanted)
        async with self._turn:
            with self.store.work_lock() as lock:
                if not lock.take():
                    raise WorkedOnElsewhere("another process replays or purges these letters: try again later")
                return await self.store.purge(wanted)

    async def _count(self, wanted: LetterFilter) -> dict[str, int]:
        counts: dict[str, int] = {}
        cursor: Cursor | None = Cursor()
        while cursor is not None:
            page = await self.store.page(wanted, cursor, _PAGE)
            for found in page.letters:
                reason = str(found.line.get("reason"))
                counts[reason] = counts.get(reason, 0) + 1
            cursor = page.cursor
        return counts

    async def _try(self, wanted: LetterFilter, cursor: Cursor, limit: int) -> Replayed:
        report = Replayed(dry_run=True)
        while True:
            page = await self.store.page(wanted, cursor, min(limit - report.matched, _PAGE))
            for index, found in enumerate(page.letters):
                report.count(preview(found, self._trial, self._sinks))
                if index % self._max_in_flight == 0:
                    await asyncio.sleep(0)
            if page.cursor is None:
                return report
            cursor = page.cursor
            if report.matched >= limit:
                report.next = str(cursor)
                return report

    async def _replay(self, wanted: LetterFilter, cursor: Cursor, limit: int) -> Replayed:
        report = Replayed(dry_run=False)
        if not cursor.last:  # letters that come from now on are not meant: they may be of this very replay
            cursor = replace(cursor, last=await self.store.roll())
            if not cursor.last:
                return report
        passed: list[Path] = []
        while True:
            page = await self.store.page(wanted, cursor, min(limit - report.matched, _PAGE))
            for first in range(0, len(page.letters), self._max_in_flight):
                await self._through(page.letters[first : first + self._max_in_flight], report)
                if report.problem:
                    break
            if report.problem:
                report.next = str(cursor)
                break
            passed += page.passed
            if page.cursor is None:
                break
            cursor = page.cursor
            if report.matched >= limit:
                report.next = str(cursor)
                break
        still = {path for path, _ in self._under_way}
        await self.store.clean([path for path in passed if path not in still])
        return report

    async def _through(self, letters: Sequence[Found], report: Replayed) -> None:
        """Sends some letters on their way and waits for what becomes of them."""
        attempts = []
        for found in letters:
            if (found.path, found.key) in self._under_way:
                report.count(_row(found, "pending"))
                continue
            if not self._outbox.has_room() and not await self._until(self._outbox.has_room, self._room_s):
                report.problem = "the outbox is full: try again later"
                break
            if self._stop_by is not None:
                report.problem = "the gateway is ending"
                break
            attempt = self._begin(found)
            if attempt is None:
                report.count(_row(found, "failed", now="unreadable"))
            else:
                attempts.append(attempt)
        await self._until(lambda: all(attempt.ended for attempt in attempts), self._settle_s)
        for attempt in attempts:
            report.count(attempt.row if attempt.ended else _row(attempt.found, "pending"))
        if not report.problem:
            report.problem = self._mark_problem
        self._mark_problem = ""

    def _begin(self, found: Found) -> _Attempt | None:
        try:
            letter = letter_of(found.line)
        except ValueError as error:
            _log.warning("dead_letter_unreadable", file=found.path.name, dead_letter_id=found.key, detail=str(error))
            return None
        receipt = Receipt()
        reread = _reread(letter, self._rereader, self._sinks, receipt)
        attempt = _Attempt(found, letter, _row_of(found, reread))
        self._under_way[found.path, found.key] = attempt
        if reread.failure is not None:
            attempt.mark = failed_again(reread.failure)
        elif reread.records:
            self._put(attempt, reread, receipt)
            return attempt
        self._ends(attempt)
        return attempt

    def _put(self, attempt: _Attempt, reread: Reread, receipt: Receipt) -> None:
        receipt.on_settled = partial(self._receipt_settled, attempt)
        try:
            if reread.sink:
                self.store.sent_again(attempt.letter.key, attempt.letter.attempts + 1)
                self._outbox.put_again(receipt, reread.records[0], reread.sink)
            else:
                self._outbox.put(receipt, reread.records)
        except Exception:
            _log.exception("outbox_failed", dead_letter_id=attempt.found.key)
            if receipt.outcome is None:
                receipt.on_settled = None
                attempt.no_mark = True
                attempt.row = _row(attempt.found, "refused", now=RefuseReason.SINK_FAILED.value)
                self._ends(attempt)

    def _receipt_settled(self, attempt: _Attempt, receipt: Receipt) -> None:
        """Called by the outbox, also long after the call that replayed it."""
        if receipt.outcome is Outcome.REFUSED:
            if receipt.reason == RefuseReason.TOO_LARGE:
                failed = replace(
                    attempt.letter, reason=receipt.reason, stage="sink", attempts=attempt.letter.attempts + 1
                )
                attempt.mark = failed_again(failed)
                attempt.row = _row(attempt.found, "failed", now=receipt.reason)
            else:
                attempt.no_mark = True
                attempt.row = _row(attempt.found, "refused", now=receipt.reason)
        elif receipt.outcome is Outcome.DEAD_LETTERED:  # there is a new letter, with the record that was buried
            attempt.row = _row(attempt.found, "failed", now=receipt.reason)
        self._ends(attempt)

    def _ends(self, attempt: _Attempt) -> None:
        self._settled.append(attempt)
        self._to_mark.set()

    async def _mark(self) -> None:
        """Writes down what became of letters, as it comes."""
        while True:
            await self._to_mark.wait()
            self._to_mark.clear()
            batch, self._settled = self._settled, []
            marks: dict[Path, dict[str, Line | None]] = {}
            for attempt in batch:
                if not attempt.no_mark:
                    marks.setdefault(attempt.found.path, {})[attempt.found.key] = attempt.mark
            try:
                await self.store.mark(marks)
            except OSError as error:
                self._mark_problem = f"{self.store.directory}: {error.strerror}: these letters may be replayed again"
                _log.error("dead_letter_marks_not_written", letters=len(batch), detail=self._mark_problem)
            for attempt in batch:
                attempt.ended = True
                self._counters.replayed[attempt.row["outcome"]] += 1
                del self._under_way[attempt.found.path, attempt.found.key]
            self._progress.set()

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Waits for something that `_progress` or, for room in the outbox, time brings."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not condition():
            left = min(deadline, deadline if self._stop_by is None else self._stop_by) - loop.time()
            if left <= 0:
                return False
            self._progress.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.1)):
                    await self._progress.wait()
        return True


def _reread(letter: DeadLetter, rereader: Rereader, sinks: Collection[str], receipt: Receipt) -> Reread:
    reread = rereader.read(letter, receipt)
    if reread.sink and reread.sink not in sinks:
        detail = f"no sink `{reread.sink}` is configured any more"
        failed = replace(
            letter, reason=DeadLetterReason.BURIED.value, stage="sink", detail=detail, attempts=letter.attempts + 1
        )
        return Reread(failure=failed)
    return reread


def _row_of(found: Found, reread: Reread) -> Line:
    if reread.failure is not None:
        return _row(found, "failed", now=reread.failure.reason, detail=reread.failure.detail)
    return _row(found, "replayed", records=len(reread.records))


def _row(found: Found, outcome: str, *, records: int = 0, now: str = "", detail: str = "") -> Line:
    line = found.line
    row = {"id": found.key, "product": line.get("product"), "device_id": line.get("device_id")}
    row |= {"reason": str(line.get("reason")), "outcome": outcome, "records": records}
    if now:
        row |= {"now": str(now), "detail": detail}
    return row
