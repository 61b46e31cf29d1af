"""The dashboards for Grafana: their JSON, their expressions, and that these ask for what a gateway has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.live_gateway import live_metrics
from tests.deploy.promtool import ROOT, names_in, names_of, promtool

FOLDER = ROOT / "deploy" / "grafana" / "dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
UNITS = frozenset({"none", "s", "bytes", "Bps", "cps", "reqps", "percentunit"})
WIDTH = 24


def panels(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = DASHBOARDS[name]["panels"]
    return found


def expressions(name: str) -> Iterator[tuple[str, str]]:
    """Title of the panel, and each of its expressions."""
    for panel in panels(name):
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def as_a_query(expression: str) -> str:
    """With what Grafana puts in place of its variables."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")


def test_there_are_three() -> None:
    assert set(DASHBOARDS) == {"overview", "ingestion", "delivery"}
    assert len({board["uid"] for board in DASHBOARDS.values()}) == 3


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_are_told_apart_and_do_not_overlap(name: str) -> None:
    ids = [panel["id"] for panel in panels(name)]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in panels(name) if panel["type"] == "row"]
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in panels(name):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = set(itertools.product(across, down))
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_one_variable_chooses_the_instance_and_every_panel_heeds_it(name: str) -> None:
    variables = {one["name"]: one for one in DASHBOARDS[name]["templating"]["list"]}
    assert [one for one in variables.values() if not one.get("hide")] == [variables["instance"]]
    assert variables["instance"]["definition"] == "label_values(iotlink_build_info, instance)"
    for title, expression in expressions(name):
        assert expression.count('instance=~"$instance"') == expression.count("{"), title


@pytest.mark.parametrize("name", DASHBOARDS)
def test_units_are_few_and_every_panel_has_one(name: str) -> None:
    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in panels(name) if panel["type"] != "row"}
    assert used <= UNITS
    for panel in panels(name):
        for target in panel.get("targets", []):
            assert target["legendFormat"], panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_expression_can_be_read(name: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"test:panel:{number}", "expr": as_a_query(expression)}
        for number, (_, expression) in enumerate(expressions(name))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "test", "rules": rules}]}), "utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_metric_is_one_that_a_gateway_has(name: str) -> None:
    there = names_of(live_metrics())
    for title, expression in expressions(name):
        assert names_in(expression), title
        assert not names_in(expression) - there, title


def test_grafana_finds_them() -> None:
    provisioning = FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "iotlink.yaml").read_text("utf-8"))["providers"]
    assert provider["type"] == "file"
