"""What every path costs: each face into each kind of sink, at each rate, one run after the other.

Place in the walk: above the runner, beside the ladder. TCP: location frames of one product. MQTT: JSON, with the QoS of
other scenarios. REST: items of clients that have one request at a time, as many in one as wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoders.catalog import Catalog
from loadtest.fleet.model import Scenario
from loadtest.fleet.outcome import Outcome
from loadtest.fleet.runner import run

__all__ = ["FACES", "SINKS", "Way", "head", "measure", "scenario_of"]

FACES: dict[str, dict[str, Any]] = {
    "tcp": {"devices": 1000, "messages": ["position_cell"], "heartbeat_s": 0},
    "mqtt": {"devices": 1000},
    "rest": {"devices": 250, "batch": 100},
}
"""By name, who speaks there: enough for `plain`, which has one record of a device in flight."""

SINKS: dict[str, dict[str, Any]] = {
    "file": {"sink": "file"},
    "plain": {"sink": "kinesis", "packing": "plain"},
    "aggregated": {"sink": "kinesis", "packing": "aggregated"},
}
"""By name, what the gateway is given."""

_COLUMNS = ("face", "sink", "rate", "CPU s per 100,000", "answer p50, p99 ms", "in the sink p50, p99 ms", "lost", "")


@dataclass(slots=True, frozen=True)
class Way:
    """One face, one kind of sink, one rate."""

    face: str
    sink: str
    rate: float

    def row(self, outcome: Outcome) -> str:
        answers, cpu = outcome.answers[self.face], outcome.resources.cpu_s_per_100k
        until = outcome.until_sink
        cells = (
            self.face,
            self.sink,
            f"{self.rate:.0f}",
            "-" if cpu is None else f"{cpu:.2f}",
            f"{answers.percentile(50):.1f}, {answers.percentile(99):.1f}",
            f"{until.percentile(50):.1f}, {until.percentile(99):.1f}",
            f"{outcome.balance.lost}",
            "" if outcome.holds else "; ".join(outcome.problems) or "the balance does not hold",
        )
        return "| " + " | ".join(cells) + " |"


def head() -> str:
    return "| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS)


def scenario_of(way: Way, seconds: float) -> Scenario:
    """The shards of a stream take the rate twice, also one by one."""
    return Scenario.model_validate(
        {
            "scenario": "path",
            "title": f"{way.face} into {way.sink}",
            "fleet": {way.face: FACES[way.face]},
            "load": [{"seconds": seconds, "rate": way.rate}],
            "spacing": "random",
            "gateway": {"shards": max(4, round(way.rate / 450)), **SINKS[way.sink]},
        }
    )


def _all(faces: Sequence[str], sinks: Sequence[str], rates: Sequence[float]) -> Iterator[Way]:
    return (Way(face, sink, rate) for face in faces for sink in sinks for rate in rates)


async def measure(
    faces: Sequence[str],
    sinks: Sequence[str],
    rates: Sequence[float],
    seconds: float,
    catalog: Catalog,
    folder: Path,
    tell: Callable[[Way, Outcome], None],
) -> bool:
    """Whether all runs held. Raises what `run` raises."""
    held = True
    for number, way in enumerate(_all(faces, sinks, rates)):
        place = folder / f"way-{number}"
        place.mkdir()
        outcome = await run(scenario_of(way, seconds), catalog, place)
        tell(way, outcome)
        held = held and outcome.holds
    return held
