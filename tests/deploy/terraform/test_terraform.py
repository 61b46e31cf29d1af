"""The Terraform module: format, types, its own tests, and the container that it makes, held against AWS's model of ECS
and against the gateway's own check of a configuration."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.observe.emf import document
from tests.deploy.terraform.terraform_rig import GUARD_S, MODULE, Terraform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FILES = sorted(path.name for path in (MODULE / "tests").glob("*.tftest.hcl"))


def test_format(terraform_command: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [terraform_command, "fmt", "-check", "-recursive", "-diff", str(MODULE)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("folder", [".", "examples/small", "examples/large"])
def test_names_and_types_are_those_of_the_provider(terraform: Terraform, folder: str) -> None:
    answer = terraform.run("validate", "-json", folder=terraform.module / folder)
    assert json.loads(answer.stdout)["diagnostics"] == []


@pytest.mark.parametrize(
    ("file", "text", "instead", "complaint"),
    [
        ("service.tf", "desired_count  ", "desired_counts ", 'An argument named "desired_counts" is not expected'),
        ("service.tf", "      container_name ", "      # container_name ", 'The argument "container_name" is required'),
        ("outputs.tf", "aws_iam_role.task.name", "aws_iam_role.task.title", "no argument, nested block, or exported"),
    ],
)
def test_the_stand_in_for_the_provider_finds_mistakes(
    terraform: Terraform, tmp_path: Path, file: str, text: str, instead: str, complaint: str
) -> None:
    broken = tmp_path / "module"
    shutil.copytree(terraform.module, broken)
    source = (broken / file).read_text(encoding="utf-8")
    assert text in source
    (broken / file).write_text(source.replace(text, instead), encoding="utf-8")

    answer = json.loads(terraform.run("validate", "-json", folder=broken).stdout)

    assert not answer["valid"]
    assert any(complaint in f"{one['summary']} {one['detail']}" for one in answer["diagnostics"])


@pytest.mark.parametrize("file", FILES)
def test_own_tests(terraform: Terraform, file: str) -> None:
    events = terraform.tested(file)

    complaints = [
        f"{event.get('@testrun', '')}: {event['diagnostic']['summary']}: {event['diagnostic']['detail']}"
        for event in events
        if event["type"] == "diagnostic"
    ]
    summary = next(event["test_summary"] for event in events if event["type"] == "test_summary")
    assert summary["status"] == "pass", complaints
    for run, container in _containers(events).items():
        assert _complaints([container]) == "", run
        assert _config_check(_environment(container)) == (0, "ok"), run


def test_the_model_of_ecs_finds_mistakes() -> None:
    complaints = _complaints([{"name": "gateway", "stopTimout": 120, "portMappings": [{"containerPort": "5023"}]}])
    assert "stopTimout" in complaints
    assert "containerPort" in complaints


def test_the_gateway_takes_the_settings_of_its_figures(terraform: Terraform) -> None:
    container = _containers(terraform.tested("examples.tftest.hcl"))["large"]
    assert "emf" in json.loads(_environment(container)["IOTLINK_OBSERVE"])
    assert _config_check(_environment(container)) == (0, "ok")


def test_alarms_and_scaling_look_at_figures_that_the_gateway_writes() -> None:
    """By name and unit, and under the dimension that it gives them."""
    text = "".join((MODULE / name).read_text(encoding="utf-8") for name in ("alarms.tf", "scaling.tf"))
    own = re.findall(r'namespace = var\.emf_namespace, metric = "(\w+)".*?dimensions = \{ (\w+) =', text)
    own += re.findall(r'namespace +=\s+var\.emf_namespace\s+metric_name += "(\w+)".*?name +=\s+"(\w+)"', text, re.S)
    assert {name for name, _ in own} == {"sessions", "delivery_lag_seconds", "spool_used_percent", "dead_letters"}

    made = document("IotLink", "a", 0, dict.fromkeys((name for name, _ in own), 1))
    (directive,) = made["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [[dimension] for dimension in {dimension for _, dimension in own}]


def _containers(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The container that each run has made, by its name."""
    found = {}
    for event in events:
        if event["type"] == "test_state":
            text = event["test_state"]["outputs"]["container_definitions"]["value"]
            (found[event["@testrun"]],) = json.loads(text)
    return found


def _complaints(containers: list[dict[str, Any]]) -> str:
    """What RegisterTaskDefinition would not take, in botocore's words."""
    operation = Session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    request = {"family": "gateway", "containerDefinitions": containers}
    report: str = ParamValidator().validate(request, operation.input_shape).generate_report()
    return report


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    """As ECS sets it, with something for each secret."""
    environment = {one["name"]: one["value"] for one in container["environment"]}
    return environment | {one["name"]: "a-secret" for one in container["secrets"]}


def _config_check(environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and words of `iotlink config check`."""
    answer = CliRunner().invoke(app, ["config", "check"], env=dict(environment))
    return answer.exit_code, answer.output.strip()
