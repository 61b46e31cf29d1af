"""Counters of the sources (existing brokers that the gateway subscribes to), and their Prometheus form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.domain.errors import RefuseReason, SourceProblem

__all__ = ["SourceCounters", "source_families"]


@dataclass(slots=True)
class SourceCounters:
    """Of one source. messages, message_bytes: handed on, without repeats. repeated: came again while the first copy was
    in hand. skipped: retained messages that the source has had before. refused: not kept, by reason; what can be kept
    later is counted each time. in_flight: handed on and not settled yet. held_back: reading waits."""

    source: str
    connected: bool = False
    held_back: bool = False
    in_flight: int = 0
    messages: int = 0
    message_bytes: int = 0
    acknowledged: int = 0
    repeated: int = 0
    skipped: int = 0
    connects: int = 0
    problems: dict[SourceProblem, int] = field(default_factory=lambda: dict.fromkeys(SourceProblem, 0))
    refused: dict[str, int] = field(default_factory=lambda: {reason.value: 0 for reason in RefuseReason})


def source_families(sources: Iterable[SourceCounters]) -> Iterator[Metric]:
    """Families of all sources; for `Metrics.add`."""
    labels = ["source"]
    gauges = {
        "connected": GaugeMetricFamily("iotlink_source_connected", "1 while subscribed.", labels=labels),
        "held_back": GaugeMetricFamily("iotlink_source_held_back", "1 while not read from.", labels=labels),
        "in_flight": GaugeMetricFamily("iotlink_source_in_flight", "Messages not settled yet.", labels=labels),
    }
    counts = {
        "messages": CounterMetricFamily("iotlink_source_messages", "Messages taken in.", labels=labels),
        "message_bytes": CounterMetricFamily("iotlink_source_message_bytes", "Bytes of their messages.", labels=labels),
        "acknowledged": CounterMetricFamily("iotlink_source_acknowledged", "PUBACK and PUBREC sent.", labels=labels),
        "repeated": CounterMetricFamily("iotlink_source_repeated", "Came again, known as copies.", labels=labels),
        "skipped": CounterMetricFamily("iotlink_source_skipped", "Retained ones that were had before.", labels=labels),
        "connects": CounterMetricFamily("iotlink_source_connects", "Connections that were subscribed.", labels=labels),
    }
    problems = CounterMetricFamily(
        "iotlink_source_problems", "Failed or ended connections by reason.", labels=[*labels, "reason"]
    )
    refused = CounterMetricFamily("iotlink_source_refused", "Messages not kept by reason.", labels=[*labels, "reason"])
    for source in sources:
        for attribute, gauge in gauges.items():
            gauge.add_metric([source.source], int(getattr(source, attribute)))
        for attribute, count in counts.items():
            count.add_metric([source.source], getattr(source, attribute))
        for problem, value in source.problems.items():
            problems.add_metric([source.source, problem.value], value)
        for reason, value in source.refused.items():
            refused.add_metric([source.source, reason], value)
    yield from (*gauges.values(), *counts.values(), problems, refused)
