"""Records, receipts and a scripted sink for the tests of the delivery layer."""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import orjson
import pytest

from gateway.delivery.backoff import Backoff
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.feed import Feed
from gateway.delivery.lanes import Entry, FifoQueue, LaneQueue, Parcel, ParcelQueue
from gateway.delivery.outbox import AckOn, Outbox
from gateway.delivery.pacing import Pacing
from gateway.delivery.routes import Route, Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks import EntryFailure, Sink, SinkErrorCode
from gateway.delivery.spool.spool import Spool, StateKeeper
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import StateKind
from gateway.observe.metrics import Metrics

GUARD_S = 30.0
Answer = Sequence[EntryFailure | None] | None


class RecordFactory:
    """Records `{"device_id": lane, "n": n}`, with n rising per lane, padded to `size` bytes if given."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def __call__(self, lane: str = "dev-1", *, size: int = 0, received_ms: int = 1_772_323_200_000) -> Record:
        n = self._next[lane] = self._next.get(lane, 0) + 1
        body = orjson.dumps({"device_id": lane, "n": n})
        if size:
            body += b" " * (size - len(body))
        return Record(f"{lane}#{n}", "telemetry", "example_thermo", lane, body, received_ms)


class Ledger:
    """Makes receipts, and holds that each is settled once."""

    def __init__(self) -> None:
        self.made: list[Receipt] = []
        self.settled: list[Receipt] = []
        self._changed = asyncio.Event()

    def receipt(self) -> Receipt:
        receipt = Receipt(self._on_settled)
        self.made.append(receipt)
        return receipt

    def _on_settled(self, receipt: Receipt) -> None:
        assert receipt.outcome is not None
        assert receipt not in self.settled
        self.settled.append(receipt)
        self._changed.set()

    async def wait(self, count: int | None = None) -> None:
        """Until so many receipts (default: all that were made) are settled."""
        async with asyncio.timeout(GUARD_S):
            while len(self.settled) < (len(self.made) if count is None else count):
                self._changed.clear()
                await self._changed.wait()

    def outcomes(self) -> list[Outcome | None]:
        return [receipt.outcome for receipt in self.made]


class ScriptedSink:
    """Keeps records in memory. Each request first takes the next step of `script`: an exception to raise, or the
    answer to give, one item per parcel (records of parcels answered None are stored). `gate` holds requests back
    while it is clear. `parcels`: per request, the ids of each parcel's records."""

    error_codes: Sequence[SinkErrorCode] = tuple(SinkErrorCode)
    linger_ms = 0.0
    max_requests = 1
    max_batch_records = 500
    max_batch_bytes = 1_000_000
    max_record_bytes = 10_000

    def __init__(self, name: str = "scripted", *, one_per_lane: bool = False) -> None:
        self.name = name
        self.pacing = Pacing()
        self.new_queue: Callable[[], ParcelQueue] = LaneQueue if one_per_lane else FifoQueue
        self.script: deque[Exception | Answer | Callable[[Sequence[Record]], Answer]] = deque()
        self.requests: list[list[Record]] = []
        self.parcels: list[list[list[str]]] = []
        self.stored: list[Record] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False
        self.start_error: Exception | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        if self.start_error is not None:
            raise self.start_error

    async def send(self, parcels: Sequence[Parcel]) -> Answer:
        records = [record for parcel in parcels for record, _ in parcel.entries]
        self.requests.append(records)
        self.parcels.append([[record.record_id for record, _ in parcel.entries] for parcel in parcels])
        self._changed.set()
        await self.gate.wait()
        step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        answer = step(records) if callable(step) else step
        for i, parcel in enumerate(parcels):
            if answer is None or answer[i] is None:
                self.stored += [record for record, _ in parcel.entries]
        return answer

    async def close(self) -> None:
        self.closed = True

    async def wait_requests(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while len(self.requests) < count:
                self._changed.clear()
                await self._changed.wait()


class Sending:
    """A sender in its task; the owner of what is put into it. Marks are the places in `put`."""

    def __init__(self, sender: Sender, metrics: Metrics) -> None:
        self.sender = sender
        self.metrics = metrics
        self.counters = sender.counters
        self.accepted: list[Record] = []
        self.delivered_records: list[Record] = []
        self.buried: list[tuple[Record, str]] = []
        self.task: asyncio.Task[None]
        self._gone: set[int] = set()
        self._changed = asyncio.Event()

    def put(self, *records: Record) -> None:
        entries: list[Entry] = [(record, len(self.accepted) + i) for i, record in enumerate(records)]
        self.accepted += records
        self.sender.put(entries, sum(len(record.body) for record in records))

    def delivered(self, entries: Sequence[Entry], size: int) -> None:
        assert size == sum(len(record.body) for record, _ in entries)
        self._take(entries)
        self.delivered_records += [record for record, _ in entries]

    def bury(self, entry: Entry, code: str, detail: str) -> None:
        self._take([entry])
        self.buried.append((entry[0], code))

    def _take(self, entries: Sequence[Entry]) -> None:
        for record, mark in entries:
            assert self.accepted[mark] is record
            assert mark not in self._gone
            self._gone.add(mark)
        self._changed.set()

    async def wait(self, count: int | None = None) -> None:
        """Until so many records (default: all) are delivered or buried."""
        async with asyncio.timeout(GUARD_S):
            while len(self._gone) < (len(self.accepted) if count is None else count):
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((changed, self.task), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if self.task.done():
                    await self.task

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until it holds; looked at each millisecond, for what nothing reports."""
        async with asyncio.timeout(GUARD_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


SendingFactory = Callable[..., contextlib.AbstractAsyncContextManager[Sending]]


@pytest.fixture
def sending() -> SendingFactory:
    """`async with sending(sink, linger_ms=...) as s`: a sender that runs until the end of the block."""

    @contextlib.asynccontextmanager
    async def make(
        sink: Sink, *, linger_ms: float | None = 0, backoff: Backoff | None = None, always_lingers: bool = False
    ) -> AsyncIterator[Sending]:
        metrics = Metrics()
        sender = Sender(
            sink, metrics, linger_ms=linger_ms, backoff=backoff or Backoff(0.001, 0.01), always_lingers=always_lingers
        )
        made = Sending(sender, metrics)
        try:
            await made.sender.start()
            made.task = asyncio.create_task(made.sender.run(made), name="sender")
            yield made
            if not made.task.done():  # else a test has seen to it
                made.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await made.task
        finally:
            await sink.close()

    return make


class Rig:
    """An outbox in its task, with all that belongs to it. sink: the first of `sinks`."""

    def __init__(self, sinks: Sequence[Sink], outbox: Outbox, letters: DeadLetterStore, metrics: Metrics) -> None:
        self.sink = sinks[0]
        self.outbox = outbox
        self.spool = outbox.spool
        self.letters = letters
        self.metrics = metrics
        self.task: asyncio.Task[None]

    def feed(self, name: str = "scripted") -> Feed:
        (found,) = [feed for feed in self.outbox.distribution.feeds if feed.name == name]
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until it holds; looked at each millisecond, for what nothing reports."""
        async with asyncio.timeout(GUARD_S):
            while not condition():
                await asyncio.sleep(0.001)
                if self.task.done():
                    await self.task

    async def until_delivered(self) -> None:
        await self.until(lambda: not self.outbox._has_work())


RigFactory = Callable[..., contextlib.AbstractAsyncContextManager[Rig]]


@pytest.fixture
def make_record() -> RecordFactory:
    return RecordFactory()


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def fifo_sink() -> ScriptedSink:
    return ScriptedSink()


@pytest.fixture
async def lane_sink() -> ScriptedSink:
    return ScriptedSink(one_per_lane=True)


@pytest.fixture
async def make_sink() -> Callable[[str], ScriptedSink]:
    return ScriptedSink


@pytest.fixture
def rig(tmp_path: Path) -> RigFactory:
    """`async with rig(sink, ...) as r`: drained at the end if it still runs. The files stay for the next rig."""

    @contextlib.asynccontextmanager
    async def make(
        *sinks: Sink,
        routes: Sequence[Route] = (),
        ack_on: AckOn = AckOn.SPOOL,
        letters_also_to: str | None = None,
        linger_ms: float = 0,
        backoff: Backoff | None = None,
        letters_max_bytes: int = 1_000_000,
        max_bytes: int = 100_000_000,
        segment_bytes: int = 1_000_000,
        drain_s: float = GUARD_S,
        directory: Path | None = None,
        keepers: Mapping[StateKind, StateKeeper] = types.MappingProxyType({}),
    ) -> AsyncIterator[Rig]:
        metrics = Metrics()
        senders = {
            sink.name: Sender(sink, metrics, linger_ms=linger_ms, backoff=backoff or Backoff(0.001, 0.01))
            for sink in sinks
        }
        letters = DeadLetterStore(tmp_path / "dead_letters", metrics.dead_letters, max_bytes=letters_max_bytes)
        spool = Spool(
            directory or tmp_path / "spool" / "own",
            metrics.spool,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            commit_interval_max_ms=0,
            keepers=keepers,
        )
        found = Routes(routes or [Route(tuple(senders))])
        outbox = Outbox(spool, senders, found, letters, ack_on=ack_on, letters_also_to=letters_also_to)
        made = Rig(sinks, outbox, letters, metrics)
        await outbox.start()
        made.task = asyncio.create_task(outbox.run(), name="outbox")
        try:
            yield made
        finally:
            if not made.task.done():
                await outbox.drain(drain_s)
                await made.task

    return make


@pytest.fixture
def make_letter() -> Callable[..., DeadLetter]:
    def make(letter_id: str = "letter-1", *, reason: str = "truncated", size: int = 20) -> DeadLetter:
        return DeadLetter(
            dead_letter_id=letter_id,
            reason=reason,
            stage="decode",
            detail="needs 4 more bytes",
            raw=bytes(size),
            received_ms=1_772_323_200_123,
            product="concox_gt06",
            spec_version=2,
            device_id="868120303333333",
            tenant="",
            listener="trackers",
            session_id="s-1",
            peer="192.0.2.7:1234",
            message="location",
            field="latitude",
            offset=11,
        )

    return make


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that lead nowhere, and no other source of settings than these."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no_config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no_credentials"))
