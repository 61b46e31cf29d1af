"""What clients and broker are given: limits, counts, and the seams to those who carry, admit, record and keep.

Place in the walk: the listener builds one `BrokerPorts` for a broker and one `ClientPorts` for its connections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.domain.device import Principal
from gateway.domain.errors import DeadLetterReason, RefuseReason
from gateway.domain.ports import FrameTap
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State
from gateway.protocol.mqtt.packets import Connect, Publish, ReasonCode
from gateway.protocol.mqtt.topics import TopicCache
from gateway.protocol.session_ports import RoomGate

__all__ = [
    "NEVER_S",
    "AccessPort",
    "Answer",
    "BrokerLimits",
    "BrokerPorts",
    "ClientLimits",
    "ClientPorts",
    "Denial",
    "DownlinkOutcome",
    "DropReason",
    "Grant",
    "MqttCounts",
    "OnDelivered",
    "PublishFlow",
    "Sender",
    "explain",
    "explain_dead_letters",
]

NEVER_S = 0xFFFFFFFF
"""Session Expiry Interval that means: never (5.0 section 3.1.2.11.2)."""


@dataclass(slots=True, frozen=True)
class ClientLimits:
    """What one connection may do. A time of 0 is off.

    connect_timeout_ms: until a CONNECT has been accepted. max_packet_bytes: of a whole inbound packet.
    max_keep_alive_s: 5.0 clients that ask for more, or for none, are told this one.
    receive_maximum: QoS 1 and 2 publishes of a 5.0 client that may be unanswered. max_unreleased: QoS 2 ids of a
    session, over all its connections. publishes_in_flight, bytes_in_flight: what is taken in, of any QoS, and not
    answered; beyond it reading is held back. topic_aliases: either way. window: deliveries that may be unanswered.
    max_joined_bytes: output that is joined before it is written within a turn.
    """

    connect_timeout_ms: int = 10_000
    max_packet_bytes: int = 262_144
    max_keep_alive_s: int = 0
    receive_maximum: int = 64
    max_unreleased: int = 4_096
    publishes_in_flight: int = 256
    bytes_in_flight: int = 1 << 20
    topic_aliases: int = 16
    window: int = 10
    max_joined_bytes: int = 65_536


@dataclass(slots=True, frozen=True)
class BrokerLimits:
    """What all sessions together, and one of them, may keep.

    queue_messages, queue_bytes: waiting for, or sent to and not answered by, one client; new ones beyond it are dropped
    and counted. all_queues_bytes: the same of all sessions. max_expiry_s: how long a session may outlive its
    connection; a 3.1.1 session that is not clean lives so long. max_retained*: new topics beyond it are not retained.
    Queues and retained messages stand in the snapshot at the head of every segment of the spool: keep them small.
    """

    max_sessions: int = 100_000
    max_subscriptions: int = 256
    queue_messages: int = 1_000
    queue_bytes: int = 1 << 20
    all_queues_bytes: int = 64 << 20
    max_expiry_s: int = 7 * 86_400
    max_retained: int = 10_000
    max_retained_bytes: int = 8 << 20


class DropReason(StrEnum):
    """Why a message did not reach a subscriber, or was not retained."""

    QUEUE_FULL = "queue_full"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"  # for the client's maximum packet size
    SESSION_ENDED = "session_ended"
    RETAINED_FULL = "retained_full"
    REFUSED = "refused"  # the client answered with a failure
    WILL_REFUSED = "will_refused"  # the outbox did not keep it


@dataclass(slots=True)
class MqttCounts:
    """Running totals of a broker; `sessions`, `connected`, `retained` and `queued_bytes` are of now."""

    connects: int = 0
    denied: int = 0
    takeovers: int = 0
    publishes: int = 0
    delivered: int = 0
    wills: int = 0
    sessions: int = 0
    connected: int = 0
    retained: int = 0
    retained_bytes: int = 0
    queued_bytes: int = 0
    dropped: dict[DropReason, int] = field(default_factory=lambda: dict.fromkeys(DropReason, 0))


class DownlinkOutcome(StrEnum):
    """How a downlink ended.

    ACKED: the client answered (QoS 0: it was written). TIMEOUT: no answer in time; if it was not sent, it will not be.
    GONE: the session ended, or the message can never be sent to this client. OFFLINE: not connected; nothing was sent.
    """

    ACKED = "acked"
    TIMEOUT = "timeout"
    GONE = "gone"
    OFFLINE = "offline"


OnDelivered = Callable[[DownlinkOutcome, ReasonCode], None]
"""Told once how a downlink ended; the reason is the client's (a failure with ACKED: it refused), or why it is GONE."""


class Grant(Protocol):
    """What an admitted client may do."""

    def may_publish(self, topic: str) -> bool: ...

    def may_subscribe(self, topic_filter: str) -> bool:
        """topic_filter: without `$share/group/`."""
        ...


@dataclass(slots=True, frozen=True)
class Denial:
    """Why a client is not let in; reason is what CONNACK says, detail what to do about it."""

    reason: ReasonCode
    detail: str = ""


class AccessPort(Protocol):
    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        """Calls `answer` once, now or later, on the loop. client_id: the client's own, or the one it will be given.
        principal: who the connection has proven to be before its CONNECT (by a certificate)."""
        ...


@dataclass(slots=True)
class Sender:
    """Who published: stays with a session's uplinks and with its will. session_id: of the connection."""

    client_id: str
    grant: Grant
    peer: str
    listener: str
    session_id: str
    version: int


class PublishFlow(Protocol):
    """What becomes of publishes and states: pipeline, then outbox. None of these raises; all settle now or later."""

    def receive(
        self, publish: Publish, sender: Sender, receipt: Receipt, received_ms: int, states: Sequence[State]
    ) -> None:
        """states: to be durable in one with its records. A publish that is no uplink is accepted."""
        ...

    def refuse(self, receipt: Receipt, reason: str) -> None:
        """Ends a publish that was not allowed."""
        ...

    def keep(self, receipt: Receipt, states: Sequence[State]) -> None:
        """Makes states durable that come with no record."""
        ...


@dataclass(slots=True, frozen=True)
class Answer:
    """What a publish is told in 5.0. closes: no ack, the reason goes into a DISCONNECT, and the client sends again."""

    reason: ReasonCode = ReasonCode.SUCCESS
    detail: str = ""
    closes: bool = False


_ANSWERS = {
    RefuseReason.NOT_AUTHORIZED.value: Answer(ReasonCode.NOT_AUTHORIZED, "this client may not publish to this topic"),
    RefuseReason.UNKNOWN_DEVICE.value: Answer(ReasonCode.NOT_AUTHORIZED, "unknown device"),
    RefuseReason.PROVISIONING_CLOSED.value: Answer(ReasonCode.NOT_AUTHORIZED, "no new devices are taken"),
    RefuseReason.WRONG_PRODUCT.value: Answer(ReasonCode.NOT_AUTHORIZED, "the device is known as another product"),
    RefuseReason.TOO_LARGE.value: Answer(ReasonCode.QUOTA_EXCEEDED, "too large to be stored"),
    RefuseReason.RATE_LIMITED.value: Answer(ReasonCode.QUOTA_EXCEEDED, "rate limited"),
    RefuseReason.OUTBOX_FULL.value: Answer(ReasonCode.QUOTA_EXCEEDED, "storage is full, send again later", True),
}
_NOT_KEPT = Answer(ReasonCode.UNSPECIFIED_ERROR, "not stored, send again", True)
_KEPT = Answer()
_MAX_DETAIL = 200


def explain(receipt: Receipt) -> Answer:
    """The answer to a settled publish. What is kept is a success, also as a dead letter; what can be kept later closes,
    since a negative PUBACK would end it (5.0 section 4.3.2)."""
    if receipt.outcome is not Outcome.REFUSED:
        return _KEPT
    return _ANSWERS.get(receipt.reason, _NOT_KEPT)


def explain_dead_letters(receipt: Receipt) -> Answer:
    """As `explain`; but who sent what was not understood is told so. The text holds at most `_MAX_DETAIL` characters of
    what may be the sender's own."""
    if receipt.outcome is not Outcome.DEAD_LETTERED or receipt.reason == DeadLetterReason.BURIED:
        return explain(receipt)
    detail = "".join(character if character.isprintable() else "?" for character in receipt.detail[: _MAX_DETAIL + 1])
    if len(detail) > _MAX_DETAIL:
        detail = f"{detail[:_MAX_DETAIL]}..."
    why = f"{receipt.reason}: {detail}" if detail else receipt.reason
    return Answer(ReasonCode.PAYLOAD_FORMAT_INVALID, f"{why}; it is kept as a dead letter and need not come again")


@dataclass(slots=True)
class BrokerPorts:
    """What a broker is given.

    gate: whether the outbox takes uplinks. steady_ms: a clock that never steps; unix_ms: wall time, for what outlives
    the process. soon: runs a call once, after what runs now (`loop.call_soon`). fail: logs an error of ours.
    """

    flow: PublishFlow
    gate: RoomGate
    steady_ms: Callable[[], int]
    unix_ms: Callable[[], int]
    soon: Callable[[Callable[[], None]], object]
    fail: Callable[[Exception], None]
    limits: BrokerLimits = field(default_factory=BrokerLimits)
    counts: MqttCounts = field(default_factory=MqttCounts)


@dataclass(slots=True)
class ClientPorts:
    """What all connections of one listener share. make_client_id: for clients that bring none (MQTT-3.1.3-6).
    topics: names that were checked. explain: what a settled publish is told in 5.0; asked for what was refused or
    dead-lettered."""

    listener: str
    access: AccessPort
    make_client_id: Callable[[], str]
    tap: FrameTap
    topics: TopicCache
    limits: ClientLimits = field(default_factory=ClientLimits)
    explain: Callable[[Receipt], Answer] = explain
