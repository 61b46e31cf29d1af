"""One sink's way through the spool: out of memory while it keeps up, else from the disk; in order always."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery.feed import Feed
from gateway.delivery.lanes import Entry
from gateway.delivery.sender import EntryOwner
from gateway.delivery.spool.spool import Put, Spool, SpoolReader, Stored
from gateway.domain.errors import RefuseReason
from gateway.domain.record import Record
from gateway.observe.metrics import SpoolCounters

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import RecordFactory

GUARD_S = 30.0


class HandSender:
    """Holds what a feed puts until the test delivers it. Takes one key for all lanes that begin alike."""

    def __init__(self) -> None:
        self.waiting: list[Entry] = []
        self.most_bytes = 0

    def put(self, entries: Sequence[Entry], size: int) -> None:
        assert size == sum(len(record.body) for record, _ in entries)
        self.waiting += entries
        self.most_bytes = max(self.most_bytes, sum(len(record.body) for record, _ in self.waiting))

    def depth(self, lane: str) -> int:
        return sum(record.lane == lane for record, _ in self.waiting)

    async def run(self, owner: EntryOwner) -> None:
        await asyncio.Event().wait()


class Bench:
    """A spool, one feed, and hands instead of a sender. Records whose type is `other` go to another sink."""

    def __init__(self, spool: Spool, feed_options: dict[str, Any]) -> None:
        self.spool = spool
        self.sender = HandSender()
        self.feed = Feed("main", spool, spool.cursor("main"), self.sender, self, **feed_options)
        self.owed: list[str] = []  # in the order of acceptance
        self.sent: list[str] = []  # in the order in which the sink got them
        self.buried: list[Entry] = []
        self._committed = asyncio.Event()

    # The owner of the spool, and of the feed.

    def committed(self, batch: Sequence[Put]) -> None:
        self.feed.committed(batch)
        self._committed.set()

    def not_committed(self, batch: Sequence[Put], reason: RefuseReason) -> None:
        raise AssertionError(reason)

    def delivered(self, feed: Feed, entries: Sequence[Entry]) -> None:
        assert feed is self.feed

    def bury(self, feed: Feed, entry: Entry, detail: str) -> None:
        self.buried.append(entry)

    def progressed(self, feed: Feed) -> None:
        self.spool.release(feed.cursor.low)

    # What a test does.

    async def put(self, *records: Record) -> None:
        """Until they are durable."""
        self._committed.clear()
        targets = [("other",) if record.type == "other" else ("main", "other") for record in records]
        assert self.spool.put(Put(records, targets, (), None)) is None
        self.owed += [record.record_id for record, names in zip(records, targets, strict=True) if "main" in names]
        async with asyncio.timeout(GUARD_S):
            await self._committed.wait()

    def deliver(self, *lanes: str) -> int:
        """The sink takes all that waits of these lanes (default: all). Returns how many."""
        taken = [entry for entry in self.sender.waiting if not lanes or entry[0].lane in lanes]
        self.sender.waiting = [entry for entry in self.sender.waiting if entry not in taken]
        self.sent += [record.record_id for record, _ in taken]
        if taken:
            self.feed.delivered(taken, sum(len(record.body) for record, _ in taken))
        return len(taken)

    async def deliver_all(self) -> None:
        async with asyncio.timeout(GUARD_S):
            while not self.feed.done:
                self.deliver()
                await asyncio.sleep(0)

    async def settle(self) -> None:
        """Gives the feed turns until it has read what it wants to read."""
        for _ in range(3):
            await self.spool._file_thread.call(lambda: None)
            await asyncio.sleep(0)


def in_order(names: Sequence[str]) -> bool:
    """Whether the records of each lane (`lane#n`) rise."""
    last: dict[str, int] = {}
    for name in names:
        lane, _, number = name.partition("#")
        if int(number) <= last.get(lane, 0):
            return False
        last[lane] = int(number)
    return True


@contextlib.asynccontextmanager
async def bench(folder: Path, **feed_options: Any) -> AsyncIterator[Bench]:
    spool = Spool(
        folder, SpoolCounters(), max_bytes=50_000_000, segment_bytes=100_000, commit_interval_max_ms=0, keepers={}
    )
    await spool.start()
    made = Bench(spool, feed_options)
    tasks = [asyncio.create_task(spool.run(made)), asyncio.create_task(made.feed.run())]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await spool.close()


async def test_a_sink_that_keeps_up_gets_records_out_of_memory(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path) as b:
        await b.settle()
        await b.put(make_record("a"), make_record("b"))
        assert [record.record_id for record, _ in b.sender.waiting] == ["a#1", "b#1"]
        assert b.feed.used_bytes > 0
        assert (b.feed.backlog, b.feed.done) == (2, False)
        b.deliver()
        assert (b.feed.backlog, b.feed.used_bytes, b.feed.done) == (0, 0, True)
        assert b.feed.oldest_ms() is None


async def test_what_is_owed_to_others_counts_as_done(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path) as b:
        await b.settle()
        other = make_record("a")
        other.type = "other"
        await b.put(other)
        assert b.feed.done
        await b.put(make_record("a"))
        assert b.deliver() == 1
        assert b.feed.done


async def test_beyond_its_window_the_feed_reads_from_the_disk(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path, window_bytes=2_000_000) as b:
        for n in range(120):
            await b.put(*(make_record(f"d{(n + i) % 7}", size=5_000) for i in range(10)))
        assert b.feed.used_bytes <= 2_000_000
        assert b.feed.backlog == 1_200
        assert b.feed.oldest_ms() == 1_772_323_200_000
        await b.deliver_all()
        assert b.sender.most_bytes <= 2_000_000
        assert b.sent == b.owed
        await b.put(make_record("d1"))
        assert len(b.sender.waiting) == 1  # live again


async def test_a_feed_goes_live_again_while_more_and_more_comes(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path, window_bytes=4_000_000) as b:
        await b.settle()
        read, reads = b.feed._read, 0

        async def read_while_more_comes(reader: SpoolReader) -> list[Stored]:
            nonlocal reads
            reads += 1
            found = await read(reader)
            await b.put(*(make_record(f"d{i % 7}", size=5_000) for i in range(3)))
            return found

        for _ in range(100):
            await b.put(*(make_record(f"d{i % 7}", size=5_000) for i in range(10)))
        b.feed._read = read_while_more_comes  # type: ignore[method-assign]
        await b.deliver_all()
        assert b.sent == b.owed
        assert 0 < reads < 20
        assert b.sender.most_bytes <= 4_000_000


async def test_after_a_restart_only_what_was_not_delivered_comes(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path) as b:
        await b.put(*(make_record(f"d{i % 3}") for i in range(30)))
        await b.settle()
        assert b.deliver("d0", "d2") == 20
    async with bench(tmp_path) as again:
        again.owed = b.owed
        await again.settle()
        assert {record.lane for record, _ in again.sender.waiting} == {"d1"}
        await again.deliver_all()
        assert again.sent == [name for name in b.owed if name.startswith("d1")]


async def test_a_slow_lane_does_not_fill_the_window(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path, window_bytes=1_500_000, lane_records=20) as b:
        await b.settle()
        for _ in range(200):  # 5 MB of a lane that the sink does not take
            await b.put(*(make_record("slow", size=5_000) for _ in range(5)), make_record("quick", size=5_000))
            b.deliver("quick")
            await asyncio.sleep(0)
        async with asyncio.timeout(GUARD_S):
            while sum(name.startswith("quick") for name in b.sent) < 200:
                b.deliver("quick")
                await asyncio.sleep(0)
        assert b.feed.used_bytes <= 1_500_000
        assert b.feed.cursor.low <= 6
        await b.deliver_all()
        assert in_order(b.sent)
        assert sorted(b.sent) == sorted(b.owed)


async def test_a_buried_record_is_owed_until_it_is_kept_elsewhere(tmp_path: Path, make_record: RecordFactory) -> None:
    async with bench(tmp_path) as b:
        await b.settle()
        await b.put(make_record("a"), make_record("a"))
        first, second = b.sender.waiting
        b.sender.waiting.clear()
        b.feed.bury(first, "validation", "never")
        b.feed.delivered([second], len(second[0].body))
        assert (b.feed.cursor.low, b.feed.done) == (1, False)
        assert b.buried == [first]
        assert b.feed.used_bytes == len(first[0].body), "it is in memory until then"
        b.feed.buried(first)
        assert b.feed.done
        assert b.feed.used_bytes == 0


async def test_what_cannot_be_buried_fills_the_window_and_no_more(tmp_path: Path, make_record: RecordFactory) -> None:
    """A sink refuses every record, and the dead letters are full."""
    async with bench(tmp_path, window_bytes=1_500_000) as b:
        for _ in range(100):
            await b.put(*(make_record("a", size=10_000) for _ in range(5)))
            waiting, b.sender.waiting = b.sender.waiting, []
            for entry in waiting:
                b.feed.bury(entry, "validation", "never")
            await b.settle()
        assert len(b.buried) <= 150
        while not b.feed.done:  # the letters have room again
            for entry in b.buried:
                b.feed.buried(entry)
            b.buried.clear()
            await b.settle()
            b.buried, b.sender.waiting = b.sender.waiting, []


async def test_lanes_that_are_stuck_do_not_starve_one_that_was_slow_for_a_while(
    tmp_path: Path, make_record: RecordFactory
) -> None:
    """Those that are stuck hold half of the window."""
    async with bench(tmp_path, window_bytes=1_500_000, lane_records=20) as b:
        await b.settle()
        for n in range(150):
            await b.put(make_record(f"stuck{n % 7}", size=5_000))
        for _ in range(40):
            await b.put(make_record("slow", size=5_000))
        assert b.sender.depth("slow") == 20
        async with asyncio.timeout(GUARD_S):
            while sum(name.startswith("slow") for name in b.sent) < 40:
                b.deliver("slow")
                await asyncio.sleep(0)
        assert b.feed.used_bytes == 150 * 5_000
        await b.deliver_all()
        assert in_order(b.sent)


async def test_a_pass_for_one_slow_lane_does_not_read_up_to_another(
    tmp_path: Path, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = SpoolReader.read

    async def counted(self: SpoolReader, max_bytes: int) -> list[Stored]:
        nonlocal reads
        reads += 1
        return await read(self, max_bytes)

    monkeypatch.setattr(SpoolReader, "read", counted)
    async with bench(tmp_path, window_bytes=1_500_000, lane_records=20) as b:
        await b.settle()
        for _ in range(300):
            await b.put(make_record("slow", size=5_000), *(make_record("quick", size=5_000) for _ in range(5)))
            b.deliver("quick")
        for _ in range(40):
            await b.put(make_record("stuck", size=5_000))
        async with asyncio.timeout(GUARD_S):
            while sum(name.startswith("quick") for name in b.sent) < 1_500:
                b.deliver("quick")
                await asyncio.sleep(0)
        await b.settle()
        assert b.sender.depth("stuck") >= 20
        reads = 0
        b.deliver("slow")
        for _ in range(20):
            await b.settle()
        assert b.sender.depth("slow") >= 20
        assert reads <= 4, "10 MB lie between the two lanes"
        await b.deliver_all()
        assert in_order(b.sent)


async def test_a_disk_that_cannot_be_read_is_tried_again(
    tmp_path: Path, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.delivery.feed._READ_AGAIN_S", 0.0)
    async with bench(tmp_path) as b:
        await b.put(*(make_record("a") for _ in range(5)))
    calls = 0
    read = Spool.reader

    def failing(self: Spool, *arguments: Any) -> Any:
        reader = read(self, *arguments)
        good = reader.read

        async def sometimes(max_bytes: int) -> Any:
            nonlocal calls
            calls += 1
            if calls <= 3:
                raise OSError(5, "Input/output error")
            return await good(max_bytes)

        monkeypatch.setattr(reader, "read", sometimes)
        return reader

    monkeypatch.setattr(Spool, "reader", failing)
    async with bench(tmp_path) as again:
        async with asyncio.timeout(GUARD_S):
            while len(again.sender.waiting) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert calls >= 4


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from("abcx"), min_size=1, max_size=12)),
        st.tuples(st.just("deliver"), st.lists(st.sampled_from("abc"), max_size=2)),
        st.tuples(st.just("turns"), st.integers(1, 30)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(ACTIONS)
def test_whatever_happens_every_lane_is_whole_and_in_order(actions: list[tuple[str, Any]]) -> None:
    """Records of 40 kB: a window of 1.1 MB takes few of them. `x` is owed to another sink."""
    numbers: dict[str, int] = {}

    def record(lane: str) -> Record:
        n = numbers[lane] = numbers.get(lane, 0) + 1
        return Record(f"{lane}#{n}", "other" if lane == "x" else "telemetry", "p", lane, bytes(40_000), n)

    async def play(folder: Path) -> None:
        owed: list[str] = []
        first_sent: list[str] = []
        rest = list(actions)
        while True:
            async with bench(folder, window_bytes=1_100_000, lane_records=3) as b:
                while rest:
                    action, argument = rest.pop(0)
                    if action == "put":
                        await b.put(*map(record, argument))
                    elif action == "deliver":
                        b.deliver(*argument)
                    elif action == "turns":
                        for _ in range(argument):
                            await asyncio.sleep(0)
                    else:
                        break
                    assert b.feed.used_bytes <= 1_100_000 + 1024 * 1024
                else:
                    await b.deliver_all()
                owed += b.owed
                first_sent += [name for name in b.sent if name not in first_sent]
                ended = b.feed.done and not rest
            if ended:
                break
        assert in_order(first_sent)
        assert sorted(first_sent) == sorted(owed)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "spool"))
