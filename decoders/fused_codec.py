"""Layout -> one generated function per message: the fast codec of one kind of frame.

It gives the same values as the reference codec or raises `Refused`; `decoders.prove` holds the two against each other
before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from decoders.convert import BASE
from decoders.errors import DecodeError
from decoders.fused_nodes import NodeWriter, Structure, Unsupported
from decoders.layout import Bit, BytesWire, IntWire, MessageLayout, Value, fixed_size, least_size
from decoders.raw import bcd_text, integer_of, magnitude
from decoders.reference import CheckPlace, FrameLayout, Selector
from decoders.source_writer import SourceWriter
from decoders.types import SessionContext

FusedDecode = Callable[[bytes, SessionContext, int], tuple[str, dict[str, Any]]]
_MAX_TABLE = 1024
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Refused(Exception):
    """The generated function cannot read this frame; the reference codec says why."""


class FusedCodec:
    """Generated decoder of one kind of frame. Raises Unsupported when the layout needs the reference codec."""

    def __init__(self, layout: FrameLayout) -> None:
        self.layout = layout
        self.namespace: dict[str, Any] = {
            "__builtins__": {"int": int, "len": len, "str": str, "range": range},
            **BASE,
            "Refused": Refused,
            "bcd_text": bcd_text,
            "integer_of": integer_of,
            "magnitude": magnitude,
            "from_bytes": int.from_bytes,
            "INTEGERS": (int, bool),
        }
        functions = [self._message(index, message) for index, message in enumerate(layout.messages.values())]
        self.source = "\n\n\n".join([*functions, self._frame()]) + "\n"
        exec(compile(self.source, f"<fused {layout.name}>", "exec"), self.namespace)  # noqa: S102 - generated above
        self.decode: FusedDecode = self.namespace["decode"]
        """`(data, context, zone_s) -> (message, values)`. Raises Refused or DecodeError(bad_value)."""

    def _message(self, index: int, message: MessageLayout) -> str:
        out = SourceWriter(self.namespace)
        nodes = (*message.header, *message.body, *message.trailer)
        writer = NodeWriter(out, nodes)
        scope = Structure()
        front, trailer_size = fixed_size((*message.header, *message.body)), message.trailer_size
        if front is not None and not message.skip_rest:
            total = front + trailer_size
            out.emit(f"if n != {total}: raise Refused")
            writer.end, writer.checked = "n", total
            out.emit(f"body_length = {total - trailer_size - (fixed_size(message.header) or 0)}")
            writer.write(nodes, scope)
        else:
            self._parts(out, writer, scope, message)
        self._lengths(out, scope, message)
        writer.assemble(scope, "values")
        out.emit("return values")
        if not any("body_length" in line for line in out.lines[1:] if "body_length =" not in line):
            out.lines = [line for line in out.lines if "body_length =" not in line]
        title = message.message.replace('"', "'")
        head = [f"def message_{index}(b, n, s, z):", f'    """{title}"""']
        return "\n".join([*head, *out.lines])

    def _parts(self, out: SourceWriter, writer: NodeWriter, scope: Structure, message: MessageLayout) -> None:
        """Header, then trailer, then body: the body's formulas may read the trailer. Where they do not, header and body
        are read in one go."""
        size = fixed_size(message.header)
        names = {node.name for node in message.trailer if isinstance(node, Value)}
        if size is not None and not names & (writer.in_layout | {"length"}) and "length" not in writer.in_layout:
            out.emit(f"e = n - {message.trailer_size}" if message.trailer_size else "e = n")
            out.emit(f"body_length = e - {size}")
            writer.checked = size
            writer.write((*message.header, *message.body), scope)
            if not message.skip_rest and writer.position != "e":
                out.emit(f"if {writer.position} != e: raise Refused")
            writer.end, writer.checked = "n", message.trailer_size
            writer.base, writer.shift = "e", 0
            writer.write(message.trailer, scope)
            return
        end = f"n - {message.trailer_size}" if message.trailer_size else "n"
        out.emit(f"e = {end}")
        writer.checked = least_size(message.header)
        writer.write(message.header, scope)
        start = writer.position
        if not start.isdigit() and not start.isidentifier():
            body = out.fresh("o")
            out.emit(f"{body} = {start}")
            start = body
        out.emit(f"body_length = e - {start}")
        if message.trailer:
            writer.end, writer.checked = "n", message.trailer_size
            writer.base, writer.shift = "e", 0
            writer.write(message.trailer, scope)
        writer.end, writer.checked = "e", 0
        writer.base, writer.shift = ("", int(start)) if start.isdigit() else (start, 0)
        self._lengths(out, scope, message)
        writer.write(message.body, scope)
        if not message.skip_rest and writer.position != "e":
            out.emit(f"if {writer.position} != e: raise Refused")

    def _lengths(self, out: SourceWriter, scope: Structure, message: MessageLayout) -> None:
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
                line = f"if {scope.raw[part.name].source}{adjust} != {size}: raise Refused"
                if not any(line in done for done in out.lines):
                    out.emit(line)
            if node.equals:
                line = f"if {scope.raw[node.name].source} != {scope.raw[node.equals].source}: raise Refused"
                if not any(line in done for done in out.lines):
                    out.emit(line)

    def _frame(self) -> str:
        out = SourceWriter(self.namespace)
        layout = self.layout
        out.emit("n = len(b)")
        if layout.least:
            out.emit(f"if n < {layout.least}: raise Refused")
        for place in layout.checks:
            out.emit(f"if {_stored(out, place)} != {out.bind(place.algorithm.function)}({_span(place)}): raise Refused")
        self._select(out)
        return "\n".join(["def decode(b, s, z):", *out.lines])

    def _select(self, out: SourceWriter) -> None:
        selectors = list(self.layout.selectors)
        numbers = {name: index for index, name in enumerate(self.layout.messages)}
        places = _Places(self.layout)
        chain, name, table = _chain_and_table(selectors)
        for selector in chain:
            tests = [places.test(name, spans) for name, spans in selector.tests]
            call = f"return {selector.message!r}, message_{numbers[selector.message]}(b, n, s, z)"
            if not tests:
                out.emit(call)
                return
            with out.block(f"if {' and '.join(tests)}:"):
                out.emit(call)
        if table is not None:
            self._table(out, table, places.source(name), selectors, numbers)
            return
        out.emit("raise Refused")

    def _table(
        self, out: SourceWriter, table: dict[int, str], key: str, selectors: Sequence[Selector], numbers: dict[str, int]
    ) -> None:
        """One dict look-up instead of a chain of tests. The dict is filled once the functions exist."""
        entries = ", ".join(f"{value}: ({name!r}, message_{numbers[name]})" for value, name in table.items())
        default = next((selector.message for selector in selectors if not selector.tests), None)
        out.emit(f"found = MESSAGES.get({key})")
        if default is None:
            out.emit("if found is None: raise Refused")
        else:
            out.emit(f"if found is None: found = ({default!r}, message_{numbers[default]})")
        out.emit("return found[0], found[1](b, n, s, z)")
        out.lines.append(f"\n\nMESSAGES = {{{entries}}}")


def _chain_and_table(selectors: Sequence[Selector]) -> tuple[Sequence[Selector], str, dict[int, str] | None]:
    """Selectors to be tried one after the other, then the name and table of those behind them that read one name."""
    for start in range(len(selectors)):
        names = {name for selector in selectors[start:] for name, _ in selector.tests}
        table = _table(selectors[start:]) if len(names) == 1 and "first" not in names else None
        if table is not None:
            return selectors[:start], names.pop(), table
    return selectors, "", None


def _table(selectors: Sequence[Selector]) -> dict[int, str] | None:
    """Selectors on one name as value -> message, the first selector winning; None when they are no small table."""
    table: dict[int, str] = {}
    for selector in selectors:
        for _, spans in selector.tests:
            for low, high in spans:
                if not isinstance(low, int) or not isinstance(high, int) or high - low + len(table) > _MAX_TABLE:
                    return None
                for value in range(low, high + 1):
                    table.setdefault(value, selector.message)
    return table


class _Places:
    """Where selectors find their values without reading the whole header."""

    def __init__(self, layout: FrameLayout) -> None:
        self.sources: dict[str, str] = {"port": "s.port"}
        offset = 0
        whole = True
        for node in layout.header:
            size = fixed_size((node,))
            if size is None:
                whole = False
                break
            if isinstance(node, Value) and isinstance(node.wire, IntWire) and node.wire.sign == "unsigned":
                self._add(node, str(offset), str(offset + size))
            elif isinstance(node, Value) and isinstance(node.wire, BytesWire) and node.wire.form == "hex":
                self.sources[node.name] = f"b[{offset}:{offset + size}].hex()"
            offset += size
        self.body = offset if whole else None
        if whole:
            self.sources["length"] = f"n - {offset + layout.trailer_size}"
        left = layout.trailer_size
        for node in layout.trailer:
            size = fixed_size((node,)) or 0
            if isinstance(node, Value) and isinstance(node.wire, IntWire) and node.wire.sign == "unsigned":
                self._add(node, f"n - {left}", f"n - {left - size}" if left > size else "n")
            left -= size

    def _add(self, node: Value, start: str, stop: str) -> None:
        assert isinstance(node.wire, IntWire)
        order = "big" if node.wire.big else "little"
        one = node.wire.size == 1
        source = f"b[{start}]" if one else f"from_bytes(b[{start}:{stop}], {order!r})"
        self.sources[node.name] = source
        for bit in node.bits:
            self.sources[bit.name] = _bit_source(source, bit)

    def source(self, name: str) -> str:
        if name not in self.sources:
            raise Unsupported(f"`when` reads `{name}`, which has no fixed place in the header")
        return self.sources[name]

    def test(self, name: str, spans: Sequence[tuple[int | str, int | str]]) -> str:
        if name == "first":
            if self.body is None:
                raise Unsupported("`when: {first: ...}` behind a header of changing size")
            starts = ", ".join(repr(bytes.fromhex(str(low))) for low, _ in spans)
            return f"b.startswith(({starts},), {self.body})"
        source = self.source(name)
        parts = [f"{source} == {low!r}" if low == high else f"{low!r} <= {source} <= {high!r}" for low, high in spans]
        return f"({' or '.join(parts)})" if len(parts) > 1 else parts[0]


def _bit_source(source: str, bit: Bit) -> str:
    return f"({source} >> {bit.at} & {(1 << bit.width) - 1})"


def _span(place: CheckPlace) -> str:
    return f"b[{place.start}:n - {place.tail}]" if place.tail else f"b[{place.start}:]"


def _stored(out: SourceWriter, place: CheckPlace) -> str:
    """Source of the check value that the frame carries."""
    size = place.wire.size
    start = f"n - {place.offset}" if place.from_end else str(place.offset)
    if size in _CODES:
        pattern = (">" if place.wire.big else "<") + _CODES[size]
        return f"{out.unpack(pattern)}(b, {start})[0]" if size > 1 else f"b[{start}]"
    stop = f"n - {place.offset - size}" if place.from_end else str(place.offset + size)
    return f"from_bytes(b[{start}:{stop}], {'big' if place.wire.big else 'little'!r})"


__all__ = ["DecodeError", "FusedCodec", "FusedDecode", "Refused", "Unsupported"]
