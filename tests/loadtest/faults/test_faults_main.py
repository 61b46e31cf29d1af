"""The table, and what the command refuses and lists."""

from __future__ import annotations

import sys

import pytest

from loadtest.faults.__main__ import head, main, row
from loadtest.faults.balance import Balance
from loadtest.faults.rig import Result
from loadtest.faults.scenarios import SCENARIOS


def test_a_row_has_the_columns_of_the_head() -> None:
    result = Result("kill9", "plain", Balance(sent=9, acknowledged=8, repeated=2), 61.4, 131_072, "a note")
    assert row(result) == "| kill9 | plain | 9 | 8 | 0 | 0 | 0 | 2 | 0 | 61 | 128 | a note |"
    assert head().splitlines()[0].count("|") == row(result).count("|")


@pytest.mark.parametrize(
    ("balance", "problems", "holds"),
    [
        (Balance(repeated=5, resent=5, expected=5), [], True),
        (Balance(lost=1), [], False),
        (Balance(disordered=1), [], False),
        (Balance(misnamed=1), [], False),
        (Balance(), ["the gateway did not start"], False),
    ],
)
def test_repeats_are_no_failure(balance: Balance, problems: list[str], holds: bool) -> None:
    assert Result("x", "plain", balance, 1.0, 1, problems=problems).holds is holds


def test_the_list_says_what_each_scenario_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["faults", "--list"])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == SCENARIOS.keys()
