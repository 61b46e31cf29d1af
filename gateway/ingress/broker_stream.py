"""The stream between the gateway and an existing broker, as amqtt's protocol handler reads and writes it.

Place in the walk: below `broker_link`. amqtt reads byte by byte, without a limit, and goes on after a packet that it
could not read; here are whole packets of a bounded size, a gate before each, and a check after each.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Protocol

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.mqtt.packet import PUBLISH

from gateway.domain.errors import SourceProblem

__all__ = ["Gate", "PacketReader", "PacketWriter", "SourceDown", "Taker", "told"]

READ_BYTES = 65_536
_MAX_HEAD_BYTES = 65_535 + 4
"""Of a PUBLISH that is passed over: the longest topic, its length, the packet id."""


class SourceDown(Exception):
    """There is no connection, or none any more."""

    def __init__(self, problem: SourceProblem, detail: str) -> None:
        super().__init__(f"{problem.value}: {detail}")
        self.problem = problem
        self.detail = detail


class Taker(Protocol):
    """Who gets what the broker sends; the calls come in the order of the packets."""

    def publish(self, topic: str, payload: bytes, qos: int, packet_id: int, *, dup: bool, retain: bool) -> None: ...

    def too_large(self, topic: str, qos: int, packet_id: int, size: int) -> None: ...

    def release(self, packet_id: int) -> None: ...


class Gate:
    """Whether packets are read. steady_s: a clock that never jumps."""

    __slots__ = ("_event", "_opened_s", "_steady_s")

    def __init__(self, steady_s: Callable[[], float]) -> None:
        self._event = asyncio.Event()
        self._event.set()
        self._steady_s = steady_s
        self._opened_s = steady_s()

    @property
    def open(self) -> bool:
        return self._event.is_set()

    def set(self, is_open: bool) -> None:
        if is_open and not self._event.is_set():
            self._opened_s = self._steady_s()
            self._event.set()
        elif not is_open:
            self._event.clear()

    async def wait(self) -> None:
        await self._event.wait()

    def open_for_s(self) -> float:
        """Seconds since it was opened; 0 while it is closed."""
        return self._steady_s() - self._opened_s if self._event.is_set() else 0.0


class PacketReader(ReaderAdapter):  # type: ignore[misc]  # amqtt ships no types
    """What amqtt's handler reads from: whole packets out of a stream.

    error: why nothing more can be read. at_end: the broker has closed the stream. gated: the gate counts, which it
    does not for CONNACK. A PUBLISH beyond max_bytes is passed over, and its beginning given to `taker`.
    """

    def __init__(self, stream: asyncio.StreamReader, gate: Gate, max_bytes: int, taker: Taker) -> None:
        self.gate = gate
        self.error: Exception | None = None
        self.at_end = False
        self.gated = False
        self._stream = stream
        self._max_bytes = max_bytes
        self._taker = taker
        self._kept = b""  # read from the stream, not handed out
        self._packet = b""
        self._at = 0
        self._body = 0  # length that the packet declares
        self._done = True  # the packet was read to its end and understood

    async def read(self, n: int = -1) -> bytes:
        """The next n bytes of the packet, or the first ones of the next packet. An end of the stream is b""."""
        if self.error is not None:
            raise self.error
        if not n:
            return b""
        if self._at == len(self._packet):
            try:
                await self._next()
            except asyncio.IncompleteReadError:
                self.at_end = True
                return b""
            except (OSError, SourceDown) as error:
                self.error = error
                raise
        data = self._packet[self._at : self._at + n] if n >= 0 else self._packet[self._at :]
        self._at += len(data)
        return data

    def feed_eof(self) -> None:
        self._stream.feed_eof()

    def understood(self, packet: Any) -> None:
        """The handler has made this of the bytes that it was given. Raises SourceDown if these are not one packet."""
        if self._at != len(self._packet) or packet.fixed_header.remaining_length != self._body:
            self.error = no_mqtt()
            raise self.error
        self._done = True

    async def _next(self) -> None:
        if not self._done:
            raise no_mqtt()
        await self._passed()
        while True:
            head, body = await self._head()
            if len(head) + body <= self._max_bytes:
                break
            if head[0] >> 4 != PUBLISH:
                raise no_mqtt()
            await self._pass_over(head, body)
        packet = head + await self._exactly(body)
        await self._passed()  # it may have been closed while the packet was awaited
        self._packet, self._at, self._body, self._done = packet, 0, body, False

    async def _passed(self) -> None:
        while self.gated and not self.gate.open:
            await self.gate.wait()

    async def _head(self) -> tuple[bytes, int]:
        """Fixed header (3.1.1 section 2.2), and the length that it declares."""
        head = await self._exactly(2)
        while head[-1] & 0x80:
            if len(head) == 5:
                raise no_mqtt()
            head += await self._exactly(1)
        return head, sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[1:]))

    async def _pass_over(self, head: bytes, body: int) -> None:
        start = await self._exactly(min(body, _MAX_HEAD_BYTES))
        left = body - len(start)
        while left:
            left -= len(await self._exactly(min(left, READ_BYTES)))
        qos = head[0] >> 1 & 3
        end = 2 + int.from_bytes(start[:2], "big")
        packet_id = int.from_bytes(start[end : end + 2], "big") if qos else 0
        self._taker.too_large(start[2:end].decode("utf-8", "replace"), qos, packet_id, len(head) + body)

    async def _exactly(self, size: int) -> bytes:
        kept = self._kept
        if len(kept) < size:
            parts = [kept]
            missing = size - len(kept)
            while missing > 0:
                data = await self._stream.read(READ_BYTES)
                if not data:
                    raise asyncio.IncompleteReadError(b"", size)
                parts.append(data)
                missing -= len(data)
            kept = b"".join(parts)
        self._kept = kept[size:]
        return kept[:size]


class PacketWriter(WriterAdapter):  # type: ignore[misc]  # amqtt ships no types
    """What amqtt's handler writes to."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    @property
    def unsent(self) -> int:
        return self._stream.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if not self._stream.transport.is_closing():
            self._stream.write(data)

    async def drain(self) -> None:
        if not self._stream.transport.is_closing():
            await self._stream.drain()

    def get_peer_info(self) -> tuple[str, int] | None:
        name = self._stream.get_extra_info("peername")
        return (name[0], name[1]) if name else None

    def get_ssl_info(self) -> ssl.SSLObject | None:
        found: ssl.SSLObject | None = self._stream.get_extra_info("ssl_object")
        return found

    async def close(self) -> None:
        """The handler's own end: at once."""
        self.abort()

    async def finish(self) -> None:
        """Closes once everything is sent."""
        self._stream.close()
        await self._stream.wait_closed()

    def abort(self) -> None:
        self._stream.transport.abort()

    async def gone(self) -> None:
        """Returns once the transport is closed."""
        self._stream.close()
        with contextlib.suppress(OSError):
            await self._stream.wait_closed()


def no_mqtt() -> SourceDown:
    """What the broker sent cannot be read."""
    return SourceDown(SourceProblem.PROTOCOL_ERROR, "what the broker sends is no MQTT 3.1.1")


def told(error: Exception) -> SourceDown:
    """What an error of the connection means for the operator."""
    if isinstance(error, SourceDown):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"the broker's certificate is not trusted: {error.verify_message} (set tls.ca_file to who signed it)"
        return SourceDown(SourceProblem.TLS_FAILED, detail)
    if isinstance(error, ssl.SSLError):
        detail = f"{error.reason or error}: does the broker speak TLS there, and take this client certificate?"
        return SourceDown(SourceProblem.TLS_FAILED, detail)
    if isinstance(error, OSError):
        return SourceDown(SourceProblem.CONNECTION_LOST, error.strerror or str(error) or type(error).__name__)
    return SourceDown(SourceProblem.PROTOCOL_ERROR, f"{type(error).__name__}: {error}")
