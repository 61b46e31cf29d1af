"""Key sets over HTTP: the only door of access to the network.

Place in the walk: called by the key store, rarely.
"""

from __future__ import annotations

import aiohttp

from gateway.access.jwks import MAX_JWKS_BYTES, KeyFetchError

__all__ = ["fetch_key_set"]

_TIMEOUT_S = 5.0


async def fetch_key_set(url: str) -> bytes:
    """GET of a JWK Set; redirects are not followed. Raises KeyFetchError."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != 200:
                raise KeyFetchError(f"{url}: answered {answer.status}")
            data = bytearray()
            async for chunk in answer.content.iter_any():
                data += chunk
                if len(data) > MAX_JWKS_BYTES:
                    raise KeyFetchError(f"{url}: the answer is longer than {MAX_JWKS_BYTES} bytes")
            return bytes(data)
    except TimeoutError:
        raise KeyFetchError(f"{url}: no answer within {_TIMEOUT_S:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise KeyFetchError(f"{url}: {error or type(error).__name__}") from None
