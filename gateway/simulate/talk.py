"""One device played by hand: frames out, answers back, and what the answers say."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.framing.plan import Transcoding
from decoders.layout import Value, walk
from decoders.product import CompiledProduct
from decoders.reference.codec import FrameLayout, ReferenceCodec, Selector
from decoders.types import SessionContext

__all__ = ["AnswerReader", "Exchange", "expected_answers", "talk"]

_QUIET_S = 0.3
"""After an answer that no spec foresees: so long nothing more must come."""


@dataclass(slots=True)
class Exchange:
    """A frame and what came back. closed: the peer ended the connection instead of, or after, answering."""

    frame: bytes
    answers: list[bytes] = field(default_factory=list)
    milliseconds: float | None = None
    closed: bool = False


def expected_answers(product: CompiledProduct, frame: bytes, context: SessionContext, now_ms: int) -> list[bytes]:
    """What the gateway answers to a frame; the context learns from a login. A frame that came as it was sent is
    answered by its header though its body cannot be read; one with a wrong check value is not."""
    try:
        decoded = product.decode(cut(product.framing, frame), context)
    except DecodeError as error:
        if error.code is DecodeCode.BAD_CHECK or not error.values:
            return []
        return product.replies(error.message, error.values, context, now_ms, error.kind)
    if decoded.message.login:
        product.remember(decoded, context)
    return product.replies(decoded.message.name, decoded.values, context, now_ms, decoded.kind)


async def talk(
    host: str, port: int, frames: Sequence[tuple[bytes, Sequence[bytes]]], timeout_s: float
) -> list[Exchange]:
    """Sends each frame when the answers to the one before have come, or `timeout_s` has passed.

    frames: with the answers that are expected; only their sizes count here. Raises OSError, TimeoutError among them,
    when there is no connection.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(host, port)
    exchanges: list[Exchange] = []
    try:
        for frame, expected in frames:
            exchange = Exchange(frame)
            exchanges.append(exchange)
            begun = time.perf_counter()
            writer.write(frame)
            data, exchange.closed = await _receive(reader, sum(map(len, expected)), timeout_s)
            if data:
                exchange.milliseconds = round((time.perf_counter() - begun) * 1000, 3)
                exchange.answers = _split(data, expected)
            if exchange.closed:
                break
    finally:
        writer.close()
    return exchanges


async def _receive(reader: asyncio.StreamReader, size: int, timeout_s: float) -> tuple[bytes, bool]:
    """What comes until it is `size` bytes, or (of no known size) until it is quiet; True when the peer has closed."""
    data = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while not size or len(data) < size:
                async with asyncio.timeout(_QUIET_S if data and not size else None):
                    piece = await reader.read(65536)
                if not piece:
                    return bytes(data), True
                data += piece
    except TimeoutError:
        pass
    except ConnectionError:
        return bytes(data), True
    return bytes(data), False


def _split(data: bytes, expected: Sequence[bytes]) -> list[bytes]:
    """The answers one by one when they are as long as they should be, else in one piece."""
    if len(data) != sum(map(len, expected)):
        return [data]
    pieces, start = [], 0
    for answer in expected:
        pieces.append(data[start : start + len(answer)])
        start += len(answer)
    return pieces


class AnswerReader:
    """Reads what the gateway sends by the spec's downlink messages, as a device would."""

    def __init__(self, product: CompiledProduct) -> None:
        self._zone_s = product.zone_s
        self._codecs: list[tuple[Transcoding | None, ReferenceCodec]] = []
        for kind in product.kinds:
            if kind.reference is not None and (selectors := _selectors(product, kind.layout)):
                layout = dataclasses.replace(kind.layout, selectors=selectors)
                self._codecs.append((kind.kind.escape, ReferenceCodec(layout)))

    def read(self, data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Message name and values by the first kind of frame that it is; None when it is none."""
        for escape, codec in self._codecs:
            try:
                plain = data if escape is None else unescape(escape, data)
                return codec.decode(plain, SessionContext(), self._zone_s)
            except DecodeError:
                continue
        return None


def _selectors(product: CompiledProduct, layout: FrameLayout) -> list[Selector]:
    """How the downlink messages of a frame are told apart by the single numbers in their `when`. One without such a
    number (an answer that repeats the type of what it answers) is what all others are not."""
    names = {node.name for node in walk((*layout.header, *layout.trailer)) if isinstance(node, Value)}
    selectors = []
    for name in layout.messages:
        spec = product.spec.messages[name]
        tests = [(key, ((value, value),)) for key, value in spec.when.items() if isinstance(value, int)]
        if spec.downlink and names.issuperset(key for key, _ in tests):
            selectors.append(Selector(name, tuple(tests)))
    return sorted(selectors, key=lambda selector: not selector.tests)
