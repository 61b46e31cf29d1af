from __future__ import annotations

import json

from loadtest.faults.balance import Balance
from loadtest.fleet.outcome import Resources, machine
from tests.loadtest.fleet.outcomes import histogram, outcome


def test_figures_are_per_hundred_thousand_frames() -> None:
    figures = dict(outcome().figures())
    assert figures["gateway CPU"] == "50.00 s per 100,000 frames (0.5 s)"
    assert figures["generator CPU"] == "25.00 s per 100,000 frames (0.2 s)"
    assert figures["offered"] == "50/s over 20 s"
    assert figures["lost"] == "0"
    assert figures["answer mqtt"].startswith("p50 4.00, p99 4.00")
    assert "answer rest" not in figures
    assert figures["memory of an idle session"] == "9.0 KiB"


def test_slow_and_deaf_devices_stand_apart() -> None:
    made = outcome(
        answers={"tcp": histogram(1), "dribbling": histogram(900)}, counts={"deaf": {"sent": 5, "acknowledged": 0}}
    )
    assert made.all_answers.figures()["max"] == 1
    figures = dict(made.figures())
    assert figures["answer dribbling"].startswith("p50 900")
    assert figures["frames due"] == "1001, 5 of them of deaf devices"


def test_aims_are_met_or_missed() -> None:
    found = {aim.what: (aim.met, aim.found) for aim in outcome().aims}
    assert found == {"answer p99, ms": (True, 4.0), "memory of an idle session, KiB": (False, 9.0)}
    unknown = outcome(resources=Resources()).aims[1]
    assert not unknown.met


def test_what_was_lost_or_went_wrong_does_not_hold() -> None:
    assert outcome().holds
    assert not outcome(balance=Balance(sent=2, acknowledged=2, arrived=1, lost=1)).holds
    assert not outcome(problems=["the sink was full"]).holds


def test_a_run_against_others_says_that_nobody_looked() -> None:
    figures = dict(outcome(checked=False, resources=Resources()).figures())
    assert figures["in the sink"] == "not looked at"
    assert "gateway CPU" not in figures


def test_plain_data_is_json_with_all_of_it() -> None:
    plain = json.loads(json.dumps(outcome().to_plain()))
    assert plain["balance"]["arrived"] == 1001
    assert plain["answer_ms"]["tcp"]["max"] == 3.0
    assert plain["resources"]["cpu_s_per_100k"] == 50.0
    assert plain["aims"][0]["met"] is True
    assert len(plain["samples"]) == 6


def test_the_machine_is_named() -> None:
    assert set(machine()) == {"cores", "system", "python", "load before"}
