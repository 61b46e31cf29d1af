"""Public keys of a token issuer: read from its JWK Set (RFC 7517), kept, and asked for again for a new key id.

Place in the walk: behind the token verifier. A failed or broken answer never drops keys that worked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

__all__ = ["ALGORITHMS", "MAX_JWKS_BYTES", "KeyFetchError", "KeyStore"]

_log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "ES256")
MAX_JWKS_BYTES = 262_144

_MAX_KEYS = 64
_MIN_RSA_BYTES = 256
_MAX_RSA_BYTES = 1024
_MAX_WAITING = 1_000
_RETRY_S = 60.0
_MAX_AGE_S = 3_600.0


class KeyFetchError(Exception):
    """The key set could not be had; the text says why."""


class KeyStore:
    """The keys of one source. fetch: gives the key set's bytes, raises KeyFetchError. source: its URL or path, for the
    log. clock: seconds, rising."""

    __slots__ = ("_asked_s", "_clock", "_fetch", "_keys", "_source", "_task", "_waiting", "ready")

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], source: str, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._source = source
        self._clock = clock
        self._keys: Sequence[tuple[str, str, Key]] = ()  # key id, algorithm
        self._asked_s: float | None = None
        self._waiting: list[Callable[[], None]] = []
        self._task: asyncio.Task[str] | None = None
        self.ready = False

    def find(self, key_id: str, algorithm: str) -> Key | None:
        """The key of that id. A token without one, or a key without one, has it only where no other could be meant."""
        fitting = [(name, key) for name, its, key in self._keys if its == algorithm]
        for name, key in fitting:
            if name and name == key_id:
                return key
        if len(fitting) == 1 and not (key_id and fitting[0][0]):
            return fitting[0][1]
        return None

    def freshen(self) -> None:
        """Asks for the keys anew once they are old; they serve on meanwhile."""
        if self._asked_s is None or self._clock() - self._asked_s >= _MAX_AGE_S:
            self._start()

    def request(self, done: Callable[[], None]) -> bool:
        """Asks for the keys, at most once a minute, and calls `done` when they are there or could not be had. False:
        not now, nothing is called."""
        if self._task is None and self._asked_s is not None and self._clock() - self._asked_s < _RETRY_S:
            return False
        if len(self._waiting) >= _MAX_WAITING:
            return False
        self._waiting.append(done)
        self._start()
        return True

    async def refresh(self) -> str:
        """Asks for the keys now. Returns what went wrong, "" for nothing."""
        self._asked_s = self._clock()
        try:
            self._keys = _read_keys(await self._fetch())
        except KeyFetchError as error:
            _log.warning("jwks_failed", source=self._source, detail=str(error), keys_kept=len(self._keys))
            return str(error)
        self.ready = True
        _log.info("jwks_loaded", source=self._source, keys=len(self._keys))
        return ""

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self.refresh(), name="jwks")
            self._task.add_done_callback(self._refreshed)

    def _refreshed(self, task: asyncio.Task[str]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("jwks_failed", source=self._source, exc_info=error)
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()


def _read_keys(data: bytes) -> list[tuple[str, str, Key]]:
    """The keys of a set that can check RS256 or ES256; others are passed over (RFC 7517 section 5)."""
    if len(data) > MAX_JWKS_BYTES:
        raise KeyFetchError(f"the key set is longer than {MAX_JWKS_BYTES} bytes")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise KeyFetchError(f"the key set is no JSON: {error}") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise KeyFetchError("a JWK Set was expected: an object with a list `keys`")
    if len(listed) > _MAX_KEYS:
        raise KeyFetchError(f"the key set has more than {_MAX_KEYS} keys")
    keys = []
    for item in listed:
        algorithm = _algorithm_of(item) if isinstance(item, dict) else ""
        if not algorithm:
            continue
        parts = {name: item[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in item}
        try:
            key = JWKRegistry.import_key(parts)
            key.get_op_key("verify")  # the numbers are put together only then
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise KeyFetchError(f"the key `{str(item.get('kid', ''))[:64]}` cannot be read: {error}") from None
        key_id = item.get("kid")
        keys.append((key_id if isinstance(key_id, str) else "", algorithm, key))
    if not keys:
        raise KeyFetchError("the key set has no signing key for RS256 (2,048 bits or more) or ES256")
    return keys


def _algorithm_of(item: Mapping[str, Any]) -> str:
    """Which of the algorithms the key is for; "" for none."""
    if item.get("use", "sig") != "sig":
        return ""
    algorithm = ""
    if item.get("kty") == "RSA" and _MIN_RSA_BYTES <= _bytes_of(item.get("n")) <= _MAX_RSA_BYTES:
        algorithm = "RS256"
    elif item.get("kty") == "EC" and item.get("crv") == "P-256":
        algorithm = "ES256"
    return algorithm if item.get("alg", algorithm) == algorithm else ""


def _bytes_of(number: object) -> int:
    if not isinstance(number, str):
        return 0
    try:
        return len(base64.urlsafe_b64decode(number + "==").lstrip(b"\0"))
    except (binascii.Error, ValueError):
        return 0
