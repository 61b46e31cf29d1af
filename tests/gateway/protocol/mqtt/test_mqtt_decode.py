"""What is wrong with bad packets, and the limits on what one may hold."""

from __future__ import annotations

import pytest

from gateway.protocol.mqtt.codec import Decoder, encode
from gateway.protocol.mqtt.decode import MAX_FILTERS
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connect,
    MqttError,
    Properties,
    Publish,
    ReasonCode,
    Subscribe,
    Subscription,
    Unsubscribe,
)
from gateway.protocol.mqtt.properties import MAX_REPEATED
from tests.gateway.protocol.mqtt.wire_text import said

R = ReasonCode
MALFORMED, PROTOCOL = R.MALFORMED_PACKET, R.PROTOCOL_ERROR

BAD_CONNECTS = [
    ("0004'MQTT' 04 03 003c 0003'dev'", MALFORMED),  # reserved flag, MQTT-3.1.2-3
    ("0004'MQTT' 04 1e 003c 0003'dev' 0001't' 0000", MALFORMED),  # QoS 3 of the will, MQTT-3.1.2-12 (3.1.1: -14)
    ("0004'MQTT' 04 0a 003c 0003'dev'", MALFORMED),  # QoS without a will, MQTT-3.1.2-11 (3.1.1: -13)
    ("0004'MQTT' 04 22 003c 0003'dev'", MALFORMED),  # retain without a will, MQTT-3.1.2-13 (3.1.1: -15)
    ("0004'MQTT' 04 42 003c 0003'dev' 0001'p'", MALFORMED),  # password alone, 3.1.1: MQTT-3.1.2-22
    ("0004'MQTT' 04 00 003c 0000", R.CLIENT_IDENTIFIER_NOT_VALID),  # 3.1.1: MQTT-3.1.3-8
    ("0004'MQTT' 04 02 003c 0004'dev'", MALFORMED),  # the id is longer than the packet
    ("0004'MQTT' 04 02 003c 0003'dev' 00", MALFORMED),  # and the packet longer than the id
    ("0004'MQTT' 04 02 003c 0001 ff", MALFORMED),  # no UTF-8, MQTT-1.5.3-1 (5.0: 1.5.4-1)
    ("0004'MQTT' 04 02 003c 0003 eda080", MALFORMED),  # half of a pair of surrogates
    ("0004'MQTT' 04 02 003c 0001 00", MALFORMED),  # U+0000, MQTT-1.5.3-2 (5.0: 1.5.4-2)
    ("0004'MQTT' 04 06 003c 0001'd' 0000 0000", R.TOPIC_NAME_INVALID),  # a will without a topic
    ("0004'MQTT' 04 06 003c 0001'd' 0003'a/+' 0000", R.TOPIC_NAME_INVALID),
    ("0004'MQTT' 04 06 003c 0001'd' 0001't'", MALFORMED),  # no will payload, MQTT-3.1.2-9
    ("0004'MQTT' 04 82 003c 0001'd'", MALFORMED),  # no user name, MQTT-3.1.2-17 (3.1.1: -19)
    ("0004'MQTT' 04 c2 003c 0001'd' 0001'u'", MALFORMED),  # no password, MQTT-3.1.2-19 (3.1.1: -21)
    ("0004'MQTT' 04", MALFORMED),
    ("0004'MQ", MALFORMED),
    ("", MALFORMED),
    ("0004'MQTT' 05 02 003c 0003'dev'", MALFORMED),  # 5.0 without properties: 00 is read as their length
    ("0004'MQTT' 05 02 003c 03 21 0000 0001'd'", PROTOCOL),  # receive maximum 0
    ("0004'MQTT' 05 02 003c 05 27 00000000 0001'd'", PROTOCOL),  # maximum packet size 0
    ("0004'MQTT' 05 02 003c 02 17 02 0001'd'", PROTOCOL),  # request problem information 2
    ("0004'MQTT' 05 02 003c 06 21 0001 21 0001 0001'd'", PROTOCOL),  # twice
    ("0004'MQTT' 05 02 003c 03 16 0000 0001'd'", PROTOCOL),  # authentication data without a method
    ("0004'MQTT' 05 02 003c 03 23 0001 0001'd'", MALFORMED),  # a topic alias
    ("0004'MQTT' 05 02 003c 05 18 00000001 0001'd'", MALFORMED),  # a will delay where the will is not
]

BAD_HEADERS: list[tuple[int, int, str, ReasonCode]] = [
    # Fixed headers: MQTT-2.1.3-1 (3.1.1: MQTT-2.2.2-2)
    (V311, 0x00, "", MALFORMED),
    (V311, 0x41, "0001", MALFORMED),
    (V311, 0x60, "0001", MALFORMED),
    (V311, 0x80, "0001 0001'a' 00", MALFORMED),
    (V311, 0xA0, "0001 0001'a'", MALFORMED),
    (V311, 0xC1, "", MALFORMED),
    (V311, 0xE8, "", MALFORMED),
    (V311, 0xC0, "00", MALFORMED),
]

BAD: list[tuple[int, int, str, ReasonCode]] = [
    *BAD_HEADERS,
    (V311, 0xF0, "", MALFORMED),
    (V311, 0xE0, "00", MALFORMED),
    # PUBLISH
    (V311, 0x36, "0001'a' 0001", MALFORMED),  # QoS 3, MQTT-3.3.1-4
    (V311, 0x38, "0001'a'", MALFORMED),  # DUP with QoS 0, MQTT-3.3.1-2
    (V311, 0x32, "0001'a' 0000", PROTOCOL),  # packet identifier 0, MQTT-2.3.1-1 (5.0: 2.2.1-3)
    (V311, 0x32, "0001'a' 00", MALFORMED),
    (V311, 0x30, "", MALFORMED),
    (V311, 0x30, "00", MALFORMED),
    (V311, 0x30, "0000 00", R.TOPIC_NAME_INVALID),  # MQTT-4.7.3-1
    (V311, 0x30, "0002'a'", MALFORMED),  # a topic longer than its packet
    (V311, 0x30, "ffff'a'", MALFORMED),
    (V311, 0x30, "0003'a/+'", R.TOPIC_NAME_INVALID),  # MQTT-3.3.2-2
    (V311, 0x30, "0003'a/#'", R.TOPIC_NAME_INVALID),
    (V311, 0x30, "0002 c328", MALFORMED),  # no UTF-8
    (V311, 0x30, "0003'a' 0062", MALFORMED),  # U+0000, MQTT-4.7.3-2
    (V5, 0x30, "0001'a'", MALFORMED),  # no length of properties
    (V5, 0x30, "0001'a' 05 0100", MALFORMED),  # properties longer than their packet
    (V5, 0x30, "0001'a' 01 01", MALFORMED),  # cut
    (V5, 0x30, "0001'a' 02 01 02", PROTOCOL),  # payload format 2
    (V5, 0x30, "0001'a' 8000", MALFORMED),  # a length longer than it needs to be, MQTT-1.5.5-1
    (V5, 0x30, "0001'a' 8080808001", MALFORMED),
    (V5, 0x30, "0000 00", PROTOCOL),  # neither topic nor alias
    (V5, 0x30, "0000 02 01 01", PROTOCOL),
    (V5, 0x30, "0001'a' 03 23 0000", R.TOPIC_ALIAS_INVALID),  # MQTT-3.3.2-8
    (V5, 0x30, "0001'a' 06 23 0001 23 0001", PROTOCOL),
    (V5, 0x30, "0001'a' 02 0b 01", PROTOCOL),  # MQTT-3.3.4-6
    (V5, 0x30, "0001'a' 06 08 0003'a/#'", PROTOCOL),  # MQTT-3.3.2-14
    (V5, 0x30, "0001'a' 04 08 0001 00", MALFORMED),
    (V5, 0x30, "0001'a' 04 03 0001 ff", MALFORMED),
    (V5, 0x30, "0001'a' 04 26 0001'k'", MALFORMED),  # a name without its value
    (V5, 0x30, "0001'a' 03 21 0001", MALFORMED),  # a property of CONNECT
    (V5, 0x30, "0001'a' 02 7f 00", MALFORMED),  # of nothing
    # Answers
    (V311, 0x40, "00", MALFORMED),
    (V311, 0x40, "0000", PROTOCOL),
    (V311, 0x40, "0001 00", MALFORMED),
    (V5, 0x40, "0001 01", PROTOCOL),  # no reason of a PUBACK
    (V5, 0x40, "0001 ff", PROTOCOL),
    (V5, 0x62, "0001 80", PROTOCOL),
    (V5, 0x40, "0001 00 00 00", MALFORMED),
    (V5, 0x40, "0001 00 04 1f 0001'a' 00", MALFORMED),
    # SUBSCRIBE, UNSUBSCRIBE
    (V311, 0x82, "0001", PROTOCOL),  # no filter, 3.1.1: MQTT-3.8.3-3, 5.0: MQTT-3.8.3-2
    (V311, 0x82, "0000 0001'a' 00", PROTOCOL),
    (V311, 0x82, "0001 0001'a'", MALFORMED),  # no QoS
    (V311, 0x82, "0001 0001'a' 03", MALFORMED),  # QoS 3, 3.1.1: MQTT-3.8.3-4
    (V311, 0x82, "0001 0001'a' 04", MALFORMED),  # options of 5.0
    (V311, 0x82, "0001 0000 00", R.TOPIC_FILTER_INVALID),
    (V311, 0x82, "0001 0002'a#' 00", R.TOPIC_FILTER_INVALID),
    (V311, 0x82, "0001 0001 ff 00", MALFORMED),
    (V5, 0x82, "0001 00 0001'a' 40", MALFORMED),  # MQTT-3.8.3-5
    (V5, 0x82, "0001 00 0001'a' 30", PROTOCOL),  # retain handling 3
    (V5, 0x82, "0001 00 000a'$share/g/#' 04", PROTOCOL),  # MQTT-3.8.3-4
    (V5, 0x82, "0001 02 0b 00 0001'a' 00", PROTOCOL),  # subscription identifier 0
    (V5, 0x82, "0001 04 0b 01 0b 02 0001'a' 00", PROTOCOL),  # twice
    (V311, 0xA2, "0001", PROTOCOL),  # 5.0: MQTT-3.10.3-2
    (V311, 0xA2, "0001 0002'a'", MALFORMED),
    (V311, 0xA2, "0001 0003'#/a'", R.TOPIC_FILTER_INVALID),
    # DISCONNECT, AUTH
    (V5, 0xE0, "8e", PROTOCOL),  # of servers only
    (V5, 0xE0, "00 03 21 0001", MALFORMED),
    (V5, 0xF0, "", PROTOCOL),  # success is the server's to say
    (V5, 0xF0, "18", PROTOCOL),  # no method
    (V5, 0xF0, "18 00", PROTOCOL),
]

BAD_OF_SERVERS: list[tuple[int, int, str, ReasonCode]] = [
    (V311, 0x20, "02 00", MALFORMED),
    (V311, 0x20, "00 06", PROTOCOL),
    (V5, 0x20, "00 01 00", PROTOCOL),
    (V311, 0x90, "0001 03", PROTOCOL),
    (V5, 0x90, "0001 00 03", PROTOCOL),
    (V5, 0xB0, "0001 00 01", PROTOCOL),
    (V5, 0xE0, "04", PROTOCOL),  # of clients only
    (V5, 0xE0, "00 05 11 00000000", PROTOCOL),  # MQTT-3.14.2-2
    (V5, 0xF0, "19 04 15 0001'm'", PROTOCOL),
]


def refused(decoder: Decoder, wire: bytes) -> MqttError:
    assert decoder.receive(wire) == []
    assert decoder.error is not None
    assert 0 < len(decoder.error.detail) < 100
    assert decoder.error.detail in str(decoder.error)
    return decoder.error


@pytest.mark.parametrize(("body", "reason"), BAD_CONNECTS)
def test_bad_connects(body: str, reason: ReasonCode) -> None:
    assert refused(Decoder(1_000), said(0x10, body)).reason is reason


@pytest.mark.parametrize(("version", "first", "body", "reason"), BAD)
def test_bad_packets(version: int, first: int, body: str, reason: ReasonCode) -> None:
    assert refused(Decoder(1_000, version=version), said(first, body)).reason is reason


@pytest.mark.parametrize(("version", "first", "body", "reason"), BAD_HEADERS)
def test_bad_headers_are_bad_in_both(version: int, first: int, body: str, reason: ReasonCode) -> None:
    assert version == V311
    assert refused(Decoder(1_000, version=V5), said(first, body)).reason is reason


@pytest.mark.parametrize(("version", "first", "body", "reason"), BAD_OF_SERVERS)
def test_bad_packets_of_servers(version: int, first: int, body: str, reason: ReasonCode) -> None:
    assert refused(Decoder(1_000, from_client=False, version=version), said(first, body)).reason is reason


@pytest.mark.parametrize("version", [V311, V5])
def test_remaining_length_of_five_bytes(version: int) -> None:
    decoder = Decoder(1 << 30, version=version)
    assert refused(decoder, b"\x30\x80\x80\x80\x80").reason is MALFORMED


def test_remaining_length_longer_than_it_needs_to_be() -> None:
    """Forbidden by 5.0 (MQTT-1.5.5-1), not by 3.1.1."""
    wire = b"\x30\x84\x00\0\x01ab"
    assert Decoder(1_000, version=V311).receive(wire) == [Publish("a", b"b")]
    assert refused(Decoder(1_000, version=V5), wire).reason is MALFORMED
    for version in (V311, V5):  # where the version stands behind the length
        whole = encode(Connect(version, "c"), version)
        decoder = Decoder(1_000)
        read = decoder.receive(whole[:1] + bytes((whole[1] | 0x80, 0)) + whole[2:])
        assert (len(read), decoder.error is None, decoder.version) == (version == V311, version == V311, version)


@pytest.mark.parametrize("version", [V311, V5])
def test_filters_of_a_packet_are_limited(version: int) -> None:
    for count, fits in ((MAX_FILTERS, True), (MAX_FILTERS + 1, False)):
        filters = [f"a/{number}" for number in range(count)]
        for packet in (Subscribe(1, [Subscription(name) for name in filters]), Unsubscribe(1, filters)):
            decoder = Decoder(1 << 20, version=version)
            assert decoder.receive(encode(packet, version)) == ([packet] if fits else [])
            assert decoder.error is None if fits else refused_as(decoder, R.QUOTA_EXCEEDED)


def refused_as(decoder: Decoder, reason: ReasonCode) -> bool:
    return decoder.error is not None and decoder.error.reason is reason


def test_repeated_properties_of_a_packet_are_limited() -> None:
    for count, fits in ((MAX_REPEATED, True), (MAX_REPEATED + 1, False)):
        packet = Publish("a", b"", properties=Properties(user_properties=(("", ""),) * count))
        decoder = Decoder(1 << 20, version=V5)
        assert decoder.receive(encode(packet, V5)) == ([packet] if fits else [])
        assert decoder.error is None if fits else refused_as(decoder, R.QUOTA_EXCEEDED)
