"""A streamed upload: NDJSON or CSV of any length, line by line, in constant memory.

Place in the walk: between the pieces of a body and the flow. Reading waits while too much is unsettled or the outbox
has no room; what ends an upload early is answered with what was taken up to there, so that it can be resumed behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from gateway.domain.receipt import Outcome
from gateway.ingress.rest.answers import NOT_SETTLED, Answer, ItemError, answer_of, error_of, none_accepted
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.lines import Cutter, Line
from gateway.ingress.rest.receipts import ItemReceipt, Receipts, Window
from gateway.observe.problems import Limit, Problem, ProblemCode

__all__ = ["MAX_ERRORS", "TakeLine", "Upload", "UploadLimits", "UploadTally"]

MAX_ERRORS = 1_000
_RETRY_S = 5
_TURN_LINES = 32
"""Lines taken before others have their turn."""

TakeLine: TypeAlias = Callable[[Line, Callable[[], ItemReceipt]], ItemError | None]
"""Takes a line: calls for its receipt and gives it to the flow, and returns None; or returns why not. A line that means
nothing (a header) makes no receipt and no error."""


@dataclass(slots=True, frozen=True)
class UploadLimits:
    """room_s: how long reading waits for room. settle_s: how long the
    end waits for receipts."""

    window: Window = field(default_factory=Window)
    room_s: float = 60.0
    settle_s: float = 30.0


class UploadTally:
    """Counts of one upload, and its first errors by line."""

    __slots__ = ("_errors", "_failed", "accepted", "rejected")

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self._failed = 0  # errors, dead letters too
        self._errors: list[tuple[int, int, ItemError]] = []  # a heap, the last line first

    def reject(self, line: int, error: ItemError) -> None:
        self.rejected += 1
        self._note(line, error)

    def settled(self, receipt: ItemReceipt) -> None:
        """Hears of a receipt; its index is the number of the line."""
        lines = receipt.group or (receipt.index,)
        if receipt.outcome is Outcome.REFUSED:
            self.rejected += len(lines)
        else:
            self.accepted += len(lines)
        error = error_of(receipt)
        if error is not None:
            for line in lines:
                self._note(line, error)

    def answer(self, lines: int, unsettled: int) -> Answer:
        """lines: that were read, all of them."""
        members = self._members(lines, unsettled)
        if not self.accepted and (self.rejected or unsettled):
            errors = [NOT_SETTLED] if unsettled else []
            return answer_of(none_accepted([*errors, *(error for _, error in self._by_line())], members))
        return Answer(207 if self.rejected or unsettled else 200, orjson.dumps(members))

    def interrupted(self, problem: Problem, lines: int, unsettled: int) -> Problem:
        """The same problem, with what was taken before it. lines: all up to there were taken or have their error."""
        problem.more |= self._members(lines, unsettled)
        return problem

    def _members(self, lines: int, unsettled: int) -> dict[str, Any]:
        members: dict[str, Any] = {"lines": lines, "accepted": self.accepted, "rejected": self.rejected}
        if unsettled:
            members["pending"] = unsettled
        members["errors"] = [{"line": line, **error.document()} for line, error in self._by_line()]
        members["errors_truncated"] = self._failed > len(self._errors)
        return members

    def _by_line(self) -> list[tuple[int, ItemError]]:
        return [(-line, error) for line, _, error in sorted(self._errors, key=lambda entry: (-entry[0], entry[1]))]

    def _note(self, line: int, error: ItemError) -> None:
        self._failed += 1
        entry = (-line, self._failed, error)
        if len(self._errors) < MAX_ERRORS:
            heapq.heappush(self._errors, entry)
        else:
            heapq.heappushpop(self._errors, entry)


class Upload:
    """One upload. `tally` counts, `lines` tells up to which line everything was taken or has its error.

    flush: called before anything is waited for, so that lines that `take` has put together go on.
    """

    def __init__(
        self,
        cutter: Cutter,
        take: TakeLine,
        intake: Intake,
        limits: UploadLimits,
        flush: Callable[[], None] | None = None,
    ) -> None:
        self._cutter = cutter
        self._take = take
        self._intake = intake
        self._limits = limits
        self._flush = flush
        self._line = Line(0, b"")  # that is being taken
        self.tally = UploadTally()
        self.receipts = Receipts(self.tally.settled)
        self.lines = 0

    async def run(self, pieces: AsyncGenerator[bytes, None]) -> Answer:
        """Takes all of it and waits for its receipts. Raises Problem, with what was taken as members, when it cannot be
        read to its end; ConnectionError when the client is gone (what it brought is kept all the same)."""
        try:
            async with contextlib.aclosing(pieces):
                while (piece := await self._intake.next_piece(pieces)) is not None:
                    await self._take_lines(self._cutter.feed(piece))
            await self._take_lines(self._cutter.end())
        except Problem as problem:
            await self._settle()
            raise self.tally.interrupted(problem, self.lines, self.receipts.unsettled) from None
        await self._settle()
        return self.tally.answer(self.lines, self.receipts.unsettled)

    async def _take_lines(self, lines: list[Line]) -> None:
        await asyncio.sleep(0)  # pieces may come without a pause
        for start in range(0, len(lines), _TURN_LINES):
            self.lines = lines[start].number - 1
            if start:
                await asyncio.sleep(0)
            await self._wait()
            try:
                self._take_turn(lines[start : start + _TURN_LINES])
            finally:
                if self._flush is not None:
                    self._flush()
        self.lines = self._cutter.lines

    def _take_turn(self, lines: list[Line]) -> None:
        for line in lines:
            self.lines = line.number - 1
            self._line = line
            error = self._take(line, self._make)
            if error is not None:
                self.tally.reject(line.number, error)

    def _make(self) -> ItemReceipt:
        return self.receipts.make(self._line.number, len(self._line.data))

    async def _wait(self) -> None:
        """Until more may be taken."""
        limits = self._limits
        if not await self.receipts.shrink(limits.window, limits.settle_s):
            detail = "what was sent is not stored in time"
            limit = Limit("settle_s", limits.settle_s)
            raise Problem(503, ProblemCode.NOT_SETTLED, detail, limit=limit, retry_after_s=_RETRY_S)
        await self._intake.wait(limits.room_s)

    async def _settle(self) -> None:
        await self.receipts.settle(self._limits.settle_s)
