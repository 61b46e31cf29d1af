"""Certificates of a test: a server's, and those of its clients, as files."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from gateway.ingress.tls import ClientAuth, server_context


class Files:
    """A server's certificate and key, and the authority that signs the clients' certificates, as files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.clients = trustme.CA()
        server = self.authority.issue_cert("gateway.test")
        self.cert, self.key, self.client_ca = folder / "cert.pem", folder / "key.pem", folder / "clients.pem"
        server.cert_chain_pems[0].write_to_path(self.cert)
        server.private_key_pem.write_to_path(self.key)
        self.clients.cert_pem.write_to_path(self.client_ca)
        self.folder = folder

    def server(self, client_auth: ClientAuth = ClientAuth.OFF) -> ssl.SSLContext:
        return server_context(self.cert, self.key, self.client_ca, client_auth)

    def client(self, *, name: str = "", by: trustme.CA | None = None, newest: bool = True) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not newest:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.authority.configure_trust(context)
        if name:
            (by or self.clients).issue_cert("device.test", common_name=name).configure_cert(context)
        return context
