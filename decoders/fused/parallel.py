"""Lists that become no list of their own: parallel lists, and lists whose values are numbered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from decoders.faults import FAULTS, add_values
from decoders.fused.refusal import Refused, Unsupported
from decoders.fused.scope import Known, Structure, given_names, names_of
from decoders.fused.values import variable_of
from decoders.fused.writer import Writer
from decoders.layout import Derived, Repeat, raw_names, walk


def add_items(target: list[dict[str, Any]], items: Iterable[dict[str, Any]]) -> None:
    """The values of the n-th item go into the n-th of `target`; more items than there are put behind it."""
    for index, item in enumerate(items):
        if index < len(target):
            add_values(target[index], item)
        else:
            target.append(dict(item))


def number_items(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`name_1`, `name_2` ... of the items' values. Raises Refused where some are missing that should be there."""
    if any(FAULTS in item for item in items):
        raise Refused
    return {f"{name}_{number}": value for number, item in enumerate(items, 1) for name, value in item.items()}


def number_values(name: str, items: Iterable[Any]) -> dict[str, Any]:
    """`name_1`, `name_2` ... of a list of values; those that are not there are left out."""
    return {f"{name}_{number}": value for number, value in enumerate(items, 1) if value is not None}


NAMESPACE: Mapping[str, Any] = {
    "DROPPED": object(),
    "add_items": add_items,
    "number_items": number_items,
    "number_values": number_values,
}
"""Names that the code written here needs."""


def own_target(writer: Writer, node: Repeat, scope: Structure) -> str:
    """The variable of the list that parallel items go into. Raises Unsupported where they need its raw values."""
    own, out = raw_names(node.nodes), writer.out
    if node.keep is not None:
        raise Unsupported("parallel lists with `keep`")
    for other in scope.lists.get(node.into, ()):
        if (names_of((node,)).raw - own) & raw_names(other.nodes):
            raise Unsupported(f"a parallel list that reads raw values of `{node.into}`")
    before = scope.values.get(node.into)
    known = variable_of(writer, scope, node.into, hidden=False)
    if known is not before and not writer.conditional:
        out.emit(f"{known.source} = {'None' if before is None else before.source}")
    if not known.sure:
        out.emit(f"if {known.source} is None: {known.source} = []")
    known.sure, known.kind = not writer.conditional or known.sure, "list"
    return known.source


def beside(writer: Writer, node: Repeat, scope: Structure, inner: Structure, target: str, items: str) -> None:
    """Lets the formulas of a parallel item read the values of the item that it goes into. items: variable with the
    items before it."""
    given = {name for other in scope.lists.get(node.into, ()) for name in _shown_names(other)}
    wanted = names_of((node,)).values & given
    if not wanted:
        return
    item = writer.out.fresh("item")
    writer.out.emit(f"{item} = {target}[len({items})] if len({items}) < len({target}) else {{}}")
    values = {name: Known(f"{item}.get({name!r})", False, finite=False) for name in sorted(wanted)}
    inner.outer = Structure(scope, values=values, depth=scope.depth)


def _shown_names(node: Repeat) -> set[str]:
    return {*given_names(node.nodes), *(part.name for part in node.nodes if isinstance(part, Derived))}


def number(writer: Writer, node: Repeat, scope: Structure, items: str) -> None:
    """Keeps the numbered values of a list, whose items are in the variable `items`."""
    bases = {node.name} if node.plain else _all_names(node)
    if any(base in bases for name in writer.names.shown if (base := _base(name))):
        raise Unsupported(f"a value that is called like a numbered one of `{node.name}`")
    variable = writer.out.fresh("numbered")
    call = f"number_values({node.name!r}, {items})" if node.plain else f"number_items({items})"
    if writer.conditional:  # perhaps read again, in another element of a tag list
        writer.preset(variable, "{}")
        writer.out.emit(f"{variable} |= {call}")
    else:
        writer.out.emit(f"{variable} = {call}")
    scope.numbered.append((frozenset(bases), variable))


def grow(writer: Writer, node: Repeat, scope: Structure, items: str) -> None:
    """Puts items behind those of the list that were read before in the same structure. Dropped items, which are still
    among them, count too."""
    out, before = writer.out, scope.values.get(node.name)
    if before is not None and before.kind != "list":
        raise Unsupported(f"`{node.name}` is a list and another value")
    total = scope.counters.get(node.name)
    if total is None:
        total = scope.counters[node.name] = out.fresh("total")
        if writer.conditional:
            writer.preset(total, "0")
        else:
            out.emit(f"{total} = 0")
    if not items.isidentifier():
        items, source = out.fresh("items"), items
        out.emit(f"{items} = {source}")
    out.emit(f"{total} += len({items})")
    writer.refuse_if(f"{total} > {node.max_items}")
    if node.keep is not None:
        out.emit(f"{items} = [item for item in {items} if item is not DROPPED]")
    known = variable_of(writer, scope, node.name, hidden=node.hidden)
    if known is not before and not writer.conditional:
        out.emit(f"{known.source} = {'None' if before is None else before.source}")
    if known.sure:
        out.emit(f"{known.source} += {items}")
    else:
        out.emit(f"if {known.source} is None: {known.source} = {items}")
        out.emit(f"else: {known.source} += {items}")
    known.sure, known.kind = known.sure or not writer.conditional, "list"


def _all_names(node: Repeat) -> set[str]:
    names = {getattr(part, "name", "") for part in walk(node.nodes)}
    return names | raw_names(node.nodes)


def _base(name: str) -> str:
    base, _, digits = name.rpartition("_")
    return base if digits.isdigit() else ""
