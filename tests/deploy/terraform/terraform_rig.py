"""The Terraform module, and the command on a copy of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOOLS = "DEPLOY_TOOLS"
"""The environment variable that names the folder of tools; `conftest.py` says what stands in it."""

MODULE = Path(__file__).parents[3] / "deploy" / "terraform"
GUARD_S = 280.0


@dataclass(slots=True, frozen=True)
class Terraform:
    """The command, on a copy of the module whose modules are installed; the repository is left as it is."""

    command: str
    module: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, f"-chdir={folder or self.module}", *arguments],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=GUARD_S,
            check=False,
        )

    def tested(self, file: str) -> list[dict[str, Any]]:
        """What `terraform test` reports of one file of tests, an object each."""
        answer = self.run("test", "-json", "-verbose", f"-filter=tests/{file}")
        assert answer.stdout, answer.stderr
        return [json.loads(line) for line in answer.stdout.splitlines()]


def resource_types() -> Sequence[str]:
    """Every type that the module uses, as the stub takes them."""
    found = {
        f"data.{name}" if kind == "data" else name
        for path in MODULE.rglob("*.tf")
        for kind, name in re.findall(r'^(resource|data) "(aws_\w+)"', path.read_text(encoding="utf-8"), re.M)
    }
    return sorted(found)
