"""BrokerIntake: what becomes of the messages of an existing broker, and what the broker is told. No I/O of its own.

Place in the walk: between the connection to the broker (`broker_link`) and the topic flow. It lives as long as the
source: what was not settled when a connection ended is known again when the broker repeats it on the next one.

Acknowledgements leave in the order of the messages (MQTT-4.6.0-2, -3) and only after the receipt has settled. What the
gateway could not keep is never acknowledged: the connection ends, and the broker sends it again on the next. What it
will never keep (unknown device, too large) is acknowledged and counted, or it would come for ever.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.device import Principal
from gateway.domain.errors import RefuseReason, SourceProblem
from gateway.domain.ports import TopicFlowPort
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.topic_message import TopicMessage
from gateway.observe import events
from gateway.observe.source_metrics import SourceCounters
from gateway.protocol.mqtt.encode import encode_acks
from gateway.protocol.mqtt.packets import PacketType
from gateway.protocol.mqtt.ports import explain

__all__ = ["BrokerIntake", "IntakeLimits", "LinkPort", "SourceSpeaker"]

_MAX_LATEST = 10_000


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=8).digest()


@dataclass(slots=True)
class SourceSpeaker:
    """A configured broker may speak for every device of its tenant: what it lets through is the operator's choice."""

    principal: Principal
    tenant: str
    device_id: str = ""

    def may_speak_for(self, device_id: str) -> bool:
        return True


@dataclass(slots=True, frozen=True)
class IntakeLimits:
    """Beyond these, what is handed on and not settled holds reading back."""

    messages: int = 256
    bytes: int = 4 << 20


@dataclass(slots=True, frozen=True)
class LinkPort:
    """The connection of now. send: bytes for the broker, after what was sent before. fail: ends it.

    session_present: what CONNACK says. session_id, peer: for messages and logs.
    """

    send: Callable[[bytes], None]
    fail: Callable[[SourceProblem, str], None]
    session_present: bool
    session_id: str
    peer: str


class _Carried:
    """One message that is owed an answer. receipt: None for one that is answered without being handed on. link: the
    connection on which it waits for its turn. remember: as what is retained under its topic."""

    __slots__ = ("intake", "link", "packet_id", "payload", "qos", "receipt", "remember", "topic")

    def __init__(
        self, intake: BrokerIntake, link: LinkPort | None, topic: str, payload: bytes, qos: int, packet_id: int
    ) -> None:
        self.intake = intake
        self.link = link
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.packet_id = packet_id
        self.receipt: Receipt | None = None
        self.remember = False

    @property
    def size(self) -> int:
        return len(self.topic) + len(self.payload)

    @property
    def refused(self) -> bool:
        return self.receipt is not None and self.receipt.outcome is Outcome.REFUSED

    def settled(self, _: Receipt) -> None:
        self.intake.settled(self)


class BrokerIntake:
    """The messages of one source.

    unix_ms: wall time. soon: runs a call once, after what runs now. on_change: called when reading may have to stop or
    may go on (`has_room`), and when the last message has settled. retained: take retained messages.
    """

    def __init__(
        self,
        name: str,
        speaker: SourceSpeaker,
        flow: TopicFlowPort,
        counters: SourceCounters,
        *,
        unix_ms: Callable[[], int],
        soon: Callable[[Callable[[], None]], object],
        on_change: Callable[[], None],
        limits: IntakeLimits,
        retained: bool = True,
    ) -> None:
        self._name = name
        self._speaker = speaker
        self._flow = flow
        self._counters = counters
        self._unix_ms = unix_ms
        self._soon = soon
        self._on_change = on_change
        self._limits = limits
        self._retained = retained
        self._link: LinkPort | None = None
        self._order: deque[_Carried] = deque()  # of this connection: what is owed an answer, in order of arrival
        self._carried: dict[int, _Carried] = {}  # by packet id: handed on, and the broker has no answer yet
        self._unreleased: set[int] = set()  # QoS 2: PUBREC was sent, PUBREL is awaited
        self._acks: list[tuple[PacketType, int]] = []
        self._flushing = False
        self._latest: dict[str, bytes] = {}  # of topics with a retained message: digest of the last one kept
        self._bytes = 0  # in flight

    @property
    def in_flight(self) -> int:
        """Messages that are handed on and not settled, whatever connection they came by."""
        return self._counters.in_flight

    @property
    def has_room(self) -> bool:
        return self._counters.in_flight < self._limits.messages and self._bytes < self._limits.bytes

    def connected(self, link: LinkPort) -> None:
        """A connection was accepted; before anything else of it comes."""
        self._link = link
        if not link.session_present:  # the broker has forgotten ours; its packet ids begin anew
            self._carried.clear()
            self._unreleased.clear()

    def disconnected(self) -> None:
        self._link = None
        self._order.clear()
        self._acks.clear()

    def publish(self, topic: str, payload: bytes, qos: int, packet_id: int, *, dup: bool, retain: bool) -> None:
        """A PUBLISH of the broker. packet_id: 0 with QoS 0."""
        if retain and (not self._retained or self._latest.get(topic) == _digest(payload)):
            # Every SUBSCRIBE brings all retained messages again (3.1.1 section 3.8.4)
            self._counters.skipped += 1
            self._answer_only(qos, packet_id)
            return
        if qos == 2 and packet_id in self._unreleased:
            self._counters.repeated += 1
            self._answer_only(qos, packet_id)
            return
        if dup and qos:
            first = self._carried.get(packet_id)
            if (
                first is not None
                and not first.refused
                and (first.qos, first.topic, first.payload)
                == (
                    qos,
                    topic,
                    payload,
                )
            ):
                self._counters.repeated += 1
                if first.link is not self._link:  # else it waits for its turn already
                    first.link = self._link
                    self._order.append(first)
                    self._advance()
                return
        carried = _Carried(self, self._link, topic, payload, qos, packet_id)
        carried.remember = retain or topic in self._latest
        self._take(carried)

    def too_large(self, topic: str, qos: int, packet_id: int, size: int) -> None:
        """A PUBLISH beyond the limit, of which only the beginning was kept."""
        self._count_refused(RefuseReason.TOO_LARGE.value, topic, f"{size} bytes")
        self._answer_only(qos, packet_id)

    def release(self, packet_id: int) -> None:
        """A PUBREL: the broker is done with a QoS 2 message."""
        self._unreleased.discard(packet_id)
        self._acks.append((PacketType.PUBCOMP, packet_id))
        self._flush_soon()

    def settled(self, carried: _Carried) -> None:
        """Called by the receipt of a message that was handed on."""
        counters = self._counters
        counters.in_flight -= 1
        self._bytes -= carried.size
        if carried.receipt is not None and carried.refused:
            self._count_refused(carried.receipt.reason, carried.topic, explain(carried.receipt).detail)
        elif carried.remember:
            self._latest.pop(carried.topic, None)
            self._latest[carried.topic] = _digest(carried.payload)
            if len(self._latest) > _MAX_LATEST:
                del self._latest[next(iter(self._latest))]
        self._advance()
        self._on_change()

    def flush(self) -> None:
        """Sends the acknowledgements that are due, joined."""
        self._flushing = False
        acks, self._acks = self._acks, []
        if self._link is not None and acks:
            self._link.send(b"".join([encode_acks(kind, (packet_id,)) for kind, packet_id in acks]))

    def _take(self, carried: _Carried) -> None:
        counters = self._counters
        counters.messages += 1
        counters.message_bytes += carried.size
        counters.in_flight += 1
        self._bytes += carried.size
        if carried.qos:
            self._order.append(carried)
            self._carried[carried.packet_id] = carried
        link = self._link
        message = TopicMessage(
            carried.topic,
            carried.payload,
            self._unix_ms(),
            self._speaker,
            self._name,
            link.session_id if link is not None else "",
            link.peer if link is not None else "",
        )
        carried.receipt = Receipt(carried.settled)
        self._flow.receive(message, carried.receipt)
        self._on_change()

    def _answer_only(self, qos: int, packet_id: int) -> None:
        """Acknowledges, in its turn, what is not handed on."""
        if qos:
            self._order.append(_Carried(self, self._link, "", b"", qos, packet_id))
            self._advance()

    def _advance(self) -> None:
        """Answers what has settled, up to the first that has not."""
        order = self._order
        link = self._link
        while link is not None and order:
            first = order[0]
            receipt = first.receipt
            if receipt is not None:
                if receipt.outcome is None:
                    return
                if first.refused and (answer := explain(receipt)).closes:
                    order.clear()  # nothing behind it may be answered before it
                    link.fail(SourceProblem.NOT_KEPT, f"{receipt.reason}: {answer.detail}")
                    return
            order.popleft()
            if self._carried.get(first.packet_id) is first:
                del self._carried[first.packet_id]
            if first.qos == 2:
                self._unreleased.add(first.packet_id)
            self._acks.append((PacketType.PUBACK if first.qos == 1 else PacketType.PUBREC, first.packet_id))
            self._counters.acknowledged += 1
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._soon(self.flush)

    def _count_refused(self, reason: str, topic: str, detail: str) -> None:
        events.source_message_refused(self._counters, reason, topic, detail)
