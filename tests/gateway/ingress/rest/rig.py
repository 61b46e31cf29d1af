"""A REST server on loopback with the face's middleware, and raw clients for what aiohttp's would not send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.ingress.rest.exchange import add_headers, exchanges, leave_expectation
from gateway.observe import events
from gateway.observe.access_log import AccessLog
from gateway.observe.rest_metrics import RequestCounters

GUARD_S = 30.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Served:
    """Counts what was told of each request."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str, int]] = []
        self.port = 0
        self._changed = asyncio.Event()
        self._requests = RequestCounters(CollectorRegistry())
        self._log = AccessLog()

    def count(self, *, route: str, method: str, status: int, seconds: float, fields: Mapping[str, str | int]) -> None:
        assert seconds >= 0
        self.counted.append((route, method, status))
        events.http_request(
            self._requests, self._log, "rest", route=route, method=method, status=status, seconds=seconds, fields=fields
        )
        self._changed.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def wait_counted(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while len(self.counted) < count:
                self._changed.clear()
                await self._changed.wait()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, request: bytes) -> bytes:
        """The whole answer to a request that says `Connection: close`, or whose connection the server closes."""
        reader, writer = await self.connect()
        writer.write(request)
        async with asyncio.timeout(GUARD_S):
            answer = await reader.read()
        writer.close()
        return answer


@contextlib.asynccontextmanager
async def serving(routes: dict[str, Handler], *, deadline_s: float = GUARD_S) -> AsyncIterator[Served]:
    """POST handlers by path."""
    served = Served()
    app = web.Application(middlewares=[exchanges(deadline_s, served.count)])
    app.on_response_prepare.append(add_headers)
    for path, handler in routes.items():
        app.router.add_post(path, handler, expect_handler=leave_expectation)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, lingering_time=0.1, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.port = runner.addresses[0][1]
        yield served
    finally:
        await runner.cleanup()
