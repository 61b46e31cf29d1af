"""The admin listener: the operations API, on this machine only.

Whoever may run programs here may use it, until there are API keys. A browser may not be led to it by a page of
somebody else: the `Host` must name this machine, an `Origin` too, and writes must be JSON, which no form sends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from gateway.admin.dead_letters import DeadLetterRoutes
from gateway.domain.errors import OperatorError
from gateway.observe.problems import Problem, ProblemCode
from gateway.settings.rules import is_loopback

__all__ = ["AdminServer"]

_MAX_BODY_BYTES = 256 * 1024
_SHUTDOWN_TIMEOUT_S = 1.0
_READS = frozenset({"GET", "HEAD"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminServer:
    """Serves one gateway's operations API. port: 0 takes any free one; `port` tells which once started."""

    def __init__(self, letters: DeadLetterRoutes, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._letters = letters
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begins to listen. OperatorError: the address cannot be bound."""
        app = web.Application(middlewares=[_answer], client_max_size=_MAX_BODY_BYTES)
        self._letters.add_to(app.router)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError as error:
            await runner.cleanup()
            reason = error.strerror or str(error)
            raise OperatorError(f"admin: cannot listen on {self.host}:{self.port}: {reason}") from None
        self._runner = runner
        self.port = runner.addresses[0][1]
        _log.info("listening", face="admin", host=self.host, port=self.port)

    async def stop(self) -> None:
        """Ends listening; requests under way get a second."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()


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
    if not is_loopback(_host_name(request.headers.get("Host", ""))):
        detail = "the Host header must name this machine: localhost or a loopback address"
        raise Problem(421, ProblemCode.WRONG_HOST, detail)
    origin = request.headers.get("Origin")
    foreign = origin is not None and not is_loopback(urlsplit(origin).hostname or "")
    if foreign or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Problem(403, ProblemCode.CROSS_SITE, "requests from pages of other sites are refused")
    if request.method not in _READS and request.content_type != "application/json":
        raise Problem(415, ProblemCode.NOT_JSON, "the body must be JSON: Content-Type: application/json")


def _host_name(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
