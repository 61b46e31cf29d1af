"""The body of each control packet becomes a value (section 3 of both standards).

Place in the walk: beneath the decoder, which cuts the stream and reads PUBLISH itself, since that one must be fast.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    MqttError,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
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
from gateway.protocol.mqtt.properties import WILL, read_properties
from gateway.protocol.mqtt.topics import SHARE, filter_problem, name_problem
from gateway.protocol.mqtt.wire import Reader, malformed

__all__ = ["MAX_FILTERS", "RETURN_CODES", "protocol_error", "read_body", "read_connect", "read_protocol"]

MAX_FILTERS = 1_000
"""A limit of ours, a SUBSCRIBE or UNSUBSCRIBE."""

RETURN_CODES = {
    ReasonCode.SUCCESS: 0,
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: 1,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: 2,
    ReasonCode.SERVER_UNAVAILABLE: 3,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: 4,
    ReasonCode.NOT_AUTHORIZED: 5,
}
"""Of CONNACK in 3.1.1 (3.1.1 section 3.2.2.3)."""

_BOTH = frozenset((0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99))
_PUBLISHED = (frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),) * 2
_RELEASED = (frozenset((0x00, 0x92)),) * 2
_SERVERS_CONNACK = frozenset((0, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F))
_NEVER: frozenset[int] = frozenset()

_REASONS: dict[PacketType, tuple[frozenset[int], frozenset[int]]] = {
    PacketType.CONNACK: (_SERVERS_CONNACK, _NEVER),
    PacketType.PUBACK: _PUBLISHED,
    PacketType.PUBREC: _PUBLISHED,
    PacketType.PUBREL: _RELEASED,
    PacketType.PUBCOMP: _RELEASED,
    PacketType.SUBACK: (frozenset((0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2)), _NEVER),
    PacketType.UNSUBACK: (frozenset((0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91)), _NEVER),
    PacketType.DISCONNECT: (
        _BOTH | {0x00, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F} | set(range(0x9A, 0xA3)),
        _BOTH | {0x00, 0x04},
    ),
    PacketType.AUTH: (frozenset((0x00, 0x18)), frozenset((0x18, 0x19))),
}
"""Which reasons a packet may say, from a server and from a client (tables of sections 3.2 to 3.15)."""


def protocol_error(detail: str) -> MqttError:
    return MqttError(ReasonCode.PROTOCOL_ERROR, detail)


def read_protocol(reader: Reader) -> tuple[int, bool]:
    """Name and level at the beginning of a CONNECT (sections 3.1.2.1 and 3.1.2.2): the version in which to go on, and
    whether that is what the client speaks. Of a protocol that is not MQTT: version 0."""
    name = reader.binary()
    level = reader.byte()
    if name == b"MQIsdp":
        return V311, False  # MQTT 3.1: it understands the return codes
    if name != b"MQTT":
        return 0, False
    if level in (V311, V5):
        return level, True
    return V5 if level & 0x7F >= V5 else V311, False  # the high bit: a bridge of mosquitto, which then tries without


def read_connect(reader: Reader, version: int) -> Connect:
    """What follows the protocol's name and level (section 3.1)."""
    flags = reader.byte()
    if flags & 1:
        raise malformed("the reserved flag of CONNECT is set")  # MQTT-3.1.2-3
    qos = flags >> 3 & 3
    if qos == 3:
        raise malformed("the will has QoS 3")  # MQTT-3.1.2-12
    if not flags & 0x04 and flags & 0x38:
        raise malformed("flags of a will without a will")  # MQTT-3.1.2-11, -13
    if version == V311 and flags & 0xC0 == 0x40:
        raise malformed("a password without a user name")  # 3.1.1: MQTT-3.1.2-22
    keep_alive_s = reader.integer(2)
    properties = _properties(reader, version, PacketType.CONNECT, True)
    client_id = reader.text("client identifier")
    clean_start = bool(flags & 0x02)
    will = None
    if flags & 0x04:
        will_properties = _properties(reader, version, WILL, True)
        topic = reader.text("will topic")
        problem = name_problem(topic)
        if problem:
            raise MqttError(ReasonCode.TOPIC_NAME_INVALID, f"will: {problem}")
        will = Will(topic, reader.binary(), qos, bool(flags & 0x20), will_properties)
    user_name = reader.text("user name") if flags & 0x80 else None
    password = reader.binary() if flags & 0x40 else None
    reader.finish()
    if version == V311 and not client_id and not clean_start:  # 3.1.1: MQTT-3.1.3-8
        raise MqttError(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "no client identifier for a session to keep")
    return Connect(version, client_id, clean_start, keep_alive_s, will, user_name, password, properties)


def read_body(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Packet:
    """Any packet but CONNECT and PUBLISH."""
    packet = _BODIES[kind](kind, reader, version, from_client)
    reader.finish()
    return packet


def _properties(reader: Reader, version: int, packet: int, from_client: bool) -> Properties | None:
    return read_properties(reader, packet, from_client=from_client) if version == V5 else None


def _reason(code: int, kind: PacketType, from_client: bool) -> ReasonCode:
    if code not in _REASONS[kind][from_client]:
        raise protocol_error(f"a {kind.name} has no reason 0x{code:02x} here")
    return ReasonCode(code)


def _packet_id(reader: Reader) -> int:
    packet_id = reader.integer(2)
    if not packet_id:
        raise protocol_error("packet identifier 0")  # 3.1.1: MQTT-2.3.1-1, 5.0: MQTT-2.2.1-3
    return packet_id


_ACKS: dict[PacketType, type[Puback | Pubrec | Pubrel | Pubcomp]] = {
    PacketType.PUBACK: Puback,
    PacketType.PUBREC: Pubrec,
    PacketType.PUBREL: Pubrel,
    PacketType.PUBCOMP: Pubcomp,
}


def _read_ack(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Ack:
    packet_id = _packet_id(reader)
    if version == V311 or not reader.more:
        return _ACKS[kind](packet_id)
    reason = _reason(reader.byte(), kind, from_client)
    return _ACKS[kind](packet_id, reason, _properties(reader, version, kind, from_client) if reader.more else None)


def _read_subscribe(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Subscribe:
    packet_id = _packet_id(reader)
    properties = _properties(reader, version, kind, from_client)
    subscriptions: list[Subscription] = []
    while reader.more:
        topic_filter = _filter(reader, len(subscriptions))
        subscriptions.append(_subscription(topic_filter, reader.byte(), version))
    if not subscriptions:
        raise protocol_error("a SUBSCRIBE without a filter")  # 5.0: MQTT-3.8.3-2, 3.1.1: MQTT-3.8.3-3
    return Subscribe(packet_id, subscriptions, properties)


def _subscription(topic_filter: str, options: int, version: int) -> Subscription:
    """Section 3.8.3.1."""
    if options & (0xC0 if version == V5 else 0xFC):
        raise malformed("reserved bits of the subscription options are set")  # MQTT-3.8.3-5; 3.1.1: MQTT-3.8.3-4
    qos, retain_handling = options & 3, options >> 4 & 3
    if qos == 3:
        raise malformed("a subscription with QoS 3")
    if retain_handling == 3:
        raise protocol_error("retain handling 3")
    no_local = bool(options & 0x04)
    if no_local and topic_filter.startswith(SHARE):
        raise protocol_error("no local on a shared subscription")  # MQTT-3.8.3-4
    return Subscription(topic_filter, qos, no_local, bool(options & 0x08), retain_handling)


def _read_unsubscribe(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Unsubscribe:
    packet_id = _packet_id(reader)
    properties = _properties(reader, version, kind, from_client)
    topic_filters: list[str] = []
    while reader.more:
        topic_filters.append(_filter(reader, len(topic_filters)))
    if not topic_filters:
        raise protocol_error("an UNSUBSCRIBE without a filter")  # 5.0: MQTT-3.10.3-2
    return Unsubscribe(packet_id, topic_filters, properties)


def _filter(reader: Reader, count: int) -> str:
    if count == MAX_FILTERS:
        raise MqttError(ReasonCode.QUOTA_EXCEEDED, f"more than {MAX_FILTERS} filters in a packet")
    topic_filter = reader.text("topic filter")
    problem = filter_problem(topic_filter)
    if problem:
        raise MqttError(ReasonCode.TOPIC_FILTER_INVALID, problem)
    return topic_filter


def _read_ping(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Pingreq | Pingresp:
    return Pingreq() if kind is PacketType.PINGREQ else Pingresp()


def _read_disconnect(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Disconnect:
    if version == V311 or not reader.more:
        return Disconnect()
    reason = _reason(reader.byte(), kind, from_client)
    return Disconnect(reason, _properties(reader, version, kind, from_client) if reader.more else None)


def _read_auth(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Auth:
    reason = _reason(reader.byte() if reader.more else 0, kind, from_client)
    properties = _properties(reader, version, kind, from_client) if reader.more else None
    if reason is not ReasonCode.SUCCESS and (properties is None or properties.authentication_method is None):
        raise protocol_error("an AUTH without an authentication_method")  # section 3.15.2.2.2
    return Auth(reason, properties)


# What only servers send


def _read_connack(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Connack:
    flags = reader.byte()
    if flags > 1:
        raise malformed("reserved flags of CONNACK are set")  # MQTT-3.2.2-1
    code = reader.byte()
    if version == V311:
        reason = next((reason for reason, number in RETURN_CODES.items() if number == code), None)
        if reason is None:
            raise protocol_error(f"a CONNACK has no return code {code}")
    else:
        reason = _reason(code, kind, from_client)
    return Connack(bool(flags), reason, _properties(reader, version, kind, from_client))


def _read_suback(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Suback:
    packet_id = _packet_id(reader)
    properties = _properties(reader, version, kind, from_client)
    codes = reader.rest()
    if version == V311 and not set(codes) <= {0, 1, 2, 0x80}:
        raise protocol_error("a SUBACK has no such return code")  # 3.1.1: MQTT-3.9.3-2
    return Suback(packet_id, [_reason(code, kind, from_client) for code in codes], properties)


def _read_unsuback(kind: PacketType, reader: Reader, version: int, from_client: bool) -> Unsuback:
    packet_id = _packet_id(reader)
    if version == V311:
        return Unsuback(packet_id, [])
    properties = _properties(reader, version, kind, from_client)
    return Unsuback(packet_id, [_reason(code, kind, from_client) for code in reader.rest()], properties)


_BODIES: dict[PacketType, Callable[[PacketType, Reader, int, bool], Packet]] = {
    PacketType.PUBACK: _read_ack,
    PacketType.PUBREC: _read_ack,
    PacketType.PUBREL: _read_ack,
    PacketType.PUBCOMP: _read_ack,
    PacketType.SUBSCRIBE: _read_subscribe,
    PacketType.UNSUBSCRIBE: _read_unsubscribe,
    PacketType.PINGREQ: _read_ping,
    PacketType.PINGRESP: _read_ping,
    PacketType.DISCONNECT: _read_disconnect,
    PacketType.AUTH: _read_auth,
    PacketType.CONNACK: _read_connack,
    PacketType.SUBACK: _read_suback,
    PacketType.UNSUBACK: _read_unsuback,
}
