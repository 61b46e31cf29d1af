"""What stands before a gateway in production: a load balancer, and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.e2e.rig import GUARD_S, Json


@contextlib.asynccontextmanager
async def haproxy(folder: Path, server: tuple[str, int], options: str) -> AsyncIterator[tuple[str, int]]:
    """A TCP proxy in front of the server; gives its address. It inherits a socket that listens already."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"  # where Debian puts it, and users' paths lack it
    binary = shutil.which("haproxy", path=path)
    if binary is None:
        assert os.environ.get("CI") != "true", "haproxy is missing (Debian package haproxy)"
        pytest.skip("haproxy is not installed (Debian package haproxy)")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        file = folder / "haproxy.cfg"
        file.write_text(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
            f"frontend devices\n bind fd@{listening.fileno()}\n default_backend gateway\n"
            f"backend gateway\n server one {server[0]}:{server[1]} {options}\n",
            "utf-8",
        )
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(binary, "-db", "-f", file), pass_fds=[listening.fileno()], stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        try:
            yield listening.getsockname()[:2]
            assert process.returncode is None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(GUARD_S):
                await process.communicate()


class Files:
    """A server's certificate and key, and the authority that signs the clients' certificates, as files."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.clients = trustme.CA(), trustme.CA()
        server = self.authority.issue_cert("gateway.test")
        server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        server.private_key_pem.write_to_path(folder / "key.pem")
        self.clients.cert_pem.write_to_path(folder / "clients.pem")
        self.section: Json = {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}
        self.mutual: Json = self.section | {
            "client_ca_file": str(folder / "clients.pem"),
            "client_auth": "required",
        }

    def client(self, name: str = "", by: trustme.CA | None = None) -> ssl.SSLContext:
        """A client that trusts the server, with a certificate if it has a name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        if name:
            (by or self.clients).issue_cert("device.test", common_name=name).configure_cert(context)
        return context
