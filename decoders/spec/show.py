"""`spec show`: a product's layout as a table, line by line as in a protocol document.

The table is made of the compiled layout, so that it shows what the codecs read; the rows of the spec add what they
say for people: units, notes, contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from decoders import layout
from decoders.layout import MessageLayout, Nodes
from decoders.product import CompiledProduct
from decoders.reference.codec import FrameLayout
from decoders.spec import model
from decoders.spec.dedup_keys import dedup_text
from decoders.spec.node_words import (
    bit_note,
    bit_option,
    children,
    constant_count,
    node_note,
    node_size,
    node_type,
    row_scale,
    spelled,
    wire_word,
)
from decoders.spec.origins import Origins

__all__ = ["ShownRow", "frame_layouts", "frame_rows", "layout_rows", "message_layout", "message_rows", "when_text"]

_STEP = "  "


@dataclass(slots=True, frozen=True)
class ShownRow:
    """One line of the table. message "" stands for header and trailer of a frame kind.

    offset: from the start of its frame, message body or structure, in bytes; in a trailer from the frame's end; ""
    behind something of changing size. size: in bytes, or in words. name: indented by its depth.
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
    rows = [row for frame in frame_layouts(product) for row in frame_rows(product, frame)]
    for name in product.spec.messages:
        rows += message_rows(product, name)
    return rows


def frame_layouts(product: CompiledProduct) -> list[FrameLayout]:
    """The kinds of frame that the spec describes; none for a product whose whole payload is the message."""
    spec = product.spec
    framed = spec.frame is not None or bool(spec.frames)
    return [kind.layout for kind in product.kinds] if framed else []


def frame_rows(product: CompiledProduct, frame: FrameLayout) -> list[ShownRow]:
    """Header, the place of the message, and trailer of one kind of frame."""
    given = product.spec.frames.get(frame.name) or product.spec.frame
    table = _Table(product.spec, product.origins, frame.name, "")
    table.take(frame.header, 0)
    table.add("", "", "(message)", note="" if given is None or given.format == "binary" else f"as {given.format}")
    table.offset = -frame.trailer_size if layout.fixed_size(frame.trailer) is not None else None
    table.take(frame.trailer, 0)
    return table.rows


def message_layout(product: CompiledProduct, name: str) -> MessageLayout | None:
    """The layout of a message, of the first kind of frame that it comes in."""
    for kind in product.kinds:
        if name in kind.layout.messages:
            return kind.layout.messages[name]
    return next((item.frame.messages[name] for key, item in product.encoders.items() if key[1] == name), None)


def message_rows(product: CompiledProduct, name: str) -> list[ShownRow]:
    """A title line with what the message is, then its body."""
    message, plan = product.spec.messages[name], product.messages.get(name)
    direction = "downlink" if message.downlink else plan.record if plan is not None else ""
    copies = dedup_text(plan.dedup) if plan is not None else ""
    parts = [message.title, when_text(message), message.note, _only_construct(product, name)]
    parts += [f"copies known by {copies}"] if copies else []
    note = "; ".join(part for part in parts if part)
    table = _Table(product.spec, product.origins, "", name)
    table.rows.append(ShownRow("", name, "", "", direction, f"[{name}]", note=note))
    known = message_layout(product, name)
    if known is not None:
        table.take(known.body, 0)
    return table.rows


def _only_construct(product: CompiledProduct, message: str) -> str:
    """Why the generator has no function for the message, if that is so."""
    for kind in product.kinds:
        if kind.document is None and any(selector.message == message for selector in kind.layout.selectors):
            why = kind.why_not_fused if kind.fused is None else kind.fused.others.get(message, "")
            if why:
                return f"read by construct: {why}"
    return ""


def when_text(message: model.MessageSpec) -> str:
    """`type 0x02, port 5`"""
    return ", ".join(f"{key} {spelled(value)}" for key, value in message.when.items())


class _Table:
    def __init__(self, spec: model.SpecFile, origins: Origins, frame: str, message: str) -> None:
        self.spec = spec
        self.origins = origins
        self.frame = frame
        self.message = message
        self.offset: int | None = 0
        self.rows: list[ShownRow] = []

    def add(
        self,
        size: int | str,
        type_: str,
        name: str,
        scale: str = "",
        unit: str = "",
        note: str = "",
        depth: int = 0,
        *,
        placed: bool = True,
    ) -> None:
        """One line. placed: it stands in the bytes; the offset moves on by its size and is unknown behind a size in
        words."""
        offset = "" if self.offset is None or not placed else str(self.offset)
        self.rows.append(
            ShownRow(self.frame, self.message, offset, str(size), type_, _STEP * depth + name, scale, unit, note)
        )
        if self.offset is not None and placed:
            self.offset = self.offset + size if isinstance(size, int) else None

    def take(self, nodes: Nodes, depth: int, note: str = "") -> None:
        for node in nodes:
            self.one(node, depth, note)

    def one(self, node: Any, depth: int, note: str) -> None:
        row = self.origins.row(node)
        own = _joined(note, node_note(node, row, self.spec))
        match node:
            case layout.Value():
                self.value(node, row, depth, own)
            case layout.Derived():
                self.add("", "formula", node.name, _source(node, row), _unit(row), own, depth, placed=False)
            case layout.Skip():
                self.add(node_size(node), "skip", "-", note=own, depth=depth)
            case layout.Condition():
                self.condition(node, depth, own)
            case layout.Group(name="", size=None):
                self.take(node.nodes, depth, note)
            case _:
                self.structure(node, row, depth, own)

    def value(self, node: layout.Value, row: Any, depth: int, note: str) -> None:
        scale = "" if isinstance(row, model.ListRow) else row_scale(row)
        self.add(node_size(node), node_type(node, row), node.name, scale, _unit(row), note, depth)
        for bit in node.bits:
            option = bit_option(row, node, bit)
            at = getattr(option, "at", bit.at)
            place = ", ".join(map(str, at)) if isinstance(at, list) else at
            words = bit_note(bit, option, self.spec)
            name = _STEP * (depth + 1) + bit.name
            self.add(f"bit {place}", "bits", name, row_scale(option), _unit(option), words, placed=False)

    def condition(self, node: layout.Condition, depth: int, note: str) -> None:
        """One row has its condition among its notes; several stand below a line with it."""
        before = self.offset
        if len(node.nodes) == 1:
            self.take(node.nodes, depth, _joined(note, f"if {node.test.text}"))
        else:
            self.add("", "if", f"({node.test.text})", note=note, depth=depth, placed=False)
            self.take(node.nodes, depth + 1)
        if self.offset != before:
            self.offset = None

    def structure(self, node: Any, row: Any, depth: int, note: str) -> None:
        """A group, list, switch, tag list or what else holds rows: a line of its own, then its rows with offsets of
        their own."""
        start, whole = self.offset, layout.fixed_size((node,))
        title, kind = _title(node, row)
        size = node_size(node)
        if getattr(node, "plain", False):
            words = _joined(_count(node), "hidden" if node.hidden else "", note)
            self.add(size, f"list of {node_type(node.nodes[0], row)}", title, row_scale(row), _unit(row), words, depth)
            return
        self.add(size, kind, title, "", _unit(row), _joined(_count(node), note), depth)
        for case, nodes in children(node):
            inner = depth + 1
            self.offset = 0
            if case:
                shown = f"= {case}" if kind == "switch" and case != "otherwise" else case
                self.add("", _CASES.get(kind, "case"), shown, depth=inner, placed=False)
                inner += 1
            self.take(nodes, inner)
        self.offset = start + whole if start is not None and whole is not None else None


_CASES = {"switch": "case", "items": "tag"}


def _title(node: Any, row: Any) -> tuple[str, str]:
    """Name and kind of a structure."""
    match node:
        case layout.Group():
            return node.name or "(group)", "group"
        case layout.Repeat():
            return f"{node.name}[]", "list"
        case layout.Branch():
            return f"({node.on.text})", "switch"
        case layout.Tags():
            given = getattr(row, "items", None)
            return (given.tags if given is not None and isinstance(given.tags, str) else "tags"), "items"
    kind = type(node).__name__.lower()
    return getattr(node, "name", "") or f"({kind})", kind


def _count(node: Any) -> str:
    """How many items a list has."""
    if getattr(node, "count_wire", None) is not None:
        return f"{wire_word(node.count_wire)} count"
    count = constant_count(node)
    formula = getattr(node, "count", None)
    return f"{count if count is not None else formula.text} times" if formula is not None else ""


def _source(node: layout.Derived, row: Any) -> str:
    formula = getattr(node, "formula", None)
    return formula.text if formula is not None else row_scale(row)


def _unit(row: Any) -> str:
    return str(getattr(row, "unit", ""))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
