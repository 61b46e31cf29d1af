"""`spec show`: a product's layout as a table, line by line as in a protocol document; its construct; its fused code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.checksum import checksum
from decoders.layout import (
    Branch,
    BytesWire,
    Condition,
    Derived,
    Group,
    IntWire,
    Node,
    Prefix,
    Repeat,
    Rest,
    Size,
    Skip,
    Tags,
    Value,
    fixed_size,
    least_size,
)
from decoders.product import CompiledProduct, KindCodec
from decoders.reference.values import primitive
from decoders.spec import model
from decoders.spec.model_rows import bit_fields
from decoders.spec.row_walk import inner_rows
from decoders.spec.words import wire_of, without_size

__all__ = ["ShownRow", "construct_text", "generated_text", "layout_rows"]

_STEP = "  "


@dataclass(slots=True, frozen=True)
class ShownRow:
    """One line of the table. message "" stands for header and trailer of a frame kind.

    offset: from the start of its frame, message body or structure, in bytes; "" behind something of changing size.
    size: in bytes, or in words. name: indented by its depth.
    """

    frame: str
    message: str
    offset: str
    size: str
    type: str
    name: str
    scale: str = ""
    unit: str = ""
    note: str = ""

    def to_plain(self) -> dict[str, str]:
        """As JSON, without what is empty."""
        names = ("frame", "message", "offset", "size", "type", "name", "scale", "unit", "note")
        return {name: text for name in names if (text := getattr(self, name))}


def layout_rows(product: CompiledProduct) -> list[ShownRow]:
    """Frames first, with header and trailer; then all messages."""
    spec = product.spec
    frames = spec.frames or ({"frame": spec.frame} if spec.frame is not None else {})
    rows: list[ShownRow] = []
    for name, frame in frames.items():
        table = _Table(spec, name, "")
        if frame.start:
            table.add(len(frame.start) // 2, "const", "start", note=frame.start)
        table.take(frame.header, 0)
        table.add(None, "", "(message)", note="JSON" if frame.format == "json" else "")
        table.offset = None
        table.take(frame.trailer, 0)
        stop = frame.stop or frame.until
        if stop:
            table.add(len(stop) // 2, "const", "stop", note=stop)
        rows += table.rows
    for name, message in spec.messages.items():
        where = ", ".join(f"{key} {_spelled(value)}" for key, value in message.when.items())
        table = _Table(spec, "", name)
        direction = "downlink" if message.downlink else product.messages[name].record
        note = "; ".join(part for part in (message.title, where, message.note) if part)
        table.rows.append(ShownRow("", name, "", "", direction, f"[{name}]", note=note))
        table.take(message.fields, 0)
        if message.items is not None:
            table.items(message.items, 0)
        rows += table.rows
    return rows


class _Table:
    def __init__(self, spec: model.SpecFile, frame: str, message: str) -> None:
        self.spec = spec
        self.frame = frame
        self.message = message
        self.offset: int | None = 0
        self.rows: list[ShownRow] = []
        self.used: list[str] = []

    def add(
        self,
        size: int | str | None,
        type_: str,
        name: str,
        scale: str = "",
        unit: str = "",
        note: str = "",
        depth: int = 0,
    ) -> None:
        """One line; the offset moves on by a size in bytes and is unknown behind any other."""
        offset = "" if self.offset is None else str(self.offset)
        shown = "" if size is None else str(size)
        self.rows.append(
            ShownRow(self.frame, self.message, offset, shown, type_, _STEP * depth + name, scale, unit, note)
        )
        if self.offset is not None:
            self.offset = self.offset + size if isinstance(size, int) else None

    def take(self, rows: Sequence[Any], depth: int) -> None:
        for row in rows:
            before = self.offset
            self.one(row, depth)
            if getattr(row, "if_", None) and self.offset != before:
                self.offset = None

    def one(self, row: Any, depth: int) -> None:
        note = _note(row)
        match row:
            case model.ValueRow():
                self.value(row, depth, note)
            case model.FormulaRow():
                self.rows.append(
                    ShownRow(
                        self.frame,
                        self.message,
                        "",
                        "",
                        "formula",
                        _STEP * depth + row.name,
                        row.formula or "",
                        row.unit,
                        note,
                    )
                )
            case model.UseRow():
                if row.use in self.used:
                    return
                self.used.append(row.use)
                self.take(self.spec.blocks.get(row.use, []), depth)
                self.used.pop()
            case model.SkipRow():
                size = row.skip or ""
                self.add(int(size) if size.isdigit() else size, "skip", "-", note=note, depth=depth)
            case model.ItemsRow():
                self.items(row.items, depth, note)
            case _:
                self.structure(row, depth, note)

    def value(self, row: model.ValueRow, depth: int, note: str) -> None:
        scale = "" if row.scale == 1 else f"* {row.scale}"
        if row.offset != 0:
            scale = f"{scale} + {row.offset}".strip()
        self.add(_size(row), row.type, row.name, row.formula or scale, row.unit, note, depth)
        size = _size(row)
        for name, part in bit_fields(row, size * 8 if isinstance(size, int) else 0).items():
            words = ("inverted" if part.invert else "", _enum(part.enum), part.note)
            bit_note = "; ".join(word for word in words if word)
            bit_scale = "" if part.scale == 1 else f"* {part.scale}"
            self.rows.append(
                ShownRow(
                    *(self.frame, self.message, "", f"bit {part.at}", "bits", _STEP * (depth + 1) + name),
                    *(bit_scale, part.unit, bit_note),
                )
            )

    def structure(self, row: Any, depth: int, note: str) -> None:
        """A group, list or switch: a line of its own, then its rows with offsets of their own."""
        match row:
            case model.GroupRow():
                title, kind = row.group or "(group)", "group"
            case model.ListRow():
                title, kind = f"{row.list_}[]", "list"
            case _:
                title, kind = f"({row.switch})", "switch"
        self.rows.append(ShownRow(self.frame, self.message, self._here(), "", kind, _STEP * depth + title, note=note))
        for path, rows in inner_rows(row, ()):
            inner = depth + 1
            if kind == "switch":
                case = "otherwise" if path[0] == "default" else f"= {_spelled(path[-1])}"
                self.rows.append(ShownRow(self.frame, self.message, "", "", "case", _STEP * inner + case))
                inner += 1
            self.offset = 0
            self.take(rows, inner)
        self.offset = None

    def items(self, items: model.ItemsSpec, depth: int, note: str = "") -> None:
        """A tag list: its key and length, then each tag."""
        parts = [f"key {items.key}", f"length {items.length}" if items.length is not None else "", note]
        name = items.tags if isinstance(items.tags, str) else "tags"
        shown = ", ".join(part for part in parts if part)
        self.rows.append(
            ShownRow(self.frame, self.message, self._here(), "", "items", _STEP * depth + name, note=shown)
        )
        tags = self.spec.tags.get(items.tags, {}) if isinstance(items.tags, str) else items.tags
        for key, rows in tags.items():
            self.rows.append(
                ShownRow(
                    self.frame,
                    self.message,
                    "",
                    "",
                    "tag",
                    _STEP * (depth + 1) + (f"{key} (0x{key:X})" if isinstance(key, int) else key),
                )
            )
            self.offset = 0
            self.take(rows, depth + 2)
        self.offset = None

    def _here(self) -> str:
        return "" if self.offset is None else str(self.offset)


def _size(row: model.ValueRow) -> int | str:
    if row.crc is not None and not row.type:
        return (checksum(row.crc).bits if isinstance(row.crc, str) else row.crc.bits) // 8
    if row.prefix is not None:
        return f"{row.prefix} + n"
    if row.bytes is not None:
        return int(row.bytes) if row.bytes.isdigit() else row.bytes
    if without_size(row.type):
        return "rest"
    found = wire_of(row.type, None, True)
    size = found[0].size if found is not None else None
    return size if isinstance(size, int) else ""


def _note(row: Any) -> str:
    words = [f"if {row.if_}" if getattr(row, "if_", None) else ""]
    if isinstance(row, model.ValueRow):
        words += [
            f"= {_spelled(row.const)}" if row.const is not None else "",
            f"length of {row.counts}" if row.counts else "",
            f"{row.crc} over {row.over or 'the frame'}" if row.crc else "",
            f"absent {_spelled(row.absent)}" if row.absent is not None else "",
            _enum(row.enum),
        ]
    if isinstance(row, model.ValueOptions):
        words += [
            f"{row.range[0]:g} to {row.range[1]:g}" if row.range is not None else "",
            "required" if row.required else "",
            f"identity of the {row.identity}" if row.identity else "",
        ]
    if isinstance(row, model.ListRow):
        words.append(f"{row.count_type} count" if row.count_type else f"{row.count} times" if row.count else "")
    return "; ".join(word for word in [*words, getattr(row, "note", "")] if word)


def _enum(enum: Any) -> str:
    if isinstance(enum, str):
        return f"enum {enum}"
    if not enum:
        return ""
    shown = [f"{key} {word}" for key, word in list(enum.items())[:8]]
    return ", ".join([*shown, "…"] if len(enum) > len(shown) else shown)


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(_spelled, value))
    return f"0x{value:02X}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


# The codecs


def generated_text(product: CompiledProduct) -> str:
    """Source of the fused codec of every kind of frame, or why there is none."""
    parts = []
    for kind in product.kinds:
        source = kind.fused.source if kind.fused is not None else f"# none: {kind.why_not_fused or 'JSON'}\n"
        parts.append(f"# {product.id}, {kind.kind.name} frames\n\n{source}")
    return "\n\n".join(parts)


def construct_text(product: CompiledProduct) -> str:
    """The constructs that the reference codec reads with, indented as they are nested."""
    return "\n".join(line for kind in product.kinds for line in _kind_lines(product, kind))


def _kind_lines(product: CompiledProduct, kind: KindCodec) -> Iterator[str]:
    yield f"{product.id}, {kind.kind.name} frames"
    if kind.reference is None:
        yield f"{_STEP}none: JSON"
        return
    yield f"{_STEP}header"
    yield from _node_lines(kind.layout.header, 2)
    yield f"{_STEP}trailer ({kind.layout.trailer_size} bytes)"
    yield from _node_lines(kind.layout.trailer, 2)
    for name, message in kind.layout.messages.items():
        size = fixed_size(message.body)
        shown = f"{size} bytes" if size is not None else f"at least {least_size(message.body)} bytes"
        yield f"{_STEP}{name} ({shown})"
        yield from _node_lines(message.body, 2)


def _node_lines(nodes: Sequence[Node], depth: int) -> Iterator[str]:
    indent = _STEP * depth
    for node in nodes:
        match node:
            case Value():
                yield f"{indent}{node.name}: {_primitive(node)}"
            case Derived():
                yield f"{indent}{node.name}: Computed({node.formula.text})"
            case Skip():
                yield f"{indent}Padding({_size_text(node.size)})"
            case Condition():
                yield f"{indent}If({node.test.text})"
                yield from _node_lines(node.nodes, depth + 1)
            case Branch():
                yield f"{indent}Switch({node.on.text})"
                for spans, rows in node.cases:
                    shown = ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in spans)
                    yield f"{indent}{_STEP}{shown}"
                    yield from _node_lines(rows, depth + 2)
                if node.default is not None:
                    yield f"{indent}{_STEP}otherwise"
                    yield from _node_lines(node.default, depth + 2)
            case Group():
                size = f"FixedSized({_size_text(node.size)})" if node.size is not None else "Struct"
                yield f"{indent}{node.name or '(group)'}: {size}"
                yield from _node_lines(node.nodes, depth + 1)
            case Repeat():
                yield f"{indent}{node.name}: {_array(node)}"
                yield from _node_lines(node.nodes, depth + 1)
            case Tags():
                yield f"{indent}TagList(key={_integer(node.key)}, unknown={node.unknown})"
                for key, rows in node.tags:
                    yield f"{indent}{_STEP}{key} (0x{key:X})"
                    yield from _node_lines(rows, depth + 2)
    if not nodes:
        yield f"{indent}Pass"


def _primitive(node: Value) -> str:
    wire = node.wire
    if isinstance(wire, BytesWire):
        text = f"{wire.form.capitalize()}({_size_text(wire.size)})"
    else:
        text = _integer(wire) if isinstance(wire, IntWire) else str(primitive(wire))
    if node.const is not None:
        text = f"Const({_spelled(node.const)}, {text})"
    if node.check is not None:
        text += f"  check {node.check.algorithm}, frame[{node.check.span.start}:-{node.check.span.tail}]"
    return text


def _array(node: Repeat) -> str:
    if node.count_wire is not None:
        return f"PrefixedArray({_integer(node.count_wire)})"
    if node.count is not None:
        return f"Array({node.count.text})"
    if node.size is not None:
        return f"FixedSized({_size_text(node.size)}, GreedyRange)"
    return f"RepeatUntil({node.left.text} left)" if node.left is not None else "GreedyRange"


def _integer(wire: IntWire) -> str:
    signed = {"unsigned": "", "twos": ", signed", "magnitude": ", sign and magnitude"}[wire.sign]
    return f"BytesInteger({wire.size}{signed}{'' if wire.big else ', swapped'})"


def _size_text(size: Size) -> str:
    match size:
        case int():
            return str(size)
        case Rest():
            return "rest"
        case Prefix():
            return f"prefix {_integer(size.wire)}"
    return size.text
