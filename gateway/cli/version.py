"""`iotlink version`."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Annotated

import typer

from gateway.cli.output import Output, print_json, print_line

PACKAGE = "iotlink-gateway"


def package_version(name: str = PACKAGE) -> str:
    """Version of an installed package, or "" when it is not installed (the product may run from its source tree)."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def version(
    output: Annotated[Output | None, typer.Option(help="json | ndjson: an object instead of text.")] = None,
) -> None:
    """Print the versions of the gateway, of Python and of the event loop."""
    versions = {
        "iotlink-gateway": package_version() or "not installed",
        "python": platform.python_version(),
        "uvloop": package_version("uvloop") or "not installed",
    }
    if output in (Output.JSON, Output.NDJSON):
        (print_json if output is Output.JSON else print_line)(versions)
        return
    for name, number in versions.items():
        typer.echo(f"{name} {number}")
