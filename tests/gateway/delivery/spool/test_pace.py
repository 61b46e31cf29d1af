from __future__ import annotations

from gateway.delivery.spool.pace import Pace


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_at(rate: float, max_s: float = 0.005) -> tuple[Clock, Pace]:
    clock = Clock()
    pace = Pace(max_s, clock)
    for _ in range(200):
        wait = pace.pause_s(False) + 0.001
        clock.now += wait
        pace.started(max(1, round(rate * wait)))
    return clock, pace


def test_a_commit_after_a_quiet_time_waits_for_nothing() -> None:
    clock, pace = run_at(20_000)
    clock.now += 1
    assert pace.pause_s(False) == 0


def test_under_load_commits_are_kept_apart_by_the_most_that_is_set() -> None:
    _, pace = run_at(20_000)
    assert 0.0045 < pace.pause_s(False) <= 0.005


def test_at_a_low_rate_nothing_waits() -> None:
    _, pace = run_at(500)
    assert pace.pause_s(False) == 0


def test_a_full_group_goes_at_once() -> None:
    _, pace = run_at(20_000)
    assert pace.pause_s(True) == 0


def test_nothing_waits_when_the_setting_says_so() -> None:
    _, pace = run_at(20_000, max_s=0)
    assert pace.pause_s(False) == 0
