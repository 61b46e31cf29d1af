"""A fleet of MQTT devices: messages of every kind under every tree of topics, and what must come of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import orjson
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.decoders.envelopes.documents import chirpstack
from tests.e2e import frames
from tests.e2e.rig import GUARD_S, Json, config

VERSIONS = (ProtocolVersion.V311, ProtocolVersion.V5)

LINES = """\
product: lines
title: Lines
version: 1
transports: [mqtt]
endian: big
messages:
  line:
    csv: true
    fields: [{name: n, type: u32}, {name: h, type: u8}]
"""
LORA_FRAME = bytes.fromhex("0175640367040104686D")

Heard = tuple[str, Any]
"""Type of a record and the number in it, or "dead letter" and its reason."""


@dataclass(slots=True)
class Say:
    """One message, and what must come of it. properties: user properties of 5.0."""

    topic: str
    payload: bytes
    qos: int
    heard: list[Heard]
    properties: list[tuple[str, str]] = field(default_factory=list)
    duplicate: bool = False

    @property
    def is_uplink(self) -> bool:
        return bool(self.heard) or self.duplicate


@dataclass(slots=True)
class Script:
    """One client that sends its messages one after the other. device_id: that all of its records are about."""

    device_id: str
    version: ProtocolVersion
    messages: list[Say]

    @property
    def heard(self) -> list[Heard]:
        return [one for say in self.messages for one in say.heard if one[0] != "dead letter"]

    @property
    def letters(self) -> list[str]:
        return [reason for say in self.messages for what, reason in say.heard if what == "dead letter"]


def settings(folder: Path, *listeners: Json, **sections: Any) -> Json:
    """A gateway that understands the fleet."""
    (folder / "specs" / "lines").mkdir(parents=True, exist_ok=True)
    (folder / "specs" / "lines" / "spec.yaml").write_text(LINES, "utf-8")
    mqtt = {
        "listeners": list(listeners) or [{"name": "mqtt", "port": 0, "max_connections": 200}],
        "topics": [
            {"template": "meters/{device_id}/up", "product": "example_thermo", "format": "bin"},
            {"template": "lines/{device_id}/up", "product": "lines", "format": "csv"},
        ],
    }
    made = config(folder, tcp={"listeners": []}, mqtt=mqtt | sections.pop("mqtt", {}), **sections)
    made["gateway"] |= {"specs_dirs": [str(folder / "specs")], "codec": "construct"}  # nothing to be proven
    return made


def script(device_id: str, version: ProtocolVersion, rounds: int = 2) -> Script:
    """Every kind of message with every QoS, numbered in the order in which they are sent."""
    numbers = itertools.count(1)
    made: list[Say] = []
    for _ in range(rounds):
        for qos in (0, 1, 2):
            made += _round(device_id, qos, numbers)
            if version is ProtocolVersion.V5:
                made += _round_of_5_0(device_id, qos, numbers)
    return Script(device_id, version, made)


def _round(device_id: str, qos: int, numbers: Iterator[int]) -> Iterator[Say]:
    tree = f"iotlink/prd/nohub/{device_id}"

    def say(topic: str, payload: object, *heard: Heard, duplicate: bool = False) -> Say:
        data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        return Say(topic, data, qos, list(heard), duplicate=duplicate)

    def values(n: int, **more: Any) -> Json:
        return {"productId": "generic_json", "metrics": {"n": n}, **more}

    for topic in (f"devices/{device_id}/telemetry", f"{tree}/periodic/pub/telemetry/json"):
        n = next(numbers)
        yield say(topic, values(n), ("telemetry", n))
    n = next(numbers)
    yield say(f"meters/{device_id}/up", frames.thermo_status(n, n), ("telemetry", n))
    n = next(numbers)
    yield say(f"lines/{device_id}/up", b"n,h\n%d,1\n%d,2\n" % (n, n), ("telemetry", n), ("telemetry", n))
    n = next(numbers)
    yield say(f"care/{device_id}/room", {"fields": {"n": n}, "tags": {"floor": "2"}}, ("telemetry", n))
    n = next(numbers)
    yield say(f"{tree}/event/pub/alert_report/json", {"n": n, "level": "high"}, ("alert", n))
    yield say(f"{tree}/event/pub/alert_report/json", b"{", ("dead letter", "bad_document"))
    n = next(numbers)
    yield say(f"{tree}/event/pub/control_result/json", {"n": n}, ("control", n))
    yield say(f"devices/{device_id}/telemetry", {"metrics": {"n": 0}}, ("dead letter", "unknown_product"))
    n = next(numbers)
    yield say(f"devices/{device_id}/response", {"n": n}, ("control", n))
    yield say(f"{tree}/hourly/pub/telemetry/json", values(0), ("dead letter", "bad_topic"))
    n = next(numbers)
    yield say(f"devices/{device_id}/log", {"n": n}, ("log", n))
    yield say(f"meters/{device_id}/up", b"\x01\x02", ("dead letter", "not_a_frame"))
    yield say(f"chat/{device_id}", b"of no interest to the gateway")
    n = next(numbers)
    yield say(f"devices/{device_id}/telemetry", values(n, trace_id=f"{device_id}-{n}"), ("telemetry", n))
    yield say(f"devices/{device_id}/telemetry", values(n, trace_id=f"{device_id}-{n}"), duplicate=True)
    yield say(f"devices/{device_id}/status", {"status": "online"}, ("presence", "online"))


def _round_of_5_0(device_id: str, qos: int, numbers: Iterator[int]) -> Iterator[Say]:
    n = next(numbers)
    said = [("productId", "example_thermo"), ("encoding", "hex")]
    payload = frames.thermo_status(n, n).hex().encode()
    yield Say(f"devices/{device_id}/telemetry", payload, qos, [("telemetry", n)], said)


def network_server() -> list[Say]:
    """ChirpStack, which sends a frame that it has heard twice."""
    document = chirpstack(LORA_FRAME, 85, "milesight_em300_th")
    info = document["deviceInfo"]
    topic = f"application/{info['applicationId']}/device/{info['devEui']}/event/up"
    payload = orjson.dumps(document)
    return [Say(topic, payload, 1, [("telemetry", None)]), Say(topic, payload, 2, [], duplicate=True)]


def number_of(record: Json) -> object:
    """What a record of the fleet says: the number of its message."""
    values: Json = record.get("metrics") or record.get("data") or {}
    return values.get("n", values.get("rpm", values.get("status")))


def client(address: tuple[str, int], version: ProtocolVersion, identifier: str, **more: Any) -> aiomqtt.Client:
    host, port = address
    return aiomqtt.Client(host, port, protocol=version, identifier=identifier, timeout=GUARD_S, **more)


async def publish(through: aiomqtt.Client, say: Say) -> None:
    """Returns when it is acknowledged."""
    properties = None
    if say.properties:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = say.properties
    await through.publish(say.topic, say.payload, say.qos, properties=properties)


async def play(address: tuple[str, int], wanted: Script, **more: Any) -> None:
    async with client(address, wanted.version, wanted.device_id, **more) as opened:
        for say in wanted.messages:
            await publish(opened, say)
