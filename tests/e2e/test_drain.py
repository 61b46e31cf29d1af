"""The end of a gateway step by step, as its log tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.e2e import fleet
from tests.e2e.rig import GUARD_S, RunningGateway, config

pytestmark = pytest.mark.e2e


async def is_ready(rig: RunningGateway) -> bool:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
        session.get(f"http://127.0.0.1:{rig.gateway.observe.port}/readyz") as answer,
    ):
        return answer.status == 200


def steps(logs: list[Any]) -> list[str]:
    return [entry["step"] for entry in logs if entry["event"] == "drain_step"]


async def test_during_the_notice_it_is_not_ready_and_takes_all_that_comes(tmp_path: Path) -> None:
    first, second, *_ = (script for script in fleet.scripts(2) if script.product == "concox_gt06")
    settings = config(tmp_path, drain={"notice_s": 3000, "limit_s": 3600})
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, settings) as rig:
            before = await rig.connect()
            await before.ask(first.login.frame, first.login.answer)
            assert await is_ready(rig)
            rig.gateway.stop()
            while await is_ready(rig):
                pass
            after = await rig.connect()
            await after.ask(second.login.frame, second.login.answer)
            for client, script in ((before, first), (after, second)):
                for exchange in script.exchanges:
                    await client.ask(exchange.frame, exchange.answer)
            assert steps(logs) == []
            assert await rig.stop() == 0  # asked a second time: it waits no longer
    assert steps(logs) == ["notice", "sessions", "delivery"]
    ended = [entry for entry in logs if entry["event"] == "drain_step"]
    (stopped,) = (entry for entry in logs if entry["event"] == "stopped")
    assert sum(entry["seconds"] for entry in ended) <= stopped["seconds"] + 0.002
    assert (stopped["refused"], stopped["cut"]) == (0, 0)


async def test_without_a_notice_there_is_none(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, config(tmp_path)):
            pass
    assert steps(logs) == ["sessions", "delivery"]
