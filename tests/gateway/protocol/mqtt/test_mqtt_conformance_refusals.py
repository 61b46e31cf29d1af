"""What a server must refuse, by the numbers of both standards: the bytes, the end of the connection, and what is said.

`{l}` is the protocol level, `{p}` an empty property length where the version has one.
"""

from __future__ import annotations

import pytest

from gateway.domain.errors import CloseReason
from gateway.protocol.mqtt.packets import V5, V311, Connack, Disconnect
from tests.gateway.protocol.mqtt.broker_rig import Bench, Peer
from tests.gateway.protocol.mqtt.wire_text import said

# Number in 3.1.1, number in 5.0 (empty: not in that one), body of a CONNECT.
CONNECTS = [
    ("1.5.3-1", "1.5.4-1", "0004'MQTT' {l} 02 003c {p} 0003 eda080"),  # half of a pair of surrogates
    ("1.5.3-2", "1.5.4-2", "0004'MQTT' {l} 02 003c {p} 0003'a'00'b'"),
    ("3.1.2-3", "3.1.2-3", "0004'MQTT' {l} 03 003c {p} 0003'dev'"),
    ("3.1.2-9", "3.1.2-9", "0004'MQTT' {l} 06 003c {p} 0003'dev' {p} 0001't'"),  # a will without payload
    ("3.1.2-11", "3.1.2-9", "0004'MQTT' {l} 02 003c {p} 0003'dev' {p} 0001't' 0001'x'"),  # a will without its flag
    ("3.1.2-13", "3.1.2-11", "0004'MQTT' {l} 0a 003c {p} 0003'dev'"),
    ("3.1.2-14", "3.1.2-12", "0004'MQTT' {l} 1e 003c {p} 0003'dev' {p} 0001't' 0000"),
    ("3.1.2-15", "3.1.2-13", "0004'MQTT' {l} 22 003c {p} 0003'dev'"),
    ("3.1.2-18", "3.1.2-16", "0004'MQTT' {l} 02 003c {p} 0003'dev' 0001'u'"),
    ("3.1.2-19", "3.1.2-17", "0004'MQTT' {l} 82 003c {p} 0003'dev'"),
    ("3.1.2-20", "3.1.2-18", "0004'MQTT' {l} 82 003c {p} 0003'dev' 0001'u' 0001'p'"),
    ("3.1.2-21", "3.1.2-19", "0004'MQTT' {l} c2 003c {p} 0003'dev' 0001'u'"),
    ("3.1.2-22", "", "0004'MQTT' {l} 42 003c {p} 0003'dev' 0001'p'"),
    ("3.1.3-3", "3.1.3-3", "0004'MQTT' {l} 02 003c {p}"),
    ("3.1.3-4", "3.1.3-4", "0004'MQTT' {l} 02 003c {p} 0001 ff"),
    ("3.1.3-10", "3.1.3-11", "0004'MQTT' {l} 06 003c {p} 0003'dev' {p} 0001 ff 0001'x'"),
    ("3.1.3-11", "3.1.3-12", "0004'MQTT' {l} 82 003c {p} 0003'dev' 0001 ff"),
    ("3.1.4-1", "3.1.4-1", "0004'MQTT' {l} 02"),
    ("", "1.5.5-1", "0004'MQTT' {l} 02 003c 8000 0003'dev'"),  # a property length in two bytes where one is enough
    ("", "1.5.7-1", "0004'MQTT' {l} 02 003c 07 26 0001'k' 0001 ff 0003'dev'"),
    ("", "2.2.2-1", "0004'MQTT' {l} 02 003c 0003'dev'"),  # no property length: 00 is read as one
]

# The same, first byte, body of a packet after CONNECT.
PACKETS = [
    ("2.2.2-2", "2.1.3-1", 0xC1, ""),
    ("2.3.1-1", "2.2.1-3", 0x32, "0001'a' 0000 {p}"),
    ("2.3.1-1", "2.2.1-3", 0x82, "0000 {p} 0001'a' 00"),
    ("2.3.1-1", "2.2.1-3", 0xA2, "0000 {p} 0001'a'"),
    ("3.1.0-2", "3.1.0-2", 0x10, "0004'MQTT' {l} 02 003c {p} 0003'dev'"),
    ("3.3.1-2", "3.3.1-2", 0x38, "0001'a' {p}"),
    ("3.3.1-4", "3.3.1-4", 0x36, "0001'a' 0001 {p}"),
    ("3.3.2-1", "3.3.2-1", 0x30, ""),
    ("3.3.2-1", "3.3.2-1", 0x30, "0001 ff {p}"),
    ("3.3.2-2", "3.3.2-2", 0x30, "0003'a/#' {p}"),
    ("", "3.3.2-8", 0x30, "0001'a' 03 23 0000"),
    ("", "3.3.2-9", 0x30, "0001'a' 03 23 0011"),
    ("", "3.3.2-13", 0x30, "0001'a' 04 08 0001 ff"),
    ("", "3.3.2-14", 0x30, "0001'a' 04 08 0001'#'"),
    ("", "3.3.2-19", 0x30, "0001'a' 04 03 0001 ff"),
    ("", "3.3.4-6", 0x30, "0001'a' 02 0b 01"),
    ("", "3.4.2-1", 0x40, "0001 01"),
    ("", "3.5.2-1", 0x50, "0001 01"),
    ("3.6.1-1", "3.6.1-1", 0x60, "0001"),
    ("", "3.6.2-1", 0x62, "0001 80"),
    ("", "3.7.2-1", 0x70, "0001 80"),
    ("3.8.1-1", "3.8.1-1", 0x80, "0001 {p} 0001'a' 00"),
    ("3.8.3-1", "3.8.3-1", 0x82, "0001 {p} 0001 ff 00"),
    ("3.8.3-3", "3.8.3-2", 0x82, "0001 {p}"),
    ("3.8.3-4", "3.8.3-5", 0x82, "0001 {p} 0001'a' 40"),
    ("3.8.3-4", "3.8.3-5", 0x82, "0001 {p} 0001'a' 80"),
    ("3.8.3-4", "", 0x82, "0001 {p} 0001'a' 03"),
    ("", "3.8.3-4", 0x82, "0001 {p} 000a'$share/g/t' 04"),
    ("3.10.1-1", "3.10.1-1", 0xA0, "0001 {p} 0001'a'"),
    ("3.10.3-1", "3.10.3-1", 0xA2, "0001 {p} 0001 ff"),
    ("3.10.3-2", "3.10.3-2", 0xA2, "0001 {p}"),
    ("3.14.1-1", "3.14.1-1", 0xE1, ""),
    ("", "3.14.2-1", 0xE0, "01"),
    ("", "3.15.1-1", 0xF1, "18 00"),
    ("", "3.15.2-1", 0xF0, "17 00"),
    ("4.7.1-1", "4.7.0-1", 0x30, "0003'a/+' {p}"),
    ("4.7.1-2", "4.7.1-1", 0x82, "0001 {p} 0003'#/a' 00"),
    ("4.7.1-2", "4.7.1-1", 0x82, "0001 {p} 0002'a#' 00"),
    ("4.7.1-3", "4.7.1-2", 0x82, "0001 {p} 0002'a+' 00"),
    ("4.7.3-1", "4.7.3-1", 0x30, "0000 {p}"),
    ("4.7.3-1", "4.7.3-1", 0x82, "0001 {p} 0000 00"),
    ("4.7.3-2", "4.7.3-2", 0x30, "0003'a'00'b' {p}"),
    ("4.7.3-2", "4.7.3-2", 0x82, "0001 {p} 0003'a'00'b' 00"),
    ("", "4.8.2-1", 0x82, "0001 {p} 0007'$share/' 00"),
    ("", "4.8.2-1", 0x82, "0001 {p} 0009'$share//t' 00"),
    ("", "4.8.2-2", 0x82, "0001 {p} 000b'$share/g+/t' 00"),
    ("", "4.8.2-2", 0x82, "0001 {p} 0008'$share/g' 00"),
    ("", "4.8.2-2", 0x82, "0001 {p} 0009'$share/g/' 00"),
    ("", "4.12.0-7", 0xF0, "19 05 15 0002'ab'"),
]


def written(version: int, first: int, body: str) -> bytes:
    return said(first, body.format(l=f"{version:02x}", p="00" if version == V5 else ""))


def connects(place: int, version: int) -> list[object]:
    return [pytest.param(written(version, 0x10, row[2]), id=f"MQTT-{row[place]}") for row in CONNECTS if row[place]]


def packets(place: int, version: int) -> list[object]:
    return [pytest.param(written(version, row[2], row[3]), id=f"MQTT-{row[place]}") for row in PACKETS if row[place]]


def told_and_closed(peer: Peer, kind: type[Connack | Disconnect]) -> None:
    """In 5.0 (section 4.13): a failure with words, then the end."""
    packet = peer.one(kind)
    assert packet.reason.failed
    assert packet.properties is not None
    assert packet.properties.reason_string
    assert peer.closed is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize("data", connects(0, V311))
def test_a_connect_against_311(data: bytes) -> None:
    """Closed without a CONNACK (3.1.1: MQTT-3.1.4-1), and no session is there."""
    bench = Bench()
    peer = bench.peer(V311)
    peer.raw(data)
    assert peer.writes == []
    assert peer.closed is CloseReason.PROTOCOL_ERROR
    assert not bench.broker.sessions


@pytest.mark.parametrize("data", connects(1, V5))
def test_a_connect_against_5(data: bytes) -> None:
    bench = Bench()
    peer = bench.peer()
    peer.raw(data)
    told_and_closed(peer, Connack)
    assert not bench.broker.sessions


@pytest.mark.parametrize("data", packets(0, V311))
def test_a_packet_against_311(data: bytes) -> None:
    """Closed without a word (3.1.1: MQTT-4.8.0-1), and nothing of it was done."""
    bench = Bench()
    peer = bench.join("c", V311)
    peer.raw(data)
    assert peer.read() == []
    assert peer.closed is CloseReason.PROTOCOL_ERROR
    assert not bench.flow.taken
    assert not len(bench.broker.tree)


@pytest.mark.parametrize("data", packets(1, V5))
def test_a_packet_against_5(data: bytes) -> None:
    """Told and closed (MQTT-4.13.1-1, MQTT-4.13.2-1), and nothing of it was done."""
    bench = Bench()
    peer = bench.join("c")
    peer.raw(data)
    told_and_closed(peer, Disconnect)
    assert not bench.flow.taken
    assert not len(bench.broker.tree)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param("0004'MQTX' 04 02 003c 0003'dev'", b"", id="MQTT-3.1.2-1"),
        pytest.param("0006'MQIsdp' 03 02 003c 0003'dev'", b"\x20\x02\x00\x01", id="MQTT-3.1.2-1 3.1"),
        pytest.param("0004'MQTT' 03 02 003c 0003'dev'", b"\x20\x02\x00\x01", id="MQTT-3.1.2-2 3.1.1"),
        pytest.param("0004'MQTT' 06 02 003c 00 0003'dev'", b"\x20", id="MQTT-3.1.2-2 5.0"),
    ],
)
def test_other_names_and_levels(body: str, answer: bytes) -> None:
    """3.1.1: MQTT-3.1.2-1, -2; MQTT-3.1.2-1, -2: no session, at most a CONNACK that says why, then the end."""
    bench = Bench()
    peer = bench.peer()
    peer.raw(said(0x10, body))
    assert b"".join(peer.writes)[: len(answer)] == answer
    assert len(peer.writes) == bool(answer)
    assert peer.closed is not None
    assert not bench.broker.sessions


@pytest.mark.parametrize("version", [V311, V5])
def test_after_an_error_nothing_is_read(version: int) -> None:
    """What stands behind a bad packet is not taken, what stood before it is."""
    bench = Bench()
    peer = bench.join("c", version)
    good = written(version, 0x30, "0001'a' {p} '1'")
    peer.raw(good + written(version, 0x36, "0001'a' 0001 {p}") + good)
    assert bench.flow.payloads == [b"1"]
