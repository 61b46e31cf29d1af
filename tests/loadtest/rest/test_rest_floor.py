from __future__ import annotations

import pytest

from loadtest.rest.floor import FloorProcess
from loadtest.rest.loads import LOADS, run


@pytest.mark.e2e
async def test_each_load_gets_the_answer_that_it_waits_for() -> None:
    async with FloorProcess() as floor:
        for load in LOADS.values():
            played = await run(floor.address, "any", load, 3 * load.batch)
            assert played.records == 3 * load.batch
        assert floor.cpu_s() > 0
