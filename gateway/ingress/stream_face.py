"""StreamFace: one TCP connection; carries bytes between the transport and a session.

Place in the walk: transport -> [PROXY header] -> [TLS] -> session, and what the session says back. The face knows
nothing of protocols: it counts, limits, holds back reading, and writes one log line when the connection ends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import structlog

from gateway.access.limits import ConnectionLimits
from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.ingress.tls import TlsMachine
from gateway.observe import events
from gateway.observe.logs import RateLimited
from gateway.observe.metrics import ListenerCounters
from gateway.protocol.proxy_v2 import ProxyError, ProxyV2
from gateway.protocol.session_ports import RoomGate, SessionHost

__all__ = ["OpenSession", "SteadyClock", "StreamContext", "StreamFace", "StreamOptions", "StreamSession"]

_log = structlog.get_logger(__name__)

# Why reading is held back; reading goes on when none is left.
HOLD_ROOM = 1  # the outbox is full
HOLD_SESSION = 2  # the session has as much in flight as it may
HOLD_WRITE = 4  # the peer does not read what it is sent
HOLD_DRAIN = 8  # the gateway is going down

_LIMITS = (CloseReason.CONNECTION_LIMIT, CloseReason.PER_IP_LIMIT)


@dataclass(slots=True, frozen=True)
class StreamOptions:
    """One listener. A limit or time of 0 is off.

    host, port: where to listen; port 0 is any free one. tls: from `gateway.ingress.tls.server_context`.
    proxy_protocol: every connection must begin with a PROXY v2 header. max_per_ip counts the addresses it gives.
    write_buffer_bytes: what the peer has not read beyond which it is not read from either; max_write_buffer_bytes or
    write_timeout_s more and the connection is cut.
    keepalive_*: TCP keepalive; idle times below the load balancer's (350 s on AWS) keep its state alive.
    setting: dotted path of the listener in the configuration, for the operator.
    """

    name: str
    host: str
    port: int
    tenant: str = ""
    max_connections: int = 20_000
    max_per_ip: int = 0
    proxy_protocol: bool = False
    tls: ssl.SSLContext | None = None
    tls_handshake_timeout_s: float = 10
    write_buffer_bytes: int = 65_536
    max_write_buffer_bytes: int = 1 << 20
    write_timeout_s: float = 30
    keepalive_idle_s: int = 120
    keepalive_interval_s: int = 30
    keepalive_probes: int = 3
    backlog: int = 4096
    setting: str = ""


class SteadyClock(Protocol):
    """`gateway.ingress.clock.Clock`, or a test's."""

    def unix_ms(self) -> int: ...

    def steady_ms(self) -> int: ...


class StreamSession(Protocol):
    """What a connection carries: `DeviceSession`, `ClientMachine`, `WebSocketSession`."""

    session_id: str

    def receive_bytes(self, data: bytes, now_ms: int) -> None:
        """Takes what was read. now_ms: Unix ms of arrival."""
        ...

    def set_blocked(self, blocked: bool) -> None:
        """True: the peer does not read what is written; False: it does again."""
        ...

    def on_clock(self, now_ms: int) -> None:
        """Looks at its deadlines. now_ms: of the steady clock."""
        ...

    def resume(self) -> None:
        """The outbox has room again."""
        ...

    def finish(self, reason: CloseReason) -> None:
        """Takes no more bytes; closes as soon as everything that was read is answered."""
        ...

    def close(self, reason: CloseReason) -> None:
        """Ends session and connection."""
        ...

    def lost(self) -> None:
        """The connection is gone."""
        ...

    def facts(self) -> Mapping[str, object]:
        """What the log line at the end of its connection tells of it."""
        ...


class OpenSession(Protocol):
    def __call__(
        self, host: SessionHost, *, session_id: str, peer: str, principal: Principal, opened_ms: int
    ) -> StreamSession:
        """The session of a new connection. principal: proven by a certificate. opened_ms: of the steady clock."""
        ...


@dataclass(slots=True)
class StreamContext:
    """What all connections of one listener share.

    open_session: for each connection once it is known who is at its other end. opening_timeout_ms: how long that may
    take. refuse_session: a session that says no, for a connection beyond the limits; at most `max_refusals` at a time,
    others are cut. max_unread_bytes: `options.max_write_buffer_bytes`, or more. faces: the open ones, oldest first.
    on_empty: called when the last connection has ended.
    """

    options: StreamOptions
    open_session: OpenSession
    opening_timeout_ms: int
    make_id: Callable[[int], str]
    gate: RoomGate
    clock: SteadyClock
    limits: ConnectionLimits
    counters: ListenerCounters
    close_lines: RateLimited
    on_empty: Callable[[], None]
    refuse_session: OpenSession | None = None
    max_refusals: int = 0
    max_unread_bytes: int = 0
    refusals: int = 0
    faces: dict[StreamFace, None] = field(default_factory=dict)


class StreamFace(asyncio.Protocol):
    """One connection. Implements `SessionHost`."""

    __slots__ = (
        "_address",
        "_blocked_ms",
        "_closing",
        "_closing_ms",
        "_context",
        "_detail",
        "_entered",
        "_holds",
        "_opened_ms",
        "_peer",
        "_principal",
        "_proxy",
        "_receive",
        "_refusal",
        "_tls",
        "_unix_ms",
        "bytes_in",
        "bytes_out",
        "session",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, context: StreamContext) -> None:
        self._context = context
        self._unix_ms = context.clock.unix_ms
        self._receive: Callable[[bytes, int], None] = self._receive_nothing
        self._proxy: ProxyV2 | None = None
        self._tls: TlsMachine | None = None
        self._principal = Principal()
        self._detail = ""  # why it came to no session
        self.session: StreamSession | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self._peer = ""
        self._address: str | None = None  # counted against the limit per address
        self._entered = False  # counted against the limit of connections
        self._refusal: CloseReason | None = None  # beyond a limit, and told so
        self._opened_ms = 0
        self._holds = 0
        self._blocked_ms: int | None = None  # since when the peer does not read
        self._closing: CloseReason | None = None
        self._closing_ms = 0

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        context = self._context
        options = context.options
        self.transport = cast("asyncio.Transport", transport)  # not by class: uvloop's transports have their own
        self._opened_ms = context.clock.steady_ms()
        address, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._peer = _peer(address, port)
        context.counters.opened += 1
        context.counters.open += 1
        context.faces[self] = None
        self._entered = context.limits.enter()
        if not self._entered and not self._refuse(CloseReason.CONNECTION_LIMIT):
            return
        self.transport.set_write_buffer_limits(options.write_buffer_bytes)
        _set_socket_options(transport.get_extra_info("socket"), options)
        if not context.gate.open:
            self._hold(HOLD_ROOM, True)
        if options.proxy_protocol:
            self._proxy = ProxyV2()
            self._receive = self._receive_proxy
        else:
            self._begin(address)

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        try:
            self._receive(data, self._unix_ms())
        except Exception as error:
            self.fail(error)
            self.end(CloseReason.INTERNAL_ERROR)

    def eof_received(self) -> bool:
        return self._peer_finished()

    def pause_writing(self) -> None:
        self._blocked_ms = self._context.clock.steady_ms()
        self._hold(HOLD_WRITE, True)
        if self.session is not None:
            self.session.set_blocked(True)

    def resume_writing(self) -> None:
        self._blocked_ms = None
        self._hold(HOLD_WRITE, False)
        if self.session is not None and self._closing is None:
            self.session.set_blocked(False)

    def connection_lost(self, exc: Exception | None) -> None:
        context = self._context
        if self._closing is None:
            if self._holds:
                context.counters.paused -= 1
            self._closing = self._refusal or (CloseReason.CONNECTION_LOST if exc else CloseReason.PEER_CLOSED)
        if self.session is not None:
            self.session.lost()
        self._receive = self._receive_nothing
        if self._entered:
            context.limits.leave()
        if self._address is not None:
            context.limits.leave_address(self._address)
        if self._refusal is not None:
            context.refusals -= 1
        del context.faces[self]
        self._tell_end(self._closing)
        if not context.faces:
            context.on_empty()

    # What stands before the session

    def _receive_nothing(self, data: bytes, now_ms: int) -> None:
        """The connection is closing."""

    def _receive_proxy(self, data: bytes, now_ms: int) -> None:
        assert self._proxy is not None
        found = self._proxy.receive(data)
        if found is None:
            return
        if isinstance(found, ProxyError):
            self._detail = found.detail
            self.close(CloseReason.BAD_PROXY_HEADER)
            return
        rest = self._proxy.rest
        self._proxy = None
        self.bytes_in = len(rest)  # the header is the balancer's, not the peer's
        address, port = (self.transport.get_extra_info("peername") or ("", 0))[:2]
        if found.source is not None:
            address, port = found.source
            self._peer = _peer(address, port)
        self._begin(address)
        if rest:
            self._receive(rest, now_ms)

    def _begin(self, address: str) -> None:
        """It is known who is at the other end."""
        context = self._context
        if self._refusal is None:
            if context.limits.enter_address(address):
                self._address = address
            elif not self._refuse(CloseReason.PER_IP_LIMIT):
                return
        if context.options.tls is not None:
            self._tls = TlsMachine(context.options.tls)
            self._receive = self._receive_tls
        else:
            self._open_session()

    def _receive_tls(self, data: bytes, now_ms: int) -> None:
        tls = self._tls
        assert tls is not None
        try:
            said = tls.receive(data)
        except ssl.SSLError as error:
            self._detail = str(error)
            self._send(tls.take_outgoing())  # the alert that tells the peer why
            self.end(CloseReason.TLS_FAILED)
            return
        self._send(tls.take_outgoing())
        if self.session is None and tls.established:
            self._principal = tls.principal
            self._open_session()
            self._receive = self._receive_tls
        if said and self.session is not None:
            self.session.receive_bytes(said, now_ms)
        if tls.finished:
            self._peer_finished()

    def _open_session(self) -> None:
        context = self._context
        open_session = context.open_session
        if self._refusal is not None and context.refuse_session is not None:
            open_session = context.refuse_session
        self.session = open_session(
            self,
            session_id=context.make_id(self._unix_ms()),
            peer=self._peer,
            principal=self._principal,
            opened_ms=self._opened_ms,
        )
        self._receive = self.session.receive_bytes

    def _refuse(self, reason: CloseReason) -> bool:
        """The connection is beyond a limit. True: it stays until it is told so; False: it is cut."""
        context = self._context
        # A handshake would cost more than the refusal is worth when a crowd comes back.
        if context.options.tls is None and context.refusals < context.max_refusals:
            context.refusals += 1
            self._refusal = reason
            return True
        self.close(reason)
        return False

    def _peer_finished(self) -> bool:
        """The peer sends no more; what it sent is still answered. True: the transport stays open until then."""
        if self.session is None:
            return False
        self.session.finish(CloseReason.PEER_CLOSED)
        return True

    # What the session asks for

    def write(self, data: bytes) -> None:
        self._send(data if self._tls is None else self._tls.send(data))
        blocked = self._blocked_ms is not None
        if blocked and self.transport.get_write_buffer_size() > self._context.max_unread_bytes:
            self.end(CloseReason.SLOW_READER)

    def hold(self, held: bool) -> None:
        self._hold(HOLD_SESSION, held)

    def close(self, reason: CloseReason) -> None:
        """Ends the connection without asking the session; see `end`."""
        if self._closing is not None:
            return
        reason = self._refusal or reason
        if self._holds:
            self._context.counters.paused -= 1
        self._closing = reason
        self._closing_ms = self._context.clock.steady_ms()
        self._receive = self._receive_nothing
        if reason is CloseReason.SLOW_READER or (reason in _LIMITS and self._refusal is None):
            self.transport.abort()
            return
        if self._tls is not None:
            self.transport.write(self._tls.close())
        self.transport.close()

    def fail(self, error: Exception) -> None:
        session_id = self.session.session_id if self.session is not None else ""
        listener = self._context.options.name
        _log.error("session_failed", listener=listener, session_id=session_id, peer=self._peer, exc_info=error)

    # From the listener

    def end(self, reason: CloseReason) -> None:
        """Ends session and connection."""
        if self.session is not None:
            self.session.close(reason)
        self.close(reason)

    def room_changed(self, has_room: bool) -> None:
        self._hold(HOLD_ROOM, not has_room)
        if has_room and self.session is not None:
            self.session.resume()

    def drain(self) -> None:
        """Reads no more; ends once everything in flight is answered."""
        self._hold(HOLD_DRAIN, True)
        if self.session is not None:
            self.session.finish(CloseReason.SHUTDOWN)
        else:
            self.close(CloseReason.SHUTDOWN)

    def abort(self, reason: CloseReason) -> None:
        """Ends the connection at once; what was written and not sent is lost."""
        self.end(reason)
        self.transport.abort()

    def on_clock(self, now_ms: int) -> None:
        """Holds every deadline of this connection. now_ms: of the steady clock."""
        options = self._context.options
        write_timeout_ms = options.write_timeout_s * 1000
        if self._closing is not None:
            if write_timeout_ms and now_ms - self._closing_ms >= write_timeout_ms:
                self.transport.abort()  # the peer does not read what was written last
        elif self._blocked_ms is not None and write_timeout_ms and now_ms - self._blocked_ms >= write_timeout_ms:
            self.end(CloseReason.SLOW_READER)
        elif self.session is not None:
            self.session.on_clock(now_ms)
        elif self._tls is not None and now_ms - self._opened_ms >= options.tls_handshake_timeout_s * 1000:
            self.close(CloseReason.TLS_FAILED)
        elif self._context.opening_timeout_ms and now_ms - self._opened_ms >= self._context.opening_timeout_ms:
            self.close(CloseReason.LOGIN_TIMEOUT)

    # Within

    def _send(self, data: bytes) -> None:
        if data and self._closing is None:
            self.bytes_out += len(data)
            self.transport.write(data)

    def _hold(self, why: int, held: bool) -> None:
        if self._closing is not None:
            return
        before = self._holds
        self._holds = before | why if held else before & ~why
        if self._holds and not before:
            self.transport.pause_reading()
            self._context.counters.paused += 1
        elif before and not self._holds:
            self.transport.resume_reading()
            self._context.counters.paused -= 1

    def _tell_end(self, reason: CloseReason) -> None:
        context = self._context
        if self.bytes_in == 0 and reason in (CloseReason.PEER_CLOSED, CloseReason.CONNECTION_LOST):
            events.bare_connect(context.counters, reason, self._peer)
            return
        fields: dict[str, object] = {
            "peer": self._peer,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "duration_ms": context.clock.steady_ms() - self._opened_ms,
        }
        session = self.session
        if session is not None:
            fields["session_id"] = session.session_id
            fields |= session.facts()
        if self._detail:
            fields["detail"] = self._detail
        if self._principal.name:
            fields["principal"] = self._principal.name
        events.connection_closed(context.counters, context.close_lines, reason, fields)


def _peer(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _set_socket_options(connection: socket.socket, options: StreamOptions) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer is one small write
    if not options.keepalive_idle_s:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, options.keepalive_idle_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, options.keepalive_interval_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, options.keepalive_probes)
