"""`iotlink dlq ls | show | replay | purge`: dead letters of a running gateway, or of a stopped one's files.

A running gateway is asked through its admin API. Of a stopped one the files are read (`ls`, `show`, `replay
--dry-run`) and cleaned (`purge`); only a running gateway has a way to the sinks, so a replay needs one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.config import ConfigOption, SetOption, load_or_exit
from gateway.cli.letter_sources import Api, Files, Refused, Unreachable, request_of
from gateway.cli.output import (
    EXIT_FAILED,
    EXIT_USAGE,
    Output,
    chosen,
    fail,
    print_error,
    print_json,
    print_line,
    print_rows,
)
from gateway.settings.model import Settings

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, look at, replay and purge them.")

_COLUMNS = ("id", "received_at", "reason", "product", "device_id", "message", "attempts", "detail")
_ROWS = ("id", "reason", "outcome", "records", "now", "detail")

ProductOption = Annotated[str | None, typer.Option(metavar="ID", help="Only of this product.")]
ReasonOption = Annotated[str | None, typer.Option(metavar="CODE", help="Only with this reason, such as truncated.")]
DeviceOption = Annotated[str | None, typer.Option(metavar="ID", help="Only of this device (`tenant/id` too).")]
StageOption = Annotated[str | None, typer.Option(help="Only from this stage: decode, validate, shape, access, sink.")]
SinceOption = Annotated[str | None, typer.Option(metavar="TIME", help="Arrived then or later: 2026-03-01T08:00:00Z.")]
UntilOption = Annotated[str | None, typer.Option(metavar="TIME", help="Arrived before.")]
IdOption = Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only this letter; may be repeated.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would become of them.")]
UrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Admin API of the gateway; else as configured, else its files.")
]
OutputOption = Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")]


@app.command("ls")
def list_letters(
    product: ProductOption = None,
    reason: ReasonOption = None,
    device: DeviceOption = None,
    stage: StageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    id_: IdOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most letters to list, the oldest first.")] = 1000,
    config: ConfigOption = None,
    set_: SetOption = None,
    url: UrlOption = None,
    output: OutputOption = None,
) -> None:
    """List dead letters, the oldest first."""
    wanted = request_of(product, reason, device, stage, since, until, id_)
    with _failing_well():
        source = _source(config, set_, url)
        rows = list(_up_to(limit, source.letters(wanted, limit)))
        print_rows(rows, _COLUMNS, output)
        if len(rows) == limit:
            print_error(f"these are the first {limit}; --limit shows more")


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the letter, as `ls` shows it.")],
    config: ConfigOption = None,
    set_: SetOption = None,
    url: UrlOption = None,
    output: OutputOption = None,
) -> None:
    """Print all that is known of one letter: raw bytes, session, times, reason."""
    with _failing_well():
        letter = _source(config, set_, url).letter(id_)
        (print_line if chosen(output) is Output.NDJSON else print_json)(letter)


@app.command()
def replay(
    product: ProductOption = None,
    reason: ReasonOption = None,
    device: DeviceOption = None,
    stage: StageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    id_: IdOption = None,
    all_: Annotated[bool, typer.Option("--all", help="All letters; needed where no filter is given.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Most letters to replay; else all that fit.")] = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    url: UrlOption = None,
    output: OutputOption = None,
) -> None:
    """Send letters through today's specs again. Exit code 1 when some are still dead letters.

    Records keep their ids and times of arrival and are marked as replayed. What still fails stays where it is.
    """
    wanted = request_of(product, reason, device, stage, since, until, id_)
    if not (wanted or all_ or dry_run):
        fail("say which letters: a filter, --id, or --all", EXIT_USAGE)
    with _failing_well():
        source = _source(config, set_, url)
        if isinstance(source, Files) and not dry_run:
            fail(f"{source.why_files}; a replay needs a running gateway: start it, or use --dry-run")
        total: dict[str, Any] = {}
        for answer in source.replay(wanted, limit, dry_run=dry_run):
            _add(total, answer)
        _print_replay(total, output)
        if total["problem"]:
            print_error(total["problem"])
        if total["problem"] or total["failed"] or total["refused"] or total["pending"]:
            raise typer.Exit(EXIT_FAILED)


@app.command()
def purge(
    product: ProductOption = None,
    reason: ReasonOption = None,
    device: DeviceOption = None,
    stage: StageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    id_: IdOption = None,
    all_: Annotated[bool, typer.Option("--all", help="All letters.")] = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    url: UrlOption = None,
    output: OutputOption = None,
) -> None:
    """Delete letters for good. Needs a filter or --all."""
    wanted = request_of(product, reason, device, stage, since, until, id_)
    if not (wanted or all_):
        fail("say which letters: a filter, --id, or --all", EXIT_USAGE)
    with _failing_well():
        answer = _source(config, set_, url).purge(wanted, dry_run=dry_run)
        if chosen(output) is Output.TABLE:
            print_rows(
                [{"reason": name, "letters": count} for name, count in answer["reasons"].items()],
                ("reason", "letters"),
                output,
            )
            print(f"{answer['purged']} {'would go' if dry_run else 'deleted'}")
        else:
            (print_json if output is Output.JSON else print_line)(answer)


class _failing_well:
    """Ends the command with the reason and the right exit code."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case Refused():
                fail(str(error), EXIT_USAGE if error.ours else EXIT_FAILED)
            case Unreachable():
                fail(str(error))
            case _:
                return  # as of every command


def _source(config: Path | None, overrides: list[str] | None, url: str | None) -> Api | Files:
    """Where the letters are to be had: the API that was named, the one that is configured, or the files."""
    if url is not None:
        return Api(url)
    loaded = load_or_exit(config, overrides)
    settings = loaded.settings
    why = _asked(settings)
    if isinstance(why, Api):
        return why
    return Files(loaded, why)


def _asked(settings: Settings) -> Api | str:
    """The gateway of these settings, or why it cannot be asked."""
    admin = settings.admin
    if admin is None or not admin.enabled:
        return "the admin API is switched off"
    if not admin.port:
        return "the admin API has no fixed port (--url says which one a running gateway has)"
    host = f"[{admin.host}]" if ":" in admin.host else admin.host
    api = Api(f"http://{host}:{admin.port}")
    try:
        directory = api.directory()
    except Unreachable:
        return "the gateway does not run"
    if os.path.realpath(directory) != os.path.realpath(settings.dead_letters.dir):
        return f"the gateway at {api.url} has other letters ({directory})"
    return api


def _up_to(limit: int, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for count, row in enumerate(rows, 1):
        yield row
        if count == limit:
            return


def _add(total: dict[str, Any], answer: Mapping[str, Any]) -> None:
    """Adds up the answers of one replay."""
    for name, value in answer.items():
        if isinstance(value, (bool, str)):
            total[name] = value
        elif isinstance(value, int):
            total[name] = total.get(name, 0) + value
        elif isinstance(value, list):
            total.setdefault(name, []).extend(value)
        elif isinstance(value, Mapping):
            _add(total.setdefault(name, {}), value)


def _print_replay(total: Mapping[str, Any], output: Output | None) -> None:
    match chosen(output):
        case Output.JSON:
            print_json(total)
        case Output.NDJSON:
            for row in total["letters"]:
                print_line(row)
            print_line({name: value for name, value in total.items() if name != "letters"})
        case Output.TABLE:
            print_rows(total["letters"], _ROWS, output)
            verb = "would become" if total["dry_run"] else "became"
            print(
                f"{total['matched']} letters: {total['replayed']} {verb} {total['records']} records, "
                f"{total['failed']} still fail, {total['refused']} not taken, {total['pending']} not settled yet"
            )
