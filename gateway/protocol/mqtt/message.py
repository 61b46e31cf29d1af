"""Message: one application message on its way to subscribers; Delivery: its way to one of them.

Place in the walk: made by the broker from a PUBLISH whose receipt is settled; shared by the queues of all subscribers.
"""

from __future__ import annotations

from enum import IntEnum

from gateway.protocol.mqtt.packets import V311, Properties, Publish
from gateway.protocol.mqtt.ports import OnDelivered

__all__ = ["Delivery", "Message", "Phase"]

_OVERHEAD_BYTES = 256  # of the objects that hold a message and its place in a queue


class Message:
    """topic, payload, qos as published. expires_ms: steady clock; 0 is never. publisher: client id, for No Local.

    properties: those that a server passes on unaltered (5.0 sections 3.3.2.3.2, .5 to .7, .9); None where there are
    none. size: bytes that it counts for in a queue.
    """

    __slots__ = ("_encoded", "expires_ms", "payload", "properties", "publisher", "qos", "retain", "size", "topic")

    def __init__(self, publish: Publish, publisher: str, now_ms: int) -> None:
        self.topic = publish.topic
        self.payload = publish.payload
        self.qos = publish.qos
        self.retain = publish.retain
        self.publisher = publisher
        self.expires_ms = 0
        self.properties: Properties | None = None
        self.size = len(publish.topic) + len(publish.payload) + _OVERHEAD_BYTES
        self._encoded: dict[tuple[int, bool], bytes] = {}
        said = publish.properties
        if said is not None:
            if said.message_expiry_interval is not None:
                # An interval of 0 has passed when it comes (it is what a gateway before us left of it).
                self.expires_ms = max(now_ms + said.message_expiry_interval * 1000, 1)
            self.properties = _passed_on(said)
            self.size += _size(self.properties)

    def expired(self, now_ms: int) -> bool:
        return self.expires_ms != 0 and now_ms >= self.expires_ms

    def remaining_s(self, now_ms: int) -> int | None:
        """The Message Expiry Interval to send now (MQTT-3.3.2-6)."""
        return max(-(-(self.expires_ms - now_ms) // 1000), 0) if self.expires_ms else None

    def encoded(self, version: int, retain: bool) -> bytes | None:
        """The bytes of a plain QoS 0 delivery (the same for all who get it so), if they were made before."""
        return self._encoded.get((version, retain))

    def remember(self, version: int, retain: bool, data: bytes) -> None:
        self._encoded[version, retain] = data


class Phase(IntEnum):
    """How far a delivery has come."""

    QUEUED = 0
    SENT = 1  # PUBLISH is out; its PUBACK or PUBREC is awaited
    RELEASED = 2  # PUBREL is out; PUBCOMP is awaited


class Delivery:
    """One message on its way to one session.

    qos: the lower one of publish and subscription (3.1.1 section 3.8.4). retain: the flag as delivered. identifiers: of
    the subscriptions that matched. packet_id: 0 until it is sent, then its own until the client is done. dup: it was
    sent before, on another connection. number: names it in what survives a restart; 0: it does not.
    on_done, deadline_ms: of a downlink (steady clock). share: name and filter of the shared subscription that it
    came by.
    """

    __slots__ = (
        "deadline_ms",
        "dup",
        "identifiers",
        "message",
        "number",
        "on_done",
        "packet_id",
        "phase",
        "qos",
        "retain",
        "share",
    )

    def __init__(self, message: Message, qos: int, retain: bool = False, identifiers: tuple[int, ...] = ()) -> None:
        self.message = message
        self.qos = qos
        self.retain = retain
        self.identifiers = identifiers
        self.packet_id = 0
        self.phase = Phase.QUEUED
        self.dup = False
        self.number = 0
        self.on_done: OnDelivered | None = None
        self.deadline_ms = 0
        self.share: tuple[str, str] | None = None

    @property
    def plain(self) -> bool:
        """Whether its bytes are the same for every subscriber of a version."""
        return self.qos == 0 and not self.identifiers and not self.message.expires_ms

    def publish(self, version: int, now_ms: int) -> Publish:
        """The packet that carries it."""
        message = self.message
        properties: Properties | None = None
        if version != V311:
            properties = message.properties
            if self.identifiers or message.expires_ms:
                properties = _passed_on(properties or Properties()) or Properties()
                properties.subscription_identifiers = self.identifiers
                properties.message_expiry_interval = message.remaining_s(now_ms)
        return Publish(message.topic, message.payload, self.qos, self.retain, self.dup, self.packet_id, properties)


def _passed_on(said: Properties) -> Properties | None:
    passed = Properties(
        payload_format_indicator=said.payload_format_indicator,
        content_type=said.content_type,
        response_topic=said.response_topic,
        correlation_data=said.correlation_data,
        user_properties=said.user_properties,
    )
    return None if passed == Properties() else passed


def _size(properties: Properties | None) -> int:
    if properties is None:
        return 0
    return (
        len(properties.content_type or "")
        + len(properties.response_topic or "")
        + len(properties.correlation_data or b"")
        + sum(len(name) + len(value) + 32 for name, value in properties.user_properties)
    )
