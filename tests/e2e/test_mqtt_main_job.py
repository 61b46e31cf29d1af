"""The main job over MQTT: devices of both versions, every kind of message, and the whole gateway behind them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiomqtt import ProtocolVersion
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.protocol.mqtt.packets import V5, V311, Disconnect, Puback, Pubcomp, Pubrec, Pubrel, ReasonCode, Will
from gateway.settings.model import DrainSettings
from tests.e2e import mqtt_fleet as fleet
from tests.e2e.process import Command, Serve
from tests.e2e.rig import GUARD_S, Json, RunningGateway, read_json, write_config
from tests.gateway.ingress.mqtt_rig import MqttPeer
from tests.gateway.ingress.rig import open_socket

pytestmark = pytest.mark.e2e


def scripts() -> list[fleet.Script]:
    return [fleet.script(f"dev-{index}", fleet.VERSIONS[index % 2]) for index in range(6)]


def by_device(records: list[Json]) -> dict[str, list[fleet.Heard]]:
    """What each device's records say, in the order of their numbers."""
    found: dict[str, list[fleet.Heard]] = defaultdict(list)
    for record in sorted(records, key=lambda record: int(record["seq"])):
        found[record["device_id"]].append((record["type"], fleet.number_of(record)))
    return found


@pytest.mark.parametrize("ack_on", ["spool", "sink"])
async def test_every_kind_of_message(tmp_path: Path, ack_on: str) -> None:
    played = scripts()
    lora = fleet.network_server()
    said = [say for one in played for say in one.messages] + lora
    letters = sorted(reason for one in played for reason in one.letters)
    async with RunningGateway(tmp_path, fleet.settings(tmp_path, ack_on=ack_on)) as rig:
        address = rig.mqtt_address()
        async with asyncio.TaskGroup() as tasks:
            for one in played:
                tasks.create_task(fleet.play(address, one), name=one.device_id)
        async with fleet.client(address, ProtocolVersion.V311, "lns") as server:
            for say in lora:
                await fleet.publish(server, say)
        await rig.settled(sum(say.is_uplink for say in said))
        await rig.delivered()
        sums = rig.sums()
        duplicates = sum(say.duplicate for say in said)
        assert (sums.dead_lettered, sums.duplicate, sums.refused) == (len(letters), duplicates, 0)
        assert sums.accepted == sum(say.is_uplink for say in said) - len(letters) - duplicates
        assert rig.total("iotlink_mqtt_messages_received_total") == len(said)
        assert rig.total("iotlink_mqtt_connects_total") == len(played) + 1
        assert rig.total("iotlink_mqtt_sessions_connected") == 0
        assert rig.total("iotlink_mqtt_messages_dropped_total") == 0
        assert rig.total("iotlink_devices", presence="online") == len(played)
        assert await rig.stop() == 0

    found = by_device(rig.records())
    assert found.pop("24e124136b502217") == [("telemetry", None)]
    assert found == {one.device_id: one.heard for one in played}
    assert sorted(letter["reason"] for letter in rig.letters()) == letters
    assert {letter["topic"].partition("/")[0] for letter in rig.letters()} == {"iotlink", "devices", "meters"}


async def test_what_was_acknowledged_is_in_the_sink_with_ack_on_sink(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, fleet.settings(tmp_path, ack_on="sink")) as rig:
        for version in fleet.VERSIONS:
            one = fleet.script(f"dev-{version.name}", version, rounds=1)
            async with fleet.client(rig.mqtt_address(), version, one.device_id) as client:
                due = 0
                for say in one.messages:
                    await fleet.publish(client, say)
                    due += sum(what != "dead letter" for what, _ in say.heard)
                    if say.qos:
                        stored = sum(record["device_id"] == one.device_id for record in rig.records())
                        assert stored == due, f"{say.topic} is acknowledged"


async def test_a_last_will_is_a_presence_record_and_a_message_to_others(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, fleet.settings(tmp_path)) as rig:
        async with fleet.client(rig.mqtt_address(), ProtocolVersion.V5, "reader") as reader:
            await reader.subscribe("device/lwt/+", 1)
            peer = MqttPeer(*await open_socket(rig.mqtt_address()))
            await peer.connect("dev-1", V5, will=Will("device/lwt/dev-1", b'{"device_uuid": "dev-1"}', 1))
            peer.writer.transport.abort()
            async with asyncio.timeout(GUARD_S):
                message = await anext(aiter(reader.messages))
            assert (str(message.topic), message.payload) == ("device/lwt/dev-1", b'{"device_uuid": "dev-1"}')
        await rig.settled(1)
        await rig.delivered()
        assert rig.total("iotlink_devices", presence="offline") == 1
    (record,) = rig.records()
    assert (record["type"], record["device_id"], record["data"]["status"]) == ("presence", "dev-1", "offline")
    assert record["data"]["reason"] == "last_will"


# What a 5.0 client is told of a dead letter


async def told(address: tuple[str, int], *messages: tuple[str, bytes, int]) -> list[tuple[int, str]]:
    """Code and reason string of each acknowledgement, as paho gives them."""
    answers: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def on_publish(_client: object, _data: object, _mid: int, reason: Any, properties: Any) -> None:
        answer = (reason.value, getattr(properties, "ReasonString", ""))
        loop.call_soon_threadsafe(answers.put_nowait, answer)

    client = paho.Client(CallbackAPIVersion.VERSION2, "teller", protocol=MQTTProtocolVersion.MQTTv5)
    client.on_publish = on_publish
    await asyncio.to_thread(client.connect, *address)
    client.loop_start()
    found = []
    try:
        for topic, payload, qos in messages:
            client.publish(topic, payload, qos)
            async with asyncio.timeout(GUARD_S):
                found.append(await answers.get())
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
    return found


BAD = [
    ("devices/d/telemetry", b'{"metrics": {"t": 1}}', "unknown_product: "),
    ("devices/d/telemetry", b"{", "bad_document: "),
    ("iotlink/prd/nohub/d/hourly/pub/telemetry/json", b"{}", "bad_topic: type `hourly` in"),
    ("devices/d/telemetry", b'{"productId": "' + b"\\u0000\\u200fx" * 2_000 + b'"}', "unknown_product: "),
    ("devices/d/telemetry", b'{"productId": "\\ud800"}', "bad_document: "),
    ("meters/d/up", bytes.fromhex("a50901004512340007581a"), "truncated: "),
]


async def test_a_dead_letter_is_a_failure_where_it_is_asked_for(tmp_path: Path) -> None:
    settings = fleet.settings(tmp_path, mqtt={"dead_letter_answer": "reason"})
    async with RunningGateway(tmp_path, settings) as rig:
        good = ("devices/d/telemetry", b'{"productId": "generic_json", "metrics": {"t": 1}}', 1)
        answers = await told(rig.mqtt_address(), good, *((topic, payload, 1) for topic, payload, _ in BAD), good)
        assert (answers.pop(0), answers.pop()) == ((0, ""), (0, ""))
        for (code, text), (_, _, words) in zip(answers, BAD, strict=True):
            assert code == 0x99
            assert text.startswith(words), text
            assert text.endswith("; it is kept as a dead letter and need not come again")
            assert text.isprintable()
            assert len(text) < 320
        for qos in (0, 2):
            assert await told(rig.mqtt_address(), (*BAD[0][:2], qos)) == [(0, "")]
        old = fleet.client(rig.mqtt_address(), ProtocolVersion.V311, "old")
        async with old as client:
            await client.publish(BAD[0][0], BAD[0][1], 1)
        assert rig.sums().dead_lettered == len(BAD) + 3


async def test_a_dead_letter_is_a_success_that_says_what_became_of_it(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, fleet.settings(tmp_path)) as rig:
        answers = await told(rig.mqtt_address(), *((topic, payload, 1) for topic, payload, _ in BAD))
        for (code, text), (_, _, words) in zip(answers, BAD, strict=True):
            assert (code, text[: len(words)]) == (0, words)
        assert rig.sums().dead_lettered == len(BAD)


# The process


async def test_it_says_how_it_is(tmp_path: Path) -> None:
    path = write_config(tmp_path, fleet.settings(tmp_path))
    async with Serve(tmp_path, "--config", path) as gateway:
        async with fleet.client(gateway.address("mqtt"), ProtocolVersion.V5, "dev-1") as client:
            await client.publish("devices/dev-1/telemetry", b'{"productId": "generic_json", "metrics": {"n": 1}}', 1)
            await client.publish("devices/dev-1/config", b"kept", 1, retain=True)
            status, text = await gateway.get("/health")
            health = orjson.loads(text)["components"]["mqtt"]
            assert (status, health.pop("since")[-1]) == (200, "Z")
            assert health == {"state": "ok", "last_error": None, "connected": 1, "sessions": 1}
            samples = await gateway.samples()
            assert samples.total("iotlink_mqtt_sessions_connected") == 1
            assert samples.total("iotlink_mqtt_messages_received_total") == 2
            assert samples.total("iotlink_mqtt_retained_messages") == 1
            assert samples.total("iotlink_connections", listener="mqtt") == 1
            assert samples.total("iotlink_uplinks_received_total", product="generic_json", listener="mqtt") == 1
        assert await gateway.terminate() == 0
        assert gateway.stderr == ""
        (line,) = gateway.events("connection_closed")
        assert line | {"listener": "mqtt", "client_id": "dev-1", "reason": "peer_closed"} == line


BURST = 20


async def send_for_ever(address: tuple[str, int], device_id: str, version: int, qos: int) -> int:
    """Publishes n = 1, 2, ... in bursts until the gateway ends; returns the last one that was acknowledged."""
    peer = MqttPeer(*await open_socket(address))
    await peer.connect(device_id, version)
    acknowledged = 0
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            for n in range(acknowledged + 1, acknowledged + 1 + BURST):
                payload = b'{"productId": "generic_json", "metrics": {"n": %d}}' % n
                await peer.publish(f"devices/{device_id}/telemetry", payload, qos, n % 65_535 + 1)
            for _ in range(BURST):
                packet = await peer.packet()
                while isinstance(packet, Pubcomp):
                    packet = await peer.packet()
                if isinstance(packet, Disconnect):
                    assert packet.reason is ReasonCode.SERVER_SHUTTING_DOWN
                    raise EOFError
                assert isinstance(packet, Pubrec if qos == 2 else Puback), packet
                acknowledged += 1
                assert packet.packet_id == acknowledged % 65_535 + 1
                if qos == 2:
                    peer.say(Pubrel(packet.packet_id))
    peer.writer.transport.abort()
    return acknowledged


async def test_sigterm_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = write_config(tmp_path, fleet.settings(tmp_path))
    async with Serve(tmp_path, "--config", path) as gateway:
        kinds = [(version, qos) for version in (V311, V5) for qos in (1, 2)] * 2
        async with asyncio.TaskGroup() as tasks:
            devices = {
                f"dev-{index}": tasks.create_task(send_for_ever(gateway.address("mqtt"), f"dev-{index}", *kind))
                for index, kind in enumerate(kinds)
            }
            await gateway.until_sample(lambda samples: samples.total("iotlink_mqtt_messages_received_total") > 2_000)
            gateway.send_signal(signal.SIGTERM)
            assert await gateway.ended() == 0
        assert gateway.log[-1] | {"event": "stopped", "refused": 0, "cut": 0} == gateway.log[-1]
        assert gateway.log[-1]["seconds"] < DrainSettings().limit_s
        assert gateway.events("draining")[0]["connections"] == len(devices)
        assert Counter(line["reason"] for line in gateway.events("connection_closed")) == {"shutdown": len(devices)}
    numbers: dict[str, list[int]] = defaultdict(list)
    for record in read_json(tmp_path / "data" / "records"):
        numbers[record["device_id"]].append(record["metrics"]["n"])
    for device_id, device in devices.items():
        acknowledged, stored = device.result(), len(numbers[device_id])
        assert acknowledged > BURST
        assert numbers[device_id] == list(range(1, stored + 1))  # in order, each once
        assert acknowledged <= stored <= acknowledged + BURST


async def test_a_port_that_is_taken_says_which_setting_to_change(tmp_path: Path) -> None:
    """As where another broker runs on the machine."""
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        settings = fleet.settings(tmp_path, {"name": "a", "port": 0}, {"name": "b", "port": port})
        command = Command(tmp_path, ["serve", "--config", write_config(tmp_path, settings)])
        assert await command.run() == 1
    assert f"mqtt listener b: cannot listen on 127.0.0.1:{port}: " in command.stderr
    assert command.stderr.rstrip().endswith("or change `mqtt.listeners.1.port`")
    assert "Traceback" not in command.stderr
    assert command.events("started") == []


async def test_a_host_that_is_none_says_so(tmp_path: Path) -> None:
    listener = {"name": "a", "port": 0, "host": "192.0.2.1", "plaintext": True}
    settings = fleet.settings(tmp_path, listener, auth={"devices": "open"})
    command = Command(tmp_path, ["serve", "--config", write_config(tmp_path, settings)])
    assert await command.run() == 1
    assert command.stderr.rstrip().endswith(": change `mqtt.listeners.0.host`")
    assert command.events("started") == []
