"""The door of one listener: counts connections, and lets in no more than it may hold.

Place in the walk: between a socket and aiohttp's protocol, whose every byte passes here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from gateway.access.attempts import address_of
from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import CloseReason
from gateway.observe.metrics import ListenerCounters

__all__ = ["Door"]


class Door:
    """Makes the protocol of each connection. serve: makes aiohttp's."""

    def __init__(
        self, serve: Callable[[], asyncio.Protocol], limits: ConnectionLimits, counters: ListenerCounters
    ) -> None:
        self.serve = serve
        self.limits = limits
        self.counters = counters
        self.transports: set[asyncio.BaseTransport] = set()
        self.closing = False
        self._left = asyncio.Event()

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self)

    async def ended(self) -> None:
        """Returns when no connection is left."""
        while self.transports:
            self._left.clear()
            await self._left.wait()

    def abort(self) -> None:
        """Cuts the connections that are left."""
        for transport in list(self.transports):
            _abort(transport)

    def enter(self, transport: asyncio.BaseTransport, address: str) -> CloseReason | None:
        """None: let in. A connection that is not has its counters settled."""
        self.counters.opened += 1
        reason = None
        if not self.limits.enter():
            reason = CloseReason.CONNECTION_LIMIT
        elif not self.limits.enter_address(address):
            self.limits.leave()
            reason = CloseReason.PER_IP_LIMIT
        if reason is not None:
            self.counters.closed[reason] += 1
            return reason
        self.counters.open += 1
        self.transports.add(transport)
        return None

    def leave(self, transport: asyncio.BaseTransport, address: str, error: BaseException | None) -> None:
        self.limits.leave()
        self.limits.leave_address(address)
        self.counters.open -= 1
        lost = CloseReason.CONNECTION_LOST if error is not None else CloseReason.PEER_CLOSED
        self.counters.closed[CloseReason.SHUTDOWN if self.closing else lost] += 1
        self.transports.discard(transport)
        self._left.set()


def _abort(transport: asyncio.BaseTransport) -> None:
    cast(asyncio.Transport, transport).abort()  # uvloop's is no asyncio.Transport by its class


class _Connection(asyncio.Protocol):
    """One connection: all that happens is told to aiohttp's protocol."""

    __slots__ = ("_address", "_door", "_inner", "_transport")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._address = address_of(f"[{host}]:0" if ":" in host else f"{host}:0")
        if self._door.enter(transport, self._address) is not None:
            _abort(transport)
            return
        self._transport = transport
        self._inner = self._door.serve()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None and self._transport is not None:
            self._inner.connection_lost(exc)
            self._door.leave(self._transport, self._address, exc)
            self._inner = None
