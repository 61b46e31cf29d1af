"""From arrival to the sink, counted by the request."""

from __future__ import annotations

from prometheus_client.core import Metric

from gateway.domain.record import Record
from gateway.observe.latency import BOUNDS_S, IngestLatency

NOW_MS = 1_772_323_200_000


def entry(waited_ms: int, product: str = "p") -> tuple[Record, int]:
    return Record("id", "telemetry", product, "lane", b"{}", NOW_MS - waited_ms), 1


def family(latency: IngestLatency) -> Metric:
    (found,) = latency.families()
    return found


def test_every_record_is_counted_once() -> None:
    latency = IngestLatency(lambda: NOW_MS)
    waits = [5, 5, 6, 6, 700, 3_600_000, 0, 0, 5]
    latency.sink("main").observe([entry(wait) for wait in waits])
    latency.sink("main").observe([entry(1)])
    samples = {
        (sample.name.removeprefix("iotlink_ingest_latency_seconds"), sample.labels.get("le")): sample.value
        for sample in family(latency).samples
        if sample.labels["sink"] == "main"
    }
    assert samples["_bucket", "0.005"] == 6
    assert samples["_bucket", "0.01"] == 8
    assert samples["_bucket", "0.5"] == 8
    assert samples["_bucket", "1"] == samples["_bucket", "1800"] == 9
    assert samples["_bucket", "+Inf"] == samples["_count", None] == 10
    assert samples["_sum", None] == (sum(waits) + 1) / 1000
    assert len(BOUNDS_S) + 3 == len(samples)


def test_products_and_sinks_are_told_apart() -> None:
    latency = IngestLatency(lambda: NOW_MS)
    latency.sink("main").observe([entry(1, "p"), entry(1, "q"), entry(1, "p")])
    latency.sink("alerts").observe([entry(9, "q")])
    counts = {
        (sample.labels["sink"], sample.labels["product"]): sample.value
        for sample in family(latency).samples
        if sample.name.endswith("_count")
    }
    assert counts == {("main", "p"): 2, ("main", "q"): 1, ("alerts", "q"): 1}


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    latency = IngestLatency(lambda: NOW_MS)
    latency.sink("main").observe([entry(-5_000)])
    assert [s.value for s in family(latency).samples if s.name.endswith("_sum")] == [0]


def test_no_record_is_no_news() -> None:
    latency = IngestLatency(lambda: NOW_MS)
    latency.sink("main").observe([])
    assert family(latency).samples == []
