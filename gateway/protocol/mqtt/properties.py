"""The properties of MQTT 5.0 packets, read and written (section 2.2.2).

Place in the walk: beneath the codec. One table says what each property is and which packets may have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.protocol.mqtt.packets import MqttError, PacketType, Properties, ReasonCode
from gateway.protocol.mqtt.topics import name_problem
from gateway.protocol.mqtt.wire import Reader, binary, malformed, text, variable

__all__ = ["MAX_REPEATED", "WILL", "read_properties", "write_properties"]

MAX_REPEATED = 256
"""A limit of ours on user properties: a pair of empty texts is 5 bytes on the wire and much more in memory."""

WILL = 0
"""The will's own properties, where else a PacketType says whose properties they are."""


@dataclass(slots=True, frozen=True)
class _Property:
    """packets: a bit for each packet that may have it. many: it may stand there several times."""

    name: str
    packets: int
    read: Callable[[Reader], object]
    write: Callable[..., bytes]
    many: bool = False


def _protocol_error(detail: str) -> MqttError:
    return MqttError(ReasonCode.PROTOCOL_ERROR, detail)


def _number(name: str, size: int, packets: int, zero: ReasonCode | None = None) -> _Property:
    """zero: what a 0 is, where it is not allowed."""

    def read(part: Reader) -> int:
        value = part.integer(size)
        if not value and zero is not None:
            raise MqttError(zero, f"{name} is 0")
        return value

    return _Property(name, packets, read, lambda value: value.to_bytes(size, "big"))


def _flag(name: str, packets: int) -> _Property:
    def read(part: Reader) -> int:
        value = part.byte()
        if value > 1:
            raise _protocol_error(f"{name} is neither 0 nor 1")
        return value

    return _Property(name, packets, read, lambda value: value.to_bytes(1, "big"))


def _text(name: str, packets: int) -> _Property:
    return _Property(name, packets, lambda part: part.text(name), text)


def _binary(name: str, packets: int) -> _Property:
    return _Property(name, packets, Reader.binary, binary)


def _read_identifier(part: Reader) -> int:
    value = part.variable()
    if not value:
        raise _protocol_error("a subscription identifier is 0")
    return value


def _read_pair(part: Reader) -> tuple[str, str]:
    return part.text("a user property"), part.text("a user property")


def _write_pair(pair: tuple[str, str]) -> bytes:
    return text(pair[0]) + text(pair[1])


def _bits(*packets: int) -> int:
    return sum(1 << packet for packet in packets)


_P = PacketType
_MESSAGE = _bits(_P.PUBLISH, WILL)
_HELLO = _bits(_P.CONNECT, _P.CONNACK)
_SHAKE = _HELLO | _bits(_P.AUTH)
_ACKS = _bits(_P.PUBACK, _P.PUBREC, _P.PUBREL, _P.PUBCOMP, _P.SUBACK, _P.UNSUBACK)
_REASONED = _ACKS | _bits(_P.CONNACK, _P.DISCONNECT, _P.AUTH)
_ANY = _REASONED | _MESSAGE | _bits(_P.CONNECT, _P.SUBSCRIBE, _P.UNSUBSCRIBE)
_ZERO = ReasonCode.PROTOCOL_ERROR

_TABLE: dict[int, _Property] = {
    1: _flag("payload_format_indicator", _MESSAGE),
    2: _number("message_expiry_interval", 4, _MESSAGE),
    3: _text("content_type", _MESSAGE),
    8: _text("response_topic", _MESSAGE),
    9: _binary("correlation_data", _MESSAGE),
    11: _Property("subscription_identifiers", _bits(_P.PUBLISH, _P.SUBSCRIBE), _read_identifier, variable, many=True),
    17: _number("session_expiry_interval", 4, _HELLO | _bits(_P.DISCONNECT)),
    18: _text("assigned_client_identifier", _bits(_P.CONNACK)),
    19: _number("server_keep_alive", 2, _bits(_P.CONNACK)),
    21: _text("authentication_method", _SHAKE),
    22: _binary("authentication_data", _SHAKE),
    23: _flag("request_problem_information", _bits(_P.CONNECT)),
    24: _number("will_delay_interval", 4, _bits(WILL)),
    25: _flag("request_response_information", _bits(_P.CONNECT)),
    26: _text("response_information", _bits(_P.CONNACK)),
    28: _text("server_reference", _bits(_P.CONNACK, _P.DISCONNECT)),
    31: _text("reason_string", _REASONED),
    33: _number("receive_maximum", 2, _HELLO, _ZERO),
    34: _number("topic_alias_maximum", 2, _HELLO),
    35: _number("topic_alias", 2, _bits(_P.PUBLISH), ReasonCode.TOPIC_ALIAS_INVALID),
    36: _flag("maximum_qos", _bits(_P.CONNACK)),
    37: _flag("retain_available", _bits(_P.CONNACK)),
    38: _Property("user_properties", _ANY, _read_pair, _write_pair, many=True),
    39: _number("maximum_packet_size", 4, _HELLO, _ZERO),
    40: _flag("wildcard_subscription_available", _bits(_P.CONNACK)),
    41: _flag("subscription_identifier_available", _bits(_P.CONNACK)),
    42: _flag("shared_subscription_available", _bits(_P.CONNACK)),
}

_MARKED = [(bytes((number,)), known) for number, known in _TABLE.items()]


def read_properties(reader: Reader, packet: int, *, from_client: bool) -> Properties | None:
    """The properties that stand next, with their length; None if there are none. packet: a PacketType, or WILL.

    Raises MqttError for unknown ones, those of other packets, twice the same, and values that section 3 forbids.
    """
    length = reader.variable()
    if not length:
        return None
    end = reader.at + length
    if end > reader.end:
        raise malformed("properties are longer than their packet")
    part = Reader(reader.data, reader.at, end)
    reader.at = end
    properties = Properties()
    repeated: dict[str, list[object]] = {}
    seen = 0
    while part.at < end:
        number = part.variable()
        known = _TABLE.get(number)
        if known is None or not known.packets >> packet & 1:
            raise malformed(f"a {_name(packet)} has no property {known.name if known else number}")
        value = known.read(part)
        if known.many:
            values = repeated.setdefault(known.name, [])
            if len(values) == MAX_REPEATED:
                raise MqttError(ReasonCode.QUOTA_EXCEEDED, f"more than {MAX_REPEATED} {known.name}")
            values.append(value)
            continue
        if seen >> number & 1:
            raise _protocol_error(f"{known.name} stands there twice")
        seen |= 1 << number
        setattr(properties, known.name, value)
    for name, values in repeated.items():
        setattr(properties, name, tuple(values))
    _check(properties, packet, from_client)
    return properties


def _name(packet: int) -> str:
    return PacketType(packet).name if packet else "will"


def _check(properties: Properties, packet: int, from_client: bool) -> None:
    """What stands between properties, or depends on who says it."""
    if properties.response_topic is not None and (problem := name_problem(properties.response_topic)):
        raise _protocol_error(f"response_topic: {problem}")  # MQTT-3.3.2-14
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise _protocol_error("authentication_data without an authentication_method")
    if properties.subscription_identifiers:
        if packet == PacketType.SUBSCRIBE and len(properties.subscription_identifiers) > 1:
            raise _protocol_error("subscription_identifiers stands there twice")
        if packet == PacketType.PUBLISH and from_client:
            raise _protocol_error("a client's PUBLISH has no subscription identifier")  # MQTT-3.3.4-6
    if properties.session_expiry_interval is not None and packet == PacketType.DISCONNECT and not from_client:
        raise _protocol_error("a server's DISCONNECT has no session_expiry_interval")  # MQTT-3.14.2-2


def write_properties(properties: Properties | None) -> bytes:
    """The properties with their length. That a packet may have them is the caller's care."""
    if properties is None:
        return b"\0"
    parts: list[bytes] = []
    for mark, known in _MARKED:
        value = getattr(properties, known.name)
        if known.many:
            for one in value:
                parts += (mark, known.write(one))
        elif value is not None:
            parts += (mark, known.write(value))
    body = b"".join(parts)
    return variable(len(body)) + body
