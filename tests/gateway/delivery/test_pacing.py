"""Groups and the map of shards, with a clock of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery import pacing as module
from gateway.delivery.pacing import BYTES_PER_S, RECORDS_PER_S, Group, Pacing, ShardRange
from gateway.domain.errors import SinkError

GUARD_S = 30.0


def by_number(key: str) -> int:
    return int(key)


def test_a_group_gives_a_second_s_worth_and_then_its_rate() -> None:
    group = Group(RECORDS_PER_S, BYTES_PER_S)
    group.refill(1000.0)
    sent = 0
    while group.is_open(1000.0):
        group.charge(1)
        sent += 1
    assert sent == RECORDS_PER_S
    assert group.opens_at() == pytest.approx(1000 + 1 / RECORDS_PER_S)
    group.refill(1000.1)
    assert group.records == pytest.approx(RECORDS_PER_S / 10)


def test_bytes_leave_debts() -> None:
    group = Group(RECORDS_PER_S, BYTES_PER_S)
    group.refill(0.0)
    group.charge(int(BYTES_PER_S * 3))
    assert not group.is_open(0.0)
    assert group.opens_at() == pytest.approx(2, abs=0.01)
    group.refill(1.0)
    assert not group.is_open(1.0)
    group.refill(2.01)
    assert group.is_open(2.01)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 2_000_000)), max_size=200))
def test_over_any_time_no_more_than_rate_and_burst(steps: list[tuple[float, int]]) -> None:
    group = Group(RECORDS_PER_S, BYTES_PER_S)
    now, sent, last = 0.0, 0, 0
    for pause, size in steps:
        now += pause
        group.refill(now)
        if group.is_open(now):
            group.charge(size)
            sent, last = sent + size, size
        else:
            assert group.opens_at() > now
        assert sent - last <= BYTES_PER_S * (1 + now) + 1


def test_without_a_map_all_is_one_group_without_limits() -> None:
    pacing = Pacing(by_number)
    group = pacing.group("1")
    assert group is pacing.group("2")
    for _ in range(10_000):
        group.charge(10_000_000)
    assert group.is_open(0.0)
    assert group.opens_at() == 0.0


def test_keys_belong_to_the_shard_that_holds_their_hash() -> None:
    pacing = Pacing(by_number)
    pacing.learn([ShardRange("b", 9), ShardRange("a", 4), ShardRange("c", 14)])
    a, b, c = (pacing.group(key) for key in ("0", "5", "10"))
    assert len({a, b, c}) == 3
    assert [pacing.group(str(key)) for key in range(16)] == [a] * 5 + [b] * 5 + [c] * 6


def test_a_reshard_makes_new_groups_and_keeps_the_others() -> None:
    pacing = Pacing(by_number)
    pacing.learn([ShardRange("a", 4), ShardRange("b", 9)])
    a, b = pacing.group("0"), pacing.group("5")
    generation = pacing.generation
    pacing.learn([ShardRange("b", 9), ShardRange("a", 4)])
    assert pacing.generation == generation
    a.not_before = 99.0
    pacing.learn([ShardRange("a", 4), ShardRange("c", 7), ShardRange("d", 9)])
    assert pacing.generation == generation + 1
    assert pacing.group("0") is a
    assert b not in (pacing.group("5"), pacing.group("8"))
    assert pacing.group("5") is not pacing.group("8")


def test_few_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KEYS", 10)
    pacing = Pacing(by_number)
    pacing.learn([ShardRange("a", 999), ShardRange("b", 2000)])
    for key in range(1000):
        assert pacing.group(str(key)) is pacing.group("0")
    assert len(pacing._by_key) <= 10


class Stream:
    """Counts how often its shards were listed; the next answer may be an error."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: SinkError | None = None
        self.shards = [ShardRange("a", 9)]
        self._changed = asyncio.Event()

    async def list_shards(self) -> Sequence[ShardRange]:
        self.asked += 1
        self._changed.set()
        if self.error is not None:
            raise self.error
        return self.shards

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while self.asked < count:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def stream() -> Stream:
    return Stream()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_map_is_read_again_when_something_speaks_against_it(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REFRESH_WHEN_STALE_S", 0)
    pacing = Pacing(by_number, stream.list_shards)
    task = asyncio.create_task(pacing.run())
    await stream.wait(1)
    await settle()
    pacing.stored_in({"a"})
    await settle()
    assert stream.asked == 1
    stream.shards = [ShardRange("b", 4), ShardRange("c", 9)]
    pacing.stored_in({"a", "b"})
    await stream.wait(2)
    await settle()
    assert pacing.group("0") is not pacing.group("9")
    pacing.stale()
    await stream.wait(3)
    task.cancel()


async def test_it_is_read_again_after_some_time_but_not_too_often(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REFRESH_WHEN_STALE_S", 0.001)
    monkeypatch.setattr(module, "_REFRESH_S", 0.002)
    task = asyncio.create_task(Pacing(by_number, stream.list_shards).run())
    await stream.wait(3)
    monkeypatch.setattr(module, "_REFRESH_WHEN_STALE_S", 3600)
    pacing = Pacing(by_number, stream.list_shards)
    task.cancel()
    await asyncio.wait((task,))
    asked = stream.asked
    task = asyncio.create_task(pacing.run())
    await stream.wait(asked + 1)
    pacing.stale()
    await settle()
    assert stream.asked == asked + 1
    task.cancel()


async def test_a_stream_that_does_not_say_is_one_group(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_REFRESH_WHEN_STALE_S", 0)
    stream.error = SinkError("not authorized to perform kinesis:ListShards", code="access_denied")
    pacing = Pacing(by_number, stream.list_shards)
    task = asyncio.create_task(pacing.run())
    for count in (1, 2):
        await stream.wait(count)
        await settle()
        assert pacing.group("0") is pacing.group("9")
        pacing.stale()
    task.cancel()
    await asyncio.wait((task,))
    assert capsys.readouterr().out.count("shard_map_unknown") == 1


async def test_without_a_stream_there_is_nothing_to_keep() -> None:
    await Pacing().run()
