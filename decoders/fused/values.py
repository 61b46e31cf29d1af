"""Raw variable -> raw value -> value: constant checks, conversions, bits, and where the value is kept.

A value is kept in a variable, or, where a branch may give many values, put straight into the dict of its structure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from decoders.checksum import checksum
from decoders.convert import Convert, one_of
from decoders.faults import Fault, fault_of_value
from decoders.fused.formulas import inlined
from decoders.fused.missing import note_missing
from decoders.fused.placing import placed
from decoders.fused.refusal import Unsupported
from decoders.fused.scope import Known, OwnValue, Structure
from decoders.fused.writer import Writer
from decoders.layout import (
    STATUS,
    Bit,
    BytesWire,
    Check,
    FloatWire,
    FormulaWire,
    IntWire,
    PythonWire,
    RecordWire,
    Value,
    Wire,
)
from decoders.raw import BCD_NUMBERS, INTEGER_FORMS, MIXED, MIXED_INTEGERS, bits_source
from decoders.text_forms import READERS, WHOLE_FORMS

_KINDS = {int: "int", bool: "bool", float: "float", str: "text"}
_NUMBERS = frozenset({"int", "bool", "float"})
_SMALL = 1 << 64
_LARGE_SIZE = 8  # bytes
MARK = "mark"
"""Form of a constant byte that is only looked at."""


def take(writer: Writer, node: Value, variable: str, form: str, scope: Structure) -> None:
    """What follows once `variable` holds the bytes or integer of a row."""
    if form == MARK:
        writer.refuse_if(f"{variable} != 0x{node.const}")
        return
    out, hex_const = writer.out, node.const is not None and form == "{x}.hex()"
    if hex_const:
        writer.refuse_if(f"{variable} != {bytes.fromhex(str(node.const))!r}")
        if writer.names.unread(node):
            return
    if form and _inlined(writer, node, form):
        variable = form.format(x=variable)
    elif form:
        out.emit(f"{variable} = {form.format(x=variable)}")
    if node.const is not None and not hex_const:
        writer.refuse_if(f"{variable} != {node.const!r}")
    if node.check is not None:
        _check(writer, node.check, node.wire, variable)
    if node.equals and (other := scope.find_raw(node.equals)) is not None:
        writer.refuse_if(f"{variable} != {other.source}")
    raw = raw_known(node.wire, variable)
    keep_raw(writer, node.name, raw, scope)
    parts = [(bit, bit_known(writer, bit, variable, sure=raw.sure)) for bit in node.bits]
    gone = ""
    if parts and node.convert.absent:
        gone = out.fresh("gone")
        out.emit(f"{gone} = {one_of(variable, node.convert.absent, loose=not raw.sure)}")
    for bit, known in parts:
        if bit.const is not None:
            writer.refuse_if(f"{f'not {gone} and ' if gone else ''}{known.source} != {bit.const}")
        keep_raw(writer, bit.name, known, scope)
    if not node.hidden or writer.names.wanted(node.name):
        value = converted(writer, node.convert, raw, node.hidden)
        if id(node) in writer.names.contested:
            value = in_variable(writer, value)
            _remember_giver(writer, node, value, scope)
        _put_or_note(writer, scope, node, value, variable, fault_of_value(node, node.wire))
    _status(writer, scope, node, raw)
    for bit, known in parts:
        _take_bit(writer, bit, known, variable, scope, gone)


def _check(writer: Writer, check: Check, wire: Wire, variable: str) -> None:
    if check.flag:
        return  # `CompiledProduct.decode` says so
    start, tail = check.span.start, check.span.tail
    end = f"n - {tail}" if tail > 0 else str(-tail) if tail else ""
    algorithm = checksum(check.algorithm)
    value = f"{writer.out.bind(algorithm.function)}(b[{start}:{end}])"
    if isinstance(wire, BytesWire):
        writer.refuse_if(f"{variable}.upper() != written_check({value}, {check.written!r}, {wire.size})")
        return
    if isinstance(wire, IntWire) and algorithm.bits > 8 * wire.size:
        value += f" & {(1 << 8 * wire.size) - 1}"
    writer.refuse_if(f"{variable} != {value}")


def _inlined(writer: Writer, node: Value, form: str) -> bool:
    """True where the raw value is used once, so that it needs no variable, and making it cannot fail."""
    if node.const is not None or node.bits or not node.convert.plain or node.counts or node.equals:
        return False
    if node.status is not None:
        return False
    may_fail = "integer_of" in form or "read_" in form
    return form.count("{x}") == 1 and not may_fail and node.name not in writer.names.raw


def raw_known(wire: Wire, variable: str) -> Known:
    """What is known of a raw value by its wire."""
    match wire:
        case RecordWire() | PythonWire() | FormulaWire():
            return Known(variable, sure=False, finite=False)
        case IntWire(size=size) if size > _LARGE_SIZE:
            return Known(variable)  # formulas keep clear of integers that no float holds
        case IntWire(size=size, sign=sign):
            return Known(variable, kind="int", most=(1 << 8 * size) - 1 if sign == "unsigned" else None)
        case FloatWire():
            return Known(variable, kind="float", finite=False)
        case BytesWire(form=form) if form in MIXED_INTEGERS:
            return Known(variable, kind="int")
        case BytesWire(form=form) if form in BCD_NUMBERS | MIXED:
            return Known(variable, False)
        case BytesWire(form=form) if form in INTEGER_FORMS:
            return Known(variable, kind="int", most=_SMALL - 1 if form.startswith("uint") else None)
        case BytesWire(form="raw"):
            return Known(variable)
        case BytesWire(form=form, words=words) if form in READERS:
            kind = "any" if words or form == "number" else "int" if form in WHOLE_FORMS else "float"
            return Known(variable, False, kind)
        case BytesWire(form="text", blank=True):
            return Known(variable, False, "text")
        case BytesWire(form="hex"):
            return Known(variable, kind="hex")
    return Known(variable, kind="text")


def bit_known(writer: Writer, bit: Bit, variable: str, *, sure: bool = True) -> Known:
    """The raw value of part of an integer. sure: the variable is always one."""
    source, out = bits_source(variable, bit), writer.out
    if bit.bcd:
        source = f"bcd_bits({source}, {-(-bit.width // 4)})"
    if not sure:
        part = out.fresh(bit.name)
        out.emit(f"{part} = {source} if {variable}.__class__ is int else None")
        return Known(part, False)
    if bit.bcd or bit.parts:
        part = out.fresh(bit.name)
        out.emit(f"{part} = {source}")
        source = part
    if bit.bcd or bit.width > 8 * _LARGE_SIZE:
        return Known(source, not bit.bcd)
    return Known(source, kind="int", most=(1 << bit.width) - 1)


def _put_or_note(
    writer: Writer, scope: Structure, part: Value | Bit, value: Known, raw: str, fault: Fault | None, gone: str = ""
) -> None:
    """Keeps a value of a row, or notes why there is none. A hidden one with a computed name is nowhere. gone: the
    variable that says whether the whole integer stands for no value."""
    missed: Callable[[str], None] | None = None
    if fault is not None and not scope.quiet and not value.sure:
        value = in_variable(writer, value)
        when = f"not {gone}" if gone else ""
        missed = partial(note_missing, writer, scope, fault, value=value.source, raw=raw, when=when)
    if part.place is None:
        give(writer, scope, part.name, value)
        if missed is not None:
            missed(repr(part.name))
    elif not part.hidden or part.place.repeat == "list":
        placed(writer, scope, part, value, missed=missed)


def _status(writer: Writer, scope: Structure, part: Value | Bit, raw: Known, gone: str = "") -> None:
    """The word of the sentinel that a raw value may be."""
    if part.status is None or (part.hidden and (part.place or not writer.names.wanted(part.name + STATUS))):
        return
    word = _unless(gone, converted(writer, part.status, raw, part.hidden))
    if part.place is None:
        give(writer, scope, part.name + STATUS, word, replaces=True)
    else:
        placed(writer, scope, part, word, STATUS)


def _unless(gone: str, value: Known) -> Known:
    """No value where the integer that it is part of has none."""
    return replace(value, source=f"(None if {gone} else {value.source})", sure=False) if gone else value


def _take_bit(writer: Writer, bit: Bit, raw: Known, variable: str, scope: Structure, gone: str) -> None:
    """gone: the variable that says whether the whole integer stands for no value."""
    _status(writer, scope, bit, raw, gone)
    if bit.hidden and not writer.names.wanted(bit.name):
        return
    if bit.convert.boolean and not bit.convert.absent and not bit.parts and raw.sure:
        mask = ((1 << bit.width) - 1) << bit.at
        raw = Known(f"({variable} & {mask})", kind="int", most=mask)
    value = _unless(gone, converted(writer, bit.convert, raw, bit.hidden))
    fault = fault_of_value(bit)
    if bit.place is not None or fault is not None:
        _put_or_note(writer, scope, bit, value, raw.source, fault, gone)
    elif bit.hidden and value.kind == "bool" and not writer.conditional and _is_first(writer, scope, bit.name):
        scope.values[bit.name] = value  # needs no variable
    else:
        give(writer, scope, bit.name, value)


def converted(writer: Writer, convert: Convert, raw: Known, hidden: bool) -> Known:
    """The value of a raw value, not yet in a variable."""
    table = _table(convert, raw)
    if table is not None:
        there = [value for value in table if value is not None]
        kinds = {_KINDS.get(type(value), "any") for value in there}
        kind = kinds.pop() if len(kinds) == 1 else "any"
        most = max(there) if kind == "int" and min(there) >= 0 else None
        finite = all(value - value == 0 for value in there if isinstance(value, float))
        source = f"{writer.out.bind(table)}[{raw.source}]"
        return Known(source, len(there) == len(table), kind, most, finite, hidden)
    if convert.formula is not None and replace(convert, formula=None).plain:
        known = inlined(writer, convert.formula, dict.fromkeys(convert.formula.names, raw))
        return replace(known, hidden=hidden)
    if convert.missing and replace(convert, missing=False).plain:
        return replace(raw, hidden=hidden)
    kind, most, finite = kind_after(convert, raw)
    source = convert.source(raw.source, writer.out.bind)
    return Known(source, not convert.nullable, kind, most, finite, hidden)


def _table(convert: Convert, raw: Known) -> tuple[Any, ...] | None:
    """Values of all raw values, where these are few and working a value out takes more than looking it up."""
    if raw.most is None or raw.most > 255 or convert.clock or convert.flags is not None:
        return None
    if convert.enum is None and convert.formula is None and not convert.absent:
        return None
    function = convert.function()
    table = tuple(function(value, 0) for value in range(raw.most + 1))
    return None if any(isinstance(value, list) for value in table) else table


def kind_after(convert: Convert, raw: Known) -> tuple[str, int | None, bool]:
    """Kind, greatest integer and finiteness of a value."""
    if convert.plain:
        return raw.kind, raw.most, raw.finite
    if convert.clock == "meter" or convert.loose:
        return "any", None, False
    if convert.clock:
        return "text", None, True
    if convert.flags is not None:
        return "list", None, True
    if convert.words:
        return "text", None, True
    if convert.formula is not None or convert.enum is not None or raw.kind not in _NUMBERS:
        return "any", None, False
    if convert.boolean and convert.linear is None:
        return "bool", 1, True
    step = convert.linear
    finite = raw.finite or (convert.finite and step is None)
    if step is not None and (raw.kind == "float" or step.denominator != 1):
        return "float", None, finite
    if step is not None and max(abs(step.numerator), abs(step.add)) >= _SMALL:
        return "any", None, False
    changed = step is not None or convert.signed_width
    kind = "int" if step is not None and raw.kind == "bool" else raw.kind
    return kind, None if changed else raw.most, finite


def _is_first(writer: Writer, scope: Structure, name: str) -> bool:
    """True for a hidden value that takes the place of none, as far as is known here."""
    return name not in writer.names.shown and name not in scope.values


def in_variable(writer: Writer, value: Known) -> Known:
    """The value in a variable."""
    if value.source.isidentifier():
        return value
    variable = writer.out.fresh("t")
    writer.out.emit(f"{variable} = {value.source}")
    return replace(value, source=variable)


def give(writer: Writer, scope: Structure, name: str, value: Known, *, replaces: bool = False) -> None:
    """Keeps a value under its name; without one, an earlier one stays. replaces: it does not stay."""
    if any(name in item for item in scope.items):
        value = in_variable(writer, value)
        for item in scope.items:
            if name in item:
                _give_own(writer, item[name], value, replaces=replaces)
        if value.hidden and not writer.names.kept(name):
            return
    before = scope.values.get(name)
    if before is None and value.sure and not writer.conditional and name not in scope.direct and not value.own:
        names = writer.names
        if value.source.isidentifier() or not (name in names.values or name in names.late):
            scope.values[name] = value  # used once, or no more than a name: needs no variable
            return
    if _is_direct(writer, scope, name, value):
        _put(writer, scope, name, value, replaces=replaces)
        return
    stays = not value.sure and not replaces and (before is not None or bool(writer.repeated))
    if stays:
        value = in_variable(writer, value)
    target = variable_of(writer, scope, name, hidden=value.hidden)
    if stays and before is not None and not before.own and not writer.conditional:
        writer.out.emit(f"{target.source} = {before.source}")
    writer.out.emit(f"{f'if {value.source} is not None: ' if stays else ''}{target.source} = {value.source}")
    merged = (writer.conditional or stays) and before is not None
    if not stays:
        target.sure = value.sure and (target.sure or not writer.conditional)
    target.kind = value.kind if not merged or target.kind == value.kind else "any"
    target.finite = value.finite and (target.finite or not merged)
    if merged:
        target.most = _greater(target.most, value.most)
    else:
        target.most = value.most


def _give_own(writer: Writer, own: OwnValue, value: Known, *, replaces: bool) -> None:
    """Keeps what the item of a tag gives."""
    known, certain = own.known, writer.conditional == own.level
    first, own.given = not own.given, True
    own.sound = own.sound or (first and certain)
    stays = not value.sure and not replaces and not (first and certain)
    writer.out.emit(f"{f'if {value.source} is not None: ' if stays else ''}{known.source} = {value.source}")
    known.sure = (value.sure and certain) or (known.sure and not (replaces and not value.sure))
    known.kind = value.kind if first or known.kind == value.kind else "any"
    known.finite = value.finite and (first or known.finite)
    known.most = value.most if first else _greater(known.most, value.most)


def _greater(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _is_direct(writer: Writer, scope: Structure, name: str, value: Known) -> bool:
    """True for values that go into the begun dict: nobody reads or changes them later, and nothing else gives them,
    unless it did so before the dict was begun."""
    if name in scope.direct:
        return True
    names = writer.names
    if scope.begun is None or not writer.conditional or value.hidden or name in names.values or name in names.late:
        return False
    before = scope.values.get(name)
    if before is not None:
        early = scope.begun.early.get(name)
        if early is None or early[0] is not before or early[1] != before.version or not value.sure:
            return False
    scope.direct.add(name)
    return True


def _put(writer: Writer, scope: Structure, name: str, value: Known, *, replaces: bool) -> None:
    assert scope.begun is not None
    place = f"{scope.begun.variable}[{name!r}]"
    if value.sure:
        writer.out.emit(f"{place} = {value.source}")
        return
    part = writer.out.fresh("t")
    writer.out.emit(f"{part} = {value.source}")
    writer.out.emit(f"if {part} is not None: {place} = {part}")
    if replaces:
        writer.out.emit(f"else: {scope.begun.variable}.pop({name!r}, None)")


def variable_of(writer: Writer, scope: Structure, name: str, *, hidden: bool) -> Known:
    """The variable of a value; one in a branch gets None, or what the value was, before the branch."""
    known = scope.values.get(name)
    if known is None or not known.own:
        variable = writer.out.fresh("v_" + name)
        if writer.conditional:
            writer.preset(variable, "None" if known is None else known.source)
        if known is None:
            known = Known(variable, sure=False, hidden=hidden, own=True)
        else:
            known = Known(variable, known.sure, known.kind, known.most, known.finite, known.hidden, own=True)
        scope.values[name] = known
    known.hidden = hidden and known.hidden
    known.version += 1
    return known


def keep_raw(writer: Writer, name: str, raw: Known, scope: Structure) -> None:
    """What formulas of the layout read under this name from here on. A value read in a branch is kept in one variable
    for all branches, None where none of them did."""
    if not writer.conditional:
        scope.raw[name] = raw
    elif name in writer.names.raw:
        writer.out.emit(f"{share_raw(writer, name, scope)} = {raw.source}")


def share_raw(writer: Writer, name: str, scope: Structure) -> str:
    """The variable of a raw value that several branches may give."""
    known = scope.raw.get(name)
    if known is None or not known.own:
        before = scope.find_raw(name)
        if name == "length" and not writer.body:
            raise Unsupported("a row `length` of the header that is not always there")
        if before is not None and before.fleeting:
            raise Unsupported(f"`{name}` of a tag list's header, and again within its tags")
        known = Known(writer.out.fresh("r_" + name), False, finite=False, own=True)
        writer.preset(known.source, "None" if before is None else before.source)
        scope.raw[name] = known
    return known.source


def _remember_giver(writer: Writer, node: Value, value: Known, scope: Structure) -> None:
    """Where several rows give a value and one may negate it: which of them did is known when the code runs."""
    number = writer.names.contested[id(node)]
    if node.name not in scope.givers:
        scope.givers[node.name] = writer.out.fresh("row")
        if writer.conditional:
            writer.preset(scope.givers[node.name], "0")
        elif not value.sure:
            writer.out.emit(f"{scope.givers[node.name]} = 0")
    there = "" if value.sure else f"if {value.source} is not None: "
    writer.out.emit(f"{there}{scope.givers[node.name]} = {number}")
