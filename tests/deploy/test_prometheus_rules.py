"""The rules for Prometheus: each can be read, fires when it should and not when it should not, and asks for what is
there."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.deploy.live_gateway import live_metrics
from tests.deploy.promtool import ROOT, RULES, names_in, names_of, promtool

FOLDER = RULES.parent
TESTS = FOLDER / "alerts.test.yml"
NOT_OURS = frozenset({"up"})

GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
RECORDS = {rule["record"]: rule for group in GROUPS for rule in group["rules"] if "record" in rule}


def test_promtool_reads_them() -> None:
    assert f"{len(ALERTS) + len(RECORDS)} rules found" in promtool("check", "rules", RULES)


def test_promtool_reads_the_configuration() -> None:
    promtool("check", "config", FOLDER / "prometheus.yml")


def test_every_alert_fires_and_does_not() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_both_ways(alert: str) -> None:
    tests = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == alert]
    assert sorted(bool(case["exp_alerts"]) for case in cases) == [False, True]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_what_it_means(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["for"]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"].endswith(f"{{{{ end }}}}RUNBOOK.md#{alert.lower()}")
    assert f"\n### {alert}\n" in (ROOT / "RUNBOOK.md").read_text("utf-8")


@pytest.mark.parametrize("name", [*ALERTS, *RECORDS])
def test_what_a_rule_asks_for_is_there(name: str) -> None:
    expression = (ALERTS.get(name) or RECORDS[name])["expr"]
    missing = names_in(expression) - names_of(live_metrics()) - NOT_OURS
    assert not missing
    recorded = {record for record in RECORDS if record in expression}
    assert names_in(expression) or recorded or "up{" in expression


def test_what_is_recorded_is_used() -> None:
    used = " ".join(rule["expr"] for rule in ALERTS.values())
    assert not [record for record in RECORDS if record not in used]


def test_what_a_gateway_says_is_as_prometheus_wants_it() -> None:
    promtool("check", "metrics", given=live_metrics())
