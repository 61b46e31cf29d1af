"""`iotlink version`."""

from __future__ import annotations

import platform

import orjson
import typer
from typer.testing import CliRunner

from gateway.cli.version import package_version, version

app = typer.Typer()
app.command()(version)


def test_text_and_json() -> None:
    text = CliRunner().invoke(app, []).stdout
    assert f"python {platform.python_version()}\n" in text
    assert f"uvloop {package_version('uvloop')}\n" in text
    shown = orjson.loads(CliRunner().invoke(app, ["--output", "json"]).stdout)
    assert text.split() == [word for pair in shown.items() for word in " ".join(pair).split()]


def test_a_package_that_is_not_there() -> None:
    assert package_version("no-such-package-anywhere") == ""
