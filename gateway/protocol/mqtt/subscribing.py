"""SUBSCRIBE and UNSUBSCRIBE of one client: access, the broker's tree, the answer, and then what is retained.

Place in the walk: called by the client machine. What a session that outlives its connection subscribes to is durable
before SUBACK says so (5.0 sections 3.8.4 and 3.10.4).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.domain.state import State
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.inbound import Connection
from gateway.protocol.mqtt.message import Message
from gateway.protocol.mqtt.packets import Packet, ReasonCode, Suback, Subscribe, Unsuback, Unsubscribe
from gateway.protocol.mqtt.ports import Grant
from gateway.protocol.mqtt.session import Session
from gateway.protocol.mqtt.topics import split_share

__all__ = ["subscribe", "unsubscribe"]

OnAnswer = Callable[[Packet | None], None]
"""Told the answer to send; None: what it would say could not be kept."""


def subscribe(
    broker: Broker, session: Session, connection: Connection, grant: Grant, packet: Subscribe, answer: OnAnswer
) -> None:
    said = packet.properties
    identifier = said.subscription_identifiers[0] if said is not None and said.subscription_identifiers else 0
    reasons: list[ReasonCode] = []
    kept: list[State] = []
    retained: list[tuple[str, list[Message]]] = []
    found, enough = 0, 2 * broker.limits.max_retained  # a packet may repeat a filter a thousand times
    for wanted in packet.subscriptions:
        if not grant.may_subscribe(split_share(wanted.topic_filter)[1]):
            reasons.append(ReasonCode.NOT_AUTHORIZED)
            continue
        granted, messages, state = broker.subscribe(session, wanted, identifier, search=found < enough)
        found += len(messages)
        reasons.append(granted)
        if state is not None:
            kept.append(state)
        if messages:
            retained.append((wanted.topic_filter, messages))

    def settled(durable: bool) -> None:
        answer(Suback(packet.packet_id, reasons) if durable else None)
        if durable:
            for topic_filter, messages in retained:
                held = session.subscriptions.get(topic_filter)
                if held is not None:
                    broker.send_retained(session, held, messages)

    _when_durable(session, connection, kept, settled)


def unsubscribe(
    broker: Broker, session: Session, connection: Connection, packet: Unsubscribe, answer: OnAnswer
) -> None:
    reasons: list[ReasonCode] = []
    kept: list[State] = []
    for topic_filter in packet.topic_filters:
        reason, state = broker.unsubscribe(session, topic_filter)
        reasons.append(reason)
        if state is not None:
            kept.append(state)
    unsuback = Unsuback(packet.packet_id, reasons)
    _when_durable(session, connection, kept, lambda durable: answer(unsuback if durable else None))


def _when_durable(session: Session, connection: Connection, kept: list[State], settled: Callable[[bool], None]) -> None:
    if kept:
        session.keep(kept, connection, settled)
    else:
        settled(True)
