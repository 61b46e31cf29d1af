"""The control packets of MQTT 3.1.1 and 5.0 as values.

Place in the walk: what the codec makes of bytes, and what the client machine and the broker decide about. One class a
packet; names are those of the standards. Sections named here are those of MQTT 5.0 unless it says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeAlias

__all__ = [
    "MAX_PACKET_ID",
    "V5",
    "V311",
    "Ack",
    "Auth",
    "Connack",
    "Connect",
    "Disconnect",
    "MqttError",
    "Packet",
    "PacketType",
    "Pingreq",
    "Pingresp",
    "Properties",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "ReasonCode",
    "Suback",
    "Subscribe",
    "Subscription",
    "Unsuback",
    "Unsubscribe",
    "Will",
]

V311 = 4
"""Protocol level of MQTT 3.1.1 (3.1.1 section 3.1.2.2)."""

V5 = 5
"""Protocol version of MQTT 5.0 (section 3.1.2.2)."""

MAX_PACKET_ID = 65_535
"""Packet identifiers are 1 to this (section 2.2.1)."""


class PacketType(IntEnum):
    """Section 2.1.2."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class ReasonCode(IntEnum):
    """Section 2.4. From 0x80 on: failures. One value may have several names, by the packet that says it."""

    SUCCESS = 0x00
    NORMAL_DISCONNECTION = 0x00
    GRANTED_QOS_0 = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2

    @property
    def failed(self) -> bool:
        return self >= 0x80


class MqttError(Exception):
    """The peer broke the standard or a limit. reason: what CONNACK or DISCONNECT of 5.0 says; detail: what was wrong,
    short enough for a reason string. In 3.1.1 it closes the connection without a word (3.1.1 section 4.8), but for the
    return codes of CONNACK."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason.name.lower()}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Properties:
    """Properties of one packet (section 2.2.2.2). None or empty: not said. Which of them a packet may have is checked
    where it is decoded. Intervals are seconds, sizes bytes; `maximum_*`, `*_available`, `request_*` and
    `payload_format_indicator` that are a yes or no on the wire are the integers 0 and 1."""

    payload_format_indicator: int | None = None  # 1: the payload is UTF-8 text
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()  # several in a PUBLISH of a server only
    session_expiry_interval: int | None = None  # 0xFFFFFFFF: never
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None


@dataclass(slots=True)
class Will:
    """What a client leaves behind (section 3.1.2.5). properties: those of the will, with its delay; None in 3.1.1 and
    where there are none, as in every packet."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties | None = None


@dataclass(slots=True)
class Connect:
    """Section 3.1. version: V311 or V5. client_id: empty where the server shall give one (of 3.1.1 only with
    clean_start). clean_start: Clean Session in 3.1.1. keep_alive_s: 0 is none."""

    packet_type: ClassVar[PacketType] = PacketType.CONNECT

    version: int
    client_id: str
    clean_start: bool = True
    keep_alive_s: int = 0
    will: Will | None = None
    user_name: str | None = None
    password: bytes | None = None
    properties: Properties | None = None


@dataclass(slots=True)
class Connack:
    """Section 3.2. In 3.1.1 the reason becomes one of its return codes; where it has none, nothing may be sent."""

    packet_type: ClassVar[PacketType] = PacketType.CONNACK

    session_present: bool = False
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties | None = None


@dataclass(slots=True)
class Publish:
    """Section 3.3. topic: empty where a topic alias stands for it (5.0). packet_id: 0 with QoS 0."""

    packet_type: ClassVar[PacketType] = PacketType.PUBLISH

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties | None = None


@dataclass(slots=True)
class Puback:
    """Section 3.4. 3.1.1 has no reason: there every PUBACK is a yes."""

    packet_type: ClassVar[PacketType] = PacketType.PUBACK

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties | None = None


@dataclass(slots=True)
class Pubrec:
    """Section 3.5."""

    packet_type: ClassVar[PacketType] = PacketType.PUBREC

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties | None = None


@dataclass(slots=True)
class Pubrel:
    """Section 3.6."""

    packet_type: ClassVar[PacketType] = PacketType.PUBREL

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties | None = None


@dataclass(slots=True)
class Pubcomp:
    """Section 3.7."""

    packet_type: ClassVar[PacketType] = PacketType.PUBCOMP

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties | None = None


@dataclass(slots=True)
class Subscription:
    """One filter of a SUBSCRIBE with its options (section 3.8.3.1). qos: the highest wanted. retain_handling: 0 send
    retained messages, 1 only for a new subscription, 2 never. 3.1.1 has the QoS alone."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(slots=True)
class Subscribe:
    """Section 3.8. At least one subscription."""

    packet_type: ClassVar[PacketType] = PacketType.SUBSCRIBE

    packet_id: int
    subscriptions: list[Subscription]
    properties: Properties | None = None


@dataclass(slots=True)
class Suback:
    """Section 3.9. reasons: one a subscription, in order: the QoS granted, or a failure (0x80 in 3.1.1)."""

    packet_type: ClassVar[PacketType] = PacketType.SUBACK

    packet_id: int
    reasons: list[ReasonCode]
    properties: Properties | None = None


@dataclass(slots=True)
class Unsubscribe:
    """Section 3.10. At least one filter."""

    packet_type: ClassVar[PacketType] = PacketType.UNSUBSCRIBE

    packet_id: int
    topic_filters: list[str]
    properties: Properties | None = None


@dataclass(slots=True)
class Unsuback:
    """Section 3.11. reasons: one a filter, in order; 3.1.1 has none of them."""

    packet_type: ClassVar[PacketType] = PacketType.UNSUBACK

    packet_id: int
    reasons: list[ReasonCode]
    properties: Properties | None = None


@dataclass(slots=True)
class Pingreq:
    """Section 3.12."""

    packet_type: ClassVar[PacketType] = PacketType.PINGREQ


@dataclass(slots=True)
class Pingresp:
    """Section 3.13."""

    packet_type: ClassVar[PacketType] = PacketType.PINGRESP


@dataclass(slots=True)
class Disconnect:
    """Section 3.14. In 3.1.1 only clients send it, and without a reason."""

    packet_type: ClassVar[PacketType] = PacketType.DISCONNECT

    reason: ReasonCode = ReasonCode.NORMAL_DISCONNECTION
    properties: Properties | None = None


@dataclass(slots=True)
class Auth:
    """Section 3.15, 5.0 alone."""

    packet_type: ClassVar[PacketType] = PacketType.AUTH

    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties | None = None


Ack: TypeAlias = Puback | Pubrec | Pubrel | Pubcomp

Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Ack
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
