"""The Terraform module under its real tools, without a provider download and without AWS.

terraform is taken from the PATH. The rest stands in the folder that DEPLOY_TOOLS names:

    python3 -m venv $DEPLOY_TOOLS && $DEPLOY_TOOLS/bin/pip install -r tests/deploy/terraform/tools.txt
    npm install --prefix $DEPLOY_TOOLS --legacy-peer-deps @cdktf/provider-aws@21.22.1

What is not there, is skipped with that reason.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.terraform.terraform_rig import MODULE, TOOLS, Terraform, resource_types

_END_S = 20.0
_STUB = Path(__file__).with_name("aws_schema_stub.py")


@pytest.fixture(scope="session")
def terraform_command() -> str:
    command = shutil.which("terraform")
    if command is None:
        pytest.skip("terraform is not installed here: the module's types, plans and refusals go unchecked")
    return command


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of DEPLOY_TOOLS."""
    folder = os.environ.get(TOOLS)
    if not folder:
        pytest.skip(f"{TOOLS} names no folder with the provider's schema, tf and checkov (see {Path(__file__).name})")
    return Path(folder)


@pytest.fixture(scope="session")
def stub(tools: Path) -> Iterator[str]:
    """A running stand-in for the provider: how terraform reaches it, as TF_REATTACH_PROVIDERS."""
    lib = tools / "node_modules" / "@cdktf" / "provider-aws" / "lib"
    for needed in (tools / "bin" / "python", lib):
        if not needed.exists():
            pytest.skip(f"{TOOLS}: there is no {needed}")
    command = [str(tools / "bin" / "python"), "-u", str(_STUB), str(lib), *resource_types()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                if found := re.search(r"TF_REATTACH_PROVIDERS='(.*)'", line):
                    yield found[1]
                    break
            else:
                pytest.fail(f"the schema stub ended: {process.stderr.read()}")
        finally:
            process.send_signal(signal.SIGINT)  # it removes the folder of its socket
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def terraform(terraform_command: str, stub: str, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    folder = tmp_path_factory.mktemp("terraform")
    module = folder / "module"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns(".terraform*"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TF_REATTACH_PROVIDERS": stub,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "NO_COLOR": "1",
    }
    made = Terraform(terraform_command, module, environment)
    for one in (module, *(module / "examples").iterdir()):
        installed = made.run("get", folder=one)
        assert installed.returncode == 0, installed.stderr
    return made
