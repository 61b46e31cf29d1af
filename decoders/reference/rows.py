"""Layout -> construct: the reference codec, which reads raw trees and builds messages.

construct's own primitives read the bytes; the structures around them (`Rows`, `TagList`, windows) are construct
classes of ours, because a tag list or a branch must add its values to the structure around it and errors must name
offset and field. construct's `.compile()` is not used: it returns wrong values for short input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import construct as c

from decoders.check_places import running_difference
from decoders.convert import Convert
from decoders.custom import PREFIX, bytes_by
from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import (
    Bit,
    Branch,
    BytesWire,
    CharRun,
    Condition,
    Derived,
    Entry,
    FormulaWire,
    Given,
    Group,
    Node,
    Nodes,
    OptionalMark,
    RecordWire,
    Rest,
    Skip,
    Until,
    Value,
    fixed_size,
    least_size,
)
from decoders.raw import read_bits
from decoders.reference.building import build_branch, build_condition, build_group, build_skip, build_value
from decoders.reference.draft import Draft
from decoders.reference.raw_tree import (
    Item,
    Labelled,
    Scope,
    Trace,
    Window,
    check_depth,
    evaluate,
    failure,
    shown,
    within,
)
from decoders.reference.values import primitive, python_inputs, sub_window, take
from decoders.text_forms import decoded
from decoders.window_calls import looks_ahead

PARTS: dict[type[Any], Callable[[Any], Any]] = {}
"""Kind of node -> the construct that reads it; each module of parts adds its own."""


class Rows(c.Construct):  # type: ignore[misc]
    """Nodes read one after the other into the scope that the context carries."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__()
        self.nodes = nodes
        self.parts: list[tuple[Node, Any]] = [(node, PARTS[type(node)](node)) for node in nodes]

    def _parse(self, stream: Window, context: Any, path: str) -> Scope:
        scope: Scope = context["scope"]
        for node, part in self.parts:
            start = stream.tell()
            name = getattr(node, "name", "")
            here = f"{path}.{name}" if path and name else path or name
            try:
                part._parsereport(stream, context, here)
            except c.StreamError:
                stream.seek(start)
                least, left = least_size((node,)), stream.remaining
                need = f"needs {least} bytes, {left} left" if least > left else f"needs more than the {left} bytes left"
                cut_off = failure(DecodeCode.TRUNCATED, need, stream, here)
                cut_off.node = node
                raise cut_off from None
            except DecodeError as error:
                if error.node is None:
                    error.node = node
                if error.offset is None:
                    error.offset, error.field = stream.base + start, here
                raise
        return scope

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for _node, part in self.parts:
            part._build(obj, stream, context, path)
        return obj


def read_item(node: Node, rows: Rows, key: Any, window: Window, context: Any, path: str) -> None:
    """The rows of one item of a tag list. key: what formula rows call `key`, None for nothing."""
    scope: Scope = context["scope"]
    scope.taken.append((node, Item(id(rows.nodes), key)))
    rows._parse(window, context, path)
    scope.taken.append((node, None))


class Part(c.Construct):  # type: ignore[misc]
    """A node as a construct: reads into and builds from `context["scope"]`."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.node = node

    def keep(self, context: Any, raw: Any, named: Sequence[Any] = ()) -> None:
        """named: the nodes or bits whose names are to be built here."""
        scope: Scope = context["scope"]
        scope.raw[self.node.name] = raw
        if named:
            names = {part.name: part.place.naming.render(lambda text: evaluate(text, scope, None)) for part in named}
            raw = Labelled(raw, names)
        scope.taken.append((self.node, raw))


class DerivedPart(Part):
    """A formula over values: it is worked out by `Finisher`, and only if its rows were read."""

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        scope: Scope = context["scope"]
        scope.taken.append((self.node, None))

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        scope: Draft = context["scope"]
        scope.computed.add(self.node.name)
        return obj


class ValuePart(Part):
    def __init__(self, node: Value) -> None:
        super().__init__(node)
        self.subcon = primitive(node.wire)
        self.named = computed_names(node.parts)

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        start = stream.tell()
        raw = self.subcon._parsereport(stream, context, path)
        node: Value = self.node
        if node.const is not None and raw != node.const:
            stream.seek(start)
            raise failure(DecodeCode.BAD_CONST, f"expected {shown(node.const)}, found {shown(raw)}", stream, path)
        if node.check is not None and node.check.running:
            covered = ((stream.before or b"") + stream.data)[: stream.base + start][node.check.span.start :]
            wrong = running_difference(node, raw, covered)
            if wrong:
                stream.seek(start)
                raise failure(DecodeCode.BAD_CHECK, wrong, stream, path)
        scope: Scope = context["scope"]
        other = scope.find(node.equals) if node.equals else None  # what is read later is compared when it is there
        if other is not None and raw != other:
            stream.seek(start)
            raise failure(
                DecodeCode.BAD_LENGTH, f"{shown(raw)} differs from `{node.equals}` {shown(other)}", stream, path
            )
        if isinstance(node.wire, RecordWire) and node.bits and raw.__class__ is not int:
            return raw  # a record without an integer has no bits
        for bit in node.bits:
            part = scope.raw[bit.name] = read_bits(raw, bit)
            if bit.const is not None and part != bit.const and not self._is_absent(raw):
                stream.seek(start)
                detail = f"`{bit.name}`: expected {shown(bit.const)}, found {shown(part)}"
                raise failure(DecodeCode.BAD_CONST, detail, stream, path)
        self.keep(context, raw, self.named)
        if context["trace"] is not None:
            end = stream.tell()
            marked = isinstance(node.wire, BytesWire) and isinstance(node.wire.size, Until | CharRun)
            if (marked or isinstance(node.wire, RecordWire)) and stream.value:
                start, end = stream.value  # the mark is no part of the value
            context["trace"].append(Trace(path, stream.base + start, end - start, raw, stream.data[start:end], node))
        return raw

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        node: Value = self.node
        scope: Draft = context["scope"]
        if isinstance(node.wire, FormulaWire):
            return obj  # nothing stands on the wire
        if node.check is not None and node.check.running:
            raise EncodeError(scope.place(node.name), "its place changes with the rows before it: it is only read")
        if node.const is not None:
            raw: Any = node.const
        elif node.check is not None or node.counts is not None:
            raw = 0  # filled in when the frame is whole
        else:
            self._expect(scope, stream)
            raw = build_value(self, context)
        try:
            scope.raw |= {bit.name: read_bits(raw, bit) for bit in node.bits}
        except DecodeError as error:
            raise EncodeError(scope.place(node.name), error.detail) from None
        scope.raw[node.name] = raw
        parts: list[Value | Bit] = [node, *node.bits]
        for part in parts:
            scope.written.add(part.name)
            scope.counted(part)
        try:
            self.subcon._build(raw, stream, context, scope.place(node.name))
        except (c.ConstructError, TypeError, ValueError, OverflowError) as error:
            raise EncodeError(scope.place(node.name), f"{raw!r} does not fit: {str(error).splitlines()[-1]}") from None
        return obj

    def _is_absent(self, raw: Any) -> bool:
        """True for an integer whose bits have no value."""
        absent = self.node.convert.absent
        return bool(absent) and Convert(absent=absent, loose=True).function()(raw, 0) is None

    def _expect(self, scope: Draft, stream: Any) -> None:
        """Takes the bytes that make the message what it is as the raw value that nothing else gives."""
        node, work = self.node, scope.work
        size = fixed_size((node,))
        if not work.known or size is None or work.body_at is None or stream is not work.stream:
            return
        start = stream.tell() - work.body_at
        places = range(start, start + size)
        if start >= 0 and node.name not in scope.fallback and all(at in work.known for at in places):
            data = bytes(work.known[at] for at in places)
            try:
                raw = self.subcon._parsereport(Window(data, 0), {"scope": scope}, "")
            except DecodeError:
                return  # these bytes are no value of the row
            scope.fallback = {**scope.fallback, node.name: raw}


class GivenPart(Part):
    def __init__(self, node: Given) -> None:
        super().__init__(node)
        self.named = computed_names((node,))

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Given = self.node
        scope: Scope = context["scope"]
        before = {node.name: scope.raw[node.name]} if node.name in scope.raw else {}
        self.keep(context, node.value, self.named)
        if not node.raw:
            del scope.raw[node.name]
            scope.raw |= before

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        return obj


def computed_names(parts: Sequence[Any]) -> list[Any]:
    """The nodes or bits whose names are built while reading."""
    return [part for part in parts if part.place is not None and part.place.naming is not None]


class SkipPart(Part):
    def _parse(self, stream: Window, context: Any, path: str) -> None:
        take(self.node.size, stream, context["scope"], path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        build_skip(self.node, stream, context)
        return obj


class OptionalMarkPart(Part):
    def _parse(self, stream: Window, context: Any, path: str) -> None:
        start = stream.tell()
        if stream.data.startswith(self.node.data, start):
            stream.seek(start + len(self.node.data))

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        return obj


class ConditionPart(Part):
    def __init__(self, node: Condition) -> None:
        super().__init__(node)
        self.rows = Rows(node.nodes)
        self.otherwise = Rows(node.otherwise)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        there = evaluate(self.node.test, context["scope"], stream)
        (self.rows if there else self.otherwise)._parse(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        build_condition(self, stream, context, path)
        return obj


class BranchPart(Part):
    def __init__(self, node: Branch) -> None:
        super().__init__(node)
        self.cases = [(spans, Rows(nodes)) for spans, nodes in node.cases]
        self.default = None if node.default is None else Rows(node.default)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        value = evaluate(self.node.on, context["scope"], stream)
        rows = self.choose(value)
        if rows is None and value is None and looks_ahead(self.node.on.names):
            raise failure(DecodeCode.TRUNCATED, f"`{self.node.on.text}` needs more bytes than there are", stream, path)
        if rows is None:
            raise failure(DecodeCode.NO_BRANCH, f"no case for {shown(value)} of `{self.node.on.text}`", stream, path)
        rows._parse(stream, context, path)

    def choose(self, value: Any) -> Rows | None:
        for spans, rows in self.cases:
            for low, high in spans:
                if within(value, low, high):
                    return rows
        return self.default

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        build_branch(self, stream, context, path)
        return obj


class GroupPart(Part):
    def __init__(self, node: Group) -> None:
        super().__init__(node)
        self.rows = Rows(node.nodes)

    def decoded(self, data: bytes, context: Any) -> bytes:
        """The bytes that those of the group stand for."""
        encoded = self.node.encoded
        if encoded.startswith(PREFIX):
            return bytes_by(encoded.removeprefix(PREFIX), data, python_inputs(context["scope"]))
        return decoded(data, encoded)

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Group = self.node
        window, inner = stream, context
        if node.size is not None or node.encoded:
            window = sub_window(node.size or Rest(), stream, context["scope"], path)
        if node.encoded:
            if context["trace"] is not None:
                context["trace"].append(Trace(path, window.base, window.size, window.data, window.data, node))
            window = Window(self.decoded(window.data, context), window.base)
        if node.name:
            inner = {**context, "scope": context["scope"].inner()}
            check_depth(inner["scope"], stream, path)
        self.rows._parse(window, inner, path)
        if window is not stream and window.remaining and not node.skip_rest:
            raise failure(DecodeCode.TRAILING_BYTES, f"{window.remaining} bytes left in the group", window, path)
        if node.name:
            self.keep(context, inner["scope"], computed_names((node,)))

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        build_group(self, stream, context, path)
        return obj


class EntryPart(GroupPart):
    """What the rows of a tag give under its key."""

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        scope: Scope = context["scope"]
        inner = {**context, "scope": scope.inner()}
        check_depth(inner["scope"], stream, path)
        self.rows._parse(stream, inner, path)
        node: Entry = self.node
        scope.taken.append((node, Labelled(inner["scope"], {node.name: str(scope.find("key"))})))


PARTS.update(
    {
        Derived: DerivedPart,
        Value: ValuePart,
        Given: GivenPart,
        Skip: SkipPart,
        OptionalMark: OptionalMarkPart,
        Condition: ConditionPart,
        Branch: BranchPart,
        Group: GroupPart,
        Entry: EntryPart,
    }
)
