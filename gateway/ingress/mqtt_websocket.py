"""WebSocketSession: MQTT in the binary frames of a WebSocket (3.1.1 and 5.0 section 6).

Place in the walk: between StreamFace, which brings limits, PROXY header, TLS and back-pressure, and the ClientMachine.
aiohttp reads the HTTP request and the frames: it is given a pipe that looks like a transport to it. Frames to the
client are written here, within the call, since nothing has to be waited for: the face knows who does not read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from aiohttp import WSCloseCode, WSMsgType, web

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.ingress.stream_face import OpenSession, StreamSession
from gateway.observe.sites import host_name, origin_site
from gateway.protocol.session_ports import SessionHost
from gateway.settings.rules import is_loopback

__all__ = ["WebSocketDoor", "WebSocketSession"]

SUBPROTOCOL = "mqtt"

ANY_ORIGIN = "*"
"""Among the allowed origins: pages of every site."""

MAX_ORIGIN = 256
"""Characters of a refused origin that the log shows."""

MAX_REQUEST_BYTES = 16_384
"""Of the HTTP request, its headers included."""

MIN_MESSAGE_BYTES = 1 << 20
"""Longest message that is taken where packets may not be longer: it may hold several of them."""

_SHUT_S = 1.0

_CODES = {
    CloseReason.SHUTDOWN: WSCloseCode.GOING_AWAY,
    CloseReason.PROTOCOL_ERROR: WSCloseCode.PROTOCOL_ERROR,
    CloseReason.REFUSED: WSCloseCode.POLICY_VIOLATION,
    CloseReason.INTERNAL_ERROR: WSCloseCode.INTERNAL_ERROR,
}

# Why reading is held back
HOLD_CLIENT = 1  # the client has as much in flight as it may
HOLD_HTTP = 2  # aiohttp has frames that were not read

_BINARY, _CLOSE = 0x82, 0x88  # final frames (RFC 6455 section 5.2)

# What aiohttp has to say about requests is the peers' doing, and anybody can cause it: the close line tells of it.
_quiet = logging.getLogger("gateway.ingress.mqtt_websocket.http")
_quiet.setLevel(logging.CRITICAL + 1)


class WebSocketDoor:
    """Opens the WebSocket sessions of one listener.

    open_client: the session of what is in the WebSocket. timeout_ms: until the WebSocket is open; 0: for ever.
    unix_ms: the time at which messages are taken in. allowed_origins: whose pages may speak here, beside those of the
    same host. on_loopback: the listener can be reached from this machine alone.
    """

    def __init__(
        self,
        open_client: OpenSession,
        *,
        path: str,
        max_packet_bytes: int,
        timeout_ms: int,
        unix_ms: Callable[[], int],
        allowed_origins: Iterable[str] = (),
        on_loopback: bool = False,
    ) -> None:
        self._origins = frozenset(origin.lower() for origin in allowed_origins)
        self._on_loopback = on_loopback
        self.open_client = open_client
        self.path = path
        self.max_message_bytes = max(MIN_MESSAGE_BYTES, 2 * max_packet_bytes)
        self.timeout_ms = timeout_ms
        self.unix_ms = unix_ms
        self.server = web.Server(
            _serve,
            handler_cancellation=True,
            access_log=None,
            logger=_quiet,
            tcp_keepalive=False,
            keepalive_timeout=0,
            lingering_time=0,
        )

    def open(
        self, host: SessionHost, *, session_id: str, peer: str, principal: Principal, opened_ms: int
    ) -> WebSocketSession:
        """Implements `OpenSession`."""
        return WebSocketSession(self, host, session_id=session_id, peer=peer, principal=principal, opened_ms=opened_ms)

    def lets_in(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may speak here. host: the header that says where it thinks it speaks to.

        On loopback that must be this machine: a page can have its own name point here (DNS rebinding).
        """
        if ANY_ORIGIN in self._origins or origin.lower() in self._origins:
            return True
        return origin_site(origin) == host != "" and (not self._on_loopback or is_loopback(host_name(host)))

    async def shut(self) -> None:
        """Waits for the tasks of connections that are closed; cancels what is left."""
        await self.server.shutdown(_SHUT_S)


class WebSocketSession:
    """One WebSocket. Implements `StreamSession`; its client's host is a `_Frames`. client: once the WebSocket is
    open. status: of the HTTP answer, 0 before it. origin: of a page that was refused."""

    def __init__(
        self,
        door: WebSocketDoor,
        host: SessionHost,
        *,
        session_id: str,
        peer: str,
        principal: Principal,
        opened_ms: int,
    ) -> None:
        self.session_id = session_id
        self.client: StreamSession | None = None
        self.status = 0
        self.origin: str | None = None
        self._door = door
        self._host = host
        self._peer = peer
        self._principal = principal
        self._opened_ms = opened_ms
        self._closed = False
        self._blocked = False
        self._finish: CloseReason | None = None
        self._request_bytes = 0
        self._holds = 0
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._handler = door.server()
        self._handler.connection_made(_Pipe(self))

    # From the face

    def receive_bytes(self, data: bytes, now_ms: int) -> None:
        if self._closed:
            return
        if self.client is None:
            self._request_bytes += len(data)
            if self._request_bytes > MAX_REQUEST_BYTES:
                self.end(CloseReason.UNKNOWN_PROTOCOL)
                return
        self._handler.data_received(data)

    def set_blocked(self, blocked: bool) -> None:
        if blocked is self._blocked:
            return  # it was so before the session
        self._blocked = blocked
        if blocked:
            self._handler.pause_writing()
        else:
            self._handler.resume_writing()
        if self.client is not None:
            self.client.set_blocked(blocked)

    def on_clock(self, now_ms: int) -> None:
        timeout_ms = self._door.timeout_ms
        if self.client is not None:
            self.client.on_clock(now_ms)
        elif timeout_ms and now_ms - self._opened_ms >= timeout_ms:
            self.end(CloseReason.LOGIN_TIMEOUT)

    def resume(self) -> None:
        if self.client is not None:
            self.client.resume()

    def finish(self, reason: CloseReason) -> None:
        if self.client is not None:
            self._finish_client(self.client, reason)
        elif reason is CloseReason.PEER_CLOSED and self._request_bytes:
            self._finish = reason  # its request is still answered
        else:
            self.end(reason)

    def close(self, reason: CloseReason) -> None:
        if self.client is not None:
            self.client.close(reason)
        else:
            self.end(reason)

    def lost(self) -> None:
        if self.client is not None:
            self.client.lost()
        self._let_go()

    def facts(self) -> Mapping[str, object]:
        if self.client is not None:
            return {**self.client.facts(), "transport": "websocket"}
        return {"status": self.status, **({} if self.origin is None else {"origin": self.origin})}

    # The request and the frames

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Takes the WebSocket's messages to its end, or says why it is none."""
        problem = self._problem(request)
        if problem is not None:
            problem.force_close()
            self.status = problem.status
            return problem
        self.status = 101
        door = self._door
        # Compressed frames would be a way around every limit on bytes.
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,), max_msg_size=door.max_message_bytes, compress=False, autoclose=False
        )
        await socket.prepare(request)
        client = self.client = door.open_client(
            _Frames(self, self._host),
            session_id=self.session_id,
            peer=self._peer,
            principal=self._principal,
            opened_ms=self._opened_ms,
        )
        client.set_blocked(self._blocked)
        if self._finish is not None:
            self._finish_client(client, self._finish)
        while not self._closed:
            message = await socket.receive()
            if message.type is WSMsgType.BINARY:
                client.receive_bytes(message.data, door.unix_ms())
            elif message.type in (WSMsgType.TEXT, WSMsgType.ERROR):  # MQTT-6.0.0-1; a broken frame
                client.close(CloseReason.PROTOCOL_ERROR)
            else:
                client.finish(CloseReason.PEER_CLOSED)
                break
            await self._may_read.wait()
        await asyncio.Event().wait()  # `lost` cancels this task
        return socket

    def _problem(self, request: web.BaseRequest) -> web.Response | None:
        if request.path != self._door.path:
            return web.Response(status=404, text=f"MQTT over WebSocket is at {self._door.path}\n")
        if request.headers.get("Upgrade", "").strip().lower() != "websocket":
            return web.Response(status=426, text="a WebSocket is expected here\n", headers={"Upgrade": "websocket"})
        origin = request.headers.get("Origin")  # browsers always send it, and pages cannot change it
        if origin is not None and not self._door.lets_in(origin, request.headers.get("Host", "")):
            self.origin = origin[:MAX_ORIGIN]
            text = "pages of this site may not speak here: the listener's `allowed_origins` names those that may\n"
            return web.Response(status=403, text=text)
        offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", ()))
        if SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:  # MQTT-6.0.0-3
            return web.Response(status=400, text=f"Sec-WebSocket-Protocol: {SUBPROTOCOL} is missing\n")
        return None

    def hold(self, why: int, held: bool) -> None:
        """Reading is held back while one of the reasons (bits) holds."""
        before = self._holds
        self._holds = before | why if held else before & ~why
        if why == HOLD_CLIENT:
            if held:
                self._may_read.clear()
            else:
                self._may_read.set()
        if bool(before) is not bool(self._holds):
            self._host.hold(bool(self._holds))

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        if not self._closed:
            self._host.write(data)

    def end(self, reason: CloseReason) -> None:
        """Ends the connection; the client in it, if there is one, has ended."""
        if self._closed:
            return
        if self.client is not None and reason is not CloseReason.SLOW_READER:
            code = _CODES.get(reason, WSCloseCode.OK)
            self._host.write(_frame(_CLOSE, code.to_bytes(2, "big")))
        self._closed = True
        self._host.close(reason)

    def end_of_pipe(self) -> None:
        """aiohttp has closed its transport: it refused the request, or found bytes that are no WebSocket's."""
        if self.client is not None:
            self.client.close(CloseReason.PROTOCOL_ERROR)
        else:
            self.end(CloseReason.UNKNOWN_PROTOCOL if self.origin is None else CloseReason.REFUSED)

    def _finish_client(self, client: StreamSession, reason: CloseReason) -> None:
        """After the task that reads: what has arrived before the end of the stream is still taken in."""
        asyncio.get_running_loop().call_soon(client.finish, reason)

    def _let_go(self) -> None:
        self._closed = True
        self._may_read.set()
        self._handler.connection_lost(None)


def _frame(kind: int, data: bytes) -> bytes:
    """A whole frame of a server (RFC 6455 section 5.2)."""
    size = len(data)
    if size < 126:
        return bytes((kind, size)) + data
    if size < 1 << 16:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + data
    return bytes((kind, 127)) + size.to_bytes(8, "big") + data


class _Frames:
    """Implements `SessionHost` for the client in a WebSocket."""

    __slots__ = ("_host", "_session")

    def __init__(self, session: WebSocketSession, host: SessionHost) -> None:
        self._session = session
        self._host = host

    def write(self, data: bytes) -> None:
        self._session.write(_frame(_BINARY, data))

    def hold(self, held: bool) -> None:
        self._session.hold(HOLD_CLIENT, held)

    def close(self, reason: CloseReason) -> None:
        self._session.end(reason)

    def fail(self, error: Exception) -> None:
        self._host.fail(error)


class _Pipe(asyncio.Transport):
    """What aiohttp takes for its transport."""

    def __init__(self, session: WebSocketSession) -> None:
        super().__init__()
        self.session = session
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.session.write(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.session.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self.session.hold(HOLD_HTTP, True)

    def resume_reading(self) -> None:
        self.session.hold(HOLD_HTTP, False)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.session.end_of_pipe()

    def abort(self) -> None:
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


async def _serve(request: web.BaseRequest) -> web.StreamResponse:
    return await cast("_Pipe", request.transport).session.serve(request)
