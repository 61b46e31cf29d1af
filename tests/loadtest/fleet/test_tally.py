from __future__ import annotations

from loadtest.fleet.tally import Tally


def test_durations_count_only_from_when_it_is_measured() -> None:
    tally = Tally("tcp")
    tally.answered(1.0, 3.0)
    tally.let_in(1.0, 3.0)
    tally.measured_from = 10.0
    tally.answered(9.0, 12.0)
    tally.answered(10.0, 12.0)
    tally.let_in(11.0, 12.0)
    assert (tally.acknowledged, tally.answers.count, tally.logins.count) == (3, 1, 1)
    assert (tally.connected, tally.open) == (2, 2)
    assert tally.answers.figures()["max"] == 2000
    assert tally.take_second().count == 3
    assert tally.take_second().count == 0


def test_only_so_many_different_errors_are_kept() -> None:
    tally = Tally("tcp")
    for number in range(100):
        tally.note(f"error {number}")
        tally.note("error 1")
    assert len(tally.errors) == 20
    assert tally.errors["error 1"] == 101
