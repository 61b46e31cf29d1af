"""The entry of a generated codec: which message the frame is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from decoders.formula import Formula
from decoders.fused.formulas import over_raw
from decoders.fused.header import read_header
from decoders.fused.nodes import write_nodes
from decoders.fused.refusal import Unsupported
from decoders.fused.scope import Known, Structure, names_of
from decoders.fused.writer import Place, Writer
from decoders.layout import Bit, BytesWire, IntWire, Node, Value, fixed_size, walk
from decoders.raw import bits_source
from decoders.reference.codec import FrameLayout, Selector
from decoders.source_writer import SourceWriter
from decoders.window_calls import without_calls

_MAX_TABLE = 1024
_TEXTS = {"hex": "{}.hex()", "mbus_manufacturer": "manufacturer_text({})"}
"""Forms whose raw values `when` may name -> their source."""
_NEXT = frozenset({"remaining", "next_u8", "next_u16"})
_BYTE = re.compile(r"b\[\d+\]")


def write_entry(out: SourceWriter, layout: FrameLayout, others: Mapping[str, str]) -> dict[str, str]:
    """Writes the body of `decode(b, s, z)`, which calls `message_<number>` of the layout's messages.

    others: messages without a function: they are refused. Gives those that are refused too because their `when`, or
    that of a message before them, cannot be read here, and why.
    """
    out.emit("n = len(b)")
    if layout.least:
        out.emit(f"if n < {layout.least}: raise Refused")
    places = _Places(layout)
    try:
        places.read_rest(out, layout)
    except Unsupported as error:
        return _give_up(out, layout.selectors, error)
    functions = {name: "refuse" if name in others else f"message_{index}" for index, name in enumerate(layout.messages)}
    chain, name, table = _chain_and_table(layout.selectors)
    for index, selector in enumerate(chain):
        try:
            tests = [places.test(name, spans) for name, spans in selector.tests]
        except Unsupported as error:
            return _give_up(out, layout.selectors[index:], error)
        call = f"return {functions[selector.message]}(b, n, s, z)"
        if not tests:
            out.emit(call)
            return {}
        with out.block(f"if {' and '.join(tests)}:"):
            out.emit(call)
    if table is None:
        out.emit("raise Refused")
        return {}
    try:
        key = places.source(name)
    except Unsupported as error:
        return _give_up(out, layout.selectors[len(chain) :], error)
    rest = next((selector.message for selector in layout.selectors if not selector.tests), None)
    found = {value: functions[message] for value, message in table.items()}
    _look_up(out, key, found, "refuse" if rest is None else functions[rest])
    return {}


def _give_up(out: SourceWriter, selectors: Sequence[Selector], error: Unsupported) -> dict[str, str]:
    """A frame that has come so far may be any of these: they are all refused."""
    out.emit("raise Refused")
    return {selector.message: str(error) for selector in selectors}


def _look_up(out: SourceWriter, key: str, table: dict[int | str, str], other: str) -> None:
    """One look-up instead of a chain of tests. The table is filled once the functions exist."""
    if _BYTE.fullmatch(key):
        out.emit(f"return MESSAGES[{key}](b, n, s, z)")
        entries = ", ".join(table.get(value, other) for value in range(256))
        out.lines.append(f"\n\nMESSAGES = ({entries})")
    else:
        out.emit(f"return MESSAGES.get({key}, {other})(b, n, s, z)")
        entries = ", ".join(f"{value!r}: {function}" for value, function in table.items())
        out.lines.append(f"\n\nMESSAGES = {{{entries}}}")


def _chain_and_table(selectors: Sequence[Selector]) -> tuple[Sequence[Selector], str, dict[int | str, str] | None]:
    """Selectors to be tried one after the other, then the name and table of those behind them that read one name."""
    for start in range(len(selectors)):
        names = {name for selector in selectors[start:] for name, _ in selector.tests}
        computed = any(selector.formulas for selector in selectors[start:])
        table = _table(selectors[start:]) if len(names) == 1 and "first" not in names and not computed else None
        if table is not None:
            return selectors[:start], names.pop(), table
    return selectors, "", None


def _table(selectors: Sequence[Selector]) -> dict[int | str, str] | None:
    """Selectors on one name as value -> message, the first selector winning; None when they are no small table."""
    table: dict[int | str, str] = {}
    for selector in selectors:
        for _, spans in selector.tests:
            for low, high in spans:
                if isinstance(low, str) and low == high and len(table) < _MAX_TABLE:
                    table.setdefault(low, selector.message)
                    continue
                if not isinstance(low, int) or not isinstance(high, int) or high - low + len(table) > _MAX_TABLE:
                    return None
                for value in range(low, high + 1):
                    table.setdefault(value, selector.message)
    return table


class _Places:
    """Where selectors find their values without reading the whole header."""

    def __init__(self, layout: FrameLayout) -> None:
        self.sources: dict[str, str] = {"port": "s.port"}
        self.computed: set[str] = set()  # formulas: anything may come out of them
        self.tail = layout.trailer_size
        self.own = {name for node in walk((*layout.header, *layout.trailer)) for name in _raw_names(node)}
        offset = 0
        whole = True
        for node in layout.header:
            size = fixed_size((node,))
            if size is None:
                whole = False
                break
            if isinstance(node, Value) and isinstance(node.wire, IntWire) and node.wire.sign == "unsigned":
                self._add(node, [str(offset + index) for index in range(size + 1)])
            elif isinstance(node, Value) and isinstance(node.wire, BytesWire) and node.wire.form in _TEXTS:
                self.sources[node.name] = _TEXTS[node.wire.form].format(f"b[{offset}:{offset + size}]")
            offset += size
        self.body = str(offset) if whole else ""
        if whole and "length" not in self.own:
            self.sources["length"] = f"n - {offset + layout.trailer_size}"
        left = layout.trailer_size
        for node in layout.trailer:
            size = fixed_size((node,)) or 0
            if isinstance(node, Value) and isinstance(node.wire, IntWire) and node.wire.sign == "unsigned":
                self._add(node, [f"n - {left - index}" if left > index else "n" for index in range(size + 1)])
            left -= size
        named = Counter(name for node in walk((*layout.header, *layout.trailer)) for name in _raw_names(node))
        behind = {name for node in walk(layout.trailer) for name in _raw_names(node)}
        self.unclear = {name for name, count in named.items() if count > 1 and name in behind}
        self.sources = {name: source for name, source in self.sources.items() if named[name] <= 1}

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
            if bit.bcd:
                continue
            if bit.parts:
                self.sources[bit.name] = bits_source(whole, bit)
                continue
            byte = bit.at // 8
            if bit.at + bit.width <= 8 * (byte + 1):  # all in one byte
                self.sources[bit.name] = _bit(f"b[{places[size - 1 - byte if big else byte]}]", bit.at % 8, bit)
            else:
                self.sources[bit.name] = _bit(whole, bit.at, bit)

    def read_rest(self, out: SourceWriter, layout: FrameLayout) -> None:
        """Reads the whole header where `when` asks for what has no fixed place."""
        formulas = {name: formula for selector in layout.selectors for name, formula in selector.formulas.items()}
        wanted = {name for selector in layout.selectors for name, _ in selector.tests} - formulas.keys()
        wanted |= {name for formula in formulas.values() for name in without_calls(formula.names)} - _NEXT
        built_in = {"first", "length"} - self.own
        if wanted & self.unclear:
            raise Unsupported(f"`when` reads `{min(wanted & self.unclear)}`, which several rows give")
        if self.body:
            wanted.discard("first")
        if wanted - self.sources.keys() or (formulas and not self.body):
            found, self.body = read_header(out, layout, wanted - self.sources.keys() - built_in)
            self.sources = {**found, **self.sources}
        if lost := wanted & self.own - self.sources.keys():
            raise Unsupported(f"`when` reads `{min(lost)}`, which has no fixed place in the header")
        if formulas:
            self._compute(out, layout, formulas)

    def _compute(self, out: SourceWriter, layout: FrameLayout, formulas: Mapping[str, Formula]) -> None:
        """Writes code that works out the formulas of `when`, at the start of the body."""
        out.emit(f"e = n - {layout.trailer_size}" if layout.trailer_size else "e = n")
        out.emit(f"body_length = e - {self.body}")
        writer = Writer(out, names_of(layout.header), write_nodes)
        fixed = self.body.isdigit()
        writer.place = Place("" if fixed else self.body, int(self.body) if fixed else 0, "e")
        writer.body = self.body
        scope = Structure(raw={name: Known(source, sure=False) for name, source in self.sources.items()})
        for name, formula in formulas.items():
            variable = out.fresh("when")
            out.emit(f"{variable} = {over_raw(writer, formula, scope).source}")
            self.sources[name] = variable
            self.computed.add(name)

    def source(self, name: str) -> str:
        if name not in self.sources:
            raise Unsupported(f"`when` reads `{name}`, which has no fixed place in the header")
        return self.sources[name]

    def test(self, name: str, spans: Sequence[tuple[int | str, int | str]]) -> str:
        if name == "first":
            if not self.body:
                raise Unsupported("`when: {first: ...}` behind a header of changing size")
            starts = ", ".join(repr(bytes.fromhex(str(low))) for low, _ in spans)
            behind = f", n - {self.tail}" if self.tail else ""
            return f"b.startswith(({starts},), {self.body}{behind})"
        source = self.source(name)
        guard = f"{source}.__class__ in INTEGERS and " if name in self.computed else ""
        parts = [
            f"{source} == {low!r}" if low == high else f"{guard}{low!r} <= {source} <= {high!r}" for low, high in spans
        ]
        return f"({' or '.join(parts)})" if len(parts) > 1 else parts[0]


def _raw_names(node: Node) -> list[str]:
    return [part.name for part in node.parts] if isinstance(node, Value) else []


def _bit(source: str, at: int, bit: Bit) -> str:
    mask = (1 << bit.width) - 1
    return f"({source} >> {at} & {mask})" if at else f"({source} & {mask})"
