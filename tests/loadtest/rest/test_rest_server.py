from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.ends import ENDS
from loadtest.faults.processes import RunFailed
from loadtest.rest.loads import LOADS, run
from loadtest.rest.server import RestGateway


@pytest.mark.e2e
@pytest.mark.parametrize("end", ENDS)
async def test_what_was_accepted_is_there(tmp_path: Path, end: str) -> None:
    async with RestGateway(tmp_path, end).run() as gateway:
        await run(gateway.address, gateway.key, LOADS["batches"], 300)
        await gateway.kept(300)
        with pytest.raises(RunFailed, match="300 records of 299 messages"):
            await gateway.kept(299)
        assert gateway.cpu_s() > 0
        assert gateway.rss_kib() > 1_000
