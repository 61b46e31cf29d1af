"""Rows -> bytes: conditions, switches, groups and lists the other way round, from the values of a Draft.

What the caller gives decides which rows are there; the fields that say so on the wire follow from it, unless the
caller gives them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decoders.custom import PREFIX
from decoders.errors import EncodeError
from decoders.formula import Formula
from decoders.layout import Branch, Condition, Group, IntWire, Node, Prefix, Repeat, Rest, Skip, Until, Value
from decoders.raw import as_size, write_bits
from decoders.reference.draft import PLENTY, Draft
from decoders.reference.fields import FOLLOWS, Fields, fields_of, follows
from decoders.reference.raw_tree import Window, evaluate, within
from decoders.reference.values import Output, hold_places, primitive, write_value
from decoders.text_forms import encoded_text

__all__ = ["build_branch", "build_condition", "build_group", "build_list", "build_skip", "fields", "write_count"]


def fields(part: Any, nodes: Sequence[Node]) -> Fields:
    """The fields of a part's nodes, looked up once."""
    known: Fields | None = getattr(part, "known_fields", None)
    if known is None:
        known = part.known_fields = fields_of(nodes)
    return known


def build_skip(node: Skip, stream: Any, context: Any) -> None:
    size = node.size
    scope: Draft = context["scope"]
    if isinstance(size, int):
        stream.write(bytes(size))
    elif isinstance(size, Until):
        write_value(stream, b"", size)
    elif isinstance(size, Prefix):
        primitive(size.wire)._build(size.wire.size if size.itself else 0, stream, context, "")
    elif isinstance(size, Formula):
        count = as_size(size.evaluate_raw(scope.find))
        stream.write(bytes(count) if isinstance(count, int) and 0 <= count <= PLENTY else b"")


def build_condition(part: Any, stream: Any, context: Any, path: str) -> None:
    """Rows under a condition: there when it holds. Where it reads what the caller does not give, they are there when
    the caller gives values of them, unless other rows took these values already."""
    node: Condition = part.node
    scope: Draft = context["scope"]
    mine = fields(part, node.nodes)
    told = mine.told(scope.values)
    chosen = bool(scope.open_names(node.test)) and bool(mine.names or mine.patterns)
    mark = (scope.path, id(node))
    there = (bool(told - scope.written) or not mine.names.isdisjoint(scope.given)) and mark not in scope.work.refused
    if chosen:
        scope.settle(node.test, there, ahead=PLENTY if there else 0, firm=False)
    if there and not chosen and follows(node.test):
        there = _is_read(node, scope, mark, stream)
    if not (there if node.optional or follows(node.test) else bool(node.test.evaluate_raw(scope.find))):
        if node.optional:
            hold_places(node.nodes, stream)
        instead = {row.name: row.value for row in node.otherwise}
        lost = [name for name in sorted(told & mine.names) if instead.get(name) != scope.values[name]]
        why = f"has a value, but its row is there only if `{node.test.text}`"
        scope.left_out(lost, why, always=mark in scope.work.unread)
        return
    if not chosen and not follows(node.test):
        part.rows._build(None, stream, context, path)
        scope.written |= told
        return
    out = Output()
    try:
        part.rows._build(None, out, context, path)
    except EncodeError as error:
        scope.work.refused.add(mark)
        scope.work.faults.setdefault(error.field, error)
        scope.work.changed = True
        scope.unfit |= {name: error for name in told if name not in scope.unfit}
        if chosen and not scope.settle(node.test, False, firm=False):
            raise
        return
    stream.append(out)
    scope.written |= told


def _is_read(node: Condition, scope: Draft, mark: tuple[str, int], stream: Any) -> bool:
    """Whether rows that are there when certain bytes follow would be read where they were built the last time. Bits
    that nobody has given may be set for it."""
    work = scope.work
    if stream is not work.stream:
        return True
    if work.before is None:
        work.changed = True
        return True
    work.before.seek(min(stream.tell(), work.before.size))
    if evaluate(node.test, scope, work.before):
        return True
    work.changed = True
    if _free_bits_set(node, scope):
        return True
    work.refused.add(mark)
    work.unread.add(mark)
    return False


def _free_bits_set(node: Condition, scope: Draft) -> bool:
    """Sets bits without a name of the integer that the rows begin with, so that a condition on the next bytes is true.
    False where that is impossible or no help."""
    first = node.nodes[0] if node.nodes else None
    if not isinstance(first, Value) or not isinstance(first.wire, IntWire) or not first.bits:
        return False
    if not {name for name in node.test.names if name in FOLLOWS} <= {"next_u8", "next_u16"}:
        return False
    named = [write_bits(10**20 - 1 if bit.bcd else -1, bit) for bit in first.bits]
    size, raw = first.wire.size, scope.bits_of(first)
    free = [1 << at for at in range(8 * size) if not any(mask >> at & 1 for mask in named)]
    for chosen in (0, *reversed(free), sum(free)):
        data = ((raw | chosen) % (1 << 8 * size)).to_bytes(size, "big" if first.wire.big else "little")
        if evaluate(node.test, scope, Window(data + bytes(2), 0)):
            if chosen and scope.is_open_whole(first):
                scope.choose(first.name, raw | chosen)
            return not chosen or first.name in scope.solved
    return False


def build_branch(part: Any, stream: Any, context: Any, path: str) -> None:
    node: Branch = part.node
    scope: Draft = context["scope"]
    value = node.on.evaluate_raw(scope.find)
    opened = scope.open_names(node.on)
    if not opened and not follows(node.on):
        rows = part.choose(value)
        if rows is None:
            raise EncodeError(scope.place(node.on.text), f"there is no case for {value!r}")
        rows._build(None, stream, context, path)
        why = f"has a value, but is no row of the case that `{node.on.text}` = {value!r} is"
        _leave_out_cases(part, scope, rows, why)
        return
    out, told = _branch_told(part, context, value, path)
    stream.append(out)
    scope.written |= told


def _branch_told(part: Any, context: Any, value: Any, path: str) -> tuple[Output, set[str]]:
    """The case that the caller gives the values of; the switch's own fields are set for it."""
    node: Branch = part.node
    scope: Draft = context["scope"]
    choices = _choices(part)
    current = part.choose(value)

    def rank(choice: tuple[Fields, Any, Any]) -> tuple[int, int, bool]:
        told = choice[0].told(scope.values) - scope.written
        return len(told), -len(choice[0].names - told), choice[1] is current

    failed: EncodeError | None = None
    for mine, rows, spans in sorted(choices, key=rank, reverse=True):
        if rows is not current and not _set_switch(part, scope, spans):
            failed = failed or EncodeError(scope.place(node.on.text), "cannot be set for the values given")
            continue
        out = Output()
        try:
            rows._build(None, out, context, path)
        except EncodeError as error:  # another case may have room for the values
            failed = failed or error
            continue
        return out, mine.told(scope.values)
    raise failed or EncodeError(scope.place(node.on.text), "has no cases")


def _choices(part: Any) -> list[tuple[Fields, Any, Sequence[tuple[Any, Any]]]]:
    """Fields, rows and values of each case of a switch."""
    if not hasattr(part, "case_fields"):
        part.case_fields = [fields_of(nodes) for _, nodes in part.node.cases]
        part.default_fields = fields_of(part.node.default or ())
    choices = [(mine, rows, spans) for mine, (spans, rows) in zip(part.case_fields, part.cases, strict=True)]
    return choices if part.default is None else [*choices, (part.default_fields, part.default, ())]


def _leave_out_cases(part: Any, scope: Draft, taken: Any, why: str) -> None:
    """Values of the cases that the switch does not take."""
    for mine, rows, _ in _choices(part):
        if rows is not taken:
            scope.left_out(sorted(mine.told(scope.values) & mine.names), why)
        else:
            scope.written |= mine.told(scope.values)


def _set_switch(part: Any, scope: Draft, spans: Sequence[tuple[Any, Any]]) -> bool:
    """Sets the fields that the switch reads for a case; True also where only bytes that follow decide."""
    node: Branch = part.node
    taken = [span for each, _ in part.cases for span in each]
    others = (number for number in range(256) if not any(within(number, low, high) for low, high in taken))
    wanted = [low for low, _ in spans] if spans else [next(others, 256)]
    return any(scope.settle(node.on, key) for key in wanted) or follows(node.on)


def build_group(part: Any, stream: Any, context: Any, path: str) -> None:
    node: Group = part.node
    scope: Draft = context["scope"]
    inner = context
    if node.name:
        values = scope.value_of(node)
        if values is not None and not isinstance(values, Mapping):
            raise EncodeError(scope.place(node.name), "is an object of values")
        number = scope.counts.get(node.name, 0)
        name = f"{node.name}[{number}]" if node.place is not None else node.name
        inner = {**context, "scope": scope.part(name, values or {}, fields(part, node.nodes))}
    if node.size is None and not node.encoded:
        part.rows._build(None, stream, inner, path)
    else:
        out = Output()
        part.rows._build(None, out, inner, path)
        if node.encoded.startswith(PREFIX):
            raise EncodeError(node.name or "group", f"{node.encoded} is only read")
        data = encoded_text(out.getvalue(), node.encoded) if node.encoded else out.getvalue()
        name = node.name or "group"
        if isinstance(node.size, Prefix):
            _write_prefix(node.size, data, stream, context)
        elif isinstance(node.size, Until):
            write_value(stream, data, node.size)
        else:
            stream.write(data + bytes(missing_bytes(node.size, len(data), scope, name, fill=node.skip_rest)))
    if node.name:
        inner["scope"].finish()
        scope.raw[node.name] = inner["scope"]
        scope.written.add(node.name)
        scope.counted(node)


def _write_prefix(size: Prefix, data: bytes, stream: Any, context: Any) -> None:
    primitive(size.wire)._build(len(data) + (size.wire.size if size.itself else 0), stream, context, "")
    stream.write(data)


def missing_bytes(size: Any, built: int, scope: Draft, name: str, *, fill: bool = False) -> int:
    """Bytes that a window of this size has beyond the `built` ones. A size that is a field's is set. Raises
    EncodeError where it does not fit."""
    if size is None or isinstance(size, Rest):
        return 0
    wanted: Any = size
    if isinstance(size, Formula):
        if follows(size) or scope.settle(size, built):
            return 0
        wanted = as_size(size.evaluate_raw(scope.find))
    if not isinstance(wanted, int) or built > wanted or (built < wanted and not fill):
        raise EncodeError(scope.place(name), f"takes {built} bytes, there are {wanted}")
    return wanted - built


# lists


def build_list(part: Any, stream: Any, context: Any, path: str) -> None:
    node: Repeat = part.node
    scope: Draft = context["scope"]
    items = _items(part, node, scope)
    given = len(items)
    dropped = node.keep is not None or (node.hidden and scope.work.fill)
    if dropped and node.count is not None and not scope.open_names(node.count):
        said = as_size(node.count.evaluate_raw(scope.find))  # places that were empty
        items = [*items, *([{}] * (min(said, node.max_items) - given if isinstance(said, int) else 0))]
    if len(items) > node.max_items:
        raise EncodeError(scope.place(node.name), f"{len(items)} items, at most {node.max_items}")
    write_count(node.count, node.count_wire, len(items), stream, context, node.name)
    target = stream if node.size is None else Output()
    beside = scope.raw.get(node.into) or () if node.into else ()
    built: list[Draft] = []
    for index, values in enumerate(items):
        inner = scope.part(f"{node.name}[{index}]", values, fields(part, node.nodes))
        if index < len(beside):
            inner.outer = beside[index]
        inner.blank = scope.blank or index >= given
        if part.tells_index:
            inner.raw["index"] = index
        if node.going is not None and part.told_by_items:
            inner.settle(node.going, index < len(items) - 1)
        _build_item(part, target, {**context, "scope": inner}, path)
        inner.finish()
        built.append(inner)
    if target is not stream:
        data = target.getvalue()
        if isinstance(node.size, Until):
            write_value(stream, data, node.size)
        else:
            missing_bytes(node.size, len(data), scope, node.name)
            stream.write(data)
    scope.raw[node.name] = built
    scope.written.add(node.into or node.name)


def _build_item(part: Any, target: Any, context: Any, path: str) -> None:
    node: Repeat = part.node
    if node.item_prefix is None and not node.item_until:
        part.rows._build(None, target, context, path)
        return
    out = Output()
    part.rows._build(None, out, context, path)
    if node.item_prefix is not None:
        _write_prefix(Prefix(node.item_prefix), out.getvalue(), target, context)
    else:
        write_value(target, out.getvalue(), Until(node.item_until, needed=node.marked))


def _items(part: Any, node: Repeat, scope: Draft) -> list[Mapping[str, Any]]:
    """The values of each item."""
    if node.numbered:
        return _numbered(part, node, scope)
    given = scope.values.get(node.into or node.name)
    if given is None:
        return []
    if not isinstance(given, list):
        raise EncodeError(scope.place(node.into or node.name), "is a list")
    if node.plain and not node.into:
        return [{node.name: value} for value in given]
    for index, item in enumerate(given):
        if not isinstance(item, Mapping):
            raise EncodeError(scope.place(f"{node.into or node.name}[{index}]"), "is an object of values")
    mine = fields(part, node.nodes)
    count = len(given)
    while node.into and count and not mine.told(given[count - 1]):
        count -= 1  # the parallel list is the shorter one
    return given[:count]


def _numbered(part: Any, node: Repeat, scope: Draft) -> list[Mapping[str, Any]]:
    """`name_1`, `name_2` ... of the structure around, put together by number."""
    mine = fields(part, node.nodes)
    items: dict[int, dict[str, Any]] = {}
    for name, value in scope.values.items():
        base, _, number = name.rpartition("_")
        if value is not None and number.isdigit() and int(number) > 0 and mine.told({base: value}):
            items.setdefault(int(number), {})[base] = value
    count = max(items, default=0)
    if node.count is not None and not scope.open_names(node.count):
        fixed = as_size(node.count.evaluate_raw(scope.find))
        count = fixed if isinstance(fixed, int) else count
    return [items.get(number, {}) for number in range(1, min(count, node.max_items + 1) + 1)]


def write_count(
    formula: Formula | None, wire: IntWire | None, count: int, stream: Any, context: Any, name: str
) -> None:
    """Writes the number of items, or sets the field that says it. Raises EncodeError where that says another."""
    scope: Draft = context["scope"]
    if wire is not None:
        if count >= 1 << 8 * wire.size:
            raise EncodeError(scope.place(name), f"{count} items are more than their count can say")
        primitive(wire)._build(count, stream, context, "")
    elif formula is not None and not follows(formula) and not scope.settle(formula, count):
        said = formula.evaluate_raw(scope.find)
        raise EncodeError(scope.place(name), f"has {count} items, `{formula.text}` says {said!r}")


def build_value(part: Any, context: Any) -> Any:
    """The raw value of a field that is no constant, length or check value."""
    node: Value = part.node
    scope: Draft = context["scope"]
    if node.equals:
        raw = scope.find(node.equals)
        if raw is None:
            raise EncodeError(scope.place(node.name), f"`{node.equals}` has no value")
        return raw
    return scope.bits_of(node) if node.bits else scope.raw_of(node)
