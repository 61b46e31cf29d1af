"""docs/performance.md names commands that there are, with options and names that they take."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from loadtest.fleet.scenario import find, names
from loadtest.mqtt.loads import LOADS as MQTT_LOADS
from loadtest.rest.loads import LOADS as REST_LOADS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/performance.md").read_text("utf-8")


def section(title: str) -> str:
    return next(part for part in TEXT.split("\n## ") if part.startswith(title))


def test_its_benchmarks_exist() -> None:
    files = set(re.findall(r"python (tests/benchmarks/\w+\.py)", TEXT))
    modules = set(re.findall(r"python -m ([\w.]+)", TEXT))
    assert len(files) + len(modules) > 6
    assert not [file for file in files if not (ROOT / file).is_file()]
    assert not [module for module in modules if find_spec(module) is None]


def test_its_scenarios_exist() -> None:
    named = set(re.findall(r"loadtest\.fleet run (\w+)", TEXT))
    assert {"steady", "latency", "idle", "storm", "outage", "rolling"} <= named <= set(names())


@pytest.mark.parametrize(("title", "loads"), [("MQTT, beside", MQTT_LOADS), ("REST, beside", REST_LOADS)])
def test_its_tables_have_a_row_for_each_load(title: str, loads: dict[str, object]) -> None:
    assert re.findall(r"^\|[^|]+\| `(\w+)` \|", section(title), re.MULTILINE) == list(loads)


def test_its_aims_are_those_of_the_scenarios() -> None:
    assert f"| {find('idle').aims.idle_kib:g} KiB | `python -m loadtest.fleet run idle`" in TEXT
    assert f"| {find('storm').aims.back_s:g} s | `python -m loadtest.fleet run storm`" in TEXT
    assert f"growth {find('outage').aims.growth_mib:g} MiB | `python -m loadtest.fleet run outage`" in TEXT
