"""RestServer: the listening addresses of the REST API, and their orderly end.

Place in the walk: the beginning. aiohttp parses requests, one application for each listener; door, gate and calls are
ours.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from aiohttp import web

from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import OperatorError
from gateway.ingress.rest.calls import Calls
from gateway.ingress.rest.door import Door
from gateway.ingress.rest.exchange import add_headers, exchanges
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.routes import ROUTES, Route
from gateway.observe.metrics import Metrics
from gateway.observe.rest_metrics import RequestCounters

__all__ = ["RestListener", "RestOptions", "RestServer"]

_BACKLOG = 1024
_HANDSHAKE_S = 10.0
_LINGERING_S = 2.0
"""How long a body that nobody wants is read on, so that its sender hears the answer."""
_LAST_WORDS_S = 2.0
"""Within which answers that are made must have been written, at the end."""
_PARAMETER_AT_END = re.compile(r"{(\w+)}$")
"""It takes no colon, which begins a verb: `/v1/specs/a:decode` is no product of `/v1/specs/{product}`."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, frozen=True)
class RestOptions:
    """One listener. setting: dotted path of its settings. port: 0 takes any free one."""

    name: str
    host: str
    port: int
    max_connections: int
    max_per_ip: int = 0
    tls: ssl.SSLContext | None = None
    idle_timeout_s: float = 75.0
    request_timeout_s: float = 30.0
    setting: str = ""


class RestListener:
    """One listening address. Life: start, stop_accepting, drain."""

    def __init__(self, options: RestOptions, calls: Calls, metrics: Metrics, requests: RequestCounters) -> None:
        self.options = options
        self._calls = calls
        self._requests = requests
        self._counters = metrics.listener(options.name)
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None
        self._in_flight = 0
        self._quiet = asyncio.Event()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return [sock.getsockname()[:2] for sock in self._server.sockets] if self._server is not None else []

    async def start(self) -> None:
        """Raises OperatorError if the address cannot be had."""
        options = self.options
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=options.idle_timeout_s,
            lingering_time=_LINGERING_S,
            shutdown_timeout=_LAST_WORDS_S,
        )
        await runner.setup()
        assert runner.server is not None
        limits = ConnectionLimits(options.max_connections, options.max_per_ip)
        door = Door(runner.server, limits, self._counters)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                door,
                options.host,
                options.port,
                backlog=_BACKLOG,
                ssl=options.tls,
                ssl_handshake_timeout=_HANDSHAKE_S if options.tls is not None else None,
            )
        except (OSError, UnicodeError) as error:  # the latter of a host that can be no name
            await runner.cleanup()
            where = f"REST listener {options.name}: cannot listen on {options.host}:{options.port}"
            why = getattr(error, "strerror", None) or str(error)
            of_port = isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES)
            hint = f"; change `{options.setting}.{'port' if of_port else 'host'}`" if options.setting else ""
            raise OperatorError(f"{where}: {why}{hint}") from error
        self._runner, self._door = runner, door
        for host, port in self.addresses:
            _log.info("listening", face="rest", listener=options.name, host=host, port=port)

    def stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()

    async def drain(self, deadline_s: float) -> int:
        """Lets every request under way be answered, then closes all connections. Returns how many requests were cut."""
        if self._runner is None or self._door is None:
            return 0
        self._door.closing = True
        try:
            async with asyncio.timeout(deadline_s):
                while self._in_flight:
                    self._quiet.clear()
                    await self._quiet.wait()
        except TimeoutError:
            pass
        cut = self._in_flight
        await self._runner.cleanup()
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
        app = web.Application(middlewares=[exchanges(options.request_timeout_s, partial(requests.count, options.name))])
        app.on_response_prepare.append(add_headers)
        for route in ROUTES:
            for template in (route.template, *route.also):
                app.router.add_route(
                    route.method, _PARAMETER_AT_END.sub(r"{\1:[^{}/:]+}", template), self._handler(route)
                )
                requests.expect(options.name, template, route.method)
        return app

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._in_flight += 1
            self._requests.in_flight += 1
            try:
                return await self._calls.answer(route, request)
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
        started: list[RestListener] = []
        try:
            for listener in self.listeners:
                await listener.start()
                started.append(listener)
        except OperatorError:
            await _end(started, 0.0)
            raise

    def stop_accepting(self) -> None:
        """From here on new data is answered 503."""
        self.intake.drain()
        for listener in self.listeners:
            listener.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Returns how many requests were cut."""
        self.stop_accepting()
        return await _end(self.listeners, deadline_s)


async def _end(listeners: Sequence[RestListener], deadline_s: float) -> int:
    for listener in listeners:
        listener.stop_accepting()
    return sum(await asyncio.gather(*(listener.drain(deadline_s) for listener in listeners)))
