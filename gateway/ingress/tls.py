"""TLS for faces on raw protocols: the server's context, and one connection's TLS as a machine without a socket.

Place in the walk: between the transport's bytes and the session's. The machine instead of the event loop's own TLS,
because a PROXY header stands in front of it, because a failed handshake must be counted, and because connections in
their handshake must count against the listener's limits.
"""

from __future__ import annotations

import contextlib
import ssl
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway.domain.device import Principal
from gateway.domain.errors import ConfigError

__all__ = ["ClientAuth", "TlsMachine", "principal_of", "server_context"]

_READ_BYTES = 65_536


class ClientAuth(StrEnum):
    """Whether clients prove themselves with a certificate."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


def server_context(
    cert_file: Path, key_file: Path, client_ca_file: Path | None = None, client_auth: ClientAuth = ClientAuth.OFF
) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3. Raises ConfigError naming the file that cannot be used; its setting is that
    of the listener's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for key, file in (("cert_file", cert_file), ("key_file", key_file), ("client_ca_file", client_ca_file)):
        if file is not None:
            _check_readable(key, file)
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except ssl.SSLError as error:
        if "MISMATCH" in str(error):
            text = f"tls.key_file {key_file} is not the key of tls.cert_file {cert_file}"
            raise ConfigError(text, setting="tls.key_file") from None
        raise ConfigError(
            f"tls.cert_file {cert_file} and tls.key_file {key_file} cannot be used: both must be PEM, the certificate "
            f"first in its file, the key without a password ({error})",
            setting="tls.cert_file",
        ) from None
    except _EncryptedKeyError:
        text = f"tls.key_file {key_file} is protected by a password; give it without one"
        raise ConfigError(text, setting="tls.key_file") from None
    if client_auth is ClientAuth.OFF:
        return context
    if client_ca_file is None:
        raise ConfigError(f"tls.client_auth {client_auth.value} needs tls.client_ca_file", setting="tls.client_auth")
    try:
        context.load_verify_locations(client_ca_file)
    except ssl.SSLError as error:
        text = f"tls.client_ca_file {client_ca_file} holds no PEM certificate ({error})"
        raise ConfigError(text, setting="tls.client_ca_file") from None
    context.verify_mode = ssl.CERT_REQUIRED if client_auth is ClientAuth.REQUIRED else ssl.CERT_OPTIONAL
    return context


class TlsMachine:
    """The server's side of one connection's TLS: bytes in, bytes out.

    `ssl.SSLError` out of any method ends the connection; `take_outgoing` then still holds the alert for the peer.
    established: the handshake is complete. finished: the peer has said that it sends no more.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "established", "finished")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.established = False
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """Takes what came from the network; returns what the peer said, which may be nothing."""
        self._incoming.write(data)
        tls = self._object
        said = b""
        try:
            if not self.established:
                tls.do_handshake()
                self.established = True
            # Whole records leave nothing behind, so that the usual read ends without an exception.
            while not self.finished and (self._incoming.pending or tls.pending()):
                more = tls.read(_READ_BYTES)
                self.finished = not more
                said = said + more if said else more
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.finished = True
        return said

    def send(self, data: bytes) -> bytes:
        """What the network shall carry for the peer to hear `data`."""
        self._object.write(data)
        return self._outgoing.read()

    def take_outgoing(self) -> bytes:
        """What the network shall carry now: answers of the handshake, alerts."""
        return self._outgoing.read()

    def close(self) -> bytes:
        """Says goodbye: what the network shall carry last."""
        if self.established:
            with contextlib.suppress(ssl.SSLError, OSError):  # the peer's own goodbye is not waited for
                self._object.unwrap()
        return self._outgoing.read()

    @property
    def certificate(self) -> Any:
        """The client's, as `ssl.SSLSocket.getpeercert` gives it; None: it showed none (yet)."""
        return self._object.getpeercert() if self.established else None

    @property
    def principal(self) -> Principal:
        """Whom the client's certificate names. Without one: open."""
        return principal_of(self.certificate)


def principal_of(certificate: Any) -> Principal:
    """Whom a certificate names that was checked; as `ssl.SSLSocket.getpeercert` gives it, None for no certificate."""
    if not certificate:
        return Principal()
    common = [value for entry in certificate.get("subject", ()) for key, value in entry if key == "commonName"]
    others: Any = certificate.get("subjectAltName", ())
    return Principal(
        "certificate",
        next((value for value in (*common, *(value for _, value in others)) if value), ""),
        common_name=common[0] if common else "",
        dns_names=tuple(value for kind, value in others if kind == "DNS"),
        uris=tuple(value for kind, value in others if kind == "URI"),
    )


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> str:
    raise _EncryptedKeyError


def _check_readable(key: str, file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        text = f"tls.{key} {file} cannot be read: {error.strerror}"
        raise ConfigError(text, setting=f"tls.{key}") from None
