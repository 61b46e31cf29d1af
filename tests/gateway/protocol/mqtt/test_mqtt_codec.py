"""How the stream is cut into packets; what is in them is in the other files."""

from __future__ import annotations

import pytest

from gateway.protocol.mqtt.codec import Decoder, encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Properties,
    Puback,
    Publish,
    Pubrel,
    ReasonCode,
    Subscribe,
    Subscription,
)
from gateway.protocol.mqtt.topics import TopicCache

PACKETS: list[Packet] = [
    Connect(V311, "dev-1", keep_alive_s=60),
    Publish("devices/dev-1/telemetry", b'{"tempC": 21.5}', 1, packet_id=1),
    Publish("devices/dev-1/telemetry", b"x" * 300, 2, True, True, packet_id=2),
    Pubrel(2),
    Subscribe(3, [Subscription("devices/dev-1/command", 1)]),
    Puback(9),
    Publish("a", b""),
    Pingreq(),
    Disconnect(),
]
WHOLE = b"".join(encode(packet, V311) for packet in PACKETS)


def greeted(version: int = V311, max_packet_bytes: int = 1_000) -> Decoder:
    decoder = Decoder(max_packet_bytes)
    decoder.receive(encode(Connect(version, "c"), version))
    assert decoder.error is None
    return decoder


def error_of(decoder: Decoder) -> ReasonCode | None:
    return None if decoder.error is None else decoder.error.reason


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_several_packets_in_one_read(form: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    decoder = Decoder(1_000)
    assert decoder.receive(form(WHOLE)) == PACKETS
    assert decoder.buffered == 0


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_byte_by_byte(form: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    decoder = Decoder(1_000)
    assert [packet for byte in WHOLE for packet in decoder.receive(form(bytes((byte,))))] == PACKETS


def test_cut_at_every_place_and_resumed() -> None:
    for place in range(len(WHOLE)):
        decoder = Decoder(1_000)
        before = decoder.receive(WHOLE[:place])
        assert decoder.error is None
        assert before == PACKETS[: len(before)]
        assert before + decoder.receive(WHOLE[place:]) == PACKETS


def test_truncated_it_waits_and_says_how_much_it_holds() -> None:
    one = encode(PACKETS[1], V311)
    for size in range(len(one)):
        decoder = greeted()
        assert decoder.receive(one[:size]) == []
        assert decoder.buffered == size
        assert decoder.error is None


def test_a_tail_belongs_to_the_next_packet() -> None:
    decoder = greeted()
    ping, one = encode(Pingreq(), V311), encode(PACKETS[2], V311)
    assert decoder.receive(ping + one[:3]) == [Pingreq()]
    assert decoder.receive(one[3:] + ping[:1]) == [PACKETS[2]]
    assert decoder.receive(ping[1:]) == [Pingreq()]


def test_a_changed_buffer_of_the_caller_does_not_matter() -> None:
    buffer = bytearray(encode(PACKETS[1], V311))
    decoder = greeted()
    (packet,) = decoder.receive(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert packet == PACKETS[1]


def test_lengths_of_one_to_four_bytes() -> None:
    decoder = greeted(max_packet_bytes=1 << 22)
    for size in (0, 123, 124, 125, 16_379, 16_380, 16_381, 2_097_147, 2_097_148, 2_097_149):
        packet = Publish("a/b", bytes(size))  # the body is 5 bytes longer
        assert decoder.receive(encode(packet, V311)) == [packet]
    assert decoder.error is None


def test_a_declared_length_is_refused_before_anything_is_kept() -> None:
    decoder = greeted()
    assert decoder.receive(b"\x30\xff\xff\xff\x7f" + b"x" * 500) == []
    assert error_of(decoder) is ReasonCode.PACKET_TOO_LARGE
    assert decoder.buffered == 0


def test_the_largest_packet_that_is_allowed() -> None:
    packet = Publish("a/b", bytes(1_000 - 8))
    assert greeted().receive(encode(packet, V311)) == [packet]
    for longer in (encode(Publish("a/b", bytes(1_000 - 7)), V311), encode(Publish("a/b", bytes(1_000 - 7)), V311)[:3]):
        decoder = greeted()
        assert decoder.receive(longer) == []
        assert error_of(decoder) is ReasonCode.PACKET_TOO_LARGE
        assert decoder.error is not None
        assert decoder.error.detail == "1001 bytes, at most 1000 are taken"


def test_connect_has_a_limit_of_its_own() -> None:
    large = encode(Connect(V5, "c", password=bytes(2_000)), V5)
    decoder = Decoder(1 << 20, max_connect_bytes=1_000)
    assert decoder.receive(large[:4]) == []
    assert error_of(decoder) is ReasonCode.PACKET_TOO_LARGE
    decoder = Decoder(1 << 20, max_connect_bytes=1_000)
    decoder.receive(encode(Connect(V5, "c"), V5))
    packet = Publish("a", bytes(2_000))
    assert decoder.receive(encode(packet, V5)) == [packet]
    assert error_of(Decoder(100)) is None
    decoder = Decoder(100)
    decoder.receive(large[:4])
    assert error_of(decoder) is ReasonCode.PACKET_TOO_LARGE


def test_what_cannot_become_a_packet_is_refused_by_its_first_byte() -> None:
    """Nothing is kept in the hope that more of it would help."""
    for first in (0x00, 0x31, 0x20, 0x81, 0x36, 0xC0, 0xE0, 0x82):
        decoder = Decoder(1_000)
        decoder.receive(bytes((first,)))
        assert decoder.error is not None, hex(first)
        assert decoder.buffered == 0


def test_packets_before_the_bad_one_count() -> None:
    decoder = greeted()
    assert decoder.receive(encode(Pingreq(), V311) + encode(PACKETS[1], V311) + b"\x36\x03\0\x01a") == [
        Pingreq(),
        PACKETS[1],
    ]
    assert error_of(decoder) is ReasonCode.MALFORMED_PACKET


def test_nothing_is_read_after_an_error() -> None:
    decoder = greeted()
    decoder.receive(b"\0\0")
    first = decoder.error
    assert first is not None
    assert decoder.receive(encode(Pingreq(), V311)) == []
    assert decoder.error is first
    assert decoder.buffered == 0


def test_the_first_packet_is_a_connect() -> None:  # MQTT-3.1.0-1
    for packet in PACKETS[1:]:
        decoder = Decoder(1_000)
        assert decoder.receive(encode(packet, V311)) == []
        assert error_of(decoder) is ReasonCode.PROTOCOL_ERROR
        assert decoder.version == 0


def test_there_is_one_connect() -> None:  # MQTT-3.1.0-2
    decoder = greeted()
    assert decoder.receive(encode(PACKETS[0], V311)) == []
    assert error_of(decoder) is ReasonCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("name", "level", "version"),
    [
        (b"MQIsdp", 3, V311),  # 3.1, which understands the return codes
        (b"MQTT", 3, V311),
        (b"MQTT", 6, V5),
        (b"MQTT", 0x84, V311),  # a bridge of mosquitto: it tries again without the high bit
        (b"MQTS", 4, 0),
        (b"", 4, 0),
        (b"\xff\xff", 4, 0),
    ],
)
def test_other_protocols_and_levels(name: bytes, level: int, version: int) -> None:  # MQTT-3.1.2-1, -2
    decoder = Decoder(1_000)
    body = len(name).to_bytes(2, "big") + name + bytes((level, 2, 0, 60, 0, 1)) + b"c"
    assert decoder.receive(bytes((0x10, len(body))) + body) == []
    assert error_of(decoder) is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    assert decoder.version == version


def test_a_bad_connect_still_says_the_version() -> None:
    decoder = Decoder(1_000)
    decoder.receive(b"\x10\x0d\0\x04MQTT\x05\x03\0\x3c\0\0\0")
    assert error_of(decoder) is ReasonCode.MALFORMED_PACKET
    assert decoder.version == V5


@pytest.mark.parametrize("from_client", [True, False])
def test_packets_of_the_other_side(from_client: bool) -> None:
    wrong = (0x20, 0x90, 0xB0, 0xD0) if from_client else (0x10, 0x82, 0xA2, 0xC0)
    for first in wrong:
        decoder = Decoder(1_000, from_client=from_client, version=V5)
        decoder.receive(bytes((first, 0)))
        assert error_of(decoder) is ReasonCode.PROTOCOL_ERROR


def test_a_topic_is_the_same_text_each_time() -> None:
    """Whoever looks something up by it finds its hash computed."""
    cache = TopicCache()
    first, second = Decoder(1_000, topics=cache), Decoder(1_000, topics=cache)
    seen: list[Packet] = []
    for decoder in (first, second):
        decoder.receive(encode(PACKETS[0], V311))
        seen += decoder.receive(encode(PACKETS[1], V311) * 2)
    names = [packet.topic for packet in seen if isinstance(packet, Publish)]
    assert len(names) == 4
    assert len({id(name) for name in names}) == 1


def test_topic_alias_alone() -> None:
    """The one property that is read in a way of its own."""
    decoder = greeted(V5)
    packets: list[Packet] = [
        Publish("", b"x", properties=Properties(topic_alias=65_535)),
        Publish("a", b"", 1, packet_id=5, properties=Properties(topic_alias=1)),
    ]
    assert decoder.receive(b"".join(encode(packet, V5) for packet in packets)) == packets
    decoder.receive(b"\x30\x06\0\0\x03\x23\0\0")
    assert error_of(decoder) is ReasonCode.TOPIC_ALIAS_INVALID
    decoder = greeted(V5)
    decoder.receive(b"\x30\x05\0\0\x03\x23\0")
    assert error_of(decoder) is ReasonCode.MALFORMED_PACKET
