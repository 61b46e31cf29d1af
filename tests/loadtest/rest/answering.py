"""A face that counts what it is sent, and answers as the gateway does or as a test says."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import orjson
from aiohttp import web


@dataclass(slots=True)
class Face:
    address: tuple[str, int] = ("", 0)
    items: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


Answering = Callable[[bytes, str], web.Response]
"""Body and media type -> answer."""


def taken(body: bytes, content_type: str) -> web.Response:
    """Everything is, but lines that say that they are broken."""
    if content_type == "application/json":
        found = orjson.loads(body)
        count = len(found) if isinstance(found, list) else 1
        return web.Response(body=b'{"accepted":%d,"rejected":0,"items":[]}' % count)
    lines = body.splitlines()[1 if content_type == "text/csv" else 0 :]
    broken = [number for number, line in enumerate(lines, 1) if b"broken" in line]
    document = {
        "accepted": len(lines) - len(broken),
        "rejected": len(broken),
        "errors": [{"line": number} for number in broken[:1000]],
        "errors_truncated": len(broken) > 1000,
    }
    return web.Response(status=207 if broken else 200, body=orjson.dumps(document))


@contextlib.asynccontextmanager
async def face(answering: Answering = taken) -> AsyncIterator[Face]:
    found = Face()

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        found.requests.append((request.path_qs, {**request.headers}, body))
        return answering(body, request.content_type)

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/telemetry", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.address = runner.addresses[0]
        yield found
    finally:
        await runner.cleanup()
