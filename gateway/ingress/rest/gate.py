"""The gate of one listener: may this request come in, who sends it, and how much of it.

Place in the walk: the first thing that a request meets, before its body is read. Order: the address's quota, room for
data, who calls, what the caller may do, the caller's quota.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from gateway.access.attempts import address_of
from gateway.access.certificates import CertificateRule
from gateway.access.quotas import QuotaAnswer, Quotas
from gateway.access.rest import AccessRequest, RestAccess, SignedRequest
from gateway.access.rest_denials import RestDenial
from gateway.access.scopes import Call, RestGrant
from gateway.domain.device import Principal
from gateway.ingress.rest.body import Body
from gateway.ingress.rest.exchange import EXCHANGE
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.routes import Route
from gateway.ingress.tls import principal_of
from gateway.observe.problems import Limit, Problem, ProblemCode
from gateway.observe.sites import host_name, is_cross_site, origin_site
from gateway.settings.rules import is_loopback

__all__ = ["Caller", "Gate", "GateOptions"]

_MAX_ADDRESSES = 4_096
_SIGNATURE = "signature"


@dataclass(slots=True, frozen=True)
class GateOptions:
    """forwarded_hops: load balancers that add to X-Forwarded-For. on_loopback: the listener can be reached from this
    machine alone. allowed_origins: of sites whose pages may call."""

    certificate: CertificateRule
    forwarded_hops: int = 0
    on_loopback: bool = False
    allowed_origins: frozenset[str] = frozenset()


@dataclass(slots=True)
class Caller:
    """Who sends a request. signed: what is still to be fed with its body, or has been. headers: for its answer."""

    peer: str
    grant: RestGrant | None = None
    signed: SignedRequest | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> RestGrant:
        assert self.grant is not None
        return self.grant

    def release(self) -> None:
        """Nothing of the request was kept: it may come again as it is."""
        if self.signed is not None:
            self.signed.release()


class Gate:
    """All methods raise Problem for a request that is not let in."""

    def __init__(self, access: RestAccess, quotas: Quotas, intake: Intake, options: GateOptions) -> None:
        self._access = access
        self._quotas = quotas
        self._intake = intake
        self._options = options
        self._address_of = lru_cache(_MAX_ADDRESSES)(address_of)

    async def enter(self, request: web.Request, route: Route, *, path_client: str, streamed: bool) -> Caller:
        """A caller without a grant has signed: `prove` it with the body. streamed: the body is acted on as it comes."""
        peer = self._peer(request)
        address = self._address_of(peer)
        self._take(self._quotas.take_address(address), {})
        sends = route.right is Call.INGEST
        if sends:
            self._intake.check()
        caller = Caller(peer)
        if route.right is None:
            return caller
        certificate, request_id = self._certificate(request), request[EXCHANGE].request_id
        asked = AccessRequest(request.headers, address, certificate, path_client, streamed, request_id)
        found = await self._access.authenticate(asked)
        if isinstance(found, SignedRequest):
            caller.signed = found
        else:
            self._admit(request, route, caller, found)
        return caller

    async def prove(self, request: web.Request, route: Route, caller: Caller, body: Body) -> None:
        """Reads the body of a signed request, which shows who sends it; of any other request nothing happens."""
        if caller.signed is None:
            return
        caller.signed.update(await body.sent())
        try:
            self._admit(request, route, caller, caller.signed.finish())
        except Problem as problem:
            if problem.status in (429, 503):
                caller.release()
            raise

    def take_items(self, caller: Caller, count: int) -> None:
        grant = caller.proven
        self._take(self._quotas.take_records(grant.caller, grant.quota, count), caller.headers)

    def _admit(self, request: web.Request, route: Route, caller: Caller, found: RestGrant | RestDenial) -> None:
        if isinstance(found, RestDenial):
            raise Problem(found.status, found.code, found.detail, headers=found.headers())
        request[EXCHANGE].client = found.caller
        if found.principal.kind == "anonymous":
            self._check_site(request)
        assert route.right is not None
        if not found.scope.has_call(route.right):
            raise Problem(403, ProblemCode.NOT_ALLOWED, _not_allowed(found, route.right))
        sends = route.right is Call.INGEST
        self._take(self._quotas.take_request(found.caller, found.quota, sends=sends), caller.headers)
        caller.grant = found

    def _take(self, answer: QuotaAnswer, headers: dict[str, str]) -> None:
        state = answer.state
        if state is None:
            return
        headers.update(answer.headers())
        if answer.allowed:
            return
        detail = f"more than {state.name.value} allows; it goes on in {state.wait_s} s"
        raise Problem(
            429,
            ProblemCode.LIMIT_REACHED,
            detail,
            limit=Limit(state.name.value, state.limit),
            headers=answer.headers(),
        )

    def _check_site(self, request: web.Request) -> None:
        """Against pages of other sites in a browser on this machine or network, which need no credentials here."""
        headers = request.headers
        host = headers.get("Host", "")
        if self._options.on_loopback and not is_loopback(host_name(host)):
            detail = "without credentials the Host header must name this machine: localhost or a loopback address"
            raise Problem(421, ProblemCode.WRONG_HOST, detail)
        origin = headers.get("Origin")
        if origin in self._options.allowed_origins:
            return
        foreign = origin is not None and origin_site(origin) != host
        if foreign or is_cross_site(headers.get("Sec-Fetch-Site")):
            raise Problem(403, ProblemCode.CROSS_SITE, "requests from pages of other sites are refused")

    def _certificate(self, request: web.Request) -> Principal | None:
        transport = request.transport
        certificate: Any = transport.get_extra_info("peercert") if transport is not None else None
        if not certificate:
            return None
        principal = principal_of(certificate)
        rule = self._options.certificate
        if not rule.applies(principal):
            return None
        return Principal(principal.kind, rule.name_of(principal))

    def _peer(self, request: web.Request) -> str:
        """Address and port as peers are written everywhere; behind load balancers what the first of ours was told."""
        transport = request.transport
        peer: Any = transport.get_extra_info("peername") if transport is not None else None
        host, port = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) and len(peer) >= 2 else ("", 0)
        hops = self._options.forwarded_hops
        if hops:
            told = [part.strip() for part in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
            if len(told) >= hops and _is_address(told[-hops]):
                host, port = told[-hops], 0
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _not_allowed(grant: RestGrant, needed: Call) -> str:
    has = ", ".join(call for call in Call if call in grant.scope.calls) or "none"
    detail = f"the scope `{needed}` is needed; this caller has {has}"
    if grant.principal.kind == _SIGNATURE and needed is not Call.INGEST:
        detail = f"signatures only send: the scope `{needed}` needs an API key, a token or a certificate"
    return detail


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
