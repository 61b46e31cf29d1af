"""Who may connect over MQTT, and what it may say: passwords, tokens, hubs, client certificates, a load balancer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion
from argon2 import PasswordHasher
from paho.mqtt.reasoncodes import ReasonCode
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason
from gateway.protocol.mqtt.packets import V5, Connect
from tests.e2e import mqtt_fleet as fleet
from tests.e2e.fronts import Files, haproxy
from tests.e2e.rig import GUARD_S, Json, RunningGateway, until
from tests.gateway.access.tokens import EC_KEY, jwk, jwks, token
from tests.gateway.ingress.mqtt_rig import MqttPeer
from tests.gateway.ingress.rig import open_socket

pytestmark = pytest.mark.e2e

VALUES = b'{"metrics": {"n": 1}}'
NAMED = b'{"productId": "generic_json", "metrics": {"n": 1}}'
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(b"right")
VERSIONS = pytest.mark.parametrize("version", fleet.VERSIONS, ids=["3.1.1", "5.0"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def settings(folder: Path, *listeners: Json) -> Json:
    """Devices with passwords and tokens, a hub, and a backend."""
    devices = folder / "devices.yaml"
    devices.write_text(
        f"- {{id: dev-1, product: generic_json, credential: '{HASH}'}}\n"
        f"- {{id: hub-1, product: generic_json, credential: '{HASH}', children: [child-1]}}\n"
        "- {id: child-1, product: generic_json}\n"
        "- {id: dev-2, product: generic_json}\n",
        "utf-8",
    )
    keys = folder / "keys.json"
    keys.write_bytes(jwks(jwk(EC_KEY, "k1")))
    backend = {"id": "backend", "password": HASH, "publish": ["devices/+/command"], "subscribe": ["devices/#"]}
    issuer = {"issuer": "issuer", "audience": "gateway", "jwks_file": str(keys)}
    auth = {"devices": "credentials", "clients": [backend], "jwt": [issuer]}
    made = fleet.settings(folder, *listeners, auth=auth)
    made["gateway"]["devices_file"] = str(devices)
    return made


def token_of(device_id: str, **more: Any) -> str:
    claims = {"iss": "issuer", "aud": "gateway", "sub": device_id, "exp": int(time.time()) + 600, **more}
    return token(claims, EC_KEY, kid="k1").decode()


def as_device(
    rig: RunningGateway, version: ProtocolVersion, name: str, password: str = "right", **more: Any
) -> aiomqtt.Client:
    return fleet.client(rig.mqtt_address(), version, name, username=name, password=password, **more)


async def refusal(client: aiomqtt.Client) -> str:
    """What a client that is not let in is told."""
    with pytest.raises(aiomqtt.MqttError) as caught:
        await client.__aenter__()
    return str(caught.value)


def codes(logs: Sequence[MutableMapping[str, Any]], event: str) -> list[str]:
    return [line["code"] for line in logs if line["event"] == event]


@VERSIONS
async def test_passwords_and_tokens(tmp_path: Path, version: ProtocolVersion) -> None:
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, settings(tmp_path)) as rig, as_device(rig, version, "dev-1") as client:
            await client.publish("devices/dev-1/telemetry", VALUES, 1)
            assert "Bad user name or password" in await refusal(as_device(rig, version, "dev-1", "wrong"))
            assert "Bad user name or password" in await refusal(as_device(rig, version, "dev-9"))
            assert "Not authorized" in await refusal(fleet.client(rig.mqtt_address(), version, "dev-1"))
            await client.publish("devices/dev-1/telemetry", VALUES, 2)  # nobody has taken its session
            async with as_device(rig, version, "dev-2", token_of("dev-2")) as other:
                await other.publish("devices/dev-2/telemetry", VALUES, 1)
            expired = token_of("dev-2", exp=int(time.time()) - 600)
            assert "Bad user name or password" in await refusal(as_device(rig, version, "dev-2", expired))
            assert rig.total("iotlink_mqtt_access_denied_total", code="wrong_password") == 1
    assert codes(logs, "mqtt_client_denied") == ["wrong_password", "unknown_user", "no_credentials", "token_expired"]
    assert [record["device_id"] for record in rig.records()] == ["dev-1", "dev-1", "dev-2"]


@VERSIONS
async def test_a_device_has_its_own_topics_and_a_hub_those_of_its_children(
    tmp_path: Path, version: ProtocolVersion
) -> None:
    """5.0 is answered; 3.1.1 has no such answer, and the connection ends."""
    denied = ["devices/dev-2/telemetry", "devices/hub-1/dev-2/telemetry", "devices/dev-1/telemetry", "chat"]
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, settings(tmp_path)) as rig:
            async with as_device(rig, version, "hub-1") as hub:
                await hub.publish("devices/hub-1/telemetry", VALUES, 1)
                await hub.publish("devices/hub-1/child-1/telemetry", VALUES, 1)
                (granted,) = await hub.subscribe("devices/child-1/command", 1)
                (refused,) = await hub.subscribe("devices/dev-2/command", 1)
                assert [_code(granted), _code(refused)] == [1, 0x87 if version is ProtocolVersion.V5 else 0x80]
                if version is ProtocolVersion.V5:
                    for topic in denied:
                        await hub.publish(topic, VALUES, 1)
                    await hub.publish("devices/hub-1/telemetry", VALUES, 1)  # the connection lives on
            if version is ProtocolVersion.V311:
                for count, topic in enumerate(denied, 1):
                    with pytest.raises(aiomqtt.MqttError):
                        async with as_device(rig, version, "hub-1") as hub:
                            await asyncio.wait_for(hub.publish(topic, VALUES, 1, timeout=0.05), GUARD_S)
                    await until(lambda count=count: rig.closed(CloseReason.NOT_KEPT, "mqtt") == count)  # type: ignore[misc]
            assert rig.sums().refused == 0  # none of it has come to be an uplink
    shown = ["subscribe_denied", *["publish_denied"] * 3]  # a reason is told three times a minute
    assert codes(logs, "mqtt_topic_denied") == shown
    stored = [(record["device_id"], record.get("hub_id")) for record in rig.records()]
    last = [("hub-1", "hub-1")] * (version is ProtocolVersion.V5)
    assert stored == [("hub-1", "hub-1"), ("child-1", "hub-1"), *last]


def _code(answer: int | ReasonCode) -> int:
    return answer if isinstance(answer, int) else int(answer.value)


@VERSIONS
async def test_a_backend_talks_to_devices(tmp_path: Path, version: ProtocolVersion) -> None:
    async with (
        RunningGateway(tmp_path, settings(tmp_path)) as rig,
        as_device(rig, version, "dev-1") as device,
        as_device(rig, version, "backend") as backend,
    ):
        await device.subscribe("devices/dev-1/command", 1)
        await backend.subscribe("devices/+/telemetry", 1)
        await backend.publish("devices/dev-1/command", b"on", 1)
        await device.publish("devices/dev-1/telemetry", VALUES, 1)
        async with asyncio.timeout(GUARD_S):
            assert (await anext(aiter(device.messages))).payload == b"on"
            assert (await anext(aiter(backend.messages))).payload == VALUES


# Client certificates


def certified(files: Files, name: str = "") -> ssl.SSLContext:
    context = files.client(name)
    context.check_hostname = False  # the tests reach it by its address
    return context


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("devices", ["credentials", "open"])
async def test_a_client_certificate_is_the_device(
    tmp_path: Path, files: Files, version: ProtocolVersion, transport: str, devices: str
) -> None:
    made = settings(
        tmp_path,
        {"name": "mqtt", "port": 0, "tls": files.mutual},
        {"name": "ws", "port": 0, "tls": files.mutual, "transport": "websocket"},
    )
    made["auth"]["devices"] = devices
    if devices == "open":
        made["auth"] = {"devices": "open"}
    name = "mqtt" if transport == "tcp" else "ws"
    more = {"transport": transport, "websocket_path": "/mqtt" if transport == "websockets" else None}
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, made) as rig:
            address = rig.mqtt_address(name)
            async with fleet.client(address, version, "dev-7", tls_context=certified(files, "dev-7"), **more) as client:
                await client.publish(
                    "devices/dev-7/telemetry", b'{"productId": "generic_json", "metrics": {"n": 1}}', 1
                )
                if version is ProtocolVersion.V5:
                    await client.publish("devices/dev-8/telemetry", VALUES, 1)
            other = fleet.client(address, version, "dev-8", tls_context=certified(files, "dev-7"), **more)
            assert "dentifier" in await refusal(other)
            with contextlib.suppress(OSError, ssl.SSLError):  # TLS 1.3: it learns only after its own handshake
                peer = MqttPeer(*await open_socket(address, files.client()))
                assert await peer.read_to_end() == b""
                peer.writer.transport.abort()
            await until(lambda: rig.closed(CloseReason.TLS_FAILED, name) == 1, "the handshake has failed")
    assert codes(logs, "mqtt_client_denied") == ["client_id"]
    assert codes(logs, "mqtt_topic_denied") == ["publish_denied"] * (version is ProtocolVersion.V5)
    assert [record["device_id"] for record in rig.records()] == ["dev-7"]
    assert "dev-7" in {line.get("principal") for line in logs if line["event"] == "connection_closed"}


# Behind a load balancer


@pytest.mark.parametrize("tls", [False, True])
async def test_behind_a_proxy_the_peer_is_the_client(tmp_path: Path, files: Files, tls: bool) -> None:
    """Failed logins count for the client's address, and not for the proxy's."""
    section = {"tls": files.section} if tls else {}
    listener = {"name": "mqtt", "port": 0, "proxy_protocol": True, **section}
    with capture_logs() as logs:
        async with (
            RunningGateway(tmp_path, settings(tmp_path, listener)) as rig,
            haproxy(tmp_path, rig.mqtt_address(), "send-proxy-v2") as front,
        ):
            context = certified(files) if tls else None

            def through(source: str, name: str, password: str) -> aiomqtt.Client:
                login = {"username": name, "password": password, "bind_address": source, "tls_context": context}
                return fleet.client(front, ProtocolVersion.V5, name, **login)

            async with through("127.0.0.3", "dev-1", "right") as client:
                await client.publish("devices/dev-1/telemetry", b"{", 1)
            for number in range(100):
                text = await refusal(through("127.0.0.4", f"guess-{number}", "wrong"))
                if "Bad user name or password" not in text:
                    break
            assert "exceeded" in text, text
            async with through("127.0.0.3", "hub-1", "right") as client:  # others are let in as ever
                await client.publish("devices/hub-1/telemetry", VALUES, 1)
            (letter,) = rig.letters()
            assert letter["peer"].startswith("127.0.0.3:")
    peers = {line["peer"].partition(":")[0] for line in logs if line["event"] == "connection_closed"}
    assert peers == {"127.0.0.3", "127.0.0.4"}
    assert codes(logs, "mqtt_client_denied")[-1] == "too_many_attempts"


async def test_without_the_header_nobody_gets_in(tmp_path: Path) -> None:
    listeners = [{"name": "fronted", "port": 0, "proxy_protocol": True}, {"name": "mqtt", "port": 0}]
    async with RunningGateway(tmp_path, settings(tmp_path, *listeners)) as rig:
        peer = MqttPeer(*await open_socket(rig.mqtt_address("fronted")))
        peer.say(Connect(V5, "dev-1", True, user_name="dev-1", password=b"right"))
        assert await peer.read_to_end() == b""
        assert rig.closed(CloseReason.BAD_PROXY_HEADER, "fronted") == 1
        peer.writer.transport.abort()
        async with as_device(rig, ProtocolVersion.V5, "dev-1") as client:
            await client.publish("devices/dev-1/telemetry", VALUES, 1)
