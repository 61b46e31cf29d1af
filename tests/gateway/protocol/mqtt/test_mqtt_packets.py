"""Each packet against bytes written by hand from the tables of the standards."""

from __future__ import annotations

import pytest

from gateway.protocol.mqtt.codec import Decoder, encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.gateway.protocol.mqtt.wire_text import said

R = ReasonCode


CONNECTS: list[tuple[str, Connect]] = [
    ("0004'MQTT' 04 02 003c 0003'dev'", Connect(V311, "dev", keep_alive_s=60)),
    ("0004'MQTT' 04 02 0000 0000", Connect(V311, "")),
    (
        "0004'MQTT' 04 f4 000a 0003'dev' 0003'w/t' 0002'by' 0002'me' 0003 00ff01",
        Connect(V311, "dev", False, 10, Will("w/t", b"by", 2, True), "me", b"\x00\xff\x01"),
    ),
    ("0004'MQTT' 05 02 003c 00 0003'dev'", Connect(V5, "dev", keep_alive_s=60)),
    ("0004'MQTT' 05 40 0000 00 0000 0001'p'", Connect(V5, "", False, password=b"p")),
    (
        "0004'MQTT' 05 0e 003c 08 11 00000e10 21 0014 0001'd' 05 18 00000005 0001't' 0001'x'",
        Connect(
            V5,
            "d",
            True,
            60,
            Will("t", b"x", 1, False, Properties(will_delay_interval=5)),
            properties=Properties(session_expiry_interval=3_600, receive_maximum=20),
        ),
    ),
]

CLIENTS: list[tuple[int, int, str, Packet]] = [
    (V311, 0x30, "0003'a/b' 'hi'", Publish("a/b", b"hi")),
    (V311, 0x30, "0003'a/b'", Publish("a/b", b"")),
    (V311, 0x3B, "0003'a/b' 000a 'hi'", Publish("a/b", b"hi", 1, True, True, 10)),
    (V311, 0x34, "0003'a/b' ffff 00", Publish("a/b", b"\0", 2, packet_id=65_535)),
    (V5, 0x30, "0003'a/b' 00 'hi'", Publish("a/b", b"hi")),
    (V5, 0x32, "0000 0001 03 230007 'hi'", Publish("", b"hi", 1, packet_id=1, properties=Properties(topic_alias=7))),
    (
        V5,
        0x30,
        "0001'a' 1f 01 01 02 0000003c 03 0002'cc' 08 0001'r' 09 0002 0102 23 0001 26 0001'k' 0001'v' 'hi'",
        Publish(
            "a",
            b"hi",
            properties=Properties(
                payload_format_indicator=1,
                message_expiry_interval=60,
                content_type="cc",
                response_topic="r",
                correlation_data=b"\1\2",
                topic_alias=1,
                user_properties=(("k", "v"),),
            ),
        ),
    ),
    (V311, 0x40, "0102", Puback(0x0102)),
    (V311, 0x50, "0001", Pubrec(1)),
    (V311, 0x62, "0001", Pubrel(1)),
    (V311, 0x70, "0001", Pubcomp(1)),
    (V5, 0x40, "0001", Puback(1)),
    (V5, 0x40, "0001 10", Puback(1, R.NO_MATCHING_SUBSCRIBERS)),
    (V5, 0x50, "0001 97 07 1f 0004'full'", Pubrec(1, R.QUOTA_EXCEEDED, Properties(reason_string="full"))),
    (V5, 0x62, "0001 92", Pubrel(1, R.PACKET_IDENTIFIER_NOT_FOUND)),
    (V5, 0x70, "0001 92", Pubcomp(1, R.PACKET_IDENTIFIER_NOT_FOUND)),
    (
        V311,
        0x82,
        "000a 0003'a/b' 01 0003'c/#' 02",
        Subscribe(10, [Subscription("a/b", 1), Subscription("c/#", 2)]),
    ),
    (
        V5,
        0x82,
        "000a 03 0b 8001 0001'+' 2d 000a'$share/g/#' 12",
        Subscribe(
            10,
            [Subscription("+", 1, True, True, 2), Subscription("$share/g/#", 2, retain_handling=1)],
            Properties(subscription_identifiers=(128,)),
        ),
    ),
    (V311, 0xA2, "0001 0001'a' 0001'b'", Unsubscribe(1, ["a", "b"])),
    (V5, 0xA2, "0001 00 0001'a'", Unsubscribe(1, ["a"])),
    (V311, 0xC0, "", Pingreq()),
    (V311, 0xE0, "", Disconnect()),
    (V5, 0xE0, "", Disconnect()),
    (V5, 0xE0, "04", Disconnect(R.DISCONNECT_WITH_WILL_MESSAGE)),
    (V5, 0xE0, "00 05 11 00000000", Disconnect(R.NORMAL_DISCONNECTION, Properties(session_expiry_interval=0))),
    (V5, 0xF0, "18 04 15 0001'm'", Auth(R.CONTINUE_AUTHENTICATION, Properties(authentication_method="m"))),
]

SERVERS: list[tuple[int, int, str, Packet]] = [
    (V311, 0x20, "01 00", Connack(True)),
    (V311, 0x20, "00 01", Connack(False, R.UNSUPPORTED_PROTOCOL_VERSION)),
    (V311, 0x20, "00 02", Connack(False, R.CLIENT_IDENTIFIER_NOT_VALID)),
    (V311, 0x20, "00 03", Connack(False, R.SERVER_UNAVAILABLE)),
    (V311, 0x20, "00 04", Connack(False, R.BAD_USER_NAME_OR_PASSWORD)),
    (V311, 0x20, "00 05", Connack(False, R.NOT_AUTHORIZED)),
    (V5, 0x20, "01 00 00", Connack(True)),
    (
        V5,
        0x20,
        "00 00 0b 12 0002'id' 13 001e 21 0040",
        Connack(
            properties=Properties(assigned_client_identifier="id", server_keep_alive=30, receive_maximum=64),
        ),
    ),
    (V5, 0x20, "00 87 00", Connack(False, R.NOT_AUTHORIZED)),
    (
        V5,
        0x20,
        "00 00 0d 22 0005 24 01 25 00 28 01 29 00 2a 01",
        Connack(
            properties=Properties(
                topic_alias_maximum=5,
                maximum_qos=1,
                retain_available=0,
                wildcard_subscription_available=1,
                subscription_identifier_available=0,
                shared_subscription_available=1,
            )
        ),
    ),
    (V311, 0x90, "0001 00 01 02 80", Suback(1, [R(0), R(1), R(2), R.UNSPECIFIED_ERROR])),
    (V5, 0x90, "0001 00 01 8f", Suback(1, [R.GRANTED_QOS_1, R.TOPIC_FILTER_INVALID])),
    (V311, 0xB0, "0001", Unsuback(1, [])),
    (V5, 0xB0, "0001 00 11", Unsuback(1, [R.NO_SUBSCRIPTION_EXISTED])),
    (V311, 0xD0, "", Pingresp()),
    (V5, 0xE0, "8e", Disconnect(R.SESSION_TAKEN_OVER)),
    (V5, 0xF0, "", Auth()),
    (V5, 0x30, "0001'a' 05 0b 01 0b 8001", Publish("a", b"", properties=Properties(subscription_identifiers=(1, 128)))),
]


@pytest.mark.parametrize(("body", "packet"), CONNECTS)
def test_connect(body: str, packet: Connect) -> None:
    wire = said(0x10, body)
    assert Decoder(1_000).receive(wire) == [packet]
    assert encode(packet, packet.version) == wire


@pytest.mark.parametrize(("version", "first", "body", "packet"), CLIENTS)
def test_what_clients_say(version: int, first: int, body: str, packet: Packet) -> None:
    wire = said(first, body)
    decoder = Decoder(1_000, version=version)
    assert decoder.receive(wire) == [packet]
    assert decoder.error is None


@pytest.mark.parametrize(("version", "first", "body", "packet"), SERVERS)
def test_what_servers_say(version: int, first: int, body: str, packet: Packet) -> None:
    wire = said(first, body)
    assert encode(packet, version) == wire
    decoder = Decoder(1_000, from_client=False, version=version)
    assert decoder.receive(wire) == [packet]
    assert decoder.error is None


@pytest.mark.parametrize(("version", "first", "body", "packet"), CLIENTS)
def test_clients_packets_are_written_the_same_way(version: int, first: int, body: str, packet: Packet) -> None:
    assert encode(packet, version) == said(first, body)


@pytest.mark.parametrize(("version", "first", "body", "packet"), [*CLIENTS, *SERVERS])
def test_a_body_cut_short_is_never_taken_for_more(version: int, first: int, body: str, packet: Packet) -> None:
    """Declared shorter at every length: another packet, or an error, but nothing from beyond its end."""
    wire = said(first, body)
    from_client = (version, first, body, packet) in CLIENTS
    for size in range(len(wire) - 2):
        decoder = Decoder(1_000, from_client=from_client, version=version)
        read = decoder.receive(bytes((first, size)) + wire[2 : 2 + size])
        assert (len(read) == 1) is (decoder.error is None)
        assert packet not in read


def test_strings_keep_a_byte_order_mark_and_characters_of_four_bytes() -> None:  # MQTT-1.5.4-3
    packet = Publish("\ufeffa/\U0002a6d4", b"")
    assert Decoder(1_000, version=V311).receive(encode(packet, V311)) == [packet]
