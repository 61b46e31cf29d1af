"""Link: one MQTT connection from the client's side, on `asyncio.Protocol` with the gateway's codec.

Place in the walk: everything here that speaks MQTT holds one of these and is its Owner.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from typing import Protocol, cast

from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import V5, Connack, Connect, Packet, Properties

__all__ = ["Link", "Owner", "connect_packet", "reset"]

_MAX_PACKET_BYTES = 1 << 20
_RESET = struct.pack("ii", 1, 0)  # struct linger: no waiting


class Owner(Protocol):
    """Who a link belongs to. `lost` and `failed` are its end: nothing is called after either."""

    def accepted(self, connack: Connack) -> None:
        """The server has let the client in."""
        ...

    def received(self, packets: Sequence[Packet]) -> None:
        """What one read brought."""
        ...

    def writable(self) -> None:
        """There is room for more output, after there was none."""
        ...

    def lost(self) -> None:
        """The connection is gone."""
        ...

    def failed(self, reason: str) -> None:
        """The server refused the client or broke the standard; the connection is ended."""
        ...


def connect_packet(
    version: int, client_id: str, *, clean: bool = True, expiry_s: int = 0, keep_alive_s: int = 0
) -> bytes:
    """expiry_s: how long the session shall outlive the connection, in 5.0."""
    properties = Properties(session_expiry_interval=expiry_s) if version == V5 and expiry_s else None
    return encode(Connect(version, client_id, clean, keep_alive_s, properties=properties), version)


def reset(transport: asyncio.Transport) -> None:
    """Ends a connection as a device that vanishes: with a reset, which leaves no port in TIME_WAIT."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class Link(asyncio.Protocol):
    """connect: the bytes of the CONNECT that it begins with. full: output waits in this process; write no more."""

    __slots__ = ("_accepted", "_connect", "_decoder", "_ended", "_owner", "_transport", "full")

    def __init__(self, owner: Owner, version: int, connect: bytes) -> None:
        self.full = False
        self._owner = owner
        self._connect = connect
        self._decoder = Decoder(_MAX_PACKET_BYTES, from_client=False, version=version)
        self._transport: asyncio.Transport | None = None
        self._accepted = False
        self._ended = False

    async def open(self, address: tuple[str, int], source: tuple[str, int] | None = None) -> None:
        """Connects and sends CONNECT; the owner hears the answer. source: of the connection. OSError: nobody listens
        there."""
        await asyncio.get_running_loop().create_connection(lambda: self, *address, local_addr=source)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        """Ends it with a reset; the owner is not told."""
        self._ended = True
        if self._transport is not None:
            reset(self._transport)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        if self._ended:
            self.abort()
            return
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.write(self._connect)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        packets: Sequence[Packet] = self._decoder.receive(data)
        if packets and not self._accepted:
            first, packets = packets[0], packets[1:]
            if not isinstance(first, Connack) or first.reason.failed:
                self._fail(f"CONNECT was answered with {first}")
                return
            self._accepted = True
            self._owner.accepted(first)
        if packets and not self._ended:
            self._owner.received(packets)
        if self._decoder.error is not None and not self._ended:
            self._fail(f"the server broke the standard: {self._decoder.error}")

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if not self._ended:
            self._owner.writable()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if not self._ended:
            self._ended = True
            self._owner.lost()

    def _fail(self, reason: str) -> None:
        self.abort()
        self._owner.failed(reason)
