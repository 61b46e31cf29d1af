"""A delivery that dies at every call that changes the disk, and one whose record store is filled while the sink is
away."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.faults.outage import outage
from loadtest.faults.steps import every_step

pytestmark = [pytest.mark.fault, pytest.mark.slow]


@pytest.mark.parametrize("power_cut", [False, True], ids=["kill -9", "power cut"])
async def test_a_death_at_any_call_loses_neither_records_nor_states(tmp_path: Path, power_cut: bool) -> None:
    result = await every_step(tmp_path, power_cut=power_cut, puts=40)
    assert result.problems == []
    assert (result.balance.lost, result.balance.disordered) == (0, 0)
    assert result.balance.arrived >= result.balance.acknowledged > 40


async def test_an_outage_is_kept_on_the_disk_and_caught_up_after_a_kill(tmp_path: Path) -> None:
    balance = (await outage(tmp_path / "outage", records=20_000)).balance
    assert (balance.lost, balance.disordered) == (0, 0)
    assert balance.arrived == balance.acknowledged == 20_001
