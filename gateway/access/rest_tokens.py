"""Tokens of callers of the REST API, checked against the issuers of the configuration.

Place in the walk: REST access asks here. A token whose key is not known yet waits a little for the issuer's keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.access.jwks import KeyStore
from gateway.access.jwt import KeysMissing, TokenRefused, TokenVerifier
from gateway.access.rest import TokenRefusal
from gateway.access.rest_denials import DenyReason

__all__ = ["RestTokens"]

WAIT_S = 5.0
"""For the keys of an issuer."""


class RestTokens:
    """Implements `gateway.access.rest.TokenVerifier`."""

    __slots__ = ("_verifier", "_wait_s")

    def __init__(self, verifier: TokenVerifier, *, wait_s: float = WAIT_S) -> None:
        self._verifier = verifier
        self._wait_s = wait_s

    async def verify(self, token: str) -> Mapping[str, object]:
        data = token.encode("ascii", "replace")
        for last in (False, True):
            try:
                return self._verifier.claims(data)[1]
            except TokenRefused as refused:
                raise TokenRefusal(DenyReason(refused.code.value)) from None
            except KeysMissing as missing:
                if last or not await self._asked(missing.store):
                    known = missing.store.ready
                    raise TokenRefusal(DenyReason.TOKEN_KEY if known else DenyReason.KEYS_UNAVAILABLE) from None
        raise AssertionError("the second turn ends it")

    async def _asked(self, store: KeyStore) -> bool:
        """Whether the issuer has been asked for its keys, just now."""
        asked = asyncio.get_running_loop().create_future()

        def done() -> None:
            if not asked.done():
                asked.set_result(None)

        if not store.request(done):
            return False
        try:
            async with asyncio.timeout(self._wait_s):
                await asked
        except TimeoutError:
            return False
        return True
