"""Outbound: what one session still has to hand to its client, in order, within bounds.

Place in the walk: the broker puts deliveries in; while a client is connected they leave as PUBLISH, at most a window of
them unanswered; without one those of QoS 1 and 2 wait (5.0 section 4.4, 4.9).
"""

from __future__ import annotations

from typing import Protocol

from gateway.protocol.mqtt.message import Delivery, Phase
from gateway.protocol.mqtt.packets import MAX_PACKET_ID, ReasonCode
from gateway.protocol.mqtt.ports import BrokerLimits, DownlinkOutcome, DropReason, MqttCounts

__all__ = ["MAX_WINDOW", "Carrier", "Outbound"]

MAX_WINDOW = MAX_PACKET_ID // 2
"""Deliveries to one client that may be unanswered, however it is set: half of the packet ids."""


class Carrier(Protocol):
    """The connection, as deliveries see it. window: how many may be unanswered. blocked: the peer does not read."""

    window: int
    blocked: bool

    def send(self, delivery: Delivery) -> bool:
        """False: longer than the client takes; it was not sent."""
        ...

    def send_release(self, packet_id: int) -> None: ...


class Outbound:
    """queue: not sent, oldest first. flying: sent and not done with, by packet id: publishes in the order in which they
    were sent, releases in the order in which PUBREC came (MQTT-4.6.0-1, -4). done: numbers of those that ended and are
    still remembered elsewhere; whoever forgets them there clears it. last_id: of those that follow from no number."""

    __slots__ = ("_bytes", "_counts", "_limits", "carrier", "done", "flying", "last_id", "queue")

    def __init__(self, limits: BrokerLimits, counts: MqttCounts) -> None:
        self.queue: list[Delivery] = []
        self.flying: dict[int, Delivery] = {}
        self.done: list[int] = []
        self.carrier: Carrier | None = None
        self._bytes = 0
        self.last_id = 0
        self._limits = limits
        self._counts = counts

    def __len__(self) -> int:
        return len(self.queue) + len(self.flying)

    @property
    def full(self) -> bool:
        limits = self._limits
        return len(self) >= limits.queue_messages or self._bytes >= limits.queue_bytes

    # In

    def put(self, delivery: Delivery) -> bool:
        """Takes it to the end of the queue. False: no room, it is dropped and counted."""
        limits, counts = self._limits, self._counts
        size = delivery.message.size
        if (
            len(self.queue) + len(self.flying) >= limits.queue_messages
            or self._bytes + size > limits.queue_bytes
            or counts.queued_bytes + size > limits.all_queues_bytes
        ):
            counts.dropped[DropReason.QUEUE_FULL] += 1
            return False
        self._bytes += size
        counts.queued_bytes += size
        self.queue.append(delivery)
        return True

    # Out

    def drain(self, now_ms: int) -> None:
        """Sends what may be sent now. now_ms: steady clock."""
        carrier = self.carrier
        queue, flying = self.queue, self.flying
        while queue and carrier is not None and not carrier.blocked:
            delivery = queue[0]
            if delivery.qos and len(flying) >= carrier.window:
                return
            del queue[0]
            if not delivery.dup and delivery.message.expired(now_ms):  # MQTT-3.3.2-5: only if not begun
                self._drop(delivery, DropReason.EXPIRED, ReasonCode.UNSPECIFIED_ERROR)
                continue
            if delivery.qos:
                if not delivery.packet_id:
                    delivery.packet_id = self._new_id(delivery)
                delivery.phase = Phase.SENT
                flying[delivery.packet_id] = delivery
            if not carrier.send(delivery):  # MQTT-3.1.2-24, -25: as if it had been sent
                flying.pop(delivery.packet_id, None)
                self._drop(delivery, DropReason.TOO_LARGE, ReasonCode.PACKET_TOO_LARGE)
                continue
            self._counts.delivered += not delivery.dup
            if not delivery.qos:
                self._end(delivery, DownlinkOutcome.ACKED, ReasonCode.SUCCESS)
            carrier = self.carrier  # the write may have ended it

    def resume(self, now_ms: int) -> None:
        """A client is there again: releases and unanswered publishes go out first, with the ids they had
        (MQTT-4.4.0-1), the latter with DUP (MQTT-3.3.1-1) and as the new window lets them."""
        carrier = self.carrier
        assert carrier is not None
        again = [delivery for delivery in self.flying.values() if delivery.phase is Phase.SENT]
        for delivery in again:
            del self.flying[delivery.packet_id]
            delivery.dup = True
            delivery.phase = Phase.QUEUED
        self.queue[:0] = again
        for packet_id in list(self.flying):
            carrier.send_release(packet_id)
        self.drain(now_ms)

    def pause(self) -> None:
        """The client is gone. QoS 0 that was not written is lost with the connection."""
        self.carrier = None
        if any(not delivery.qos for delivery in self.queue):
            lost = [delivery for delivery in self.queue if not delivery.qos]
            self.queue = [delivery for delivery in self.queue if delivery.qos]
            for delivery in lost:
                self._drop(delivery, DropReason.SESSION_ENDED, ReasonCode.UNSPECIFIED_ERROR)

    def take_shared(self) -> list[Delivery]:
        """Takes out what another member of a shared subscription may get instead: all but QoS 2 that was sent
        (MQTT-4.8.2-4, -5)."""
        left = [*self.flying.values(), *self.queue]
        shared = [item for item in left if item.share and (item.qos == 1 or not item.packet_id)]
        for delivery in shared:
            self.flying.pop(delivery.packet_id, None)
            if delivery in self.queue:
                self.queue.remove(delivery)
            self._end(delivery, DownlinkOutcome.GONE, ReasonCode.UNSPECIFIED_ERROR)
        return shared

    def end(self) -> None:
        """The session ends: nothing of this will be delivered."""
        self.carrier = None
        left = [*self.flying.values(), *self.queue]
        self.flying.clear()
        self.queue.clear()
        for delivery in left:
            self._drop(delivery, DropReason.SESSION_ENDED, ReasonCode.UNSPECIFIED_ERROR)

    def forget(self, numbers: set[int]) -> None:
        """Takes deliveries out that ended before a restart."""
        for delivery in [*self.queue, *self.flying.values()]:
            if delivery.number not in numbers:
                continue
            if delivery.packet_id:
                del self.flying[delivery.packet_id]
            else:
                self.queue.remove(delivery)
            delivery.number = 0
            self._end(delivery, DownlinkOutcome.ACKED, ReasonCode.SUCCESS)

    def recall(self, number: int, packet_id: int) -> None:
        """A delivery of the queue was received by the client before a restart: it begins with PUBREL."""
        for delivery in self.queue:
            if delivery.number == number:
                self.queue.remove(delivery)
                delivery.packet_id = packet_id
                delivery.phase = Phase.RELEASED
                self.flying[packet_id] = delivery
                return

    # The client's answers

    def acked(self, packet_id: int, reason: ReasonCode) -> bool:
        """PUBACK. False: nothing of QoS 1 with that id is under way."""
        delivery = self.flying.get(packet_id)
        if delivery is None or delivery.qos != 1:
            return False
        del self.flying[packet_id]
        self._answered(delivery, reason)
        return True

    def awaiting(self, packet_id: int) -> Delivery | None:
        """The QoS 2 delivery under way that a PUBREC is about."""
        delivery = self.flying.get(packet_id)
        return delivery if delivery is not None and delivery.qos == 2 else None

    def refused(self, delivery: Delivery, reason: ReasonCode) -> None:
        """A PUBREC with a failure ends it (5.0 section 4.3.3)."""
        del self.flying[delivery.packet_id]
        self._answered(delivery, reason)

    def release(self, delivery: Delivery) -> bool:
        """Its PUBREC counts: PUBREL is to be sent. False: it has ended meanwhile."""
        packet_id = delivery.packet_id
        if self.flying.get(packet_id) is not delivery:
            return False
        del self.flying[packet_id]
        delivery.phase = Phase.RELEASED
        self.flying[packet_id] = delivery
        return True

    def completed(self, packet_id: int, reason: ReasonCode) -> bool:
        """PUBCOMP. False: no release of that id is under way."""
        delivery = self.flying.get(packet_id)
        if delivery is None or delivery.phase is not Phase.RELEASED:
            return False
        del self.flying[packet_id]
        # "Not found" says that the client was done with it before.
        done = ReasonCode.SUCCESS if reason is ReasonCode.PACKET_IDENTIFIER_NOT_FOUND else reason
        self._answered(delivery, done)
        return True

    def time_out(self, delivery: Delivery) -> None:
        """A downlink's time is over. One that was sent keeps its packet id until the client answers."""
        told, delivery.on_done = delivery.on_done, None
        if delivery.phase is Phase.QUEUED and not delivery.dup and delivery in self.queue:
            self.queue.remove(delivery)
            self._end(delivery, DownlinkOutcome.TIMEOUT, ReasonCode.UNSPECIFIED_ERROR)
        if told is not None:
            told(DownlinkOutcome.TIMEOUT, ReasonCode.UNSPECIFIED_ERROR)

    # Within

    def _answered(self, delivery: Delivery, reason: ReasonCode) -> None:
        if reason.failed:
            self._counts.dropped[DropReason.REFUSED] += 1
        self._end(delivery, DownlinkOutcome.ACKED, reason)

    def _drop(self, delivery: Delivery, why: DropReason, reason: ReasonCode) -> None:
        self._counts.dropped[why] += 1
        self._end(delivery, DownlinkOutcome.GONE, reason)

    def _end(self, delivery: Delivery, outcome: DownlinkOutcome, reason: ReasonCode) -> None:
        size = delivery.message.size
        self._bytes -= size
        self._counts.queued_bytes -= size
        if delivery.number:
            self.done.append(delivery.number)
        told = delivery.on_done
        if told is not None:
            delivery.on_done = None
            told(outcome, reason)

    def _new_id(self, delivery: Delivery) -> int:
        """A free packet id (MQTT-2.2.1-4). One that outlives the process has an id that follows from its number, so
        that it has the same after a restart: a client that has answered its PUBREC then knows it again, and takes no
        other message for it (MQTT-4.3.3-10). Those ids are the upper half. Publishes that wait to be sent again, with
        ids of their own, stand before everything that needs a new one."""
        taken = self.flying
        if delivery.number:
            packet_id = MAX_WINDOW + delivery.number % MAX_WINDOW + 1
            if packet_id not in taken:
                return packet_id
        while True:  # there is one, since a window is smaller than the half
            self.last_id = self.last_id % MAX_WINDOW + 1
            if self.last_id not in taken:
                return self.last_id
