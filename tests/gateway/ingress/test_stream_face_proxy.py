"""PROXY protocol v2 on a listener that requires it; headers are built by hand."""

from __future__ import annotations

import ipaddress

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason
from gateway.protocol.proxy_v2 import SIGNATURE
from tests.gateway.fakes import LineProduct
from tests.gateway.ingress.rig import Rig


def header(client: str, port: int = 40_000, *, command: int = 1) -> bytes:
    address = ipaddress.ip_address(client)
    here = ipaddress.ip_address("198.51.100.1" if address.version == 4 else "2001:db8::1")
    body = address.packed + here.packed + port.to_bytes(2, "big") + (5023).to_bytes(2, "big")
    family = 0x11 if address.version == 4 else 0x21
    return SIGNATURE + bytes([0x20 | command, family]) + len(body).to_bytes(2, "big") + body


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@pytest.mark.parametrize(
    ("client", "peer_text"), [("192.0.2.7", "192.0.2.7:40000"), ("2001:db8::7", "[2001:db8::7]:40000")]
)
async def test_the_peer_is_who_the_header_names(client: str, peer_text: str) -> None:
    async with Rig(proxy_protocol=True) as rig:
        peer = await rig.connect()
        peer.send(header(client) + b"Ldev-1\nU\n")
        assert await peer.read_exactly(9) == b"ldev-1\nu\n"
        assert rig.outbox.letters[0].peer == peer_text


async def test_the_header_may_come_in_pieces() -> None:
    async with Rig(proxy_protocol=True) as rig:
        peer = await rig.connect()
        wire = header("192.0.2.7") + b"Ldev-1\n"
        for at in range(0, len(wire), 5):
            peer.send(wire[at : at + 5])
            await peer.writer.drain()
        assert await peer.read_line() == b"ldev-1\n"


@pytest.mark.parametrize(
    "wire", [b"Ldev-1\n", b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n", SIGNATURE + b"\x11\x11\0\0"]
)
async def test_without_a_header_the_connection_ends(wire: bytes) -> None:
    async with Rig(proxy_protocol=True) as rig:
        peer = await rig.connect()
        peer.send(wire)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.BAD_PROXY_HEADER)


async def test_the_limit_per_address_counts_clients_and_not_the_balancer() -> None:
    async with Rig(proxy_protocol=True, max_per_ip=1) as rig:
        first, second, third = [await rig.connect() for _ in range(3)]
        first.send(header("192.0.2.1") + b"La\n")
        second.send(header("192.0.2.2") + b"Lb\n")
        assert await first.read_line() == b"la\n"
        assert await second.read_line() == b"lb\n"
        third.send(header("192.0.2.1", 40_001) + b"Lc\n")
        assert await third.read_to_end() == b""
        await rig.closed(CloseReason.PER_IP_LIMIT)


async def test_the_balancers_own_connections_are_no_news() -> None:
    with capture_logs() as logs:
        async with Rig(proxy_protocol=True) as rig:
            checks = [await rig.connect() for _ in range(2)]
            checks[0].send(LOCAL)
            for check in checks:
                check.writer.write_eof()
                assert await check.read_to_end() == b""
            await rig.closed(CloseReason.PEER_CLOSED, 2)
    assert {entry["log_level"] for entry in logs if entry["event"] != "listening"} == {"debug"}


async def test_a_header_that_never_ends_is_cut_at_the_login_deadline() -> None:
    async with Rig(proxy_protocol=True) as rig:
        peer = await rig.connect()
        peer.send(header("192.0.2.7")[:20])
        await rig.accepted(1)
        rig.pass_time(30)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.LOGIN_TIMEOUT)


async def test_where_it_is_off_a_header_is_garbage() -> None:
    async with Rig(products=[LineProduct(letters=b"LD")]) as rig:
        peer = await rig.connect()
        peer.send(header("192.0.2.7") + b"Ldev-1\n")
        assert await peer.read_line() == b"ldev-1\n"
        assert rig.traffic.garbage_bytes == 28
        assert rig.session("dev-1").peer == peer.address
