from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from decoders.errors import SpecError
from loadtest.fleet.model import Scenario, SinkAway
from loadtest.fleet.scenario import FOLDER, Changes, UnknownScenario, change, find, names, read, schema

GOOD = """\
scenario: mine
title: Mine
fleet: {tcp: {devices: 10}, rest: {devices: 4}, idle: 5}
load: [{seconds: 10, rate: 50, to: 100}, {seconds: 30, rate: 100}]
events: [{do: sink_away, at_s: 5, for_s: 10}, {do: reconnect, at_s: 20}]
gateway: {sink: kinesis}
"""


@pytest.mark.parametrize("name", names())
def test_the_shipped_ones_are_right_and_named_as_their_files(name: str) -> None:
    scenario = find(name)
    assert scenario.scenario == name
    assert scenario.fleet.active > 0
    assert not list(Draft202012Validator(schema()).iter_errors(scenario.model_dump(mode="json")))


def test_the_scenarios_that_people_ask_for_are_there() -> None:
    asked = {"steady", "burst", "storm", "soak", "outage", "rolling", "day", "latency", "idle", "faulty", "waves"}
    assert asked <= set(names())
    assert find(str(FOLDER / "steady.yaml")) == find("steady")


def test_there_is_no_such_scenario() -> None:
    with pytest.raises(UnknownScenario, match="no scenario `stedy`: there are burst, "):
        find("stedy")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("rest: {devices: 4}", "rest: {devces: 4}", "mine.yaml:3:36: fleet.rest.devces"),
        ("devices: 10", "devices: ten", "mine.yaml:3:24: fleet.tcp.devices"),
        ("rate: 50", "rate: -1", "mine.yaml:4:28: load[0].rate"),
        ("do: reconnect", "do: reconect", "mine.yaml:5:52: events[1].do"),
        ("at_s: 20", "at_s: 41", "mine.yaml:5:69: events[1].at_s: the load is over after 40 s"),
        ("sink: kinesis", "sink: file", "mine.yaml:5:15: events[0].do: only the fake Kinesis can be taken away"),
        ("{tcp: {devices: 10}, rest: {devices: 4}, idle: 5}", "{idle: 5}", "mine.yaml:3:8: fleet: nobody could send"),
        ("sink: kinesis}", "sink: kinesis, settings: [log]}", "mine.yaml:6:37: gateway.settings[0]: a.b=value"),
        ("title: Mine\n", "title: Mine\ntitle: Mine\n", "mine.yaml:3:1: the key `title` stands here twice"),
    ],
)
def test_mistakes_are_told_with_line_and_column(old: str, new: str, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        read(GOOD.replace(old, new, 1), "mine.yaml")
    assert problem in str(caught.value)


def test_what_the_command_line_says_is_in_proportion() -> None:
    changed = change(read(GOOD, "mine.yaml"), Changes(rate=1000, seconds=4, devices=140, idle=9, seed=7))
    assert [(part.seconds, part.rate, part.to) for part in changed.load] == [(1, 500, 1000), (3, 1000, None)]
    away = changed.events[0]
    assert isinstance(away, SinkAway)
    assert (away.at_s, away.for_s, changed.events[1].at_s) == (0.5, 1.0, 2.0)
    assert (changed.fleet.tcp.devices, changed.fleet.rest.devices, changed.fleet.mqtt.devices) == (100, 40, 0)
    assert (changed.fleet.idle, changed.seed) == (9, 7)


def test_no_change_is_no_change() -> None:
    scenario = read(GOOD, "mine.yaml")
    assert change(scenario, Changes()) == scenario
    assert isinstance(scenario, Scenario)


def test_a_change_may_not_break_a_rule() -> None:
    with pytest.raises(SpecError, match="only the fake Kinesis"):
        change(read(GOOD, "mine.yaml"), Changes(sink="file"))
