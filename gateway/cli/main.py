"""The `iotlink` command: sub-commands, and what their errors mean for the exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from decoders.errors import SpecError
from gateway.cli.output import EXIT_CODES, EXIT_FAILED, EXIT_OK, EXIT_USAGE, print_error
from gateway.domain.errors import GatewayError, OperatorError

_COMMANDS = {
    "serve": "serve:serve",
    "decode": "decode:decode",
    "encode": "encode:encode",
    "send": "send:send",
    "sim": "sim:sim",
    "ingest": "ingest:ingest",
    "healthcheck": "health:healthcheck",
    "version": "version:version",
    "config": "config:app",
    "keys": "keys:app",
    "spec": "spec:app",
    "dlq": "dlq:app",
    "devices": "devices:app",
}
"""In the order of the help: module of this package, and the function or group in it."""


class CommandGroup(TyperGroup):
    """Imports the module of a command when it is asked for: all of them take a second, and a health check has no time
    for that. The help asks for all. ctx: of a class that Typer keeps to itself."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # For a wrong name Typer looks for the nearest one in `commands`.
        for name in [cmd_name] if cmd_name in _COMMANDS else _COMMANDS:
            if name not in self.commands:
                self.add_command(_load(name), name)
        return self.commands.get(cmd_name)


def _load(name: str) -> Any:
    module, _, attribute = _COMMANDS[name].partition(":")
    found = getattr(importlib.import_module(f"gateway.cli.{module}"), attribute)
    holder = typer.Typer(pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name, epilog=EXIT_CODES)(found)
    return get_group(holder).commands[name]


app = typer.Typer(
    name="iotlink",
    cls=CommandGroup,
    help="IoT-Link Gateway: device frames over TCP become ordered records.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _group() -> None:
    """Makes it a group, though Typer sees no command yet."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Exit code: 0 ok, 1 failed, 2 wrong usage or invalid input (specs and config too)."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="iotlink")
    except SystemExit as done:
        if isinstance(done.code, str):
            print_error(done.code)
            return EXIT_FAILED
        return done.code or EXIT_OK
    except (SpecError, OperatorError) as error:
        print_error(str(error))
        return EXIT_USAGE
    except LookupError as error:
        from decoders.catalog import UnknownProduct  # whoever raises it has the decoders loaded; others need not

        if not isinstance(error, UnknownProduct):
            raise
        print_error(str(error))
        return EXIT_USAGE
    except (GatewayError, OSError) as error:
        print_error(str(error))
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":  # `python -m gateway` is the usual way
    sys.exit(main())
