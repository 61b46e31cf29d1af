"""REST access: who sends a request, and what they may.

Place in the walk: the first thing that happens to a request of the REST and admin APIs, from its headers alone. It ends
with a grant, with a denial, or with a signed request, whose body is still to be fed through the check.

| in the request                              | taken as                                                          |
|---------------------------------------------|-------------------------------------------------------------------|
| `Authorization: Bearer iotlink_...`         | API key                                                           |
| `Authorization: Bearer`, anything else      | token, if issuers are configured, else refused                    |
| `Authorization` of another scheme           | refused                                                           |
| `X-Api-Key`                                 | API key                                                           |
| `X-Signature`                               | signature of the client that `X-Client-Id`, or the path, names    |
| two of these headers, or one of them twice  | refused, even where both are right                                |
| none of them, a certificate of a client     | that client                                                       |
| none of them, any other certificate         | the device of that name if devices may come so, else as without   |
| one of them, and a certificate of a client  | both must prove the same client                                   |
| one of them, and any other certificate      | the header decides: the machine it runs on may be anybody's       |
| nothing                                     | anonymous if that is configured, else refused                     |

What does not prove itself is never taken for less: a wrong key is refused where anonymous callers are let in. Failures
of a key count only once it was compared, as nobody can guess one: so no client is locked out by its neighbours behind
one address. Tokens and signatures cost more to check, and secrets may be weak: an address that failed too often is
refused first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.access.api_keys import KEY_PREFIX, client_id_of
from gateway.access.clients import Client, Clients
from gateway.access.request_signatures import RequestSignatures, SignedBody
from gateway.access.rest_denials import DenyReason, RestDenial
from gateway.access.scopes import Call, RestGrant, Scope
from gateway.access.token_scopes import TokenRule, token_scope, token_subject
from gateway.domain.device import DeviceKey, Principal
from gateway.domain.ports import DirectoryPort
from gateway.observe import events
from gateway.observe.logs import LineLimit

__all__ = [
    "AccessRequest",
    "FailedAttempts",
    "Headers",
    "RestAccess",
    "RestAccessOptions",
    "RestAccessServices",
    "SignedRequest",
    "TokenRefusal",
    "TokenVerifier",
]

_CREDENTIALS = ("Authorization", "X-Api-Key", "X-Signature")
_NONE: list[str] = []
_MAX_TOKEN = 8_192
_RETRY_S = {DenyReason.TOO_MANY_ATTEMPTS: 30, DenyReason.KEYS_UNAVAILABLE: 5}

_SIGNABLE = frozenset({Call.INGEST})
"""Neither method nor path is signed, so a signature must not be able to do more than send data."""


class Headers(Protocol):
    """Headers of a request, names in any case (`multidict.CIMultiDictProxy`)."""

    def getall(self, key: str, default: list[str], /) -> list[str]: ...


class FailedAttempts(Protocol):
    """Counts failures by address and by the name that was tried (`gateway.access.attempts.Attempts`)."""

    def allowed(self, address: str, user: str) -> bool: ...

    def failed(self, address: str, user: str) -> None: ...

    def succeeded(self, address: str, user: str) -> None: ...


class TokenRefusal(Exception):
    """A token is not believed; reason says why (`token_...`, `keys_unavailable`)."""

    def __init__(self, reason: DenyReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class TokenVerifier(Protocol):
    """Checks JSON Web Tokens against the issuers that the operator trusts."""

    async def verify(self, token: str) -> Mapping[str, object]:
        """The claims of a token whose signature, issuer, audience and times are right; `iss` is a text. Waits for keys
        that are not there yet, within a limit of its own. Raises TokenRefusal."""
        ...


@dataclass(slots=True, frozen=True)
class AccessRequest:
    """What access has to know of a request. address: as `address_of` names it, for counting failures. certificate: of
    the connection, its `name` by the rule for certificates; None without one. path_client: the client that the path
    names, or "". streamed: the body is acted on as it comes, before its end. request_id: for the log."""

    headers: Headers
    address: str
    certificate: Principal | None = None
    path_client: str = ""
    streamed: bool = False
    request_id: str = ""


@dataclass(slots=True, frozen=True)
class RestAccessOptions:
    """anonymous: what callers without credentials may do; None: they are not let in. certificate_devices: a
    certificate that names no client is a device's, which may send its own data and that of its children. tokens: a
    rule per issuer; tokens of others are refused."""

    anonymous: Scope | None = None
    certificate_devices: bool = False
    tokens: Sequence[TokenRule] = ()


@dataclass(slots=True)
class RestAccessServices:
    """What all listeners share. tokens: None where no issuer is configured."""

    clients: Clients
    signatures: RequestSignatures
    attempts: FailedAttempts
    directory: DirectoryPort
    tokens: TokenVerifier | None = None


@dataclass(slots=True, frozen=True)
class _Given:
    """The credentials of one request, at most one of the three."""

    key: str = ""
    token: str = ""
    signature: str = ""


class SignedRequest:
    """A request that is let in if its body is what was signed: `update` with every piece as it came over the wire, then
    `finish`, once. Until then it is nobody's."""

    __slots__ = ("_access", "_body", "_claimed", "_client", "_request")

    def __init__(
        self, access: RestAccess, request: AccessRequest, claimed: str, client: Client | None, body: SignedBody
    ) -> None:
        self._access = access
        self._request = request
        self._claimed = claimed
        self._client = client
        self._body = body

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        self._body.update(piece)

    def finish(self) -> RestGrant | RestDenial:
        return self._access.signature_ended(self._request, self._claimed, self._client, self._body.finish())

    def release(self) -> None:
        """Nothing was kept of the request (429, 503): it may come again as it is."""
        self._body.release()


class RestAccess:
    """Of one listener. tenant: of all who call there; clients of another tenant have nothing here.

    denied: how often, by reason.
    """

    __slots__ = ("_lines", "_options", "_rules", "_services", "_tenant", "denied", "listener")

    def __init__(
        self, options: RestAccessOptions, services: RestAccessServices, listener: str, tenant: str = ""
    ) -> None:
        self.listener = listener
        self.denied: dict[DenyReason, int] = dict.fromkeys(DenyReason, 0)
        self._options = options
        self._services = services
        self._tenant = tenant
        self._rules = {rule.issuer: rule for rule in options.tokens}
        self._lines = LineLimit()

    async def authenticate(self, request: AccessRequest) -> RestGrant | SignedRequest | RestDenial:
        """Who calls, by the table above. Never raises for what a request holds."""
        given = _given(request.headers)
        if isinstance(given, DenyReason):
            return self._deny(request, given)
        if given.key:
            return self._by_key(request, given.key)
        if given.token:
            return await self._by_token(request, given.token)
        if given.signature:
            return self._by_signature(request, given.signature)
        if request.certificate is not None:
            return self._by_certificate(request, request.certificate)
        return self._anonymous(request, DenyReason.NO_CREDENTIALS)

    # Who it is

    def _by_key(self, request: AccessRequest, key: str) -> RestGrant | RestDenial:
        client = self._services.clients.by_key(key)
        if isinstance(client, Client):
            return self._admit(request, client, "key")
        attempts, claimed = self._services.attempts, client_id_of(key)
        if not attempts.allowed(request.address, ""):
            return self._deny(request, DenyReason.TOO_MANY_ATTEMPTS, claimed)
        attempts.failed(request.address, "")
        return self._deny(request, client, claimed)

    async def _by_token(self, request: AccessRequest, token: str) -> RestGrant | RestDenial:
        services = self._services
        if services.tokens is None:  # then only keys come this way
            return self._deny(request, DenyReason.KEY_MALFORMED)
        if not services.attempts.allowed(request.address, ""):
            return self._deny(request, DenyReason.TOO_MANY_ATTEMPTS)
        try:
            if len(token) > _MAX_TOKEN:
                raise TokenRefusal(DenyReason.TOKEN_INVALID)
            claims = await services.tokens.verify(token)
            rule, subject = self._rules.get(str(claims.get("iss"))), token_subject(claims)
            if rule is None:
                raise TokenRefusal(DenyReason.TOKEN_ISSUER)
            if not subject:
                raise TokenRefusal(DenyReason.TOKEN_NAMES_NOBODY)
        except TokenRefusal as refused:
            if refused.reason is not DenyReason.KEYS_UNAVAILABLE:
                services.attempts.failed(request.address, "")
            return self._deny(request, refused.reason)
        scope = token_scope(claims, rule)
        if not scope.calls:
            return self._deny(request, DenyReason.TOKEN_ALLOWS_NOTHING, subject)
        grant = RestGrant(Principal("token", subject), f"token:{rule.issuer}:{subject}", scope, quota=rule.quota)
        return self._let_in(request, grant)

    def _by_signature(self, request: AccessRequest, signature: str) -> SignedRequest | RestDenial:
        services = self._services
        if request.streamed:
            return self._deny(request, DenyReason.SIGNATURE_ON_STREAM)
        client_id = _only(request.headers, "X-Client-Id") or request.path_client
        timestamp = _only(request.headers, "X-Timestamp")
        if not client_id or timestamp is None:
            return self._deny(request, DenyReason.SIGNATURE_MALFORMED, client_id or "")
        if not services.attempts.allowed(request.address, _user(client_id)):
            return self._deny(request, DenyReason.TOO_MANY_ATTEMPTS, client_id)
        client = services.clients.by_id(client_id)
        signing = client.signing if client is not None else None
        body = services.signatures.begin(client_id, signing, timestamp, signature)
        if isinstance(body, RestDenial):
            return self._denied(request, body, client_id)
        return SignedRequest(self, request, client_id, client, body)

    def signature_ended(
        self, request: AccessRequest, claimed: str, client: Client | None, denial: RestDenial | None
    ) -> RestGrant | RestDenial:
        """For `SignedRequest`: what its body has shown. claimed: the id that was named; client: whose it is, if any."""
        attempts = self._services.attempts
        if client is None or denial is not None:
            wrong = denial if denial is not None else RestDenial(DenyReason.SIGNATURE_UNKNOWN_CLIENT)
            if wrong.reason in (DenyReason.SIGNATURE_WRONG, DenyReason.SIGNATURE_UNKNOWN_CLIENT):
                attempts.failed(request.address, _user(claimed))
            return self._denied(request, wrong, claimed)
        attempts.succeeded(request.address, _user(claimed))
        scope = replace(client.scope, calls=client.scope.calls & _SIGNABLE)
        return self._admit(request, replace(client, scope=scope), "signature")

    def _by_certificate(self, request: AccessRequest, certificate: Principal) -> RestGrant | RestDenial:
        client = self._services.clients.by_certificate(certificate.name) if certificate.name else None
        if client is not None:
            return self._admit(request, client, certificate.kind)
        key = DeviceKey(self._tenant, certificate.name)
        if not self._options.certificate_devices or not key.names_lane:
            return self._anonymous(request, DenyReason.CERTIFICATE_NAMES_NOBODY)
        grant = RestGrant(
            certificate,
            f"device:{key.lane}",
            Scope(),
            device_id=certificate.name,
            directory=self._services.directory,
        )
        return self._let_in(request, grant)

    def _anonymous(self, request: AccessRequest, otherwise: DenyReason) -> RestGrant | RestDenial:
        scope = self._options.anonymous
        if scope is None:
            return self._deny(request, otherwise)
        return self._let_in(request, RestGrant(Principal("anonymous"), f"anonymous:{request.address}", scope))

    # Whether it is let in

    def _admit(self, request: AccessRequest, client: Client, kind: str) -> RestGrant | RestDenial:
        """A client that has proven who it is."""
        clients = self._services.clients
        if clients.has_expired(client):
            return self._deny(request, DenyReason.CLIENT_EXPIRED, client.id)
        clients.used(client)
        caller = f"client:{client.id}"
        grant = RestGrant(Principal(kind, client.id), caller, client.scope, client_id=client.id, quota=client.quota)
        return self._let_in(request, grant)

    def _let_in(self, request: AccessRequest, grant: RestGrant) -> RestGrant | RestDenial:
        name = request.certificate.name if request.certificate is not None else ""
        other = self._services.clients.by_certificate(name) if name else None
        if other is not None and other.id != grant.client_id:
            return self._deny(request, DenyReason.CREDENTIALS_DIFFER, grant.caller)
        if request.path_client and grant.client_id not in ("", request.path_client):
            return self._deny(request, DenyReason.CLIENT_DIFFERS, grant.caller)
        own = grant.scope.tenant
        if own and self._tenant and own != self._tenant:
            return self._deny(request, DenyReason.WRONG_TENANT, grant.caller)
        grant.tenant = own or self._tenant
        return grant

    def _deny(self, request: AccessRequest, reason: DenyReason, client: str = "") -> RestDenial:
        return self._denied(request, RestDenial(reason, _RETRY_S.get(reason, 0)), client)

    def _denied(self, request: AccessRequest, denial: RestDenial, client: str) -> RestDenial:
        said = {"address": request.address, "client": client, "request_id": request.request_id}
        events.rest_denied(self.denied, self._lines, denial.reason, listener=self.listener, **said)
        return denial


def _given(headers: Headers) -> _Given | DenyReason:
    """The one credential in the headers, if any."""
    found = [(name, value.strip(" \t")) for name in _CREDENTIALS for value in headers.getall(name, _NONE)]
    if len(found) > 1:
        return DenyReason.SEVERAL_CREDENTIALS
    if not found:
        return _Given()
    name, value = found[0]
    if name == "X-Signature":
        return _Given(signature=value) if value else DenyReason.SIGNATURE_MALFORMED
    if name == "X-Api-Key":
        return _Given(key=value) if value else DenyReason.KEY_MALFORMED
    scheme, _, credentials = value.partition(" ")
    credentials = credentials.strip(" ")
    if scheme.lower() != "bearer" or not credentials:
        return DenyReason.UNSUPPORTED_SCHEME
    return _Given(key=credentials) if credentials.startswith(KEY_PREFIX) else _Given(token=credentials)


def _all(headers: Headers, name: str) -> list[str]:
    return [value.strip(" \t") for value in headers.getall(name, _NONE)]


def _only(headers: Headers, name: str) -> str | None:
    """The value of a header that may stand there once; "" without it, None for several."""
    values = _all(headers, name)
    if len(values) > 1:
        return None
    return values[0] if values else ""


def _user(client_id: str) -> str:
    """The name under which failures of a client are counted, apart from user names of devices."""
    return f"rest:{client_id}"
