"""RestServer: the listening addresses of the REST API, and their orderly end.

Place in the walk: the beginning. aiohttp parses requests, one application for each listener; door, gate and calls are
ours.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import structlog
from aiohttp import web

from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import OperatorError
from gateway.ingress.rest.cors import answer_preflights, tell_origin
from gateway.ingress.rest.door import Door
from gateway.ingress.rest.exchange import add_headers, exchanges, leave_expectation
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.routes import ROUTES, Route
from gateway.ingress.rest.unrouted import ANY_PATH, refuse
from gateway.observe import events
from gateway.observe.access_log import AccessLog
from gateway.observe.http_listener import HttpListener, HttpOptions
from gateway.observe.metrics import Metrics
from gateway.observe.problems import Problem
from gateway.observe.rest_metrics import RequestCounters

__all__ = ["AnswerCall", "RestListener", "RestOptions", "RestServer"]

AnswerCall: TypeAlias = Callable[[Route, web.Request], Awaitable[web.StreamResponse]]
"""`gateway.ingress.rest.calls.Calls.answer`."""

_LAST_WORDS_S = 2.0
"""Within which answers that are made must have been written, at the end."""
_PARAMETER_AT_END = re.compile(r"{(\w+)}$")
"""It takes no colon, which begins a verb: `/v1/specs/a:decode` is no product of `/v1/specs/{product}`."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, frozen=True)
class RestOptions:
    """One listener. setting: dotted path of its settings. port: 0 takes any free one. allowed_origins: of sites whose
    pages may call it from a browser."""

    name: str
    host: str
    port: int
    max_connections: int
    max_per_ip: int = 0
    tls: ssl.SSLContext | None = None
    idle_timeout_s: float = 75.0
    request_timeout_s: float = 30.0
    setting: str = ""
    allowed_origins: frozenset[str] = frozenset()


class RestListener:
    """One listening address. Life: start, stop_accepting, drain."""

    def __init__(self, options: RestOptions, answer: AnswerCall, metrics: Metrics, requests: RequestCounters) -> None:
        self.options = options
        self._answer = answer
        self._requests = requests
        limits = ConnectionLimits(options.max_connections, options.max_per_ip)
        self._door = Door(limits, metrics.listener(options.name), options.tls)
        address = HttpOptions(
            "rest",
            options.host,
            options.port,
            options.setting,
            options.name,
            max_connections=0,  # the door holds its own
            idle_timeout_s=options.idle_timeout_s,
            goodbye_s=_LAST_WORDS_S,
        )
        self._listener = HttpListener(self._application(), address, metrics)
        self._in_flight = 0
        self._quiet = asyncio.Event()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return self._listener.addresses

    def health(self) -> dict[str, Any]:
        """For `/health`."""
        return {
            "addresses": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.addresses],
            "connections": len(self._door.inside),
            "requests_in_flight": self._in_flight,
        }

    async def start(self) -> None:
        """Raises OperatorError if the address cannot be had."""
        await self._listener.start(self._door)

    def stop_accepting(self) -> None:
        """From here on every answer ends its connection."""
        self._listener.stop_accepting()
        self._door.close()

    async def drain(self, deadline_s: float) -> int:
        """Lets every request under way be answered, then closes all connections. Returns how many requests were cut."""
        self.stop_accepting()
        try:
            async with asyncio.timeout(deadline_s):
                while self._in_flight:
                    self._quiet.clear()
                    await self._quiet.wait()
        except TimeoutError:
            pass
        cut = self._in_flight
        await self._listener.close()
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._door.ended()
        except TimeoutError:
            self._door.abort()
            await self._door.ended()
        if cut:
            _log.warning("requests_cut", listener=self.options.name, count=cut)
        return cut

    def _application(self) -> web.Application:
        options, requests = self.options, self._requests
        ended = partial(events.http_request, requests, AccessLog(), options.name)
        middlewares = [exchanges(options.request_timeout_s, ended)]
        if options.allowed_origins:
            middlewares.append(answer_preflights(options.allowed_origins))
        app = web.Application(middlewares=middlewares)
        app.on_response_prepare.append(add_headers)
        if options.allowed_origins:
            app.on_response_prepare.append(tell_origin(options.allowed_origins))
        app.on_response_prepare.append(self._say_goodbye)
        for route in ROUTES:
            handler = self._handler(route)
            for template in (route.template, *route.also):
                path = _PARAMETER_AT_END.sub(r"{\1:[^{}/:]+}", template)
                for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):  # RFC 9110 section 9.1
                    app.router.add_route(method, path, handler, expect_handler=leave_expectation)
                requests.expect(options.name, template, route.method)
        app.router.add_route("*", ANY_PATH, refuse, expect_handler=leave_expectation)
        return app

    async def _say_goodbye(self, _: web.BaseRequest, response: web.StreamResponse) -> None:
        if self._door.closing:
            response.force_close()
            response.headers["Connection"] = "close"  # aiohttp has written its own by now

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._in_flight += 1
            self._requests.in_flight += 1
            try:
                return await self._answer(route, request)
            finally:
                self._in_flight -= 1
                self._requests.in_flight -= 1
                if not self._in_flight:
                    self._quiet.set()

        return handle


@dataclass(slots=True)
class RestServer:
    """All listeners. Life: start, stop_accepting, drain."""

    intake: Intake
    listeners: list[RestListener] = field(default_factory=list)

    async def start(self) -> None:
        """Opens all listeners, or none: raises OperatorError for the first that cannot be opened."""
        try:
            for listener in self.listeners:
                await listener.start()
        except OperatorError:
            await self._end(0.0)
            raise

    def refusal(self) -> Problem | None:
        """Why data is answered 503 now."""
        try:
            self.intake.check()
        except Problem as problem:
            return problem
        return None

    def stop_accepting(self) -> None:
        """From here on new data is answered 503."""
        self.intake.drain()
        for listener in self.listeners:
            listener.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Returns how many requests were cut."""
        self.stop_accepting()
        return await self._end(deadline_s)

    async def _end(self, deadline_s: float) -> int:
        return sum(await asyncio.gather(*(listener.drain(deadline_s) for listener in self.listeners)))
