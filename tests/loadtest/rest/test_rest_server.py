from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.faults.processes import RunFailed
from loadtest.rest.loads import LOADS, run
from loadtest.rest.server import RestGateway


@pytest.mark.e2e
async def test_what_was_answered_is_in_the_files(tmp_path: Path) -> None:
    async with RestGateway(tmp_path).run() as gateway:
        await run(gateway.address, gateway.key, LOADS["batches"], 300)
        await gateway.kept(300)
        with pytest.raises(RunFailed, match="300 records of 299 items"):
            await gateway.kept(299)
        assert gateway.cpu_s() > 0
        assert gateway.rss_kib() > 1_000
