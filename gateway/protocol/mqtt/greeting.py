"""Greeting: what CONNACK of 5.0 tells a client, and what its CONNECT tells us (5.0 sections 3.1.2.11 and 3.2.2.3).

Place in the walk: used by the client machine once, when a connection opens.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.mqtt.outbound import MAX_WINDOW
from gateway.protocol.mqtt.packets import V5, Connect, Properties
from gateway.protocol.mqtt.ports import ClientLimits

__all__ = ["Terms", "agree", "connack_properties"]

_LONGEST_PACKET = 268_435_460


@dataclass(slots=True)
class Terms:
    """What both sides have agreed on for one connection.

    keep_alive_s: 0 is none. window: deliveries that may be unanswered (the client's Receive Maximum, or ours).
    max_packet_bytes: that the client takes. topic_aliases: that we may use. explains: reason strings are wanted
    (MQTT-3.1.2-29).
    """

    keep_alive_s: int
    window: int
    max_packet_bytes: int = _LONGEST_PACKET
    topic_aliases: int = 0
    explains: bool = True


def agree(connect: Connect, limits: ClientLimits) -> Terms:
    """The terms of a connection."""
    said = connect.properties or Properties()
    terms = Terms(
        connect.keep_alive_s,
        min(limits.window, MAX_WINDOW, said.receive_maximum or MAX_WINDOW),
    )
    if connect.version == V5:
        longest = limits.max_keep_alive_s
        if longest and not 0 < terms.keep_alive_s <= longest:
            terms.keep_alive_s = longest
        terms.max_packet_bytes = said.maximum_packet_size or _LONGEST_PACKET
        terms.topic_aliases = min(said.topic_alias_maximum or 0, limits.topic_aliases)
        terms.explains = said.request_problem_information != 0
    return terms


def connack_properties(
    connect: Connect, client_id: str, terms: Terms, limits: ClientLimits, expiry_s: int
) -> Properties | None:
    """None in 3.1.1. client_id: under which it is known; expiry_s: of its session."""
    if connect.version != V5:
        return None
    properties = Properties(
        receive_maximum=limits.receive_maximum,
        maximum_packet_size=limits.max_packet_bytes,
        topic_alias_maximum=limits.topic_aliases,
    )
    if client_id != connect.client_id:
        properties.assigned_client_identifier = client_id  # MQTT-3.2.2-16
    if terms.keep_alive_s != connect.keep_alive_s:
        properties.server_keep_alive = terms.keep_alive_s  # MQTT-3.2.2-21
    asked = connect.properties.session_expiry_interval if connect.properties is not None else None
    if expiry_s != (asked or 0):
        properties.session_expiry_interval = expiry_s
    return properties
