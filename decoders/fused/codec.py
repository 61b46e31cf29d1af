"""Layout -> one generated function per message: the fast codec of one kind of frame.

It gives the same values as the reference codec or raises `Refused`; `decoders.prove` holds the two against each other
before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from decoders.convert import BASE
from decoders.formula import NAMESPACE
from decoders.fused.assemble import assemble
from decoders.fused.formulas import FAILED
from decoders.fused.nodes import write_nodes
from decoders.fused.refusal import Refused
from decoders.fused.scope import Structure, names_of
from decoders.fused.select import write_entry
from decoders.fused.writer import Place, Writer
from decoders.layout import Bit, MessageLayout, Value, fixed_size, least_size
from decoders.raw import bcd_text, integer_of, magnitude
from decoders.reference.codec import FrameLayout
from decoders.source_writer import SourceWriter
from decoders.types import SessionContext

FusedDecode = Callable[[bytes, SessionContext, int], tuple[str, dict[str, Any]]]


class FusedCodec:
    """Generated decoder of one kind of frame. Raises Unsupported when the layout needs the reference codec."""

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout
        self.namespace: dict[str, Any] = {
            "__builtins__": {"int": int, "float": float, "len": len, "str": str, "range": range, "filter": filter},
            **NAMESPACE,
            **BASE,
            "Refused": Refused,
            "refuse": _refuse,
            "FAILED": FAILED,
            "bcd_text": bcd_text,
            "integer_of": integer_of,
            "magnitude": magnitude,
            "from_bytes": int.from_bytes,
            "INTEGERS": (int, bool),
            "DIGITS": tuple(map(str, range(256))),
        }
        functions = [self._message(index, message) for index, message in enumerate(layout.messages.values())]
        entry = SourceWriter(self.namespace)
        write_entry(entry, layout)
        functions.append("\n".join(["def decode(b, s, z):", *entry.lines]))
        self.source = "\n\n\n".join(functions) + "\n"
        exec(compile(self.source, f"<fused {layout.name}>", "exec"), self.namespace)  # noqa: S102 - generated above
        self.decode: FusedDecode = self.namespace["decode"]
        """`(data, context, zone_s) -> (message, values)`. Raises Refused or DecodeError(bad_value)."""

    def _message(self, index: int, message: MessageLayout) -> str:
        out = SourceWriter(self.namespace)
        nodes = (*message.header, *message.body, *message.trailer)
        writer, scope = Writer(out, names_of(nodes), write_nodes), Structure()
        front = fixed_size((*message.header, *message.body))
        if front is not None and not message.skip_rest:
            total = front + message.trailer_size
            out.emit(f"if n != {total}: raise Refused")
            out.emit(f"body_length = {front - (fixed_size(message.header) or 0)}")
            writer.place = Place("", 0, "n", total)
            writer.write(nodes, scope)
        else:
            _parts(writer, scope, message)
        _lengths(out, scope, message)
        out.emit(f"return {message.message!r}, {assemble(writer, scope)}")
        if not any("body_length" in line for line in out.lines if "body_length =" not in line):
            out.lines = [line for line in out.lines if "body_length =" not in line]
        title = message.message.replace('"', "'")
        return "\n".join([f"def message_{index}(b, n, s, z):", f'    """{title}"""', *out.lines])


def _refuse(*_arguments: object) -> NoReturn:
    raise Refused


def _parts(writer: Writer, scope: Structure, message: MessageLayout) -> None:
    """Header, then trailer, then body: the body's formulas may read the trailer. Where they do not, header and body
    are read in one go."""
    out, tail = writer.out, message.trailer_size
    size = fixed_size(message.header)
    out.emit(f"e = n - {tail}" if tail else "e = n")
    if size is not None and not _read_late(writer, message):
        out.emit(f"body_length = e - {size}")
        writer.place, writer.slack = Place("", 0, "e", size), tail
        writer.write((*message.header, *message.body), scope)
        _all_read(writer, message)
        _trailer(writer, scope, message)
        return
    writer.place, writer.slack = Place("", 0, "e", least_size(message.header)), tail
    writer.write(message.header, scope)
    body = writer.place
    if body.base and body.shift:
        start = out.fresh("o")
        out.emit(f"{start} = {writer.position}")
        body = Place(start, 0, "e")
    writer.place = body
    out.emit(f"body_length = e - {writer.position}")
    _trailer(writer, scope, message)
    writer.place, writer.slack = body, tail
    _lengths(out, scope, message)
    writer.write(message.body, scope)
    _all_read(writer, message)


def _read_late(writer: Writer, message: MessageLayout) -> bool:
    """True when the body needs the trailer's values or its own length."""
    names = {node.name for node in message.trailer if isinstance(node, Value)}
    return bool(writer.names.raw & (names | {"length"}))


def _trailer(writer: Writer, scope: Structure, message: MessageLayout) -> None:
    writer.place, writer.slack = Place("e", 0, "n", message.trailer_size), 0
    writer.write(message.trailer, scope)


def _all_read(writer: Writer, message: MessageLayout) -> None:
    if not message.skip_rest and writer.position != "e":
        writer.refuse_if(f"{writer.position} != e")


def _lengths(out: SourceWriter, scope: Structure, message: MessageLayout) -> None:
    """Length fields and fields that must be equal, once each."""
    for node in (*message.header, *message.trailer):
        if not isinstance(node, Value):
            continue
        parts: list[Value | Bit] = [node, *node.bits]
        for part in parts:
            counts = part.counts
            if counts is None:
                continue
            size = "body_length" if counts.span is None else f"n - {counts.span.start + counts.span.tail}"
            adjust = f" + {counts.adjust}" if counts.adjust else ""
            _once(out, f"if {scope.raw[part.name].source}{adjust} != {size}: raise Refused")
        if node.equals:
            _once(out, f"if {scope.raw[node.name].source} != {scope.raw[node.equals].source}: raise Refused")


def _once(out: SourceWriter, line: str) -> None:
    if not any(line in done for done in out.lines):
        out.emit(line)
