"""One task per sink: takes parcels, sends them, and reads the outcome parcel by parcel.

A request leaves at once when none is in flight. What came while one was in flight shares the next, which then starts
no sooner than `linger_ms` after the last one started; while one is in flight, another leaves only if it is full: under
load requests are fewer and fuller, under backlog several are in flight.
Whatever can succeed one day is tried for ever; only what never can is buried, alone, after halving has found it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from gateway.delivery.backoff import Backoff
from gateway.delivery.lanes import Entry, Parcel
from gateway.delivery.pacing import Group
from gateway.delivery.sinks import EntryFailure, Sink, SinkErrorCode
from gateway.domain.errors import SinkError
from gateway.observe import events
from gateway.observe.metrics import Metrics

_NEVER = sys.maxsize
_FAILING = 3  # so many failures of a shard in a row are more than a busy moment
_TICK_S = 0.001  # uvloop's clock and timers count in ms: waiting for less than one would spin


class EntryOwner(Protocol):
    """Who put the entries in."""

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        """The sink keeps them; `size` is the sum of their bodies."""
        ...

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        """The sink will never take this one."""
        ...


class Sender:
    """Keeps up to `sink.max_requests` requests to one sink in flight.

    linger_ms: see above; 0 sends the next request as soon as the last one ended; None takes the sink's own.
    always_lingers: also when nothing came while the last request was in flight: for a sink where a request costs more
    than being late.
    backoff: waits after a failed request, and of a group (a shard) some of whose parcels failed.
    """

    def __init__(
        self,
        sink: Sink,
        metrics: Metrics,
        *,
        backoff: Backoff,
        linger_ms: float | None = None,
        always_lingers: bool = False,
    ) -> None:
        self.sink = sink
        self.counters = metrics.sink(sink.name)
        for code in sink.error_codes:
            self.counters.failed.setdefault(code.value, 0)
        self._request_seconds = metrics.request_seconds.labels(sink.name)
        self._batch_records = metrics.batch_records.labels(sink.name)
        self._batch_bytes = metrics.batch_bytes.labels(sink.name)
        self._latency = metrics.latency.sink(sink.name)
        self._always_lingers = always_lingers
        self._linger_s = (sink.linger_ms if linger_ms is None else linger_ms) / 1000
        self._backoff = backoff

        self._queue = sink.new_queue()
        self._pacing = sink.pacing
        self._generation = 0  # of the pacing's groups
        self._requests = 0  # so far; numbers them
        self._in_flight: dict[int, list[Parcel]] = {}  # by number of the request
        self._tasks: set[asyncio.Task[None]] = set()
        self._died: BaseException | None = None

        self._suspects: list[list[Parcel]] = []  # a stack of requests: one record in them spoils a whole request
        self._suspects_out = False  # one of them is in flight
        self._pieces: dict[str, int] = {}  # by key: further pieces of its parcel among the suspects

        self._failures = 0  # requests in a row of which nothing was stored
        self._failed_at = 0.0
        self._not_before = 0.0  # loop time until which the sink is left alone
        self._suspects_not_before = 0.0
        self._backing_off: set[Group] = set()
        self._linger_until = 0.0
        self._hurry = False

        self._wake_at = _NEVER  # so much that is ready wakes the task
        self._waiter: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """OperatorError: the sink can never work as configured. A sink that is out of reach is tried again later."""
        try:
            await self.sink.start()
        except SinkError as error:
            self._failed(error)

    def put(self, entries: Sequence[Entry], size: int) -> None:
        """Takes records in the order of their lanes; `size` is the sum of their bodies."""
        self._queue.put(entries, size)
        if len(self._queue.ready) >= self._wake_at:
            self._wake()

    def depth(self, lane: str) -> int:
        """How many records wait, or are in flight, with the same key (lane or stripe) as this lane's. One whose shard
        fails again and again while others do not has more than enough."""
        if self._backing_off and self._failures == 0:
            group = self._pacing.group(self._queue.key_of(lane))
            if group in self._backing_off and group.failures >= _FAILING:
                return sys.maxsize
        return self._queue.depth(lane)

    def hurry(self) -> None:
        """From now on requests do not linger."""
        self._hurry = True
        self._wake()

    def take_all(self) -> list[Entry]:
        """Empties the sender once its task has ended: everything whose outcome is not known."""
        parcels = [parcel for request in self._in_flight.values() for parcel in request]
        parcels += [parcel for request in reversed(self._suspects) for parcel in request]
        self._in_flight.clear()
        self._suspects.clear()
        self._pieces.clear()
        return [entry for parcel in parcels for entry in parcel.entries] + self._queue.take_all()

    async def run(self, owner: EntryOwner) -> None:
        """Sends until cancelled. Any exception is an error of ours or an OperatorError that came up late."""
        loop = asyncio.get_running_loop()
        self._spawn(self._pacing.run())
        try:
            while True:
                suspects = await self._until_due(loop)
                now = loop.time()
                self._linger_until = now + self._linger_s
                if suspects:
                    self._suspects_out = True
                    parcels = self._suspects.pop()
                else:
                    sink = self.sink
                    parcels = self._queue.take(
                        sink.max_batch_records, sink.max_batch_bytes, self._pacing, now + _TICK_S
                    )
                    if not parcels:  # all of it has to wait for its group
                        await self._wait(loop, _NEVER, now + _TICK_S)
                        continue
                self._requests += 1
                self._in_flight[self._requests] = parcels
                self._spawn(self._request(self._requests, suspects, owner, loop))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # When to send.

    async def _until_due(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Returns when a request should leave: True for suspects, False for what the queue has ready."""
        queue, sink = self._queue, self.sink
        while True:
            if self._died is not None:
                raise self._died
            if self._generation != self._pacing.generation:
                self._generation = self._pacing.generation
                queue.release()
            now = loop.time() + _TICK_S
            busy = len(self._in_flight)
            if busy >= sink.max_requests:
                await self._wait(loop, _NEVER, None)
                continue
            if now < self._not_before:
                await self._wait(loop, _NEVER, self._not_before)
                continue
            until: list[float] = []
            if self._suspects and not self._suspects_out:
                if now >= self._suspects_not_before:
                    return True
                until.append(self._suspects_not_before)
            opens_at = queue.opens_at()
            if not queue.ready and (opens_at is None or opens_at > now):
                if opens_at is not None:
                    until.append(opens_at)
                await self._wait(loop, 1, min(until, default=None))
                continue
            lingered = now >= self._linger_until or self._hurry
            if (lingered and not busy) or queue.full(sink.max_batch_records, sink.max_batch_bytes):
                return False
            if not busy:
                until.append(self._linger_until)
            await self._wait(loop, sink.max_batch_records, min(until, default=None))

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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"request-{self.sink.name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._died = self._died or task.exception()
        self._wake()

    # What came of it.

    async def _request(self, number: int, suspects: bool, owner: EntryOwner, loop: asyncio.AbstractEventLoop) -> None:
        parcels = self._in_flight[number]
        self.counters.requests += 1
        self._batch_records.observe(sum([len(parcel.entries) for parcel in parcels]))
        self._batch_bytes.observe(sum([parcel.size for parcel in parcels]))
        started = loop.time()
        results: Sequence[EntryFailure | None] | None = None
        error: SinkError | None = None
        try:
            results = await self.sink.send(parcels)
        except SinkError as raised:
            error = raised
        now = loop.time()
        self._request_seconds.observe(now - started)
        if results is not None and len(results) != len(parcels):  # while they still count as in flight
            raise RuntimeError(f"{self.sink.name}: {len(results)} outcomes for {len(parcels)} parcels")
        del self._in_flight[number]
        if suspects:
            self._suspects_out = False
        if error is None:
            self._answered(parcels, results, suspects, owner, started)
        else:
            self._request_failed(parcels, error, suspects, owner, started)
        if not self._queue.ready and not self._in_flight and not self._always_lingers:
            self._linger_until = 0.0  # nothing came meanwhile: what comes next need not wait

    def _answered(
        self,
        parcels: list[Parcel],
        results: Sequence[EntryFailure | None] | None,
        suspects: bool,
        owner: EntryOwner,
        started: float,
    ) -> None:
        stored = parcels
        again: list[Parcel] = []
        refused: list[tuple[Parcel, EntryFailure]] = []
        failure: EntryFailure | None = None
        if results is not None:
            stored = []
            for parcel, result in zip(parcels, results, strict=True):
                if result is None:
                    stored.append(parcel)
                    continue
                self._count_failure(result.code)
                if result.retriable:
                    failure = result
                    again.append(parcel)
                else:
                    refused.append((parcel, result))
        entries = [entry for parcel in stored for entry in parcel.entries]
        size = sum([parcel.size for parcel in stored])
        self.counters.records += len(entries)
        self.counters.record_bytes += size
        self._latency.observe(entries)
        self._done(stored)
        if failure is not None or self._backing_off:
            self._back_off(again, stored)
        if failure is not None:
            if failure.code is SinkErrorCode.THROTTLED:
                self._pacing.stale()
            self._put_back(again, suspects)
        if stored or failure is None:
            self._succeeded()
        else:
            self._failed(SinkError(failure.detail, code=failure.code), started, pause=False)
        owner.delivered(entries, size)
        for parcel, result in refused:
            self._refused(parcel, result.code, result.detail, owner)

    def _request_failed(
        self, parcels: list[Parcel], error: SinkError, suspects: bool, owner: EntryOwner, started: float
    ) -> None:
        self._count_failure(error.code)
        if error.retriable:
            self._failed(error, started)
            self._put_back(parcels, suspects)
        elif len(parcels) == 1:
            self._refused(parcels[0], error.code, str(error), owner)
        else:
            self.counters.retried += sum([len(parcel.entries) for parcel in parcels])
            middle = len(parcels) // 2
            self._suspects += (parcels[middle:], parcels[:middle])

    def _refused(self, parcel: Parcel, code: str, detail: str, owner: EntryOwner) -> None:
        """A parcel that is refused by itself: one of its records is the reason."""
        entries = parcel.entries
        if len(entries) > 1:
            self.counters.retried += len(entries)
            middle = len(entries) // 2
            self._pieces[parcel.key] = self._pieces.get(parcel.key, 0) + 1
            # On top: the first half is stored, or buried, before the second is tried.
            self._suspects += ([_piece(parcel, entries[middle:])], [_piece(parcel, entries[:middle])])
            return
        ((record, _),) = entries
        self._done([parcel])
        events.record_buried(self.counters, record.record_id, code, detail)
        owner.bury(entries[0], code, detail)

    def _back_off(self, again: list[Parcel], stored: list[Parcel]) -> None:
        """Lets the groups of failed parcels wait. One of which some was stored is busy, not down: it starts anew."""
        now = asyncio.get_running_loop().time()
        group_of = self._pacing.group
        failed = {group_of(parcel.key) for parcel in again}
        alive = {group_of(parcel.key) for parcel in stored}
        for group in alive & self._backing_off:
            group.failures = 0
        self._backing_off = (self._backing_off - alive) | failed
        for group in failed:
            group.failures += 1
            group.not_before = self._suspects_not_before = now + self._backoff.delay_s(group.failures)

    def _put_back(self, parcels: list[Parcel], suspects: bool) -> None:
        self.counters.retried += sum([len(parcel.entries) for parcel in parcels])
        if suspects:
            self._suspects.append(parcels)
        else:
            self._queue.put_back(parcels)

    def _done(self, parcels: list[Parcel]) -> None:
        """These are gone; a key goes on when the last piece of its parcel is."""
        if self._pieces:
            whole = []
            for parcel in parcels:
                pieces = self._pieces.pop(parcel.key, 0)
                if pieces > 1:
                    self._pieces[parcel.key] = pieces - 1
                elif not pieces:
                    whole.append(parcel)
            parcels = whole
        if parcels:
            self._queue.done(parcels)

    def _count_failure(self, code: str) -> None:
        failed = self.counters.failed
        failed[str(code)] = failed.get(str(code), 0) + 1

    def _failed(self, error: SinkError, started: float = 0.0, *, pause: bool = True) -> None:
        """Nothing gets through: not healthy, and (`pause`) the sink is left alone for a while."""
        now = asyncio.get_running_loop().time()
        if pause and started >= self._failed_at:  # requests that failed together count once
            self._failed_at = now
            self._failures += 1
            self._not_before = now + self._backoff.delay_s(self._failures)
        events.sink_unhealthy(self.counters, error.code, str(error))

    def _succeeded(self) -> None:
        self._failures = 0
        events.sink_healthy(self.counters)


def _piece(parcel: Parcel, entries: list[Entry]) -> Parcel:
    return Parcel(parcel.key, entries, sum([len(record.body) for record, _ in entries]))
