"""Layout -> one generated function per message: the fast codec of one kind of frame.

It gives the same values as the reference codec or raises `Refused`; `decoders.prove` holds the two against each other
before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from decoders.check_places import written_check
from decoders.convert import BASE
from decoders.faults import lifted
from decoders.formula import NAMESPACE
from decoders.fused import parallel, placing
from decoders.fused.assemble import assemble
from decoders.fused.formulas import FAILED
from decoders.fused.nodes import write_nodes
from decoders.fused.refusal import Refused, Unsupported
from decoders.fused.scope import Known, Structure, names_of
from decoders.fused.select import write_entry
from decoders.fused.writer import EMPTY_ITEMS, FAULTY, Place, Writer
from decoders.layout import Bit, MessageLayout, Value, fixed_size, least_size, open_ended
from decoders.raw import as_size, bcd_bits, bcd_text, find_mark, integer_of, magnitude, manufacturer_text, mixed_number
from decoders.reference.codec import FrameLayout
from decoders.source_writer import SourceWriter
from decoders.text_forms import READERS
from decoders.times import Zone
from decoders.types import SessionContext

FusedDecode = Callable[[bytes, SessionContext, Zone], tuple[str, dict[str, Any]]]


class FusedCodec:
    """Generated decoder of one kind of frame. Raises Unsupported when all of its messages need the reference codec.

    others: messages that are refused here and left to the reference codec, and why.
    """

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout
        self.namespace: dict[str, Any] = {
            "__builtins__": {call.__name__: call for call in (int, float, len, str, range, filter, min)},
            **NAMESPACE,
            **BASE,
            "Refused": Refused,
            "refuse": _refuse,
            **parallel.NAMESPACE,
            "FAILED": FAILED,
            "lifted": lifted,
            "written_check": written_check,
            **placing.NAMESPACE,
            "bcd_text": bcd_text,
            "manufacturer_text": manufacturer_text,
            "bcd_bits": bcd_bits,
            "integer_of": integer_of,
            **{f"read_{form}": function for form, function in READERS.items()},
            "magnitude": magnitude,
            "mixed_number": mixed_number,
            "from_bytes": int.from_bytes,
            "find_mark": find_mark,
            "as_size": as_size,
            "INTEGERS": (int, bool),
            "DIGITS": tuple(map(str, range(256))),
        }
        self.others: dict[str, str] = {}
        self.messages = tuple(dict.fromkeys(selector.message for selector in layout.selectors))
        """All messages that a frame of this kind can be; those that the gateway only sends are not among them."""
        functions = self._functions()
        entry = SourceWriter(self.namespace)
        self.others |= write_entry(entry, layout, self.others)
        if len(self.others) == len(self.messages):
            raise Unsupported(next(iter(self.others.values()), "no message of a device comes in it"))
        functions.append("\n".join(["def decode(b, s, z):", *entry.lines]))
        self._run(functions[-1])
        self.source = "\n\n\n".join(functions) + "\n"
        self.decode: FusedDecode = self.namespace["decode"]
        """`(data, context, zone_s) -> (message, values)`. Raises Refused or DecodeError(bad_value)."""

    def leave_out(self, messages: Mapping[str, str]) -> None:
        """Refuses these messages (name -> why) from now on: the reference codec reads them."""
        table: Any = self.namespace.get("MESSAGES", ())
        for index, name in enumerate(self.layout.messages):
            if name not in messages or name in self.others:
                continue
            self.others[name] = messages[name]
            function, self.namespace[f"message_{index}"] = self.namespace[f"message_{index}"], _refuse
            if isinstance(table, dict):
                table.update({key: _refuse for key, other in table.items() if other is function})
            else:
                table = tuple(_refuse if other is function else other for other in table)
        self.namespace["MESSAGES"] = table

    def _functions(self) -> list[str]:
        """Source of one function for each message that can be read here."""
        functions = []
        for index, (name, message) in enumerate(self.layout.messages.items()):
            if name not in self.messages:
                continue
            try:
                source = self._message(index, message)
                self._run(source)
            except Unsupported as error:
                self.others[name] = str(error)
            else:
                functions.append(source)
        return functions

    def _run(self, source: str) -> None:
        """Defines a function. Raises Unsupported for code beyond what Python compiles."""
        try:
            exec(compile(source, f"<fused {self.layout.name}>", "exec"), self.namespace)  # noqa: S102 - generated here
        except (SyntaxError, RecursionError, MemoryError) as error:
            if isinstance(error, SyntaxError) and not str(error.msg).startswith("too many"):
                raise
            raise Unsupported(f"rows that are too many or nest too deep: {error}") from None

    def _message(self, index: int, message: MessageLayout) -> str:
        out = SourceWriter(self.namespace)
        nodes = (*message.header, *message.body, *message.trailer)
        writer = Writer(out, names_of(nodes, message.trailer), write_nodes)
        scope = Structure(_of_session(self.layout.kept))
        writer.open_ended = open_ended(nodes)
        out.emit(f"{EMPTY_ITEMS} = 0")
        out.emit(f"{FAULTY} = False")
        front = fixed_size((*message.header, *message.body))
        if front is not None and not message.skip_rest:
            total = front + message.trailer_size
            out.emit(f"if n != {total}: raise Refused")
            body_size = front - (fixed_size(message.header) or 0)
            out.emit(f"body_length = {body_size}")
            writer.place = Place("", 0, "n", total)
            writer.body, writer.body_size = str(total - message.trailer_size - body_size), body_size
            writer.write(nodes, scope)
        else:
            _parts(writer, scope, message)
        _lengths(out, scope, message)
        values = assemble(writer, scope)
        if writer.faulty:
            out.emit(f"values = {values}")
            out.emit(f"if {FAULTY}: values = lifted(values)")
            values = "values"
        out.emit(f"return {message.message!r}, {values}")
        for name in ("body_length", "body", EMPTY_ITEMS, FAULTY):
            _drop_unread(out, name)
        title = message.message.replace('"', "'")
        return "\n".join([f"def message_{index}(b, n, s, z):", f'    """{title}"""', *out.lines])


def _of_session(kept: Iterable[str]) -> Structure:
    """What formulas read of the session, as the structure around all others."""
    known = {name: Known(f"s.values.get({name!r})", False, finite=False) for name in sorted(kept)}
    known["port"] = Known("s.port", kind="int")
    known["length"] = Known("body_length", kind="int", most=1 << 32)
    known["received"] = Known("(s.received_ms / 1000 if s.received_ms else None)", False, "float")
    known["device_id"] = Known("(s.device_id or None)", False, "text")
    return Structure(raw=known, values=dict(known))


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
        writer.place, writer.slack, writer.body = Place("", 0, "e", size), tail, str(size)
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
    out.emit(f"body_length = {writer.left if writer.open_ended else f'e - {writer.position}'}")
    out.emit(f"body = {writer.position}")
    writer.body = "body"
    _trailer(writer, scope, message)
    writer.place, writer.slack = body, tail
    _lengths(out, scope, message)
    writer.write(message.body, scope)
    _all_read(writer, message)


def _read_late(writer: Writer, message: MessageLayout) -> bool:
    """True when the body needs the trailer's values or its own length."""
    names = {node.name for node in message.trailer if isinstance(node, Value)}
    return bool(writer.names.raw & (names | {"length"})) or "length" in writer.names.values


def _trailer(writer: Writer, scope: Structure, message: MessageLayout) -> None:
    writer.place, writer.slack = Place("e", 0, "n", message.trailer_size), 0
    writer.write(message.trailer, scope)


def _all_read(writer: Writer, message: MessageLayout) -> None:
    if not message.skip_rest and writer.position != "e":
        writer.refuse_if(writer.unread("e"))


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
            known = scope.raw[part.name]
            missing = "" if known.sure else f"{known.source}.__class__ is not int or "
            unit = f" * {counts.unit}" if counts.unit != 1 else ""
            _once(out, f"if {missing}{known.source}{unit}{adjust} != {size}: raise Refused")
        if node.equals:
            _once(out, f"if {scope.raw[node.name].source} != {scope.raw[node.equals].source}: raise Refused")


def _drop_unread(out: SourceWriter, name: str) -> None:
    """Takes out the lines that set a variable which no other line reads."""
    sets = f"{name} = "
    if not any(re.search(rf"\b{name}\b", line) for line in out.lines if not line.lstrip().startswith(sets)):
        out.lines = [line for line in out.lines if not line.lstrip().startswith(sets)]


def _once(out: SourceWriter, line: str) -> None:
    if not any(line in done for done in out.lines):
        out.emit(line)
