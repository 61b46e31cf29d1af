"""One value of a document (JSON, CSV): of what kind it is, and what is made of what stands there.

A value of another type than its row has is WRONG: it is none, and flagged. Numbers and times may be written as text.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from decoders import times
from decoders.clock_patterns import PatternError
from decoders.clocks import Counter, Digits, Integer, clock_of
from decoders.convert import Convert, Sentinel
from decoders.errors import DecodeError
from decoders.faults import is_empty
from decoders.layout import Bit, BytesWire, FloatWire, IntWire, Value
from decoders.raw import is_number
from decoders.text_forms import READERS
from decoders.times import Zone

__all__ = ["WRONG", "Kind", "is_bad_time", "kind_of", "number_of", "take", "time_text", "word_of"]

WRONG = object()
"""What is made of a value of another type than the row has."""
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

_DIRECT: Mapping[str, tuple[type, ...]] = {"number": (int, float), "text": (str,), "flag": (bool,)}

Step = Callable[[Any, Zone], Any]


@dataclass(slots=True)
class Kind:
    """What a value is. word: number, text, flag, clock, scalar (no list, no object), or `any` (nothing is known of it).
    clock: reads a text, or a number, that is a time as the spec says; counted: numbers are read by nothing else.
    zone: of a local time; None: the session's, else the spec's. absent: what stands for no value, as the spec says it;
    words: the words that some of these have. form: how digits are written (`hexnumber`, `ddmm`). convert: what the
    row makes of it, in messages that come as documents only.
    """

    word: str = "any"
    clock: Step | None = None
    counted: bool = False
    zone: Zone | None = None
    items: bool = False
    absent: tuple[Sentinel, ...] = ()
    words: tuple[tuple[Sentinel, str], ...] = ()
    form: str = ""
    convert: Step | None = None

    @property
    def direct(self) -> tuple[type, ...]:
        """Types of values that `take` gives back as they are."""
        if self.items or self.absent or self.convert is not None:
            return ()
        return _DIRECT.get(self.word, ())


def kind_of(part: Value | Bit, *, final: bool, loose: bool = False) -> Kind:
    """final: the document holds values; else what the row would read, so that scale, names and formula apply. loose:
    the row says no type."""
    convert = part.convert
    kind = _kind_of_bit(part) if isinstance(part, Bit) else _kind_of_row(part, final=final)
    if loose and kind.word in ("number", "text"):
        kind.word = "any"
    kind.absent = convert.absent
    kind.words = part.status.words if part.status is not None else ()
    if not final and kind.word != "clock" and not convert.boolean:
        kind.convert = _steps(convert)
    return kind


def _kind_of_bit(bit: Bit) -> Kind:
    if bit.convert.clock:
        return _clock_kind(bit.convert, written=False, final=True)
    if bit.convert.flags is not None or bit.convert.formula is not None:
        return Kind()
    return Kind("flag" if bit.convert.boolean else "number" if bit.convert.keeps_numbers else "scalar")


def _kind_of_row(node: Value, *, final: bool) -> Kind:
    convert, wire = node.convert, node.wire
    number = is_number(wire)
    if convert.clock:
        return _clock_kind(convert, written=not number, final=final)
    changed = convert.formula is not None or convert.flags is not None
    if convert.enum is not None or (final and changed):
        return Kind("any" if convert.flags is not None or convert.formula is not None else "scalar")
    if isinstance(wire, IntWire | FloatWire | BytesWire):
        form = wire.form if isinstance(wire, BytesWire) and wire.form in ("hexnumber", "ddmm") and not final else ""
        flags = convert.flags is not None  # the document may have their names already
        return Kind("any" if flags else "number" if number else "text", form=form)
    return Kind()


def _clock_kind(convert: Convert, *, written: bool, final: bool) -> Kind:
    if written:
        return Kind("clock", convert.function(), zone=convert.zone_s)
    try:
        clock = clock_of(convert.clock)
    except PatternError:  # said where the row is built
        return Kind("clock")
    if final or not isinstance(clock, Counter | Integer | Digits):
        return Kind("clock", zone=convert.zone_s)
    if isinstance(clock, Digits):
        return Kind("clock", replace(convert, absent=()).function(), zone=convert.zone_s)
    if clock.epoch_s == 0 and clock.unit_us in (1000, 1_000_000) and convert.linear is None:
        return Kind("clock", zone=convert.zone_s)  # seconds and milliseconds are told apart by their size
    counter, scaled = Counter(clock.epoch_s, clock.unit_us), Convert(linear=convert.linear, loose=True).function()
    own = convert.zone_s or 0
    return Kind("clock", lambda count, _zone: counter.read(scaled(count, 0), own), counted=True, zone=convert.zone_s)


def _steps(convert: Convert) -> Step | None:
    """Scale, formula, rounding, flags and names of a row; None where it has none of these."""
    kept = Convert(
        linear=convert.linear,
        formula=convert.formula,
        decimals=convert.decimals,
        flags=convert.flags,
        inverted=convert.inverted,
        downwards=convert.downwards,
    )
    steps = None if kept.plain else replace(kept, loose=True).function()
    names: Mapping[Any, Any] | None = convert.enum
    if names is None and kept.flags is not None:
        assert steps is not None
        return _flags_or_names(steps)
    if names is None:
        return steps
    known = {(word.__class__, word) for word in names.values()}

    def name(value: Any, zone: Zone) -> Any:
        result = value if steps is None else steps(value, zone)
        number = number_of(result) if isinstance(result, str) else int(result) if isinstance(result, bool) else result
        for key in (result, str(result), number, str(number)):
            if key.__class__ is not bool and isinstance(key, Hashable) and key in names:
                return names[key]
        if isinstance(result, Hashable) and (result.__class__, result) in known:
            return result  # the document has the name already
        return convert.other if convert.has_other else result

    return name


def _flags_or_names(flags: Step) -> Step:
    """A list of names is taken as it is. Raises TypeError for what is neither that nor an integer."""

    def names(value: Any, zone: Zone) -> Any:
        number = number_of(value) if isinstance(value, str) else value
        if number.__class__ is not int and not isinstance(value, list):
            raise TypeError("no integer, no list")
        return value if isinstance(value, list) else flags(number, zone)

    return names


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
    """The value that a document's value is; None for none, WRONG for one of another type (also as an item)."""
    if kind.items:
        item = replace(kind, items=False)
        return [take(item, one, zone) for one in value] if isinstance(value, list) else WRONG
    if value is None or (kind.absent and any(_is(value, sentinel) for sentinel in kind.absent)):
        return None
    if kind.word == "clock":
        return _time(kind, value, zone)
    found = _typed(kind, value)
    if kind.convert is None or found is None or found is WRONG:
        return found
    try:
        return kind.convert(found, zone)
    except (TypeError, ValueError, ArithmeticError):
        return WRONG


def _typed(kind: Kind, value: Any) -> Any:
    match kind.word:
        case "number":
            return _number(kind, value)
        case "text":
            text = str(value) if value.__class__ in (int, float) else value
            return text if isinstance(text, str) else WRONG
        case "flag":
            found = _flag(value)
            return None if is_empty(value) else found if isinstance(found, bool) else WRONG
        case "scalar":
            return WRONG if isinstance(value, list | dict) else value
    return value


def _number(kind: Kind, value: Any) -> Any:
    if is_empty(value):
        return None
    if kind.form and isinstance(value, str):
        try:
            return READERS[kind.form](value.encode("latin-1", "replace"), "", ())
        except DecodeError:
            return WRONG
    found = number_of(value) if isinstance(value, str) else value
    return found if found.__class__ in (int, float) else WRONG


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
    given = number_of(value) if kind.counted and isinstance(value, str) else value
    if kind.clock is not None and not isinstance(given, bool) and isinstance(given, str | int | float):
        try:
            found = None if kind.counted and isinstance(given, str) else kind.clock(given, zone)
        except (TypeError, ValueError, ArithmeticError, IndexError):
            found = None
        if isinstance(found, str) and found != value:
            return found
        if kind.counted and not isinstance(given, str):
            return None
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
