"""Rules on what can be reached: rows behind the end of their bytes, cases and tags that cannot come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from decoders import layout
from decoders.errors import SpecProblem
from decoders.layout import Branch, BytesWire, IntWire, Nodes, Value
from decoders.spec.lint.subject import Rule, Subject
from decoders.spec.node_words import children

__all__ = ["REACH_RULES", "taker_of"]

Span = tuple[Any, Any]


def _all_nodes(subject: Subject) -> Iterator[tuple[str, Nodes]]:
    for name, message in subject.layouts().items():
        yield name, message.body


# Rows behind something that takes all bytes that are left


def _behind_rest(subject: Subject) -> Iterator[SpecProblem]:
    for _name, nodes in _all_nodes(subject):
        faults: list[tuple[Any, Any]] = []
        _ends(nodes, faults)
        for taker, node in faults:
            path = _place(subject, node)
            if path is None:
                continue
            what = f"`{getattr(taker, 'name', '')}`" if getattr(taker, "name", "") else "the row before it"
            message = f"never read: {what} takes all bytes that are left"
            fix = "put it before, or say how many bytes the other has"
            yield subject.problem("behind_rest", path, message, fix)


def _place(subject: Subject, node: Any) -> tuple[str | int, ...] | None:
    """Place of a node's row, or of the first row in it."""
    path = subject.path(node)
    if path is None:
        for _title, nodes in children(node):
            for inner in nodes:
                found = _place(subject, inner)
                if found is not None:
                    return found
    return path


def taker_of(nodes: Nodes) -> Any:
    """The node that takes all bytes that are left, whatever they are, or None."""
    return _ends(nodes, [])


def _ends(nodes: Nodes, faults: list[tuple[Any, Any]]) -> Any:
    """The node that takes all bytes of this window, or None; rows behind it are faults."""
    taker: Any = None
    for node in nodes:
        if taker is not None:
            if not _reads_nothing(node) and not _may_be_empty(node):
                faults.append((taker, node))
                break
            continue
        taker = None if _reads_nothing(node) else _taker(node, faults)
    return taker


def _reads_nothing(node: Any) -> bool:
    """A formula, or rows and lists of nothing else: they may stand behind all bytes."""
    match node:
        case layout.Derived() | layout.Given() | layout.OptionalMark():
            return True
        case layout.Repeat(size=None, count_wire=None) | layout.Group(size=None, encoded="") | layout.Condition():
            return bool(node.nodes) and all(map(_reads_nothing, node.nodes))
        case layout.Branch():
            held = [nodes for _title, nodes in children(node)]
            return bool(held) and all(_reads_nothing(inner) for nodes in held for inner in nodes)
    return False


def _may_be_empty(node: Any) -> bool:
    """A row of bytes that takes what is left says nothing wrong where nothing is left."""
    wire = getattr(node, "wire", node)
    return isinstance(getattr(wire, "size", None), layout.Rest) and not getattr(wire, "blank", False)


def _taker(node: Any, faults: list[tuple[Any, Any]]) -> Any:
    """The node within `node` that surely takes all bytes of the window around it, or None."""
    inner = children(node)
    match node:
        case layout.Value(wire=BytesWire(size=layout.Rest())) | layout.Skip(size=layout.Rest()):
            return node
        case layout.Condition():
            _ends(node.nodes, faults)
            return None
        case layout.Group():
            taker = _ends(node.nodes, faults)
            if node.encoded:
                taker = node
            return taker if node.size is None else node if isinstance(node.size, layout.Rest) else None
        case layout.Branch():
            takers = [_ends(nodes, faults) for _title, nodes in inner]
            if node.default is None or len(takers) == len(node.cases):  # an empty list of rows takes nothing
                takers.append(None if node.default is not None else takers[0] if takers else None)
            return takers[0] if takers and all(taker is not None for taker in takers) else None
        case layout.Records():  # behind them stands what a vendor adds
            return None
        case layout.Repeat() | layout.Tags():
            for _title, nodes in inner:
                _ends(nodes, faults)
            limits = ("count", "count_wire", "left", "going")
            open_end = node.size is None or isinstance(node.size, layout.Rest)
            return node if open_end and all(getattr(node, limit, None) is None for limit in limits) else None
    for _title, nodes in inner:
        _ends(nodes, faults)
    return None


# Cases of a switch


def _branches(nodes: Nodes, fields: dict[str, Any]) -> Iterator[tuple[Branch, dict[str, Any]]]:
    """Every switch, with the integers and bits that were read before it, by name."""
    for node in nodes:
        if isinstance(node, Value):
            fields[node.name] = node
            fields.update({bit.name: bit for bit in node.bits})
        if isinstance(node, Branch):
            yield node, dict(fields)
        for _title, inner in children(node):
            yield from _branches(inner, fields if not isinstance(node, layout.Repeat) else dict(fields))


def _domain(node: Branch, fields: dict[str, Any]) -> tuple[int, int] | None:
    """Values that a switch on one field can see."""
    if node.on.text not in fields:
        return None
    found = fields[node.on.text]
    wire = getattr(found, "wire", None)
    if isinstance(wire, IntWire) and wire.sign == "unsigned":
        return 0, (1 << 8 * wire.size) - 1
    if isinstance(wire, IntWire):
        half = 1 << 8 * wire.size - 1
        return (-half if wire.sign == "twos" else 1 - half), half - 1
    width = getattr(found, "width", None)
    return (0, (1 << width) - 1) if isinstance(width, int) and wire is None else None


def _covered(span: Span, others: Iterable[Span]) -> bool:
    """Whether every value of a span is in one of the others."""
    low, high = span
    if not isinstance(low, int) or not isinstance(high, int):
        return span in set(others)
    numbers = sorted(other for other in others if isinstance(other[0], int) and isinstance(other[1], int))
    for first, last in numbers:
        if first <= low:
            low = max(low, last + 1)
    return bool(low > high)


def _meets(span: Span, other: Span) -> bool:
    if all(isinstance(value, int) for value in (*span, *other)):
        return bool(span[0] <= other[1] and other[0] <= span[1])
    return bool(span == other)


def _plain(spans: Sequence[Span]) -> list[Span]:
    """Digits in quotes stand for the number and the text: the number is enough to compare."""
    numbers = [span for span in spans if isinstance(span[0], int)]
    return numbers or list(spans)


def _case_path(subject: Subject, node: Branch, index: int) -> tuple[str | int, ...] | None:
    origin = subject.product.origins.of(node)
    cases = getattr(getattr(origin, "row", None), "cases", None)
    if origin is None or not isinstance(cases, dict) or index >= len(cases):
        return None
    return (*origin.path, "cases", list(cases)[index])


def _cases(subject: Subject) -> Iterator[tuple[str, SpecProblem]]:
    """(code, problem) of every case that cannot be, or not wholly, taken."""
    done: set[tuple[str | int, ...]] = set()
    for message in subject.layouts().values():
        fields: dict[str, Any] = {}
        list(_branches(message.header, fields))
        for node, known in _branches(message.body, fields):
            origin = subject.path(node)
            if origin is not None and origin not in done:
                done.add(origin)
                yield from _case_faults(subject, node, known)


def _case_faults(subject: Subject, node: Branch, fields: dict[str, Any]) -> Iterator[tuple[str, SpecProblem]]:
    earlier: list[Span] = []
    domain = _domain(node, fields)
    for index, (given, _nodes) in enumerate(node.cases):
        path = _case_path(subject, node, index)
        spans = _plain(given)
        if path is None:
            continue
        key = path[-1]
        if spans and all(_covered(span, earlier) for span in spans):
            message = f"the case `{key}` is never taken: earlier cases have all its values"
            yield (
                "unreachable_case",
                subject.problem("unreachable_case", path, message, "remove it, or put it first", key=True),
            )
        elif any(_meets(span, other) for span in spans for other in earlier):
            message = f"the case `{key}` shares values with an earlier one, which takes them"
            yield (
                "overlapping_cases",
                subject.problem("overlapping_cases", path, message, "make the cases differ", key=True),
            )
        elif domain is not None and not any(_meets(span, domain) for span in spans):
            bounds = f"at most {domain[1]}" if domain[0] == 0 else f"from {domain[0]} to {domain[1]}"
            message = f"the case `{key}` is never taken: `{node.on.text}` is {bounds}"
            yield "unreachable_case", subject.problem("unreachable_case", path, message, "correct the value", key=True)
        earlier += spans
    origin = subject.path(node)
    if origin is not None and node.default and domain is not None and _covered(domain, earlier):
        message = f"the default is never taken: the cases have all values of `{node.on.text}`"
        yield (
            "unreachable_case",
            subject.problem("unreachable_case", (*origin, "default"), message, "remove it", key=True),
        )


def _unreachable_case(subject: Subject) -> Iterator[SpecProblem]:
    yield from (problem for code, problem in _cases(subject) if code == "unreachable_case")


def _overlapping_cases(subject: Subject) -> Iterator[SpecProblem]:
    yield from (problem for code, problem in _cases(subject) if code == "overlapping_cases")


# Tags


def _tag_tables(nodes: Nodes) -> Iterator[layout.Tags]:
    for node in nodes:
        if isinstance(node, layout.Tags):
            yield node
        for _title, inner in children(node):
            yield from _tag_tables(inner)


def _unreachable_tag(subject: Subject) -> Iterator[SpecProblem]:
    met: set[tuple[str | int, ...]] = set()
    never: dict[tuple[str | int, ...], tuple[int, int]] = {}
    for _name, nodes in _all_nodes(subject):
        for node in _tag_tables(nodes):
            size = 0 if node.escapes or not isinstance(node.key, IntWire) else node.key.size
            for key, rows in node.tags:
                lowest = _lowest(key)
                path = _place(subject, rows[0]) if rows else None
                if path is not None and (not size or lowest is None or lowest < 1 << 8 * size):
                    met.add(path)
                elif path is not None and lowest is not None:
                    never[path] = lowest, size
    for path, (lowest, size) in never.items():
        if path not in met:  # of a shared table each list may use another part
            message = f"the tag 0x{lowest:X} is never met: the key has {size} byte{'s' if size > 1 else ''}"
            yield subject.problem("unreachable_tag", path[:-1], message, "correct the key or its type", key=True)


def _lowest(key: Any) -> int | None:
    if isinstance(key, int):
        return key
    if isinstance(key, Sequence) and not isinstance(key, str) and key:
        return _lowest(key[0])
    return None


REACH_RULES = (
    Rule(
        *("behind_rest", "error", "no row stands behind one that takes all bytes that are left"),
        *("put it before, or give the other a size", _behind_rest),
    ),
    Rule(
        *("overlapping_cases", "warning", "the cases of a switch share no value"),
        *("make the cases differ", _overlapping_cases),
    ),
    Rule(
        *("unreachable_case", "warning", "every case and default of a switch can be taken"),
        *("remove it, put it first, or correct its value", _unreachable_case),
    ),
    Rule(
        *("unreachable_tag", "warning", "every tag's key fits into the type of the key"),
        *("correct the key or its type", _unreachable_tag),
    ),
)
