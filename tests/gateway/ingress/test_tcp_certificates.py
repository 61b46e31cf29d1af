"""Client certificates over TCP: a login is compared with the name that TLS has checked."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.access.certificates import CertificateName, CertificateRule
from gateway.domain.errors import CloseReason, RefuseReason
from gateway.ingress.tls import ClientAuth
from tests.gateway.ingress.rig import Rig
from tests.gateway.ingress.test_mqtt_stream import files
from tests.gateway.ingress.tls_files import Files

__all__ = ["files"]

DIRECTORY = "- {id: hub-1, children: [child-1]}\n- {id: dev-2}\n"


def rig_of(files: Files, auth: ClientAuth = ClientAuth.REQUIRED, rule: CertificateRule | None = None) -> Rig:
    return Rig(tls=files.server(auth), directory=DIRECTORY, certificates=rule or CertificateRule())


async def refused(rig: Rig, client: ssl.SSLContext, said: str, reason: RefuseReason) -> dict[str, object]:
    """The line at the end of a connection whose login was refused for this reason."""
    with capture_logs() as logs:
        peer = await rig.connect(tls=client)
        peer.send(f"L{said}\nD1\n".encode())
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.REFUSED)
    assert rig.outbox.kept == []
    assert rig.traffic.refused[reason] == 1
    (line,) = (entry for entry in logs if entry["event"] == "connection_closed")
    assert (line["refusal"], line["said"]) == (reason.value, said)
    return dict(line)


@pytest.mark.parametrize("auth", [ClientAuth.REQUIRED, ClientAuth.OPTIONAL])
@pytest.mark.parametrize("newest", [True, False])
async def test_a_device_says_what_its_certificate_says(files: Files, auth: ClientAuth, newest: bool) -> None:
    async with rig_of(files, auth) as rig:
        peer = await rig.log_in("new-1", tls=files.client(name="new-1", newest=newest))
        peer.send(b"D1\n")
        assert await peer.read_line() == b"d1\n"


@pytest.mark.parametrize("said", ["dev-2", "hub-1", "new-2", "child-1"])
@pytest.mark.parametrize("auth", [ClientAuth.REQUIRED, ClientAuth.OPTIONAL])
async def test_no_device_speaks_for_another(files: Files, auth: ClientAuth, said: str) -> None:
    async with rig_of(files, auth) as rig:
        line = await refused(rig, files.client(name="new-1"), said, RefuseReason.CERTIFICATE_DIFFERS)
        assert line["principal"] == "new-1"


async def test_a_live_device_keeps_its_session_against_another_certificate(files: Files) -> None:
    async with rig_of(files) as rig:
        own = await rig.log_in("dev-2", tls=files.client(name="dev-2"))
        other = await rig.connect(tls=files.client(name="new-1"))
        other.send(b"Ldev-2\n")
        assert await other.read_to_end() == b""
        own.send(b"D1\n")
        assert await own.read_line() == b"d1\n"


async def test_a_hub_speaks_for_the_devices_that_the_directory_has_behind_it(files: Files) -> None:
    async with rig_of(files) as rig:
        hub = files.client(name="hub-1")
        for said in ("hub-1", "child-1"):
            await rig.log_in(said, tls=hub)
        await refused(rig, hub, "dev-2", RefuseReason.CERTIFICATE_DIFFERS)


async def test_a_later_login_on_the_same_connection_is_compared_too(files: Files) -> None:
    async with rig_of(files) as rig:
        peer = await rig.log_in("new-1", tls=files.client(name="new-1"))
        peer.send(b"Ldev-2\n")
        assert await peer.read_to_end() == b""
        assert rig.traffic.refused[RefuseReason.CERTIFICATE_DIFFERS] == 1


@pytest.mark.parametrize(
    "rule",
    [
        CertificateRule(prefix="urn:dev:"),
        CertificateRule(CertificateName.SAN_URI),
        CertificateRule(CertificateName.SAN_DNS, "plant."),
    ],
)
async def test_a_certificate_that_names_nobody_lets_nobody_in(files: Files, rule: CertificateRule) -> None:
    async with rig_of(files, rule=rule) as rig:
        await refused(rig, files.client(name="new-1"), "new-1", RefuseReason.CERTIFICATE_NAMES_NOBODY)


async def test_the_name_stands_where_the_rule_says(files: Files) -> None:
    async with rig_of(files, rule=CertificateRule(CertificateName.SAN_DNS, "device.")) as rig:
        await rig.log_in("test", tls=files.client(name="other"))  # its alternative name is device.test
    async with rig_of(files, rule=CertificateRule(CertificateName.OFF)) as rig:
        await rig.log_in("dev-2", tls=files.client(name="other"))


async def test_without_a_certificate_an_optional_one_proves_nothing(files: Files) -> None:
    async with rig_of(files, ClientAuth.OPTIONAL) as rig:
        await rig.log_in("dev-2", tls=files.client())


async def test_a_strangers_certificate_comes_to_no_login(files: Files, tmp_path: Path) -> None:
    async with rig_of(files) as rig:
        stranger = files.client(name="dev-2", by=Files(tmp_path).clients, newest=False)
        with pytest.raises(ssl.SSLError):
            await rig.connect(tls=stranger)
        await rig.closed(CloseReason.TLS_FAILED)
