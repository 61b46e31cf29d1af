"""The transport that aiohttp is given on a connection with TLS."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from gateway.ingress.rest.secured import SecuredTransport
from gateway.ingress.tls import ClientAuth, TlsMachine
from tests.gateway.ingress.rest.test_door import FakeTransport
from tests.gateway.ingress.tls_files import Files


class Ends:
    """Both ends after their handshake. raw: the server's socket."""

    def __init__(self, files: Files, name: str = "") -> None:
        self.context = files.server(ClientAuth.OPTIONAL)
        machine = TlsMachine(self.context)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = files.client(name=name).wrap_bio(self._in, self._out, server_hostname="gateway.test")
        while not machine.established:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            machine.receive(self._out.read())
            self._in.write(machine.take_outgoing())
        self.raw = FakeTransport()
        self.transport = SecuredTransport(self.raw, machine, self.context)

    def heard(self) -> bytes:
        self._in.write(self.raw.take())
        return self.client.read()


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    return Ends(Files(tmp_path))


def test_what_is_written_is_encrypted(ends: Ends) -> None:
    ends.transport.write(b"")
    assert ends.raw.written == b""
    ends.transport.write(b"answer")
    assert b"answer" not in ends.raw.written
    assert ends.transport.get_write_buffer_size() == len(ends.raw.written)
    assert ends.heard() == b"answer"
    for data in (bytearray(b"x"), memoryview(b"y")):
        ends.transport.write(data)
        assert ends.heard() == bytes(data)


def test_closing_says_goodbye_once(ends: Ends) -> None:
    ends.transport.write(b"last")
    assert not ends.transport.is_closing()
    ends.transport.close()
    assert ends.transport.is_closing()
    assert ends.raw.closed
    said = ends.raw.written
    ends.transport.write(b"too late")
    ends.transport.close()
    assert ends.raw.written == said
    assert ends.heard() == b"last"
    assert ends.client.read() == b""


def test_the_rest_is_the_sockets(ends: Ends) -> None:
    ends.transport.pause_reading()
    assert ends.raw.paused
    assert not ends.transport.is_reading()
    ends.transport.resume_reading()
    assert ends.transport.is_reading()
    ends.transport.abort()
    assert ends.raw.aborted
    assert ends.transport.get_extra_info("socket") == "its socket"
    assert ends.transport.get_extra_info("unknown", 5) == 5


def test_who_the_peer_is(tmp_path: Path, ends: Ends) -> None:
    assert ends.transport.get_extra_info("sslcontext") is ends.context
    assert ends.transport.get_extra_info("peercert") is None
    named = Ends(Files(tmp_path), "erp")
    assert (("commonName", "erp"),) in named.transport.get_extra_info("peercert")["subject"]
