"""One task per sink: takes pending records, sends them, and reads the outcome entry by entry.

A request leaves at once when none is in flight. Records that came while one was in flight share the next, which then
starts no sooner than `linger_ms` after the last one started: under load, requests are fewer and fuller.
Whatever can succeed one day is tried for ever; only what never can is buried.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from collections.abc import Sequence
from typing import Protocol

import structlog

from gateway.delivery.backoff import Backoff
from gateway.delivery.lanes import Entry, FifoQueue, LaneQueue, PendingRecords
from gateway.delivery.sinks import EntryFailure, Sink
from gateway.domain.errors import SinkError
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.observe.metrics import Metrics

_NEVER = sys.maxsize
_TICK_S = 0.001  # uvloop's clock and timers count in ms: waiting for less than one would spin

_log = structlog.get_logger("gateway.delivery.sender")


class EntryOwner(Protocol):
    """Who put the entries in and settles their receipts (the outbox)."""

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        """The sink keeps them; `size` is the sum of their bodies."""
        ...

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        """The sink will never take this one."""
        ...


class Sender:
    """Keeps one request to one sink in flight.

    linger_ms: see above; 0 sends the next request as soon as the last one ended; None takes the sink's own.
    backoff: waits after a failed request, and of a lane whose record failed while others did not.
    last_error: what the sink said last, while it is not healthy; else empty.
    """

    def __init__(self, sink: Sink, metrics: Metrics, *, backoff: Backoff, linger_ms: float | None = None) -> None:
        self.sink = sink
        self.counters = metrics.sink(sink.name)
        for code in sink.error_codes:
            self.counters.failed.setdefault(code.value, 0)
        self.last_error = ""
        self._request_seconds = metrics.request_seconds.labels(sink.name)
        self._batch_records = metrics.batch_records.labels(sink.name)
        self._linger_s = (sink.linger_ms if linger_ms is None else linger_ms) / 1000
        self._backoff = backoff

        self._pending: PendingRecords = LaneQueue() if sink.one_per_lane else FifoQueue()
        self._in_flight: list[Entry] = []
        self._parked: list[tuple[float, int, Entry]] = []  # heap by due time: heads of lanes that back off
        self._parked_count = 0  # makes heap items comparable
        self._lane_failures: dict[str, int] = {}  # in a row, of lanes that back off

        self._failures = 0  # requests in a row of which nothing was stored
        self._not_before = 0.0  # loop time until which the sink is left alone
        self._linger_until = 0.0
        self._suspects = 0  # at the front of the queue: one of them makes a whole request invalid
        self._hurry = False

        self._wake_at = _NEVER  # so many ready entries wake the task
        self._waiter: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """OperatorError: the sink can never work as configured. A sink that is out of reach is tried again later."""
        try:
            await self.sink.start()
        except SinkError as error:
            self._failed(error)

    def put(self, records: Sequence[Record], receipt: Receipt, size: int) -> None:
        """Takes the records of one uplink; `size` is the sum of their bodies."""
        self._pending.put(records, receipt, size)
        if len(self._pending.ready) >= self._wake_at:
            self._wake()

    def hurry(self) -> None:
        """From now on requests do not linger."""
        self._hurry = True
        self._wake()

    def take_all(self) -> list[Entry]:
        """Empties the sender once its task has ended: everything whose outcome is not known."""
        entries = [*self._in_flight, *(entry for _, _, entry in self._parked), *self._pending.take_all()]
        self._in_flight = []
        self._parked.clear()
        return entries

    async def run(self, owner: EntryOwner) -> None:
        """Sends until cancelled. Any exception is an error of ours or an OperatorError that came up late."""
        loop = asyncio.get_running_loop()
        while True:
            await self._until_due(loop)
            limit = max(1, self._suspects // 2) if self._suspects else self.sink.max_batch_records
            batch = self._in_flight = self._pending.take(limit, self.sink.max_batch_bytes)
            self.counters.requests += 1
            self._batch_records.observe(len(batch))
            started = loop.time()
            results: Sequence[EntryFailure | None] | None = None
            error: SinkError | None = None
            try:
                results = await self.sink.send([record for record, _ in batch])
            except SinkError as raised:
                error = raised
            now = loop.time()
            self._request_seconds.observe(now - started)
            if results is not None and len(results) != len(batch):  # while the batch still counts as in flight
                raise RuntimeError(f"{self.sink.name}: {len(results)} outcomes for {len(batch)} records")
            self._in_flight = []
            if error is None:
                self._answered(batch, results, owner, now)
            else:
                self._request_failed(batch, error, owner, now)
            self._linger_until = started + self._linger_s if self._pending.ready else 0.0

    # When to send.

    async def _until_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Returns when a request should leave; something is ready then."""
        while True:
            now = loop.time() + _TICK_S
            self._unpark(now)
            ready = len(self._pending.ready)
            if not ready:
                await self._wait(loop, 1, self._parked[0][0] if self._parked else None)
            elif now < self._not_before:
                await self._wait(loop, _NEVER, self._not_before)
            elif (
                now >= self._linger_until
                or self._hurry
                or ready >= self.sink.max_batch_records
                or self._pending.bytes >= self.sink.max_batch_bytes
            ):
                return
            else:
                await self._wait(loop, self.sink.max_batch_records, self._linger_until)

    async def _wait(self, loop: asyncio.AbstractEventLoop, wake_at: int, until: float | None) -> None:
        waiter = self._waiter = loop.create_future()
        self._wake_at = wake_at
        timer = loop.call_at(until, self._wake) if until is not None else None
        try:
            await waiter
        finally:
            self._wake_at = _NEVER
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        self._wake_at = _NEVER
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _park(self, entry: Entry, now: float) -> None:
        """Lets a lane back off by itself: one busy shard must not slow the others."""
        self.counters.retried += 1
        lane = entry[0].lane
        failures = self._lane_failures[lane] = self._lane_failures.get(lane, 0) + 1
        self._parked_count += 1
        heapq.heappush(self._parked, (now + self._backoff.delay_s(failures), self._parked_count, entry))

    def _unpark(self, now: float) -> None:
        due = []
        while self._parked and self._parked[0][0] <= now:
            due.append(heapq.heappop(self._parked)[2])
        if due:
            self._pending.put_back(due)

    # What came of it.

    def _answered(
        self, batch: list[Entry], results: Sequence[EntryFailure | None] | None, owner: EntryOwner, now: float
    ) -> None:
        self._suspects = max(0, self._suspects - len(batch))
        stored = batch
        buried: list[tuple[Entry, EntryFailure]] = []
        failure: EntryFailure | None = None
        if results is not None:
            stored = []
            for entry, result in zip(batch, results, strict=True):
                if result is None:
                    stored.append(entry)
                    continue
                self._count_failure(result.code)
                if result.retriable:
                    failure = result
                    self._park(entry, now)
                else:
                    buried.append((entry, result))
        size = sum([len(record.body) for record, _ in stored])
        self.counters.records += len(stored)
        self.counters.record_bytes += size
        self._done(stored)
        if stored or failure is None:
            self._succeeded()
        else:
            self._failed(SinkError(failure.detail, code=failure.code), now)
        owner.delivered(stored, size)
        for entry, result in buried:
            self._bury(entry, result.code, result.detail, owner)

    def _request_failed(self, batch: list[Entry], error: SinkError, owner: EntryOwner, now: float) -> None:
        self._count_failure(error.code)
        if not error.retriable and len(batch) == 1:
            self._suspects = 0
            self._bury(batch[0], error.code, str(error), owner)
            return
        if error.retriable:
            self._failed(error, now)
        else:
            self._suspects = len(batch)  # the next request takes the first half of them
        self.counters.retried += len(batch)
        self._pending.put_back(batch)

    def _count_failure(self, code: str) -> None:
        failed = self.counters.failed
        failed[str(code)] = failed.get(str(code), 0) + 1

    def _bury(self, entry: Entry, code: str, detail: str, owner: EntryOwner) -> None:
        self._done([entry])
        self.counters.buried += 1
        _log.warning("record_buried", sink=self.sink.name, record_id=entry[0].record_id, error_code=code, detail=detail)
        owner.bury(entry, code, detail)

    def _done(self, entries: Sequence[Entry]) -> None:
        self._pending.done(entries)
        if self._lane_failures:
            for record, _ in entries:
                self._lane_failures.pop(record.lane, None)

    def _failed(self, error: SinkError, now: float | None = None) -> None:
        """Nothing gets through: not healthy, and the sink is left alone for a while."""
        self._failures += 1
        if now is not None:
            self._not_before = now + self._backoff.delay_s(self._failures)
        self.last_error = f"{error.code}: {error}"
        if self.counters.healthy:
            self.counters.healthy = False
            _log.warning("sink_unhealthy", sink=self.sink.name, error_code=error.code, detail=str(error))

    def _succeeded(self) -> None:
        self._failures = 0
        if not self.counters.healthy:
            self.counters.healthy = True
            self.last_error = ""
            _log.info("sink_healthy", sink=self.sink.name)
