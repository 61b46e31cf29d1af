"""Rules on what is allowed and hardly ever meant: one name for two values, hex where text stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from decoders.errors import SpecProblem
from decoders.layout import Bit, Group, Node, Nodes, Repeat, Value
from decoders.spec import model
from decoders.spec.lint.subject import Rule, Subject
from decoders.spec.node_words import children

__all__ = ["UNLIKELY_RULES"]


def _named(nodes: Nodes) -> Iterator[tuple[str, Node]]:
    """The values that every message of these rows has, with the nodes that they are from: no row with `if`, no case,
    no tag. A row that repeats says so."""
    for node in nodes:
        match node:
            case Value():
                yield from ((part.name, node) for part in node.parts if _is_plain(part))
            case Group(name=""):
                yield from _named(node.nodes)
            case Group(place=None) | Repeat(into="", numbered=False):
                yield node.name, node


def _is_plain(part: Value | Bit) -> bool:
    return not part.hidden and part.place is None


def _structures(nodes: Nodes) -> Iterator[Nodes]:
    """The rows of each structure within these: items of lists, named groups."""
    for node in nodes:
        if isinstance(node, Repeat) or (isinstance(node, Group) and node.name):
            yield node.nodes
        for _title, inner in children(node):
            yield from _structures(inner)


def _same_name(subject: Subject) -> Iterator[SpecProblem]:
    for message in subject.layouts().values():
        for nodes in ((*message.header, *message.trailer, *message.body), *_structures(message.body)):
            first: dict[str, Node] = {}
            for name, node in _named(nodes):
                other = first.setdefault(name, node)
                path = subject.path(node)
                both_lists = isinstance(node, Repeat) and isinstance(other, Repeat)  # the second one adds its items
                if other is not node and path is not None and not both_lists:
                    what = f"`{name}` has a row before, whose value this one replaces"
                    yield subject.problem("same_name", path, what, "another name, `repeat: list`, or `hidden: true`")


def _hex_mark(subject: Subject) -> Iterator[SpecProblem]:
    frames: dict[tuple[str, ...], model.FrameSpec] = {("frames", name): it for name, it in subject.spec.frames.items()}
    if subject.spec.frame is not None:
        frames["frame",] = subject.spec.frame
    for path, frame in frames.items():
        for key in ("start", "stop", "until"):
            text = bytes.fromhex(getattr(frame, key) or "").decode("utf-8", "replace")
            meant = _marks_in_hex(text) if frame.format in model.TEXT_FORMATS else ""
            if meant:
                what = f"the characters `{text}` themselves are the mark here: marks of text are text"
                yield subject.problem("hex_mark", (*path, key), what, f"write {meant}")


def _marks_in_hex(text: str) -> str:
    """The text that these digits stand for, in YAML, where it is nothing but signs such as `*` and line ends."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return ""
    if not data or not all(byte < 0x30 or 0x3A <= byte < 0x41 or 0x7B <= byte < 0x7F for byte in data):
        return ""
    shown: Any = data.decode("ascii")
    return '"' + "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in shown) + '"'


_SIZES = ("count", "bytes", "item_bytes", "until_left", "length")


def _half_size(subject: Subject) -> Iterator[SpecProblem]:
    for placed in subject.rows:
        row = placed.row.items if isinstance(placed.row, model.ItemsRow) else placed.row
        path = (*placed.path, "items") if isinstance(placed.row, model.ItemsRow) else placed.path
        for key in _SIZES:
            text = getattr(row, key, None)
            if isinstance(text, str) and _may_be_a_fraction(text):
                what = f"`{text}` may be a fraction, and then the frame is refused: `bad_length`"
                fix = f"`{text.replace('/', '//')}` drops what is over"
                yield subject.problem("half_size", (*path, key), what, fix)


def _may_be_a_fraction(text: str) -> bool:
    """True for a formula that divides, and not within a function such as `ceil`."""
    if "/" not in text:
        return False
    waiting: list[ast.AST] = [ast.parse(text.strip(), mode="eval").body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return True
        if not isinstance(node, ast.Call | ast.Compare):
            waiting.extend(ast.iter_child_nodes(node))
    return False


UNLIKELY_RULES = (
    Rule(
        *("half_size", "warning", "a count or size is a whole number"),
        *("divide with `//`", _half_size),
    ),
    Rule(
        *("same_name", "warning", "no two rows that are always there give one value"),
        *("give one of them another name, or say `repeat: list`", _same_name),
    ),
    Rule(
        *("hex_mark", "warning", "marks of text frames are written as text"),
        *('write the characters, such as "\\r\\n"', _hex_mark),
    ),
)
