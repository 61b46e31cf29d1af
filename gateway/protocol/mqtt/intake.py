"""Intake: what one connection's publishes are held to, topic aliases and Receive Maximum (sections 3.3.2.3.4, 3.3.4).

Place in the walk: the client machine asks it for each PUBLISH before anything else is done with it.
"""

from __future__ import annotations

from gateway.protocol.mqtt.packets import V5, MqttError, Properties, Publish, ReasonCode
from gateway.protocol.mqtt.ports import ClientLimits

__all__ = ["Intake"]


class Intake:
    """version: of the connection. Both standards count anew on each connection."""

    __slots__ = ("_aliases", "_limits", "_unanswered", "_unreleased", "version")

    def __init__(self, limits: ClientLimits) -> None:
        self.version = 0
        self._limits = limits
        self._aliases: dict[int, str] | None = None
        self._unanswered = 0  # QoS 1
        self._unreleased: set[int] | None = None  # QoS 2

    def resolve(self, publish: Publish, properties: Properties) -> None:
        """Puts the topic in where an alias stands for it. MqttError: there is no such alias (MQTT-3.3.2-8, -9)."""
        alias = properties.topic_alias
        if alias is None:
            return
        if not 0 < alias <= self._limits.topic_aliases:
            raise MqttError(ReasonCode.TOPIC_ALIAS_INVALID, f"topic alias {alias} is not from 1 to the maximum")
        known = self._aliases
        if known is None:
            known = self._aliases = {}
        if publish.topic:
            known[alias] = publish.topic
        elif alias in known:
            publish.topic = known[alias]
        else:
            raise MqttError(ReasonCode.PROTOCOL_ERROR, f"topic alias {alias} was never set")
        properties.topic_alias = None  # it means something on this connection alone

    def count(self, publish: Publish) -> None:
        """A PUBLISH of QoS 1 or 2. MqttError: more are unanswered than the client was told (MQTT-3.3.4-7)."""
        limits = self._limits
        unreleased = self._unreleased
        if publish.qos == 1:
            self._unanswered += 1
        elif unreleased is None:
            unreleased = self._unreleased = {publish.packet_id}
        else:
            unreleased.add(publish.packet_id)
        unanswered = self._unanswered + (len(unreleased) if unreleased else 0)
        if self.version == V5 and unanswered > limits.receive_maximum:
            detail = f"more than {limits.receive_maximum} publishes unanswered"
            raise MqttError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, detail)

    def answered(self) -> None:
        """One of QoS 1."""
        self._unanswered -= 1

    def released(self, packet_id: int) -> None:
        """One of QoS 2: PUBCOMP, or a PUBREC with a failure."""
        if self._unreleased is not None:
            self._unreleased.discard(packet_id)
