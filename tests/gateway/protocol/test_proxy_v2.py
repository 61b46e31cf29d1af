from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.proxy_v2 import MAX_EXTRA_BYTES, SIGNATURE, ProxyError, ProxyHeader, ProxyV2


def build(command: int, family: int, body: bytes, *, version: int = 2, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + bytes([version << 4 | command, family]) + size.to_bytes(2, "big") + body


V4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (51000).to_bytes(2, "big") + (5023).to_bytes(2, "big")
V6 = (
    ipaddress.ip_address("2001:db8::7").packed
    + ipaddress.ip_address("2001:db8::1").packed
    + (51000).to_bytes(2, "big")
    + (5023).to_bytes(2, "big")
)
TLV = bytes([0x04, 0x00, 0x03]) + b"abc"

GOOD = {
    "tcp4": (build(1, 0x11, V4), ProxyHeader(False, ("192.0.2.7", 51000), ("198.51.100.1", 5023))),
    "tcp4_tlv": (build(1, 0x11, V4 + TLV), ProxyHeader(False, ("192.0.2.7", 51000), ("198.51.100.1", 5023))),
    "tcp6": (build(1, 0x21, V6), ProxyHeader(False, ("2001:db8::7", 51000), ("2001:db8::1", 5023))),
    "udp4": (build(1, 0x12, V4), ProxyHeader(False, ("192.0.2.7", 51000), ("198.51.100.1", 5023))),
    "unix": (build(1, 0x31, b"/a".ljust(108, b"\0") * 2), ProxyHeader(False)),
    "unspec": (build(1, 0x00, b""), ProxyHeader(False)),
    "unspec_with_bytes": (build(1, 0x00, b"whatever"), ProxyHeader(False)),
    "local": (build(0, 0x00, b""), ProxyHeader(True)),
    "local_with_addresses": (build(0, 0x11, V4), ProxyHeader(True)),
    "most_tlvs": (
        build(1, 0x11, V4 + b"\0" * MAX_EXTRA_BYTES),
        ProxyHeader(False, ("192.0.2.7", 51000), ("198.51.100.1", 5023)),
    ),
}


@pytest.mark.parametrize(("wire", "expected"), GOOD.values(), ids=GOOD.keys())
def test_a_header_is_read_whole_byte_by_byte_and_with_a_tail(wire: bytes, expected: ProxyHeader) -> None:
    whole = ProxyV2()
    assert whole.receive(wire) == expected
    assert whole.rest == b""

    slow = ProxyV2()
    for at in range(len(wire) - 1):
        assert slow.receive(wire[at : at + 1]) is None
    assert slow.receive(wire[-1:]) == expected

    tailed = ProxyV2()
    assert tailed.receive(wire + b"\x78\x78tail") == expected
    assert tailed.rest == b"\x78\x78tail"


@pytest.mark.parametrize(
    ("wire", "detail"),
    [
        (b"GET / HTTP/1.1\r\n", "signature"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 5023\r\n", "signature"),
        (SIGNATURE[:8] + b"x", "signature"),
        (build(1, 0x11, V4, version=1), "version 1"),
        (build(2, 0x11, V4), "command 2"),
        (build(1, 0x11, V4[:11]), "11 bytes of addresses"),
        (build(1, 0x21, V4), "12 bytes of addresses"),
        (build(1, 0x31, b"x" * 215), "215 bytes"),
        (build(1, 0x11, b"", length=12 + MAX_EXTRA_BYTES + 1), "at most"),
        (build(0, 0x00, b"", length=0xFFFF), "at most"),
    ],
)
def test_what_is_no_header_is_refused_at_once(wire: bytes, detail: str) -> None:
    found = ProxyV2().receive(wire)
    assert isinstance(found, ProxyError)
    assert detail in found.detail


def test_a_mapped_ipv4_client_is_counted_as_itself() -> None:
    mapped = ipaddress.ip_address("::ffff:192.0.2.7").packed
    found = ProxyV2().receive(build(1, 0x21, mapped + mapped + b"\0\1\0\2"))
    assert isinstance(found, ProxyHeader)
    assert found.source == ("192.0.2.7", 1)


@given(st.binary(max_size=64))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    ProxyV2().receive(data)
    ProxyV2().receive(SIGNATURE + data)
