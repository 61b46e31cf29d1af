"""`iotlink decode`: frames from hex to values, records and replies; one frame, or a line in and a line out."""

from __future__ import annotations

import json
import string
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, BinaryIO

import orjson
import typer

from decoders.catalog import Catalog, LoadedProduct
from decoders.explain import explain
from decoders.product import CompiledProduct
from decoders.spec.problems import nearest
from decoders.spec.source import scalar
from decoders.spec.variants import variant_document
from decoders.times import unix_ms_from_iso, zone_of
from decoders.types import SessionContext
from gateway.cli.catalog import SpecsOption, memory, open_product
from gateway.cli.output import EXIT_FAILED, JsonOption, Output, chosen, print_error, print_json, print_line, print_rows
from gateway.pipeline.preview import Preview, refusal
from gateway.specs import prove_once

_READ_BYTES = 1 << 16
_MAX_LINE_BYTES = 4 << 20
_MAX_HEX = 64  # digits of one field that a table shows


class BadInput(ValueError):
    """What was given is no frame, not even a wrong one."""


@dataclass(slots=True)
class Request:
    """One frame to decode, and what a session would know about it. text: it was given as text."""

    wire: bytes
    variant: str = ""
    port: int = 0
    session: dict[str, Any] = field(default_factory=dict)
    received_ms: int = 0
    text: bool = False

    def context(self) -> SessionContext:
        """Raises BadInput."""
        values = dict(self.session)
        device_id = values.pop("device_id", "")
        zone_s = values.pop("zone_s", None)
        columns = values.pop("columns", ())
        if (zone := values.pop("zone", None)) is not None:
            try:
                zone_s = zone_of(str(zone))
            except ValueError as error:
                raise BadInput(f"session: {error}") from None
        elif not isinstance(zone_s, int | None):
            raise BadInput("session: `zone_s` is a number of seconds; `zone` such as +08:00")
        if not isinstance(device_id, str):
            raise BadInput("session: `device_id` is text")
        if not isinstance(columns, str | list | tuple):
            raise BadInput("session: `columns` are names, such as time,temperature")
        names = tuple(columns.split(",") if isinstance(columns, str) else map(str, columns))
        return SessionContext(device_id, self.variant, self.port, zone_s, self.received_ms, values, names)


class FrameReader:
    """Answers requests for one product and its variants."""

    def __init__(self, loaded: LoadedProduct) -> None:
        self.product = loaded.product
        self._previews = {name: Preview(form) for name, form in loaded.forms().items()}

    def preview(self, variant: str) -> Preview:
        """Raises BadInput for a variant that the product does not have."""
        found = self._previews.get(variant)
        if found is None:
            known = [name for name in self._previews if name]
            close = nearest(variant, known)
            hint = f"did you mean `{close}`?" if close else f"there are {', '.join(known) or 'none'}"
            raise BadInput(f"no variant `{variant}` ({hint})")
        return found

    def read(self, request: Request, now_ms: int) -> dict[str, Any]:
        """Raises BadInput."""
        preview = self.preview(request.variant)
        return preview.read(request.wire, request.context(), request.received_ms or now_ms, text=request.text)

    def read_line(self, line: bytes, now_ms: int) -> bytes:
        """One line of `--stdin` -> one line of JSON without its end. Never raises."""
        try:
            return _json(self.read(parse_line(line), now_ms))
        except BadInput as error:
            return _json(refusal("bad_input", str(error)))
        except Exception as error:  # a fault of ours costs this line, not all that follow
            return _json(refusal("internal_error", f"{type(error).__name__}: {error}"))


def parse_line(line: bytes) -> Request:
    """Hex, or a JSON object with `hex` (or `text`), `port`, `variant`, `session`, `received_at`. Raises BadInput."""
    line = line.strip()
    if not line:
        raise BadInput("the line is empty")
    if line[:1] != b"{":
        return Request(frame_bytes(line.decode("ascii", "replace")))
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"not JSON: {error}") from None
    text = not isinstance(given.get("hex"), str)
    if not text:
        wire = frame_bytes(given["hex"])
    elif isinstance(given.get("text"), str):
        wire = _text(given["text"])
    else:
        raise BadInput("expected the frame as text under `hex`")
    given = {name: value for name, value in given.items() if value is not None}
    port, variant, session = given.get("port", 0), given.get("variant", ""), given.get("session", {})
    if not isinstance(port, int) or not isinstance(variant, str) or not isinstance(session, dict):
        raise BadInput("`port` is a whole number, `variant` a text, `session` an object")
    return Request(wire, variant, port, session, _moment(given.get("received_at")), text)


def frame_bytes(text: str) -> bytes:
    """Hex, blanks allowed. Raises BadInput."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        wrong = next((sign for sign in text if not sign.isspace() and sign not in string.hexdigits), "")
        what = f"`{wrong}` is no hexadecimal digit" if wrong else "half a byte is missing"
        raise BadInput(f"not hex: {what}") from None


def _text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"not text: {error.reason}") from None


def _moment(given: Any) -> int:
    """RFC 3339, or Unix milliseconds -> Unix ms; 0 for None."""
    if given is None:
        return 0
    try:
        return given if isinstance(given, int) else unix_ms_from_iso(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"`{given}` is no time: {error}") from None


def _json(answer: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        return json.dumps(answer).encode()


# The command


def decode(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Id of the product.")],
    frame: Annotated[
        str | None, typer.Argument(metavar="[HEX]", help="A whole frame; `-` reads it from stdin.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Each line of stdin is hex or JSON; a JSON line out.")] = False,
    port: Annotated[int, typer.Option(help="LoRaWAN port, or similar.")] = 0,
    variant: Annotated[str, typer.Option(help="Variant of the product.")] = "",
    session: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="What a login said: device_id=..., zone=+08:00, ...; may be repeated."),
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Arrival, RFC 3339; also the time of replies.")] = None,
    text: Annotated[bool, typer.Option("--text", help="The frame is given as text, not as hex.")] = False,
    explained: Annotated[bool, typer.Option("--explain", help="Show every field with its place and bytes.")] = False,
    specs: SpecsOption = None,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what becomes of a frame: values, records, replies. Exit code 1 when it cannot be read."""
    if stdin == (frame is not None):
        raise typer.BadParameter("give either HEX or --stdin")
    loaded = open_product(specs, product)
    reader = FrameReader(loaded)
    if stdin:
        prove_once(Catalog.of([loaded]), memory())
        decode_lines(reader, sys.stdin.buffer, sys.stdout.buffer)
        return
    given = sys.stdin.read().strip() if frame == "-" else frame or ""
    try:
        request = Request(
            _text(given) if text else frame_bytes(given), variant, port, session_of(session or []), _moment(at), text
        )
        answer = reader.read(request, time.time_ns() // 1_000_000)
        if explained:
            _explain(answer, loaded, reader.preview(variant).product, variant, request)
    except BadInput as error:
        raise typer.BadParameter(str(error)) from None
    _print(answer, Output.JSON if as_json else output)
    if not answer["ok"]:
        raise typer.Exit(EXIT_FAILED)


def decode_lines(reader: FrameReader, source: BinaryIO, target: BinaryIO) -> None:
    """One line out for each line in; written after each read, so that a co-process gets its answers at once."""
    for lines in read_lines(source):
        now_ms = time.time_ns() // 1_000_000
        target.write(b"".join(reader.read_line(line, now_ms) + b"\n" for line in lines))
        target.flush()


def read_lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """The lines that each read completes. A line beyond 4 MiB comes cut off, and is bad input whatever it was."""
    held = bytearray()
    skipping = False
    while data := source.read1(_READ_BYTES):  # type: ignore[attr-defined]
        first, newline, rest = data.partition(b"\n")
        if not skipping:
            held += first
        if not newline:
            if len(held) > _MAX_LINE_BYTES:
                skipping = True
            continue
        lines = [bytes(held), *rest.split(b"\n")]
        held = bytearray(lines.pop())
        skipping = False
        yield lines
    if held:
        yield [bytes(held)]


def _explain(
    answer: dict[str, Any], loaded: LoadedProduct, form: CompiledProduct, variant: str, request: Request
) -> None:
    """Adds every field with its bytes; to an error the row of the spec and what stands there."""
    found = explain(form, request.wire, request.context(), text=request.text)
    answer["fields"] = [item.to_plain() for item in found]
    if answer["ok"] or not found or not found[-1].error:
        return
    fault = found[-1]
    answer["error"]["hex"] = fault.hex
    if fault.row is not None:
        document = loaded.document
        if variant:
            document = variant_document(document, variant, loaded.product.spec.variants[variant])
        file, line, column = document.where(fault.row)
        answer["error"]["row"] = f"{file}:{line}:{column}: {document.path_text(fault.row)}"


def session_of(pairs: list[str]) -> dict[str, Any]:
    """`name=value` texts -> what a session knows. Raises BadInput."""
    session: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadInput(f"session: expected name=value, got '{pair}'")
        try:
            session[name] = value if name in ("device_id", "zone") else scalar(value)
        except ValueError as error:
            raise BadInput(f"session: {name}: {error}") from None
    return session


def _print(answer: dict[str, Any], output: Output | None) -> None:
    match chosen(output):
        case Output.JSON:
            print_json(answer)
        case Output.NDJSON:
            print_line(answer)
        case Output.TABLE:
            _print_for_people(answer)


def _print_for_people(answer: dict[str, Any]) -> None:
    if fields := answer.get("fields"):
        columns = ("offset", "size", "hex", "path", "raw", "value")
        print_rows([_field_line(item) for item in fields], columns, Output.TABLE)
        typer.echo()
    if answer["ok"]:
        typer.echo(f"{answer['product']} {answer['message']} of {answer['device_id'] or 'an unknown device'}\n")
    broken = {item["field"]: item["code"] for item in answer.get("violations", ())}
    rows = [
        {"name": name, "value": _shown(value), "": broken.pop(name, "")} for name, value in answer["values"].items()
    ]
    rows += [{"name": name, "": code} for name, code in broken.items()]
    if rows:
        print_rows(rows, ("name", "value", ""), Output.TABLE)
    for index, record in enumerate(answer.get("records", ())):
        typer.echo(f"\nrecord {index}: {_shown(record)}")
    for index, reply in enumerate(answer.get("replies", ())):
        typer.echo(f"\nreply {index}: {reply}")
    if not answer["ok"]:
        error = answer["error"]
        place = f" at byte {error['offset']}" if error["offset"] is not None else ""
        place += f" in {error['field']}" if error["field"] else ""
        print_error(f"{error['code']}{place}: {error['detail']}")
        if error.get("hex"):
            print_error(f"there: {_cut(error['hex'])}")
        if error.get("row"):
            print_error(f"row: {error['row']}")


def _field_line(item: dict[str, Any]) -> dict[str, Any]:
    value = f"! {item['error']}" if "error" in item else _shown(item["value"])
    return {**item, "hex": _cut(item["hex"]), "value": value}


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_HEX else f"{text[:_MAX_HEX]}…"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
