"""The measured processes: their numbers from /proc, and mosquitto beside the gateway."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gateway.settings.load import load_settings
from loadtest.faults.processes import RunFailed
from loadtest.mqtt.loads import Load, run
from loadtest.mqtt.servers import (
    Mosquitto,
    SomeBroker,
    cpu_s,
    find_mosquitto,
    gateway_settings,
    rss_kib,
    servers,
)


def test_cpu_and_memory_of_a_process() -> None:
    before = cpu_s(os.getpid())
    ends = time.process_time() + 0.05
    while time.process_time() < ends:
        pass
    assert 0.02 < cpu_s(os.getpid()) - before < 1
    assert 1_000 < rss_kib(os.getpid()) < 10_000_000


def test_the_settings_are_those_of_a_gateway(tmp_path: Path) -> None:
    settings = load_settings(None, gateway_settings(tmp_path, "gateway.id=gw-1"), {}).settings
    assert [(one.host, one.port) for one in settings.mqtt.listeners] == [("127.0.0.1", 0)]
    assert settings.tcp.listeners == []
    assert (settings.gateway.id, settings.ack_on) == ("gw-1", "spool")
    assert {sink.type for sink in settings.sinks.values()} == {"file"}


async def test_a_given_broker_is_measured_alone(tmp_path: Path) -> None:
    [broker] = servers(tmp_path, ("127.0.0.1", 1883), 7)
    assert isinstance(broker, SomeBroker)
    async with broker.run() as running:
        assert (running.address, running.pid) == (("127.0.0.1", 1883), 7)
        await running.kept(10)


def test_the_gateway_comes_first(tmp_path: Path) -> None:
    names = [server.name for server in servers(tmp_path)]
    assert names == ["gateway", "mosquitto"][: 1 + (find_mosquitto() is not None)]


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed here")
@pytest.mark.parametrize("load", [Load("a", "", 1, 3, segment=5, window=5), Load("b", "", 2, 2)], ids=["qos1", "qos2"])
async def test_mosquitto_answers_all(tmp_path: Path, load: Load) -> None:
    program = find_mosquitto()
    assert program is not None
    async with Mosquitto(tmp_path, program).run() as server:
        played = await run(server.address, load, 300)
        assert len(played.waited_ms) == 300
        assert rss_kib(server.pid) > 0
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_mosquitto_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="ends at once"):
        async with Mosquitto(tmp_path, "false").run():
            pass
