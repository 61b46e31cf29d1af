"""Words for the nodes of a layout: their type, size, scale and remarks, as tables and pages show them.

A kind of node or an attribute that is not known here is described by what it holds, so that nothing new is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args

from decoders import layout
from decoders.formula import Formula
from decoders.layout import Bit, FloatWire, IntWire, Node, Nodes, Value
from decoders.spec import model
from decoders.spec.model_conversion import absent_values
from decoders.spec.model_rows import bit_fields

__all__ = [
    "bit_note", "bit_option", "children", "constant", "constant_count", "enum_text", "node_note", "node_size",
    "node_type", "row_scale", "size_text", "spelled", "wire_word",
]  # fmt: skip

_NODES: tuple[type[Any], ...] = get_args(Node)
_SIGNS: Mapping[str, str] = {"unsigned": "u", "twos": "i", "magnitude": "sm"}
_PLAIN_TYPE = re.compile(r"u?int(le|be)?|(u|i|sm|f)\d+(le|be)?")
_COLUMNS = "name nodes cases default tags bits wire convert hidden formula on size place status plain words format"
_WORDED = "marked negate const counts check equals test max_items keep count count_wire unknown unknown_wire key length"
_SHOWN_ELSEWHERE = frozenset([*_COLUMNS.split(), *_WORDED.split()])
"""Attributes of nodes that have a column or words of their own."""
_MAX_ENUM = 8


def spelled(value: Any) -> str:
    """Numbers in hex, lists with "or", objects as key and word."""
    if isinstance(value, list | tuple):
        return " or ".join(map(spelled, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{spelled(key)} {word}" for key, word in value.items())
    return f"0x{value:02X}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def wire_word(wire: Any) -> str:
    """The type word of a wire; `le` where the byte order matters and is little."""
    if isinstance(wire, IntWire | FloatWire):
        letter = _SIGNS.get(wire.sign, "u") if isinstance(wire, IntWire) else "f"
        return f"{letter}{wire.size * 8}{'' if wire.big or wire.size == 1 else 'le'}"
    form = getattr(wire, "form", "")
    return str(form) if form else type(wire).__name__.removesuffix("Wire").lower()


def size_text(size: Any) -> str:
    """A size in words: a number, a formula, `rest`, or the type of the length before it."""
    match size:
        case None:
            return ""
        case int():
            return str(size)
        case layout.Rest():
            return "rest"
        case layout.Until():
            return f"up to {mark_text(size.mark)}"
        case layout.CharRun():
            return "a run"
        case layout.Prefix():
            return f"{wire_word(size.wire)} + n"
        case Formula():
            return size.text
    return _any(size)


def mark_text(mark: bytes) -> str:
    """A mark as text in quotes, or in hex."""
    text = mark.decode("latin-1")
    return repr(text) if all(" " <= letter <= "~" or letter in "\r\n\t" for letter in text) else mark.hex(" ").upper()


def constant(formula: Any) -> int | None:
    """The number that a formula without names always gives."""
    if not isinstance(formula, Formula) or formula.names:
        return None
    value = formula.function()
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def constant_count(node: Any) -> int | None:
    """The number of items of a list that always has as many."""
    return constant(getattr(node, "count", None)) if isinstance(node, layout.Repeat) else None


def node_size(node: Any) -> int | str:
    """Bytes that a node takes, else in words."""
    whole = layout.fixed_size((node,))
    if whole is not None:
        return whole
    size = getattr(node, "size", None)
    if size is None:
        size = getattr(getattr(node, "wire", None), "size", None)
    return size_text(size)


def node_type(node: Any, row: Any) -> str:
    """The type of a value as the spec says it, with its byte order; for structures what they are."""
    wire = getattr(node, "wire", None)
    if not isinstance(node, Value) or wire is None:
        return type(node).__name__.lower()
    given = (row.type or "") if isinstance(row, model.ValueRow | model.ListRow) else ""
    numeric = isinstance(wire, IntWire | FloatWire)
    if not given and (row is None or isinstance(row, model.LiteralRow)) and node.const is not None:
        return "const"
    if not given or (numeric and _PLAIN_TYPE.fullmatch(given)):
        return wire_word(wire)
    little = numeric and not wire.big and wire.size > 1 and not given.endswith("le")
    return given + ("le" if little else "")


def row_scale(row: Any) -> str:
    """What the spec does to the number: its formula, else factor and offsets."""
    if row is None:
        return ""
    formula = getattr(row, "formula", None)
    if formula:
        return str(formula)
    before, scale, offset = (_plain(getattr(row, key, "")) for key in ("raw_offset", "scale", "offset"))
    parts = [f"+ {before}," if before not in ("", "0") else "", f"* {scale}" if scale not in ("", "1") else ""]
    parts.append(f"+ {offset}" if offset not in ("", "0") else "")
    return " ".join(part for part in parts if part).rstrip(",").replace("+ -", "- ")


def _plain(number: float | str) -> str:
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def enum_text(enum: Any, spec: model.SpecFile) -> str:
    """Names of raw values; of a shared list its name and its first entries."""
    name = f"enum {enum}: " if isinstance(enum, str) else ""
    words = spec.enums.get(enum, {}) if isinstance(enum, str) else enum
    return name + _entries(words) if words else name.rstrip(": ")


def _flags_text(flags: Any, spec: model.SpecFile) -> str:
    name = f"flags {flags}: " if isinstance(flags, str) else "flags "
    words = spec.flags.get(flags, {}) if isinstance(flags, str) else flags
    return name + _entries(words) if words else ""


def _entries(words: Mapping[Any, Any]) -> str:
    shown = [f"{key} {'no value' if word is None else word}" for key, word in list(words.items())[:_MAX_ENUM]]
    return ", ".join([*shown, "…"] if len(words) > len(shown) else shown)


def node_note(node: Any, row: Any, spec: model.SpecFile) -> str:
    """Everything about a node that has no column: constants, lengths, check values, names, contract, conditions."""
    words = [*_wire_words(node, row), *_row_words(row, spec), *_extra(node), getattr(row, "note", "")]
    return "; ".join(dict.fromkeys(word for word in words if word))


def _wire_words(node: Any, row: Any) -> Iterator[str]:
    if getattr(node, "const", None) is not None:
        yield f"= {spelled(node.const)}"
    if getattr(node, "counts", None) is not None:
        adjust = getattr(row, "adjust", 0)
        whole = "body" if node.counts.span is None else "the frame, by its `size`"
        yield f"length of {getattr(row, 'counts', None) or whole}" + (f" {adjust:+d}" if adjust else "")
    check = getattr(node, "check", None)
    if check is not None:
        over = getattr(row, "over", None) or "the frame up to here"
        yield f"{getattr(check, 'algorithm', 'check value')} over {over}"
    if getattr(node, "equals", ""):
        yield f"equals {node.equals}"
    if isinstance(getattr(node, "negate", None), Formula):
        yield f"negative if {node.negate.text}"
    if isinstance(getattr(node, "keep", None), Formula):
        yield f"kept if {node.keep.text}"
    if isinstance(node, layout.Tags):
        yield from _tag_words(node, row)
    if isinstance(node, layout.Derived) and node.test is not None:
        yield f"if {node.test.text}"


def _tag_words(node: layout.Tags, row: Any) -> Iterator[str]:
    """Key, length and what becomes of unknown keys."""
    if isinstance(node, layout.Records):
        given = getattr(row, "items", row)
        yield f"records of {getattr(given, 'format', '')}".rstrip()
    else:
        yield "key text" if isinstance(node, layout.TextTags) else f"key {_any(node.key)}"
        yield f"length {_any(node.length)}" if node.length is not None else ""
    unknown = node.unknown
    if unknown.startswith("into:"):
        yield f"unknown ones go into `{unknown[5:]}`" if unknown[5:] else "unknown ones have names of their own"
    elif unknown not in ("skip", "rows"):
        yield f"{unknown}s at unknown ones"


def _row_words(row: Any, spec: model.SpecFile) -> Iterator[str]:
    """What the conversion of a row, or of some bits, says beside scale and unit."""
    if not isinstance(row, model.Conversion):
        return
    if isinstance(row, model.BitField | model.BitPart) and row.const is not None:
        yield f"= {spelled(row.const)}"
    if row.absent is not None:
        shown = row.absent if isinstance(row.absent, dict) else list(absent_values(row.absent))
        yield f"absent {spelled(shown)}"
    if row.enum is not None:
        yield enum_text(row.enum, spec)
    if row.flags is not None:
        yield _flags_text(row.flags, spec)
    if row.clock:
        yield f"clock {', '.join(row.clock) if isinstance(row.clock, list) else row.clock}"
    if row.zone:
        yield f"zone {row.zone}"
    if row.decimals is not None:
        yield f"rounded to {row.decimals} decimals"
    if row.range is not None:
        yield f"{row.range[0]:g} to {row.range[1]:g}"
    if row.required:
        yield "required"
    if isinstance(row, model.ValueOptions):
        yield f"identity of the {row.identity}" if row.identity else ""
        yield f"time of the {row.timestamp}" if row.timestamp else ""
        yield f"session {row.session}" if row.session else ""
    for key in ("encoding", "digits", "repeat", "else_", "until", "chars"):
        given = getattr(row, key, None)
        yield f"{key.rstrip('_')} {given}" if given is not None else ""


def bit_option(row: Any, node: Any, bit: Bit) -> Any:
    """What the spec says of some bits: a model of their own, or None."""
    if not isinstance(row, model.ValueRow) or not row.bits:
        return None
    size = getattr(node.wire, "size", 0)
    return bit_fields(row, size * 8 if isinstance(size, int) else 0).get(bit.name)


def bit_note(bit: Bit, option: Any, spec: model.SpecFile) -> str:
    words = ["inverted" if getattr(option, "invert", False) else ""]
    signed = getattr(option, "signed", False)
    words.append("sign and magnitude" if signed == "magnitude" else "signed" if signed else "")
    words += ["length of body" if bit.counts is not None else "", *_row_words(option, spec)]
    return "; ".join(word for word in [*words, getattr(option, "note", "")] if word)


def _extra(node: Any) -> Iterator[str]:
    """Attributes that differ from their default and have no words of their own."""
    for one in fields(node):
        if one.name in _SHOWN_ELSEWHERE:
            continue
        value = getattr(node, one.name)
        default = one.default if one.default is not MISSING else None
        if value == default or value in (None, "", (), False) or _holds_nodes(value):
            continue
        yield one.name.replace("_", " ") + ("" if value is True else f" {_any(value)}")


def _any(value: Any) -> str:
    if isinstance(value, bytes):
        return mark_text(value)
    if isinstance(value, Formula):
        return value.text
    if is_dataclass(value) and hasattr(value, "size"):
        return wire_word(value)
    return type(value).__name__.lower() if is_dataclass(value) else str(value)


def _is_nodes(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(item, _NODES) for item in value)


def _holds_nodes(value: Any) -> bool:
    if isinstance(value, _NODES) or _is_nodes(value):
        return True
    return isinstance(value, tuple) and any(isinstance(item, tuple) and _holds_nodes(item) for item in value)


def children(node: Any) -> list[tuple[str, Nodes]]:
    """The nodes within a node, each list with its title: "" for the only one, else the case or tag."""
    found: list[tuple[str, Nodes]] = []
    words = getattr(node, "words", ())  # of a list whose keys are texts
    for one in fields(node):
        value = getattr(node, one.name)
        if one.name == "tags" and words and len(words) == len(value):
            found += [(" or ".join(map(str, key)), entry[-1]) for key, entry in zip(words, value, strict=True)]
        elif _is_nodes(value):
            title = "otherwise" if one.name == "default" else "" if one.name == "nodes" else one.name
            found.append((title, value))
        elif one.name == "default" and value == () and isinstance(node, layout.Branch):
            found.append(("otherwise", ()))
        elif isinstance(value, tuple):
            found += [
                (_case_title(entry[0]), entry[-1])
                for entry in value
                if isinstance(entry, tuple) and len(entry) > 1 and isinstance(entry[-1], tuple)
                if _is_nodes(entry[-1]) or (entry[-1] == () and one.name in ("cases", "tags"))
            ]
    return found


def _case_title(key: Any) -> str:
    """`5 (0x5)` for a key, `2..9` for a range, several with "or"."""
    if isinstance(key, int):
        return f"{key} (0x{key:X})"
    if isinstance(key, Sequence) and not isinstance(key, str):
        spans = [item for item in key if isinstance(item, tuple) and len(item) == 2]
        spans = [item for item in spans if isinstance(item[0], int)] or spans  # digits in quotes are a text as well
        if spans:
            return " or ".join(_case_title(low) if low == high else f"{low}..{high}" for low, high in spans)
    return str(key)
