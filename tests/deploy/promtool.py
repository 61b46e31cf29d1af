"""`promtool`, and what a metric is called in PromQL expressions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"

_NAME = re.compile(r"\biotlink_[a-z0-9_]+|\bprocess_[a-z0-9_]+")


def tool(name: str) -> str:
    """Its path; skips the test where it is missing, but not in CI."""
    found = shutil.which(name)
    if found is None:
        assert os.environ.get("CI") != "true", f"{name} is missing (Debian package prometheus)"
        pytest.skip(f"{name} is not installed (Debian package prometheus)")
    return found


def promtool(*arguments: str | Path, given: str | None = None) -> str:
    """Runs it; what it says must be no complaint."""
    ran = subprocess.run([tool("promtool"), *arguments], input=given, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def names_in(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    return set(_NAME.findall(expression))


def names_of(exposition: str) -> set[str]:
    """The series that a scrape has, by the names under which queries find them."""
    return {sample.name for family in text_string_to_metric_families(exposition) for sample in family.samples}
