"""What outlives the process, as compact states: sessions, their subscriptions, QoS 2 ids and queues, retained messages.

Place in the walk: made where sessions change, kept by the spool in one commit with the records they came with, and read
back by `gateway.protocol.mqtt.recovery`. A payload is a version, a kind, the client id, and what the kind says; packets
within are MQTT 5.0 packets as on the wire. Times are Unix ms, since no steady clock outlives the process. Every change
may be read twice, once as part of a snapshot.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from gateway.domain.state import State, StateKind
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.message import Delivery, Message
from gateway.protocol.mqtt.packets import V5, Packet, Properties, Publish, Subscribe, Subscription

__all__ = [
    "Change",
    "ChangeKind",
    "closed",
    "done",
    "ended",
    "handed",
    "opened",
    "queued",
    "read",
    "read_publish",
    "read_subscribe",
    "received",
    "released",
    "retained",
    "subscribed",
    "taken",
    "unsubscribed",
]

_FORMAT = 1
_HEAD = struct.Struct("<BBH")  # format, kind, bytes of the client id
_SESSION = struct.Struct("<IQ?")  # expiry in seconds, when it ends (Unix ms, 0: it is connected or never), afresh
_NUMBER = struct.Struct("<Q")
_RECEIVED = struct.Struct("<QH")  # number, packet id
_DELIVERY = struct.Struct("<QQ")  # number, when the message expires (Unix ms, 0: never)
_MAX_PACKET = 268_435_460


class ChangeKind(IntEnum):
    """The numbers stand in files: never change or reuse one."""

    OPENED = 1
    CLOSED = 2
    ENDED = 3
    SUBSCRIBED = 4
    UNSUBSCRIBED = 5
    TAKEN = 6
    RELEASED = 7
    QUEUED = 8
    DONE = 9
    RETAINED = 10
    RECEIVED = 11
    HANDED = 12


@dataclass(slots=True)
class Change:
    """One payload, read. Which fields mean something is said by its kind.

    ids: packet ids (TAKEN, HANDED, RELEASED), numbers of deliveries (QUEUED, DONE), or one of each (RECEIVED). time_ms:
    Unix ms, 0 is never: when the session ends (OPENED, CLOSED), when the message expires (QUEUED, RETAINED). packet:
    as on the wire.
    """

    kind: ChangeKind
    client_id: str
    expiry_s: int = 0
    afresh: bool = False
    time_ms: int = 0
    ids: tuple[int, ...] = ()
    packet: bytes = b""


def opened(client_id: str, expiry_s: int, ends_unix_ms: int, *, afresh: bool) -> State:
    """A session is there; afresh: with nothing in it."""
    return _state(ChangeKind.OPENED, client_id, _SESSION.pack(expiry_s, ends_unix_ms, afresh))


def closed(client_id: str, expiry_s: int, ends_unix_ms: int) -> State:
    """Its client is away."""
    return _state(ChangeKind.CLOSED, client_id, _SESSION.pack(expiry_s, ends_unix_ms, False))


def ended(client_id: str) -> State:
    return _state(ChangeKind.ENDED, client_id, b"")


def subscribed(client_id: str, subscription: Subscription, identifier: int) -> State:
    properties = Properties(subscription_identifiers=(identifier,)) if identifier else None
    return _state(ChangeKind.SUBSCRIBED, client_id, encode(Subscribe(1, [subscription], properties), V5))


def unsubscribed(client_id: str, topic_filter: str) -> State:
    return _state(ChangeKind.UNSUBSCRIBED, client_id, topic_filter.encode())


def taken(client_id: str, *packet_ids: int) -> State:
    """QoS 2 publishes are kept and not released."""
    return _state(ChangeKind.TAKEN, client_id, struct.pack(f"<{len(packet_ids)}H", *packet_ids))


def handed(client_id: str, *packet_ids: int) -> State:
    """QoS 2 publishes that are taken have also been given to subscribers and retained."""
    return _state(ChangeKind.HANDED, client_id, struct.pack(f"<{len(packet_ids)}H", *packet_ids))


def released(client_id: str, packet_id: int) -> State:
    return _state(ChangeKind.RELEASED, client_id, struct.pack("<H", packet_id))


def queued(client_id: str, delivery: Delivery, expires_unix_ms: int) -> State:
    """A message waits for a client."""
    message = delivery.message
    said = message.properties
    publish = Publish(message.topic, message.payload, delivery.qos, delivery.retain, False, 1, said)
    head = _DELIVERY.pack(delivery.number, expires_unix_ms)
    numbers = delivery.identifiers
    identifiers = struct.pack(f"<B{len(numbers)}I", len(numbers), *numbers)
    return _state(ChangeKind.QUEUED, client_id, head + identifiers + encode(publish, V5))


def received(client_id: str, delivery: Delivery) -> State:
    """A client has answered a QoS 2 delivery with PUBREC."""
    return _state(ChangeKind.RECEIVED, client_id, _RECEIVED.pack(delivery.number, delivery.packet_id))


def done(client_id: str, numbers: Sequence[int]) -> State:
    """These deliveries wait no longer."""
    return _state(ChangeKind.DONE, client_id, struct.pack(f"<{len(numbers)}Q", *numbers))


def retained(publisher: str, message: Message, expires_unix_ms: int) -> State:
    """A message is retained; without a payload: none is any more."""
    publish = Publish(message.topic, message.payload, message.qos, True, False, 1, message.properties)
    return _state(ChangeKind.RETAINED, publisher, _NUMBER.pack(expires_unix_ms) + encode(publish, V5))


def read(payload: bytes) -> Change | None:
    """None: of another version. ValueError, struct.error: not ours."""
    version, code, length = _HEAD.unpack_from(payload)
    if version != _FORMAT:
        return None
    kind = ChangeKind(code)
    start = _HEAD.size + length
    change = Change(kind, payload[_HEAD.size : start].decode())
    rest = payload[start:]
    match kind:
        case ChangeKind.OPENED | ChangeKind.CLOSED:
            change.expiry_s, change.time_ms, change.afresh = _SESSION.unpack(rest)
        case ChangeKind.TAKEN | ChangeKind.HANDED | ChangeKind.RELEASED:
            change.ids = struct.unpack(f"<{len(rest) // 2}H", rest)
        case ChangeKind.DONE:
            change.ids = struct.unpack(f"<{len(rest) // 8}Q", rest)
        case ChangeKind.RECEIVED:
            change.ids = _RECEIVED.unpack(rest)
        case ChangeKind.RETAINED:
            (change.time_ms,) = _NUMBER.unpack_from(rest)
            change.packet = rest[_NUMBER.size :]
        case ChangeKind.QUEUED:
            number, change.time_ms = _DELIVERY.unpack_from(rest)
            count = rest[_DELIVERY.size]
            at = _DELIVERY.size + 1
            change.ids = (number, *struct.unpack_from(f"<{count}I", rest, at))
            change.packet = rest[at + 4 * count :]
        case ChangeKind.SUBSCRIBED | ChangeKind.UNSUBSCRIBED:
            change.packet = rest
        case ChangeKind.ENDED:
            pass
    return change


def read_publish(change: Change) -> Publish:
    packet = _packet(change.packet, from_client=False)
    assert isinstance(packet, Publish)
    return packet


def read_subscribe(change: Change) -> Subscribe:
    packet = _packet(change.packet, from_client=True)
    assert isinstance(packet, Subscribe)
    return packet


def _packet(data: bytes, *, from_client: bool) -> Packet:
    (packet,) = Decoder(_MAX_PACKET, from_client=from_client, version=V5).receive(data)
    return packet


def _state(kind: ChangeKind, client_id: str, rest: bytes) -> State:
    name = client_id.encode()
    return State(StateKind.MQTT, _HEAD.pack(_FORMAT, kind, len(name)) + name + rest)
