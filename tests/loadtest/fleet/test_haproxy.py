"""Two gateways behind a real haproxy are restarted under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from decoders.catalog import Catalog
from loadtest.faults.processes import RunFailed
from loadtest.fleet import haproxy
from loadtest.fleet.haproxy import Haproxy, Upstream, find_haproxy
from loadtest.fleet.runner import run
from tests.loadtest.fleet.runs import small


@pytest.mark.e2e
@pytest.mark.skipif(find_haproxy() is None, reason="haproxy is not installed")
async def test_a_rolling_restart_loses_nothing_that_was_acknowledged(tmp_path: Path, proven: Catalog) -> None:
    scenario = small(gateway={"count": 2}, events=[{"do": "restart", "at_s": 0.5}])
    outcome = await run(scenario, proven, tmp_path)
    assert outcome.holds, (outcome.problems, outcome.balance)
    assert outcome.balance.sent == outcome.balance.acknowledged == outcome.balance.arrived
    assert [one.what for one in outcome.happened] == ["rolling restart"]
    assert outcome.counts["tcp"]["lost_connections"] >= 30  # each lost its gateway at least once
    assert outcome.resources.growth_mib is None  # other processes


async def test_without_haproxy_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "find_haproxy", lambda: None)
    with pytest.raises(RunFailed, match="haproxy, which is not installed"):
        async with Haproxy(tmp_path, [Upstream("gw-1", {"tcp": 1}, 2)], 10):
            pass
