"""The REST listeners and who may call them, from the settings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client.core import Metric

from gateway.access.api_keys import digest_of_hex
from gateway.access.attempts import AttemptLimits, Attempts
from gateway.access.certificates import CertificateName, CertificateRule
from gateway.access.clients import Client, Clients
from gateway.access.jwks_http import fetch_key_set
from gateway.access.jwt import TokenIssuer, TokenVerifier
from gateway.access.key_file import KEY_FILE_NAME, KeyFile, KeyFileError
from gateway.access.quotas import QuotaLimits, QuotaOptions, Quotas
from gateway.access.request_signatures import (
    RequestSignatures,
    SignatureMode,
    SignatureOptions,
    SigningSecrets,
    signing_warnings,
)
from gateway.access.rest import RestAccess, RestAccessOptions, RestAccessServices
from gateway.access.rest_tokens import RestTokens
from gateway.access.scopes import Call, Scope
from gateway.access.token_scopes import TokenRule
from gateway.app.parts import Parts
from gateway.app.topics import Topics
from gateway.devices.presence import Presence
from gateway.domain.errors import ConfigError
from gateway.ingress.rest.bodies import Shapes
from gateway.ingress.rest.calls import Calls
from gateway.ingress.rest.catalog_calls import CatalogCalls
from gateway.ingress.rest.gate import Gate, GateOptions
from gateway.ingress.rest.idempotency import IdempotencyKeys, IdempotencyLimits
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.items import Items, ItemServices
from gateway.ingress.rest.sending import SendingCalls, SendingLimits
from gateway.ingress.rest.server import RestListener, RestOptions, RestServer
from gateway.ingress.tls import ClientAuth, server_context
from gateway.observe.health import ComponentHealth, State
from gateway.observe.rest_metrics import RequestCounters, access_rest_families
from gateway.protocol.device_session import UNDETECTED
from gateway.settings import model
from gateway.settings.rules import is_loopback

__all__ = ["RestFace", "make_idempotency", "make_rest"]

_RELOAD_S = 2.0
"""How often the key file is looked at."""
_HOUR_MS = 3_600_000

_log = structlog.get_logger(__name__)


class RestFace:
    """The listeners with what they need besides. Life: start, stop_accepting, drain."""

    def __init__(self, server: RestServer, clients: Clients, tokens: TokenVerifier | None) -> None:
        self.server = server
        self._clients = clients
        self._tokens = tokens
        self._reloading: asyncio.Task[None] | None = None
        self._problem = ""  # of the key file

    async def start(self) -> None:
        """Raises OperatorError: an address cannot be had, or a file of keys cannot be used."""
        if not self.server.listeners:
            return
        ignored = (await asyncio.to_thread(self._clients.reload)).ignored
        if ignored:
            _log.warning("keys_ignored", clients=list(ignored), detail="clients of the configuration have these ids")
        if self._tokens is not None:
            await self._tokens.start()
        await self.server.start()
        self._reloading = asyncio.create_task(self._reload(), name="key file")

    def health(self) -> ComponentHealth:
        """Degraded while the key file cannot be read: what it said last goes on to count."""
        facts = {"listeners": len(self.server.listeners)}
        return ComponentHealth(State.DEGRADED if self._problem else State.OK, self._problem, facts)

    def stop_accepting(self) -> None:
        self.server.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Returns how many requests were cut."""
        cut = await self.server.drain(deadline_s)
        if self._reloading is not None:
            self._reloading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reloading
        if self._tokens is not None:
            self._tokens.close()
        return cut

    async def _reload(self) -> None:
        """Takes up what `iotlink keys` changes."""
        while True:
            await asyncio.sleep(_RELOAD_S)
            try:
                await asyncio.to_thread(self._clients.reload)
            except KeyFileError as error:
                if str(error) != self._problem:
                    _log.error("key_file_unusable", detail=str(error))
                self._problem = str(error)
            else:
                self._problem = ""


def make_idempotency(settings: model.Settings) -> IdempotencyKeys:
    """Also given to the spool, as the keeper of what it remembers of requests."""
    kept = settings.rest.idempotency
    return IdempotencyKeys(
        IdempotencyLimits(max_keys=kept.max_keys, max_bytes=int(kept.max_bytes), window_ms=round(kept.hours * _HOUR_MS))
    )


def make_rest(parts: Parts, topics: Topics, presence: Presence, keys: IdempotencyKeys) -> RestFace:
    """Raises ConfigError."""
    settings = parts.settings
    auth = settings.auth
    clients = Clients([_client(one, index) for index, one in enumerate(auth.clients)], _key_file(settings), time.time)
    verifier = _verifier(auth)
    services = RestAccessServices(
        clients,
        RequestSignatures(SignatureOptions(window_s=auth.signature_window_s), time.time, time.monotonic),
        Attempts(AttemptLimits(), time.monotonic),
        parts.directory,
        RestTokens(verifier) if verifier is not None else None,
    )
    quotas = Quotas(_quotas(auth.quotas), time.monotonic, time.time)
    intake = Intake(parts.outbox)
    requests = RequestCounters(parts.metrics.registry)
    items = Items(ItemServices(topics.reader, parts.flow, parts.outbox, presence, parts.directory, parts.metrics))
    shapes, catalog = Shapes(lambda: parts.catalog), CatalogCalls(lambda: parts.catalog)
    server = RestServer(intake)
    doors = []
    for index, listener in enumerate(settings.rest.listeners):
        access = RestAccess(_access_options(settings, listener), services, listener.name, listener.tenant or "")
        doors.append(access)
        parts.metrics.traffic(listener.name, UNDETECTED)  # so that its series are there from the start, with 0
        gate = Gate(access, quotas, intake, _gate_options(auth, listener))
        sending = SendingCalls(
            items, gate, intake, keys, _sending_limits(settings.rest, listener), parts.clock.unix_ms, parts.ids.make
        )
        calls = Calls(listener.name, gate, shapes, sending, catalog, parts.clock.unix_ms)
        server.listeners.append(RestListener(_options(index, listener), calls, parts.metrics, requests))

    def families() -> Iterator[Metric]:
        yield from requests.families()
        yield from access_rest_families(doors, quotas.refused)

    if doors:
        parts.metrics.add(families)
    return RestFace(server, clients, verifier)


def _options(index: int, listener: model.RestListener) -> RestOptions:
    setting, tls = f"rest.listeners.{index}", listener.tls
    context = None
    if tls is not None:
        try:
            context = server_context(tls.cert_file, tls.key_file, tls.client_ca_file, ClientAuth(tls.client_auth))
        except ConfigError as error:
            raise error.below(setting) from None
    return RestOptions(
        listener.name,
        listener.host,
        listener.port,
        listener.max_connections,
        listener.max_connections_per_ip,
        context,
        listener.idle_timeout_s,
        listener.request_timeout_s,
        setting,
    )


def _sending_limits(rest: model.RestSettings, listener: model.RestListener) -> SendingLimits:
    return SendingLimits(
        max_item_bytes=int(rest.max_item_bytes),
        max_body_bytes=int(rest.max_body_bytes),
        max_items=rest.max_items,
        stream_from_bytes=int(rest.stream_from_bytes),
        max_upload_bytes=int(rest.max_upload_bytes),
        max_expansion_ratio=rest.max_expansion_ratio,
        read_timeout_s=listener.read_timeout_s,
        min_bytes_per_s=listener.min_bytes_per_s,
        request_timeout_s=listener.request_timeout_s,
    )


def _gate_options(auth: model.AuthSettings, listener: model.RestListener) -> GateOptions:
    rule = CertificateRule(CertificateName(auth.certificate_name), auth.certificate_prefix)
    return GateOptions(rule, listener.forwarded_hops, is_loopback(listener.host))


def _access_options(settings: model.Settings, listener: model.RestListener) -> RestAccessOptions:
    auth = settings.auth
    anonymous = auth.anonymous_rest
    if anonymous is None:
        configured = bool(auth.clients or auth.jwt or auth.key_file) or auth.devices != "open"
        anonymous = is_loopback(listener.host) and not configured
    rules = []
    for index, issuer in enumerate(auth.jwt):
        roles = {role: frozenset(map(Call, words)) for role, words in issuer.roles.items()}
        scope = _scope((), issuer.products, issuer.devices, issuer.tenant, f"auth.jwt.{index}")
        rules.append(TokenRule(issuer.issuer, roles, issuer.scope_prefix, scope, _quota(issuer.quota)))
    return RestAccessOptions(
        Scope(frozenset({Call.INGEST, Call.READ})) if anonymous else None,
        certificate_devices=listener.tls is not None and listener.tls.client_auth != "off",
        tokens=rules,
    )


def _key_file(settings: model.Settings) -> KeyFile:
    path: Path = settings.auth.key_file or settings.gateway.data_dir / KEY_FILE_NAME
    return KeyFile(path)


def _verifier(auth: model.AuthSettings) -> TokenVerifier | None:
    issuers = [
        TokenIssuer(
            issuer.issuer,
            issuer.audience,
            jwks_url=issuer.jwks_url or "",
            jwks_file=issuer.jwks_file,
            device_claim=issuer.device_claim,
            leeway_s=issuer.leeway_s,
        )
        for issuer in auth.jwt
    ]
    return TokenVerifier(issuers, fetch_key_set, time.monotonic, time.time) if issuers else None


def _client(client: model.ClientSettings, index: int) -> Client:
    setting = f"auth.clients.{index}"
    given = client.api_key_sha256
    hashes = [given] if isinstance(given, str) else given or []
    signing = None
    if client.hmac is not None:
        secrets = tuple(secret.get_secret_value().encode() for secret in client.hmac.secrets)
        signing = SigningSecrets(secrets, SignatureMode(client.hmac.mode))
        for warning in signing_warnings(client.id, signing):
            _log.warning("weak_signature", client=client.id, detail=warning)
    return Client(
        client.id,
        _scope(client.scopes, client.products, client.devices, client.tenant, setting),
        tuple(map(digest_of_hex, hashes)),
        signing,
        client.certificate or "",
        _moment(client.expires),
        _quota(client.quota),
    )


def _scope(
    calls: Sequence[str],
    products: list[str] | None,
    devices: list[str] | None,
    tenant: str | None,
    setting: str,
) -> Scope:
    """calls: () for a scope whose calls do not count."""
    try:
        return Scope.of(calls or (Call.INGEST,), products, devices, tenant or "")
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}", setting=setting) from None


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _quotas(quotas: model.QuotasSettings) -> QuotaOptions:
    default = _quota(quotas.default)
    assert default is not None
    return QuotaOptions(default, quotas.address_requests_per_s, quotas.address_burst_s)


def _quota(quota: model.QuotaSettings | None) -> QuotaLimits | None:
    if quota is None:
        return None
    return QuotaLimits(
        quota.requests_per_s, quota.records_per_s, quota.requests_per_day, quota.records_per_day, quota.burst_s
    )
