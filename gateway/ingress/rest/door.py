"""The door of one listener: counts connections, lets in no more than it may hold, and does their TLS.

Place in the walk: between a socket and aiohttp's protocol, whose every byte passes here. A connection counts from its
first moment, so that handshakes under way count against the limits as well.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from gateway.access.attempts import address_of
from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import CloseReason
from gateway.ingress.rest.secured import SecuredTransport
from gateway.ingress.tls import TlsMachine
from gateway.observe.http_listener import Serve
from gateway.observe.metrics import ListenerCounters

__all__ = ["Door"]

_HANDSHAKE_S = 10.0


class Door:
    """Makes the protocol of each connection. tls: None for plain HTTP. handshake_s: within which one must be complete,
    in seconds."""

    def __init__(
        self,
        limits: ConnectionLimits,
        counters: ListenerCounters,
        tls: ssl.SSLContext | None = None,
        handshake_s: float = _HANDSHAKE_S,
    ) -> None:
        self.limits = limits
        self.counters = counters
        self.tls = tls
        self.handshake_s = handshake_s
        self.inside: set[_Connection] = set()
        self.closing = False
        self._left = asyncio.Event()

    def __call__(self, serve: Serve) -> asyncio.Protocol:
        return _Connection(self, serve)

    def close(self) -> None:
        """The gateway goes down: handshakes are cut, and what ends from now on ends because of that."""
        self.closing = True
        for connection in list(self.inside):
            if not connection.served:
                connection.abort()

    async def ended(self) -> None:
        """Returns when no connection is left."""
        while self.inside:
            self._left.clear()
            await self._left.wait()

    def abort(self) -> None:
        """Cuts the connections that are left."""
        for connection in list(self.inside):
            connection.abort()

    def enter(self, connection: _Connection, address: str) -> bool:
        """False: it is not let in, and is counted as such."""
        self.counters.opened += 1
        if not self.limits.enter():
            self.counters.closed[CloseReason.CONNECTION_LIMIT] += 1
            return False
        if not self.limits.enter_address(address):
            self.limits.leave()
            self.counters.closed[CloseReason.PER_IP_LIMIT] += 1
            return False
        self.counters.open += 1
        self.inside.add(connection)
        return True

    def leave(self, connection: _Connection, address: str, reason: CloseReason) -> None:
        self.limits.leave()
        self.limits.leave_address(address)
        self.counters.open -= 1
        self.counters.closed[CloseReason.SHUTDOWN if self.closing else reason] += 1
        self.inside.discard(connection)
        self._left.set()


class _Connection(asyncio.Protocol):
    """One connection: all that happens is told to aiohttp's protocol, once there is one."""

    __slots__ = ("_address", "_door", "_failed", "_inner", "_raw", "_secured", "_serve", "_timer", "_tls")

    _raw: asyncio.Transport

    def __init__(self, door: Door, serve: Serve) -> None:
        self._door = door
        self._serve = serve
        self._inner: asyncio.Protocol | None = None
        self._tls: TlsMachine | None = None
        self._secured: SecuredTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._address = ""
        self._failed = False  # its handshake, or what came after it

    @property
    def served(self) -> bool:
        """It is aiohttp's by now."""
        return self._inner is not None

    def abort(self) -> None:
        self._raw.abort()

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)  # uvloop's is no asyncio.Transport by its class
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._address = address_of(f"[{host}]:0" if ":" in host else f"{host}:0")
        door = self._door
        if not door.enter(self, self._address):
            self.abort()
        elif door.tls is None:
            self._open(transport)
        else:
            self._tls = TlsMachine(door.tls)
            self._timer = asyncio.get_running_loop().call_later(door.handshake_s, self._fail)

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            self._receive_secured(self._tls, data)
        elif self._inner is not None:
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
        if self._timer is not None:
            self._timer.cancel()
        if self not in self._door.inside:
            return
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connection_lost(exc)
        if self._failed:
            reason = CloseReason.TLS_FAILED
        else:
            reason = CloseReason.CONNECTION_LOST if exc is not None else CloseReason.PEER_CLOSED
        self._door.leave(self, self._address, reason)

    # Within

    def _receive_secured(self, tls: TlsMachine, data: bytes) -> None:
        if self._failed:
            return
        try:
            said = tls.receive(data)
        except ssl.SSLError:
            self._fail(tls.take_outgoing())  # the alert that tells the peer why
            return
        answer = tls.take_outgoing()
        if answer:
            self._raw.write(answer)
        if self._inner is None and tls.established:
            self._established(tls)
        if said and self._inner is not None:
            self._inner.data_received(said)
        if tls.finished and not self.eof_received() and self._secured is not None:
            self._secured.close()

    def _established(self, tls: TlsMachine) -> None:
        assert self._door.tls is not None
        if self._timer is not None:
            self._timer.cancel()
        self._secured = SecuredTransport(self._raw, tls, self._door.tls)
        self._open(self._secured)

    def _open(self, transport: asyncio.BaseTransport) -> None:
        self._inner = self._serve()
        self._inner.connection_made(transport)

    def _fail(self, last_words: bytes = b"") -> None:
        """Its TLS cannot be, or took too long."""
        self._failed = True
        if last_words:
            self._raw.write(last_words)
            self._raw.close()
        else:
            self._raw.abort()
