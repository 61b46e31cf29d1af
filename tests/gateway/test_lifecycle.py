"""Phases go forward, and everyone hears of it."""

from __future__ import annotations

from itertools import count

import pytest

from gateway.lifecycle import Lifecycle, Phase


def test_a_life() -> None:
    clock = count(100.0)
    lifecycle = Lifecycle(lambda: next(clock))
    heard: list[tuple[str, Phase]] = []
    lifecycle.on_change(lambda phase: heard.append(("first", phase)))
    lifecycle.on_change(lambda phase: heard.append(("second", lifecycle.phase)))
    assert (lifecycle.phase, lifecycle.since, lifecycle.accepting) == (Phase.STARTING, 100.0, False)
    lifecycle.move(Phase.RUNNING)
    assert (lifecycle.since, lifecycle.accepting) == (101.0, True)
    lifecycle.move(Phase.RUNNING)
    assert lifecycle.since == 101.0
    lifecycle.move(Phase.DRAINING)
    assert not lifecycle.accepting
    lifecycle.move(Phase.STOPPED)
    assert heard == [(name, phase) for phase in list(Phase)[1:] for name in ("first", "second")]


def test_a_start_that_fails_stops() -> None:
    lifecycle = Lifecycle(lambda: 0.0)
    lifecycle.move(Phase.STOPPED)
    assert lifecycle.phase is Phase.STOPPED


@pytest.mark.parametrize(("now", "earlier"), [(Phase.DRAINING, Phase.RUNNING), (Phase.STOPPED, Phase.STARTING)])
def test_there_is_no_way_back(now: Phase, earlier: Phase) -> None:
    lifecycle = Lifecycle(lambda: 0.0)
    lifecycle.move(now)
    with pytest.raises(ValueError, match=f"the gateway is {now} and cannot go back to {earlier}"):
        lifecycle.move(earlier)
    assert lifecycle.phase is now
