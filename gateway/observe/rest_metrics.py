"""Prometheus families of the REST face: requests by route template, never by path or caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["ListenerDenials", "RequestCounters", "access_rest_families"]


class RequestCounters:
    """Of all listeners. in_flight: requests that are being answered now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_flight = 0
        self._counts: dict[tuple[str, str, str, int], int] = {}
        self._seconds = Histogram(
            "iotlink_http_request_duration_seconds",
            "Time from a request to its answer.",
            ["listener", "route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self._observers: dict[tuple[str, str], Callable[[float], None]] = {}

    def expect(self, listener: str, route: str, method: str) -> None:
        """So that the series is there from the start, with 0."""
        self._counts.setdefault((listener, route, method, 200), 0)
        self._observer(listener, route)

    def count(self, listener: str, route: str, method: str, status: int, seconds: float) -> None:
        key = (listener, route, method, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._observer(listener, route)(seconds)

    def families(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "iotlink_http_requests", "Requests answered.", labels=["listener", "route", "method", "code"]
        )
        for (listener, route, method, status), count in self._counts.items():
            requests.add_metric([listener, route, method, str(status)], count)
        yield requests
        yield GaugeMetricFamily("iotlink_http_requests_in_flight", "Requests under way now.", value=self.in_flight)

    def _observer(self, listener: str, route: str) -> Callable[[float], None]:
        observe = self._observers.get((listener, route))
        if observe is None:
            observe = self._observers[listener, route] = self._seconds.labels(listener, route).observe
        return observe


class ListenerDenials(Protocol):
    """`gateway.access.rest.RestAccess`. denied: by reason, each there from the start."""

    @property
    def listener(self) -> str: ...

    @property
    def denied(self) -> Mapping[Any, int]: ...


def access_rest_families(listeners: Iterable[ListenerDenials], refused: Mapping[Any, int]) -> Iterator[Metric]:
    """refused: requests and records by the quota that was met."""
    denied = CounterMetricFamily(
        "iotlink_rest_access_denied", "Requests refused by access, by reason.", labels=["listener", "reason"]
    )
    for one in listeners:
        for reason, count in one.denied.items():
            denied.add_metric([one.listener, str(reason)], count)
    yield denied
    limited = CounterMetricFamily("iotlink_rate_limited", "Requests refused by a quota.", labels=["limit"])
    for name, count in refused.items():
        limited.add_metric([str(name)], count)
    yield limited
