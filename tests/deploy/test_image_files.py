"""The image's files as they stand: Dockerfile, what goes into it, what it installs, what it listens on."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from gateway.settings.limits import needed_files
from gateway.settings.load import load_settings
from tests.deploy.image.stand_in import base_names

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LINES = [line for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
LAST_STAGE = LINES[max(index for index, line in enumerate(LINES) if line.startswith("FROM ")) :]
MACHINES = ("x86_64", "aarch64")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?:\s+--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def instruction(name: str) -> str:
    """What the last stage says there; once."""
    (found,) = [line.partition(" ")[2].strip() for line in LAST_STAGE if line.startswith(f"{name} ")]
    return found


# The Dockerfile


def test_the_base_is_one_full_version() -> None:
    (base,) = base_names()
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", base)
    assert f'base.name="{base}"' in DOCKERFILE
    assert Version(base.split(":")[1].split("-")[0]).release[:2] == (3, 11)  # what paths in it say


def test_the_process_is_named_without_a_shell() -> None:
    assert json.loads(instruction("ENTRYPOINT")) == ["iotlink"]
    assert json.loads(instruction("CMD")) == ["serve", "--config", "/etc/iotlink/gateway.yaml"]
    check = instruction("HEALTHCHECK")
    assert json.loads(check[check.index("CMD") + 3 :]) == [
        "iotlink",
        "healthcheck",
        *json.loads(instruction("CMD"))[1:],
    ]
    assert instruction("STOPSIGNAL") == "SIGTERM"


def test_it_is_nobody_special() -> None:
    assert instruction("USER") == "10001:10001"
    assert instruction("VOLUME") == instruction("WORKDIR") == "/var/lib/iotlink"


def test_its_version_is_the_products() -> None:
    assert f"ARG VERSION={PROJECT['project']['version']}" in LAST_STAGE


def test_what_is_copied_is_let_through_and_nothing_else() -> None:
    allowed = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert allowed[0] == "*"
    copied = {
        source for line in LINES if line.startswith("COPY ") and "--from=" not in line for source in line.split()[1:-1]
    }
    assert {line.removeprefix("!") for line in allowed if line.startswith("!")} == copied
    assert not [source for source in copied if not (ROOT / source).exists()]


# What it installs


def pins(lock: str) -> dict[NormalizedName, Version]:
    """Every release that a lock file names, each with hashes."""
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    rows = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = {canonicalize_name(match[1]): Version(match[2]) for match in _PIN.finditer(text)}
    assert len(found) == len(rows), "a line is no release with hashes, or stands there twice"
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_the_lock_satisfies_the_project(machine: str) -> None:
    """What pyproject.toml asks for on Linux; pip itself refuses, at build time, what a hash does not cover."""
    surroundings = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": machine}
    locked = pins("requirements.lock")
    for text in PROJECT["project"]["dependencies"]:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate(surroundings):
            assert canonicalize_name(wanted.name) in locked, f"{text}: renew requirements.lock"
            assert locked[canonicalize_name(wanted.name)] in wanted.specifier, f"{text}: renew requirements.lock"


def test_the_lock_of_the_build_satisfies_the_project() -> None:
    locked = pins("requirements-build.lock")
    for text in PROJECT["build-system"]["requires"]:
        wanted = Requirement(text)
        assert locked[canonicalize_name(wanted.name)] in wanted.specifier


def test_no_tool_of_developers_is_locked() -> None:
    tools = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["optional-dependencies"]["dev"]}
    needed_anyway = {"cryptography"}  # of joserfc
    assert not pins("requirements.lock").keys() & (tools - needed_anyway)


# What it listens on


def test_of_the_default_configuration_nobody_may_send_unless_listed() -> None:
    settings = load_settings(ROOT / "deploy/etc/gateway.yaml", [], {}).settings
    assert (settings.provisioning, settings.auth.devices, settings.auth.anonymous_rest) == (
        "known",
        "credentials",
        False,
    )
    assert settings.gateway.devices_file == Path("/etc/iotlink/devices.yaml")
    assert settings.admin is not None
    assert settings.admin.host == "127.0.0.1"
    ports = [listener.port for listener in settings.tcp.listeners]
    ports += [listener.chosen_port for listener in settings.mqtt.listeners]
    ports += [listener.port for listener in settings.rest.listeners]
    assert [int(port) for port in instruction("EXPOSE").split()] == [*ports, settings.observe.port]
    written = [settings.spool.dir, settings.dead_letters.dir, settings.gateway.data_dir, settings.auth.key_file]
    assert all(path is not None and path.is_relative_to(instruction("VOLUME")) for path in written)


@pytest.mark.parametrize("name", ["IOTLINK_PROVISIONING", "IOTLINK_AUTH__DEVICES", "IOTLINK_AUTH__ANONYMOUS_REST"])
def test_the_ways_to_open_it_that_its_file_names_exist(name: str) -> None:
    text = (ROOT / "deploy/etc/gateway.yaml").read_text("utf-8")
    (value,) = re.findall(rf"{name}=(\w+)", text)
    loaded = load_settings(ROOT / "deploy/etc/gateway.yaml", [], {name: value})
    assert f"env {name}" in loaded.origin.values()


def test_all_connections_fit_into_the_open_files_that_are_asked_for() -> None:
    """Compose file and systemd unit raise the limit; the time to end stands there too."""
    unit = (ROOT / "deploy/systemd/iotlink.service").read_text("utf-8")
    settings = load_settings(ROOT / "deploy/etc/gateway.yaml", [], {}).settings
    assert int(re.findall(r"LimitNOFILE=(\d+)", unit)[0]) >= needed_files(settings)
    assert int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > settings.drain.limit_s
