"""The measured processes: their numbers from /proc, their records, and mosquitto beside the gateway."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gateway.settings.load import load_settings
from loadtest.faults.processes import RunFailed
from loadtest.mqtt.loads import Load, run
from loadtest.mqtt.servers import (
    Gateway,
    Lines,
    Mosquitto,
    SomeBroker,
    cpu_s,
    find_mosquitto,
    gateway_settings,
    rss_kib,
    servers,
)


def test_lines_are_counted_once_and_only_whole(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "records")
    assert lines.count() == 0
    folder = tmp_path / "records" / "2026" / "01"
    folder.mkdir(parents=True)
    (folder / "a.ndjson").write_bytes(b"1\n2\n3")
    assert lines.count() == 2
    with (folder / "a.ndjson").open("ab") as file:
        file.write(b"3\n4\n")
    (folder / "b.ndjson").write_bytes(b"5\n")
    (folder / "c.tmp").write_bytes(b"6\n")
    assert lines.count() == 5
    assert lines.count() == 5


async def test_more_records_than_messages_are_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "records"
    folder.mkdir(parents=True)
    (folder / "a.ndjson").write_bytes(b"1\n2\n")
    gateway = Gateway(tmp_path)
    await gateway.kept(2)
    with pytest.raises(RunFailed, match="2 records of 1 messages"):
        await gateway.kept(1)


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
