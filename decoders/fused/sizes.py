"""Counts and sizes that are read or worked out, and values of such a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from decoders.checksum import checksum
from decoders.formula import Formula
from decoders.fused.assemble import formula_row
from decoders.fused.formulas import over_raw
from decoders.fused.scope import Known, Structure
from decoders.fused.text_values import char_run, until
from decoders.fused.values import take
from decoders.fused.wires import byte_form, read_integer
from decoders.fused.writer import Place, Writer
from decoders.layout import BytesWire, CharRun, Derived, IntWire, Node, Prefix, Rest, Size, Skip, Until, Value
from decoders.raw import MAY_FAIL


def sized_value(writer: Writer, node: Value, scope: Structure) -> None:
    """A value of bytes whose number is not fixed."""
    assert isinstance(node.wire, BytesWire)
    start, stop = span(writer, node.wire.size, scope)
    _take_bytes(writer, node, f"b[{start}:{stop}]", scope)


def _take_bytes(writer: Writer, node: Value, source: str, scope: Structure) -> None:
    """What follows once it is known where the bytes of a value are."""
    assert isinstance(node.wire, BytesWire)
    if node.const is None and node.wire.form not in MAY_FAIL and not node.bits and writer.names.unread(node):
        return
    variable, form = writer.out.fresh(node.name), byte_form(node.wire)
    if form.count("{x}") == 1 and node.const is None:
        source, form = form.format(x=source), ""
    writer.out.emit(f"{variable} = {source}")
    take(writer, node, variable, form, scope)


def running_check(writer: Writer, node: Value, scope: Structure) -> None:
    """A check value that stands where the rows before it end, and covers what is before it."""
    out, check, at = writer.out, node.check, writer.out.fresh("o")
    assert check is not None
    out.emit(f"{at} = {writer.position}")
    value = f"{out.bind(checksum(check.algorithm).function)}({writer.frame}[{check.span.start}:{at}])"
    if isinstance(node.wire, IntWire):
        variable = read_integer(writer, node.wire, node.name)
        writer.refuse_if(f"{variable} != {value} & {(1 << 8 * node.wire.size) - 1}")
    else:
        assert isinstance(node.wire, BytesWire)
        start, stop = span(writer, node.wire.size, scope)
        variable = out.fresh(node.name)
        out.emit(f"{variable} = {byte_form(node.wire).format(x=f'b[{start}:{stop}]')}")
        writer.refuse_if(f"{variable}.upper() != written_check({value}, {check.written!r}, {node.wire.size})")
    take(writer, replace(node, check=None), variable, "", scope)


def token_mark(node: Node) -> bytes:
    """The mark that may stand behind a value of a text; b"" for all other nodes."""
    match node:
        case Value(wire=BytesWire(size=Until(mark=mark, needed=False))) | Skip(size=Until(mark=mark, needed=False)):
            return mark
    return b""


def token_run(writer: Writer, run: Sequence[Value | Skip | Derived], scope: Structure) -> None:
    """Two or more values that follow each other between equal marks: cut in one go."""
    out, mark, index = writer.out, token_mark(run[0]), 0
    count = sum(not isinstance(node, Derived) for node in run)
    parts, after, end = out.fresh("parts"), out.fresh("o"), writer.place.end
    out.emit(f"{parts} = b[{writer.position}:{end}].split({mark!r}, {count})")
    out.emit(f"if len({parts}) > {count}: {after} = {end} - len({parts}[{count}])")
    out.emit(f"elif len({parts}) == {count}: {after} = {end} + {len(mark)}")
    out.emit("else: raise Refused")
    writer.move_to(after)
    for node in run:
        if isinstance(node, Derived):
            formula_row(writer, node, scope)
            continue
        if isinstance(node, Value):
            _take_bytes(writer, node, f"{parts}[{index}]", scope)
        index += 1


def span(writer: Writer, size: Size, scope: Structure) -> tuple[str, str]:
    """Checks that the bytes are there and moves behind them; gives their start and end."""
    if isinstance(size, int):
        writer.require(size)
        start = writer.position
        writer.advance(size)
        return start, writer.position
    if isinstance(size, Until):
        return until(writer, size)
    if isinstance(size, CharRun):
        return char_run(writer, size)
    if isinstance(size, Rest):
        start = writer.position
        writer.move_to(writer.place.end)
        return start, writer.position
    if isinstance(size, Prefix):
        length = read_integer(writer, size.wire)
        if size.itself:
            writer.out.emit(f"{length} -= {size.wire.size}")
            writer.refuse_if(f"{length} < 0")
    else:
        length = whole(writer, size, scope).source
    start, stop = writer.position, writer.out.fresh("o")
    writer.out.emit(f"{stop} = {start} + {length}")
    nothing = f" and {length}" if writer.open_ended else ""  # nothing may be read behind the end
    writer.refuse_if(f"{stop} > {writer.place.end}{nothing}")
    writer.move_to(stop)
    return start, stop


def enter_span(writer: Writer, size: Size, scope: Structure) -> Place:
    """Goes into a window of that size; gives the place behind it, in the window around."""
    start, stop = span(writer, size, scope)
    behind = writer.place
    begin, end = writer.out.fresh("o"), writer.out.fresh("e")
    writer.out.emit(f"{begin}, {end} = {start}, {stop}")
    writer.place = Place(begin, 0, end, 0, begin)
    return behind


def whole(writer: Writer, formula: Formula, scope: Structure) -> Known:
    """A count or size by formula: a whole number that is not negative."""
    if formula.text.isdigit():
        return Known(formula.text, kind="int", most=int(formula.text))
    known = over_raw(writer, formula, scope)
    variable = known.source
    if not variable.isidentifier():
        variable = writer.out.fresh("n")
        writer.out.emit(f"{variable} = {known.source}")
    if known.kind == "int" and known.sure:
        if known.most is None:
            writer.refuse_if(f"{variable} < 0")
    else:
        if known.kind in ("float", "any"):
            variable, value = writer.out.fresh("n"), variable
            writer.out.emit(f"{variable} = as_size({value})")
        writer.refuse_if(f"{variable}.__class__ is not int or {variable} < 0")
    return Known(variable, kind="int", most=known.most)


def count_of(writer: Writer, formula: Formula | None, wire: IntWire | None, most: int, scope: Structure) -> str:
    """The number of items, at most `most`; "" when they go to the end."""
    if wire is not None:
        known = Known(read_integer(writer, wire), kind="int", most=(1 << 8 * wire.size) - 1)
    elif formula is not None:
        known = whole(writer, formula, scope)
    else:
        return ""
    if known.most is None or known.most > most:
        writer.refuse_if(f"{known.source} > {most}")
    return known.source
