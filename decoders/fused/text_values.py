"""Values between marks, runs of characters, and text that stands for bytes, in generated code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from decoders.custom import PREFIX, bytes_by
from decoders.fused.scope import Structure, python_inputs
from decoders.fused.writer import Place, Writer
from decoders.layout import BytesWire, CharRun, Group, OptionalMark, Until, open_ended
from decoders.text_forms import decoded, run_end


def until(writer: Writer, size: Until) -> tuple[str, str]:
    """Looks for the mark and moves behind it; gives start and end of what stands before it."""
    out, start, end, width = writer.out, writer.position, writer.place.end, len(size.mark)
    found = out.fresh("x")
    if size.unit == 1:
        out.emit(f"{found} = b.find({size.mark!r}, {start}, {end})")
    else:
        out.emit(f"{found} = find_mark(b, {size.mark!r}, {start}, {end}, {size.unit})")
    if size.needed:
        writer.refuse_if(f"{found} < 0")
    else:
        with out.block(f"if {found} < 0:"):
            begins = f" and {start} != {writer.place.begin}" if writer.place.begin else ""
            before = f"b[{_before(writer, width)}:{start}] != {size.mark!r}"
            writer.refuse_if(f"{start} >= {end} and ({start} > {end} or {before}{begins})")
            out.emit(f"{found} = {end}")
    writer.move_to(found, width)
    return start, found


def _before(writer: Writer, width: int) -> str:
    """The position some bytes back, not before the frame."""
    here = writer.place
    if not here.base:
        return str(max(0, here.shift - width))
    return f"{here.base} + {here.shift - width}" if here.shift != width else here.base


def char_run(writer: Writer, size: CharRun) -> tuple[str, str]:
    start, stop = writer.position, writer.out.fresh("o")
    writer.out.emit(f"{stop} = {writer.out.bind(run_end(size.chars))}(b, {start}, {writer.place.end})")
    writer.move_to(stop)
    return start, stop


def optional_mark(writer: Writer, node: OptionalMark) -> None:
    start, after = writer.position, writer.out.fresh("o")
    test = f"b.startswith({node.data!r}, {start}, {writer.place.end})"
    writer.out.emit(f"{after} = {start} + {len(node.data)} if {test} else {start}")
    writer.move_to(after)


@contextmanager
def decoded_window(writer: Writer, group: Group, scope: Structure) -> Iterator[None]:
    """The rest of the window as the bytes that it stands for: what is written meanwhile reads these as `b`."""
    out, encoded = writer.out, group.encoded
    before = writer.open_ended, writer.slack, writer.frame
    data, end = out.fresh("b"), out.fresh("e")
    out.emit(f"{data} = b")
    if writer.frame == "b":
        writer.frame = data
    part = f"b[{writer.position}:{writer.place.end}]"
    if encoded.startswith(PREFIX):
        source = f"{out.bind(bytes_by)}({encoded.removeprefix(PREFIX)!r}, {part}, {python_inputs(scope)})"
    else:
        source = f"{out.bind(decoded)}({part}, {encoded!r})"
    out.emit(f"b = {source}")
    out.emit(f"{end} = len(b)")
    writer.place = Place("", 0, end, 0, "0")
    writer.open_ended, writer.slack = open_ended(group.nodes), 0
    yield
    writer.open_ended, writer.slack, writer.frame = before
    out.emit(f"b = {data}")


def text_form(wire: BytesWire) -> str:
    """What makes the raw value out of characters; `{x}` is their source."""
    if wire.form != "text":
        words = f", {_quoted(wire.strip)}, {_quoted(wire.words)}" if wire.words else ""
        strip = f", {_quoted(wire.strip)}" if wire.strip and not words else ""
        return f"read_{wire.form}({{x}}{words or strip})"
    trim = ".strip('\\0 ')" if wire.trim else ""
    strip = f".strip({_quoted(chr(0) + ' ' + wire.strip)})" if wire.strip else ""
    return f"{{x}}.decode({wire.encoding!r}, 'replace'){trim}{strip}" + (" or None" if wire.blank else "")


def _quoted(thing: object) -> str:
    """As source within a form, where braces are doubled."""
    return repr(thing).replace("{", "{{").replace("}", "}}")
