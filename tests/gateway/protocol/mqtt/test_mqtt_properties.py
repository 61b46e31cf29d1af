"""Which packet may have which property: the table of section 2.2.2.2 written a second time, by packet."""

from __future__ import annotations

import pytest

from gateway.protocol.mqtt.packets import MqttError, PacketType, Properties, ReasonCode
from gateway.protocol.mqtt.properties import WILL, read_properties, write_properties
from gateway.protocol.mqtt.wire import Reader

VALUES: dict[int, Properties] = {
    1: Properties(payload_format_indicator=1),
    2: Properties(message_expiry_interval=0),
    3: Properties(content_type=""),
    8: Properties(response_topic="a/b"),
    9: Properties(correlation_data=b""),
    11: Properties(subscription_identifiers=(268_435_455,)),
    17: Properties(session_expiry_interval=0xFFFFFFFF),
    18: Properties(assigned_client_identifier="id"),
    19: Properties(server_keep_alive=0),
    21: Properties(authentication_method="m"),
    22: Properties(authentication_method="m", authentication_data=b"d"),
    23: Properties(request_problem_information=0),
    24: Properties(will_delay_interval=1),
    25: Properties(request_response_information=1),
    26: Properties(response_information="r"),
    28: Properties(server_reference="s"),
    31: Properties(reason_string="why"),
    33: Properties(receive_maximum=65_535),
    34: Properties(topic_alias_maximum=0),
    35: Properties(topic_alias=1),
    36: Properties(maximum_qos=0),
    37: Properties(retain_available=1),
    38: Properties(user_properties=(("k", "v"), ("k", "v"))),
    39: Properties(maximum_packet_size=1),
    40: Properties(wildcard_subscription_available=0),
    41: Properties(subscription_identifier_available=1),
    42: Properties(shared_subscription_available=0),
}

REASONED = {31, 38}
ALLOWED: dict[int, set[int]] = {
    WILL: {1, 2, 3, 8, 9, 24, 38},
    PacketType.CONNECT: {17, 21, 22, 23, 25, 33, 34, 38, 39},
    PacketType.CONNACK: {17, 18, 19, 21, 22, 26, 28, 31, 33, 34, 36, 37, 38, 39, 40, 41, 42},
    PacketType.PUBLISH: {1, 2, 3, 8, 9, 11, 35, 38},
    PacketType.PUBACK: REASONED,
    PacketType.PUBREC: REASONED,
    PacketType.PUBREL: REASONED,
    PacketType.PUBCOMP: REASONED,
    PacketType.SUBSCRIBE: {11, 38},
    PacketType.SUBACK: REASONED,
    PacketType.UNSUBSCRIBE: {38},
    PacketType.UNSUBACK: REASONED,
    PacketType.DISCONNECT: {17, 28, 31, 38},
    PacketType.AUTH: {21, 22, 31, 38},
}


@pytest.mark.parametrize("packet", ALLOWED)
@pytest.mark.parametrize("number", VALUES)
def test_what_a_packet_may_have(packet: int, number: int) -> None:
    wire = write_properties(VALUES[number])
    from_client = packet == PacketType.DISCONNECT
    reader = Reader(wire + b"tail", 0, len(wire) + 4)
    if number in ALLOWED[packet]:
        assert read_properties(reader, packet, from_client=from_client) == VALUES[number]
        assert reader.rest() == b"tail"
        return
    with pytest.raises(MqttError) as caught:
        read_properties(reader, packet, from_client=from_client)
    assert caught.value.reason is ReasonCode.MALFORMED_PACKET


@pytest.mark.parametrize("number", [number for number in VALUES if number not in (11, 38)])
def test_none_of_them_twice_but_those_that_may(number: int) -> None:
    body = write_properties(VALUES[number])[1:]
    if number == 22:
        body = body[4:]  # behind its method
    packet = next(packet for packet, allowed in ALLOWED.items() if number in allowed)
    reader = Reader(bytes((len(body) * 2,)) + body * 2, 0, len(body) * 2 + 1)
    with pytest.raises(MqttError, match="twice") as caught:
        read_properties(reader, packet, from_client=True)
    assert caught.value.reason is ReasonCode.PROTOCOL_ERROR


@pytest.mark.parametrize("number", VALUES)
def test_cut_anywhere_it_is_an_error(number: int) -> None:
    wire = write_properties(VALUES[number])
    packet = next(packet for packet, allowed in ALLOWED.items() if number in allowed)
    for size in range(len(wire)):
        with pytest.raises(MqttError):
            read_properties(Reader(wire, 0, size), packet, from_client=False)


def test_nothing_said_is_none() -> None:
    assert write_properties(None) == write_properties(Properties()) == b"\0"
    assert read_properties(Reader(b"\0", 0, 1), PacketType.PUBLISH, from_client=True) is None


def test_a_server_says_all_identifiers_that_matched() -> None:  # MQTT-3.3.4-4
    said = Properties(subscription_identifiers=(1, 200, 1))
    wire = write_properties(said)
    assert read_properties(Reader(wire, 0, len(wire)), PacketType.PUBLISH, from_client=False) == said
