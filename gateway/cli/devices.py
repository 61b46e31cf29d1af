"""`iotlink devices password`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.access.credentials import MAX_PASSWORD_BYTES, hash_password
from gateway.cli.output import EXIT_CODES, EXIT_USAGE, fail

app = typer.Typer(no_args_is_help=True, help="Devices: the passwords that they log in with.")


@app.callback()
def devices() -> None:
    """Keeps `password` a sub-command while it is the only one."""


@app.command(epilog=EXIT_CODES)
def password(
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the password from stdin, one line, without asking.")
    ] = False,
) -> None:
    """Print the argon2id hash of a password: the `credential` of a device in `devices_file`, or the `password` of a
    client in `auth.clients`.

    The password is asked for twice and not shown. In YAML the hash stands in quotes.
    """
    print(hash_password(_from_stdin() if stdin else _asked()))


def _from_stdin() -> bytes:
    data = sys.stdin.buffer.read(MAX_PASSWORD_BYTES + 3)
    return _checked(data.removesuffix(b"\n").removesuffix(b"\r"))


def _asked() -> bytes:
    if not sys.stdin.isatty():
        fail("stdin is no terminal to ask on: give the password with --stdin", EXIT_USAGE)
    text: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return _checked(text.encode())


def _checked(password: bytes) -> bytes:
    if not password:
        fail("the password is empty", EXIT_USAGE)
    if len(password) > MAX_PASSWORD_BYTES:
        fail(f"the password is longer than {MAX_PASSWORD_BYTES} bytes", EXIT_USAGE)
    if b"\n" in password or b"\r" in password:
        fail("the password has more than one line", EXIT_USAGE)
    return password
