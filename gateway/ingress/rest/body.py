"""The body of one request: as sent, for signatures, and as meant, whole or piece by piece.

Place in the walk: between the server's stream and whoever reads it. Every limit of bytes and time is held here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.ingress.rest.compression import Encoding, Expansion, ExpansionLimits, encoding_of
from gateway.ingress.rest.exchange import EXCHANGE
from gateway.observe.problems import Limit, Problem, ProblemCode

__all__ = ["Body", "BodyLimits"]

_TURN_BYTES = 512 * 1024
"""Of a body that is expanded at once, before others have their turn."""


@dataclass(slots=True, frozen=True)
class BodyLimits:
    """max_bytes: of the body, sent and expanded; limit_name: of the setting that says so. max_ratio: of these two.

    read_timeout_s: silence within a body. min_bytes_per_s: its average, held once reading has taken
    read_timeout_s; time in which nobody reads does not count.
    """

    max_bytes: int
    limit_name: str
    max_ratio: int = 200
    read_timeout_s: float = 20.0
    min_bytes_per_s: int = 256


class Body:
    """Read it once: `sent` and then `whole`, or `whole`, or `pieces`.

    All raise Problem: 400 broken transfer or encoding, 408 too slow, 413 too large, 415 unknown encoding;
    ConnectionError when the client is gone.
    """

    def __init__(self, request: web.Request, limits: BodyLimits) -> None:
        self._request = request
        self._exchange = request[EXCHANGE]
        self._content = request.content
        self._limits = limits
        self._sent: bytes | None = None
        self._reading_s = 0.0
        encodings = request.headers.getall("Content-Encoding", ())
        self.encoding = encoding_of(",".join(encodings)) if encodings else Encoding.IDENTITY
        length = request.content_length
        if length is not None and length > limits.max_bytes:
            raise self._too_large()

    async def sent(self) -> bytes:
        """The bytes as they were sent."""
        if self._sent is None:
            content = self._content
            if content.is_eof() and content.exception() is None:  # all of it is here, as small bodies are
                self._exchange.is_awaited = False
                self._sent = content.read_nowait()
                self._exchange.bytes_in += len(self._sent)
                if len(self._sent) > self._limits.max_bytes:
                    raise self._too_large()
                return self._sent
            parts = []
            size = 0
            while part := await self._read():
                size += len(part)
                if size > self._limits.max_bytes:
                    raise self._too_large()
                parts.append(part)
            self._sent = b"".join(parts)
        return self._sent

    async def whole(self) -> bytes:
        """The bytes as they are meant: out of their Content-Encoding."""
        if self.encoding is Encoding.IDENTITY:
            return await self.sent()
        expansion = self._expansion()
        parts = []
        turn = _TURN_BYTES
        for part in expansion.feed(await self.sent()):
            parts.append(part)
            if expansion.expanded > turn:
                turn = expansion.expanded + _TURN_BYTES
                await asyncio.sleep(0)
        expansion.end()
        return b"".join(parts)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The same as it comes, in pieces that are not empty."""
        expansion = self._expansion()
        while part := await self._read():
            for piece in expansion.feed(part):
                yield piece
        expansion.end()

    def _expansion(self) -> Expansion:
        limits = self._limits
        return Expansion(self.encoding, ExpansionLimits(limits.max_bytes, limits.limit_name, limits.max_ratio))

    async def _read(self) -> bytes:
        """What has come; b"" at the end."""
        loop = asyncio.get_running_loop()
        limits = self._limits
        if self._exchange.is_awaited:
            await self._exchange.ask_for_body(self._request)
        began = loop.time()
        try:
            async with asyncio.timeout(min(limits.read_timeout_s, self._exchange.left_s())):
                data = await self._content.readany()
        except TimeoutError:
            raise self._too_slow() from None
        except (HttpProcessingError, ClientError) as error:
            if isinstance(error, ConnectionError):
                raise
            detail = "the body is not in the form that its Content-Length or Transfer-Encoding says"
            raise Problem(400, ProblemCode.BROKEN_TRANSFER, detail) from error
        self._exchange.bytes_in += len(data)
        self._reading_s += loop.time() - began
        late = self._reading_s > limits.read_timeout_s
        if data and late and self._exchange.bytes_in < self._reading_s * limits.min_bytes_per_s:
            raise self._too_slow()
        return data

    def _too_large(self) -> Problem:
        limits = self._limits
        detail = f"the body has more than {limits.max_bytes} bytes"
        return Problem(413, ProblemCode.TOO_LARGE, detail, limit=Limit(limits.limit_name, limits.max_bytes))

    def _too_slow(self) -> Problem:
        """RFC 9110 section 15.5.9: the connection is closed."""
        limit = Limit("read_timeout_s", self._limits.read_timeout_s)
        headers = {"Connection": "close"}
        return Problem(408, ProblemCode.SLOW_BODY, "the body came too slowly", limit=limit, headers=headers)
