"""Session: what the gateway knows of one client id, beyond its connections (3.1.1 section 3.1.2.4, 5.0 section 4.1).

Place in the walk: between the client machine, which lives as long as a connection, and the broker, which knows all
sessions. Inbound it keeps the order of answers: when receipts settle, in whatever order, the settled run at the head is
handed to subscribers and acknowledged (MQTT-4.6.0-2, -3). That order is the session's and not the connection's: a
publish whose connection is gone is still handed on, in order, and a QoS 2 publish that comes again finds its first
copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State
from gateway.protocol.mqtt import states
from gateway.protocol.mqtt.inbound import Connection, Inbound
from gateway.protocol.mqtt.message import Delivery
from gateway.protocol.mqtt.outbound import Outbound
from gateway.protocol.mqtt.packets import MqttError, Publish, ReasonCode, Will
from gateway.protocol.mqtt.ports import BrokerLimits, DropReason, MqttCounts, PublishFlow, Sender

__all__ = ["NOT_HANDED", "Exchange", "Held", "Session"]

_KEPT = Receipt()  # of publishes that were kept before, maybe by an earlier process
_KEPT.outcome = Outcome.ACCEPTED

NOT_HANDED = Receipt()
"""Of publishes that an earlier process kept, and of which it is not known whether it gave them to subscribers."""
NOT_HANDED.outcome = Outcome.ACCEPTED


class Exchange(Protocol):
    """The broker, as its sessions see it."""

    def due(self, session: Session) -> None:
        """Something of it has settled, or is to be remembered: it gets its turn."""
        ...

    def hand_on(self, publish: Publish, publisher: str) -> Sequence[State]:
        """Gives a publish to its subscribers and retains it. Returns what has to be durable before it is answered."""
        ...

    def unix_of(self, steady_ms: int) -> int:
        """A time of the steady clock as Unix ms; 0 stays 0."""
        ...


@dataclass(slots=True)
class Held:
    """How a session holds a subscription; identifier 0: none (5.0 section 3.8.2.1.2)."""

    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0
    identifier: int = 0


class Session:
    """One client id.

    connection: None while the client is away. sender: who speaks, as of the last connection. expiry_s: how long the
    session outlives its connection; 0: it does not, `NEVER_S`: for ever. ends_ms: when, while away (steady clock).
    subscriptions: by filter. received: packet ids of QoS 2 publishes that are not released, each with the receipt it
    waits for, or None once it is kept (5.0 section 4.3.3). will: of the present connection, or delayed.
    busy: its connection is working on it and looks after what settles meanwhile.
    """

    __slots__ = (
        "_counts",
        "_exchange",
        "_flow",
        "busy",
        "client_id",
        "connection",
        "ended",
        "ends_ms",
        "expiry_s",
        "in_turn",
        "number",
        "on_settled",
        "outbound",
        "received",
        "sender",
        "subscriptions",
        "waiting",
        "waiting_bytes",
        "will",
    )

    def __init__(
        self, client_id: str, exchange: Exchange, flow: PublishFlow, limits: BrokerLimits, counts: MqttCounts
    ) -> None:
        self.client_id = client_id
        self.sender: Sender | None = None
        self.connection: Connection | None = None
        self.expiry_s = 0
        self.ends_ms = 0
        self.ended = False
        self.subscriptions: dict[str, Held] = {}
        self.received: dict[int, Receipt | None] = {}
        self.waiting: list[Inbound] = []
        self.waiting_bytes = 0
        self.outbound = Outbound(limits, counts)
        self.number = 0  # of the last delivery that outlives the process
        self.will: Will | None = None
        self.busy = False
        self.in_turn = False
        self.on_settled = self._settled
        self._counts = counts
        self._exchange = exchange
        self._flow = flow

    @property
    def persistent(self) -> bool:
        return self.expiry_s > 0

    # From the client

    def take(self, publish: Publish, connection: Connection, received_ms: int, size: int) -> None:
        """A PUBLISH that may be published. received_ms: Unix ms."""
        entry = Inbound(self.on_settled, connection, publish, size)
        self.waiting.append(entry)
        self.waiting_bytes += size
        kept: Sequence[State] = ()
        if publish.qos == 2:
            packet_id = publish.packet_id
            if packet_id in self.received:  # MQTT-4.3.3-10: it is acknowledged again and nothing else
                first = entry.awaits = self.received[packet_id] or _KEPT
                entry.handed = first is not NOT_HANDED
                if first is _KEPT or first is NOT_HANDED:
                    self._settled(first)
                return
            self.received[packet_id] = entry
            if self.expiry_s:
                kept = (states.taken(self.client_id, packet_id),)
        assert self.sender is not None
        self._flow.receive(publish, self.sender, entry, received_ms, kept)

    def take_will(self, publish: Publish, received_ms: int) -> None:
        """What the client left behind goes the way of its publishes; nobody is answered."""
        entry = Inbound(self.on_settled, None, publish, 0)
        self.waiting.append(entry)
        assert self.sender is not None
        self._flow.receive(publish, self.sender, entry, received_ms, ())

    def refuse(self, publish: Publish, connection: Connection, size: int, reason: str) -> None:
        """A PUBLISH that may not be published."""
        entry = Inbound(self.on_settled, connection, publish, size)
        self.waiting.append(entry)
        self.waiting_bytes += size
        self._flow.refuse(entry, reason)

    def keep(self, kept: Sequence[State], connection: Connection, then: Callable[[bool], None]) -> Inbound:
        """Makes states durable; `then` is told whether they are, in its place in the order of answers."""
        entry = Inbound(self.on_settled, connection, None, 0)
        entry.handed = True
        entry.then = then
        self.waiting.append(entry)
        self._flow.keep(entry, kept)
        return entry

    def release(self, packet_id: int, connection: Connection, then: Callable[[bool], None]) -> bool | None:
        """A PUBREL. True: the id is free. False: there is no such id. None: `then` is told when the release is durable,
        so that no later publish with this id is taken for a copy. MqttError: the id was never acknowledged."""
        if packet_id not in self.received:
            return False
        first = self.received[packet_id]
        if first is None or first is NOT_HANDED:  # a release says that it was answered
            if not self.expiry_s:
                del self.received[packet_id]
                return True
            kept = (states.released(self.client_id, packet_id),)
            entry = Inbound(self.on_settled, connection, None, 0)
            entry.packet_id = packet_id
            self.received[packet_id] = entry
            self._flow.keep(entry, kept)
        elif isinstance(first, Inbound) and first.packet_id:  # it came again, by another connection
            entry = Inbound(self.on_settled, connection, None, 0)
            entry.awaits = first
        else:
            raise MqttError(ReasonCode.PROTOCOL_ERROR, "PUBREL before PUBREC")
        entry.handed = True
        entry.then = then
        self.waiting.append(entry)
        return None

    @property
    def unreleased(self) -> list[int]:
        """Packet ids of QoS 2 publishes that are kept and not released, as far as that is durable."""
        ids = []
        for packet_id, waits in self.received.items():
            releasing = isinstance(waits, Inbound) and waits.packet_id
            if waits is None or (not waits.kept if releasing else waits.kept):
                ids.append(packet_id)
        return ids

    @property
    def handed(self) -> list[int]:
        """Of these, the ones that were given to subscribers, or need not be."""
        return [
            packet_id
            for packet_id, waits in self.received.items()
            if waits is None or (isinstance(waits, Inbound) and waits.packet_id)
        ]

    # Receipts

    def _settled(self, receipt: Receipt) -> None:
        if not self.busy and not self.in_turn:
            self._exchange.due(self)

    @property
    def settled(self) -> bool:
        """Whether the head of the order can be answered."""
        waiting = self.waiting
        if not waiting:
            return False
        head = waiting[0]
        return (head if head.awaits is None else head.awaits).outcome is not None

    def answer_settled(self) -> None:
        """Hands on and answers the settled run at the head."""
        waiting = self.waiting
        while waiting:
            entry = waiting[0]
            awaited = entry.awaits
            receipt: Receipt = entry if awaited is None else awaited
            if receipt.outcome is None:
                return
            publish = entry.publish
            kept = receipt.outcome is not Outcome.REFUSED
            if not entry.handed:
                assert publish is not None
                entry.handed = True
                packet_id = publish.packet_id if publish.qos == 2 else 0
                if kept:
                    again = awaited is NOT_HANDED and self.received.get(packet_id) is not NOT_HANDED
                    if packet_id:
                        self.received[packet_id] = None
                    due = () if again else self._exchange.hand_on(publish, self.client_id)
                    if due:
                        if packet_id and self.expiry_s:
                            due = (*due, states.handed(self.client_id, packet_id))
                        entry.awaits = Receipt(self.on_settled)
                        self._flow.keep(entry.awaits, due)
                        continue
                elif packet_id and self.received.get(packet_id) is entry:
                    del self.received[packet_id]
            del waiting[0]
            self.waiting_bytes -= entry.size
            self._answer(entry, receipt, kept)

    def _answer(self, entry: Inbound, receipt: Receipt, kept: bool) -> None:
        publish, connection = entry.publish, entry.connection
        if entry.packet_id:  # a release
            if kept:
                del self.received[entry.packet_id]
            else:
                self.received[entry.packet_id] = None
        if connection is None:
            self._counts.dropped[DropReason.WILL_REFUSED] += not kept
        elif connection is not self.connection:
            return  # nobody is left to be answered
        elif publish is None:
            assert entry.then is not None
            entry.then(kept)
        elif publish.qos:
            connection.ack(publish, receipt)

    # To the client

    def put(self, delivery: Delivery) -> State | None:
        """Queues a delivery; `outbound.drain` sends it. The state has to be durable before the publish that it came of
        is answered."""
        if self.connection is None and not delivery.qos:
            return None  # 3.1.1 section 3.1.2.4, 5.0 section 4.1: what a session holds is QoS 1 and 2
        outbound = self.outbound
        if self.expiry_s and delivery.qos:
            delivery.number = self.number + 1
        if not outbound.put(delivery):
            return None
        if not delivery.number:
            return None
        self.number = delivery.number
        return states.queued(self.client_id, delivery, self._exchange.unix_of(delivery.message.expires_ms))
