"""Behind a real load balancer, and with TLS: who the other end is, and who gets in."""

from __future__ import annotations

import ssl
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason
from tests.e2e import frames
from tests.e2e.fronts import Files, haproxy
from tests.e2e.rig import Client, RunningGateway, config, listener, until

pytestmark = pytest.mark.e2e

IMEI = "359999000000001"
DEADLY = frames.gt06(0x55, b"\x01")  # of no known type: it becomes a dead letter


async def talk(client: Client, imei: str = IMEI) -> None:
    await client.ask(frames.gt06_login(imei), frames.gt06(0x01))
    client.send(DEADLY)
    await client.ask(frames.gt06_heartbeat(2), frames.gt06(0x13, serial=2))


def ends(logs: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == "connection_closed"]


# haproxy


async def test_behind_a_proxy_the_peer_is_the_client(tmp_path: Path) -> None:
    settings = config(tmp_path, listener(proxy_protocol=True, max_connections_per_ip=1))
    with capture_logs() as logs:
        async with (
            RunningGateway(tmp_path, settings) as rig,
            haproxy(tmp_path, rig.address(), "send-proxy-v2") as front,
        ):
            clients = []
            for index, source in enumerate(("127.0.0.1", "127.0.0.2")):
                client = await rig.connect(at=front, source=source)
                clients.append(client)
                await talk(client, f"35999900000000{index}")
            crowd = await rig.connect(at=front, source="127.0.0.2")  # the limit counts clients, not the proxy
            assert await crowd.read_to_end() == b""
            assert rig.closed(CloseReason.PER_IP_LIMIT) == 1
            assert rig.connections() == 2
            await crowd.abort()
            for client in clients:
                await client.abort()
            await until(lambda: rig.connections() == 0, "all are gone")
            letters = rig.letters()
    addresses = [client.address for client in clients]
    assert addresses[1].startswith("127.0.0.2:")
    assert [letter["peer"] for letter in letters] == addresses
    assert sorted(line["peer"] for line in ends(logs)) == sorted([*addresses, crowd.address])
    by_device = {line["device_id"]: line for line in ends(logs) if "device_id" in line}
    login = len(frames.gt06_login(IMEI)) + len(DEADLY) + len(frames.gt06_heartbeat(2))
    assert {line["bytes_in"] for line in by_device.values()} == {login}  # without the header


@pytest.mark.parametrize("options", ["", "send-proxy"], ids=["no header", "version 1"])
async def test_without_the_header_nobody_gets_in(tmp_path: Path, options: str) -> None:
    async with (
        RunningGateway(tmp_path, config(tmp_path, listener(proxy_protocol=True))) as rig,
        haproxy(tmp_path, rig.address(), options) as front,
    ):
        client = await rig.connect(at=front)
        client.send(frames.gt06_login(IMEI) * 3)
        assert await client.read_to_end() == b""
        assert rig.closed(CloseReason.BAD_PROXY_HEADER) == 1
        assert rig.sums().received == 0
        await client.abort()


async def test_a_header_that_nobody_asked_for_is_not_believed(tmp_path: Path) -> None:
    """It is garbage before the first frame, and the peer is who is really at the other end."""
    async with (
        RunningGateway(tmp_path) as rig,
        haproxy(tmp_path, rig.address(), "send-proxy-v2") as front,
    ):
        client = await rig.connect(at=front, source="127.0.0.2")
        await talk(client)
        assert rig.total("iotlink_garbage_bytes_total") == 28
        (letter,) = rig.letters()
        assert letter["peer"].startswith("127.0.0.1:")
        await client.abort()


async def test_a_health_check_of_the_proxy_is_no_device(tmp_path: Path) -> None:
    """haproxy connects and leaves every few moments: a device works meanwhile, and nothing is logged about it."""
    with capture_logs() as logs:
        async with (
            RunningGateway(tmp_path, config(tmp_path, listener(proxy_protocol=True))) as rig,
            haproxy(tmp_path, rig.address(), "send-proxy-v2 check inter 20") as front,
        ):
            client = await rig.connect(at=front)
            await talk(client)
            opened = rig.total("iotlink_connections_opened_total")
            await until(lambda: rig.total("iotlink_connections_opened_total") > opened + 2, "some health checks")
            await client.abort()
            await until(lambda: rig.total("iotlink_uplinks_settled_total") == 3, "all settled")
            await until(lambda: bool(ends(logs)), "the device's end")
    assert {line.get("device_id") for line in ends(logs)} == {IMEI}


# TLS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


async def is_refused(rig: RunningGateway, tls: ssl.SSLContext) -> bool:
    """Whether a client does not get through; in TLS 1.3 it learns that only after its own handshake."""
    try:
        client = await rig.connect(tls=tls)
    except (OSError, ssl.SSLError):
        return True
    client.send(frames.gt06_login(IMEI))
    return await client.read_to_end() == b""


async def test_tls(tmp_path: Path, files: Files) -> None:
    settings = config(tmp_path, listener(tls=files.section))
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, settings) as rig:
            client = await rig.connect(tls=files.client())
            await talk(client)
            (letter,) = rig.letters()
            assert letter["peer"] == client.address

            stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: leaves during the handshake
            with pytest.raises(ssl.SSLCertVerificationError):
                await rig.connect(tls=stranger)
            plain = await rig.connect()
            plain.send(frames.gt06_login(IMEI))
            assert frames.gt06(0x01) not in await plain.read_to_end()
            await until(lambda: rig.closed(CloseReason.TLS_FAILED) >= 1, "the plain one is closed")

            await client.ask(frames.gt06_heartbeat(3), frames.gt06(0x13, serial=3))
            many = b"".join(frames.gt06_heartbeat(serial) for serial in range(4, 1004))
            answers = b"".join(frames.gt06(0x13, serial=serial) for serial in range(4, 1004))
            client.send(many)
            assert await client.read(len(answers)) == answers
            await rig.stop()
            assert await client.read_to_end() == b""
            assert len(rig.records()) == 1002
    assert [line["reason"] for line in ends(logs) if line.get("device_id") == IMEI] == ["shutdown"]


async def test_mutual_tls(tmp_path: Path, files: Files) -> None:
    settings = config(tmp_path, listener(tls=files.mutual))
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, settings) as rig:
            client = await rig.connect(tls=files.client(IMEI))
            await talk(client)
            assert await is_refused(rig, files.client())
            assert await is_refused(rig, files.client("tracker-2", by=trustme.CA()))
            await until(lambda: rig.closed(CloseReason.TLS_FAILED) == 2, "both are closed")
            await client.ask(frames.gt06_heartbeat(3), frames.gt06(0x13, serial=3))
            assert rig.sums().received == 4
    assert [line["principal"] for line in ends(logs) if "principal" in line] == [IMEI]


async def test_tls_through_a_proxy(tmp_path: Path, files: Files) -> None:
    """The proxy passes TLS on and puts its header before it."""
    settings = config(tmp_path, listener(tls=files.mutual, proxy_protocol=True))
    async with (
        RunningGateway(tmp_path, settings) as rig,
        haproxy(tmp_path, rig.address(), "send-proxy-v2") as front,
    ):
        client = await rig.connect(at=front, tls=files.client(IMEI), source="127.0.0.3")
        await talk(client)
        (letter,) = rig.letters()
        assert letter["peer"] == client.address
        assert client.address.startswith("127.0.0.3:")
        await client.abort()


async def test_a_tls_handshake_that_never_ends(tmp_path: Path, files: Files) -> None:
    """It is closed at its deadline, whatever the deadline of the login is; others get in meanwhile."""
    settings = config(tmp_path, listener(tls=files.section, login_timeout_s=300))
    async with RunningGateway(tmp_path, settings) as rig:
        silent = await rig.connect()
        half = await rig.connect()
        half.send(b"\x16\x03\x01\x02\x00\x01")
        client = await rig.connect(tls=files.client())
        await talk(client)
        rig.pass_time(11)
        assert await silent.read_to_end() == b""
        assert await half.read_to_end() == b""
        assert rig.closed(CloseReason.TLS_FAILED) == 2
        await client.ask(frames.gt06_heartbeat(3), frames.gt06(0x13, serial=3))
