"""Values of documents (JSON, CSV): final ones, so that scale and names do not apply, but clocks, formulas and the
contract do.

Which names a structure has, and of what kind each is, is told by the same nodes and notes that its frames are read by.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from decoders import times
from decoders.convert import Sentinel
from decoders.faults import Fault, fault_of_result, is_empty
from decoders.formula import Formula
from decoders.layout import Bit, Branch, BytesWire, Condition, Derived, Group, Nodes, Repeat, Tags, Value
from decoders.raw import is_number
from decoders.spec.notes import Structure
from decoders.times import Zone

__all__ = ["DocumentFields", "document_fields", "is_bad_time", "number_of", "take", "time_text", "word_of"]

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_MAX_DIGITS = 40
_FLAGS: Mapping[Any, bool] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_MAX_MS = 1e16
_MS_FROM = 1e11
"""Numbers from here on are milliseconds: as seconds they would be later than the year 5000."""

Clock = Callable[..., Any]


@dataclass(slots=True)
class Kind:
    """What a value is. word: number, text, flag, clock, or `any` (nothing is known of it). clock: reads a text that is
    written as the spec says. zone: of a local time; None: the session's, else the spec's. absent: what stands for no
    value, as the spec says it; words: the words that some of these have."""

    word: str = "any"
    clock: Clock | None = None
    zone: Zone | None = None
    items: bool = False
    absent: tuple[Sentinel, ...] = ()
    words: tuple[tuple[Sentinel, str], ...] = ()


@dataclass(slots=True)
class DocumentFields:
    """The values of one structure: kinds by name, groups and lists by name, what is computed, what is not shown.
    faults: what to say of computed ones (by `id`) that have no value."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    groups: dict[str, DocumentFields] = field(default_factory=dict)
    lists: dict[str, DocumentFields] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    max_items: int = 1000
    keep: Formula | None = None

    @property
    def names(self) -> set[str]:
        return {*self.kinds, *self.groups, *self.lists}


def document_fields(nodes: Nodes, structure: Structure, loose: Collection[str] = ()) -> DocumentFields:
    """loose: values whose rows say no type."""
    notes = structure.notes.items()
    fields = DocumentFields(kinds={name: Kind("clock" if note.clock else "any") for name, note in notes})
    shown: set[str] = set()
    _take_nodes(nodes, structure, fields, shown, loose)
    fields.hidden -= {*shown, *structure.notes}
    for node in fields.derived:
        note, fault = structure.notes.get(node.name), fault_of_result(node)
        if fault is not None and note is not None and not note.conditional:  # a document does not say what was reached
            fields.faults[id(node)] = fault
    return fields


def _take_nodes(
    nodes: Nodes, structure: Structure, fields: DocumentFields, shown: set[str], loose: Collection[str]
) -> None:
    for node in nodes:
        match node:
            case Value():
                (fields.hidden if node.hidden else shown).add(node.name)
                silent = node.const is not None or node.counts is not None or node.check is not None or bool(node.bits)
                if not (node.hidden and silent) or node.name in structure.notes:
                    fields.kinds[node.name] = _with_sentinels(Kind() if node.name in loose else _kind(node), node)
                for bit in node.bits:
                    if not bit.hidden:
                        shown.add(bit.name)
                        word = "flag" if bit.convert.boolean else "number" if bit.convert.keeps_numbers else "text"
                        fields.kinds[bit.name] = _with_sentinels(Kind(word), bit)
            case Derived():
                (fields.hidden if node.hidden else shown).add(node.name)
                fields.derived.append(node)
                if node.convert.absent and node.name in fields.kinds:
                    fields.kinds[node.name].absent = node.convert.absent
            case Repeat(plain=True):
                kinds = DocumentFields()
                _take_nodes(node.nodes, Structure(), kinds, set(), loose)
                fields.kinds[node.name] = kinds.kinds.get(node.name, Kind())
                fields.kinds[node.name].items = True
            case Repeat():
                inner = document_fields(node.nodes, structure.inner.get(node.into or node.name, Structure()), loose)
                inner.max_items, inner.keep = node.max_items, node.keep
                known = fields.lists.setdefault(node.into or node.name, inner)
                if known is not inner:
                    known.kinds |= inner.kinds
                    known.derived += inner.derived
                    known.faults |= inner.faults
            case Group(name="") | Condition():
                _take_nodes(node.nodes, structure, fields, shown, loose)
            case Group():
                known_inside = structure.inner.get(node.name, Structure())
                fields.groups[node.name] = document_fields(node.nodes, known_inside, loose)
            case Branch():
                for _, rows in node.cases:
                    _take_nodes(rows, structure, fields, shown, loose)
                _take_nodes(node.default or (), structure, fields, shown, loose)
            case Tags():
                for _, rows in node.tags:
                    _take_nodes(rows, structure, fields, shown, loose)


def _kind(node: Value) -> Kind:
    convert = node.convert
    if convert.clock:
        written = isinstance(node.wire, BytesWire) and not is_number(node.wire)
        return Kind("clock", convert.function() if written else None, convert.zone_s)
    if is_number(node.wire) and convert.keeps_numbers:
        return Kind("number")
    return Kind("text") if isinstance(node.wire, BytesWire) and not is_number(node.wire) else Kind()


def _with_sentinels(kind: Kind, part: Value | Bit) -> Kind:
    kind.absent = part.convert.absent
    kind.words = part.status.words if part.status is not None else ()
    return kind


def word_of(kind: Kind, value: Any) -> str | None:
    """The word of the sentinel that a document's value is."""
    return next((word for sentinel, word in kind.words if _is(value, sentinel)), None)


def is_bad_time(kind: Kind, value: Any) -> bool:
    """True for what a document gives for a time and is none."""
    said = is_empty(value) or any(_is(value, sentinel) for sentinel in kind.absent)
    return kind.word == "clock" and not kind.items and not said


def _is(value: Any, sentinel: Sentinel) -> bool:
    """Whether a document's value, which may be a number written as text, is this sentinel."""
    if isinstance(sentinel, str):
        return not isinstance(value, bool) and isinstance(value, str | int | float) and str(value).strip() == sentinel
    number = number_of(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or isinstance(sentinel, bytes):
        return False
    if isinstance(sentinel, tuple):
        return sentinel[0] <= number <= sentinel[1]
    return number == sentinel or (isinstance(sentinel, float) and math.isclose(number, sentinel, rel_tol=1e-6))


def take(kind: Kind, value: Any, zone: Zone) -> Any:
    """The value that a document's value is; None for none."""
    if kind.items:
        item = replace(kind, items=False)
        return [take(item, one, zone) for one in value] if isinstance(value, list) else value
    if kind.absent and any(_is(value, sentinel) for sentinel in kind.absent):
        return None
    match kind.word:
        case "clock":
            return _time(kind, value, zone)
        case "number" if isinstance(value, str):
            return number_of(value)
        case "flag":
            return _flag(value)
    return value


def number_of(text: str, *, plain: bool = False) -> Any:
    """The number that a text is; the text itself when it is none. plain: a text such as `007` or `+5` is none."""
    stripped = text.strip()
    if len(stripped) > _MAX_DIGITS or not (_PLAIN_NUMBER if plain else _NUMBER).fullmatch(stripped):
        return text
    if stripped.lstrip("+-").isdigit():
        return int(stripped)
    number = float(stripped)
    return text if number in (float("inf"), float("-inf")) else number


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower(), value)
    return bool(value) if value.__class__ is int and value in (0, 1) else value


def _time(kind: Kind, value: Any, zone: Zone) -> str | None:
    zone = zone if kind.zone is None else kind.zone
    if kind.clock is not None and isinstance(value, str):
        try:
            found = kind.clock(value, zone)
        except (TypeError, ValueError, ArithmeticError, IndexError):
            found = None
        if isinstance(found, str) and found != value:
            return found
    return time_text(value, zone)


def time_text(value: Any, zone: Zone = 0) -> str | None:
    """Epoch seconds or milliseconds, as a number or written, or ISO text -> RFC 3339 UTC; None for anything else.

    zone: of an ISO text that names none.
    """
    if isinstance(value, str):
        number = number_of(value, plain=True)
        if isinstance(number, str):
            return _iso(value.strip(), zone)
        value = number
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    unix_ms = value if abs(value) >= _MS_FROM else value * 1000
    return times.iso_from_unix_ms(int(unix_ms)) if abs(unix_ms) < _MAX_MS else None


def _iso(text: str, zone: Zone) -> str | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return times.iso_from_unix_ms(times.unix_ms_of_local(moment, zone))
        return times.iso_from_unix_ms(times.unix_ms_from_iso(text))
    except (ValueError, OverflowError):
        return None
