"""MQTT access with a directory, an issuer of tokens and a clock, and clients that connect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from argon2.low_level import Type, hash_secret
from structlog.testing import capture_logs

from gateway.access.admission import Admission, Provisioning
from gateway.access.attempts import AttemptLimits, Attempts
from gateway.access.credentials import PasswordCheck, PasswordLimits
from gateway.access.denials import DENIALS, DenyCode
from gateway.access.jwks import KeyFetchError
from gateway.access.jwt import TokenIssuer, TokenVerifier
from gateway.access.mqtt import MqttAccess, MqttAccessOptions, MqttAccessServices, OtherClient
from gateway.access.topic_rules import AllowList, MqttGrant
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Principal
from gateway.observe.logs import LineLimit
from gateway.protocol.mqtt.packets import V5, Connect
from gateway.protocol.mqtt.ports import AccessPort, Denial, Grant
from gateway.protocol.uplink_topics import Templates
from tests.gateway.access.tokens import RSA_KEY, jwk, jwks

NOW = 1_767_225_600
CLAIMS = {"iss": "joe", "aud": "gateway", "sub": "dev-1", "exp": NOW + 600}


MARK = "§"
"""In front of every password, so that one in a log would be seen."""


def hashed(password: str) -> str:
    return hash_secret(f"{MARK}{password}".encode(), b"saltsalt", 1, 8, 1, 32, Type.ID).decode()


DEVICES = f"""
- {{id: dev-1, credential: "{hashed("one")}", product: p}}
- {{id: dev-2, credential: "{hashed("two")}"}}
- {{id: bare}}
- {{id: hub-1, credential: "{hashed("hub")}", children: [child-1]}}
- {{id: a/b, credential: "{hashed("ab")}"}}
- {{id: "+", credential: "{hashed("plus")}"}}
- {{id: dev-1, tenant: acme, credential: "{hashed("acme")}"}}
"""
ERP = OtherClient("erp", hashed("erp"), allowed=AllowList(["devices/+/command"], ["devices/#"]))
BRIDGE = OtherClient("bridge", certificate="bridge.example", allowed=AllowList(["#"]))


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Rig:
    """access: of a listener without tenant. keys: what the issuer shows; an error while it does not answer."""

    access: MqttAccess
    services: MqttAccessServices
    options: MqttAccessOptions
    clock: Clock
    keys: list[bytes | KeyFetchError]

    async def connect(
        self,
        user: str | None = None,
        password: str | bytes | None = None,
        client_id: str | None = None,
        *,
        peer: str = "192.0.2.7:5000",
        principal: Principal | None = None,
        version: int = V5,
        access: AccessPort | None = None,
    ) -> MqttGrant | Denial:
        """client_id: None is the user's; "" lets the server choose."""
        own = user or "" if client_id is None else client_id
        said = f"{MARK if password else ''}{password}".encode() if isinstance(password, str) else password
        packet = Connect(version, own, user_name=user, password=said)
        answered: asyncio.Future[Grant | Denial] = asyncio.get_running_loop().create_future()
        port = access or self.access
        port.authenticate(packet, own or "given-by-us", peer, principal or Principal(), answered.set_result)
        verdict = await asyncio.wait_for(answered, 30)
        assert isinstance(verdict, MqttGrant | Denial)
        return verdict

    async def grant(self, *args: Any, **more: Any) -> MqttGrant:
        verdict = await self.connect(*args, **more)
        assert isinstance(verdict, MqttGrant), verdict
        return verdict

    async def refuse(self, code: DenyCode, *args: Any, **more: Any) -> Denial:
        """It is refused for that reason, counted once, and the log says what to do."""
        before = dict(self.access.denied)
        with capture_logs() as logs:
            verdict = await self.connect(*args, **more)
        assert isinstance(verdict, Denial), verdict
        after = self.access.denied
        assert [(name, after[name] - before[name]) for name in after if after[name] != before[name]] == [(code, 1)]
        lines = [line for line in logs if line["event"] == "mqtt_client_denied"]
        assert [(line["code"], line["detail"]) for line in lines] == [(code.value, DENIALS[code].operator)]
        assert MARK not in str(logs)
        assert "eyJ" not in str(logs)
        return verdict


@asynccontextmanager
async def rig(
    provisioning: Provisioning = Provisioning.KNOWN,
    attempts: AttemptLimits | None = None,
    passwords: PasswordLimits | None = None,
    **options: Any,
) -> AsyncIterator[Rig]:
    clock = Clock()
    keys: list[bytes | KeyFetchError] = [jwks(jwk(RSA_KEY, "r"))]

    async def fetch(_: str) -> bytes:
        if isinstance(keys[0], KeyFetchError):
            raise keys[0]
        return keys[0]

    directory = FileDirectory.from_text(DEVICES, "devices.yaml")
    checked = PasswordCheck(passwords or PasswordLimits(), clock, directory.costs)
    tokens = TokenVerifier([TokenIssuer("joe", "gateway", "https://joe.example")], fetch, clock, lambda: NOW)
    services = MqttAccessServices(
        directory,
        Admission(directory, provisioning),
        Templates(),
        Attempts(attempts or AttemptLimits(), clock),
        checked,
        LineLimit(clock),
        tokens,
    )
    made = MqttAccessOptions(**({"clients": (ERP, BRIDGE)} | options))
    try:
        yield Rig(MqttAccess(made, services, "mqtt"), services, made, clock, keys)
    finally:
        services.close()
