"""`iotlink ingest`: pushes a CSV or NDJSON file of any size to a gateway's REST face."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO
from urllib.parse import quote, urlencode

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gateway.cli.ingest_chunks import HEAD_BYTES, ChunkPlan, FileFormat, chunks_of, content_type_of, format_of
from gateway.cli.ingest_push import BadTarget, GaveUp, LineError, Pusher, Refused, Target
from gateway.cli.ingest_state import IngestState, StateFile, StateMismatch, head_digest
from gateway.cli.output import EXIT_FAILED, EXIT_USAGE, Output, fail, print_error, print_rows
from gateway.specs import cache_dir

__all__ = ["ingest"]

_STDIN = "-"
_AUTO = "auto"
_COLUMNS = ("accepted", "rejected", "chunks", "last_line")


def ingest(
    file: Annotated[str, typer.Argument(metavar="FILE", help="NDJSON, or CSV with a header row; - is stdin.")],
    url: Annotated[str, typer.Option(metavar="URL", help="Where the gateway takes REST.")] = "http://127.0.0.1:8080",
    product: Annotated[str, typer.Option(metavar="ID", help="Product of records that name none.")] = "",
    type_: Annotated[str, typer.Option("--type", help="telemetry, alert, event, log, master ...")] = "telemetry",
    format_: Annotated[str, typer.Option("--format", help="ndjson | csv | auto: by name, else by content.")] = _AUTO,
    key: Annotated[str, typer.Option(help="API key; others on this machine may see it: rather --key-env.")] = "",
    key_env: Annotated[str, typer.Option(metavar="NAME", help="Environment variable that holds the API key.")] = "",
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Records of one request.")] = 1_000,
    gzip: Annotated[bool, typer.Option("--gzip", help="Compress what is sent.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this file was interrupted.")] = False,
    errors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Errors by line as NDJSON; else on stderr.")
    ] = None,
    patience: Annotated[float, typer.Option(min=0, metavar="S", help="Try one request again for so long.")] = 300,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
) -> None:
    """Push a file, in requests that are sent again until they are answered, and add nothing twice.

    Exit code 1: it could not be sent to its end, or some lines were not taken.
    """
    if format_ not in (_AUTO, *FileFormat):
        raise typer.BadParameter(f"--format {format_}: ndjson, csv or auto is expected")
    if resume and file == _STDIN:
        raise typer.BadParameter("--resume needs a file: stdin cannot be read again")
    headers = _authorization(key, key_env)
    query = {"return": "errors", **({"product": product} if product else {})}
    path = "/v1/telemetry" if type_ == "telemetry" else f"/v1/records/{quote(type_, safe='')}"
    try:
        target = Target(url, f"{path}?{urlencode(query)}")
    except BadTarget as error:
        raise typer.BadParameter(f"--url {error}") from None
    with _opened(file) as source:
        head = _head(source)
        plan = ChunkPlan(format_of(file, head) if format_ == _AUTO else FileFormat(format_), batch)
        headers |= {"Content-Type": content_type_of(plan, head), "Accept": "application/json"}
        options = {"url": target.name + target.path, "format": plan.format, "batch": batch}
        run = _Run(file, source, head, options, resume=resume)
        with _Errors(errors, file, append=resume) as sink, _Bar(run) as bar:
            pusher = Pusher(target, headers, packed=gzip, patience_s=patience, waiting=bar.waiting)
            try:
                _push_all(run, plan, pusher, sink, bar)
            except (Refused, GaveUp) as stopped:
                bar.stop()
                run.say_how_to_go_on()
                fail(str(stopped))
            except KeyboardInterrupt:
                bar.stop()
                run.say_how_to_go_on()
                raise
            finally:
                pusher.close()
    state = run.state
    row = {"accepted": state.accepted, "rejected": state.rejected, "chunks": state.chunks, "last_line": state.last_line}
    print_rows([row], _COLUMNS, output)
    if state.rejected:
        raise typer.Exit(EXIT_FAILED)


def _push_all(run: _Run, plan: ChunkPlan, pusher: Pusher, sink: _Errors, bar: _Bar) -> None:
    state = run.state
    chunks = chunks_of(run.head, run.source, plan, after_line=state.last_line, number=state.chunks)
    for chunk in chunks:
        sent = pusher.push(chunk, state.key(chunk.number))
        for error in sent.errors:
            sink.put(error)
        state.accepted += sent.accepted
        state.rejected += sent.rejected
        state.chunks, state.last_line = chunk.number + 1, chunk.last_line
        run.keep()
        bar.moved()
    run.finished()


def _authorization(key: str, key_env: str) -> dict[str, str]:
    if key and key_env:
        raise typer.BadParameter("give --key or --key-env, not both")
    if key_env:
        key = os.environ.get(key_env, "")
        if not key:
            raise typer.BadParameter(f"--key-env {key_env}: there is no such environment variable, or it is empty")
    if not (key.isascii() and key.isprintable()):
        raise typer.BadParameter("the API key is no line of ASCII characters")
    return {"Authorization": f"Bearer {key}"} if key else {}


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == _STDIN:
        yield sys.stdin.buffer
        return
    with contextlib.ExitStack() as opened:
        try:
            source = opened.enter_context(Path(file).open("rb"))
        except OSError as error:
            fail(f"{file}: {error.strerror}", EXIT_USAGE)
        yield source


def _head(source: BinaryIO) -> bytes:
    """The beginning, as long as it can be: a pipe gives less at once."""
    head = bytearray()
    while len(head) < HEAD_BYTES and (piece := source.read(HEAD_BYTES - len(head))):
        head += piece
    return bytes(head)


class _Run:
    """One file on its way. state: what is acknowledged. Ends the command (2) where --resume fits nothing."""

    def __init__(self, file: str, source: BinaryIO, head: bytes, options: dict[str, Any], *, resume: bool) -> None:
        self.source = source
        self.head = head
        self.size = 0 if file == _STDIN else os.fstat(source.fileno()).st_size
        self.state = IngestState(uuid.uuid4().hex, options, head_digest(head), self.size)
        self._memory: StateFile | None = None
        if file == _STDIN:
            return
        self._memory = StateFile(cache_dir(os.environ), Path(file), str(options["url"]))
        if resume:
            self.state = self._begun(file)
        self.keep()

    def keep(self) -> None:
        if self._memory is None:
            return
        try:
            self._memory.write(self.state)
        except OSError as error:
            self._memory = None
            print_error(f"this cannot be resumed after an interruption: {error}")

    def finished(self) -> None:
        if self._memory is not None:
            self._memory.remove()

    def say_how_to_go_on(self) -> None:
        where = f"all up to line {self.state.last_line} is answered"
        print_error(f"{where}; --resume goes on behind it" if self._memory is not None else where)

    def _begun(self, file: str) -> IngestState:
        assert self._memory is not None
        begun = self._memory.read()
        if begun is None:
            fail(f"{file}: nothing of it is under way; without --resume it begins", EXIT_USAGE)
        try:
            self.state.check(begun)
        except StateMismatch as mismatch:
            fail(f"{file}: {mismatch}; without --resume it begins anew", EXIT_USAGE)
        return begun


class _Errors:
    """Where errors go, by line. append: behind those of the part that was sent before."""

    def __init__(self, path: Path | None, file: str, *, append: bool) -> None:
        self._path = path
        self._file = file
        self._mode = "ab" if append else "wb"
        self._open: IO[bytes] | None = None

    def __enter__(self) -> _Errors:
        if self._path is not None:
            try:
                self._open = self._path.open(self._mode)
            except OSError as error:
                fail(f"{self._path}: {error.strerror}", EXIT_USAGE)
        return self

    def __exit__(self, *_: object) -> None:
        if self._open is not None:
            self._open.close()

    def put(self, error: LineError) -> None:
        if self._open is not None:
            self._open.write(orjson.dumps(error.document(), option=orjson.OPT_APPEND_NEWLINE))
            return
        place = f" at {error.pointer}" if error.pointer else ""
        print_error(f"{self._file}:{error.line}: {error.code}: {error.message}{place}")


@dataclass(slots=True)
class _Shown:
    progress: Progress
    task: TaskID


class _Bar:
    """How far it is, on a terminal only."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._shown: _Shown | None = None
        if sys.stderr.isatty():
            columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
            progress = Progress(*columns, console=console, transient=True)
            self._shown = _Shown(progress, progress.add_task("", total=run.size or None))

    def __enter__(self) -> _Bar:
        if self._shown is not None:
            self._shown.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._shown is not None:
            self._shown.progress.stop()

    def moved(self) -> None:
        if self._shown is None:
            return
        run, shown = self._run, self._shown
        said = f"{run.state.accepted:,} accepted"
        if run.state.rejected:
            said += f", {run.state.rejected:,} rejected"
        done = run.source.tell() if run.size else None
        shown.progress.update(shown.task, completed=done, description=said)

    def waiting(self, reason: str, seconds: float) -> None:
        said = f"{reason}; again in {seconds:.1f} s"
        if self._shown is None:
            print_error(said)
        else:
            self._shown.progress.update(self._shown.task, description=said)
