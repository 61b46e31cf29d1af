"""Prometheus families of the MQTT brokers: what other brokers publish under `$SYS`.

Connections are counted with the listeners (`iotlink_connections*`). No family names a client or a topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["BrokerNumbers", "mqtt_families"]


class BrokerNumbers(Protocol):
    """`gateway.protocol.mqtt.ports.MqttCounts`. dropped: by reason, each there from the start."""

    connects: int
    denied: int
    takeovers: int
    publishes: int
    delivered: int
    wills: int
    sessions: int
    connected: int
    retained: int
    retained_bytes: int
    queued_bytes: int

    @property
    def dropped(self) -> Mapping[Any, int]: ...


_TOTALS = (
    ("connects", "iotlink_mqtt_connects", "Clients let in."),
    ("denied", "iotlink_mqtt_connects_denied", "Clients not let in, told so by CONNACK."),
    ("takeovers", "iotlink_mqtt_takeovers", "Connections ended by a newer one of the same client id."),
    ("publishes", "iotlink_mqtt_messages_received", "Messages of clients that were kept, wills included."),
    ("delivered", "iotlink_mqtt_messages_delivered", "Messages that subscribers have got."),
    ("wills", "iotlink_mqtt_wills", "Wills published."),
)
_GAUGES = (
    ("sessions", "iotlink_mqtt_sessions", "Sessions, those of clients that are away included."),
    ("connected", "iotlink_mqtt_sessions_connected", "Sessions whose client is connected."),
    ("retained", "iotlink_mqtt_retained_messages", "Retained messages."),
    ("retained_bytes", "iotlink_mqtt_retained_bytes", "Bytes of retained messages."),
    ("queued_bytes", "iotlink_mqtt_queued_bytes", "Bytes that wait for clients, or for their answers."),
)


def mqtt_families(counts: Callable[[], Iterable[BrokerNumbers]], drop_reasons: Iterable[str]) -> Iterator[Metric]:
    """Sums over all brokers. drop_reasons: all there are."""
    brokers = list(counts())
    for attribute, name, text in _TOTALS:
        yield CounterMetricFamily(name, text, value=sum(getattr(broker, attribute) for broker in brokers))
    for attribute, name, text in _GAUGES:
        yield GaugeMetricFamily(name, text, value=sum(getattr(broker, attribute) for broker in brokers))
    dropped = CounterMetricFamily("iotlink_mqtt_messages_dropped", "Messages not handed on.", labels=["reason"])
    for reason in drop_reasons:
        dropped.add_metric([reason], sum(broker.dropped[reason] for broker in brokers))
    yield dropped
