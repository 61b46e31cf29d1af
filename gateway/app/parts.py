"""Parts: what all faces are given. Place in the walk: made by `Gateway.run`, once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from decoders.catalog import Catalog
from gateway.access.admission import Admission
from gateway.access.certificates import CertificateName, CertificateRule
from gateway.access.jwks_http import fetch_key_set
from gateway.access.jwt import TokenIssuer, TokenVerifier
from gateway.delivery.outbox import Outbox
from gateway.devices.directory import FileDirectory
from gateway.domain.errors import ConfigError
from gateway.ingress.clock import Clock, IdSource
from gateway.ingress.flow import Flow
from gateway.ingress.tls import ClientAuth, server_context
from gateway.observe.metrics import Metrics
from gateway.observe.tap import Tap
from gateway.settings import model

__all__ = ["Parts", "certificate_rule", "stream_options", "token_verifier"]


@dataclass(slots=True)
class Parts:
    settings: model.Settings
    catalog: Catalog
    directory: FileDirectory
    admission: Admission
    flow: Flow
    outbox: Outbox
    metrics: Metrics
    tap: Tap
    clock: Clock
    ids: IdSource


def stream_options(listener: model.TcpListener | model.MqttListener, port: int, setting: str) -> dict[str, Any]:
    """What the options of all listeners have in common (`gateway.ingress.stream_face.StreamOptions`). setting: dotted
    path of the listener. Raises ConfigError for files of `tls` that cannot be used."""
    keepalive, tls = listener.keepalive, listener.tls
    options: dict[str, Any] = {
        "name": listener.name,
        "host": listener.host,
        "port": port,
        "tenant": listener.tenant or "",
        "max_connections": listener.max_connections,
        "max_per_ip": listener.max_connections_per_ip,
        "proxy_protocol": listener.proxy_protocol,
        "setting": setting,
        "keepalive_idle_s": keepalive.idle_s if keepalive is not None else 0,
    }
    if keepalive is not None:
        options |= {"keepalive_interval_s": keepalive.interval_s, "keepalive_probes": keepalive.probes}
    if tls is not None:
        try:
            auth = ClientAuth(tls.client_auth)
            options["tls"] = server_context(tls.cert_file, tls.key_file, tls.client_ca_file, auth)
        except ConfigError as error:
            raise error.below(setting) from None
    return options


def certificate_rule(auth: model.AuthSettings) -> CertificateRule:
    """The same for all faces."""
    return CertificateRule(CertificateName(auth.certificate_name), auth.certificate_prefix)


def token_verifier(auth: model.AuthSettings) -> TokenVerifier | None:
    """Of one face, which starts and closes it; None where no issuer is configured. Raises ConfigError."""
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
