"""Values with computed or repeated names: where the generated code keeps them.

What has a name that is known only when the code runs goes into a dict of its own, which is merged behind the
structure's other values. Values that become a list are collected in one variable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from decoders.formula import Formula
from decoders.fused.formulas import over_raw
from decoders.fused.scope import Known, Structure
from decoders.fused.writer import Writer
from decoders.layout import Bit, Given, Group, Place, Value
from decoders.naming import Naming, name_part, pattern_of

_LARGEST = 1 << 64


def named_values(named: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are there."""
    return {name: value for name, value in named.items() if value is not None}


NAMESPACE: Mapping[str, Any] = {"name_part": name_part, "named_values": named_values}
"""Names that the code written here needs."""


def placed(
    writer: Writer,
    scope: Structure,
    part: Value | Bit | Given | Group,
    value: Known,
    suffix: str = "",
    missed: Callable[[str], None] | None = None,
) -> None:
    """Keeps a value whose row has a `place`. missed: is given its name as an expression, to note why it is missing."""
    place = part.place
    assert place is not None
    name = part.name + suffix
    if place.naming is not None:
        label, sure = _label(writer, scope, place.naming, suffix)
        _into_named(writer, scope, place, name, label, value, sure=sure, replaces=bool(suffix))
        if missed is not None:
            missed(label)
    elif place.repeat == "number":
        count = scope.counters.get(name)
        if count is None:
            count = scope.counters[name] = writer.out.fresh("count")
            writer.start(count, "0")
        writer.out.emit(f"{count} += 1")
        _into_named(writer, scope, place, name, f"f'{name}_{{{count}}}'", value, sure=True, replaces=bool(suffix))
        if missed is not None:
            missed(f"f'{name}_{{{count}}}'")
    else:
        _collect(writer, scope, name, value)
        if missed is not None:
            missed(repr(name))


def _label(writer: Writer, scope: Structure, naming: Naming, suffix: str) -> tuple[str, bool]:
    """The name as an expression or variable, and whether there always is one."""
    out, words, unsure = writer.out, [], []
    for part in naming.parts:
        if not isinstance(part, Formula):
            words.append(part)
            continue
        known, variable = over_raw(writer, part, scope), out.fresh("part")
        number = known.sure and known.kind == "int" and known.most is not None and known.most < _LARGEST
        out.emit(f"{variable} = {known.source if number else f'name_part({known.source})'}")
        words.append(f"{{{variable}}}")
        if not number:
            unsure.append(f"{variable} is None")
    text = f"f'{''.join(words)}{suffix}'"
    if not unsure:
        return text, True
    label = out.fresh("label")
    out.emit(f"{label} = None if {' or '.join(unsure)} else {text}")
    return label, False


def _into_named(
    writer: Writer,
    scope: Structure,
    place: Place,
    name: str,
    label: str,
    value: Known,
    *,
    sure: bool,
    replaces: bool,
) -> None:
    """sure: there always is a name. replaces: no value takes the place of an earlier one too."""
    if not scope.named:
        scope.named = writer.out.fresh("named")
        writer.start(scope.named, "{}")
    scope.named_sure = scope.named_sure and (value.sure or not replaces)
    scope.patterns.append(pattern_of(f"{name}_{{n}}" if place.repeat else name))
    tests = [] if sure else [f"{label} is not None"]
    source = value.source
    if not replaces and not value.sure:
        source = writer.out.fresh("t")
        writer.out.emit(f"{source} = {value.source}")
        tests.append(f"{source} is not None")
    test = f"if {' and '.join(tests)}: " if tests else ""
    writer.out.emit(f"{test}{scope.named}[{label}] = {source}")


def _collect(writer: Writer, scope: Structure, name: str, value: Known) -> None:
    """Puts a value behind the others of its name."""
    out, known = writer.out, scope.values.get(name)
    if known is None:
        known = scope.values[name] = Known(out.fresh("v_" + name), False, "list", own=True, hidden=value.hidden)
        writer.start(known.source, "None")
    known.hidden = known.hidden and value.hidden
    known.version += 1
    item = value.source
    if not value.sure:
        item = out.fresh("t")
        out.emit(f"{item} = {value.source}")
        with out.block(f"if {item} is not None:"):
            _append(writer, known.source, item)
        return
    _append(writer, known.source, item)


def _append(writer: Writer, variable: str, item: str) -> None:
    writer.out.emit(f"if {variable} is None: {variable} = [{item}]")
    writer.out.emit(f"else: {variable}.append({item})")
