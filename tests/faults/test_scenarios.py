"""Each scenario of `python -m loadtest.faults`, short: real processes, and the sums at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.faults.rig import Plan
from loadtest.faults.scenarios import SCENARIOS, run

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(400)]

PACKINGS = {
    "errors": "aggregated",
    "everything": "aggregated",
    "kill9": "aggregated",
    "lost_answers": "plain",
    "partial": "plain",
    "reshard": "aggregated",
    "shuffle": "ndjson",
    "throttled": "ndjson",
}
"""Of those that the harness runs with several."""


@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_nothing_acknowledged_is_lost_and_the_order_stays(name: str, tmp_path: Path) -> None:
    plan = Plan(tmp_path, PACKINGS.get(name, "plain"), seconds=1.5, rounds=10, devices=30)
    result = await run(name, plan)
    balance = result.balance
    assert result.problems == []
    assert (balance.lost, balance.disordered, balance.misnamed) == (0, 0, 0), balance.examples
    assert balance.sent == balance.acknowledged > 0
    assert balance.arrived == balance.acknowledged - balance.expected
