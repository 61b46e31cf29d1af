"""Why requests are not let in: for each reason the status, the code and what the caller is told.

Place in the walk: REST access ends with one of these or with a grant. The reason is for the operator (metric label, log
field); code and text are for the caller and tell a stranger nothing: an unknown client and a wrong secret are one
answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["DenyReason", "RestDenial"]

REALM = "iotlink"


class DenyReason(StrEnum):
    """Metric label and log field."""

    NO_CREDENTIALS = "no_credentials"
    SEVERAL_CREDENTIALS = "several_credentials"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    KEY_MALFORMED = "key_malformed"
    KEY_UNKNOWN = "key_unknown"
    KEY_WRONG = "key_wrong"
    KEY_REVOKED = "key_revoked"
    CLIENT_EXPIRED = "client_expired"
    SIGNATURE_MALFORMED = "signature_malformed"
    SIGNATURE_UNKNOWN_CLIENT = "signature_unknown_client"
    SIGNATURE_WRONG = "signature_wrong"
    SIGNATURE_STALE = "signature_stale"
    SIGNATURE_REPLAYED = "signature_replayed"
    SIGNATURE_MEMORY_FULL = "signature_memory_full"
    SIGNATURE_ON_STREAM = "signature_on_stream"
    TOKEN_INVALID = "token_invalid"
    TOKEN_ISSUER = "token_issuer"
    TOKEN_AUDIENCE = "token_audience"
    TOKEN_KEY = "token_key"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_TOO_EARLY = "token_too_early"
    TOKEN_NAMES_NOBODY = "token_names_nobody"
    TOKEN_ALLOWS_NOTHING = "token_allows_nothing"
    KEYS_UNAVAILABLE = "keys_unavailable"
    CERTIFICATE_NAMES_NOBODY = "certificate_names_nobody"
    CREDENTIALS_DIFFER = "credentials_differ"
    CLIENT_DIFFERS = "client_differs"
    WRONG_TENANT = "wrong_tenant"


@dataclass(slots=True, frozen=True)
class _Text:
    status: int
    code: str
    detail: str
    error: str = ""
    """Of the Bearer challenge (RFC 6750 section 3.1)."""


_INVALID_KEY = _Text(
    401, "invalid_key", "the API key is not valid here: mistyped, or of another gateway", "invalid_token"
)
_INVALID_SIGNATURE = _Text(401, "invalid_signature", "client id or signature are not valid")
_INVALID_TOKEN = _Text(401, "invalid_token", "the token is not valid here", "invalid_token")

_TEXTS = {
    DenyReason.NO_CREDENTIALS: _Text(
        401, "no_credentials", "an API key (Authorization: Bearer, or X-Api-Key), a token or a signature is needed"
    ),
    DenyReason.SEVERAL_CREDENTIALS: _Text(
        401,
        "several_credentials",
        "give one of Authorization, X-Api-Key and X-Signature, and each of these headers once",
        "invalid_request",
    ),
    DenyReason.UNSUPPORTED_SCHEME: _Text(
        401, "unsupported_scheme", "`Authorization: Bearer <API key or token>` is expected", "invalid_request"
    ),
    DenyReason.TOO_MANY_ATTEMPTS: _Text(429, "too_many_attempts", "too many failed attempts; try again later"),
    DenyReason.KEY_MALFORMED: _Text(
        401,
        "invalid_key",
        "this is no API key: one is iotlink_<client>_<43 characters>, whole and without quotes",
        "invalid_token",
    ),
    DenyReason.KEY_UNKNOWN: _INVALID_KEY,
    DenyReason.KEY_WRONG: _INVALID_KEY,
    DenyReason.KEY_REVOKED: _Text(401, "key_revoked", "the API key was revoked: ask for a new one", "invalid_token"),
    DenyReason.CLIENT_EXPIRED: _Text(
        401, "client_expired", "the client's access has expired: ask for a new key", "invalid_token"
    ),
    DenyReason.SIGNATURE_MALFORMED: _Text(
        401,
        "malformed_signature",
        "expected are X-Client-Id, X-Timestamp (Unix seconds) and X-Signature: sha256=<64 hex digits>, each once",
    ),
    DenyReason.SIGNATURE_UNKNOWN_CLIENT: _INVALID_SIGNATURE,
    DenyReason.SIGNATURE_WRONG: _INVALID_SIGNATURE,
    DenyReason.SIGNATURE_STALE: _Text(
        401, "stale_signature", "X-Timestamp is too far from the time here; sign again, and check the clock"
    ),
    DenyReason.SIGNATURE_REPLAYED: _Text(
        401, "replayed_signature", "this signature was used already; sign again with the time of now"
    ),
    DenyReason.SIGNATURE_MEMORY_FULL: _Text(503, "replay_cache_full", "no room to remember more signatures just now"),
    DenyReason.SIGNATURE_ON_STREAM: _Text(
        401, "signature_on_stream", "streamed uploads need an API key or a token: they are read as they come"
    ),
    DenyReason.TOKEN_INVALID: _INVALID_TOKEN,
    DenyReason.TOKEN_ISSUER: _INVALID_TOKEN,
    DenyReason.TOKEN_AUDIENCE: _INVALID_TOKEN,
    DenyReason.TOKEN_KEY: _INVALID_TOKEN,
    DenyReason.TOKEN_EXPIRED: _Text(401, "token_expired", "the token has expired", "invalid_token"),
    DenyReason.TOKEN_TOO_EARLY: _Text(401, "token_too_early", "the token is not valid yet", "invalid_token"),
    DenyReason.TOKEN_NAMES_NOBODY: _INVALID_TOKEN,
    DenyReason.TOKEN_ALLOWS_NOTHING: _Text(
        403, "token_allows_nothing", "neither scope nor roles of the token allow anything here", "insufficient_scope"
    ),
    DenyReason.KEYS_UNAVAILABLE: _Text(503, "keys_unavailable", "the token cannot be checked just now"),
    DenyReason.CERTIFICATE_NAMES_NOBODY: _Text(
        401, "certificate_names_nobody", "the client certificate names nobody who is known here"
    ),
    DenyReason.CREDENTIALS_DIFFER: _Text(
        401, "credentials_differ", "client certificate and credentials belong to different clients", "invalid_request"
    ),
    DenyReason.CLIENT_DIFFERS: _Text(
        403, "client_differs", "the path names another client than the credentials: put the client's own id there"
    ),
    DenyReason.WRONG_TENANT: _Text(403, "wrong_tenant", "this client has nothing on this listener"),
}


@dataclass(slots=True, frozen=True)
class RestDenial:
    """The answer to a request that is not let in. retry_after_s: 0 where trying again as it is makes no sense."""

    reason: DenyReason
    retry_after_s: int = 0

    @property
    def status(self) -> int:
        """401 not proven who calls; 403 proven, and not here; 429 and 503 later."""
        return _TEXTS[self.reason].status

    @property
    def code(self) -> str:
        """`code` of the problem document."""
        return _TEXTS[self.reason].code

    @property
    def detail(self) -> str:
        """`detail` of the problem document."""
        return _TEXTS[self.reason].detail

    def headers(self) -> dict[str, str]:
        """`WWW-Authenticate` with every 401 (RFC 9110 section 15.5.2), `Retry-After` where it helps."""
        text = _TEXTS[self.reason]
        headers: dict[str, str] = {}
        if text.status == 401 or text.error:
            challenge = f'Bearer realm="{REALM}"'
            headers["WWW-Authenticate"] = f'{challenge}, error="{text.error}"' if text.error else challenge
        if self.retry_after_s:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers
