"""Tokens: JSON Web Tokens (RFC 7519) as passwords, signed with RS256 or ES256 by an issuer that the operator trusts.

Place in the walk: MQTT access hands in what looks like a token. The signature is checked before any claim is believed;
only the issuer's name is read earlier, to find its keys.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry

from gateway.access.denials import DenyCode
from gateway.access.jwks import ALGORITHMS, MAX_JWKS_BYTES, KeyFetchError, KeyStore
from gateway.domain.errors import ConfigError

__all__ = ["KeysMissing", "TokenIssuer", "TokenRefused", "TokenVerifier", "VerifiedToken", "looks_like_token"]

MAX_TOKEN_BYTES = 8_192

_TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = JWSRegistry(strict_check_header=False)  # issuers put their own names there; `crit` is heeded all the same


@dataclass(slots=True, frozen=True)
class TokenIssuer:
    """One entry of `auth.jwt`. Exactly one of jwks_url (https, or http on loopback) and jwks_file. device_claim: the
    claim that holds the device's id. leeway_s: by how much clocks may differ."""

    issuer: str
    audience: str
    jwks_url: str = ""
    jwks_file: Path | None = None
    device_claim: str = "sub"
    leeway_s: int = 60


@dataclass(slots=True, frozen=True)
class VerifiedToken:
    """What a token proves. device_id: the text of the issuer's `device_claim`."""

    issuer: str
    device_id: str


class TokenRefused(Exception):
    """code says why."""

    def __init__(self, code: DenyCode) -> None:
        super().__init__(code.value)
        self.code = code


class KeysMissing(Exception):
    """The token's key is not known yet; store: may be asked for it, then the token is to be checked again."""

    def __init__(self, store: KeyStore) -> None:
        super().__init__("key not known yet")
        self.store = store


def looks_like_token(password: bytes) -> bool:
    """Three parts of base64url, of which the first is a JSON object."""
    return _TOKEN.fullmatch(password) is not None


class TokenVerifier:
    """Checks tokens of several issuers. fetch: GET of a key set, raises KeyFetchError. clock: seconds, rising; unix_s:
    wall time. Raises ConfigError for issuers that cannot be used."""

    __slots__ = ("_issuers", "_unix_s")

    def __init__(
        self,
        issuers: Sequence[TokenIssuer],
        fetch: Callable[[str], Awaitable[bytes]],
        clock: Callable[[], float],
        unix_s: Callable[[], float],
    ) -> None:
        self._unix_s = unix_s
        self._issuers: dict[str, tuple[TokenIssuer, KeyStore, jwt.JWTClaimsRegistry]] = {}
        for index, one in enumerate(issuers):
            problem = _problem(one)
            if not problem and one.issuer in self._issuers:
                problem = f"the issuer {one.issuer} is there already"
            if problem:
                raise ConfigError(f"auth.jwt.{index}: {problem}", setting=f"auth.jwt.{index}")
            if one.jwks_file is not None:
                store = KeyStore(partial(_read_file, one.jwks_file), str(one.jwks_file), clock)
            else:
                store = KeyStore(partial(fetch, one.jwks_url), one.jwks_url, clock)
            registry = jwt.JWTClaimsRegistry(
                now=self._now,
                leeway=one.leeway_s,
                iss={"essential": True, "value": one.issuer},
                exp={"essential": True},
            )
            self._issuers[one.issuer] = (one, store, registry)

    async def start(self) -> None:
        """Loads all keys. A URL that does not answer is tried again with the first token; a file that cannot be used
        raises ConfigError."""
        problems = await asyncio.gather(*(store.refresh() for _, store, _ in self._issuers.values()))
        for index, (problem, (issuer, _, _)) in enumerate(zip(problems, self._issuers.values(), strict=True)):
            if problem and issuer.jwks_file is not None:
                setting = f"auth.jwt.{index}.jwks_file"
                raise ConfigError(f"{setting}: {problem}", setting=setting)

    def close(self) -> None:
        for _, store, _ in self._issuers.values():
            store.close()

    def check(self, token: bytes) -> VerifiedToken:
        """Raises TokenRefused, or KeysMissing where its key is not known yet."""
        issuer, proven = self.claims(token)
        device_id = proven.get(issuer.device_claim)
        if not isinstance(device_id, str) or not device_id:
            raise TokenRefused(DenyCode.TOKEN_NAMES_NOBODY)
        return VerifiedToken(issuer.issuer, device_id)

    def claims(self, token: bytes) -> tuple[TokenIssuer, dict[str, Any]]:
        """Who issued it, and what it says, all of which is proven. Raises as `check` does."""
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenRefused(DenyCode.TOKEN_INVALID)
        header, claims = _peek(token)
        algorithm, key_id, name = header.get("alg"), header.get("kid", ""), claims.get("iss")
        if algorithm not in ALGORITHMS or not isinstance(key_id, str) or not isinstance(name, str):
            raise TokenRefused(DenyCode.TOKEN_INVALID)
        found = self._issuers.get(name)
        if found is None:
            raise TokenRefused(DenyCode.TOKEN_ISSUER)
        issuer, store, registry = found
        key = store.find(key_id, algorithm)
        if key is None:
            raise KeysMissing(store)
        store.freshen()
        try:
            proven = jwt.decode(token, key, algorithms=[algorithm], registry=_HEADERS).claims
            registry.validate(proven)
        except ExpiredTokenError:
            raise TokenRefused(DenyCode.TOKEN_EXPIRED) from None
        except ClaimError as error:
            raise TokenRefused(_CLAIMS.get(error.claim, DenyCode.TOKEN_INVALID)) from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise TokenRefused(DenyCode.TOKEN_INVALID) from None
        if not _is_meant(proven, issuer.audience):
            raise TokenRefused(DenyCode.TOKEN_AUDIENCE)
        return issuer, proven

    def _now(self) -> int:
        return int(self._unix_s())


_CLAIMS = {
    "iss": DenyCode.TOKEN_ISSUER,
    "aud": DenyCode.TOKEN_AUDIENCE,
    "nbf": DenyCode.TOKEN_TOO_EARLY,
    "iat": DenyCode.TOKEN_TOO_EARLY,
}


def _is_meant(claims: dict[str, Any], audience: str) -> bool:
    """Whether a token is for this audience (RFC 7519 section 4.1.3). Access tokens of Amazon Cognito have none, but
    name the client that they were issued to."""
    meant = claims.get("aud")
    if meant is None and claims.get("token_use") == "access":
        meant = claims.get("client_id")
    return audience in meant if isinstance(meant, list) else meant == audience


def _problem(issuer: TokenIssuer) -> str:
    if not issuer.issuer or not issuer.audience:
        return "issuer and audience are needed"
    if bool(issuer.jwks_url) == (issuer.jwks_file is not None):
        return "one of jwks_url and jwks_file is needed"
    if issuer.jwks_url:
        try:
            url = urlsplit(issuer.jwks_url)
            host = url.hostname or ""
        except ValueError:
            return f"jwks_url `{issuer.jwks_url}` is no URL"
        if not host or url.scheme not in ("http", "https"):
            return f"jwks_url `{issuer.jwks_url}` is no http(s) URL"
        if url.scheme == "http" and host not in _LOOPBACK:
            return f"jwks_url `{issuer.jwks_url}`: keys that come over plain http can be anybody's; use https"
    return ""


def _peek(token: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not proven by anything."""
    parts = token.split(b".")
    found = []
    for part in parts[:2]:
        try:
            document = orjson.loads(base64.urlsafe_b64decode(part + b"=="))
        except (binascii.Error, ValueError):
            raise TokenRefused(DenyCode.TOKEN_INVALID) from None
        if not isinstance(document, dict):
            raise TokenRefused(DenyCode.TOKEN_INVALID)
        found.append(document)
    if len(parts) != 3:
        raise TokenRefused(DenyCode.TOKEN_INVALID)
    return found[0], found[1]


async def _read_file(path: Path) -> bytes:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(MAX_JWKS_BYTES + 1)

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise KeyFetchError(f"{path}: cannot be read: {error.strerror}") from None
