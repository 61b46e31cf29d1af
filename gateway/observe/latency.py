"""How long records take from their arrival to their sink: `iotlink_ingest_latency_seconds`.

Place in the walk: the sender tells of every request whose records a sink keeps, all of them at once; `/metrics` reads.
Arrivals are whole milliseconds and come in order: of records that came together, one is looked at.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import HistogramMetricFamily, Metric

from gateway.domain.record import Record

__all__ = ["BOUNDS_S", "IngestLatency", "SinkLatency"]

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

_BOUNDS_MS = [round(bound * 1000) for bound in BOUNDS_S]


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


class _Histogram:
    """counts: by bucket, not summed up yet. total_ms: of all."""

    __slots__ = ("counts", "total_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_MS) + 1)
        self.total_ms = 0


class SinkLatency:
    """Of one sink, by product."""

    __slots__ = ("_products", "_unix_ms", "sink")

    def __init__(self, sink: str, unix_ms: Callable[[], int]) -> None:
        self.sink = sink
        self._unix_ms = unix_ms
        self._products: dict[str, _Histogram] = {}

    def observe(self, entries: Iterable[tuple[Record, int]]) -> None:
        """The sink keeps these records now."""
        now_ms = self._unix_ms()
        alike = 0  # records in a row with this product and arrival
        product, received_ms = "", 0
        for record, _ in entries:
            if record.received_ms != received_ms or record.product != product:
                if alike:
                    self._add(product, now_ms - received_ms, alike)
                    alike = 0
                product, received_ms = record.product, record.received_ms
            alike += 1
        if alike:
            self._add(product, now_ms - received_ms, alike)

    def _add(self, product: str, waited_ms: int, records: int) -> None:
        waited_ms = max(0, waited_ms)  # below 0: the clock was set back
        histogram = self._products.get(product)
        if histogram is None:
            histogram = self._products[product] = _Histogram()
        histogram.counts[bisect_left(_BOUNDS_MS, waited_ms)] += records
        histogram.total_ms += waited_ms * records

    def read(self) -> Iterator[tuple[str, list[tuple[str, float]], float]]:
        """Product, cumulated buckets, sum in seconds."""
        for product, histogram in self._products.items():
            so_far = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*BOUNDS_S, "+Inf"), histogram.counts, strict=True):
                so_far += count
                buckets.append((str(bound), so_far))
            yield product, buckets, histogram.total_ms / 1000


class IngestLatency:
    """Of all sinks. unix_ms: the clock of arrivals."""

    def __init__(self, unix_ms: Callable[[], int] = _unix_ms) -> None:
        self._unix_ms = unix_ms
        self._sinks: dict[str, SinkLatency] = {}

    def sink(self, name: str) -> SinkLatency:
        return self._sinks.setdefault(name, SinkLatency(name, self._unix_ms))

    def families(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "iotlink_ingest_latency_seconds",
            "From a record's arrival to its sink; what comes out of a backlog or a replay included.",
            labels=["sink", "product"],
        )
        for sink in self._sinks.values():
            for product, buckets, total_s in sink.read():
                family.add_metric([sink.sink, product], buckets=buckets, sum_value=total_s)
        yield family
