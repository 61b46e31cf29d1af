"""An outcome without a run, for what shows outcomes."""

from __future__ import annotations

from typing import Any

from loadtest.faults.balance import Balance
from loadtest.fleet.histogram import Histogram
from loadtest.fleet.model import Scenario
from loadtest.fleet.outcome import Happened, Outcome, Resources
from loadtest.fleet.samples import Sample

PLAIN: dict[str, Any] = {
    "scenario": "made-up",
    "title": "A <made up> run & more",
    "fleet": {"tcp": {"devices": 2}},
    "load": [{"seconds": 20.0, "rate": 50.0}],
    "aims": {"answer_p99_ms": 5.0, "idle_kib": 8.0},
}


def histogram(*milliseconds: float) -> Histogram:
    made = Histogram()
    for one in milliseconds:
        made.record(one / 1000)
    return made


def sample(at_s: float, **more: Any) -> Sample:
    values: dict[str, Any] = {
        "sent": 50.0,
        "answered": 49.0,
        "in_sink": 48.0,
        "open": 2,
        "waiting": 1,
        "answer_ms": (1.0, 2.0, 3.0),
        "sink_ms": (2.0, 4.0, 8.0),
        "cpu": 0.5,
        "rss_mib": 100.0,
        "backlog": 7,
    }
    return Sample(at_s=at_s, **(values | more))


def outcome(**more: Any) -> Outcome:
    values: dict[str, Any] = {
        "scenario": Scenario.model_validate(PLAIN),
        "started_at": "2026-03-01T12:00:00+00:00",
        "machine": {"cores": "2"},
        "balance": Balance(sent=1001, acknowledged=1001, arrived=1001),
        "checked": True,
        "seconds": 20.0,
        "offered": 50.0,
        "answers": {"tcp": histogram(1, 2, 3), "mqtt": histogram(4), "rest": histogram()},
        "logins": histogram(9),
        "until_sink": histogram(5, 6, 7),
        "late": histogram(0.5),
        "counts": {"tcp": {"sent": 1001, "wrong": 0}},
        "errors": {"tcp: <odd>": 2},
        "resources": Resources(gateway_cpu_s=0.5, fleet_cpu_s=0.25, frames=1000, rss_most_mib=110.0, idle_kib=9.0),
        "samples": [sample(float(second)) for second in range(5)] + [sample(5.0, answer_ms=None, sink_ms=None)],
        "happened": [Happened(2.0, "sink away", 4.0)],
    }
    return Outcome(**(values | more))
