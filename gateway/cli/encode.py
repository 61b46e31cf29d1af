"""`iotlink encode`: a frame of any message from its values, for tests of devices, specs and servers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from decoders.encode import Encoder, strangers
from decoders.errors import DecodeError, EncodeError
from decoders.golden import same
from decoders.product import CompiledProduct
from decoders.spec.problems import nearest
from decoders.times import Zone, zone_of
from decoders.types import SessionContext
from gateway.cli.catalog import SpecsOption, open_product
from gateway.cli.output import EXIT_FAILED, Output, print_error, print_json, print_line

_SHOWN = 5  # differences that are named


def encode(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Id of the product.")],
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="A message of its spec, uplink or downlink.")],
    values: Annotated[
        str, typer.Option(metavar="JSON|FILE", help="Values as `decode` gives them; `-` reads them from stdin.")
    ] = "{}",
    variant: Annotated[str, typer.Option(help="Variant of the product.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of frame, where the message comes in several.")] = "",
    zone: Annotated[str | None, typer.Option(help="Zone of the device's clock, such as +08:00.")] = None,
    specs: SpecsOption = None,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
) -> None:
    """Print the frame that a message with these values is: hex, or text where the product speaks text.

    Lengths, counts and check values are filled in. What the frame is read back as is compared with what was given.
    Exit code 1 when the values do not fit.
    """
    loaded = open_product(specs, product)
    forms = loaded.forms()
    if variant not in forms:
        raise typer.BadParameter(_no("variant", variant, [name for name in forms if name]))
    form = forms[variant]
    encoder, name = _encoder(form, message, kind)
    given = _values(values, message)
    for path, known in strangers(encoder.nodes, given):
        print_error(_no("value", path, known))
        raise typer.Exit(EXIT_FAILED)
    try:
        zone_s: Zone = form.zone_s if zone is None else zone_of(zone)
    except ValueError as error:
        raise typer.BadParameter(f"--zone: {error}") from None
    try:
        # What a device leaves empty or unsaid may be missing; of a command nothing may.
        wire = encoder.encode(given, zone_s, fill=not form.spec.messages[message].downlink)
    except (EncodeError, OverflowError) as error:
        print_error(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    _print(form, message, name, wire, output)
    if not form.spec.messages[message].downlink:
        context = SessionContext(variant=variant, port=int(encoder.when.get("port", 0)), zone_s=zone_s)
        _read_back(form, wire, context, message, given)


def _no(what: str, word: str, known: list[str]) -> str:
    close = nearest(word.rpartition(".")[2], known)
    listed = ", ".join(known[:40]) or "none"
    return f"no {what} `{word}` ({f'did you mean `{close}`?' if close else f'there are {listed}'})"


def _encoder(form: CompiledProduct, message: str, kind: str) -> tuple[Encoder, str]:
    """The encoder of a message and the name of its kind of frame."""
    if message not in form.spec.messages:
        raise typer.BadParameter(_no("message", message, list(form.spec.messages)))
    names = {item.kind.index: item.kind.name for item in form.kinds}
    mine = {names.get(index, ""): encoder for (index, name), encoder in form.encoders.items() if name == message}
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
    form: CompiledProduct, wire: bytes, context: SessionContext, message: str, given: Mapping[str, Any]
) -> None:
    """Says what the frame is read as, where that is not what was given."""
    try:
        decoded = form.read(wire, context)
    except DecodeError as error:
        print_error(f"the frame is not read back: {error}")
        return
    if decoded.message.name != message:
        print_error(f"the frame is read back as `{decoded.message.name}`")
        return
    found = decoded.values
    different = [name for name, value in given.items() if value is not None and not same(value, found.get(name))]
    for name in different[:_SHOWN]:
        if name in found:
            print_error(f"{name}: {given[name]!r} is read back as {found[name]!r}")
