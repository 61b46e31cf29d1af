"""A stand-in for the gateway: answers each frame of one product as its spec says, or as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from decoders.errors import DecodeError
from decoders.framing.framer import Framer
from decoders.product import CompiledProduct
from decoders.types import SessionContext

Answer = Callable[[bytes, list[bytes]], list[bytes]]
"""The frame and the spec's replies -> what is sent."""


@dataclass
class Answering:
    """port: where it listens. frames: everything that was received, by connection."""

    port: int = 0
    frames: list[list[bytes]] = field(default_factory=list)


@asynccontextmanager
async def answering(product: CompiledProduct, answer: Answer | None = None) -> AsyncIterator[Answering]:
    state = Answering()
    sessions: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sessions.add(asyncio.current_task())
        framer, context = Framer(product.framing), SessionContext()
        mine: list[bytes] = []
        state.frames.append(mine)
        with contextlib.suppress(ConnectionResetError):  # a device that vanishes
            while data := await reader.read(4096):
                for frame in framer.receive(data):
                    mine.append(frame.wire)
                    try:
                        decoded = product.decode(frame, context)
                    except DecodeError:
                        continue
                    if decoded.message.login:
                        product.remember(decoded, context)
                    replies = product.replies(decoded.message.name, decoded.values, context, 0)
                    writer.writelines(replies if answer is None else answer(frame.wire, replies))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        await server.wait_closed()
        async with asyncio.timeout(5):
            await asyncio.gather(*filter(None, sessions))
