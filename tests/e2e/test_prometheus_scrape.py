"""A real Prometheus scrapes a gateway with the rules that are shipped; the alert fires when the sink dies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from loadtest.fake_kinesis import FakeKinesis
from tests.deploy.live_gateway import all_faces, talk
from tests.deploy.promtool import RULES, tool
from tests.e2e.rig import GUARD_S, RunningGateway, aws_credentials, kinesis_sink

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

INTERVAL = "500ms"


class Prometheus:
    """Its HTTP API. url: where it is."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def ask(self, path: str, **parameters: str) -> Any:
        async with self._session.get(f"{self.url}/api/v1/{path}", params=parameters) as answer:
            return (await answer.json())["data"]

    async def value(self, expression: str) -> float | None:
        """Of a query with one answer; None while it has none."""
        found = (await self.ask("query", query=expression))["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    async def firing(self) -> dict[str, dict[str, str]]:
        """Labels of the alerts that fire, by name."""
        alerts = (await self.ask("alerts"))["alerts"]
        return {one["labels"]["alertname"]: one["labels"] for one in alerts if one["state"] == "firing"}

    async def until(self, look: Callable[[], Any], what: str) -> None:
        """Polls its API until what `look` awaits is true."""
        try:
            async with asyncio.timeout(GUARD_S):
                while not await look():  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"in {GUARD_S:g} s it did not come to this: {what}") from None


@contextlib.asynccontextmanager
async def prometheus(folder: Path, target: int) -> AsyncIterator[Prometheus]:
    """The shipped rules, in a hurry: every duration that an alert waits for is left out, each rate looks at seconds."""
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    for group in rules["groups"]:
        group["interval"] = INTERVAL
        for rule in group["rules"]:
            rule.pop("for", None)
            for window in ("[5m]", "[10m]", "[15m]"):
                rule["expr"] = rule["expr"].replace(window, "[5s]")
    (folder / "rules.yml").write_text(yaml.safe_dump(rules), "utf-8")
    config = {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "iotlink", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb")
    process = await asyncio.create_subprocess_exec(
        *(tool("prometheus"), *arguments, f"--web.listen-address={address}", "--log.level=warn"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = asyncio.create_task(process.stderr.read())
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session:
            yield await _answering(Prometheus(f"http://{address}", session), process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await said


async def _answering(made: Prometheus, process: asyncio.subprocess.Process) -> Prometheus:
    async def answers() -> bool:
        assert process.returncode is None, "prometheus has ended"
        with contextlib.suppress(aiohttp.ClientError):
            await made.ask("query", query="1")
            return True
        return False

    await made.until(answers, "prometheus answers")
    return made


async def test_it_scrapes_and_tells_when_the_sink_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)
    tool("prometheus")
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry")
        settings = all_faces(tmp_path, sinks=kinesis_sink(kinesis.url))
        settings["sources"] = []
        async with RunningGateway(tmp_path, settings) as rig, prometheus(tmp_path, rig.gateway.observe.port) as seen:

            async def received() -> bool:
                return await seen.value("sum(iotlink_uplinks_received_total)") == rig.sums().received > 0

            async def balanced() -> bool:
                return await seen.value("iotlink:uplinks_unaccounted") == 0

            async def sink_alert_fires() -> bool:
                return (await seen.firing()).get("IotlinkSinkUnhealthy", {}).get("sink") == "main"

            async def sink_alert_is_over() -> bool:
                return "IotlinkSinkUnhealthy" not in await seen.firing()

            await talk(rig)
            await rig.delivered()
            await seen.until(received, "what came has been scraped")
            assert await seen.value('up{job="iotlink"}') == 1
            await seen.until(balanced, "the recording rule says 0")
            assert await seen.value("iotlink_ready") == 1
            assert await sink_alert_is_over()
            await kinesis.set_listening(False)
            await talk(rig)
            await seen.until(sink_alert_fires, "IotlinkSinkUnhealthy fires")
            assert "IotlinkNotReady" not in await seen.firing()
            await kinesis.set_listening(True)
            await seen.until(sink_alert_is_over, "IotlinkSinkUnhealthy is over")
            await rig.delivered()
