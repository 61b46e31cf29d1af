"""The `iotlink` command: sub-commands, and what their errors mean for the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from decoders.catalog import UnknownProduct
from decoders.errors import SpecError
from gateway.cli import config, devices, dlq, spec
from gateway.cli.decode import decode
from gateway.cli.encode import encode
from gateway.cli.health import healthcheck
from gateway.cli.ingest import ingest
from gateway.cli.keys import app as keys_app
from gateway.cli.output import EXIT_CODES, EXIT_FAILED, EXIT_OK, EXIT_USAGE, print_error
from gateway.cli.send import send
from gateway.cli.serve import serve
from gateway.cli.sim import sim
from gateway.cli.version import version
from gateway.domain.errors import GatewayError, OperatorError

app = typer.Typer(
    name="iotlink",
    help="IoT-Link Gateway: device frames over TCP become ordered records.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config.app, name="config")
app.add_typer(keys_app, name="keys")
app.add_typer(spec.app, name="spec")
app.add_typer(dlq.app, name="dlq")
app.add_typer(devices.app, name="devices")
for command in (serve, decode, encode, send, sim, ingest, healthcheck, version):
    app.command(epilog=EXIT_CODES)(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Exit code: 0 ok, 1 failed, 2 wrong usage or invalid input (specs and config too)."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="iotlink")
    except SystemExit as done:
        if isinstance(done.code, str):
            print_error(done.code)
            return EXIT_FAILED
        return done.code or EXIT_OK
    except (SpecError, UnknownProduct, OperatorError) as error:
        print_error(str(error))
        return EXIT_USAGE
    except (GatewayError, OSError) as error:
        print_error(str(error))
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":  # `python -m gateway` is the usual way
    sys.exit(main())
