"""RUNBOOK.md has an entry for every alert and for every code that an operator meets."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import yaml

from decoders.errors import DecodeCode
from gateway.access.rest_denials import DenyReason
from gateway.delivery.sinks import SinkErrorCode
from gateway.domain.errors import CloseReason, DeadLetterReason, RefuseReason, SourceProblem
from tests.deploy.promtool import ROOT, RULES

TEXT = (ROOT / "RUNBOOK.md").read_text("utf-8")

SECTIONS: dict[str, Iterable[str]] = {
    "Codes of dead letters": [*DecodeCode, *DeadLetterReason],
    "Codes of refusals": RefuseReason,
    "Codes of sinks": SinkErrorCode,
    "Codes of closed connections": CloseReason,
    "Codes of sources": SourceProblem,
    "Codes of REST access": DenyReason,
}


def section(title: str, level: int) -> str:
    """What stands below a heading, up to the next one that is as high."""
    found = re.search(
        rf"^#{{{level}}} {re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", TEXT, re.DOTALL | re.MULTILINE
    )
    assert found is not None, title
    return found[1]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_code_says_what_it_means_and_what_to_do(title: str) -> None:
    rows = [row.strip("| ").split(" | ") for row in section(title, 2).splitlines() if row.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == [str(code) for code in SECTIONS[title]]
    assert all(len(row) == 3 and all(row) for row in rows)


def test_the_alerts_are_those_that_there_are() -> None:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert re.findall(r"^### (\w+)$", section("Alerts", 1), re.MULTILINE) == alerts


def test_every_alert_says_what_it_means_how_to_see_it_and_what_to_do() -> None:
    for name in re.findall(r"^### (\w+)$", TEXT, re.MULTILINE):
        words = re.findall(r"\*\*(\w+)\.\*\*", section(name, 3))
        assert words == ["Means", "Look", "Do"], name


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        assert path or anchor in anchors, target
        assert not path or (ROOT / path).exists(), target


def test_metrics_that_it_names_are_there() -> None:
    known = set(re.findall(r"`(iotlink_\w+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8")))
    assert not set(re.findall(r"\biotlink_\w+", TEXT)) - known
