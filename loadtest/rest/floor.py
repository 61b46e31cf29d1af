"""The floor: what aiohttp alone costs, with a handler that reads the body and says the same thing each time.

Place in the walk: `python -m loadtest.rest.floor` serves until its stdin ends; `FloorProcess` runs that and reads its
CPU time, in the same run and on the same machine as the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import orjson
import uvloop
from aiohttp import web

from loadtest.faults.processes import GUARD_S, environment

__all__ = ["FloorProcess"]

_ANSWERS = {
    1: b'{"accepted":1,"rejected":0,"items":[{"index":0,"status":"accepted"}]}',
    100: b'{"accepted":100,"rejected":0,"items":[%b]}'
    % b",".join(b'{"index":%d,"status":"accepted"}' % index for index in range(100)),
}
"""By items of a request: as long as the gateway's answer, but for ids."""


class FloorProcess:
    """`async with`; address: where it listens."""

    def __init__(self) -> None:
        self.address = ("", 0)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> FloorProcess:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.rest.floor"),
            env=environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(GUARD_S):
            host, port = orjson.loads(await self._process.stdout.readline())
        self.address = host, port
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def cpu_s(self) -> float:
        """User and system time so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _answer(request: web.Request) -> web.Response:
    body = await request.read()
    batch = body.count(b"device_id") > 1
    return web.Response(body=_ANSWERS[100 if batch else 1], content_type="application/json")


async def _serve() -> None:
    """Until nobody holds its stdin any more."""
    app = web.Application()
    app.router.add_post("/v1/telemetry", _answer)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(orjson.dumps(runner.addresses[0]).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve())
