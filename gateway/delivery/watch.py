"""What can be seen of the delivery: its part of `/metrics`, of `/health`, and of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.delivery.outbox import Outbox
from gateway.observe.health import ComponentHealth, State
from gateway.observe.logs import RateLimited
from gateway.observe.metrics import Metrics

_NEARLY_FULL = 0.8

_log = structlog.get_logger("gateway.delivery.watch")


class DeliveryWatch:
    """sinks: names of all, so that each has its series from the start. unix_ms: the clock of arrivals. outbox:
    set once it is open."""

    def __init__(self, sinks: list[str], unix_ms: Callable[[], int], metrics: Metrics) -> None:
        self.outbox: Outbox | None = None
        self._sinks = sinks
        self._unix_ms = unix_ms
        self._told_full = False
        self._metrics = metrics
        self._lines = RateLimited()

    def metrics(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily(
            "iotlink_sink_backlog_records", "Records from the oldest not delivered to the newest.", labels=["sink"]
        )
        oldest = GaugeMetricFamily(
            "iotlink_sink_oldest_seconds", "Age of about the oldest record that is not delivered.", labels=["sink"]
        )
        window = GaugeMetricFamily("iotlink_sink_window_bytes", "Bytes of records in memory.", labels=["sink"])
        feeds = {feed.name: feed for feed in self.outbox.distribution.feeds} if self.outbox is not None else {}
        for name in self._sinks:
            feed = feeds.get(name)
            oldest_ms = feed.oldest_ms() if feed is not None else None
            age_ms = max(0, self._unix_ms() - oldest_ms) if oldest_ms is not None else 0
            backlog.add_metric([name], feed.backlog if feed is not None else 0)
            oldest.add_metric([name], age_ms / 1000)
            window.add_metric([name], feed.used_bytes if feed is not None else 0)
        waiting = self._metrics.grouped() + (self.outbox.waiting if self.outbox is not None else 0)
        help_text = "Uplinks that the outbox has to settle, and receipts that are no uplink's."
        yield GaugeMetricFamily("iotlink_outbox_waiting", help_text, value=waiting)
        yield from (backlog, oldest, window)

    def sinks_health(self) -> ComponentHealth:
        """One that takes no records makes nothing unready, as they are safe in the spool."""
        distribution = self.outbox.distribution if self.outbox is not None else None
        found: dict[str, ComponentHealth] = {}
        for feed in distribution.feeds if distribution is not None else ():
            sender = distribution.senders.get(feed.name) if distribution is not None else None
            if sender is not None:
                state = State.OK if sender.counters.healthy else State.DOWN
                facts = {"backlog_records": feed.backlog}
                found[feed.name] = ComponentHealth(state, sender.counters.last_error, facts)
        return ComponentHealth.of_parts(found)

    def spool_health(self) -> ComponentHealth:
        spool = self._metrics.spool
        facts = {"bytes": spool.bytes, "capacity_bytes": spool.capacity_bytes, "records": spool.records}
        problem = self.problem()
        if problem is not None:
            return ComponentHealth(State.DOWN, problem, facts)
        if spool.bytes > spool.capacity_bytes * _NEARLY_FULL:
            text = f"more than {_NEARLY_FULL:.0%} full: the sinks do not keep up, see theirs"
            return ComponentHealth(State.DEGRADED, text, facts)
        return ComponentHealth(facts=facts)

    def on_room(self, has_room: bool) -> None:
        """Called by the outbox: senders wait from now on, or go on. A full disk has lines of its own."""
        if has_room:
            if self._told_full:
                _log.info("spool_has_room")
            self._told_full = False
        elif self.outbox is not None and not self.outbox.spool.is_disk_full and self._lines.allow("full") is not None:
            self._told_full = True
            _log.warning("spool_full", detail="senders wait: the sinks, or the disk of the spool, do not keep up")

    def problem(self) -> str | None:
        """Why nothing more can be taken in, or None."""
        if self.outbox is None or self.outbox.has_room():
            return None
        spool = self.outbox.spool
        if spool.is_disk_full:
            return f"disk full: {spool.directory}: free some space there; what is in the spool goes on to the sinks"
        return "full: the spool takes no more until the sinks have taken what is in it"
