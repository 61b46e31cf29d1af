from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from decoders.catalog import Catalog
from loadtest.faults.balance import Balance
from loadtest.fleet import ladder
from loadtest.fleet.ladder import Rung, climb, table
from loadtest.fleet.model import Scenario
from loadtest.fleet.outcome import Outcome
from tests.loadtest.fleet.outcomes import PLAIN, histogram, outcome


async def climbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_at: dict[float, int]) -> list[Rung]:
    """slow_at: how often a rate does not hold."""
    left = dict(slow_at)

    async def run(scenario: Scenario, catalog: Any, folder: Path) -> Outcome:
        rate = scenario.load[0].rate
        left[rate] = left.get(rate, 0) - 1
        return outcome(answers={"tcp": histogram(500.0 if left[rate] >= 0 else 5.0)})

    monkeypatch.setattr(ladder, "run", run)
    told: list[Rung] = []
    catalog = cast(Catalog, None)  # nobody looks at it
    rungs = await climb(Scenario.model_validate(PLAIN), catalog, tmp_path, 1000, 500, 100, 6, told.append)
    assert told == rungs
    return rungs


async def test_it_ends_at_the_second_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rungs = await climbed(tmp_path, monkeypatch, {2000.0: 9})
    assert [(rung.rate, rung.held) for rung in rungs] == [(1000, True), (1500, True), (2000, False), (2000, False)]


async def test_one_bad_moment_is_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rungs = await climbed(tmp_path, monkeypatch, {1500.0: 1})
    assert [rung.rate for rung in rungs] == [1000, 1500, 1500, 2000, 2500, 3000]


def test_a_rung_says_why_it_did_not_hold() -> None:
    slow = {"tcp": histogram(500.0)}
    assert Rung(1, 100, outcome()).why == ""
    assert Rung(1, 100, outcome(answers=slow)).why == "answers take too long"
    assert Rung(1, 100, outcome(answers=slow, late=histogram(400))).why == "the generator is too slow for this"
    assert Rung(1, 100, outcome(balance=Balance(lost=1))).why == "the balance does not hold"
    assert Rung(1, 100, outcome(problems=["it ended"])).why == "it ended"


def test_the_table_has_a_row_for_each() -> None:
    lines = table([Rung(1000, 100, outcome()), Rung(2000, 1, outcome())]).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| 1000 | 2.0 | 4.0 |")
    assert lines[2].endswith("| held |")
    assert lines[3].endswith("| answers take too long |")
    assert len({line.count("|") for line in lines}) == 1
