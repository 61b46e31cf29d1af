"""Formulas, where they stand or once all values of the structure are read; `negate`; the dict that holds the values."""

from __future__ import annotations

from decoders.faults import FAULTS, fault_of_result
from decoders.fused.formulas import over_values
from decoders.fused.missing import note_missing
from decoders.fused.scope import Begun, Known, Structure
from decoders.fused.values import give, in_variable, kind_after
from decoders.fused.writer import Writer
from decoders.layout import Derived, Value
from decoders.moments import Moment


def formula_row(writer: Writer, node: Derived, scope: Structure) -> None:
    """A formula row, where it stands as far as it is worked out there."""
    moment = writer.names.moments[id(node)]
    if moment.late:
        scope.late.append(node)
        if writer.conditional:
            scope.waiting[id(node)] = writer.mark("row")
        return
    missing = [known.source for name in moment.tests if not (known := _tested(scope, moment, name)).sure]
    if not missing:
        _derived(writer, node, scope)
        return
    scope.late.append(node)
    waits = scope.waiting[id(node)] = writer.out.fresh("row")
    if writer.conditional:
        writer.preset(waits, "False")
    writer.out.emit(f"{waits} = {' or '.join(f'{source} is None' for source in missing)}")
    _derived(writer, node, scope, f"not {waits}")


def _tested(scope: Structure, moment: Moment, name: str) -> Known:
    """What a formula row must have of its structure to be worked out where it stands."""
    nothing = Known("None", False, "none")
    if name in moment.own:
        own = scope.own.get(moment.own[name], {}).get(name)
        return own.known if own is not None else nothing
    return scope.values.get(name) or nothing


def finish(writer: Writer, scope: Structure) -> None:
    """`negate` and formulas that are worked out late, in the order of the rows."""
    for late in scope.late:
        if isinstance(late, Derived):
            _derived(writer, late, scope, scope.waiting.get(id(late), ""))
        elif late.name in scope.values:
            _negated(writer, late, scope)
    scope.late = []


def _negated(writer: Writer, late: Value, scope: Structure) -> None:
    assert late.negate is not None
    test = over_values(writer, late.negate, scope).source
    number = writer.names.contested.get(id(late))
    if number is not None and late.name not in scope.givers:
        return  # nobody asks for what the row reads
    given = f"{scope.givers[late.name]} == {number} and " if number is not None else ""
    known = _own(writer, late.name, scope)
    if known.kind in ("int", "float"):
        guard = "" if known.sure else f"{known.source} is not None and "
        if known.kind == "float":  # -0.0 is no value that a device means
            guard += f"{known.source} and "
        minus = f"-{known.source}"
    else:
        guard, minus = "", f"negative({known.source})"
    writer.out.emit(f"if {given}{guard}{test}: {known.source} = {minus}")
    known.most = None


def _own(writer: Writer, name: str, scope: Structure) -> Known:
    """The value in a variable that may be written."""
    known = scope.values[name]
    if not known.own:
        variable = writer.out.fresh("v_" + name)
        writer.out.emit(f"{variable} = {known.source}")
        known = Known(variable, known.sure, known.kind, known.most, known.finite, known.hidden, own=True)
        scope.values[name] = known
    known.version += 1
    return known


def _derived(writer: Writer, node: Derived, scope: Structure, test: str = "") -> None:
    """Works a formula row out, where the test is true."""
    if not test:
        _work_out(writer, node, scope)
        return
    with writer.branching((), scope), writer.out.block(f"if {test}:"):
        _work_out(writer, node, scope)


def _work_out(writer: Writer, node: Derived, scope: Structure) -> None:
    """One whose result means that there is no value leaves an earlier one, unless the formula is made of that."""
    out, given = writer.out, _given(writer, node, scope)
    value = over_values(writer, node.formula, scope, given)
    fault, test = fault_of_result(node), ""
    if node.test is not None:
        test = over_values(writer, node.test, scope, given).source
        if fault is not None and not scope.quiet:
            test, given_test = out.fresh("t"), test
            out.emit(f"{test} = {given_test}")
        value = Known(f"({value.source} if {test} else None)", False, value.kind, value.most, value.finite)
    if node.convert.plain:
        if fault is not None and not value.sure and not scope.quiet and not node.formula.tolerant:
            value = in_variable(writer, value)
            note_missing(writer, scope, fault, repr(node.name), value.source, "None", test)
        result = Known(value.source, value.sure, value.kind, value.most, value.finite, node.hidden, own=value.own)
        give(writer, scope, node.name, result)
        return
    value = in_variable(writer, value)
    kind, most, finite = kind_after(node.convert, value)
    source, sure = node.convert.source(value.source, out.bind), not node.convert.nullable
    if fault is not None and not (value.sure and sure) and not scope.quiet:
        made = out.fresh("t")
        out.emit(f"{made} = {source if value.sure else f'({source} if {value.source} is not None else None)'}")
        note_missing(writer, scope, fault, repr(node.name), made, value.source, test)
        source = made
    if sure or node.name not in node.formula.names:
        if not value.sure and not source.isidentifier():
            source = f"({source} if {value.source} is not None else None)"
        result = Known(source, value.sure and sure, kind, most, finite, node.hidden)
        give(writer, scope, node.name, result)
        return
    result = Known(source, False, kind, most, finite, node.hidden)
    if value.sure:
        give(writer, scope, node.name, result, replaces=True)
        return
    with writer.branching((), scope), out.block(f"if {value.source} is not None:"):
        give(writer, scope, node.name, result, replaces=True)


def _given(writer: Writer, node: Derived, scope: Structure) -> dict[str, Known]:
    """What a formula row reads of its item, and what another row may have changed when it is worked out."""
    moment = writer.names.moments[id(node)]
    given = {name: scope.values[name] for name in moment.tests if name in scope.values}
    given = {name: Known(known.source, known.sure, "any", finite=False) for name, known in given.items()}
    for name, tag in moment.own.items():
        own = scope.own.get(tag, {}).get(name)
        known = own.known if own is not None else Known("None", False, "none")
        within = any(own is item.get(name) for item in scope.items)
        given[name] = known if within else Known(known.source, False, known.kind, finite=known.finite)
    return given


def assemble(writer: Writer, scope: Structure) -> str:
    """The structure's values as a dict: an expression, or the variable that holds it."""
    finish(writer, scope)
    shown = {name: known for name, known in scope.values.items() if not known.hidden and name not in scope.direct}
    if scope.begun is not None:
        variable = scope.begun.variable
        early = _begin(writer, scope, scope.begun)
        shown = {name: known for name, known in shown.items() if name not in early}
        for name, known in shown.items():
            if known.sure:
                writer.out.emit(f"{variable}[{name!r}] = {known.source}")
        for numbered in _computed(scope):
            writer.out.emit(f"{variable} |= {numbered}")
    else:
        entries = [f"{name!r}: {known.source}" for name, known in shown.items() if known.sure]
        literal = ", ".join([*entries, *(f"**{numbered}" for numbered in _computed(scope))])
        if all(known.sure for known in shown.values()) and not scope.records and not scope.faults:
            return f"{{{literal}}}"
        variable = writer.out.fresh("values")
        writer.out.emit(f"{variable} = {{{literal}}}")
    for name, known in shown.items():
        if not known.sure:
            writer.out.emit(f"if {known.source} is not None: {variable}[{name!r}] = {known.source}")
    if scope.faults:
        writer.out.emit(f"if {scope.faults} is not None: {variable}[{FAULTS!r}] = {scope.faults}")
    if scope.records:
        merged = writer.out.fresh("values")
        writer.out.emit(f"{merged} = {{{', '.join(f'**{part}' for part in (*scope.records, variable))}}}")
        return merged
    return variable


def _computed(scope: Structure) -> list[str]:
    """Dicts of the values whose names are known only when the code runs."""
    named = [scope.named if scope.named_sure else f"named_values({scope.named})"] if scope.named else []
    return [*(numbered for _, numbered in scope.numbered), *named]


def _begin(writer: Writer, scope: Structure, begun: Begun) -> set[str]:
    """Writes the literal that the dict starts with; gives the names in it."""
    early = {
        name: known.source
        for name, (known, version) in begun.early.items()
        if scope.values.get(name) is known and known.version == version and not known.hidden
    }
    literal = ", ".join(f"{name!r}: {source}" for name, source in early.items())
    writer.out.insert(begun.mark, begun.level, f"{begun.variable} = {{{literal}}}")
    return set(early)
