"""Rows of text frames -> nodes: values between marks, literal text, and what `until`, `chars` and `split` mean.

A frame with `format: text` has characters between delimiters; its rows are read as text by default. The same keys
work in binary frames, where marks are bytes in hex and have to be there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from decoders.convert import PLAIN
from decoders.formula import compile_formula
from decoders.layout import (
    Branch,
    BytesWire,
    CharRun,
    Condition,
    Group,
    Nodes,
    OptionalMark,
    Rest,
    Size,
    Skip,
    Until,
    Value,
)
from decoders.spec import model
from decoders.spec.notes import Path
from decoders.spec.words import TEXT_TYPES, is_whole

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

_MAX_MARK = 64
_MAX_LITERAL = 256
_MAX_SKIPS = 64
_PRINTABLE = re.compile(r"[ -~]*")


def mark_of(rows: RowBuilder, text: str | None, path: Path) -> bytes | None:
    """The bytes of a mark or literal: text in text frames, hex in binary ones. None where there is none."""
    if text is None:
        return None
    data = text.encode() if rows.text else _hex(rows, text, path)
    if data is not None and not 0 < len(data) <= _MAX_LITERAL:
        rows.report(path, f"it has {len(data)} bytes", f"1 to {_MAX_LITERAL} bytes")
        return None
    return data


def _hex(rows: RowBuilder, text: str, path: Path) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        hint = f'this text in hex is "{text.encode().hex().upper()}"; in frames with `format: text` it is text'
        rows.report(path, f"`{text}` is no bytes in hex", hint)
        return None


def split_of(rows: RowBuilder, text: str | None, path: Path) -> bytes:
    """The mark between values of a group, list or tag list: its own, or that of what is around."""
    if text is None:
        return rows.split
    if not rows.text:
        rows.report(path, "`split` is for text", "in a frame with `format: text`, or a group with `encoded: text`")
        return b""
    return mark_of(rows, text, path) or b""


def own_size(rows: RowBuilder, row: Any, path: Path, key: str = "bytes") -> Size | None:
    """The size that a row itself gives, by `bytes` (`skip`), `prefix`, `until` or `chars`."""
    given = [name for name in (key, "prefix", "until", "chars") if getattr(row, name, None) is not None]
    if len(given) > 1:
        rows.report((*path, given[1]), f"`{given[0]}` and `{given[1]}` both say how long it is", "keep one of them")
        return None
    if getattr(row, "until", None) is not None:
        mark = mark_of(rows, row.until, (*path, "until"))
        return None if mark is None else Until(mark, needed=not rows.text)
    if getattr(row, "chars", None) is not None:
        chars = _characters(row.chars)
        if chars is None:
            rows.report((*path, "chars"), f"`{row.chars}` is no list of characters", "such as `0-9.` or `A-Za-z`")
            return None
        return CharRun(chars)
    return rows.size(getattr(row, key), getattr(row, "prefix", None), path, key)


def _characters(text: str) -> bytes | None:
    """`0-9.` -> the characters it stands for; a `-` at either end is itself. None for what is not ASCII."""
    found: set[int] = set()
    index = 0
    if not text or not text.isascii():
        return None
    while index < len(text):
        low = high = text[index]
        if text[index + 1 : index + 2] == "-" and index + 2 < len(text):
            high = text[index + 2]
            index += 2
        if low > high:
            return None
        found.update(range(ord(low), ord(high) + 1))
        index += 1
    return bytes(sorted(found))


def rest_size(rows: RowBuilder) -> Size:
    """The size of a value of a text frame that says nothing about it."""
    return Until(rows.split, needed=False) if rows.split else Rest()


def text_wire(rows: RowBuilder, row: model.ValueRow, path: Path, size: Size | None) -> BytesWire | None:
    """How a row of a text frame, or a number written as text in any frame, is read. None for a type that cannot be."""
    word = row.type or "text"
    form = TEXT_TYPES.get(word)
    if form is None:
        rows.report(
            (*path, "type"),
            f"`{row.type}` reads bytes, and this is a text frame",
            "`text`, `number`, `hexnumber` or `ddmm`; bytes written as hex stand in `group: {encoded: hex}`",
        )
        return None
    if form == "number" and (row.bits or row.flags or row.counts):
        form = "whole"
    return BytesWire(
        size if size is not None else rest_size(rows),
        form,
        encoding=row.encoding or "utf-8",
        trim=row.trim is not False,
        strip=row.trim if isinstance(row.trim, str) else "",
        blank=True,
        digits=0,
    )


def literal_row(rows: RowBuilder, row: model.LiteralRow, path: Path) -> Nodes:
    data = mark_of(rows, row.literal, (*path, "literal"))
    if data is None:
        return ()
    return (OptionalMark(data) if row.optional else literal_node(data),)


def literal_node(data: bytes) -> Value:
    """Bytes that must stand here."""
    return Value(literal_name(data), BytesWire(len(data), "hex"), PLAIN, hidden=True, const=data.hex())


def literal_name(data: bytes) -> str:
    """What a literal is called in errors and in `--explain`; no name that a field can have."""
    text = data.decode("latin-1")
    return f"'{text}'" if _PRINTABLE.fullmatch(text) and not set(text) & set(".[]'") else f"'{data.hex()}'"


def skip_row(rows: RowBuilder, row: model.SkipRow, path: Path) -> Nodes:
    """Bytes that mean nothing; `{skip: 3, until: ","}` does the same three times."""
    times = 1
    if row.skip is not None and row.until is not None:
        if not is_whole(row.skip) or not 1 <= int(row.skip) <= _MAX_SKIPS:
            rows.report((*path, "skip"), f"`{row.skip}` is no number of values", f"1 to {_MAX_SKIPS}")
            return ()
        times = int(row.skip)
        row = row.model_copy(update={"skip": None})
    size = own_size(rows, row, path, "skip")
    return (Skip(size),) * times if size is not None else ()


def optional_nodes(nodes: Nodes) -> Nodes:
    """Nodes that are there when any byte is left: a row that is cut off leaves its bytes to no smaller one behind."""
    return (Condition(compile_formula("remaining >= 1"), nodes, optional=True),)


def unless_empty(built: Nodes) -> Nodes:
    """An encoded group that is one of the values around it, and not there where nothing stands between two marks."""
    group = built[0] if len(built) == 1 else None
    if not isinstance(group, Group) or not isinstance(group.size, Until):
        return built
    empty = compile_formula(f"1 if starts({group.size.mark.decode()!r}) else 0")
    return (Branch(empty, ((((1, 1),), (Skip(group.size),)),), built),)


def is_bounded(rows: RowBuilder, split: str | None, item_until: str | None = None) -> bool:
    """True for a group or list of a text frame whose values are parted by another mark than those around it: it is
    itself one of the values around."""
    if not rows.text or not rows.split or split is None or split.encode() == rows.split:
        return False
    return item_until is None or item_until.encode() != rows.split


def list_size(rows: RowBuilder, row: model.ListRow, path: Path) -> tuple[Size | None, bytes]:
    """The size of all items of a list together, and what ends each item."""
    until = mark_of(rows, row.item_until, (*path, "item_until")) or b""
    if until and row.item_prefix is not None:
        rows.report((*path, "item_until"), "`item_prefix` says how long an item is", "keep one of the two")
    size = rows.size(row.bytes, None, path, "bytes")
    counted = row.count is not None or row.count_type is not None
    values = row.type is not None and until not in (b"", rows.split) and row.split is None and not counted
    if size is None and rows.text and (is_bounded(rows, row.split, row.item_until) or values):
        size = rest_size(rows)
    return size, until


def is_optional(row: Any) -> bool:
    """True for a row that may lie behind the end. A literal may be missing among others, which is something else."""
    return getattr(row, "optional", False) and not isinstance(row, model.LiteralRow)
