"""How late the loop is, and what is done beside it."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.observe.loop_watch import LoopWatch

NAME = "iotlink_event_loop_lag_seconds"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def value(registry: CollectorRegistry, suffix: str) -> float:
    found = registry.get_sample_value(NAME + suffix)
    assert found is not None
    return found


async def test_how_late_a_turn_is() -> None:
    registry, clock = CollectorRegistry(), Clock()
    watch = LoopWatch(registry, clock=clock)
    assert value(registry, "_count") == 0
    watch.start()
    clock.now += 0.75  # a quarter of a second late
    watch.turn()
    clock.now += 0.4  # too early: the loop's clock is that of the start of its turn
    watch.turn()
    watch.stop()
    watch.stop()
    assert value(registry, "_count") == 2
    assert value(registry, "_sum") == 0.25


async def test_the_timer_turns_by_itself() -> None:
    registry, turned = CollectorRegistry(), asyncio.Event()
    watch = LoopWatch(registry, (turned.set,))
    watch.start()
    async with asyncio.timeout(40):
        await turned.wait()
    watch.stop()
    assert value(registry, "_count") >= 2


async def test_a_chore_that_fails_does_not_end_the_others() -> None:
    done: list[int] = []

    def broken() -> None:
        raise RuntimeError("broken")

    watch = LoopWatch(CollectorRegistry(), (broken, lambda: done.append(1)))
    watch.start()
    with capture_logs() as logs:
        for _ in range(4):
            watch.turn()
    watch.stop()
    assert len(done) == 2  # every other turn
    assert [line["event"] for line in logs] == ["chore_failed"] * 2
