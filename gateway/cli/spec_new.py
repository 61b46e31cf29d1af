"""`iotlink spec new`: the folder of a product that works, to be changed into the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decoders.spec.problems import nearest
from decoders.spec.scaffold import KINDS, bad_name, scaffold
from gateway.cli.output import EXIT_FAILED, EXIT_USAGE, fail
from gateway.specs import shown

_KINDS = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Id of the product; also the name of its folder.")],
    kind: Annotated[str, typer.Option(help=_KINDS)] = "tcp",
    specs: Annotated[Path, typer.Option("--specs", metavar="DIR", help="Where the folder is made.")] = Path(),
) -> None:
    """Write a spec with comments and golden frames, ready for `spec test`. Nothing is overwritten."""
    if reason := bad_name(name):
        fail(reason, EXIT_USAGE)
    if kind not in KINDS:
        close = nearest(kind, KINDS)
        fail(
            f"no kind `{kind}` ({f'did you mean `{close}`?' if close else 'there are ' + ', '.join(KINDS)})", EXIT_USAGE
        )
    home = specs / name
    files = {home / file: text for file, text in scaffold(name, kind).items()}
    taken = [path for path in files if path.exists()]
    if taken:
        fail(f"{shown(taken[0])} is there already; nothing was written", EXIT_FAILED)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        typer.echo(shown(path))
    typer.echo(f"next: iotlink spec test {name} --specs {shown(specs) or '.'}")
