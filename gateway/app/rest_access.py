"""Who may call the REST API, from the settings of `auth`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from gateway.access.api_keys import digest_of_hex
from gateway.access.attempts import AttemptLimits, Attempts
from gateway.access.clients import Client, Clients
from gateway.access.jwt import TokenVerifier
from gateway.access.key_file import KEY_FILE_NAME, KeyFile
from gateway.access.quotas import QuotaLimits, QuotaOptions, Quotas
from gateway.access.request_signatures import (
    RequestSignatures,
    SignatureMode,
    SignatureOptions,
    SigningSecrets,
    signing_warnings,
)
from gateway.access.rest import RestAccessOptions, RestAccessServices
from gateway.access.rest_tokens import RestTokens
from gateway.access.scopes import Call, Scope
from gateway.access.token_scopes import TokenRule
from gateway.app.parts import token_verifier
from gateway.domain.errors import ConfigError
from gateway.domain.ports import DirectoryPort
from gateway.settings import model
from gateway.settings.rules import is_loopback

__all__ = ["access_options", "check_rest", "key_file_path", "make_clients", "make_quotas", "make_services"]

_log = structlog.get_logger(__name__)


def check_rest(settings: model.Settings) -> None:
    """Whether clients, tokens and scopes can be used; no file is looked at. Raises ConfigError."""
    make_clients(settings)
    token_verifier(settings.auth)
    for listener in settings.rest.listeners:
        access_options(settings, listener)


def key_file_path(settings: model.Settings) -> Path:
    return settings.auth.key_file or settings.gateway.data_dir / KEY_FILE_NAME


def make_clients(settings: model.Settings) -> Clients:
    """Those of the configuration; `reload` adds those of the key file. Raises ConfigError."""
    configured = [_client(one, index) for index, one in enumerate(settings.auth.clients)]
    return Clients(configured, KeyFile(key_file_path(settings)), time.time)


def make_services(
    auth: model.AuthSettings, clients: Clients, directory: DirectoryPort, verifier: TokenVerifier | None
) -> RestAccessServices:
    """What all listeners share. Signatures that are weak have a line in the log."""
    for client in auth.clients:
        signing = _signing(client)
        for warning in signing_warnings(client.id, signing) if signing is not None else ():
            _log.warning("weak_signature", client=client.id, detail=warning)
    return RestAccessServices(
        clients,
        RequestSignatures(SignatureOptions(window_s=auth.signature_window_s), time.time, time.monotonic),
        Attempts(AttemptLimits(), time.monotonic),
        directory,
        RestTokens(verifier) if verifier is not None else None,
    )


def make_quotas(quotas: model.QuotasSettings) -> Quotas:
    default = _quota(quotas.default)
    assert default is not None
    options = QuotaOptions(default, quotas.address_requests_per_s, quotas.address_burst_s)
    return Quotas(options, time.monotonic, time.time)


def access_options(settings: model.Settings, listener: model.RestListener) -> RestAccessOptions:
    """Who may call one listener. Raises ConfigError."""
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


def _client(client: model.ClientSettings, index: int) -> Client:
    setting = f"auth.clients.{index}"
    given = client.api_key_sha256
    hashes = [given] if isinstance(given, str) else given or []
    return Client(
        client.id,
        _scope(client.scopes, client.products, client.devices, client.tenant, setting),
        tuple(map(digest_of_hex, hashes)),
        _signing(client),
        client.certificate or "",
        _moment(client.expires),
        _quota(client.quota),
    )


def _signing(client: model.ClientSettings) -> SigningSecrets | None:
    if client.hmac is None:
        return None
    secrets = tuple(secret.get_secret_value().encode() for secret in client.hmac.secrets)
    return SigningSecrets(secrets, SignatureMode(client.hmac.mode))


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


def _quota(quota: model.QuotaSettings | None) -> QuotaLimits | None:
    if quota is None:
        return None
    return QuotaLimits(
        quota.requests_per_s, quota.records_per_s, quota.requests_per_day, quota.records_per_day, quota.burst_s
    )
