"""MqttFlow: publishes of MQTT clients on their way to the topic flow; and what a broker remembers, on its way to the
outbox and back.

Place in the walk: behind the broker, before the topic flow. One `MqttMemory` for all brokers of a gateway: the spool
knows one keeper of MQTT states, and tenants have a broker each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import structlog

from gateway.domain.ports import OutboxPort, TopicFlowPort
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import Speaker, TopicMessage
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.packets import Publish
from gateway.protocol.mqtt.ports import Sender
from gateway.protocol.mqtt.recovery import BrokerMemory

__all__ = ["MqttFlow", "MqttMemory"]

_log = structlog.get_logger(__name__)


class MqttFlow:
    """Implements `PublishFlow` for one broker. The grants of its clients are `Speaker`s too.

    tenant: whose states these are.
    """

    __slots__ = ("_head", "_outbox", "_topics")

    def __init__(self, topics: TopicFlowPort, outbox: OutboxPort, tenant: str) -> None:
        self._topics = topics
        self._outbox = outbox
        self._head = _head(tenant)

    def receive(
        self, publish: Publish, sender: Sender, receipt: Receipt, received_ms: int, states: Sequence[State]
    ) -> None:
        said = publish.properties
        message = TopicMessage(
            publish.topic,
            publish.payload,
            received_ms,
            cast("Speaker", sender.grant),
            sender.listener,
            sender.session_id,
            sender.peer,
        )
        if said is not None:
            message.content_type = said.content_type or ""
            message.properties = said.user_properties
        self._topics.receive(message, receipt, self._named(states) if states else ())

    def refuse(self, receipt: Receipt, reason: str) -> None:
        self._outbox.settle(receipt, Outcome.REFUSED, reason)

    def keep(self, receipt: Receipt, states: Sequence[State]) -> None:
        self._outbox.put(receipt, (), self._named(states))

    def _named(self, states: Sequence[State]) -> Sequence[State]:
        head = self._head
        return [State(state.kind, head + state.payload) for state in states]


class MqttMemory:
    """Implements the spool's `StateKeeper` of `StateKind.MQTT`. A payload is the tenant's name (length B, UTF-8) and
    what `BrokerMemory` made of it. All brokers are added before the spool is opened."""

    __slots__ = ("_brokers", "_unknown")

    def __init__(self) -> None:
        self._brokers: dict[bytes, BrokerMemory] = {}
        self._unknown: set[bytes] = set()

    def add(self, tenant: str, broker: Broker) -> None:
        self._brokers[_head(tenant)] = BrokerMemory(broker)

    def snapshot(self) -> Iterator[bytes]:
        for head, memory in self._brokers.items():
            for payload in memory.snapshot():
                yield head + payload

    def restore(self, payload: bytes) -> None:
        """ValueError, struct.error: it is not ours."""
        head = payload[: payload[0] + 1] if payload else b""
        memory = self._brokers.get(head)
        if memory is not None:
            memory.restore(payload[len(head) :])
        elif head not in self._unknown:
            self._unknown.add(head)
            tenant = head[1:].decode("utf-8", "backslashreplace")
            _log.warning("mqtt_sessions_dropped", tenant=tenant, detail="no listener has this tenant any more")


def _head(tenant: str) -> bytes:
    name = tenant.encode()
    return bytes((len(name),)) + name
