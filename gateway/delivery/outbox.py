"""The only door out: takes records and dead letters, and settles receipts when these are durable.

Place in the walk: behind the pipeline, before the spool. Rule 1 lives here: every receipt that comes in is settled
exactly once, whatever happens to sinks, disk or the process's end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from typing import Any

import orjson
import structlog

from gateway.delivery.dead_letter_lines import encode_letter
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.distribution import Distribution
from gateway.delivery.lanes import Entry
from gateway.delivery.routes import Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks import SMALL_RECORD_BYTES
from gateway.delivery.spool.spool import Put, Spool
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import DeviceKey
from gateway.domain.errors import DeadLetterReason, RefuseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import DEAD_LETTER, Record
from gateway.domain.state import State

_ACCEPTED = Outcome.ACCEPTED
_SEVERITY = {Outcome.ACCEPTED: 0, Outcome.DUPLICATE: 0, Outcome.DEAD_LETTERED: 1, Outcome.REFUSED: 2}

_log = structlog.get_logger("gateway.delivery.outbox")


class AckOn(StrEnum):
    """When an uplink counts as kept."""

    SPOOL = "spool"  # its records are synced to the spool's disk
    SINK = "sink"  # every sink that is owed one of them has it


class Outbox:
    """Implements `gateway.domain.ports.AckingOutbox`.

    An uplink with several records, or several sinks, ends with the worst of their outcomes.
    letters_also_to: a sink that gets a copy of every dead letter, as a record.
    `start`, then `run` in a task for as long as the gateway lives, then `drain`.
    """

    def __init__(
        self,
        spool: Spool,
        senders: dict[str, Sender],
        routes: Routes,
        dead_letters: DeadLetterStore,
        *,
        ack_on: AckOn = AckOn.SPOOL,
        letters_also_to: str | None = None,
    ) -> None:
        self.spool = spool
        self.distribution = Distribution(spool, senders, routes, self)
        self._senders = senders
        self._routes = routes
        self._dead_letters = dead_letters
        self._ack_on_sink = ack_on is AckOn.SINK
        self._copy_to = (letters_also_to,) if letters_also_to else ()
        self._uncommitted = 0  # puts that the spool has taken and not reported
        self._owed: dict[int, tuple[Receipt, int]] = {}  # by sequence: who waits for so many sinks (ack_on sink)
        self._worst: dict[Receipt, tuple[Outcome, str]] = {}  # of uplinks that lost a part but wait for others
        self._followers: dict[Receipt, list[Receipt]] = {}  # second copies of an uplink that is not settled
        self._after_letters: dict[Receipt, Sequence[State]] = {}  # of letters that are not durable yet
        self._closed = False
        self._stranded = 0  # receipts that had to be refused at the end
        self._running = False
        self._also: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()  # something ended; looked at while draining

    # The port.

    @property
    def acks_on_sink(self) -> bool:
        return self._ack_on_sink

    def has_room(self) -> bool:
        return not self._closed and self.spool.has_room()

    def on_room(self, callback: Callable[[bool], None]) -> None:
        self.spool.on_room(callback)

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        _check_new(receipt)
        if not records and not states:
            self._finish(receipt, _ACCEPTED, "")
            return
        sinks = self._routes.sinks
        targets = []
        for record in records:
            targets.append(sinks(record))
        self._spool_records(receipt, records, targets, states)

    def put_dead_letter(self, receipt: Receipt, letter: DeadLetter, states: Sequence[State] = ()) -> None:
        _check_new(receipt)
        receipt.detail = letter.detail
        copied = bool(self._copy_to) and not self._closed and letter.record_type != DEAD_LETTER
        receipt.pending = 1 + copied
        refusal = RefuseReason.SINK_FAILED if self._closed else self._dead_letters.put(letter, receipt)
        if refusal is not None:
            self._part_done(receipt, Outcome.REFUSED, refusal)
        elif states:
            self._after_letters[receipt] = states
        if not copied:
            return
        try:
            refusal = self.spool.put(Put([_copy_of(letter)], [self._copy_to], (), receipt))
        except ValueError as error:  # a name that is no text, as only a letter can hold it
            _log.warning("dead_letter_not_copied", dead_letter_id=letter.dead_letter_id, detail=str(error))
            self._part_done(receipt, _ACCEPTED, "")
            return
        if refusal is None:
            self._uncommitted += 1
        else:
            self._part_done(receipt, Outcome.REFUSED, refusal)

    def put_again(self, receipt: Receipt, record: Record, sink: str) -> None:
        _check_new(receipt)
        targets = (sink,) if sink in self._senders else self._routes.sinks(record)
        self._spool_records(receipt, [record], [targets], ())

    def follow(self, receipt: Receipt, first: Receipt) -> None:
        _check_new(receipt)
        if first.outcome is not None:
            self._finish_as(receipt, first)
        else:
            receipt.pending = 1
            self._followers.setdefault(first, []).append(receipt)

    def settle(self, receipt: Receipt, outcome: Outcome, reason: str = "") -> None:
        if receipt.pending:
            raise RuntimeError("a receipt whose records are in the outbox was settled from outside")
        self._finish(receipt, outcome, reason)

    def _spool_records(
        self,
        receipt: Receipt,
        records: Sequence[Record],
        targets: Sequence[tuple[str, ...]],
        states: Sequence[State],
    ) -> None:
        refusal: RefuseReason | None
        if self._closed:
            refusal = RefuseReason.SINK_FAILED
        elif self._too_large(records, targets):
            refusal = RefuseReason.TOO_LARGE
        else:
            refusal = self.spool.put(Put(records, targets, states, receipt))
        if refusal is None:
            receipt.pending = 1
            self._uncommitted += 1
        else:
            self._finish(receipt, Outcome.REFUSED, refusal)

    def _too_large(self, records: Sequence[Record], targets: Sequence[tuple[str, ...]]) -> bool:
        """Whether one of its sinks can never store a record. A sink may learn its limit after the start."""
        for record in records:
            if len(record.body) > SMALL_RECORD_BYTES:
                break
        else:
            return False  # nearly always
        sinks = {name: sender.sink for name, sender in self._senders.items()}
        return any(
            len(record.body) > sinks[name].max_record_bytes
            for record, names in zip(records, targets, strict=True)
            for name in names
        )

    # Its life.

    async def start(self) -> None:
        """Opens spool, sinks and dead letters. OperatorError: they can never work as configured."""
        try:
            await self._dead_letters.start()
            await self.spool.start()
            await self.distribution.start()
        except BaseException:
            await self._close()
            raise

    def also_run(self, name: str, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A task beside the delivery, which lives as long (the adoption of other spools)."""
        self._also.append((name, task))

    async def run(self) -> None:
        """Commits and delivers until `drain` has ended.

        If the spool, a sender or the dead-letter writer dies, every pending receipt is refused and the error is raised
        (in an exception group): nobody waits for what will never come.
        """
        if self._closed:
            return  # it was drained before it had its first turn
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(self.spool.run(self), name="spool"),
                    tasks.create_task(self._dead_letters.run(self), name="dead-letters"),
                    tasks.create_task(self.distribution.run(), name="distribution"),
                    *(tasks.create_task(task(), name=name) for name, task in self._also),
                ]
                await self._ending.wait()
                for worker in workers:
                    worker.cancel()
        finally:
            self._running = False
            self._refuse_rest()
            self._ended.set()
            self._changed.set()

    async def drain(self, timeout_s: float) -> int:
        """Delivers what it can, at most `timeout_s`; refuses uplinks that are not durable by then; closes everything.

        What is in the spool and not delivered stays there for the next start. Returns how many uplinks were refused.
        Callers stop putting first; what comes all the same is taken until the end.
        """
        self.distribution.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._ended.is_set() and self._has_work():
                    self._changed.clear()
                    await self._changed.wait()
        self._ending.set()
        if self._running:
            await self._ended.wait()
        self._refuse_rest()
        left = {feed.name: feed.backlog for feed in self.distribution.feeds if not feed.done}
        if left:
            _log.warning("spool_keeps_backlog", records=left, detail="delivered after the next start")
        await self._close()
        return self._stranded

    async def _close(self) -> None:
        await self.distribution.close()
        await self.spool.close()
        await self._dead_letters.close()

    @property
    def waiting(self) -> int:
        """Receipts that are not settled: they wait for the disk, for a dead letter, for sinks, or for the first copy.
        Counted from where they wait, and so at least as many as uplinks are in flight: one that waits for several
        things counts for each, and some receipts are no uplink's."""
        followers = sum(map(len, self._followers.values()))
        return self._uncommitted + self._dead_letters.pending + len(self._owed) + followers

    def _has_work(self) -> bool:
        return bool(self._uncommitted or self._dead_letters.pending) or not self.distribution.done

    # What the spool reports.

    def committed(self, batch: Sequence[Put]) -> None:
        """These are on the disk, in order of their sequences."""
        self._uncommitted -= len(batch)
        finish, worst = self._finish, self._worst
        on_sink = self._ack_on_sink
        for put in batch:
            ticket: Receipt = put.ticket
            if on_sink if ticket.on_sink is None else ticket.on_sink:
                self._await_sinks(ticket, put)
            elif ticket.pending == 1 and not worst:
                ticket.pending = 0
                finish(ticket, _ACCEPTED, "")
            else:
                self._part_done(ticket, _ACCEPTED, "")
        self.distribution.committed(batch)
        self._changed.set()

    def not_committed(self, batch: Sequence[Put], reason: RefuseReason) -> None:
        """Nothing of these is on the disk, or nobody knows."""
        for put in batch:
            ticket: Receipt = put.ticket
            self._uncommitted -= 1
            self._part_done(ticket, Outcome.REFUSED, reason)
            self._stranded += reason is RefuseReason.SINK_FAILED and not ticket.pending
        self._changed.set()

    def _await_sinks(self, receipt: Receipt, put: Put) -> None:
        if not put.targets:  # states alone
            self._part_done(receipt, _ACCEPTED, "")
            return
        receipt.pending += sum(len(names) for names in put.targets) - 1
        for sequence, names in enumerate(put.targets, put.sequence):
            self._owed[sequence] = (receipt, len(names))

    # What the distribution reports.

    def delivered(self, entries: Sequence[Entry]) -> None:
        """A sink keeps these."""
        if self._owed:
            for _, sequence in entries:
                self._sink_done(sequence, _ACCEPTED, "")
        self._changed.set()

    def bury(self, entry: Entry, sink: str, detail: str, kept: Callable[[bool], None]) -> None:
        record, sequence = entry

        def settled(was_kept: bool) -> None:
            if was_kept:
                self._sink_done(sequence, Outcome.DEAD_LETTERED, DeadLetterReason.BURIED)
            kept(was_kept)

        self.keep_buried(record, sink, detail, settled)

    def keep_buried(self, record: Record, sink: str, detail: str, kept: Callable[[bool], None]) -> None:
        """Keeps a record that a sink will never take as a dead letter. `kept` is called once: is it durable there?"""
        self.put_dead_letter(Receipt(lambda receipt: kept(receipt.kept)), _letter_of(record, sink, detail))

    def _sink_done(self, sequence: int, outcome: Outcome, reason: str) -> None:
        owed = self._owed.get(sequence)
        if owed is None:
            return  # of an earlier run, or settled when it was spooled
        receipt, sinks = owed
        if sinks > 1:
            self._owed[sequence] = (receipt, sinks - 1)
        else:
            del self._owed[sequence]
        self._part_done(receipt, outcome, reason)

    # What the dead letters report.

    def letter_done(self, receipt: Receipt, reason: str, refusal: RefuseReason | None) -> None:
        """A letter is on the disk; or, with `refusal`, cannot be kept."""
        states = self._after_letters.pop(receipt, ()) if self._after_letters else ()
        if refusal is not None:
            self._part_done(receipt, Outcome.REFUSED, refusal)
        elif not states:
            self._part_done(receipt, Outcome.DEAD_LETTERED, reason)
        else:
            # Not before: states that outlive a crash without their letter would have its second copy for known.
            receipt.pending += 1
            self._part_done(receipt, Outcome.DEAD_LETTERED, reason)
            refusal = self.spool.put(Put((), (), states, receipt))
            if refusal is None:
                self._uncommitted += 1
            else:
                self._part_done(receipt, Outcome.REFUSED, refusal)
        self._changed.set()

    # Settling.

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
        receipt.reason = reason
        on_settled = receipt.on_settled
        if on_settled is not None:
            try:
                on_settled(receipt)
            except Exception:  # a caller's mistake must not leave the others of a batch unsettled
                _log.exception("on_settled_failed")
        if self._followers:
            for follower in self._followers.pop(receipt, ()):
                follower.pending = 0
                self._finish_as(follower, receipt)

    def _finish_as(self, receipt: Receipt, first: Receipt) -> None:
        """Settles a second copy like the first one."""
        assert first.outcome is not None
        if first.kept:
            self._finish(receipt, Outcome.DUPLICATE, "")
        else:
            self._finish(receipt, first.outcome, first.reason)

    def _refuse_rest(self) -> None:
        """Refuses every uplink that is still pending; from here on nothing is taken."""
        if self._closed:
            return
        self._closed = True
        self.spool.refuse_rest(self)
        receipts = self._dead_letters.take_all()
        self._after_letters.clear()
        receipts += [receipt for receipt, sinks in self._owed.values() for _ in range(sinks)]
        self._owed.clear()
        for receipt in receipts:
            self._part_done(receipt, Outcome.REFUSED, RefuseReason.SINK_FAILED)
            if not receipt.pending:
                self._stranded += 1
        if self._stranded:
            _log.error("outbox_refused_pending", uplinks=self._stranded)


def _check_new(receipt: Receipt) -> None:
    if receipt.pending or receipt.outcome is not None:
        raise RuntimeError("a receipt was put into the outbox twice")


def _copy_of(letter: DeadLetter) -> Record:
    """The letter as a record, for a sink that gets all of them."""
    lane = letter.lane or DeviceKey(letter.tenant, letter.device_id).lane or letter.dead_letter_id
    body = b'{"schema":"iotlink.dead_letter/1",' + encode_letter(letter).strip()[1:]
    return Record(letter.dead_letter_id, DEAD_LETTER, letter.product, lane, body, letter.received_ms)


def _letter_of(record: Record, sink: str, detail: str) -> DeadLetter:
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
        sink=sink,
        lane=record.lane,
        record_type=record.type,
    )
