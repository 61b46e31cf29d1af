"""Figures for Amazon CloudWatch: lines of the log in its embedded metric format, made of what `/metrics` shows.

CloudWatch Logs makes metrics of such lines, so the gateway needs neither a way to CloudWatch nor rights there. Each is
a line like the others of the log (`ts`, `level`, `event` first), but always JSON and always on stdout.
Format: "Specification: Embedded metric format" in the user guide of Amazon CloudWatch.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client.core import Metric

from gateway.observe.logs import rfc3339

__all__ = ["INTERVAL_S", "FigureLines", "document"]

INTERVAL_S = 60.0
"""One of CloudWatch's periods. A line more often would cost, and tell nothing more."""

EVENT = "figures"
DIMENSION = "service"
"""By which CloudWatch tells figures of several gateways apart: all tasks of a service share the value."""

_UNITS = {
    "sessions": "Count",
    "delivery_lag_seconds": "Seconds",
    "spool_used_percent": "Percent",
    "frames": "Count",
    "dead_letters": "Count",
}


@dataclass(slots=True, frozen=True)
class _Readings:
    """Of one moment; frames and dead_letters since the start."""

    sessions: float
    lag_s: float
    spool_percent: float
    frames: float
    dead_letters: float

    @classmethod
    def of(cls, families: Iterable[Metric]) -> _Readings:
        found: defaultdict[str, list[float]] = defaultdict(list)  # no listener, no product: no sample
        for family in families:
            for sample in family.samples:
                found[sample.name].append(sample.value)
        capacity = sum(found["iotlink_spool_capacity_bytes"])
        return cls(
            sessions=sum(found["iotlink_connections"]),
            lag_s=max(found["iotlink_sink_oldest_seconds"], default=0.0),
            spool_percent=100 * sum(found["iotlink_spool_bytes"]) / capacity if capacity else 0.0,
            frames=sum(found["iotlink_frames_received_total"]),
            dead_letters=sum(found["iotlink_dead_letters_total"]),
        )


def document(namespace: str, service: str, unix_ms: int, figures: Mapping[str, float]) -> dict[str, Any]:
    """One line as an object. figures: by name, of those that `_UNITS` knows."""
    metrics = [{"Name": name, "Unit": _UNITS[name]} for name in figures]
    directive = {"Namespace": namespace, "Dimensions": [[DIMENSION]], "Metrics": metrics}
    return {
        "ts": rfc3339(unix_ms / 1000),
        "level": "info",
        "event": EVENT,
        "_aws": {"Timestamp": unix_ms, "CloudWatchMetrics": [directive]},
        DIMENSION: service,
        **figures,
    }


class FigureLines:
    """Writes a line each minute, and one at the end.

    families: those of the gateway, read for each line. write: takes one line, without its end. unix_ms: the time in a
    line; clock: seconds, rising, never jumping.
    """

    def __init__(
        self,
        families: Callable[[], Iterable[Metric]],
        write: Callable[[str], object],
        *,
        namespace: str,
        service: str,
        unix_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._families = families
        self._write = write
        self._namespace = namespace
        self._service = service
        self._unix_ms = unix_ms
        self._clock = clock
        self._due = clock() + INTERVAL_S
        self._frames = self._dead_letters = 0.0

    def turn(self) -> None:
        """Writes a line when it is time. To be called about once a second."""
        now = self._clock()
        if now < self._due:
            return
        self._due += INTERVAL_S * (1 + (now - self._due) // INTERVAL_S)  # lines that were missed are not made up for
        found = _Readings.of(self._families())
        self._line(
            {
                "sessions": found.sessions,
                "delivery_lag_seconds": round(found.lag_s, 3),
                "spool_used_percent": round(found.spool_percent, 3),
                **self._counted(found),
            }
        )

    def end(self) -> None:
        """The last line: only what was counted since the one before. A gateway that ends has no sessions, which would
        lower the average of the tasks that go on."""
        self._line(self._counted(_Readings.of(self._families())))

    def _counted(self, found: _Readings) -> dict[str, float]:
        counted = {"frames": found.frames - self._frames, "dead_letters": found.dead_letters - self._dead_letters}
        self._frames, self._dead_letters = found.frames, found.dead_letters
        return counted

    def _line(self, figures: Mapping[str, float]) -> None:
        self._write(orjson.dumps(document(self._namespace, self._service, self._unix_ms(), figures)).decode())
