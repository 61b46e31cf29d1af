"""CORS: what a browser lets pages of other sites do here (WHATWG Fetch, section 3.2).

Place in the walk: around the handlers of a listener that names such sites (`allowed_origins`); others have none of it,
and browsers keep their pages out. Credentials are headers that a page has to set itself: no cookie is ever asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

__all__ = ["answer_preflights", "tell_origin"]

_ORIGIN = "Origin"
_ASKS = "Access-Control-Request-Method"
_MAX_AGE_S = 600
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Encoding, Content-Type, Idempotency-Key, X-Api-Key, "
    "X-Client-Id, X-Request-Id, X-Signature, X-Timestamp",
    "Access-Control-Max-Age": str(_MAX_AGE_S),
}
_EXPOSED = "Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"


def answer_preflights(origins: Collection[str]) -> Middleware:
    """The middleware. origins: of sites whose pages may call, as `Origin` has them."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers
        if request.method == "OPTIONS" and _ASKS in headers and headers.get(_ORIGIN) in origins:
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)

    return answer


def tell_origin(origins: Collection[str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For `on_response_prepare`: lets pages of these sites read every answer, errors too."""

    async def tell(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.add("Vary", _ORIGIN)
        origin = request.headers.get(_ORIGIN)
        if origin is not None and origin in origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    return tell
