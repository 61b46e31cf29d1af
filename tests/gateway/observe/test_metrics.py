"""Counters as Prometheus sees them: complete from the start, and the sums balance."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from decoders.errors import DecodeCode
from gateway.domain.errors import CloseReason, DeadLetterReason, RefuseReason
from gateway.domain.receipt import Outcome
from gateway.observe.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    """Value by name and label values, as a scrape gives them."""
    found: dict[tuple[str, frozenset[str]], float] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.values()))
            assert key not in found
            found[key] = sample.value
    return found


def test_every_value_of_a_closed_set_is_there_from_the_start() -> None:
    metrics = Metrics()
    metrics.traffic("tcp", "p")
    metrics.listener("tcp")
    found = samples(metrics)
    for outcome in Outcome:
        assert found["iotlink_uplinks_settled_total", frozenset({"tcp", "p", outcome})] == 0
    for reason in RefuseReason:
        assert found["iotlink_uplinks_refused_total", frozenset({"tcp", "p", reason})] == 0
    for code in DecodeCode:
        assert found["iotlink_decode_errors_total", frozenset({"tcp", "p", code})] == 0
    for close in CloseReason:
        assert found["iotlink_connections_closed_total", frozenset({"tcp", close})] == 0
    for letter in (*DecodeCode, *DeadLetterReason):
        assert found["iotlink_dead_letters_total", frozenset({letter})] == 0
    for replayed in ("replayed", "failed", "refused"):
        assert found["iotlink_dead_letters_replayed_total", frozenset({replayed})] == 0
    for refused in ("rate_limited", "too_large", "outbox_full", "sink_failed"):
        assert found["iotlink_dead_letters_refused_total", frozenset({refused})] == 0
    assert found["iotlink_dead_letters_nearly_full", frozenset()] == 0


def test_counters_are_shared_by_name() -> None:
    metrics = Metrics()
    assert metrics.traffic("a", "p") is metrics.traffic("a", "p")
    assert metrics.traffic("a", "p") is not metrics.traffic("a", "q")
    assert metrics.listener("a") is metrics.listener("a")
    assert metrics.sink("a") is metrics.sink("a")


def test_what_was_received_is_settled_or_in_flight() -> None:
    metrics = Metrics()
    for product, received in (("p", 10), ("q", 5)):
        traffic = metrics.traffic("tcp", product)
        traffic.received = received
        traffic.outcomes[Outcome.ACCEPTED] = 3
        traffic.outcomes[Outcome.REFUSED] = 1
    assert metrics.in_flight() == 7
    assert samples(metrics)["iotlink_uplinks_in_flight", frozenset()] == 7


def test_a_sink_and_its_health() -> None:
    metrics = Metrics()
    sink = metrics.sink("main")
    sink.records, sink.failed["throttled"], sink.healthy = 4, 2, False
    metrics.request_seconds.labels("main").observe(0.2)
    found = samples(metrics)
    assert found["iotlink_records_published_total", frozenset({"main"})] == 4
    assert found["iotlink_records_failed_total", frozenset({"main", "throttled"})] == 2
    assert found["iotlink_sink_healthy", frozenset({"main"})] == 0
    assert found["iotlink_sink_request_duration_seconds_bucket", frozenset({"main", "0.25"})] == 1
    sink.healthy = True
    assert samples(metrics)["iotlink_sink_healthy", frozenset({"main"})] == 1


def test_further_sources_are_read_at_each_scrape() -> None:
    metrics = Metrics()
    value = [1]

    def source() -> Iterator[Metric]:
        yield GaugeMetricFamily("iotlink_specs", "Loaded specs.", value=value[0])

    metrics.add(source)
    assert samples(metrics)["iotlink_specs", frozenset()] == 1
    value[0] = 2
    assert samples(metrics)["iotlink_specs", frozenset()] == 2
