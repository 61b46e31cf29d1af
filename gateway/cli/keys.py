"""`iotlink keys create | ls | revoke`: API keys, in the key file that a running gateway reads again when it changes.

When a key was used last, the gateway writes down beside it, at most once a minute.
"""

from __future__ import annotations

import os
import pwd
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gateway.access.api_keys import hash_api_key, make_api_key
from gateway.access.key_file import KEY_FILE_NAME, IssuedKey, KeyFile, KeyFileError, revoke_key
from gateway.access.key_uses import KeyUses
from gateway.access.scopes import Call, Scope
from gateway.cli.config import ConfigOption, SetOption, load_or_exit
from gateway.cli.output import (
    EXIT_CODES,
    EXIT_USAGE,
    Output,
    chosen,
    fail,
    print_error,
    print_json,
    print_line,
    print_rows,
)
from gateway.observe.logs import rfc3339

app = typer.Typer(no_args_is_help=True, help="API keys: make, list and revoke them.")

_COLUMNS = (
    *("id", "state", "scopes", "products", "devices", "tenant"),
    *("created_at", "created_by", "expires_at", "last_used_at"),
)
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hd])")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the client; it stands in the key.")]
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help=f"Else `auth.key_file`, or {KEY_FILE_NAME} in `gateway.data_dir`."),
]
OutputOption = Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")]


@app.command(epilog=EXIT_CODES)
def create(
    id_: IdArgument,
    scope: Annotated[
        list[Call] | None, typer.Option(help="What it may call; may be repeated. Without: ingest.")
    ] = None,
    product: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this product; may be repeated.")] = None,
    device: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only this device, or `truck-*`; may be repeated.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant whose devices it has.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="90d, 12h, 2027-01-01 or a time (UTC). Without: never.")
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print-only", help="Keep nothing: the printed YAML goes into the configuration.")
    ] = False,
    key_file: KeyFileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    output: Annotated[
        Output | None, typer.Option("--output", help="table | json | ndjson. Without: the key alone.")
    ] = None,
) -> None:
    """Make an API key and print it, once: only its SHA-256 is kept. `KEY=$(iotlink keys create erp)` takes it.

    A running gateway takes it up within seconds. With --print-only the client comes as YAML too, for `auth.clients`.
    """
    now = time.time()
    try:
        key = make_api_key(id_)
    except ValueError as error:
        fail(f"{id_}: {error}", EXIT_USAGE)
    try:
        allowed = Scope.of(scope or [Call.INGEST], product or None, device or None, tenant)
        ends = _moment(expires, now) if expires is not None else None
    except ValueError as error:
        fail(str(error), EXIT_USAGE)
    issued = IssuedKey(id_, hash_api_key(key), allowed, now, _who(), ends)
    text = _yaml(issued)
    if print_only:
        kept = "it is kept nowhere. As a client of the configuration:\n"
    else:
        path = _path(key_file, config, set_, new_id=id_)
        _keep(path, issued)
        kept = f"its SHA-256 is in {path}."
    if output is None or output is Output.TABLE:
        print(f"{key}\n\n{text}" if print_only else f"{key}\n", end="")
        print_error(f"The key is shown this once; {kept}")
    else:
        row = {"key": key, "sha256": issued.digest.hex(), **issued.as_words(), "yaml": text}
        (print_json if output is Output.JSON else print_line)(row)


@app.command("ls", epilog=EXIT_CODES)
def list_keys(
    key_file: KeyFileOption = None, config: ConfigOption = None, set_: SetOption = None, output: OutputOption = None
) -> None:
    """List the keys of the key file, the oldest first; those of the configuration stand there.

    When a key was used last is written down by the gateway once a minute.
    """
    now = time.time()
    path = _path(key_file, config, set_)
    try:
        keys = KeyFile(path).read()
    except KeyFileError as error:
        fail(str(error))
    try:
        used = KeyUses(path, time.time).read()
    except KeyFileError as error:
        print_error(str(error))
        used = {}
    rows = []
    for key in keys:
        row = {**key.as_words(), "state": key.state(now)}
        if key.digest in used:
            row["last_used_at"] = rfc3339(used[key.digest])
        rows.append(row)
    print_rows(rows, _COLUMNS, output)


@app.command(epilog=EXIT_CODES)
def revoke(
    id_: IdArgument,
    key_file: KeyFileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    output: OutputOption = None,
) -> None:
    """Revoke the key of a client, for good; a running gateway refuses it within seconds. Exit code 1: there is none."""
    file = KeyFile(_path(key_file, config, set_))
    try:
        with file.edited() as keys:
            revoked = revoke_key(keys, id_, time.time(), _who())
    except KeyFileError as error:
        fail(str(error))
    if revoked is None:
        fail(f"{file.path}: no key of `{id_}` that is not revoked already; keys of the configuration are removed there")
    match chosen(output):
        case Output.TABLE:
            print(f"the key of `{id_}` is revoked")
        case shown:
            (print_json if shown is Output.JSON else print_line)({**revoked.as_words(), "state": "revoked"})


def _path(key_file: Path | None, config: Path | None, overrides: list[str] | None, *, new_id: str = "") -> Path:
    """Where the key file is. new_id: must not be a client of the configuration, whose entry would count instead."""
    settings = load_or_exit(config, overrides).settings
    if new_id and any(client.id == new_id for client in settings.auth.clients):
        fail(f"`{new_id}` is a client in `auth.clients` already: choose another id, or use --print-only", EXIT_USAGE)
    return key_file or settings.auth.key_file or settings.gateway.data_dir / KEY_FILE_NAME


def _keep(path: Path, issued: IssuedKey) -> None:
    try:
        with KeyFile(path).edited() as keys:
            if any(key.id == issued.id and key.revoked_unix_s is None for key in keys):
                raise _HasKey
            keys.append(issued)
    except _HasKey:
        fail(f"{path}: `{issued.id}` has a key already: revoke it first, or choose another id", EXIT_USAGE)
    except KeyFileError as error:
        fail(str(error))


class _HasKey(Exception):
    """Ends the editing without a change."""


def _moment(text: str, now: float) -> float:
    """Unix seconds of `90d`, `12h`, a date or a time. ValueError: none of these, or past."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        length = timedelta(hours=int(span[1])) if span[2] == "h" else timedelta(days=int(span[1]))
        return now + length.total_seconds()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--expires {text}: 90d, 12h, 2027-01-01 or 2027-01-01T08:00:00Z is expected") from None
    unix_s = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if unix_s <= now:
        raise ValueError(f"--expires {text}: this is over already")
    return unix_s


def _who() -> str:
    """Who runs this command, as audit lines name them."""
    uid = os.getuid()
    try:
        return f"local:{pwd.getpwuid(uid).pw_name}"
    except KeyError:  # a container's user need not have a name
        return f"local:uid-{uid}"


def _yaml(issued: IssuedKey) -> str:
    """The client as an entry of the configuration; JSON's texts and lists are YAML's too."""
    words = issued.as_words()
    rows: dict[str, object] = {"id": issued.id, "api_key_sha256": issued.digest.hex()}
    rows |= {name: words[name] for name in ("scopes", "products", "devices", "tenant") if name in words}
    if "expires_at" in words:
        rows["expires"] = words["expires_at"]
    lines = [f"{name}: {orjson.dumps(value).decode()}" for name, value in rows.items()]
    return "auth:\n  clients:\n    - " + "\n      ".join(lines) + "\n"
