"""The Terraform module under checkov: every check passes, or its resource says why not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.terraform.terraform_rig import GUARD_S, MODULE, TOOLS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_checkov_finds_nothing_that_is_not_explained(tools: Path, tmp_path: Path) -> None:
    command = tools / "bin" / "checkov"
    if not command.exists():
        pytest.skip(f"{TOOLS}: there is no {command}")
    arguments = ["--directory", str(MODULE), "--framework", "terraform", "--skip-download", "--output", "json"]
    answer = subprocess.run(
        [str(tools / "bin" / "python"), str(command), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    report = json.loads(answer.stdout)

    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 50
    assert [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]] == []
    assert all(one["check_result"]["suppress_comment"] for one in report["results"]["skipped_checks"])
