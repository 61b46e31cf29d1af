"""The only door out: takes records and dead letters, and settles receipts when these are durable.

A record waits in its sender's queue until the sink keeps it; a letter until its line is on the disk. Rule 1 lives
here: every receipt that comes in is settled exactly once, whatever happens to sink, disk or process end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import orjson
import structlog

from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.lanes import Entry
from gateway.delivery.sender import Sender
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import DeadLetterReason, RefuseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.observe.metrics import OutboxCounters

_ACCEPTED = Outcome.ACCEPTED
_SEVERITY = {Outcome.ACCEPTED: 0, Outcome.DUPLICATE: 0, Outcome.DEAD_LETTERED: 1, Outcome.REFUSED: 2}

_log = structlog.get_logger("gateway.delivery.outbox")


class Outbox:
    """Implements `gateway.domain.ports.OutboxPort`.

    max_bytes: above it `has_room` is False and `on_room` callbacks get False; below `max_bytes * low_mark`, True.
    Faces stop reading then, but what they had read already is still taken, up to `slack_bytes` more; beyond both,
    uplinks are REFUSED(outbox_full). Bytes are those of record bodies.
    An uplink with several records ends with the worst of their outcomes.

    `start`, then `run` in a task for as long as the gateway lives, then `drain`.
    """

    def __init__(
        self,
        sender: Sender,
        dead_letters: DeadLetterStore,
        counters: OutboxCounters,
        *,
        max_bytes: int,
        low_mark: float = 0.75,
        slack_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._sender = sender
        self._dead_letters = dead_letters
        self._counters = counters
        counters.capacity_bytes = max_bytes
        self._high_bytes = max_bytes
        self._low_bytes = int(max_bytes * low_mark)
        self._hard_bytes = max_bytes + slack_bytes
        self._full = False
        self._room_callbacks: list[Callable[[bool], None]] = []
        self._worst: dict[Receipt, tuple[Outcome, str]] = {}  # of uplinks that lost a record but wait for others
        self._closed = False
        self._stranded = 0  # receipts that had to be refused at the end
        self._running = False
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._changed: asyncio.Event | None = None  # set when something may have ended, while draining

    # The port.

    def has_room(self) -> bool:
        return not self._full and not self._closed

    def on_room(self, callback: Callable[[bool], None]) -> None:
        self._room_callbacks.append(callback)

    def put(self, receipt: Receipt, records: Sequence[Record]) -> None:
        if receipt.pending or receipt.outcome is not None:
            raise RuntimeError("a receipt was put into the outbox twice")
        size = 0
        max_record_bytes = self._sender.sink.max_record_bytes
        for record in records:
            length = len(record.body)
            if length > max_record_bytes:
                self._finish(receipt, Outcome.REFUSED, RefuseReason.TOO_LARGE)
                return
            size += length
        counters = self._counters
        total = counters.bytes + size
        if not records:
            self._finish(receipt, _ACCEPTED, "")
        elif self._closed:
            self._finish(receipt, Outcome.REFUSED, RefuseReason.SINK_FAILED)
        elif total > self._hard_bytes:
            self._finish(receipt, Outcome.REFUSED, RefuseReason.OUTBOX_FULL)
        else:
            count = receipt.pending = len(records)
            counters.records += count
            counters.bytes = total
            self._sender.put(records, receipt, size)
            if total > self._high_bytes and not self._full:
                self._set_full(True)

    def put_dead_letter(self, receipt: Receipt, letter: DeadLetter) -> None:
        if receipt.pending or receipt.outcome is not None:
            raise RuntimeError("a receipt was put into the outbox twice")
        receipt.pending = 1
        self._keep_letter(receipt, letter)

    def settle(self, receipt: Receipt, outcome: Outcome, reason: str = "") -> None:
        if receipt.pending:
            raise RuntimeError("a receipt whose records are in the outbox was settled from outside")
        self._finish(receipt, outcome, reason)

    # Its life.

    async def start(self) -> None:
        """Opens sink and dead letters. OperatorError: they can never work as configured."""
        await self._dead_letters.start()
        await self._sender.start()

    async def run(self) -> None:
        """Delivers until `drain` has ended.

        If a sender or the dead-letter writer dies, every pending receipt is refused and the error is raised (in an
        exception group): nobody waits for what will never come.
        """
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(self._sender.run(self), name=f"sender-{self._sender.sink.name}"),
                    tasks.create_task(self._dead_letters.run(self), name="dead-letters"),
                ]
                await self._ending.wait()
                for worker in workers:
                    worker.cancel()
        finally:
            self._running = False
            self._refuse_rest()
            self._ended.set()
            if self._changed is not None:
                self._changed.set()

    async def drain(self, timeout_s: float) -> int:
        """Waits until everything is durable, at most `timeout_s`; refuses what is left; closes sink and letters.

        Returns how many uplinks had to be refused. Callers stop putting first; what comes all the same is taken
        until the end.
        """
        self._sender.hurry()
        self._changed = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._ended.is_set() and (self._counters.records or self._dead_letters.pending):
                    self._changed.clear()
                    await self._changed.wait()
        self._ending.set()
        if self._running:
            await self._ended.wait()
        self._refuse_rest()
        await self._sender.sink.close()
        await self._dead_letters.close()
        return self._stranded

    # What senders and the dead-letter store report.

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        """These records (`size` bytes of bodies) are durable in the sink."""
        self._counters.records -= len(entries)
        self._counters.bytes -= size
        worst = self._worst
        settled_twice = 0
        for _, receipt in entries:
            receipt.pending -= 1
            if receipt.pending > 0:
                continue
            if worst and receipt in worst:
                self._finish(receipt, *worst.pop(receipt))
                continue
            # As _finish, in place: this is the hot path.
            if receipt.outcome is not None:
                settled_twice += 1  # raised when the others of this batch are settled
                continue
            receipt.outcome = _ACCEPTED
            on_settled = receipt.on_settled
            if on_settled is not None:
                try:
                    on_settled(receipt)
                except Exception:
                    _log.exception("on_settled_failed")
        self._released()
        if settled_twice:
            raise RuntimeError("a receipt was settled twice")

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        """The sink will never take this record: it becomes a dead letter."""
        record, receipt = entry
        self._counters.records -= 1
        self._counters.bytes -= len(record.body)
        self._keep_letter(receipt, _letter_of(record, f"{code}: {detail}"))
        self._released()

    def letter_done(self, receipt: Receipt, reason: str, refusal: RefuseReason | None) -> None:
        """A letter is on the disk; or, with `refusal`, cannot be kept."""
        if refusal is None:
            self._part_done(receipt, Outcome.DEAD_LETTERED, reason)
        else:
            self._part_done(receipt, Outcome.REFUSED, refusal)
        self._released()

    # Settling.

    def _keep_letter(self, receipt: Receipt, letter: DeadLetter) -> None:
        refusal = RefuseReason.SINK_FAILED if self._closed else self._dead_letters.put(letter, receipt)
        if refusal is not None:
            self._part_done(receipt, Outcome.REFUSED, refusal)

    def _part_done(self, receipt: Receipt, outcome: Outcome, reason: str) -> None:
        """One of the receipt's pending parts ended; the last one settles it with the worst outcome of all."""
        worst = self._worst.pop(receipt, None)
        if worst is None or _SEVERITY[outcome] > _SEVERITY[worst[0]]:
            worst = (outcome, reason)
        receipt.pending -= 1
        if receipt.pending > 0:
            self._worst[receipt] = worst
        else:
            self._finish(receipt, *worst)

    def _finish(self, receipt: Receipt, outcome: Outcome, reason: str) -> None:
        if receipt.outcome is not None:
            raise RuntimeError("a receipt was settled twice")
        receipt.outcome = outcome
        receipt.reason = str(reason)
        on_settled = receipt.on_settled
        if on_settled is not None:
            try:
                on_settled(receipt)
            except Exception:  # a caller's mistake must not leave the others of a batch unsettled
                _log.exception("on_settled_failed")

    def _released(self) -> None:
        if self._full and self._counters.bytes <= self._low_bytes:
            self._set_full(False)
        if self._changed is not None:
            self._changed.set()

    def _set_full(self, full: bool) -> None:
        self._full = full
        for callback in self._room_callbacks:
            callback(not full)

    def _refuse_rest(self) -> None:
        """Refuses every uplink that is still pending; from here on nothing is taken."""
        self._closed = True
        parts = [receipt for _, receipt in self._sender.take_all()]
        parts += self._dead_letters.take_all()
        self._counters.records = self._counters.bytes = 0
        for receipt in parts:
            self._part_done(receipt, Outcome.REFUSED, RefuseReason.SINK_FAILED)
            if not receipt.pending:
                self._stranded += 1
        if parts:
            _log.error("outbox_refused_pending", uplinks=self._stranded)


def _letter_of(record: Record, detail: str) -> DeadLetter:
    """A buried record as a dead letter; what its JSON says about device and message is repeated in the letter."""
    try:
        body = orjson.loads(record.body)
    except orjson.JSONDecodeError:
        body = None
    known = body if isinstance(body, dict) else {}
    device_id = str(known.get("device_id", record.lane))
    return DeadLetter(
        dead_letter_id=record.record_id,
        reason=DeadLetterReason.BURIED.value,
        stage="sink",
        detail=detail,
        raw=record.body,
        received_ms=record.received_ms,
        product=record.product,
        spec_version=known.get("spec_version", 0),
        device_id=device_id,
        tenant=record.lane.removesuffix(device_id).removesuffix("/"),
        listener="",
        session_id="",
        peer="",
        message=str(known.get("message", "")),
    )
