"""BrokerMemory: takes a broker's states down and up, for the spool.

Place in the walk: each of the spool's segments begins with what `snapshot` gives; after a restart `restore` gets that
and every state since, in the order in which they were written, before the first client is let in.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.protocol.mqtt import states
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.message import Delivery, Message, Phase
from gateway.protocol.mqtt.outbound import MAX_WINDOW
from gateway.protocol.mqtt.packets import Subscription
from gateway.protocol.mqtt.ports import NEVER_S
from gateway.protocol.mqtt.session import NOT_HANDED, Session
from gateway.protocol.mqtt.states import Change, ChangeKind

__all__ = ["BrokerMemory"]


class BrokerMemory:
    """Implements the spool's `StateKeeper`."""

    __slots__ = ("_broker",)

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def snapshot(self) -> Iterator[bytes]:
        """Payloads that make up all sessions that outlive their connections, and all retained messages."""
        broker = self._broker
        for session in list(broker.sessions.values()):
            if session.persistent:
                yield from self._snapshot(session)
        for message in list(broker.retained):
            yield states.retained(message.publisher, message, broker.unix_of(message.expires_ms)).payload

    def _snapshot(self, session: Session) -> Iterator[bytes]:
        broker = self._broker
        name = session.client_id
        yield states.opened(name, session.expiry_s, broker.unix_of(session.ends_ms), afresh=True).payload
        for topic_filter, held in session.subscriptions.items():
            subscription = Subscription(
                topic_filter, held.qos, held.no_local, held.retain_as_published, held.retain_handling
            )
            yield states.subscribed(name, subscription, held.identifier).payload
        if unreleased := session.unreleased:
            yield states.taken(name, *unreleased).payload
            yield states.handed(name, *session.handed).payload
        unsent = [*session.outbound.flying.values(), *session.outbound.queue]
        for delivery in sorted(unsent, key=lambda delivery: delivery.number):
            if delivery.number:
                yield states.queued(name, delivery, broker.unix_of(delivery.message.expires_ms)).payload
        for delivery in session.outbound.flying.values():
            if delivery.number and delivery.phase is Phase.RELEASED:
                yield states.received(name, delivery).payload

    def restore(self, payload: bytes) -> None:
        """Takes up one payload. ValueError, struct.error: it is not ours."""
        change = states.read(payload)
        if change is None:
            return
        broker = self._broker
        if change.kind is ChangeKind.RETAINED:
            publish = states.read_publish(change)
            message = Message(publish, change.client_id, 0)
            message.expires_ms = broker.steady_of(change.time_ms)
            broker.retained.put(message)
            return
        session = broker.sessions.get(change.client_id)
        if change.kind is ChangeKind.OPENED:
            self._open(change, session)
        elif session is not None:
            self._change(session, change)

    def _open(self, change: Change, session: Session | None) -> None:
        broker = self._broker
        if session is not None and change.afresh:
            broker.forget(session)
            session = None
        if session is None:
            session = broker.new_session(change.client_id)
            # The client may hold ids of downlinks that the last process sent it: begin somewhere else.
            session.outbound.last_id = broker.ports.unix_ms() % MAX_WINDOW
        self._close(session, change)

    def _close(self, session: Session, change: Change) -> None:
        """Its client is away now, whether it was then or not."""
        broker = self._broker
        session.expiry_s = change.expiry_s
        ends_ms = 0
        if change.expiry_s != NEVER_S:
            from_now_ms = broker.ports.steady_ms() + change.expiry_s * 1000
            ends_ms = broker.steady_of(change.time_ms) if change.time_ms else from_now_ms
        broker.ends_at(session, ends_ms)

    def _change(self, session: Session, change: Change) -> None:
        broker = self._broker
        match change.kind:
            case ChangeKind.CLOSED:
                self._close(session, change)
            case ChangeKind.ENDED:
                broker.forget(session)
            case ChangeKind.SUBSCRIBED:
                packet = states.read_subscribe(change)
                said = packet.properties
                identifier = said.subscription_identifiers[0] if said is not None else 0
                broker.hold(session, packet.subscriptions[0], identifier)
            case ChangeKind.UNSUBSCRIBED:
                broker.unsubscribe(session, change.packet.decode())
            case ChangeKind.TAKEN:
                session.received.update(dict.fromkeys(change.ids, NOT_HANDED))
            case ChangeKind.HANDED:
                session.received.update((packet_id, None) for packet_id in change.ids if packet_id in session.received)
            case ChangeKind.RELEASED:
                for packet_id in change.ids:
                    session.received.pop(packet_id, None)
            case ChangeKind.QUEUED:
                self._queue(session, change)
            case ChangeKind.RECEIVED:
                session.outbound.recall(*change.ids)
            case ChangeKind.DONE:
                session.outbound.forget(set(change.ids))
            case ChangeKind.OPENED | ChangeKind.RETAINED:
                pass  # by `restore`

    def _queue(self, session: Session, change: Change) -> None:
        number, *identifiers = change.ids
        if number <= session.number:
            return  # it was in the snapshot too
        publish = states.read_publish(change)
        message = Message(publish, "", 0)
        message.expires_ms = self._broker.steady_of(change.time_ms)
        delivery = Delivery(message, publish.qos, publish.retain, tuple(identifiers))
        session.number = delivery.number = number
        session.outbound.put(delivery)
