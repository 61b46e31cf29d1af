"""A connection's transport to aiohttp, once its TLS handshake is complete.

Place in the walk: between aiohttp's protocol and the socket's transport, for what the server says; the door carries
what the client says.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from gateway.ingress.tls import TlsMachine

__all__ = ["SecuredTransport"]


class SecuredTransport(asyncio.Transport):
    """Writes through `tls`; all else is the socket's."""

    def __init__(self, raw: asyncio.Transport, tls: TlsMachine, context: ssl.SSLContext) -> None:
        super().__init__({"peercert": tls.certificate, "sslcontext": context})
        self._raw = raw
        self._tls = tls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's own: `peercert` and `sslcontext` besides those of the socket."""
        found = super().get_extra_info(name)
        return found if found is not None else self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if data and not self._raw.is_closing():
            self._raw.write(self._tls.send(bytes(data)))

    def close(self) -> None:
        """Says goodbye, and ends once all that was written is sent."""
        if not self._raw.is_closing():
            self._raw.write(self._tls.close())
            self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def is_reading(self) -> bool:
        return self._raw.is_reading()

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()
