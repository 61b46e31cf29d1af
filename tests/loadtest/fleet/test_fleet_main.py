from __future__ import annotations

import json
from pathlib import Path

import pytest

from decoders.catalog import Catalog
from loadtest.fleet.__main__ import main
from loadtest.fleet.scenario import names

SCENARIO = """\
scenario: tiny
title: Tiny
fleet: {tcp: {devices: 4}, mqtt: {devices: 2}}
load: [{seconds: 1, rate: 20}]
warm_up_s: 0
"""


def test_the_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()


def test_a_scenario_is_shown_with_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "steady"]) == 0
    assert json.loads(capsys.readouterr().out)["fleet"]["connect_per_s"] == 1000
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Scenario"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "stedy"], "no scenario `stedy`"),
        (["run", "steady", "--tcp", "5023"], "--tcp: host:port is expected"),
        (["run", "steady", "--devices", "10", "--tcp", "192.0.2.1:5023"], "--allow-remote"),
        (["run", "idle", "--idle", "1000000"], "open files"),
    ],
)
def test_a_wrong_command_line_is_told(
    proven: Catalog, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(arguments) == 2
    assert text in capsys.readouterr().err


def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.replace("rate: 20", "rat: 20"))
    assert main(["check", str(path)]) == 2
    assert "mine.yaml:4:21: load[0].rat: unknown key `rat` (did you mean `rate`?)" in capsys.readouterr().err


@pytest.mark.e2e
def test_a_run_is_told_and_reported(proven: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = tmp_path / "mine.yaml", tmp_path / "reports" / "tiny.html"
    path.write_text(SCENARIO)
    assert main(["run", str(path), "--report", str(report), "--work-dir", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "the balance holds" in text
    assert "answer mqtt" in text
    assert "tiny: Tiny" in report.read_text()
    figures = json.loads(report.with_suffix(".json").read_text())
    assert figures["holds"] is True
    assert figures["balance"]["arrived"] == 20
