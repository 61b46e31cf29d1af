"""What may be said, and what is left out of it. The bytes themselves stand in test_mqtt_packets."""

from __future__ import annotations

import pytest

from gateway.protocol.mqtt.codec import Decoder, encode, encode_acks, encode_publish
from gateway.protocol.mqtt.encode import MAX_PACKET_BYTES
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
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
)
from gateway.protocol.mqtt.wire import MAX_VARIABLE, variable

WORDY = Properties(reason_string="because", user_properties=(("why", "x" * 50),))

ANSWERS: list[Packet] = [
    Connack(reason=ReasonCode.NOT_AUTHORIZED, properties=WORDY),
    Puback(1, ReasonCode.NOT_AUTHORIZED, WORDY),
    Pubrec(1, ReasonCode.NOT_AUTHORIZED, WORDY),
    Pubrel(1, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND, WORDY),
    Pubcomp(1, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND, WORDY),
    Suback(1, [ReasonCode.NOT_AUTHORIZED], WORDY),
    Unsuback(1, [ReasonCode.NOT_AUTHORIZED], WORDY),
    Disconnect(ReasonCode.NOT_AUTHORIZED, WORDY),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_says_less_where_the_peer_takes_less(answer: Packet) -> None:
    """MQTT-3.2.2-19, -20 and their like: first the user properties go, then the reason string, never the answer."""
    whole = encode(answer, V5)
    kept: set[tuple[str | None, int]] = set()
    smallest = 0
    for max_bytes in range(len(whole) + 1):
        written = encode(answer, V5, max_bytes)
        assert len(written) <= max_bytes
        if not written:
            assert not smallest
            continue
        smallest = smallest or max_bytes
        (read,) = Decoder(1_000, from_client=False, version=V5).receive(written)
        properties = getattr(read, "properties", None)
        kept.add((properties.reason_string, len(properties.user_properties)) if properties else (None, 0))
    assert kept == {(None, 0), ("because", 0), ("because", 1)}
    assert smallest <= 6
    assert whole == encode(answer, V5, len(whole))


@pytest.mark.parametrize(
    "packet",
    [
        Publish("a", b"x" * 10, properties=Properties(user_properties=(("k", "v"),))),
        Subscribe(1, [Subscription("a")], Properties(user_properties=(("k", "v"),))),
        Connect(V5, "c", properties=Properties(user_properties=(("k", "v"),))),
    ],
)
def test_a_message_is_whole_or_not_at_all(packet: Packet) -> None:  # MQTT-3.1.2-24, -25
    whole = encode(packet, V5)
    assert encode(packet, V5, len(whole)) == whole
    assert encode(packet, V5, len(whole) - 1) == b""


def test_an_answer_without_properties_that_does_not_fit() -> None:
    assert encode(Suback(1, [ReasonCode.SUCCESS] * 9), V311, 12) == b""


@pytest.mark.parametrize("reason", list(ReasonCode))
def test_connack_of_311_has_six_codes(reason: ReasonCode) -> None:
    codes = {
        ReasonCode.SUCCESS: 0,
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: 1,
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: 2,
        ReasonCode.SERVER_UNAVAILABLE: 3,
        ReasonCode.SERVER_BUSY: 3,
        ReasonCode.QUOTA_EXCEEDED: 3,
        ReasonCode.CONNECTION_RATE_EXCEEDED: 3,
        ReasonCode.BAD_USER_NAME_OR_PASSWORD: 4,
        ReasonCode.NOT_AUTHORIZED: 5,
        ReasonCode.BANNED: 5,
    }
    expected = b"\x20\x02\x00" + bytes((codes[reason],)) if reason in codes else b""
    assert encode(Connack(False, reason), V311) == expected


@pytest.mark.parametrize("version", [V311, V5])
def test_a_refusal_never_says_that_a_session_is_there(version: int) -> None:  # MQTT-3.2.2-6; 3.1.1: MQTT-3.2.2-4
    assert encode(Connack(True, ReasonCode.NOT_AUTHORIZED), version)[2] == 0
    assert encode(Connack(True), version)[2] == 1


def test_311_has_no_words_for_it() -> None:
    assert encode(Auth(), V311) == b""
    assert encode(Disconnect(ReasonCode.SERVER_SHUTTING_DOWN), V311) == b""
    assert encode(Disconnect(), V311) == b"\xe0\x00"
    assert encode(Puback(5, ReasonCode.NOT_AUTHORIZED, WORDY), V311) == b"\x40\x02\x00\x05"
    assert encode(Suback(1, [ReasonCode.GRANTED_QOS_2, ReasonCode.NOT_AUTHORIZED]), V311) == b"\x90\x04\0\1\x02\x80"
    assert encode(Unsuback(1, [ReasonCode.NO_SUBSCRIPTION_EXISTED], WORDY), V311) == b"\xb0\x02\0\1"
    message = Publish("a", b"x", properties=WORDY)
    assert encode(message, V311) == encode(Publish("a", b"x"), V311)
    assert encode(Subscribe(1, [Subscription("a", 1, True, True, 2)]), V311)[-1] == 1


@pytest.mark.parametrize(
    ("kind", "packet"),
    [
        (PacketType.PUBACK, Puback),
        (PacketType.PUBREC, Pubrec),
        (PacketType.PUBREL, Pubrel),
        (PacketType.PUBCOMP, Pubcomp),
    ],
)
def test_acks_of_one_turn_are_joined(kind: PacketType, packet: type[Puback | Pubrec | Pubrel | Pubcomp]) -> None:
    assert encode_acks(kind, []) == b""
    for ids in ([7], [1, 65_535, 256]):
        for version in (V311, V5):
            assert encode_acks(kind, ids) == b"".join(encode(packet(number), version) for number in ids)


def test_encode_publish_is_encode_without_its_limit() -> None:
    packet = Publish("a/b", b"x" * 200, 2, True, True, 9)
    assert encode_publish(packet, V5) == encode(packet, V5)


def test_texts_that_are_too_long_are_ours_to_avoid() -> None:
    with pytest.raises(OverflowError):
        encode(Disconnect(ReasonCode.NOT_AUTHORIZED, Properties(reason_string="x" * 65_536)), V5)
    with pytest.raises(ValueError, match="variable byte integer"):
        variable(MAX_VARIABLE + 1)
    assert variable(MAX_VARIABLE) == b"\xff\xff\xff\x7f"
    assert MAX_PACKET_BYTES == 268_435_460


def test_failures_begin_at_0x80() -> None:
    assert not ReasonCode.RE_AUTHENTICATE.failed
    assert ReasonCode.UNSPECIFIED_ERROR.failed
