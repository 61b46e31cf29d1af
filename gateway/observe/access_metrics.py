"""Prometheus family of refused MQTT clients: how many, at which listener, and why.

The log has a line for each of these codes that tells what to do (`mqtt_client_denied`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, Metric

__all__ = ["ListenerDenials", "access_families"]


class ListenerDenials(Protocol):
    """`gateway.access.mqtt.MqttAccess`. denied: by code, each there from the start."""

    @property
    def listener(self) -> str: ...

    @property
    def denied(self) -> Mapping[Any, int]: ...


def access_families(listeners: Callable[[], Iterable[ListenerDenials]]) -> Iterator[Metric]:
    denied = CounterMetricFamily(
        "iotlink_mqtt_access_denied", "Clients refused by access, by reason.", labels=["listener", "code"]
    )
    for one in listeners():
        for code, count in one.denied.items():
            denied.add_metric([one.listener, str(code)], count)
    yield denied
