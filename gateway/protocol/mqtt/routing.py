"""Routing: which session gets a message, how, and once (5.0 sections 3.3.4, 3.3.5 and 4.8.2).

Place in the walk: called by the broker for each publish that has subscribers.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.protocol.mqtt.message import Delivery, Message
from gateway.protocol.mqtt.session import Held, Session
from gateway.protocol.mqtt.topic_tree import Group, Match

__all__ = ["deliveries", "member"]


def deliveries(match: Match[Session, Held], message: Message) -> list[tuple[Session, Delivery]]:
    """One delivery for each session with plain filters that match, however many (MQTT-3.3.4-2; 3.1.1: MQTT-3.3.5-1),
    and one for each shared subscription. A list, since delivering may end sessions and with them what `match` looks
    at."""
    found: list[tuple[Session, Delivery]] = []
    if len(match.plain) == 1:
        for session, held in match.plain[0].items():
            if not (held.no_local and session.client_id == message.publisher):
                found.append((session, _delivery(message, held)))
    elif match.plain:
        found += _merged(match.plain, message)
    for group in match.groups:
        chosen = member(group, message)
        if chosen is not None:
            found.append(chosen)
    return found


def _delivery(message: Message, held: Held) -> Delivery:
    retain = message.retain and held.retain_as_published  # MQTT-3.3.1-12, -13
    return Delivery(message, min(message.qos, held.qos), retain, (held.identifier,) if held.identifier else ())


def _merged(plain: Sequence[dict[Session, Held]], message: Message) -> list[tuple[Session, Delivery]]:
    """With the highest QoS and all identifiers of the filters that match (MQTT-3.3.4-2 to -4)."""
    sessions: dict[Session, list[Held]] = {}
    for keys in plain:
        for session, held in keys.items():
            if not (held.no_local and session.client_id == message.publisher):  # MQTT-3.8.3-3
                sessions.setdefault(session, []).append(held)
    found = []
    for session, several in sessions.items():
        qos = min(message.qos, max(held.qos for held in several))
        retain = message.retain and any(held.retain_as_published for held in several)
        identifiers = tuple(dict.fromkeys(held.identifier for held in several if held.identifier))
        found.append((session, Delivery(message, qos, retain, identifiers)))
    return found


def member(group: Group[Session, Held], message: Message) -> tuple[Session, Delivery] | None:
    """The members take turns; one that can take it now goes before one that has to wait, and that before one that is
    away and holds it for later."""
    members = list(group.members.items())
    start = group.turn % len(members)
    best, rank = None, 3
    for index in range(start, start + len(members)):
        session, held = members[index % len(members)]
        qos = min(message.qos, held.qos)
        if session.connection is None:
            at = 2 if qos and session.persistent else 3
        else:
            at = 1 if session.outbound.queue else 0
        if at < rank:
            best, rank = (session, held), at
            group.turn = index + 1
            if not at:
                break
    if best is None:
        return None
    delivery = _delivery(message, best[1])
    delivery.share = (group.name, group.topic_filter)
    return best[0], delivery
