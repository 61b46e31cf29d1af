"""MQTT access: who a client is, which client ids it may use, and what it may say.

Place in the walk: between CONNECT and the broker. Nothing of any session has been touched when it answers. In order: a
client certificate (nothing can be guessed there), the limit on failed attempts, a token as password, user name and
password, nobody at all; then the client id, then the device's admission.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from decoders.types import Identity
from gateway.access.admission import Admission
from gateway.access.attempts import Attempts, address_of
from gateway.access.certificates import CertificateRule
from gateway.access.client_ids import ClientIdRules
from gateway.access.credentials import PasswordCheck, Verdict
from gateway.access.denials import DENIALS, DenyCode
from gateway.access.jwt import KeysMissing, TokenRefused, TokenVerifier, looks_like_token
from gateway.access.topic_rules import AllowList, DeviceTopics, ListedTopics, MqttGrant, OpenTopics, TopicPolicy
from gateway.domain.device import DeviceKey, Principal
from gateway.domain.errors import ConfigError, RefuseReason
from gateway.domain.password_hash import hash_problem
from gateway.domain.ports import SecretsPort
from gateway.observe import events
from gateway.observe.logs import LineLimit
from gateway.protocol.mqtt.packets import V5, Connect, ReasonCode
from gateway.protocol.mqtt.ports import Denial, Grant
from gateway.protocol.uplink_topics import Templates

__all__ = ["ANONYMOUS_PREFIX", "MqttAccess", "MqttAccessOptions", "MqttAccessServices", "OtherClient"]

_log = structlog.get_logger(__name__)

ANONYMOUS_PREFIX = "anonymous-"
"""How the client ids of anonymous clients begin where others have to prove who they are."""

_ADMISSION = {
    RefuseReason.NOT_IDENTIFIED: DenyCode.BAD_DEVICE_ID,
    RefuseReason.UNKNOWN_DEVICE: DenyCode.UNKNOWN_DEVICE,
    RefuseReason.PROVISIONING_CLOSED: DenyCode.PROVISIONING_CLOSED,
}

_NOT_SIGNED = frozenset((DenyCode.TOKEN_INVALID, DenyCode.TOKEN_ISSUER))
"""Tokens that anybody can make. An expired one was a true one: its device knows no better, and guesses nothing."""


@dataclass(slots=True, frozen=True)
class OtherClient:
    """A client that is no device (backend, bridge): one entry of `auth.clients`. id: its user name, and its client id
    by the same rule as a device's. password: argon2id hash, "" for none. certificate: the name in a client certificate
    that proves it (by the rule for certificates), "" for none. allowed: with `{client_id}`."""

    id: str
    password: str = field(default="", repr=False)
    certificate: str = ""
    allowed: AllowList = field(default_factory=AllowList)


@dataclass(slots=True, frozen=True)
class MqttAccessOptions:
    """open: clients need not say who they are, and may say anything (an ordinary broker); one with a certificate that
    names a device is that device all the same. devices: what every device may do beyond its own topics.
    anonymous: what clients without user name and password may do where it is not open; None: they are not let in.
    """

    open: bool = False
    certificate: CertificateRule = field(default_factory=CertificateRule)
    client_ids: ClientIdRules = field(default_factory=ClientIdRules)
    devices: AllowList = field(default_factory=AllowList)
    clients: Sequence[OtherClient] = ()
    anonymous: AllowList | None = None


@dataclass(slots=True)
class MqttAccessServices:
    """What all listeners share; `start` before they listen, `close` after. tokens: None where no issuer is
    configured."""

    directory: SecretsPort
    admission: Admission
    templates: Templates
    attempts: Attempts
    passwords: PasswordCheck
    lines: LineLimit
    tokens: TokenVerifier | None = None

    async def start(self) -> None:
        """Loads the keys of issuers. Raises ConfigError for a file of keys that cannot be used."""
        if self.tokens is not None:
            await self.tokens.start()

    def close(self) -> None:
        """Nobody is answered any more."""
        self.passwords.close()
        if self.tokens is not None:
            self.tokens.close()


@dataclass(slots=True)
class _Attempt:
    """One CONNECT on its way."""

    connect: Connect
    client_id: str
    peer: str
    address: str
    user: str
    answer: Callable[[Grant | Denial], None]


class MqttAccess:
    """Implements `gateway.protocol.mqtt.ports.AccessPort` for one listener. tenant: of all who connect there.

    denied: how often, by reason. Raises ConfigError for clients that cannot be told apart.
    """

    __slots__ = (
        "_anonymous",
        "_by_certificate",
        "_clients",
        "_devices",
        "_open",
        "_options",
        "_services",
        "_tenant",
        "denied",
        "listener",
    )

    def __init__(
        self, options: MqttAccessOptions, services: MqttAccessServices, listener: str, tenant: str = ""
    ) -> None:
        self.listener = listener
        self.denied: dict[DenyCode, int] = dict.fromkeys(DenyCode, 0)
        self._options = options
        self._services = services
        self._tenant = tenant
        self._devices: TopicPolicy = DeviceTopics(services.directory, services.templates, options.devices)
        self._open: TopicPolicy = OpenTopics()
        self._anonymous = ListedTopics(options.anonymous) if options.anonymous is not None else None
        self._clients: dict[str, tuple[OtherClient, TopicPolicy]] = {}
        self._by_certificate: dict[str, str] = {}
        for index, client in enumerate(options.clients):
            self._add(client, f"auth.clients.{index}")

    def _add(self, client: OtherClient, setting: str) -> None:
        problem = hash_problem(client.password) if client.password else ""
        if not client.id or client.id in self._clients:
            problem = f"`{client.id}` stands there twice" if client.id else "an id is needed"
        elif self._services.directory.find(DeviceKey(self._tenant, client.id)) is not None:
            problem = f"`{client.id}` is a device of `devices_file` already"
        elif client.certificate and client.certificate in self._by_certificate:
            problem = f"another client has the certificate name `{client.certificate}`"
        if problem:
            raise ConfigError(f"{setting}: {problem}", setting=setting)
        self._clients[client.id] = (client, ListedTopics(client.allowed))
        if client.certificate:
            self._by_certificate[client.certificate] = client.id

    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        attempt = _Attempt(connect, client_id, peer, address_of(peer), connect.user_name or "", answer)
        try:
            if self._options.certificate.applies(principal):
                self._by_name(attempt, principal)
            elif self._options.open:
                answer(self._grant(self._open, attempt, principal))
            elif not self._services.attempts.allowed(attempt.address, self._user(attempt)):
                self._deny(attempt, DenyCode.TOO_MANY_ATTEMPTS)
            else:
                self._by_secret(attempt)
        except Exception:
            _log.exception("mqtt_access_failed", listener=self.listener, peer=peer)
            self._deny(attempt, DenyCode.INTERNAL_ERROR)

    # Who it is

    def _by_name(self, attempt: _Attempt, principal: Principal) -> None:
        name = self._options.certificate.name_of(principal)
        if not name:
            self._deny(attempt, DenyCode.CERTIFICATE_NAMES_NOBODY)
            return
        client_id = self._by_certificate.get(name)
        if client_id is not None:
            self._admit_client(attempt, client_id, replace(principal, name=name))
        else:
            self._admit_device(attempt, name, replace(principal, name=name))

    def _by_secret(self, attempt: _Attempt) -> None:
        connect = attempt.connect
        password = connect.password
        if self._services.tokens is not None and password and looks_like_token(password):
            self._by_token(attempt, self._services.tokens, password, may_ask=True)
        elif attempt.user and password:
            self._by_password(attempt, password)
        elif self._anonymous is not None and not attempt.user and not password:
            self._admit_anonymous(attempt, self._anonymous)
        else:
            self._deny(attempt, DenyCode.NO_CREDENTIALS)

    def _by_token(self, attempt: _Attempt, tokens: TokenVerifier, token: bytes, *, may_ask: bool) -> None:
        """may_ask: the issuer's keys may be asked for, once."""
        attempts = self._services.attempts
        try:
            device_id = tokens.check(token).device_id
        except KeysMissing as missing:
            store = missing.store
            if may_ask and store.request(lambda: self._by_token_again(attempt, tokens, token)):
                return
            code = DenyCode.TOKEN_KEY if store.ready else DenyCode.KEYS_UNAVAILABLE
            if store.ready:
                attempts.failed(attempt.address, self._user(attempt))
            self._deny(attempt, code)
        except TokenRefused as refused:
            if refused.code in _NOT_SIGNED:
                attempts.failed(attempt.address, self._user(attempt))
            self._deny(attempt, refused.code)
        else:
            if attempt.user not in ("", device_id):
                self._deny(attempt, DenyCode.USER_NAME_DIFFERS)
                return
            attempts.succeeded(attempt.address, self._user(attempt))
            self._admit_device(attempt, device_id, Principal("token", device_id))

    def _by_token_again(self, attempt: _Attempt, tokens: TokenVerifier, token: bytes) -> None:
        try:
            self._by_token(attempt, tokens, token, may_ask=False)
        except Exception:
            _log.exception("mqtt_access_failed", listener=self.listener, peer=attempt.peer)
            self._deny(attempt, DenyCode.INTERNAL_ERROR)

    def _by_password(self, attempt: _Attempt, password: bytes) -> None:
        user, attempts = self._user(attempt), self._services.attempts
        client = self._clients.get(attempt.user)
        if client is not None:
            hashed = client[0].password
        else:
            hashed = self._services.directory.secrets(DeviceKey(self._tenant, attempt.user)).credential

        def proceed() -> bool:
            return attempts.allowed(attempt.address, user)

        def decided(verdict: Verdict) -> None:
            try:
                self._password_checked(attempt, verdict, bool(hashed))
            except Exception:
                _log.exception("mqtt_access_failed", listener=self.listener, peer=attempt.peer)
                self._deny(attempt, DenyCode.INTERNAL_ERROR)

        if not self._services.passwords.check(user, password, hashed, proceed, decided):
            self._deny(attempt, DenyCode.BUSY)

    def _password_checked(self, attempt: _Attempt, verdict: Verdict, has_password: bool) -> None:
        name, attempts = attempt.user, self._services.attempts
        if verdict is Verdict.NOT_LOOKED_AT:
            self._deny(attempt, DenyCode.TOO_MANY_ATTEMPTS)
        elif verdict is Verdict.WRONG:
            attempts.failed(attempt.address, self._user(attempt))
            known = name in self._clients or self._services.directory.find(DeviceKey(self._tenant, name)) is not None
            if has_password:
                code = DenyCode.WRONG_PASSWORD
            else:
                code = DenyCode.NO_PASSWORD_SET if known else DenyCode.UNKNOWN_USER
            self._deny(attempt, code)
        else:
            attempts.succeeded(attempt.address, self._user(attempt))
            if name in self._clients:
                self._admit_client(attempt, name, Principal("password", name))
            else:
                self._admit_device(attempt, name, Principal("password", name))

    def _user(self, attempt: _Attempt) -> str:
        """Whose attempts are counted."""
        return f"{self._tenant}/{attempt.user}" if attempt.user else ""

    # Whether it is let in

    def _admit_device(self, attempt: _Attempt, device_id: str, principal: Principal) -> None:
        if device_id in self._clients:
            self._deny(attempt, DenyCode.ID_TAKEN)
            return
        admitted = self._services.admission.admit(Identity(device_id=device_id), "", self._tenant)
        if isinstance(admitted, RefuseReason):
            self._deny(attempt, _ADMISSION[admitted], device_id=device_id)
        elif self._owns_client_id(attempt, device_id):
            attempt.answer(self._grant(self._devices, attempt, principal, device_id))

    def _admit_client(self, attempt: _Attempt, name: str, principal: Principal) -> None:
        if self._owns_client_id(attempt, name):
            policy = self._clients[name][1]
            attempt.answer(self._grant(policy, attempt, principal))

    def _admit_anonymous(self, attempt: _Attempt, policy: TopicPolicy) -> None:
        if attempt.connect.client_id and not attempt.client_id.startswith(ANONYMOUS_PREFIX):
            self._deny(attempt, DenyCode.CLIENT_ID, allowed=f"`{ANONYMOUS_PREFIX}` and more, or empty")
            return
        attempt.answer(self._grant(policy, attempt, Principal("anonymous")))

    def _grant(self, policy: TopicPolicy, attempt: _Attempt, principal: Principal, device_id: str = "") -> MqttGrant:
        return MqttGrant(policy, principal, self._tenant, attempt.client_id, device_id, self._services.lines)

    def _owns_client_id(self, attempt: _Attempt, name: str) -> bool:
        """Whether the client id belongs to this device or client; a client that brings none is given one."""
        if not attempt.connect.client_id:
            return True
        if self._anonymous is not None and attempt.client_id.startswith(ANONYMOUS_PREFIX):
            self._deny(attempt, DenyCode.ID_TAKEN)
            return False
        rules = self._options.client_ids
        if self._owner(rules.owners(attempt.client_id)) == name:
            return True
        self._deny(attempt, DenyCode.CLIENT_ID, allowed=rules.shown_for(name))
        return False

    def _owner(self, names: Sequence[str]) -> str:
        """Whose of these a client id is: the first that is listed, or else the first. So it is one's alone at any
        time, also where several rules fit it."""
        find = self._services.directory.find
        for name in names:
            if name in self._clients or find(DeviceKey(self._tenant, name)) is not None:
                return name
        return names[0] if names else ""

    def _deny(self, attempt: _Attempt, code: DenyCode, *, allowed: str = "", device_id: str = "") -> None:
        text = DENIALS[code]
        events.mqtt_client_denied(
            self.denied,
            self._services.lines,
            code,
            listener=self.listener,
            peer=attempt.peer,
            address=attempt.address,
            said={"user_name": attempt.user, "client_id": attempt.client_id, "device_id": device_id},
            detail=text.operator,
        )
        reason = text.reason
        if reason is ReasonCode.QUOTA_EXCEEDED and attempt.connect.version != V5:
            reason = ReasonCode.NOT_AUTHORIZED  # 3.1.1 has no other word that keeps a device from trying at once
        attempt.answer(Denial(reason, text.client.replace("{client_id}", allowed)))
