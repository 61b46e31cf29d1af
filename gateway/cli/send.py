"""`iotlink send`: plays one device from hex."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Annotated, Any

import typer

from decoders.types import SessionContext
from gateway.cli.catalog import SpecsOption, open_product
from gateway.cli.decode import BadInput, frame_bytes
from gateway.cli.output import EXIT_FAILED, Output, chosen, fail, print_rows
from gateway.cli.sim import HostOption, PortOption
from gateway.simulate.talk import AnswerReader, Exchange, expected_answers, talk


def send(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Id of the product.")],
    frames: Annotated[list[str], typer.Argument(metavar="HEX...", help="Frames, in order.")],
    host: HostOption = "127.0.0.1",
    port: PortOption = 5023,
    login: Annotated[str | None, typer.Option(metavar="HEX", help="A frame to send first.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="S", help="Wait so long for each answer.")] = 2,
    specs: SpecsOption = None,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
) -> None:
    """Send frames as a device and print the answers. Exit code 1 when an answer that the spec promises is missing."""
    compiled = open_product(specs, product).product
    context, now_ms = SessionContext(), time.time_ns() // 1_000_000
    try:
        wires = [frame_bytes(text) for text in ([login] if login else []) + frames]
    except BadInput as error:
        raise typer.BadParameter(str(error)) from None
    plan = [(wire, expected_answers(compiled, wire, context, now_ms)) for wire in wires]
    try:
        exchanges = asyncio.run(talk(host, port, plan, timeout))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error) or "no connection in time"
        fail(f"{host}:{port}: {reason}")
    reader = AnswerReader(compiled)
    rows = []
    complete = len(exchanges) == len(plan)
    for (_, expected), exchange in zip(plan, exchanges, strict=False):
        complete &= len(exchange.answers) >= len(expected)
        rows.append(_row(exchange, reader))
    if chosen(output) is Output.TABLE:
        for row in rows:
            row["decoded"] = [" ".join(map(str, item.values())) for item in row["decoded"] if item]
    print_rows(rows, ("sent", "answers", "decoded", "ms", "closed"), output)
    if not complete:
        raise typer.Exit(EXIT_FAILED)


def _row(exchange: Exchange, reader: AnswerReader) -> dict[str, Any]:
    known = [reader.read(answer) for answer in exchange.answers]
    return {
        "sent": exchange.frame.hex(),
        "answers": [answer.hex() for answer in exchange.answers],
        "decoded": [{"message": item[0], "values": item[1]} if item else None for item in known],
        "ms": exchange.milliseconds,
        "closed": exchange.closed,
    }
