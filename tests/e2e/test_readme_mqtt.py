"""The commands of README.md over MQTT, as they are written there."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from pathlib import Path

import pytest

from tests.e2e.rig import GUARD_S, RunningGateway, config

README = Path(__file__).resolve().parents[2] / "README.md"

pytestmark = pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="needs mosquitto-clients")


async def test_what_the_readme_publishes_becomes_records(tmp_path: Path) -> None:
    lines = [line for line in README.read_text("utf-8").splitlines() if line.startswith("mosquitto_pub ")]
    assert len(lines) == 2
    settings = config(tmp_path, tcp={"listeners": []}, mqtt={"listeners": [{"name": "mqtt", "port": 0}]})
    async with RunningGateway(tmp_path, settings) as rig:
        assert rig.gateway.mqtt is not None
        port = rig.gateway.mqtt.server.listeners[0].addresses[0][1]
        for line in lines:
            process = await asyncio.create_subprocess_exec(
                *shlex.split(line, comments=True), "-p", str(port), stderr=asyncio.subprocess.PIPE
            )
            async with asyncio.timeout(GUARD_S):
                _, errors = await process.communicate()
            assert (process.returncode, errors) == (0, b"")
        await rig.settled(2)
        await rig.delivered()
        assert [(record["device_id"], record["productId"], record["metrics"]) for record in rig.records()] == [
            ("thermo-1", "example_thermo", {"tempC": 21.5, "rpm": 1200}),
            ("thermo-1", "generic_json", {"anything": 1}),
        ]
