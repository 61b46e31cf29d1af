"""The REST listeners and all that answers behind them, from the settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import structlog
from prometheus_client.core import Metric

from gateway.access.clients import Clients
from gateway.access.jwt import TokenVerifier
from gateway.access.key_file import KeyFileError
from gateway.access.rest import RestAccess
from gateway.app.parts import Parts, certificate_rule, token_verifier
from gateway.app.rest_access import access_options, key_file_path, make_clients, make_quotas, make_services
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

    def __init__(self, server: RestServer, clients: Clients, key_file: Path, tokens: TokenVerifier | None) -> None:
        self.server = server
        self._clients = clients
        self._key_file = key_file
        self._key_problem = ""  # of the last look at the key file
        self._tokens = tokens
        self._reloading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OperatorError: an address cannot be had, or a file of keys cannot be used."""
        if not self.server.listeners:
            return
        try:
            ignored = (await asyncio.to_thread(self._clients.reload)).ignored
        except KeyFileError as error:
            setting = "auth.key_file"
            text = f"{setting}: {error}; mend the file, or move it away to go on without its keys"
            raise ConfigError(text, setting=setting) from None
        if ignored:
            _log.warning("keys_ignored", clients=list(ignored), detail="clients of the configuration have these ids")
        if self._tokens is not None:
            await self._tokens.start()
        await self.server.start()
        self._reloading = asyncio.create_task(self._reload(), name="key file")

    def health(self) -> ComponentHealth:
        """refusing: why data is answered 503 now. Degraded while it is, or while the key file cannot be read: what that
        said last goes on to count."""
        refusal = self.server.refusal()
        listeners = {listener.options.name: listener.health() for listener in self.server.listeners}
        problem = self._key_problem or (f"{refusal.code}: {refusal.detail}" if refusal is not None else "")
        facts = {
            "refusing": {"code": str(refusal.code), "detail": refusal.detail} if refusal is not None else None,
            "keys": {"file": str(self._key_file), "last_error": self._key_problem},
            "requests_in_flight": sum(one["requests_in_flight"] for one in listeners.values()),
            "listeners": listeners,
        }
        return ComponentHealth(State.DEGRADED if problem else State.OK, problem, facts)

    def stop_accepting(self) -> None:
        self.server.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Returns how many requests were cut."""
        cut = await self.server.drain(deadline_s)
        if self._reloading is not None:
            self._reloading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reloading
            self._reloading = None
            await asyncio.to_thread(self._clients.close)
        if self._tokens is not None:
            self._tokens.close()
        return cut

    async def _reload(self) -> None:
        """Takes up what `iotlink keys` changes."""
        while True:
            await asyncio.sleep(_RELOAD_S)
            problem = ""
            try:
                await asyncio.to_thread(self._clients.reload)
            except KeyFileError as error:
                problem = str(error)
                if problem != self._key_problem:
                    _log.error("key_file_unusable", detail=problem)
            self._key_problem = problem


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
    clients, verifier = make_clients(settings), token_verifier(auth)
    services = make_services(auth, clients, parts.directory, verifier)
    quotas, intake = make_quotas(auth.quotas), Intake(parts.outbox)
    requests = RequestCounters(parts.metrics.registry)
    items = Items(ItemServices(topics.reader, parts.flow, parts.outbox, presence, parts.directory, parts.metrics))
    shapes, catalog = Shapes(lambda: parts.catalog), CatalogCalls(lambda: parts.catalog)
    server = RestServer(intake)
    accesses = []
    for index, listener in enumerate(settings.rest.listeners):
        access = RestAccess(access_options(settings, listener), services, listener.name, listener.tenant or "")
        accesses.append(access)
        parts.metrics.traffic(listener.name, UNDETECTED)  # so that its series are there from the start, with 0
        gate = Gate(access, quotas, intake, _gate_options(auth, listener))
        sending = SendingCalls(
            items, gate, intake, keys, _sending_limits(settings.rest, listener), parts.clock.unix_ms, parts.ids.make
        )
        calls = Calls(listener.name, gate, shapes, sending, catalog, parts.clock.unix_ms)
        server.listeners.append(RestListener(_options(index, listener), calls.answer, parts.metrics, requests))

    def families() -> Iterator[Metric]:
        yield from requests.families()
        yield from access_rest_families(accesses, quotas.refused)

    if accesses:
        parts.metrics.add(families)
    return RestFace(server, clients, key_file_path(settings), verifier)


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
        frozenset(listener.allowed_origins),
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
    origins = frozenset(listener.allowed_origins)
    return GateOptions(certificate_rule(auth), listener.forwarded_hops, is_loopback(listener.host), origins)
