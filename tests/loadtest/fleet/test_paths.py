from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from decoders.catalog import Catalog
from loadtest.faults.balance import Balance
from loadtest.fleet import paths
from loadtest.fleet.model import Scenario
from loadtest.fleet.outcome import Outcome
from loadtest.fleet.paths import FACES, SINKS, Way, head, measure, scenario_of
from tests.loadtest.fleet.outcomes import histogram, outcome


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("sink", SINKS)
def test_a_way_is_a_scenario_of_one_face(face: str, sink: str) -> None:
    scenario = scenario_of(Way(face, sink, 9000.0), 20.0)
    assert (scenario.fleet.active, scenario.seconds) == (FACES[face]["devices"], 20.0)
    assert scenario.load[0].rate == 9000.0
    assert scenario.gateway.sink == ("file" if sink == "file" else "kinesis")
    assert sink in ("file", scenario.gateway.packing)
    assert scenario.gateway.shards == 20


async def test_all_are_tried_and_one_that_does_not_hold_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(scenario: Scenario, catalog: Any, folder: Path) -> Outcome:
        assert folder.parent == tmp_path
        answers = {"tcp": histogram(1), "mqtt": histogram(2), "rest": histogram(3)}
        lost = 1 if scenario.fleet.mqtt.devices and scenario.gateway.packing == "plain" else 0
        return outcome(answers=answers, balance=Balance(lost=lost))

    monkeypatch.setattr(paths, "run", run)
    told: list[tuple[Way, Outcome]] = []
    catalog = cast(Catalog, None)  # nobody looks at it
    faces = ["mqtt", "rest"]
    held = await measure(faces, ["plain", "file"], [5.0, 10.0], 1.0, catalog, tmp_path, lambda *one: told.append(one))
    assert not held
    assert [way for way, _ in told] == [
        Way(face, sink, rate) for face in faces for sink in ("plain", "file") for rate in (5.0, 10.0)
    ]
    rows = [way.row(found) for way, found in told]
    assert rows[0].startswith("| mqtt | plain | 5 | 50.00 | 2.0, 2.0 | 6.0, 7.0 | 1 |")
    assert rows[0].endswith("| the balance does not hold |")
    assert rows[-1].startswith("| rest | file | 10 | 50.00 | 3.0, 3.0 |")
    assert rows[-1].endswith("| 0 |  |")
    assert {row.count("|") for row in rows} == {head().splitlines()[0].count("|")}
