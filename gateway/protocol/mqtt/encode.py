"""Control packets become bytes (section 3 of both standards).

Place in the walk: the last thing before the transport. What a packet holds is the caller's care: names and filters are
valid, properties are those of the packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from struct import Struct

from gateway.protocol.mqtt.decode import RETURN_CODES
from gateway.protocol.mqtt.packets import (
    V5,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
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
)
from gateway.protocol.mqtt.properties import write_properties
from gateway.protocol.mqtt.wire import MAX_VARIABLE, binary, text, variable

__all__ = ["MAX_PACKET_BYTES", "encode", "encode_acks", "encode_publish"]

MAX_PACKET_BYTES = MAX_VARIABLE + 5
"""The largest packet that can be, header included."""

_ACK = Struct(">HH").pack
_ACK_HEADS = {
    PacketType.PUBACK: 0x4002,
    PacketType.PUBREC: 0x5002,
    PacketType.PUBREL: 0x6202,
    PacketType.PUBCOMP: 0x7002,
}

_BUSY = (ReasonCode.SERVER_BUSY, ReasonCode.QUOTA_EXCEEDED, ReasonCode.CONNECTION_RATE_EXCEEDED)
_CONNACK_CODES = {
    **RETURN_CODES,
    **dict.fromkeys(_BUSY, RETURN_CODES[ReasonCode.SERVER_UNAVAILABLE]),
    ReasonCode.BANNED: RETURN_CODES[ReasonCode.NOT_AUTHORIZED],
}


def encode(packet: Packet, version: int, max_bytes: int = MAX_PACKET_BYTES) -> bytes:
    """The bytes of a packet in that version (V311 or V5).

    max_bytes: the peer's Maximum Packet Size. User properties and then the reason string of an answer are left out
    where it would be longer (MQTT-3.2.2-19, -20 and their like).
    Empty where nothing may be sent: longer than max_bytes all the same (MQTT-3.1.2-24, -25: go on as if a PUBLISH were
    sent), or 3.1.1 has no words for it: AUTH, a DISCONNECT with a reason, a CONNACK whose reason has no return code
    there (3.1.1 section 3.2.2.3: close without a CONNACK).
    Raises OverflowError for a text beyond 65,535 bytes.
    """
    written = _write(packet, version)
    if len(written) <= max_bytes:
        return written
    if (
        isinstance(packet, Publish | Connect | Subscribe | Unsubscribe | Pingreq | Pingresp)
        or packet.properties is None
    ):
        return b""
    # Only an answer can say less and still be one
    for shorter in (
        replace(packet.properties, user_properties=()),
        replace(packet.properties, user_properties=(), reason_string=None),
    ):
        written = _write(replace(packet, properties=shorter), version)
        if len(written) <= max_bytes:
            return written
    return b""


def encode_acks(kind: PacketType, packet_ids: Sequence[int]) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP with success for all these ids, joined; the same bytes in both versions."""
    head = _ACK_HEADS[kind]
    if len(packet_ids) == 1:
        return _ACK(head, packet_ids[0])
    return b"".join([_ACK(head, packet_id) for packet_id in packet_ids])


def encode_publish(packet: Publish, version: int) -> bytes:
    """`encode` without its limit."""
    name = packet.topic.encode()
    qos = packet.qos
    first = 0x30 | packet.dup << 3 | qos << 1 | packet.retain
    parts = [len(name).to_bytes(2, "big"), name]
    if qos:
        parts.append(packet.packet_id.to_bytes(2, "big"))
    if version == V5:
        parts.append(b"\0" if packet.properties is None else write_properties(packet.properties))
    parts.append(packet.payload)
    return _packet(first, b"".join(parts))


def _packet(first: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes((first, size)) + body
    return bytes((first,)) + variable(size) + body


def _write(packet: Packet, version: int) -> bytes:
    if isinstance(packet, Publish):
        return encode_publish(packet, version)
    if isinstance(packet, Puback | Pubrec | Pubrel | Pubcomp):
        return _write_ack(packet, version)
    if isinstance(packet, Pingreq | Pingresp):
        return _packet(packet.packet_type << 4, b"")
    if isinstance(packet, Connect):
        return _write_connect(packet)
    if isinstance(packet, Connack):
        return _write_connack(packet, version)
    if isinstance(packet, Subscribe | Unsubscribe):
        return _write_filters(packet, version)
    if isinstance(packet, Suback | Unsuback):
        return _write_granted(packet, version)
    if version != V5:
        return b"\xe0\0" if isinstance(packet, Disconnect) and not packet.reason else b""
    return _packet(packet.packet_type << 4, _reason_and_properties(packet.reason, packet.properties))


def _reason_and_properties(reason: ReasonCode, properties: Properties | None) -> bytes:
    """As short as it may be said (sections 3.4.2.1 and 3.14.2.1)."""
    if properties is not None:
        return bytes((reason,)) + write_properties(properties)
    return bytes((reason,)) if reason else b""


def _write_ack(packet: Puback | Pubrec | Pubrel | Pubcomp, version: int) -> bytes:
    if version != V5 or (not packet.reason and packet.properties is None):
        return _ACK(_ACK_HEADS[packet.packet_type], packet.packet_id)
    body = packet.packet_id.to_bytes(2, "big") + _reason_and_properties(packet.reason, packet.properties)
    return _packet(_ACK_HEADS[packet.packet_type] >> 8, body)


def _write_connect(packet: Connect) -> bytes:
    in_5 = packet.version == V5
    will = packet.will
    flags = packet.clean_start << 1
    tail = [text(packet.client_id)]
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        if in_5:
            tail.append(write_properties(will.properties))
        tail += (text(will.topic), binary(will.payload))
    if packet.user_name is not None:
        flags |= 0x80
        tail.append(text(packet.user_name))
    if packet.password is not None:
        flags |= 0x40
        tail.append(binary(packet.password))
    head = b"\0\x04MQTT" + bytes((packet.version, flags)) + packet.keep_alive_s.to_bytes(2, "big")
    properties = write_properties(packet.properties) if in_5 else b""
    return _packet(0x10, b"".join((head, properties, *tail)))


def _write_connack(packet: Connack, version: int) -> bytes:
    present = packet.session_present and not packet.reason.failed  # MQTT-3.2.2-6; 3.1.1: MQTT-3.2.2-4
    if version == V5:
        return _packet(0x20, bytes((present, packet.reason)) + write_properties(packet.properties))
    code = _CONNACK_CODES.get(packet.reason)
    return b"" if code is None else bytes((0x20, 2, present, code))


def _write_filters(packet: Subscribe | Unsubscribe, version: int) -> bytes:
    parts = [packet.packet_id.to_bytes(2, "big")]
    if version == V5:
        parts.append(write_properties(packet.properties))
    if isinstance(packet, Unsubscribe):
        parts += map(text, packet.topic_filters)
        return _packet(0xA2, b"".join(parts))
    for subscription in packet.subscriptions:
        parts += (text(subscription.topic_filter), bytes((_options(subscription, version),)))
    return _packet(0x82, b"".join(parts))


def _options(subscription: Subscription, version: int) -> int:
    if version != V5:
        return subscription.qos
    choices = subscription.no_local << 2 | subscription.retain_as_published << 3 | subscription.retain_handling << 4
    return subscription.qos | choices


def _write_granted(packet: Suback | Unsuback, version: int) -> bytes:
    head = packet.packet_id.to_bytes(2, "big")
    first = packet.packet_type << 4
    if version == V5:
        return _packet(first, head + write_properties(packet.properties) + bytes(packet.reasons))
    if isinstance(packet, Unsuback):
        return _packet(first, head)
    return _packet(first, head + bytes(min(reason, ReasonCode.UNSPECIFIED_ERROR) for reason in packet.reasons))
