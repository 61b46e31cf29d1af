"""The queues against a small model: random actions, and what must hold after each."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.delivery.lanes import Entry, FifoQueue, LaneQueue, PendingRecords
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record

LANES = ["a", "b", "c", "d"]


def record(lane: str, n: int, size: int = 4) -> Record:
    return Record(f"{lane}{n}", "telemetry", "p", lane, b"x" * size, n)


def put(queue: PendingRecords, *records: Record) -> None:
    queue.put(records, Receipt(), sum(len(r.body) for r in records))


class LaneQueueModel(RuleBasedStateMachine):
    """Model: what was put, per lane; what is out; what is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = LaneQueue()
        self.accepted: dict[str, list[str]] = {lane: [] for lane in LANES}
        self.gone: dict[str, list[str]] = {lane: [] for lane in LANES}
        self.out: list[Entry] = []
        self.waiting_bytes = 0
        self.count = 0

    @rule(lanes=st.lists(st.sampled_from(LANES), min_size=1, max_size=5), size=st.integers(1, 30))
    def put_uplink(self, lanes: list[str], size: int) -> None:
        records = []
        for lane in lanes:
            self.count += 1
            records.append(record(lane, self.count, size))
            self.accepted[lane].append(records[-1].record_id)
        put(self.queue, *records)
        self.waiting_bytes += size * len(records)

    @rule(max_records=st.integers(1, 6), max_bytes=st.integers(1, 60))
    def take(self, max_records: int, max_bytes: int) -> None:
        was_ready = len(self.queue.ready)
        taken = self.queue.take(max_records, max_bytes)
        assert len(taken) <= max_records
        assert bool(taken) == bool(was_ready)
        size = sum(len(r.body) for r, _ in taken)
        assert len(taken) == 1 or size <= max_bytes
        self.waiting_bytes -= size
        self.out += taken

    @rule(data=st.data())
    def some_come_back(self, data: st.DataObject) -> None:
        """Each entry that is out succeeds, fails, or stays out."""
        fates = data.draw(st.lists(st.sampled_from("sfo"), min_size=len(self.out), max_size=len(self.out)))
        stored = [entry for entry, fate in zip(self.out, fates, strict=True) if fate == "s"]
        failed = [entry for entry, fate in zip(self.out, fates, strict=True) if fate == "f"]
        self.out = [entry for entry, fate in zip(self.out, fates, strict=True) if fate == "o"]
        self.queue.done(stored)
        self.queue.put_back(failed)
        self.waiting_bytes += sum(len(r.body) for r, _ in failed)
        for stored_record, _ in stored:
            self.gone[stored_record.lane].append(stored_record.record_id)

    @invariant()
    def order_of_each_lane_is_kept(self) -> None:
        for lane in LANES:
            assert self.gone[lane] == self.accepted[lane][: len(self.gone[lane])]

    @invariant()
    def at_most_one_of_a_lane_is_out(self) -> None:
        lanes = [r.lane for r, _ in self.out]
        assert len(lanes) == len(set(lanes))

    @invariant()
    def every_free_lane_with_records_is_ready(self) -> None:
        busy = {r.lane for r, _ in self.out}
        left = {lane for lane in LANES if len(self.gone[lane]) < len(self.accepted[lane])}
        assert {r.lane for r, _ in self.queue.ready} == left - busy

    @invariant()
    def bytes_are_those_of_the_waiting(self) -> None:
        assert self.queue.bytes == self.waiting_bytes

    @invariant()
    def a_lane_without_records_is_forgotten(self) -> None:
        left = {lane for lane in LANES if len(self.gone[lane]) < len(self.accepted[lane])}
        assert self.queue._successors.keys() == left

    def teardown(self) -> None:
        """Nothing is lost: what is not gone is either out or comes with take_all."""
        rest = [r.record_id for r, _ in self.out + self.queue.take_all()]
        gone = [record_id for lane in LANES for record_id in self.gone[lane]]
        assert sorted(rest + gone) == sorted(record_id for lane in LANES for record_id in self.accepted[lane])
        assert not self.queue.ready
        assert not self.queue.bytes


class FifoQueueModel(RuleBasedStateMachine):
    """Model: one list; a request is stored whole or comes back whole."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FifoQueue()
        self.accepted: list[str] = []
        self.gone: list[str] = []
        self.out: list[Entry] = []
        self.sizes: dict[str, int] = {}

    @rule(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
    def put_uplink(self, sizes: list[int]) -> None:
        records = [record("a", len(self.accepted) + i, size) for i, size in enumerate(sizes)]
        self.sizes.update({r.record_id: len(r.body) for r in records})
        self.accepted += [r.record_id for r in records]
        put(self.queue, *records)

    @rule(max_records=st.integers(1, 6), max_bytes=st.integers(1, 60))
    def take(self, max_records: int, max_bytes: int) -> None:
        if self.out:
            return
        was_ready = len(self.queue.ready)
        self.out = self.queue.take(max_records, max_bytes)
        assert bool(self.out) == bool(was_ready)
        assert len(self.out) <= max_records
        assert len(self.out) == 1 or sum(len(r.body) for r, _ in self.out) <= max_bytes

    @rule(stored=st.booleans())
    def answer(self, stored: bool) -> None:
        if stored:
            self.queue.done(self.out)
            self.gone += [r.record_id for r, _ in self.out]
        else:
            self.queue.put_back(self.out)
        self.out = []

    @invariant()
    def order_is_kept_and_nothing_is_lost(self) -> None:
        waiting = [r.record_id for r, _ in self.queue.ready]
        assert self.gone + [r.record_id for r, _ in self.out] + waiting == self.accepted
        assert self.queue.bytes == sum(self.sizes[record_id] for record_id in waiting)


TestLaneQueueModel = LaneQueueModel.TestCase
TestFifoQueueModel = FifoQueueModel.TestCase


def test_lanes_take_turns() -> None:
    queue = LaneQueue()
    put(queue, *(record("hot", n) for n in range(3)), record("cold", 0))
    order = []
    while taken := queue.take(1, 100):
        order.append(taken[0][0].record_id)
        queue.done(taken)
    assert order == ["hot0", "cold0", "hot1", "hot2"]


def test_what_came_back_goes_first() -> None:
    queue = LaneQueue()
    put(queue, record("a", 1), record("b", 1))
    first = queue.take(1, 100)
    put(queue, record("a", 2))
    queue.put_back(first)
    assert [r.record_id for r, _ in queue.take(10, 100)] == ["a1", "b1"]


@pytest.mark.parametrize("queue", [FifoQueue(), LaneQueue()])
def test_a_record_larger_than_a_batch_goes_alone(queue: PendingRecords) -> None:
    put(queue, record("a", 1, 500), record("b", 1, 5))
    assert [len(r.body) for r, _ in queue.take(10, 100)] == [500]
    assert [len(r.body) for r, _ in queue.take(10, 100)] == [5]
