"""Any requests, commits, refusals and kills: nothing is there twice, and what was answered as accepted is there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.domain.receipt import Outcome
from gateway.domain.state import State
from gateway.ingress.rest.answers import Answer, BatchAnswer
from gateway.ingress.rest.idempotency import Claim, IdempotencyKeys, IdempotencyLimits
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.observe.problems import Problem

NOW_MS = 1_772_323_200_000
KEYS = st.sampled_from(["k1", "k2"])
BODIES = st.sampled_from([b"a" * 16, b"b" * 16])
ITEMS = 4
SEGMENT_PUTS = 3

Item = tuple[str, bytes, int]
"""Key, body and index."""


@dataclass
class Waiting:
    """Put into the spool and not committed."""

    item: Item
    record_id: str
    state: State
    receipt: ItemReceipt


@dataclass
class Request:
    key: str
    body: bytes
    claim: Claim
    batch: BatchAnswer = field(default_factory=lambda: BatchAnswer(ITEMS))
    open: int = 0

    def settled(self, receipt: ItemReceipt) -> None:
        self.open -= 1
        self.batch.settled(receipt)
        self.claim.settled(receipt)


class Batches(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.keys = IdempotencyKeys(IdempotencyLimits())
        self.durable: list[tuple[Item, str]] = []  # records on the disk, and their ids
        self.segment: list[bytes] = []  # payloads of the newest segment: a snapshot, and what came since
        self.segment_puts = 0
        self.waiting: list[Waiting] = []
        self.requests: list[Request] = []  # under way, not answered
        self.late: list[Request] = []  # answered, with receipts that are not settled
        self.promised: dict[Item, str] = {}  # answered as accepted
        self.sent = 0

    # The client.

    @rule(key=KEYS, body=BODIES)
    def send(self, key: str, body: bytes) -> None:
        self.sent += 1
        base = f"019ca6b1-dc00-7000-8000-{self.sent:04x}ffffffff"
        under_way = [one for one in (*self.requests, *self.late) if one.key == key]
        known = {item[1] for item, _ in self.durable if item[0] == key}
        found: Claim | Answer | Problem
        try:
            found = self.keys.begin("client", key, body, base, NOW_MS)
        except Problem as problem:
            found = problem
        if isinstance(found, Problem):
            of_now = {one.body for one in under_way}
            assert found.status == (409 if body in of_now else 422)
            assert of_now | known, "a new key is taken"
            return
        assert not under_way
        if isinstance(found, Answer):
            assert self.kept(key, body) == set(range(ITEMS))
            return
        request = Request(key, body, found)
        self.requests.append(request)
        for index in range(ITEMS):
            record_id = f"{found.uplink_id(index)}-0"
            if found.is_kept(index):
                assert ((key, body, index), record_id) in self.durable
                request.batch.keep(index, record_id)
                continue
            request.batch.expect(index, record_id)
            request.open += 1
            receipt = ItemReceipt(lambda _: None, index, 0)
            self.waiting.append(Waiting((key, body, index), record_id, found.state(index), receipt))
            receipt.on_settled = lambda receipt, request=request: request.settled(receipt)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """All are settled, or it is the deadline."""
        request = self.requests.pop(data.draw(st.integers(0, len(self.requests) - 1)))
        with request.claim:
            self.note(request)
            if request.batch.final:
                request.claim.answered(request.batch.answer())
        if request.open:
            self.late.append(request)

    @precondition(lambda self: self.requests)
    @rule()
    def fail(self) -> None:
        """The handler breaks off: the client hears nothing."""
        request = self.requests.pop(0)
        with request.claim:
            pass
        if request.open:
            self.late.append(request)

    def note(self, request: Request) -> None:
        for index, status in enumerate(request.batch._statuses):
            if status == "accepted":
                item = (request.key, request.body, index)
                record_id = request.batch._record_ids[index]
                assert self.promised.setdefault(item, record_id) == record_id

    # The spool.

    @precondition(lambda self: self.waiting)
    @rule(count=st.integers(1, 5), is_reported=st.booleans())
    def commit(self, count: int, is_reported: bool) -> None:
        """Not reported: the process is killed right behind the commit."""
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        if self.segment_puts >= SEGMENT_PUTS:
            self.segment, self.segment_puts = list(self.keys.snapshot()), 0
        for put in batch:
            self.durable.append((put.item, put.record_id))
            self.segment.append(put.state.payload)
            self.segment_puts += 1
        if is_reported:
            self.settle(batch, Outcome.ACCEPTED)
        else:
            self.kill()

    @precondition(lambda self: self.waiting)
    @rule(count=st.integers(1, 5))
    def refuse(self, count: int) -> None:
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        self.settle(batch, Outcome.REFUSED)

    def settle(self, batch: list[Waiting], outcome: Outcome) -> None:
        for put in batch:
            put.receipt.outcome = outcome
            put.receipt.reason = "outbox_full" if outcome is Outcome.REFUSED else ""
            assert put.receipt.on_settled is not None
            put.receipt.on_settled(put.receipt)
        self.late = [request for request in self.late if request.open]

    @rule()
    def kill(self) -> None:
        self.waiting.clear()
        self.requests.clear()
        self.late.clear()
        self.keys = IdempotencyKeys(IdempotencyLimits())
        for payload in self.segment:
            self.keys.restore(payload)

    def kept(self, key: str, body: bytes) -> set[int]:
        return {item[2] for item, _ in self.durable if item[:2] == (key, body)}

    # What always holds.

    @invariant()
    def nothing_is_there_twice(self) -> None:
        assert max(Counter(item for item, _ in self.durable).values(), default=0) <= 1
        assert max(Counter(record_id for _, record_id in self.durable).values(), default=0) <= 1

    @invariant()
    def a_key_stands_for_one_request(self) -> None:
        assert len({(item[0], item[1]) for item, _ in self.durable}) <= 2

    @invariant()
    def what_was_promised_is_there(self) -> None:
        assert self.promised.items() <= set(self.durable)

    @invariant()
    def bytes_are_counted(self) -> None:
        assert self.keys.bytes == sum(entry.size for entry in self.keys._entries.values())

    def teardown(self) -> None:
        """A client that sends again until all is accepted gets there."""
        self.settle(self.waiting, Outcome.REFUSED)
        self.waiting = []
        while self.requests:
            self.fail()
        for key in ("k1", "k2"):
            bodies = {item[1] for item, _ in self.durable if item[0] == key} or {b"a" * 16}
            for body in bodies:
                self.send(key, body)
        while self.waiting:
            self.commit(5, True)
        assert len(self.durable) == 2 * ITEMS
        self.nothing_is_there_twice()


TestBatches = Batches.TestCase
TestBatches.settings = settings(max_examples=300, stateful_step_count=40)
