"""How every command speaks: tables for people, JSON for programs, errors on stderr, three exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import orjson
import typer

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2  # wrong usage or invalid input
EXIT_CODES = "Exit codes: 0 done; 1 failed; 2 wrong usage, or a spec or config that cannot be used; 130 interrupted."


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"


JsonOption = Annotated[bool, typer.Option("--json", help="Short for --output json.")]


def chosen(output: Output | None) -> Output:
    """What `--output` says; without it a table on a terminal, NDJSON into a pipe or file."""
    if output is not None:
        return output
    return Output.TABLE if sys.stdout.isatty() else Output.NDJSON


def color_allowed() -> bool:
    """Colors only on a terminal, and never with NO_COLOR set to anything (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], output: Output | None = None) -> None:
    """Prints rows as a table with these columns, or whole as JSON."""
    match chosen(output):
        case Output.JSON:
            print_json(list(rows))
        case Output.NDJSON:
            for row in rows:
                print_line(row)
        case Output.TABLE:
            from rich.console import Console  # here: a tenth of a second that few commands need
            from rich.table import Table

            table = Table(*columns, box=None, pad_edge=False, header_style="bold")
            for row in rows:
                table.add_row(*(_cell(row.get(column)) for column in columns))
            # Into a pipe nothing is cut to the width of a screen that is not there.
            width = None if sys.stdout.isatty() else 10_000
            Console(width=width, no_color=not color_allowed(), highlight=False, markup=False, emoji=False).print(table)


def print_json(value: Any) -> None:
    """One document, indented."""
    _write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def print_line(value: Any) -> None:
    """One line of NDJSON."""
    _write(orjson.dumps(value, default=str, option=orjson.OPT_APPEND_NEWLINE))


def print_error(text: str) -> None:
    """To stderr, so that it never mixes with what a program reads."""
    print(text, file=sys.stderr)


def fail(text: str, code: int = EXIT_FAILED) -> NoReturn:
    """Says why on stderr and ends the command."""
    print_error(text)
    raise typer.Exit(code)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _write(data: bytes) -> None:
    sys.stdout.write(data.decode())
    sys.stdout.flush()
