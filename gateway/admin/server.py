"""The admin listener: the operations API, on this machine only.

Whoever may run programs here may use it, until there are API keys. A browser may not be led to it by a page of
somebody else: the `Host` must name this machine, an `Origin` too, and writes must be JSON, which no form sends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from gateway.admin.dead_letters import DeadLetterRoutes
from gateway.observe.http_listener import HttpListener, HttpOptions
from gateway.observe.metrics import Metrics
from gateway.observe.problems import Problem, ProblemCode
from gateway.observe.sites import host_name, is_cross_site, origin_name
from gateway.settings.rules import is_loopback

__all__ = ["AdminServer"]

_MAX_BODY_BYTES = 256 * 1024
_READS = frozenset({"GET", "HEAD"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminServer:
    """Serves one gateway's operations API. port: 0 takes any free one; `port` tells which once started."""

    def __init__(self, letters: DeadLetterRoutes, metrics: Metrics, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._letters = letters
        self._metrics = metrics
        self._listener: HttpListener | None = None

    async def start(self) -> None:
        """Begins to listen. OperatorError: the address cannot be bound."""
        app = web.Application(middlewares=[_answer], client_max_size=_MAX_BODY_BYTES)
        self._letters.add_to(app.router)
        options = HttpOptions("admin", self.host, self.port, "admin")
        self._listener = HttpListener(app, options, self._metrics)
        await self._listener.start()
        self.port = self._listener.addresses[0][1]

    async def stop(self) -> None:
        """Ends listening; requests under way get a second."""
        if self._listener is not None:
            await self._listener.close()


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Guards every request and gives every error its form."""
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
    response: web.StreamResponse
    try:
        _guard(request)
        response = await handler(request)
    except Problem as problem:
        response = problem.response(request_id)
    except web.HTTPException as error:
        codes = {404: ProblemCode.NOT_FOUND, 405: ProblemCode.METHOD_NOT_ALLOWED, 413: ProblemCode.TOO_LARGE}
        code = codes.get(error.status, ProblemCode.BAD_REQUEST)
        response = Problem(error.status, code, error.reason).response(request_id)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except OSError as error:
        _log.error("admin_disk_error", path=request.path, detail=str(error))
        response = Problem(507, ProblemCode.DISK, error.strerror or str(error)).response(request_id)
    except Exception:
        _log.exception("admin_request_failed", method=request.method, path=request.path, request_id=request_id)
        detail = "an error of ours; the log says more"
        response = Problem(500, ProblemCode.INTERNAL_ERROR, detail).response(request_id)
    response.headers["X-Request-Id"] = request_id
    return response


def _guard(request: web.Request) -> None:
    headers = request.headers
    if not is_loopback(host_name(headers.get("Host", ""))):
        detail = "the Host header must name this machine: localhost or a loopback address"
        raise Problem(421, ProblemCode.WRONG_HOST, detail)
    origin = headers.get("Origin")
    foreign = origin is not None and not is_loopback(origin_name(origin))
    if foreign or is_cross_site(headers.get("Sec-Fetch-Site")):
        raise Problem(403, ProblemCode.CROSS_SITE, "requests from pages of other sites are refused")
    if request.method not in _READS and request.content_type != "application/json":
        raise Problem(415, ProblemCode.NOT_JSON, "the body must be JSON: Content-Type: application/json")
