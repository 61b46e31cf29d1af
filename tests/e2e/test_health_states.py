"""/livez, /readyz and /health of a whole gateway while its sink is away, and while its spool is full."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from loadtest.fake_kinesis import FakeKinesis
from tests.deploy.live_gateway import all_faces, talk
from tests.e2e.rest_client import Caller, item
from tests.e2e.rig import GUARD_S, Json, RunningGateway, aws_credentials, kinesis_sink, until

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)


async def page(rig: RunningGateway, path: str) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
        session.get(f"http://127.0.0.1:{rig.gateway.observe.port}{path}") as answer,
    ):
        return answer.status, await answer.json()


async def health(rig: RunningGateway) -> Json:
    status, body = await page(rig, "/health")
    assert status == 200
    return body


async def test_every_part_says_how_it_is(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, all_faces(tmp_path)) as rig:
        await talk(rig)
        await until(lambda: rig.total("iotlink_source_problems_total") > 0, "the source has failed")
        body = await health(rig)
        parts = body["components"]
        assert set(parts) == {"spool", "dead_letters", "sinks", "presence", "tcp", "mqtt", "rest", "sources"}
        for part in parts.values():
            assert {"state", "since", "last_error"} <= part.keys()
        assert (body["status"], body["ready"]) == ("degraded", True)  # for the broker that is not there
        source = parts["sources"]["parts"]["mill"]
        assert (parts["sources"]["state"], source["state"]) == ("degraded", "down")
        assert source["last_error"]["detail"].startswith("unreachable: ")
        assert parts["sinks"]["parts"]["local"]["state"] == "ok"


async def test_a_stream_that_is_away_degrades_and_comes_back(tmp_path: Path) -> None:
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry")
        settings = all_faces(tmp_path, sinks=kinesis_sink(kinesis.url))
        settings["sources"] = []
        async with RunningGateway(tmp_path, settings) as rig:
            await talk(rig)
            await rig.delivered()
            assert (await health(rig))["status"] == "ok"
            await kinesis.set_listening(False)
            await talk(rig)  # everybody is answered all the same
            await until(lambda: not rig.gateway.metrics.sink("main").healthy, "the sink is not healthy")
            body = await health(rig)
            assert (body["status"], body["ready"], body["reasons"]) == ("degraded", True, [])
            sinks = body["components"]["sinks"]
            assert sinks["state"] == "degraded"
            main = sinks["parts"]["main"]
            assert (main["state"], main["backlog_records"] > 0) == ("down", True)
            assert main["last_error"]["detail"].startswith("connection: ")
            assert main["since"] >= main["last_error"]["at"]
            assert (await page(rig, "/livez"))[0] == (await page(rig, "/readyz"))[0] == 200
            await kinesis.set_listening(True)
            await rig.delivered()
            body = await health(rig)
            assert body["status"] == "ok"
            after = body["components"]["sinks"]["parts"]["main"]
            assert (after["state"], after["last_error"]["detail"]) == ("ok", main["last_error"]["detail"])
            assert after["since"] > main["since"]


async def test_a_full_spool_is_not_ready_and_alive(tmp_path: Path) -> None:
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry")
        spool = {"max_bytes": "16MiB", "segment_bytes": "1MiB"}
        settings = all_faces(tmp_path, sinks=kinesis_sink(kinesis.url), spool=spool)
        settings["sources"] = []
        async with RunningGateway(tmp_path, settings) as rig:
            await kinesis.set_listening(False)
            async with Caller(rig.rest_url()) as caller:
                answered = [200]
                while answered[-1] == 200:
                    answered.append((await caller.post("/v1/telemetry", item(text="x" * 500_000))).status)
            assert answered[-1] == 503
            status, ready = await page(rig, "/readyz")
            assert (status, ready["ready"]) == (503, False)
            assert ready["reasons"][0].startswith("spool: full: ")
            body = await health(rig)
            assert (body["status"], body["components"]["spool"]["state"]) == ("down", "down")
            assert body["components"]["spool"]["last_error"]["detail"].startswith("full: ")
            assert (await page(rig, "/livez"))[0] == 200
            await kinesis.set_listening(True)
            await until(lambda: rig.gateway.watch.problem() is None, "there is room again")
            assert (await page(rig, "/readyz"))[0] == 200
            assert (await health(rig))["components"]["spool"]["state"] == "ok"
            await rig.delivered()
