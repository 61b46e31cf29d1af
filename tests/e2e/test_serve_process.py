"""`python -m gateway serve` as a process: how it starts, answers, ends, and what a crash leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from loadtest.fake_kinesis import FakeKinesis
from tests.e2e import frames
from tests.e2e.process import Command, Serve
from tests.e2e.rig import (
    Client,
    Json,
    Samples,
    Sums,
    aws_credentials,
    config,
    kinesis_sink,
    listener,
    read_json,
    until,
    whole_lines,
    write_config,
)

pytestmark = pytest.mark.e2e

IMEI = "359999000000001"


async def test_it_serves_says_how_it_is_and_ends_on_sigterm(tmp_path: Path) -> None:
    settings = config(tmp_path, listener("trackers"), listener("meters", ["example_thermo"]))
    async with Serve(tmp_path, "--config", write_config(tmp_path, settings)) as gateway:
        ports = {gateway.address("trackers")[1], gateway.address("meters")[1], gateway.observe_port}
        assert len(ports) == 3
        assert 0 not in ports

        tracker = await gateway.connect("trackers")
        await tracker.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
        await tracker.ask(frames.gt06_heartbeat(2, 77), frames.gt06(0x13, serial=2))
        meter = await gateway.connect("meters")
        await meter.ask(frames.thermo_login("004512345678"), frames.thermo_answer())

        assert [(await gateway.get(path))[0] for path in ("/livez", "/readyz", "/startupz")] == [200, 200, 200]
        assert (await gateway.get("/nothing"))[0] == 404
        sums = Sums.of(await gateway.samples())
        assert (sums.received, sums.accepted, sums.in_flight) == (3, 3, 0)
        check = Command(tmp_path, ["healthcheck", "--set", f"observe.port={gateway.observe_port}"])
        assert (await check.run(), check.stdout) == (0, ["alive"])

        assert await gateway.terminate() == 0
        assert gateway.stderr == ""
        assert await tracker.read_to_end() == await meter.read_to_end() == b""
        for client in (tracker, meter):
            await client.abort()
        ended = gateway.events("connection_closed")
        assert [line["reason"] for line in ended] == ["shutdown", "shutdown"]
        assert gateway.log[-1] | {"event": "stopped", "refused": 0, "cut": 0} == gateway.log[-1]
        with pytest.raises(ConnectionRefusedError):
            await gateway.connect("trackers")
        check = Command(tmp_path, ["healthcheck", "--set", f"observe.port={gateway.observe_port}"])
        assert await check.run() == 1
        assert "/livez" in check.stderr
    records = read_json(tmp_path / "data" / "records")
    assert [(record["device_id"], record["metrics"]["battery_level"]) for record in records] == [(IMEI, 77)]


async def test_sigterm_settles_what_is_in_flight(tmp_path: Path) -> None:
    """The sink is slow, and the order to end comes when no frame has been answered: all of them still are."""
    devices = [f"35999900000{index:04d}" for index in range(6)]
    heartbeats = [frames.gt06_heartbeat(serial) for serial in (2, 3, 4)]
    answers = b"".join(frames.gt06(0x13, serial=serial) for serial in (2, 3, 4))
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry", shards=2)
        settings = config(tmp_path, sinks=kinesis_sink(kinesis.url), ack_on="sink")
        path = write_config(tmp_path, settings)
        async with Serve(tmp_path, "--config", path, **aws_credentials()) as gateway:
            clients = [await gateway.connect() for _ in devices]
            for client, imei in zip(clients, devices, strict=True):
                await client.ask(frames.gt06_login(imei), frames.gt06(0x01))
            kinesis.faults.delay_s = 0.2
            for client in clients:
                client.send(b"".join(heartbeats))
            await until(lambda: kinesis.counts.offered > 0, "the first records at the sink")
            gateway.send_signal(signal.SIGTERM)
            assert [await client.read_to_end() for client in clients] == [answers] * len(clients)
            for client in clients:
                await client.abort()
            assert await gateway.ended() == 0
            assert gateway.events("draining")[0]["uplinks_in_flight"] > 0
            assert gateway.log[-1] | {"event": "stopped", "refused": 0, "cut": 0} == gateway.log[-1]
        assert sorted(item.partition_key for item in kinesis.records("telemetry")) == sorted(devices * 3)


async def test_a_second_signal_does_not_spoil_the_end(tmp_path: Path) -> None:
    async with Serve(tmp_path, "--config", write_config(tmp_path, config(tmp_path))) as gateway:
        client = await gateway.connect()
        await client.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
        gateway.send_signal(signal.SIGINT)
        gateway.send_signal(signal.SIGINT)
        assert await gateway.ended() == 0
        assert gateway.log[-1]["event"] == "stopped"


# What cannot start


def _broken_spec(folder: Path) -> Json:
    spec = folder / "specs" / "mine" / "spec.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text("product: mine\ntitle: Mine\nversion: 1\ntransports: [tcp]\nendian: middle\n", "utf-8")
    settings = config(folder)
    settings["gateway"]["specs_dirs"] = [str(folder / "specs")]
    return settings


def _broken_devices(folder: Path) -> Json:
    (folder / "devices.yaml").write_text("- id: a\n- id: b\n  colour: red\n", "utf-8")
    settings = config(folder)
    settings["gateway"]["devices_file"] = str(folder / "devices.yaml")
    return settings


def _broken_config(folder: Path) -> Json:
    return config(folder, listener(idle_timeout=5))


def _unknown_product(folder: Path) -> Json:
    return config(folder, listener(products=["concox_gt60"]))


@pytest.mark.parametrize(
    ("prepare", "where", "what"),
    [
        (_broken_spec, "specs/mine/spec.yaml:5:", "middle"),
        (_broken_devices, "devices.yaml:3:", "colour"),
        (_broken_config, "gateway.yaml:", "idle_timeout"),
        (_unknown_product, "gateway.yaml:", "concox_gt06"),
    ],
)
async def test_what_is_wrong_at_the_start_is_named_and_nothing_starts(
    tmp_path: Path, prepare: object, where: str, what: str
) -> None:
    assert callable(prepare)
    path = write_config(tmp_path, prepare(tmp_path))
    command = Command(tmp_path, ["serve", "--config", path])
    assert await command.run() == 2
    assert where in command.stderr
    assert what in command.stderr
    assert "Traceback" not in command.stderr
    assert command.events("listening") == []
    assert not (tmp_path / "data" / "records").exists()


async def test_an_address_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    """The first listener could listen: it does not stay open either, and the exit code is not 0."""
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        settings = config(tmp_path, listener("first"), listener("second", port=port))
        command = Command(tmp_path, ["serve", "--config", write_config(tmp_path, settings)])
        assert await command.run() == 1
    assert f"tcp listener second: cannot listen on 127.0.0.1:{port}" in command.stderr
    assert "Traceback" not in command.stderr
    assert command.events("started") == []


async def test_file_environment_and_set(tmp_path: Path) -> None:
    """`--set` goes before the environment, and that before the file."""
    settings = config(tmp_path)
    settings["gateway"] |= {"id": "by-file", "env": "prd"}
    settings["observe"]["port"] = 1  # nobody may bind it: the environment must win
    path = write_config(tmp_path, settings)
    environment = {
        "IOTLINK_OBSERVE__PORT": "0",
        "IOTLINK_GATEWAY__ENV": "stg",
        "IOTLINK_GATEWAY__ID": "by-environment",
        "IOTLINK_TCP__LISTENERS__0__PRODUCTS": "[example_thermo]",
    }
    arguments = ("--config", path, "--set", "gateway.id=by-set", "--set", "tcp.listeners.0.idle_timeout_s=60")
    async with Serve(tmp_path, *arguments, **environment) as gateway:
        assert gateway.events("started")[0]["gateway_id"] == "by-set"
        meter = await gateway.connect()
        await meter.ask(frames.thermo_login("004512345678"), frames.thermo_answer())
        await meter.ask(frames.thermo_status(1200, 2), frames.thermo_answer(2))
        samples = await gateway.samples()
        assert samples.total("iotlink_uplinks_received_total", product="example_thermo") == 2
        with pytest.raises(AssertionError, match="no sample"):
            samples.total("iotlink_uplinks_received_total", product="concox_gt06")
        assert await gateway.terminate() == 0
    (record,) = read_json(tmp_path / "data" / "records")
    assert (record["gateway_id"], record["env"]) == ("by-set", "stg")


# Crashes

HUBS = [f"00450000{index:04d}" for index in range(4)]
ANSWER_BYTES = len(frames.thermo_answer())


async def send_until_cut(client: Client, first: int) -> int:
    """Sends readings with `rpm` = first, first + 1, ... until the connection breaks; returns how many were answered."""

    async def send() -> None:
        number = first
        with contextlib.suppress(ConnectionError):
            while number < 6000:
                client.send(b"".join(frames.thermo_status(number + i, number + i) for i in range(20)))
                await client.writer.drain()
                number += 20

    sending = asyncio.create_task(send(), name="send")
    answers = await client.read_to_end()
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending
    whole = len(answers) // ANSWER_BYTES
    expected = b"".join(frames.thermo_answer(first + index) for index in range(whole + 1))
    assert expected.startswith(answers)
    return whole


def stored_numbers(records: list[Json], hub: str) -> list[int]:
    return [record["metrics"]["rpm"] for record in records if record["hub_id"] == hub]


async def test_kill_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "records"
    settings = config(tmp_path)
    del settings["gateway"]["id"]  # it is made by the first run, and outlives the crash
    path = write_config(tmp_path, settings)
    answered = dict.fromkeys(HUBS, 0)
    for run in range(2):
        async with Serve(tmp_path, "--config", path) as gateway:
            clients = [await gateway.connect() for _ in HUBS]
            for client, hub in zip(clients, HUBS, strict=True):
                await client.ask(frames.thermo_login(hub), frames.thermo_answer())
            async with asyncio.TaskGroup() as tasks:
                devices = {
                    hub: tasks.create_task(send_until_cut(client, answered[hub]), name=hub)
                    for client, hub in zip(clients, HUBS, strict=True)
                }

                def enough(samples: Samples) -> bool:
                    return samples.total("iotlink_uplinks_settled_total", outcome="accepted") > 400

                await gateway.until_sample(enough)
                gateway.send_signal(signal.SIGKILL)
                assert await gateway.ended() == -signal.SIGKILL
            for hub, device in devices.items():
                answered[hub] += device.result()
        assert sum(answered.values()) > 100 * (run + 1)
        if run == 0:
            tear(newest(folder))
    async with Serve(tmp_path, "--config", path) as gateway:  # delivers what the spool still holds
        assert await gateway.terminate() == 0

    records = first_appearances(read_json(folder))
    assert len({record["epoch"] for record in records}) == 2
    assert len({record["gateway_id"] for record in records}) == 1
    for hub in HUBS:
        numbers = stored_numbers(records, hub)
        assert set(range(answered[hub])) <= set(numbers), f"{hub}: {answered[hub]} answered, {len(numbers)} stored"
        # What was in flight at the first kill was sent again: repeats, and never a gap or a line glued to a torn one.
        for epoch in {record["epoch"] for record in records}:
            numbers = stored_numbers([record for record in records if record["epoch"] == epoch], hub)
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def first_appearances(records: list[Json]) -> list[Json]:
    """Without what was delivered again after a crash: that has the same three numbers, and says the same."""
    found: dict[tuple[str, int, int], Json] = {}
    for record in records:
        key = (record["gateway_id"], record["epoch"], record["seq"])
        assert found.setdefault(key, record) == record
    return list(found.values())


def newest(folder: Path) -> Path:
    return max(folder.rglob("*.ndjson"))


def tear(file: Path) -> None:
    """Leaves the beginning of a line at the end of the file, as a power cut does."""
    lines = len(whole_lines(file.parent))
    with file.open("ab") as opened:
        opened.write(b'{"schema":"iotlink.record/1","record_id":"0')
        os.fsync(opened.fileno())
    assert len(whole_lines(file.parent)) == lines
