from __future__ import annotations

import pytest

from gateway.delivery.spool.pace import Pace

DISK_S = 0.001  # what a commit takes


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A spool whose records come at a steady rate; `commits` of them have been paced."""

    def __init__(self, max_s: float = 0.005) -> None:
        self.clock = Clock()
        self.pace = Pace(max_s, self.clock)
        self.longest_s = 0.0  # pause of the last half

    def at_rate(self, rate: float, commits: int = 200) -> Bench:
        due = self.clock.now
        for number in range(commits):
            self.clock.now = max(self.clock.now, due)
            waiting = int((self.clock.now - due) * rate) + 1
            self._pause(waiting, number > commits // 2)
            records = int((self.clock.now - due) * rate) + 1
            due += records / rate
            self.pace.started(records)
            self.clock.now += DISK_S
        return self

    def of_clients(self, count: int, commits: int = 400) -> int:
        """Each sends its next record as soon as the last one is answered. Returns how many commits had to wait."""
        waited = 0
        for number in range(commits):
            waited += self._pause(count, number > commits // 2) > 0
            self.pace.started(count)
            self.clock.now += DISK_S
        return waited

    def _pause(self, waiting: int, counts: bool) -> float:
        pause = self.pace.pause_s(waiting, False)
        if counts:
            self.longest_s = max(self.longest_s, pause)
        self.clock.now += pause
        return pause


def test_a_commit_after_a_quiet_time_waits_for_nothing() -> None:
    bench = Bench().at_rate(20_000)
    bench.clock.now += 1
    assert bench.pace.pause_s(1, False) == 0


@pytest.mark.parametrize("rate", [5_000, 20_000])
def test_under_load_commits_are_kept_apart_by_the_most_that_is_set(rate: float) -> None:
    bench = Bench().at_rate(rate)
    assert 0.0035 < bench.longest_s <= 0.005 - DISK_S + 1e-9


def test_at_a_middle_rate_commits_wait_less() -> None:
    assert 0 < Bench().at_rate(1_500).longest_s < 0.003


def test_at_a_low_rate_nothing_waits() -> None:
    assert Bench().at_rate(200).longest_s == 0


def test_a_full_group_goes_at_once() -> None:
    bench = Bench().at_rate(20_000)
    assert bench.pace.pause_s(1, True) == 0


def test_nothing_waits_when_the_setting_says_so() -> None:
    assert Bench(max_s=0).at_rate(20_000).longest_s == 0


@pytest.mark.parametrize("clients", [1, 5, 50])
def test_clients_that_wait_for_their_answers_are_not_made_to_wait_longer(clients: int) -> None:
    commits = 400
    assert Bench().of_clients(clients, commits) < commits // 4


def test_pauses_are_tried_again_when_the_load_is_another() -> None:
    bench = Bench()
    bench.of_clients(20)
    bench.at_rate(20_000)
    assert bench.longest_s > 0.0035
