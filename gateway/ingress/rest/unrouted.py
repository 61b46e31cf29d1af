"""What is said to a request that no call takes: 404 and 405.

Place in the walk: behind all other routes, so that requests which fit none are logged, counted and answered as any.
Paths are not repeated: they may hold names and secrets.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from aiohttp import web

from decoders.spec.problems import nearest
from gateway.ingress.rest.routes import ROUTES

__all__ = ["ANY_PATH", "is_unrouted", "no_such_path", "not_taken", "refuse"]

ANY_PATH = "/{path:.*}"

_TEMPLATES = [template for route in ROUTES for template in (route.template, *route.also)]
_PARAMETER = re.compile(r"\\{\w+\\}")
_PATTERNS = {
    template: re.compile(_PARAMETER.sub("[^/:]+", re.escape(template)), re.IGNORECASE) for template in _TEMPLATES
}
_ANY_CANONICAL = "/{path}"
_MAX_COMPARED = 64


async def refuse(request: web.Request) -> web.StreamResponse:
    """The handler of `ANY_PATH`, as which aiohttp's router would know no allowed methods."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if not is_unrouted(resource):
            allowed |= (await resource.resolve(request))[1]
    if allowed:
        raise web.HTTPMethodNotAllowed(request.method, allowed)
    raise web.HTTPNotFound


def is_unrouted(resource: web.AbstractResource | None) -> bool:
    return resource is None or resource.canonical == _ANY_CANONICAL


def no_such_path(path: str) -> str:
    near = _near(path[:_MAX_COMPARED].rstrip("/"))
    hint = f" (did you mean {near}?)" if near else ""
    return f"no such path{hint}: the calls are listed at /docs"


def not_taken(method: str, allowed: Collection[str]) -> str:
    """method: "" for one that nobody knows."""
    taken = sorted(allowed)
    verb = "is" if len(taken) == 1 else "are"
    return f"{method or 'this method'} is not taken here: {' and '.join(taken)} {verb}"


def _near(path: str) -> str:
    """A template that the path fits but for case and slashes, or the one that is nearly it; "" for none."""
    for template, pattern in _PATTERNS.items():
        if pattern.fullmatch(path):
            return template
    return nearest(path, _TEMPLATES)
