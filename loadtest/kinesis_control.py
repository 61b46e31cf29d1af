"""A second HTTP port of the fake Kinesis, for whoever runs it as a process of its own: faults, and what it has stored.

POST /faults     {"record_failure": 0.1, "delay_s": 0.2}: attributes of `Faults`, `limits`, `listening`
GET  /stored     every record in the order in which a consumer reads it, one line each: [shard, key, data]
                 (`data` in base64). Streams that were deleted come first; shards in order, parents before children
GET  /summary    counts
"""

from __future__ import annotations

import binascii
from typing import Protocol

import orjson
from aiohttp import web

from loadtest.kinesis_faults import Faults
from loadtest.kinesis_shards import Stream

_FLUSH_BYTES = 1024 * 1024


class Controlled(Protocol):
    """The fake, as far as this port needs it."""

    faults: Faults
    limits: bool
    host: str
    streams: dict[str, Stream]
    deleted: list[Stream]

    async def set_listening(self, listening: bool) -> None: ...

    def summary(self) -> dict[str, object]: ...


class Control:
    """An async context manager. url: once it has started."""

    def __init__(self, fake: Controlled) -> None:
        self.url = ""
        self._fake = fake
        app = web.Application()
        app.add_routes(
            [
                web.post("/faults", self._set_faults),
                web.get("/stored", self._stored),
                web.get("/summary", self._summary),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Control:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._fake.host, 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _set_faults(self, request: web.Request) -> web.Response:
        fake = self._fake
        for name, value in (await request.json()).items():
            if name == "limits":
                fake.limits = bool(value)
            elif name == "listening":
                await fake.set_listening(bool(value))
            elif name in Faults.__slots__:
                setattr(fake.faults, name, value)
            else:
                return web.Response(status=400, text=f"no such fault: {name}")
        return web.Response()

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        lines = bytearray()
        for stream in (*self._fake.deleted, *self._fake.streams.values()):
            for shard in stream.shards:
                for record in shard.records:
                    data = binascii.b2a_base64(record.data, newline=False).decode()
                    lines += orjson.dumps([shard.shard_id, record.partition_key, data]) + b"\n"
                    if len(lines) >= _FLUSH_BYTES:
                        await answer.write(bytes(lines))
                        lines.clear()
        await answer.write(bytes(lines))
        await answer.write_eof()
        return answer

    async def _summary(self, request: web.Request) -> web.Response:
        return web.json_response(self._fake.summary())
