"""MQTT listeners and access out of the settings: every option arrives, and what cannot be used is placed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from gateway.app.mqtt import MqttFace, make_mqtt
from gateway.app.topics import Topics
from gateway.devices.presence import Presence
from gateway.domain.errors import ConfigError
from gateway.ingress.mqtt import MqttOptions, Transport
from gateway.ingress.mqtt_flow import MqttMemory
from gateway.protocol.mqtt.packets import V5, ReasonCode
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, explain, explain_dead_letters
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, parts_of
from tests.gateway.ingress.mqtt_rig import MqttPeer
from tests.gateway.ingress.rig import open_socket

HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(b"right")


def mqtt(*listeners: Json, auth: Json | None = None, **more: Any) -> Json:
    found = [{"name": f"m{index}", "port": 0, **one} for index, one in enumerate(listeners or ({},))]
    return {"mqtt": {"listeners": found, **more}} | ({"auth": auth} if auth else {})


def made(folder: Path, sections: Json) -> MqttFace:
    parts = parts_of(folder, sections)
    return make_mqtt(parts, Topics(parts, Presence()), MqttMemory())


def options_of(face: MqttFace) -> list[MqttOptions]:
    found = [listener.options for listener in face.server.listeners]
    assert all(isinstance(options, MqttOptions) for options in found)
    return found  # type: ignore[return-value]


async def test_every_option_reaches_the_listener(tmp_path: Path) -> None:
    limits = {"connect_timeout_s": 1.5, "max_packet_bytes": 300, "max_keep_alive_s": 4, "receive_maximum": 5}
    limits |= {"publishes_in_flight": 6, "window": 7}
    first, second = options_of(
        made(tmp_path, mqtt(limits, {"transport": "websocket", "tenant": "t", "allowed_origins": ["*"]}))
    )
    assert first.limits == ClientLimits(
        connect_timeout_ms=1500,
        max_packet_bytes=300,
        max_keep_alive_s=4,
        receive_maximum=5,
        publishes_in_flight=6,
        window=7,
    )
    assert (first.name, first.transport, first.tenant, first.setting) == ("m0", Transport.TCP, "", "mqtt.listeners.0")
    assert (second.transport, second.tenant, second.path) == (Transport.WEBSOCKET, "t", "/mqtt")
    assert (first.allowed_origins, second.allowed_origins) == ([], ["*"])


async def test_tenants_have_brokers_with_the_limits_of_sessions(tmp_path: Path) -> None:
    sessions = {"max_sessions": 2, "max_subscriptions": 3, "queue_messages": 4, "queue_bytes": 5, "max_expiry_s": 6}
    sessions |= {"max_retained": 7, "max_retained_bytes": 8}
    face = made(tmp_path, mqtt({}, {"tenant": "t"}, {"tenant": "t"}, sessions=sessions))
    assert sorted(face.server.brokers) == ["", "t"]
    for broker in face.server.brokers.values():
        assert broker.ports.limits == BrokerLimits(
            max_sessions=2,
            max_subscriptions=3,
            queue_messages=4,
            queue_bytes=5,
            max_expiry_s=6,
            max_retained=7,
            max_retained_bytes=8,
        )


@pytest.mark.parametrize(("answer", "told"), [("success", explain), ("reason", explain_dead_letters)])
async def test_what_a_dead_letter_is_answered_with(tmp_path: Path, answer: str, told: object) -> None:
    (options,) = options_of(made(tmp_path, mqtt(dead_letter_answer=answer)))
    assert options.explain is told


@asynccontextmanager
async def running(face: MqttFace) -> AsyncIterator[tuple[str, int]]:
    await face.start()
    try:
        yield face.server.listeners[0].addresses[0]
    finally:
        await face.drain(0)


async def answer_of(address: tuple[str, int], client_id: str, password: bytes | None) -> ReasonCode:
    """The user name is `user` where there is a password."""
    peer = MqttPeer(*await open_socket(address))
    try:
        return (await peer.connect(client_id, V5, password=password)).reason
    finally:
        peer.writer.transport.abort()


async def test_who_gets_in(tmp_path: Path) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text("- {id: dev-1}\n", "utf-8")
    client = {"id": "user", "password": HASH, "publish": ["cmd/#"]}
    auth: Json = {"devices": "credentials", "clients": [client]}
    sections = {"gateway": {"devices_file": str(devices)}}
    async with running(made(tmp_path, mqtt(auth=auth) | sections)) as address:
        assert await answer_of(address, "user", b"right") is ReasonCode.SUCCESS
        assert await answer_of(address, "user", b"wrong") is ReasonCode.BAD_USER_NAME_OR_PASSWORD
        assert await answer_of(address, "dev-1", b"right") is ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
        assert await answer_of(address, "anonymous-1", None) is ReasonCode.NOT_AUTHORIZED
    auth["anonymous"] = {"subscribe": ["news/#"]}
    async with running(made(tmp_path, mqtt(auth=auth) | sections)) as address:
        assert await answer_of(address, "anonymous-1", None) is ReasonCode.SUCCESS


async def test_the_numbers_are_there_from_the_start(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, mqtt())
    make_mqtt(parts, Topics(parts, Presence()), MqttMemory())
    names = {family.name for family in parts.metrics.collect()}
    assert {"iotlink_mqtt_sessions", "iotlink_mqtt_messages_dropped", "iotlink_mqtt_access_denied"} <= names


def clients(*items: Json, **more: Any) -> Json:
    return {"devices": "credentials", "anonymous": {}, "clients": list(items), **more}


ISSUER: Json = {"issuer": "i", "audience": "a", "jwks_url": "https://keys.example"}


@pytest.mark.parametrize(
    ("auth", "line", "words"),
    [
        (clients(client_ids=["{device_id}", "x"]), "x", "auth.client_ids.1: `x`"),
        (clients(topics={"publish": ["a/{x}"]}), "a/{x}", "auth.topics.publish.0: topic rule `a/{x}`: {x} is not"),
        (clients(topics={"subscribe": ["b", "a/#/b"]}), "a/#/b", "auth.topics.subscribe.1: "),
        (clients(anonymous={"publish": ["{device_id}"]}), "'{device_id}'", "auth.anonymous.publish.0: "),
        (clients({"id": "c", "certificate": "c", "publish": ["{device_id}"]}), "'{device_id}'", "clients.0.publish.0"),
        (clients({"id": "c", "password": "$argon2id$v=19$m"}), "id: c", "auth.clients.0: an argon2id hash"),
        (clients(jwt=[ISSUER, ISSUER]), "issuer: i", "auth.jwt.1: the issuer i is there already"),
        (clients(jwt=[ISSUER | {"jwks_url": "http://keys.example"}]), "issuer: i", "auth.jwt.0: jwks_url "),
    ],
)
async def test_what_cannot_be_used_is_placed(tmp_path: Path, auth: Json, line: str, words: str) -> None:
    sections = mqtt(auth=auth)
    with pytest.raises(ConfigError) as caught:
        made(tmp_path, sections)
    assert words in str(caught.value)
    assert line_of(tmp_path, sections, caught.value) == line


async def test_a_file_of_keys_that_cannot_be_used_is_placed_at_the_start(tmp_path: Path) -> None:
    issuer = {"issuer": "i", "audience": "a", "jwks_file": str(tmp_path / "none.json")}
    sections = mqtt(auth=clients(jwt=[ISSUER | {"jwks_url": "https://127.0.0.1:1/keys", "issuer": "j"}, issuer]))
    face = made(tmp_path, sections)
    with pytest.raises(ConfigError, match=r"auth\.jwt\.1\.jwks_file: .*none\.json: cannot be read") as caught:
        await face.start()
    await face.drain(0)
    assert line_of(tmp_path, sections, caught.value).startswith("jwks_file: ")
