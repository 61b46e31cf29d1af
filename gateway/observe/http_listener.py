"""HttpListener: one listening address with an aiohttp application, for all HTTP ports of the gateway.

Place in the walk: between the event loop and the application. What is no HTTP reaches no handler: it is answered,
counted and told of here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
)

from gateway.observe.events import malformed_request
from gateway.observe.listening import cannot_listen, tell_listening
from gateway.observe.logs import RateLimited
from gateway.observe.metrics import Metrics
from gateway.observe.problems import Limit, Problem, ProblemCode

__all__ = ["HttpListener", "HttpOptions", "Serve", "Wrap"]

Serve: TypeAlias = Callable[[], asyncio.Protocol]
"""Makes aiohttp's protocol for one connection."""

Wrap: TypeAlias = Callable[[Serve], asyncio.Protocol]
"""Makes the protocol of an accepted connection, which calls `Serve` once it is let in."""

_BACKLOG = 4096
_SERVER = "iotlink"
_LINES, _WINDOW_S = 5, 60.0
"""So many lines of a kind in so much time; the metrics count all."""
_MAX_LINE_BYTES = 8 * 1024
_MAX_HEADER_BYTES = 16 * 1024
"""Of one header: a token of 8 KiB fits."""
_NO_REQUEST = "this is no HTTP request"
_WORDS: dict[type[HttpProcessingError], str] = {
    BadHttpMethod: "its first line begins with no method of HTTP",
    BadStatusLine: "its first line is none of HTTP",
    InvalidURLError: "its first line names no address",
    InvalidHeader: "a header is not as HTTP has it",
    BadHttpMessage: "it is no request of HTTP/1.1: something is missing, such as `Host`, or wrong",
}

_log = structlog.get_logger(__name__)


@dataclass(slots=True, frozen=True)
class HttpOptions:
    """One address. face: what is there, for the log. name: of the listener; "" where the face has but one. setting:
    dotted path of its section. port: 0 takes any free one.

    max_connections: those beyond are cut; 0: any number. idle_timeout_s: within which a connection must have sent the
    whole head of a request, since it was opened or since its last answer. lingering_s: how long a body that nobody
    wants is read on, so that its sender hears the answer. goodbye_s: for requests under way when it is closed.
    """

    face: str
    host: str
    port: int
    setting: str
    name: str = ""
    max_connections: int = 32
    idle_timeout_s: float = 75.0
    lingering_s: float = 2.0
    goodbye_s: float = 1.0

    @property
    def label(self) -> str:
        """Its name in metrics."""
        return self.name or self.face


class HttpListener:
    """Life: start, stop_accepting, close."""

    def __init__(self, app: web.Application, options: HttpOptions, metrics: Metrics) -> None:
        self.options = options
        self.connections = 0
        self._app = app
        self._malformed = metrics.malformed_requests
        self._malformed.setdefault(options.label, 0)
        self._lines = RateLimited(_LINES, _WINDOW_S)
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return [sock.getsockname()[:2] for sock in self._server.sockets] if self._server is not None else []

    async def start(self, wrap: Wrap | None = None) -> None:
        """Raises OperatorError if the address cannot be had. wrap: stands between the sockets and aiohttp."""
        options = self.options
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=options.goodbye_s)
        await runner.setup()
        loop, manager = asyncio.get_running_loop(), runner.server
        assert manager is not None

        def serve() -> asyncio.Protocol:
            return _Connection(self, manager, loop)

        factory = serve if wrap is None else lambda: wrap(serve)
        try:
            self._server = await loop.create_server(factory, options.host, options.port, backlog=_BACKLOG)
        except (OSError, UnicodeError) as error:
            await runner.cleanup()
            who = f"{options.face} listener {options.name}" if options.name else options.face
            raise cannot_listen(who, options.host, options.port, error, options.setting) from error
        self._runner = runner
        tell_listening(options.face, options.name, self.addresses)

    def stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Ends it with all connections. May be called again, and without a start."""
        self.stop_accepting()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def refuse(self, peer: str, error: HttpProcessingError | None) -> web.Response:
        """The answer to bytes that are no request. They stay out of the log: they may hold secrets, or anything."""
        request_id = os.urandom(8).hex()
        told = {"peer": peer, "kind": type(error).__name__, "request_id": request_id}
        malformed_request(self._malformed, self._lines, self.options.label, told)
        return _last(_malformed(error).response(request_id))

    def fail(self, peer: str, error: BaseException | None) -> web.Response:
        """The answer to a request that an error ended of which no handler knows."""
        name, request_id = self.options.label, os.urandom(8).hex()
        told = {"listener": name, "peer": peer, "request_id": request_id}
        _log.error("http_request_failed", **told, exc_info=error)
        detail = "an error of ours; the log says more under this request_id"
        return _last(Problem(500, ProblemCode.INTERNAL_ERROR, detail).response(request_id))


def _malformed(error: HttpProcessingError | None) -> Problem:
    """What is wrong, in words of ours: aiohttp's repeat what was sent."""
    if isinstance(error, LineTooLong):
        if _MAX_HEADER_BYTES in error.args:
            detail, limit = f"a header has more than {_MAX_HEADER_BYTES} bytes", Limit("header", _MAX_HEADER_BYTES)
            return Problem(431, ProblemCode.TOO_LARGE, detail, limit=limit)  # RFC 6585 section 5
        detail, limit = f"the first line has more than {_MAX_LINE_BYTES} bytes", Limit("first_line", _MAX_LINE_BYTES)
        return Problem(414, ProblemCode.TOO_LARGE, detail, limit=limit)
    detail = _NO_REQUEST if error is None else _WORDS.get(type(error), _NO_REQUEST)
    return Problem(400, ProblemCode.BAD_REQUEST, detail)


def _last(response: web.Response) -> web.Response:
    """An answer that ends its connection."""
    response.headers["Server"] = _SERVER  # else aiohttp names itself and its version
    response.force_close()
    return response


class _Connection(web.RequestHandler):
    """aiohttp's protocol, but for two things: connections beyond the limit, and requests that no handler is given or
    can answer. For each of these aiohttp writes a traceback, which strangers could fill a disk with."""

    __slots__ = ("_listener", "_refused")

    def __init__(self, listener: HttpListener, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        options: dict[str, Any] = {  # a body is unpacked by those who know its limits
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": listener.options.idle_timeout_s,
            "lingering_time": listener.options.lingering_s,
            "max_line_size": _MAX_LINE_BYTES,
            "max_field_size": _MAX_HEADER_BYTES,
        }
        super().__init__(manager, loop=loop, **options)
        self._listener = listener
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        limit = self._listener.options.max_connections
        self._refused = 0 < limit <= self._listener.connections
        if self._refused:
            cast(asyncio.Transport, transport).abort()  # uvloop's is no asyncio.Transport by its class
            return
        self._listener.connections += 1
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self._refused:
            self._listener.connections -= 1
            super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        peer = request.remote or ""
        if isinstance(exc, HttpProcessingError):
            return self._listener.refuse(peer, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if isinstance(exc, UnicodeEncodeError) and "Expect" in request.headers:
            return self._listener.refuse(peer, None)  # aiohttp says it again, and it is no text
        return self._listener.fail(peer, exc)
