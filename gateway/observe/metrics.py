"""Counters of the running gateway, and their Prometheus form.

The hot path adds to plain integers (30 ns); `prometheus_client` reads them at scrape time through one collector.
Labels come from closed sets only: listener, product, reason, sink. Every value of a set is there from the start
with 0, so that `rate()` works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from decoders.errors import DecodeCode
from gateway.domain.errors import CloseReason, DeadLetterReason, RefuseReason
from gateway.domain.receipt import Outcome
from gateway.observe.latency import IngestLatency


@dataclass(slots=True)
class TrafficCounters:
    """What one product said on one listener. `received` counts Uplinks; the sums balance:
    received = outcomes[accepted + duplicate + dead_lettered + refused] + in flight.
    grouped: uplinks in flight that share the receipt of another one."""

    listener: str
    product: str
    frames: int = 0
    frame_bytes: int = 0
    garbage_bytes: int = 0
    received: int = 0
    grouped: int = 0
    replies: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    refused: dict[str, int] = field(default_factory=lambda: {reason.value: 0 for reason in RefuseReason})
    decode_errors: dict[str, int] = field(default_factory=lambda: {code.value: 0 for code in DecodeCode})


@dataclass(slots=True)
class ListenerCounters:
    listener: str
    open: int = 0
    opened: int = 0
    paused: int = 0  # connections whose reading is held back now
    closed: dict[CloseReason, int] = field(default_factory=lambda: dict.fromkeys(CloseReason, 0))


@dataclass(slots=True)
class SinkCounters:
    """`failed` is keyed by error code of one entry or request; every failure is retried or buried."""

    sink: str
    records: int = 0
    record_bytes: int = 0
    requests: int = 0
    retried: int = 0
    buried: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    healthy: bool = True
    last_error: str = ""  # while it is not healthy


def _unmeasured(seconds: float) -> None:
    """Commits of a spool that stands alone are not measured."""


@dataclass(slots=True)
class SpoolCounters:
    """Of one spool, or summed over the own one and adopted ones."""

    bytes: int = 0  # on disk now
    capacity_bytes: int = 0
    records: int = 0  # on disk now, delivered ones of segments that are still needed included
    segments: int = 0
    commits: int = 0
    bad_blocks: int = 0  # stretches that could not be read, each counted once by every reader that met it
    lost_bytes: int = 0  # of these
    torn_bytes: int = 0  # cut from the end of the last segment at start; never acknowledged
    sealed: int = 0  # segments given up after a disk error
    refused: dict[str, int] = field(  # puts
        default_factory=lambda: dict.fromkeys(
            (RefuseReason.OUTBOX_FULL.value, RefuseReason.SINK_FAILED.value, RefuseReason.TOO_LARGE.value), 0
        )
    )
    observe_commit: Callable[[float], None] = _unmeasured  # seconds of one commit


LETTER_REFUSALS = (
    RefuseReason.RATE_LIMITED,
    RefuseReason.TOO_LARGE,
    RefuseReason.OUTBOX_FULL,
    RefuseReason.SINK_FAILED,
)
REPLAY_OUTCOMES = ("replayed", "failed", "refused")


@dataclass(slots=True)
class DeadLetterCounters:
    stored_bytes: int = 0
    capacity_bytes: int = 0
    nearly_full: bool = False  # at 80 % of the cap or above
    last_error: str = ""  # why letters cannot be written, until they can
    dropped: int = 0  # oldest letters deleted to stay below the byte cap
    purged: int = 0  # deleted by an operator
    refused: dict[str, int] = field(default_factory=lambda: {reason.value: 0 for reason in LETTER_REFUSALS})
    replayed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REPLAY_OUTCOMES, 0))
    written: dict[str, int] = field(
        default_factory=lambda: {reason.value: 0 for reason in (*DecodeCode, *DeadLetterReason)}
    )


class Metrics:
    """All counters of one gateway, and the registry that `/metrics` renders."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.dead_letters = DeadLetterCounters()
        self.spool = SpoolCounters()
        self.malformed_requests: dict[str, int] = {}
        """By HTTP listener: requests that were answered 400, since they were no HTTP."""
        self._traffic: dict[tuple[str, str], TrafficCounters] = {}
        self._listeners: dict[str, ListenerCounters] = {}
        self._sinks: dict[str, SinkCounters] = {}
        self._extra: list[Callable[[], Iterator[Metric]]] = []
        self.request_seconds = Histogram(
            "iotlink_sink_request_duration_seconds",
            "Time of one request to a sink.",
            ["sink"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.batch_records = Histogram(
            "iotlink_sink_batch_records",
            "Records in one request to a sink.",
            ["sink"],
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000),
            registry=self.registry,
        )
        self.batch_bytes = Histogram(
            "iotlink_sink_batch_bytes",
            "Bytes of records in one request to a sink.",
            ["sink"],
            buckets=(1000, 4000, 16_000, 64_000, 256_000, 1_000_000, 2_500_000, 5_000_000),
            registry=self.registry,
        )
        self.latency = IngestLatency()
        self.commit_seconds = Histogram(
            "iotlink_spool_commit_duration_seconds",
            "Time of one commit: written and on the disk.",
            buckets=(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
            registry=self.registry,
        )
        self.spool.observe_commit = self.commit_seconds.observe
        self.registry.register(self)

    def traffic(self, listener: str, product: str) -> TrafficCounters:
        return self._traffic.setdefault((listener, product), TrafficCounters(listener, product))

    def listener(self, name: str) -> ListenerCounters:
        return self._listeners.setdefault(name, ListenerCounters(name))

    def sink(self, name: str) -> SinkCounters:
        return self._sinks.setdefault(name, SinkCounters(name))

    def add(self, source: Callable[[], Iterator[Metric]]) -> None:
        """Adds a source of further families, read at each scrape."""
        self._extra.append(source)

    def in_flight(self) -> int:
        """Uplinks received and not settled yet."""
        return sum(t.received - sum(t.outcomes.values()) for t in self._traffic.values())

    def grouped(self) -> int:
        """Uplinks in flight that have no receipt of their own."""
        return sum(t.grouped for t in self._traffic.values())

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._collect_traffic()
        yield from self._collect_listeners()
        yield from self._collect_sinks()
        yield from self._collect_spool()
        for name, help_text, value in (
            ("iotlink_dead_letters_stored_bytes", "Bytes of dead letters on disk.", self.dead_letters.stored_bytes),
            ("iotlink_dead_letters_capacity_bytes", "Byte cap of dead letters.", self.dead_letters.capacity_bytes),
            ("iotlink_dead_letters_nearly_full", "1 from 80 % of the cap on.", int(self.dead_letters.nearly_full)),
            ("iotlink_uplinks_in_flight", "Uplinks received and not settled yet.", self.in_flight()),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
        yield CounterMetricFamily(
            "iotlink_dead_letters_dropped", "Oldest dead letters deleted at the cap.", value=self.dead_letters.dropped
        )
        written = CounterMetricFamily("iotlink_dead_letters", "Dead letters written.", labels=["reason"])
        for reason, count in self.dead_letters.written.items():
            written.add_metric([reason], count)
        yield written
        yield CounterMetricFamily(
            "iotlink_dead_letters_purged", "Dead letters deleted by an operator.", value=self.dead_letters.purged
        )
        refused = CounterMetricFamily("iotlink_dead_letters_refused", "Dead letters not kept.", labels=["reason"])
        for reason, count in self.dead_letters.refused.items():
            refused.add_metric([reason], count)
        yield refused
        replayed = CounterMetricFamily("iotlink_dead_letters_replayed", "Replays of dead letters.", labels=["outcome"])
        for outcome, count in self.dead_letters.replayed.items():
            replayed.add_metric([outcome], count)
        yield replayed
        yield from self.latency.families()
        malformed = CounterMetricFamily(
            "iotlink_http_malformed_requests", "Requests refused that were no HTTP.", labels=["listener"]
        )
        for name, count in self.malformed_requests.items():
            malformed.add_metric([name], count)
        yield malformed
        for source in self._extra:
            yield from source()

    def _collect_traffic(self) -> Iterator[Metric]:
        labels = ["listener", "product"]
        plain = {
            "frames": CounterMetricFamily("iotlink_frames_received", "Frames cut from the stream.", labels=labels),
            "frame_bytes": CounterMetricFamily("iotlink_frame_bytes", "Bytes of frames.", labels=labels),
            "garbage_bytes": CounterMetricFamily("iotlink_garbage_bytes", "Bytes that were no frame.", labels=labels),
            "received": CounterMetricFamily("iotlink_uplinks_received", "Uplinks taken in.", labels=labels),
            "replies": CounterMetricFamily("iotlink_replies_sent", "Replies written.", labels=labels),
        }
        settled = CounterMetricFamily("iotlink_uplinks_settled", "Uplinks by outcome.", labels=[*labels, "outcome"])
        refused = CounterMetricFamily(
            "iotlink_uplinks_refused", "Refused uplinks by reason.", labels=[*labels, "reason"]
        )
        errors = CounterMetricFamily("iotlink_decode_errors", "Frames not understood.", labels=[*labels, "reason"])
        for traffic in self._traffic.values():
            names = [traffic.listener, traffic.product]
            for attribute, family in plain.items():
                family.add_metric(names, getattr(traffic, attribute))
            for outcome, count in traffic.outcomes.items():
                settled.add_metric([*names, outcome.value], count)
            for reason, count in traffic.refused.items():
                refused.add_metric([*names, reason], count)
            for code, count in traffic.decode_errors.items():
                errors.add_metric([*names, code], count)
        yield from (*plain.values(), settled, refused, errors)

    def _collect_listeners(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily("iotlink_connections", "Connections open now.", labels=["listener"])
        paused = GaugeMetricFamily("iotlink_connections_paused", "Connections not read from now.", labels=["listener"])
        opened = CounterMetricFamily("iotlink_connections_opened", "Connections accepted.", labels=["listener"])
        closed = CounterMetricFamily("iotlink_connections_closed", "Connections ended.", labels=["listener", "reason"])
        for listener in self._listeners.values():
            connections.add_metric([listener.listener], listener.open)
            paused.add_metric([listener.listener], listener.paused)
            opened.add_metric([listener.listener], listener.opened)
            for reason, count in listener.closed.items():
                closed.add_metric([listener.listener, reason.value], count)
        yield from (connections, paused, opened, closed)

    def _collect_sinks(self) -> Iterator[Metric]:
        plain = {
            "records": CounterMetricFamily("iotlink_records_published", "Records a sink keeps.", labels=["sink"]),
            "record_bytes": CounterMetricFamily("iotlink_record_bytes", "Bytes of such records.", labels=["sink"]),
            "requests": CounterMetricFamily("iotlink_sink_requests", "Requests to a sink.", labels=["sink"]),
            "retried": CounterMetricFamily("iotlink_records_retried", "Records sent again.", labels=["sink"]),
            "buried": CounterMetricFamily("iotlink_records_buried", "Records a sink never takes.", labels=["sink"]),
        }
        failed = CounterMetricFamily("iotlink_records_failed", "Failures by code.", labels=["sink", "error_code"])
        healthy = GaugeMetricFamily("iotlink_sink_healthy", "1 while the sink takes records.", labels=["sink"])
        for sink in self._sinks.values():
            for attribute, family in plain.items():
                family.add_metric([sink.sink], getattr(sink, attribute))
            for code, count in sink.failed.items():
                failed.add_metric([sink.sink, code], count)
            healthy.add_metric([sink.sink], 1 if sink.healthy else 0)
        yield from (*plain.values(), failed, healthy)

    def _collect_spool(self) -> Iterator[Metric]:
        spool = self.spool
        for name, help_text, value in (
            ("iotlink_spool_bytes", "Bytes of the spool on disk.", spool.bytes),
            ("iotlink_spool_capacity_bytes", "Byte cap of the spool.", spool.capacity_bytes),
            ("iotlink_spool_records", "Records on disk, delivered ones not deleted yet included.", spool.records),
            ("iotlink_spool_segments", "Segment files on disk.", spool.segments),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
        for name, help_text, value in (
            ("iotlink_spool_commits", "Commits (each one fdatasync).", spool.commits),
            ("iotlink_spool_bad_blocks", "Stretches of segments that could not be read.", spool.bad_blocks),
            ("iotlink_spool_lost_bytes", "Bytes of stretches that could not be read.", spool.lost_bytes),
            ("iotlink_spool_torn_bytes", "Bytes of a write that a crash broke off, cut at start.", spool.torn_bytes),
            ("iotlink_spool_sealed", "Segments given up after a disk error.", spool.sealed),
        ):
            yield CounterMetricFamily(name, help_text, value=value)
        refused = CounterMetricFamily("iotlink_spool_refused", "Uplinks the spool did not keep.", labels=["reason"])
        for reason, count in spool.refused.items():
            refused.add_metric([reason], count)
        yield refused
