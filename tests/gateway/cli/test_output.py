"""Tables for people, JSON for programs."""

from __future__ import annotations

import sys
from typing import Any

import orjson
import pytest
import typer

from gateway.cli.output import Output, chosen, color_allowed, fail, print_rows

ROWS: list[dict[str, Any]] = [
    {"name": "a", "ok": True, "list": [1, 2], "more": 5},
    {"name": "[b]b", "ok": None, "list": [], "more": 6},
]


def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, ["name"], Output.JSON)
    assert orjson.loads(capsys.readouterr().out) == ROWS
    print_rows(ROWS, ["name"], Output.NDJSON)
    assert [orjson.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


def test_a_table_has_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([*ROWS, {"name": "x" * 300}], ["name", "ok", "list"], Output.TABLE)
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert lines == [["name", "ok", "list"], ["a", "yes", "1,", "2"], ["[b]b"], ["x" * 300]]
    assert "\x1b" not in out


def test_tables_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(None) is Output.NDJSON
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert chosen(None) is Output.TABLE
    assert chosen(Output.JSON) is Output.JSON


@pytest.mark.parametrize(
    ("terminal", "no_color", "allowed"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colors(monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: str, allowed: bool) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert color_allowed() is allowed


def test_failing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        fail("why", 2)
    assert caught.value.exit_code == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "why\n")
