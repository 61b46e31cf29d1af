from __future__ import annotations

from pathlib import Path

import pytest

from decoders.catalog import Catalog
from loadtest.fleet.runner import run
from tests.loadtest.fleet.runs import small


@pytest.mark.e2e
async def test_slow_and_broken_devices_harm_nobody(tmp_path: Path, proven: Catalog) -> None:
    faulty = {"dribbling": 4, "deaf": 3, "broken": 6, "pause_s": 0.05}
    outcome = await run(small(fleet={"faulty": faulty, "idle": 0}), proven, tmp_path)
    assert outcome.holds, (outcome.problems, outcome.balance)
    counts = outcome.counts
    for face in ("tcp", "mqtt", "rest"):
        assert counts[face]["acknowledged"] == counts[face]["sent"] > 0
        assert counts[face]["lost_connections"] == 0
    assert counts["dribbling"]["acknowledged"] == counts["dribbling"]["sent"] > 0
    assert counts["deaf"]["sent"] > 0
    assert counts["deaf"]["acknowledged"] == 0
    assert counts["broken"]["connected"] > 6  # they come back and go on
