"""SECURITY.md says what the code does: settings, defaults and fixed limits of its tables, what is shown of secrets."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ByteSize, TypeAdapter
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.settings.listeners import DEFAULT_CONNECTIONS
from gateway.settings.model import Settings, default_connections

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
ROWS: list[tuple[str, str]] = [(path, value.strip()) for path, value in _ROW.findall(TEXT)]
FIXED = [row for row in ROWS if row[0].startswith(("gateway.", "decoders."))]
SETTINGS = [row for row in ROWS if row not in FIXED]


def model_in(annotation: Any) -> type[BaseModel]:
    """The model that a setting holds: itself, in a list, or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(model_in(part) for part in get_args(annotation) if part is not type(None))


def default_of(path: str) -> Any:
    model: type[BaseModel] = Settings
    *sections, last = path.replace("[]", "").split(".")
    for name in sections:
        model = model_in(model.model_fields[name].annotation)
    field = model.model_fields[last]
    if field.default is not PydanticUndefined:
        return field.default
    assert field.default_factory is default_connections
    return DEFAULT_CONNECTIONS


def test_there_are_rows() -> None:
    assert len(SETTINGS) > 25
    assert len(FIXED) > 5


@pytest.mark.parametrize(("path", "said"), SETTINGS)
def test_defaults_of_settings(path: str, said: str) -> None:
    default = default_of(path)
    if isinstance(default, str):
        assert said == default
    else:
        assert TypeAdapter(ByteSize).validate_python(said) == default


@pytest.mark.parametrize(("path", "said"), FIXED)
def test_fixed_limits(path: str, said: str) -> None:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        module, _, kind = module.rpartition(".")
        holder = getattr(importlib.import_module(module), kind)
        assert is_dataclass(holder)
        found = next(field.default for field in fields(holder) if field.name == name)
    assert found == int(said)


def test_files_that_it_names_exist() -> None:
    assert not [name for name in re.findall(r"\]\(([^)#]+)\)", TEXT) if not (ROOT / name).exists()]


@pytest.mark.parametrize("redacted", [True, False])
def test_the_configuration_is_shown_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redacted: bool
) -> None:
    monkeypatch.setenv("HA_SECRET", "very-secret")
    config = tmp_path / "gateway.yaml"
    config.write_text('auth: {clients: [{id: ha, hmac: {secrets: ["${env:HA_SECRET}"]}}]}\n', "utf-8")
    result = CliRunner().invoke(app, ["config", "show", "--config", str(config), *["--redacted"] * redacted])
    assert result.exit_code == 0
    assert "very-secret" not in result.output
    assert ("${env:HA_SECRET}" if redacted else "****") in result.output


def test_a_secret_that_is_missing_is_named_and_not_shown(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text('auth: {clients: [{id: ha, hmac: {secrets: ["very-${env:NO_SUCH_SECRET}"]}}]}\n', "utf-8")
    result = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert result.exit_code == 2
    assert "NO_SUCH_SECRET" in result.output
    assert "very-" not in result.output
