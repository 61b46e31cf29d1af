"""A gateway with every face on that was talked to, well and badly, and what it says at /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
from aiomqtt import ProtocolVersion

from tests.e2e import frames, mqtt_fleet
from tests.e2e.rest_client import Caller, item
from tests.e2e.rig import GUARD_S, Json, RunningGateway, listener, until

IMEI = "356000000000001"
PER_ROUND = 4 + 4 + 4
"""Uplinks of one `talk`: over TCP, MQTT and REST."""


def all_faces(folder: Path, **sections: object) -> Json:
    """A configuration with TCP, MQTT and REST, and a source whose broker is not there."""
    settings = mqtt_fleet.settings(folder, **sections)
    settings["tcp"] = {"listeners": [listener(products=["concox_gt06"])]}
    settings["rest"] = {"listeners": [{"name": "rest", "port": 0}]}
    settings["auth"] = {"anonymous_rest": True}
    settings["sources"] = [{"type": "mqtt_broker", "name": "mill", "url": "mqtt://127.0.0.1:1"}]
    return settings


async def talk(rig: RunningGateway, rounds: int = 1) -> None:
    """Over each face, in each round, four messages: good ones, and such as become dead letters, copies and refusals.
    Returns when all are answered."""
    async with asyncio.TaskGroup() as tasks:
        for face in (_talk_tcp, _talk_mqtt, _talk_rest):
            tasks.create_task(face(rig, rounds))


async def _talk_tcp(rig: RunningGateway, rounds: int) -> None:
    """A login, a heartbeat, a message that no spec has; and a message of somebody who did not log in."""
    for number in range(rounds):
        client = await rig.connect()
        await client.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
        beat = frames.gt06_heartbeat(number % 60_000 + 2)
        await client.ask(beat, frames.gt06_answer(beat))
        client.send(frames.gt06(0x99, b"\x01\x02\x03", serial=number % 60_000 + 3))
        client.end()
        await client.read_to_end()
        stranger = await rig.connect()
        stranger.send(frames.gt06_heartbeat(1))  # before a login: refused, the connection ends
        stranger.end()
        await stranger.read_to_end()


async def _talk_mqtt(rig: RunningGateway, rounds: int) -> None:
    async with mqtt_fleet.client(rig.mqtt_address(), ProtocolVersion.V5, "thermo-1") as client:
        for number in range(rounds):
            good = {"productId": "generic_json", "metrics": {"n": number}, "trace_id": f"{number}"}
            for payload in (orjson.dumps(good), orjson.dumps(good), b"{"):
                await client.publish("devices/thermo-1/telemetry", payload, 1)
            await client.publish("devices/thermo-1/telemetry", b'{"metrics": {"n": 1}}', 1)


async def _talk_rest(rig: RunningGateway, rounds: int) -> None:
    async with Caller(rig.rest_url()) as caller:
        for number in range(rounds):
            await caller.post("/v1/telemetry", [item(n=number), item("truck-2", n=number), 5])
            await caller.post("/v1/telemetry", {"n": 3})


@functools.cache
def live_metrics() -> str:
    """/metrics of such a gateway. For tests that have no event loop; it is run once."""

    async def run(folder: Path) -> str:
        async with talked_to(folder) as (_, text):
            return text

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder)))


@contextlib.asynccontextmanager
async def talked_to(folder: Path) -> AsyncIterator[tuple[RunningGateway, str]]:
    """The gateway, and its /metrics once everything is settled and delivered."""
    async with RunningGateway(folder, all_faces(folder)) as rig:
        await talk(rig)
        await rig.settled(PER_ROUND)
        await rig.delivered()
        await until(lambda: rig.total("iotlink_source_problems_total") > 0, "the source has failed")
        yield rig, await scrape(rig)


async def scrape(rig: RunningGateway) -> str:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
        session.get(f"http://127.0.0.1:{rig.gateway.observe.port}/metrics") as answer,
    ):
        assert answer.status == 200
        return await answer.text()
