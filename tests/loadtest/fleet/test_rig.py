from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.faults.processes import RunFailed
from loadtest.fleet.rig import Rig
from tests.loadtest.fleet.runs import small

pytestmark = pytest.mark.e2e


async def test_a_rig_says_where_it_is_and_what_it_uses(tmp_path: Path) -> None:
    async with Rig(small(), tmp_path, ["concox_gt06"]) as rig:
        assert set(rig.front) == {"tcp", "mqtt", "rest"}
        assert rig.cpu_s() > 0
        assert rig.rss_kib() > 1_000
        assert (await rig.metrics())["iotlink_uplinks_in_flight"] == 0
        assert await rig.delivered(60.0)
        before, front = rig.cpu_s(), dict(rig.front)
        await rig.restart_all()
        assert rig.front == front
        assert rig.cpu_s() > before
        rig.check_alive()
        await rig.end()
        assert await rig.metrics() == {}
        assert rig.rss_kib() == 0
        assert not rig.problems


async def test_a_gateway_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    async with Rig(small(), tmp_path, ["concox_gt06"]) as rig:
        (process,) = rig.processes
        await process.kill()
        with pytest.raises(RunFailed, match="gw-1 has ended"):
            rig.check_alive()
