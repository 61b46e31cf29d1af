"""`iotlink encode`: a frame of any message from its values, for tests of devices, specs and servers."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from decoders.encode import Encoder, strangers
from decoders.errors import DecodeError, EncodeError
from decoders.golden_builds import encoders_of
from decoders.product import CompiledProduct
from decoders.read_back import arrival_of, lost_values
from decoders.spec.problems import nearest
from decoders.times import Zone, unix_ms_from_iso, zone_of
from decoders.types import SessionContext
from gateway.cli.catalog import SpecsOption, open_product
from gateway.cli.decode import BadInput, Request, session_of
from gateway.cli.output import EXIT_FAILED, Output, print_error, print_json, print_line

_SHOWN = 10  # differences that are named


def encode(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Id of the product.")],
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="A message of its spec, uplink or downlink.")],
    values: Annotated[
        str, typer.Option(metavar="JSON|FILE", help="Values as `decode` gives them; `-` reads them from stdin.")
    ] = "{}",
    variant: Annotated[str, typer.Option(help="Variant of the product.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of frame, where the message comes in several.")] = "",
    zone: Annotated[str | None, typer.Option(help="Zone of the device's clock, such as +08:00.")] = None,
    session: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="What a login said: device_id=..., zone=+08:00, ...; may be repeated."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it arrives (RFC 3339); default: its first time, else now.")
    ] = None,
    specs: SpecsOption = None,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
) -> None:
    """Print the frame that a message with these values is: hex, or text where the product speaks text.

    Lengths, counts, constants and check values are filled in. The frame is read again: exit code 1 when the values do
    not fit, or when one of them is missing or differs by more than its field can tell.
    """
    loaded = open_product(specs, product)
    forms = loaded.forms()
    if variant not in forms:
        raise typer.BadParameter(_no("variant", variant, [name for name in forms if name]))
    form = forms[variant]
    encoder, name = _encoder(form, message, kind)
    given = _values(values, message)
    for path, words in strangers(encoder.nodes, given):
        print_error(_no("value", path, words))
        raise typer.Exit(EXIT_FAILED)
    received_ms = _arrival(at) or arrival_of(encoder, given) or time.time_ns() // 1_000_000
    port = int(encoder.when.get("port", 0))
    try:
        context = Request(b"", variant, port, session_of(session or []), received_ms).context()
    except BadInput as error:
        raise typer.BadParameter(f"--session: {error}") from None
    try:
        said: Zone = form.zone_s if context.zone_s is None else context.zone_s
        zone_s: Zone = said if zone is None else zone_of(zone)
    except ValueError as error:
        raise typer.BadParameter(f"--zone: {error}") from None
    context.zone_s = zone_s
    known = {**context.values, "received": received_ms / 1000}
    if context.device_id:
        known["device_id"] = context.device_id
    try:
        # What a device leaves empty or unsaid may be missing; of a command nothing may.
        wire = encoder.encode(given, zone_s, fill=not form.spec.messages[message].downlink, session=known)
    except (EncodeError, OverflowError) as error:
        print_error(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    faults = _read_back(form, encoder, wire, context, given)
    for fault in faults[:_SHOWN]:
        print_error(fault)
    if faults:
        print_error(f"the frame would be {wire.hex()}")
        raise typer.Exit(EXIT_FAILED)
    _print(form, message, name, wire, output)


def _arrival(at: str | None) -> int:
    """Unix ms of `--at`; 0 without it."""
    try:
        return unix_ms_from_iso(at) if at is not None else 0
    except ValueError as error:
        raise typer.BadParameter(f"--at: `{at}` is no time: {error}") from None


def _no(what: str, word: str, known: list[str]) -> str:
    close = nearest(word.rpartition(".")[2], known)
    listed = ", ".join(known[:40]) or "none"
    return f"no {what} `{word}` ({f'did you mean `{close}`?' if close else f'there are {listed}'})"


def _encoder(form: CompiledProduct, message: str, kind: str) -> tuple[Encoder, str]:
    """The encoder of a message and the name of its kind of frame."""
    if message not in form.spec.messages:
        raise typer.BadParameter(_no("message", message, list(form.spec.messages)))
    mine = encoders_of(form, message)
    if not mine:
        raise typer.BadParameter(f"`{message}` has no frame of its own: it comes as JSON or CSV")
    if kind and kind not in mine:
        raise typer.BadParameter(_no("kind of frame", kind, list(mine)))
    name = kind or next(iter(mine))
    return mine[name], name


def _values(text: str, message: str) -> dict[str, Any]:
    """A JSON object, or the answer of `decode`, which has it under `values`."""
    if text == "-":
        text = sys.stdin.read()
    elif not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"--values: neither a JSON object nor a file: {error}") from None
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"--values: not JSON: {error}") from None
    if isinstance(given, dict) and isinstance(given.get("values"), dict) and given.get("message") == message:
        given = given["values"]
    if not isinstance(given, dict):
        raise typer.BadParameter("--values: expected a JSON object")
    return given


def _print(form: CompiledProduct, message: str, kind: str, wire: bytes, output: Output | None) -> None:
    frame = form.spec.frames.get(kind) or form.spec.frame
    text = wire.decode("utf-8", "replace") if frame is not None and frame.format != "binary" else None
    if output in (Output.JSON, Output.NDJSON):
        answer = {"product": form.id, "message": message, "kind": kind, "hex": wire.hex()}
        if text is not None:
            answer["text"] = text
        (print_json if output is Output.JSON else print_line)(answer)
    else:
        typer.echo(wire.hex() if text is None else text)


def _read_back(
    form: CompiledProduct, encoder: Encoder, wire: bytes, context: SessionContext, given: Mapping[str, Any]
) -> list[str]:
    """Why the frame is not what was asked for; [] when it is."""
    name = encoder.message.message
    try:
        if not form.spec.messages[name].downlink:
            read_as = form.read(wire, context).message.name
            if read_as != name:
                return [f"the frame is read back as `{read_as}`"]
        zone_s = form.zone_s if context.zone_s is None else context.zone_s
        return [str(lost) for lost in lost_values(encoder, wire, given, context, zone_s)]
    except DecodeError as error:
        place = f" at {error.field}" if error.field else ""
        return [f"the frame is not read back: {error}{place}"]
