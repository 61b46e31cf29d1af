"""`iotlink config check | show | schema`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import EXIT_USAGE, Output, fail, print_json, print_line
from gateway.domain.errors import ConfigError
from gateway.settings.load import Loaded, load_settings, settings_schema
from gateway.settings.show import render_yaml

app = typer.Typer(no_args_is_help=True, help="Check, show and describe the configuration.")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="The YAML file; `-` is stdin; none: the defaults.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Overrides one setting; may be repeated.")
]


def load_or_exit(config: Path | None, overrides: list[str] | None) -> Loaded:
    """The settings of a command; a configuration that cannot be used ends it with exit code 2 and every problem."""
    try:
        return load_settings(config, overrides or [], os.environ)
    except ConfigError as error:
        fail(str(error), EXIT_USAGE)


@app.command()
def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Say whether the configuration can be used: `ok`, or every problem with file:line:column and exit code 2. Specs,
    devices and the files of TLS are looked at by `serve`, at its start."""
    from gateway.app.mqtt import check_mqtt  # here, so that the other commands need not load the servers
    from gateway.app.rest_access import check_rest

    loaded = load_or_exit(config, set_)
    try:
        check_mqtt(loaded.settings)
        check_rest(loaded.settings)
    except ConfigError as error:
        fail(loaded.placed(error), EXIT_USAGE)
    print("ok")


@app.command()
def show(
    config: ConfigOption = None,
    set_: SetOption = None,
    redacted: Annotated[bool, typer.Option("--redacted", help="Show `${...}` instead of secrets.")] = False,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each value came from.")] = False,
    output: Annotated[Output | None, typer.Option(help="json | ndjson: an object instead of YAML.")] = None,
) -> None:
    """Print the effective configuration, as YAML that can be used as a configuration."""
    loaded = load_or_exit(config, set_)
    data = loaded.effective(redacted=redacted)
    if output in (Output.JSON, Output.NDJSON):
        document = {"settings": data, "origin": loaded.origin} if origin else {"settings": data}
        (print_json if output is Output.JSON else print_line)(document)
        return
    print(render_yaml(data, loaded.origin if origin else None), end="")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    print_json(settings_schema())
