"""Devices without a gateway: a ground whose wheel turns, and a server that does as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.simulate.templates import scripts_of
from loadtest.fleet.ground import Ground
from loadtest.fleet.speech import Voice
from tests.decoders.sensor import loaded

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sensor_voice() -> Voice:
    (script,) = scripts_of(loaded())
    return Voice(script, script.data)


async def until(condition: Callable[[], bool]) -> None:
    """Gives the event loop turns until it holds; the test's own timeout ends it."""
    while not condition():  # noqa: ASYNC110 - devices and stand-ins set no event
        await asyncio.sleep(0)


@asynccontextmanager
async def ground(**ports: int) -> AsyncIterator[Ground]:
    """ports: by face, on loopback."""
    made = Ground(1, {face: ("127.0.0.1", port) for face, port in ports.items()})

    async def turn() -> None:
        while True:
            made.wheel.turn()
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    try:
        yield made
    finally:
        turning.cancel()
        await made.end()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """The port of a server."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # devices vanish
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)
