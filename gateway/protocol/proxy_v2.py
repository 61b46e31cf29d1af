"""PROXY protocol version 2: the header with which a load balancer tells who its client is.

Place in the walk: on a listener with `proxy_protocol: true` the face gives the first bytes of each connection to a
`ProxyV2` and only what stands behind the header to TLS or the session. On such a listener the header is required, on
others it is not looked for: a guess would let any client name its own address.

Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

__all__ = ["ProxyError", "ProxyHeader", "ProxyV2"]

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_EXTRA_BYTES = 4096
"""TLVs behind the addresses; they are skipped. More than this is nobody's header."""

_HEADER_BYTES = 16
_LOCAL, _PROXY = 0, 1
_INET, _INET6, _UNIX = 1, 2, 3
_ADDRESS_BYTES = {_INET: 12, _INET6: 36, _UNIX: 216}
_PORTS = struct.Struct(">HH")


@dataclass(slots=True)
class ProxyHeader:
    """source, destination: address and port of the client and of what it called.

    None where the header does not say (UNSPEC, unix socket) or where the connection is the balancer's own
    (`local`, a health check): then the addresses of the connection itself count.
    """

    local: bool
    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None


@dataclass(slots=True)
class ProxyError:
    """The bytes are no PROXY v2 header; the connection must be closed."""

    detail: str


class ProxyV2:
    """Reads one header from a stream. `rest` holds what came behind it, once it is complete."""

    __slots__ = ("_buffer", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self.rest = b""

    def receive(self, data: bytes) -> ProxyHeader | ProxyError | None:
        """The header once it is complete, an error as soon as it is certain, None while more bytes are needed."""
        buffer = self._buffer = self._buffer + data
        if not SIGNATURE.startswith(buffer[:12]):
            return ProxyError("no PROXY v2 signature")
        if len(buffer) < _HEADER_BYTES:
            return None
        version, command = buffer[12] >> 4, buffer[12] & 0x0F
        family = buffer[13] >> 4
        length = int.from_bytes(buffer[14:16], "big")
        if version != 2:
            return ProxyError(f"version {version}, expected 2")
        if command not in (_LOCAL, _PROXY):
            return ProxyError(f"unknown command {command}")
        addresses = _ADDRESS_BYTES.get(family, 0)
        if length > addresses + MAX_EXTRA_BYTES:
            return ProxyError(f"{length} bytes of header, at most {addresses + MAX_EXTRA_BYTES} are read")
        if command == _PROXY and length < addresses:
            return ProxyError(f"{length} bytes of addresses, this family has {addresses}")
        if len(buffer) < _HEADER_BYTES + length:
            return None
        self.rest = buffer[_HEADER_BYTES + length :]
        self._buffer = b""
        if command == _LOCAL:
            return ProxyHeader(local=True)
        return _proxied(family, buffer[_HEADER_BYTES:])


def _proxied(family: int, body: bytes) -> ProxyHeader:
    if family == _INET:
        ports = _PORTS.unpack_from(body, 8)
        addresses = str(IPv4Address(body[:4])), str(IPv4Address(body[4:8]))
    elif family == _INET6:
        ports = _PORTS.unpack_from(body, 32)
        addresses = _plain(IPv6Address(body[:16])), _plain(IPv6Address(body[16:32]))
    else:
        return ProxyHeader(local=False)
    return ProxyHeader(False, (addresses[0], ports[0]), (addresses[1], ports[1]))


def _plain(address: IPv6Address) -> str:
    """An IPv4 client on an IPv6 socket is the same client: limits count it once."""
    return str(address.ipv4_mapped or address)
