from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason, OperatorError
from gateway.ingress.tls import ClientAuth, TlsMachine, server_context
from gateway.protocol.proxy_v2 import SIGNATURE
from tests.gateway.ingress.rig import Rig
from tests.gateway.ingress.tls_files import Files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


# The context


def test_files_that_cannot_be_used_are_named(files: Files, tmp_path: Path) -> None:
    other = Files(tmp_path)
    missing, junk, locked = tmp_path / "missing.pem", tmp_path / "junk.pem", tmp_path / "locked.pem"
    junk.write_text("no certificate")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    protection = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, protection)
    )
    with pytest.raises(OperatorError, match=r"tls.cert_file .*missing.pem cannot be read: No such file"):
        server_context(missing, files.key)
    with pytest.raises(OperatorError, match=r"tls.key_file .*missing.pem cannot be read"):
        server_context(files.cert, missing)
    with pytest.raises(OperatorError, match=r"tls.client_ca_file .*missing.pem cannot be read"):
        server_context(files.cert, files.key, missing)
    with pytest.raises(OperatorError, match=r"junk.pem .*must be PEM"):
        server_context(junk, files.key)
    with pytest.raises(OperatorError, match=r"is not the key of tls.cert_file"):
        server_context(files.cert, other.key)
    with pytest.raises(OperatorError, match=r"locked.pem is protected by a password"):
        server_context(files.cert, locked)
    with pytest.raises(OperatorError, match=r"tls.client_ca_file .*junk.pem holds no PEM certificate"):
        server_context(files.cert, files.key, junk, ClientAuth.OPTIONAL)
    with pytest.raises(OperatorError, match=r"tls.client_auth required needs tls.client_ca_file"):
        server_context(files.cert, files.key, client_auth=ClientAuth.REQUIRED)


# The machine


class Memory:
    """A client in memory, joined to a machine."""

    def __init__(self, machine: TlsMachine, context: ssl.SSLContext) -> None:
        self.machine = machine
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="gateway.test")
        self.heard = b""

    def shake_hands(self, step: int = 1 << 20) -> None:
        """Exchanges bytes, `step` at a time, until the client has nothing more to say."""
        for _ in range(10):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            self.flush(step)

    def flush(self, step: int = 1 << 20) -> None:
        wire = self.outgoing.read()
        for at in range(0, len(wire), step):
            self.heard += self.machine.receive(wire[at : at + step])
        self.incoming.write(self.machine.take_outgoing())


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("newest", [True, False])
def test_the_machine_hears_and_speaks_however_the_bytes_are_split(files: Files, step: int, newest: bool) -> None:
    machine = TlsMachine(files.server())
    peer = Memory(machine, files.client(newest=newest))
    assert not machine.established
    peer.shake_hands(step)
    assert machine.established
    peer.tls.write(b"hello")
    peer.tls.write(b" gateway" * 4000)
    peer.flush(step)
    assert peer.heard == b"hello" + b" gateway" * 4000
    peer.incoming.write(machine.send(b"hello device"))
    assert peer.tls.read() == b"hello device"
    assert not machine.finished


def test_the_peers_goodbye_is_heard_with_what_came_before(files: Files) -> None:
    machine = TlsMachine(files.server())
    peer = Memory(machine, files.client())
    peer.shake_hands()
    peer.tls.write(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.flush()
    assert peer.heard == b"last words"
    assert machine.finished
    peer.incoming.write(machine.close())
    with pytest.raises(ssl.SSLZeroReturnError):
        peer.tls.read()


def test_goodbye_before_the_handshake_says_nothing(files: Files) -> None:
    assert TlsMachine(files.server()).close() == b""


def test_what_is_no_tls_is_an_error_with_an_alert(files: Files) -> None:
    machine = TlsMachine(files.server())
    with pytest.raises(ssl.SSLError):
        machine.receive(b"Ldev-1\n" * 10)
    assert machine.principal == Principal()


@pytest.mark.parametrize("client_auth", [ClientAuth.OPTIONAL, ClientAuth.REQUIRED])
def test_the_certificate_names_the_principal(files: Files, client_auth: ClientAuth) -> None:
    machine = TlsMachine(files.server(client_auth))
    Memory(machine, files.client(name="tracker-7")).shake_hands()
    expected = Principal("certificate", "tracker-7", common_name="tracker-7", dns_names=("device.test",))
    assert machine.principal == expected


def test_a_certificate_without_a_common_name_is_named_by_its_first_other_name(files: Files) -> None:
    context = files.client()
    files.clients.issue_cert("device.test").configure_cert(context)
    machine = TlsMachine(files.server(ClientAuth.REQUIRED))
    Memory(machine, context).shake_hands()
    assert machine.principal == Principal("certificate", "device.test", dns_names=("device.test",))


def test_without_a_certificate_an_optional_principal_is_open(files: Files) -> None:
    machine = TlsMachine(files.server(ClientAuth.OPTIONAL))
    Memory(machine, files.client()).shake_hands()
    assert machine.established
    assert machine.principal == Principal()


# On a listener


@pytest.mark.parametrize("newest", [True, False])
async def test_a_device_speaks_tls(files: Files, newest: bool) -> None:
    async with Rig(tls=files.server()) as rig:
        peer = await rig.log_in("dev-1", tls=files.client(newest=newest))
        peer.send(b"D1\nP200000\n")
        assert len(await peer.read_exactly(200_003)) == 200_003
        peer.writer.close()
        await rig.closed(CloseReason.PEER_CLOSED)
        assert len(rig.outbox.records) == 2


async def test_the_log_names_the_principal(files: Files) -> None:
    with capture_logs() as logs:
        async with Rig(tls=files.server(ClientAuth.REQUIRED)) as rig:
            peer = await rig.log_in("tracker-7", tls=files.client(name="tracker-7"))
            peer.writer.close()
            await rig.closed(CloseReason.PEER_CLOSED)
    assert [entry["principal"] for entry in logs if entry["event"] == "connection_closed"] == ["tracker-7"]


@pytest.mark.parametrize("stranger", [False, True])
async def test_a_required_certificate_must_be_there_and_signed(files: Files, stranger: bool) -> None:
    context = files.client(name="x", by=trustme.CA()) if stranger else files.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a client of 1.3 learns of it only when it reads
    with capture_logs() as logs:
        async with Rig(tls=files.server(ClientAuth.REQUIRED)) as rig:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await rig.connect(tls=context)
            await rig.closed(CloseReason.TLS_FAILED)
            assert rig.traffic.received == 0
    (why,) = [entry["detail"] for entry in logs if entry["event"] == "connection_closed"]
    assert ("certificate verify failed" if stranger else "peer did not return a certificate") in why


async def test_a_client_without_tls_is_closed(files: Files) -> None:
    async with Rig(tls=files.server()) as rig:
        peer = await rig.connect()
        peer.send(b"Ldev-1\n" * 10)
        await peer.read_to_end()
        await rig.closed(CloseReason.TLS_FAILED)
        await rig.log_in("dev-1", tls=files.client())


async def test_a_handshake_that_does_not_end_is_cut(files: Files) -> None:
    async with Rig(tls=files.server(), max_connections=1) as rig:
        peer = await rig.connect()
        peer.send(b"\x16\x03\x01")
        await rig.accepted(1)
        refused = await rig.connect()  # handshakes count against the limit
        assert await refused.read_to_end() == b""
        rig.pass_time(10)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.TLS_FAILED)


async def test_the_proxy_header_stands_before_tls(files: Files) -> None:
    machine_header = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1, 0, 9, 0, 8])
    async with Rig(tls=files.server(), proxy_protocol=True) as rig:
        peer = await rig.connect()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = files.client().wrap_bio(incoming, outgoing, server_hostname="gateway.test")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        peer.send(machine_header + outgoing.read())
        while not _shaken(tls):
            incoming.write(await peer.reader.read(65_536))
        tls.write(b"Ldev-1\nU\n")
        peer.send(outgoing.read())
        answer = b""
        while len(answer) < 9:
            try:
                answer += tls.read()
            except ssl.SSLWantReadError:
                incoming.write(await peer.reader.read(65_536))
        assert answer == b"ldev-1\nu\n"
        assert rig.outbox.letters[0].peer == "192.0.2.7:9"


def _shaken(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
