"""Lines for CloudWatch: their shape by the specification, and what the figures in them are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.domain.errors import ConfigError
from gateway.observe.emf import INTERVAL_S, FigureLines, document
from gateway.settings.load import load_settings
from tests.gateway.observe.emf_schema import MAX_BYTES, check

NOW_MS = 1_767_225_600_123
ALL = ["sessions", "delivery_lag_seconds", "spool_used_percent", "frames", "dead_letters"]


class Source:
    """Families as the gateway's registry gives them, and the two clocks."""

    def __init__(self) -> None:
        self.seconds = 5.0
        self.lines: list[dict[str, Any]] = []
        self.connections = {"trackers": 3, "mqtt": 4}
        self.oldest = {"main": 0.0}
        self.spool = (0, 1000)
        self.frames = {"a": 0}
        self.letters = {"bad_check": 0, "truncated": 0}

    def families(self) -> Iterator[Metric]:
        for name, label, values in (
            ("iotlink_connections", "listener", self.connections),
            ("iotlink_sink_oldest_seconds", "sink", self.oldest),
        ):
            gauge = GaugeMetricFamily(name, "", labels=[label])
            for key, value in values.items():
                gauge.add_metric([key], value)
            yield gauge
        yield GaugeMetricFamily("iotlink_spool_bytes", "", value=self.spool[0])
        yield GaugeMetricFamily("iotlink_spool_capacity_bytes", "", value=self.spool[1])
        for name, label, counts in (
            ("iotlink_frames_received", "product", self.frames),
            ("iotlink_dead_letters", "reason", self.letters),
        ):
            counter = CounterMetricFamily(name, "", labels=[label])
            for key, count in counts.items():
                counter.add_metric([key], count)
            yield counter

    def writer(self) -> FigureLines:
        return FigureLines(
            self.families,
            lambda line: self.lines.append(orjson.loads(line)),
            namespace="IotLink",
            service="iotlink-prd",
            unix_ms=lambda: NOW_MS,
            clock=lambda: self.seconds,
        )


def figures(line: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that CloudWatch makes of a line."""
    check(dict(line))
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def test_shape() -> None:
    made = document("IotLink", "iotlink-prd", NOW_MS, dict.fromkeys(ALL, 1))
    check(made)
    assert len(orjson.dumps(made)) < MAX_BYTES
    assert list(made)[:3] == ["ts", "level", "event"]
    assert (made["ts"], made["service"]) == ("2026-01-01T00:00:00.123Z", "iotlink-prd")
    assert made["_aws"]["Timestamp"] == NOW_MS
    (directive,) = made["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("IotLink", [["service"]])
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    expected = ["Count", "Seconds", "Percent", "Count", "Count"]
    assert units == dict(zip(ALL, expected, strict=True))


@pytest.mark.parametrize(
    "change", [{"Metrics": []}, {"Metrics": [{"Name": "n", "Unit": "Frames"}]}, {"Namespace": ""}, {"More": 1}]
)
def test_the_schema_finds_mistakes(change: dict[str, Any]) -> None:
    made = document("IotLink", "iotlink-prd", NOW_MS, {"frames": 1})
    made["_aws"]["CloudWatchMetrics"][0] |= change
    with pytest.raises(jsonschema.ValidationError):
        check(made)


def test_a_line_each_minute() -> None:
    source = Source()
    writer = source.writer()
    counts = []
    for step in (0, INTERVAL_S - 0.1, 0.1, 1, INTERVAL_S - 1, INTERVAL_S * 10, INTERVAL_S - 1, 1):
        source.seconds += step
        writer.turn()
        counts.append(len(source.lines))
    assert counts == [0, 0, 1, 1, 2, 3, 3, 4]


def test_figures_are_sums_and_the_worst_and_what_came_since_the_last_line() -> None:
    source = Source()
    writer = source.writer()
    source.oldest = {"main": 1.5, "archive": 42.25}
    source.spool = (125, 1000)
    source.frames = {"a": 10, "b": 5}
    source.letters = {"bad_check": 2, "truncated": 1}
    source.seconds += INTERVAL_S
    writer.turn()
    source.frames["a"] += 7
    source.seconds += INTERVAL_S
    writer.turn()
    source.letters["truncated"] += 4
    writer.end()
    now, then, last = map(figures, source.lines)
    assert now == dict(zip(ALL, [7, 42.25, 12.5, 15, 3], strict=True))
    assert (then["frames"], then["dead_letters"]) == (7, 0)
    assert last == {"frames": 0, "dead_letters": 4}


def test_a_gateway_that_has_done_nothing() -> None:
    source = Source()
    source.connections, source.oldest, source.spool, source.frames = {"rest": 0}, {}, (0, 0), {}
    writer = source.writer()
    source.seconds += INTERVAL_S
    writer.turn()
    assert figures(source.lines[0]) == dict.fromkeys(ALL, 0)


@pytest.mark.parametrize(
    ("emf", "words"),
    [
        ("{namespace: AWS/ECS, service: a}", r"observe\.emf\.namespace: .*does not begin with `AWS/`"),
        ("{namespace: IotLink}", r"`service` is required"),
        ("{namespace: 'a b', service: a}", r"observe\.emf\.namespace: "),
        ("{namespace: IotLink, service: ''}", r"observe\.emf\.service: "),
    ],
)
def test_settings_that_cloudwatch_would_not_take(emf: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(None, [f"observe.emf={emf}"], {})


def test_stdout_is_for_records_or_for_figures(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("observe:\n  emf: {namespace: IotLink, service: a}\nsinks:\n  out: {type: stdout}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"c\.yaml:2:8: observe\.emf: figures are lines on stdout, .* sink `out`"):
        load_settings(file, [], {})
    assert load_settings(None, [], {}).settings.observe.emf is None
