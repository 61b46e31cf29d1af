"""What a structure's values need once all of them are read: `negate`, formulas, and the dict that holds them."""

from __future__ import annotations

from decoders.fused.formulas import over_values
from decoders.fused.scope import Begun, Known, Structure
from decoders.fused.values import kind_after
from decoders.fused.writer import Writer
from decoders.layout import Derived, Value


def finish(writer: Writer, scope: Structure) -> None:
    """`negate` and formulas, in the order of the rows."""
    for late in scope.late:
        if isinstance(late, Derived):
            _derived(writer, late, scope)
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
        guard, minus = "" if known.sure else f"{known.source} is not None and ", f"-{known.source}"
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


def _derived(writer: Writer, node: Derived, scope: Structure) -> None:
    """A formula that gives nothing leaves an earlier value alone; one whose result means "no value" does not."""
    out, value = writer.out, over_values(writer, node.formula, scope)
    tests = [scope.reached[id(node)]] if id(node) in scope.reached else []
    if node.test is not None:
        tests.append(over_values(writer, node.test, scope).source)
    if tests:
        source = f"({value.source} if {' and '.join(tests)} else None)"
        value = Known(source, False, value.kind, value.most, value.finite)
    earlier, plain = node.name in scope.values, node.convert.plain
    if not value.source.isidentifier() and (earlier or not plain):
        part = out.fresh("t")
        out.emit(f"{part} = {value.source}")
        value = Known(part, value.sure, value.kind, value.most, value.finite)
    result = value
    if not plain:
        kind, most, finite = kind_after(node.convert, value)
        source = node.convert.source(value.source, out.bind)
        result = Known(source, value.sure and not node.convert.nullable, kind, most, finite)
    there = "" if value.sure else f"{value.source} is not None"
    if not earlier:
        variable = out.fresh("v_" + node.name)
        guard = f" if {there} else None" if there and not plain else ""
        out.emit(f"{variable} = {result.source}{guard}")
        known = Known(variable, result.sure, result.kind, result.most, result.finite, node.hidden, own=True)
        scope.values[node.name] = known
        return
    known = _own(writer, node.name, scope)
    out.emit(f"{f'if {there}: ' if there else ''}{known.source} = {result.source}")
    known.sure = (known.sure or value.sure) and (plain or not node.convert.nullable)
    known.kind = known.kind if known.kind == result.kind else "any"
    known.most = None
    known.finite = known.finite and result.finite
    known.hidden = known.hidden and node.hidden


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
        if all(known.sure for known in shown.values()) and not scope.records:
            return f"{{{literal}}}"
        variable = writer.out.fresh("values")
        writer.out.emit(f"{variable} = {{{literal}}}")
    for name, known in shown.items():
        if not known.sure:
            writer.out.emit(f"if {known.source} is not None: {variable}[{name!r}] = {known.source}")
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
