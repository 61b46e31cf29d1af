"""The entry of a generated codec: which message the frame is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from decoders.fused.refusal import Unsupported
from decoders.layout import Bit, BytesWire, IntWire, Value, fixed_size
from decoders.reference.codec import FrameLayout, Selector
from decoders.source_writer import SourceWriter

_MAX_TABLE = 1024
_BYTE = re.compile(r"b\[\d+\]")


def write_entry(out: SourceWriter, layout: FrameLayout) -> None:
    """Writes the body of `decode(b, s, z)`, which calls `message_<number>` of the layout's messages."""
    out.emit("n = len(b)")
    if layout.least:
        out.emit(f"if n < {layout.least}: raise Refused")
    places = _Places(layout)
    numbers = {name: index for index, name in enumerate(layout.messages)}
    chain, name, table = _chain_and_table(layout.selectors)
    for selector in chain:
        tests = [places.test(name, spans) for name, spans in selector.tests]
        call = f"return message_{numbers[selector.message]}(b, n, s, z)"
        if not tests:
            out.emit(call)
            return
        with out.block(f"if {' and '.join(tests)}:"):
            out.emit(call)
    if table is None:
        out.emit("raise Refused")
        return
    functions = {key: f"message_{numbers[message]}" for key, message in table.items()}
    rest = next((selector.message for selector in layout.selectors if not selector.tests), None)
    _look_up(out, places.source(name), functions, "refuse" if rest is None else f"message_{numbers[rest]}")


def _look_up(out: SourceWriter, key: str, table: dict[int, str], other: str) -> None:
    """One look-up instead of a chain of tests. The table is filled once the functions exist."""
    if _BYTE.fullmatch(key):
        out.emit(f"return MESSAGES[{key}](b, n, s, z)")
        entries = ", ".join(table.get(value, other) for value in range(256))
        out.lines.append(f"\n\nMESSAGES = ({entries})")
    else:
        out.emit(f"return MESSAGES.get({key}, {other})(b, n, s, z)")
        entries = ", ".join(f"{value}: {function}" for value, function in table.items())
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
                self._add(node, [str(offset + index) for index in range(size + 1)])
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
                self._add(node, [f"n - {left - index}" if left > index else "n" for index in range(size + 1)])
            left -= size

    def _add(self, node: Value, places: list[str]) -> None:
        """places: of each byte of the integer, and of what follows it."""
        assert isinstance(node.wire, IntWire)
        big, size = node.wire.big, node.wire.size
        whole = f"from_bytes(b[{places[0]}:{places[-1]}], {'big' if big else 'little'!r})"
        if size == 1:
            whole = f"b[{places[0]}]"
        elif size == 2:
            high, low = (places[0], places[1]) if big else (places[1], places[0])
            whole = f"(b[{high}] << 8 | b[{low}])"
        self.sources[node.name] = whole
        for bit in node.bits:
            byte = bit.at // 8
            if bit.at + bit.width <= 8 * (byte + 1):  # all in one byte
                self.sources[bit.name] = _bit(f"b[{places[size - 1 - byte if big else byte]}]", bit.at % 8, bit)
            else:
                self.sources[bit.name] = _bit(whole, bit.at, bit)

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


def _bit(source: str, at: int, bit: Bit) -> str:
    mask = (1 << bit.width) - 1
    return f"({source} >> {at} & {mask})" if at else f"({source} & {mask})"
