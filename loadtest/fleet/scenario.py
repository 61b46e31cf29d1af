"""Scenario files: found by name or path, read, checked, and changed by what the command line says.

Place in the walk: before everything. A mistake is told with file, line and column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoders.errors import SpecError, SpecProblem
from decoders.spec.source import Document, load, validate
from loadtest.fleet.model import Load, Scenario, SinkAway

__all__ = ["FOLDER", "Changes", "UnknownScenario", "change", "find", "names", "read", "schema"]

FOLDER = Path(__file__).parent / "scenarios"


class UnknownScenario(Exception):
    """Neither a shipped scenario nor a file that can be read."""


@dataclass(slots=True, frozen=True)
class Changes:
    """What the command line says instead of the file. rate: of the busiest stretch, the others in proportion. seconds:
    of the whole load, stretches and events in proportion. devices: of those that send, in proportion."""

    rate: float | None = None
    seconds: float | None = None
    devices: int | None = None
    idle: int | None = None
    sink: str | None = None
    seed: int | None = None


def names() -> list[str]:
    """The shipped scenarios."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(name: str) -> Scenario:
    """A shipped scenario, or that of a file. SpecError: it has mistakes. UnknownScenario: there is none."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnknownScenario(f"no scenario `{name}`: there are {', '.join(names())}, or a .yaml file") from error
    return read(text, str(path) if path.parent != FOLDER else path.name)


def read(text: str, source: str) -> Scenario:
    """SpecError with every mistake: `source:line:column: path: what is wrong`."""
    document = load(text, source)
    scenario = validate(Scenario, document)
    problems = list(_broken_rules(scenario, document))
    if problems:
        raise SpecError(problems)
    return scenario


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of scenario files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}


def change(scenario: Scenario, changes: Changes) -> Scenario:
    """The scenario with these changes. SpecError: it breaks a rule then."""
    data = json.loads(scenario.model_dump_json())
    most = max((max(part.rate, part.to or 0.0) for part in scenario.load), default=0.0)
    by_rate = changes.rate / most if changes.rate is not None and most else 1.0
    by_time = changes.seconds / scenario.seconds if changes.seconds is not None else 1.0
    data["load"] = [_changed(part, by_rate, by_time) for part in scenario.load]
    for event, plain in zip(scenario.events, data["events"], strict=True):
        plain["at_s"] *= by_time
        if isinstance(event, SinkAway):
            plain["for_s"] *= by_time
    if changes.devices is not None and scenario.fleet.active:
        part = changes.devices / scenario.fleet.active
        for face in ("tcp", "mqtt", "rest"):
            devices = data["fleet"][face]["devices"]
            data["fleet"][face]["devices"] = max(1, round(devices * part)) if devices else 0
    if changes.idle is not None:
        data["fleet"]["idle"] = changes.idle
    if changes.sink is not None:
        data["gateway"]["sink"] = changes.sink
    if changes.seed is not None:
        data["seed"] = changes.seed
    return read(json.dumps(data), f"{scenario.scenario}, changed by options")


def _changed(part: Load, by_rate: float, by_time: float) -> dict[str, float | None]:
    to = None if part.to is None else part.to * by_rate
    return {"seconds": part.seconds * by_time, "rate": part.rate * by_rate, "to": to}


def _broken_rules(scenario: Scenario, document: Document) -> Iterator[SpecProblem]:
    """Rules over several keys."""

    def problem(path: tuple[str | int, ...], message: str, hint: str = "") -> SpecProblem:
        return SpecProblem(*document.where(path), document.path_text(path), message, hint)

    fleet = scenario.fleet
    if any(part.rate or part.to for part in scenario.load):
        faces = (fleet.tcp, fleet.mqtt, fleet.rest)
        if not any(face.devices and face.share for face in faces):
            yield problem(("fleet",), "nobody could send: no face has both devices and a share", "tcp: {devices: 100}")
    for index, event in enumerate(scenario.events):
        path = ("events", index)
        if event.at_s > scenario.seconds:
            yield problem((*path, "at_s"), f"the load is over after {scenario.seconds:g} s")
        if isinstance(event, SinkAway) and scenario.gateway.sink != "kinesis":
            yield problem((*path, "do"), "only the fake Kinesis can be taken away", "gateway: {sink: kinesis}")
    for index, setting in enumerate(scenario.gateway.settings):
        if "=" not in setting:
            yield problem(("gateway", "settings", index), f"a.b=value is expected, not `{setting}`")
