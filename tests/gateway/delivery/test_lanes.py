"""The queues against small models: random actions, and what must hold after each."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.delivery import lanes as module
from gateway.delivery.lanes import Entry, FifoQueue, LaneQueue, Parcel, ParcelQueue, StripeQueue
from gateway.delivery.pacing import Pacing, ShardRange
from gateway.delivery.stripes import Stripes
from gateway.domain.record import Record

LANES = ["a", "b", "c", "d", "e", "f"]
STRIPES = Stripes(4)  # with the lanes above, none is empty and two hold more than one


def record(lane: str, n: int, size: int = 4) -> Record:
    return Record(f"{lane}{n}", "telemetry", "p", lane, b"x" * size, n)


def put(queue: ParcelQueue, *records: Record) -> None:
    queue.put([(one, None) for one in records], sum(len(one.body) for one in records))


def take(queue: ParcelQueue, max_records: int = 10, max_bytes: int = 100, pacing: Pacing | None = None) -> list[Parcel]:
    return queue.take(max_records, max_bytes, pacing or Pacing(), 0.0)


def names(parcels: list[Parcel]) -> list[list[str]]:
    return [[one.record_id for one, _ in parcel.entries] for parcel in parcels]


def lane_hash(key: str) -> int:
    return LANES.index(key)


def stripe_hash(key: str) -> int:
    return int(key)


class KeyedQueueModel(RuleBasedStateMachine):
    """Model: what was put, per lane; what is out; what is gone. Two groups, which open and close."""

    def __init__(self) -> None:
        super().__init__()
        self.pacing = Pacing(self.hash_of)
        self.pacing.learn([ShardRange("s1", self.middle), ShardRange("s2", 1 << 128)])
        self.queue = self.new_queue()
        self.now = 1.0
        self.shards = 2
        self.accepted: dict[str, list[str]] = {lane: [] for lane in LANES}
        self.gone: dict[str, list[str]] = {lane: [] for lane in LANES}
        self.out: list[Parcel] = []
        self.again: dict[str, list[Entry]] = {}  # what a parcel that came back held, by key
        self.count = 0

    hash_of = staticmethod(lane_hash)
    middle = 2

    def new_queue(self) -> LaneQueue | StripeQueue:
        return LaneQueue()

    def key_of(self, lane: str) -> str:
        return lane

    @rule(lanes=st.lists(st.sampled_from(LANES), min_size=1, max_size=8), size=st.integers(1, 30))
    def put_uplink(self, lanes: list[str], size: int) -> None:
        records = []
        for lane in lanes:
            self.count += 1
            records.append(record(lane, self.count, size))
            self.accepted[lane].append(records[-1].record_id)
        put(self.queue, *records)

    @rule(max_records=st.integers(1, 6), max_bytes=st.integers(1, 200))
    def take_some(self, max_records: int, max_bytes: int) -> None:
        taken = self.queue.take(max_records, max_bytes, self.pacing, self.now)
        assert len(taken) <= max_records
        assert len(taken) <= 1 or sum(parcel.size for parcel in taken) <= max_bytes
        for parcel in taken:
            assert self.pacing.group(parcel.key).not_before <= self.now
            assert parcel.size == sum(len(one.body) for one, _ in parcel.entries)
            assert parcel.entries
            if parcel.key in self.again:
                assert parcel.entries == self.again.pop(parcel.key)
            assert {self.key_of(one.lane) for one, _ in parcel.entries} == {parcel.key}
        if not taken:  # all that waits, waits for its group
            busy = {parcel.key for parcel in self.out}
            open_ = [g for g in (self.pacing.group(self.key_of(lane)) for lane in LANES) if g.not_before <= self.now]
            for lane in self.waiting():
                key = self.key_of(lane)
                assert key in busy or self.pacing.group(key) not in open_
        self.out += taken

    @rule(data=st.data())
    def some_come_back(self, data: st.DataObject) -> None:
        """Each parcel that is out succeeds, fails, or stays out."""
        fates = data.draw(st.lists(st.sampled_from("sfo"), min_size=len(self.out), max_size=len(self.out)))
        stored = [parcel for parcel, fate in zip(self.out, fates, strict=True) if fate == "s"]
        failed = [parcel for parcel, fate in zip(self.out, fates, strict=True) if fate == "f"]
        self.out = [parcel for parcel, fate in zip(self.out, fates, strict=True) if fate == "o"]
        self.queue.done(stored)
        self.queue.put_back(failed)
        self.again |= {parcel.key: list(parcel.entries) for parcel in failed}
        for parcel in stored:
            for one, _ in parcel.entries:
                self.gone[one.lane].append(one.record_id)

    @rule(shard=st.integers(0, 1), wait=st.integers(0, 3))
    def back_off(self, shard: int, wait: int) -> None:
        self.pacing._by_range[shard].not_before = self.now + wait

    @rule()
    def time_passes(self) -> None:
        self.now += 1

    @rule()
    def reshard(self) -> None:
        self.shards += 2
        ends = (self.middle // 2, 1 << 128)
        self.pacing.learn([ShardRange(f"s{self.shards + i}", end) for i, end in enumerate(ends)])
        self.queue.release()
        assert self.queue.opens_at() is None

    def waiting(self) -> list[str]:
        """Lanes with records that are neither out nor gone."""
        out = [one.lane for parcel in self.out for one, _ in parcel.entries]
        return [lane for lane in LANES if len(self.gone[lane]) + out.count(lane) < len(self.accepted[lane])]

    @invariant()
    def order_of_each_lane_is_kept(self) -> None:
        for lane in LANES:
            assert self.gone[lane] == self.accepted[lane][: len(self.gone[lane])]

    @invariant()
    def at_most_one_of_a_key_is_out(self) -> None:
        keys = [parcel.key for parcel in self.out]
        assert len(keys) == len(set(keys))

    @invariant()
    def depth_counts_what_waits_and_what_is_out(self) -> None:
        for lane in LANES:
            same = [other for other in LANES if self.key_of(other) == self.key_of(lane)]
            expected = sum(len(self.accepted[other]) - len(self.gone[other]) for other in same)
            assert self.queue.depth(lane) == expected

    @invariant()
    def what_waits_is_ready_or_held_for_a_time(self) -> None:
        out = {parcel.key for parcel in self.out}
        free = {self.key_of(lane) for lane in self.waiting()} - out
        ready = {head.key for head in self.queue.ready}
        held = {head.key for line in self.queue._held.values() for head in line}
        assert ready | held == free
        assert not ready & held
        assert (self.queue.opens_at() is not None) == bool(held)

    def teardown(self) -> None:
        """Nothing is lost: what is not gone is either out or comes with take_all."""
        rest = [one.record_id for parcel in self.out for one, _ in parcel.entries]
        rest += [one.record_id for one, _ in self.queue.take_all()]
        gone = [record_id for lane in LANES for record_id in self.gone[lane]]
        assert sorted(rest + gone) == sorted(record_id for lane in LANES for record_id in self.accepted[lane])
        assert not self.queue.ready


class StripeQueueModel(KeyedQueueModel):
    hash_of = staticmethod(stripe_hash)
    middle = 1 << 127

    def new_queue(self) -> StripeQueue:
        return StripeQueue(STRIPES, 100)

    def key_of(self, lane: str) -> str:
        return STRIPES.hash_keys[STRIPES.of(lane)]

    @invariant()
    def parcels_are_no_larger_than_asked_for(self) -> None:
        for parcel in self.out:
            packed = sum(len(one.body) + len(one.lane) + 16 for one, _ in parcel.entries)
            assert len(parcel.entries) == 1 or packed <= 100


class FifoQueueModel(RuleBasedStateMachine):
    """Model: one list; a request is stored whole, or comes back and leaves again as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FifoQueue()
        self.accepted: list[str] = []
        self.gone: list[str] = []
        self.out: list[Parcel] = []
        self.again: list[list[str]] = []

    @rule(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
    def put_uplink(self, sizes: list[int]) -> None:
        records = [record("a", len(self.accepted) + i, size) for i, size in enumerate(sizes)]
        self.accepted += [one.record_id for one in records]
        put(self.queue, *records)

    @rule(max_records=st.integers(1, 6), max_bytes=st.integers(1, 60))
    def take_some(self, max_records: int, max_bytes: int) -> None:
        waits = len(self.accepted) > len(self.gone)
        taken = take(self.queue, max_records, max_bytes)
        if self.out:
            assert not taken
            return
        assert bool(taken) == waits
        if self.again:
            assert names(taken) == self.again
        elif taken:
            (parcel,) = taken
            assert len(parcel.entries) <= max_records
            assert len(parcel.entries) == 1 or parcel.size <= max_bytes
            assert parcel.size == sum(len(one.body) for one, _ in parcel.entries)
        self.out, self.again = taken, []

    @rule(stored=st.booleans())
    def answer(self, stored: bool) -> None:
        if not self.out:
            return
        if stored:
            self.queue.done(self.out)
            self.gone += names(self.out)[0]
        else:
            self.queue.put_back(self.out)
            self.again = names(self.out)
            assert self.queue.opens_at() == 0
        self.out = []

    @invariant()
    def order_is_kept(self) -> None:
        assert self.gone == self.accepted[: len(self.gone)]
        assert self.queue.depth("any") == 0
        assert not (self.out and len(self.queue.ready))

    def teardown(self) -> None:
        rest = [one.record_id for parcel in self.out for one, _ in parcel.entries]
        rest += [one.record_id for one, _ in self.queue.take_all()]
        assert self.gone + rest == self.accepted
        assert not self.queue.bytes


TestLaneQueueModel = KeyedQueueModel.TestCase
TestStripeQueueModel = StripeQueueModel.TestCase
TestFifoQueueModel = FifoQueueModel.TestCase


def test_lanes_take_turns() -> None:
    queue = LaneQueue()
    put(queue, *(record("hot", n) for n in range(3)), record("cold", 0))
    order = []
    while taken := take(queue, 1):
        order += names(taken)
        queue.done(taken)
    assert order == [["hot0"], ["cold0"], ["hot1"], ["hot2"]]


def test_what_came_back_goes_first() -> None:
    queue = LaneQueue()
    put(queue, record("a", 1), record("b", 1))
    first = take(queue, 1)
    put(queue, record("a", 2))
    queue.put_back(first)
    assert names(take(queue)) == [["a1"], ["b1"]]


def test_a_lane_without_records_is_forgotten() -> None:
    queue = LaneQueue()
    put(queue, *(record(f"dev-{n}", n) for n in range(100)))
    queue.done(take(queue, 100, 10_000))
    assert not queue._successors


def test_parcels_of_a_stripe_grow_while_it_is_out() -> None:
    queue = StripeQueue(Stripes(1), 100)
    put(queue, record("a", 1))
    first = take(queue)
    put(queue, *(record("b", n) for n in range(7)))
    assert take(queue) == []
    queue.done(first)
    assert names(take(queue)) == [["b0", "b1", "b2", "b3"]]  # 4 bytes, 1 of the lane and 16


def test_few_lanes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_LANES", 10)
    queue = StripeQueue(Stripes(1), 1000)
    put(queue, *(record(f"dev-{n}", n) for n in range(100)))
    assert len(queue._by_lane) <= 10
    assert queue.depth("any") == 100


@pytest.mark.parametrize("groups", [2, 3])
def test_groups_that_wait_take_turns(groups: int) -> None:
    """All groups have more than a request holds: none is passed over twice in a row."""
    pacing = Pacing(lambda key: int(key[0]))
    pacing.learn([ShardRange(f"s{n}", n) for n in range(groups)])
    queue = LaneQueue()
    put(queue, *(record(f"{group}-{n}", n) for n in range(50) for group in range(groups)))
    for group in range(groups):
        pacing.group(str(group)).not_before = 1.0
    assert queue.take(4, 1000, pacing, 0.0) == []
    assert queue.opens_at() == 1.0
    turns = [{parcel.key[0] for parcel in queue.take(4, 1000, pacing, 2.0)} for _ in range(2 * groups)]
    assert turns == [{str(n)} for n in range(groups)] * 2


@pytest.mark.parametrize("queue", [FifoQueue(), LaneQueue(), StripeQueue(Stripes(2), 50)])
def test_a_record_larger_than_a_batch_goes_alone(queue: ParcelQueue) -> None:
    put(queue, record("a", 1, 500), record("b", 1, 5))
    taken = take(queue)
    assert [parcel.size for parcel in taken] == [500]
    queue.done(taken)
    assert [parcel.size for parcel in take(queue)] == [5]
