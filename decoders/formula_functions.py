"""Functions of formulas. All are pure, cost no more than their arguments' length, and fail with an exception that a
formula takes for "cannot be computed": ArithmeticError, AttributeError, TypeError, ValueError, IndexError.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from decoders.times import unix_ms_from_iso

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
MAX_BITS = 256  # of any integer that a power or a shift may make
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_MAX_DIGITS = 20
_MAX_WIDTH = 64
_MAX_TEXT = 1 << 16


def _power(base: float, exponent: float) -> float:
    if isinstance(base, str) or isinstance(exponent, str):
        raise TypeError("text has no power")
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise OverflowError("power too large")
    result: Any = base**exponent
    if isinstance(result, complex):
        raise ValueError("power of a negative number")
    return float(result) if isinstance(result, float) else int(result)


def _shift(value: int, by: int) -> int:
    if not 0 <= by <= MAX_BITS or value.bit_length() + by > MAX_BITS:
        raise OverflowError("shift too large")
    return value << by


def _times(left: float, right: float) -> float:
    if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
        raise TypeError("only numbers can be multiplied")
    return left * right


def _modulo(left: float, right: float) -> float:
    if isinstance(left, str):
        raise TypeError("text has no remainder")
    return left % right


def _there(value: Any) -> Any:
    """A value that must be there to be compared."""
    if value is None:
        raise TypeError("a missing value is compared")
    return value


class _Listed(tuple[Any, ...]):
    """Values that stand in a formula. What is not among them may be the one that is missing."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return tuple.__contains__(self, value) or (None in tuple(self) and _there(None))

    def __eq__(self, other: object) -> bool:
        return tuple(map(_there, self)) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


def _join(separator: str, *values: Any) -> str | None:
    """Texts that have a value, joined; lists are joined too; None when nothing is left."""
    words: list[str] = []
    for value in values:
        if value is None:
            continue
        if isinstance(value, list | tuple):
            words.extend(map(str, value))
        elif value != "":
            words.append(str(value))
    if len(words) * len(separator) > _MAX_TEXT:
        raise OverflowError("too long")
    return separator.join(words) if words else None


def _first(*values: Any) -> Any:
    """The first of the values that is there."""
    return next((value for value in values if value is not None), None)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple | str | dict) else 0


def _round(value: float, digits: int = 0) -> float:
    if abs(digits) > _MAX_DIGITS:
        raise OverflowError("too many digits")
    return round(value, digits) if digits else round(value)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _strip_left(text: str, characters: str) -> str:
    return text.lstrip(characters) or text[-1:]


def _strip_right(text: str, characters: str = " ") -> str:
    return text.rstrip(characters)


def _strip(text: str, characters: str = " ") -> str:
    return text.strip(characters)


def _to_int(value: Any, base: int = 10) -> int:
    if isinstance(value, str):
        if len(value) > 40:
            raise ValueError("too many digits")
        return int(value, base)
    return int(value)


def _number(value: Any) -> float:
    """A text of decimal digits as a number: an integer where it has neither point nor exponent."""
    if not isinstance(value, str):
        return float(value) if isinstance(value, float) else int(value)
    text = value.strip()
    if len(text) > 40 or _DECIMAL.fullmatch(text) is None:
        raise ValueError("no number")
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _given(value: Any) -> bool:
    """True when there is a value."""
    return value is not None


def _to_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _part(text: str, start: int, stop: int) -> str:
    return text[start:stop]


def _unhex(text: str) -> str:
    """Hex text of ASCII characters -> these characters."""
    return bytes.fromhex(text).decode("ascii", "replace")


def _luhn(digits: str) -> str:
    """The check digit of ISO/IEC 7812-1 annex B for a text of digits."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def _ddmm(value: float | str, side: str = "") -> float:
    """Degrees and minutes written as one number, 2232.9806 -> 22.549677 degrees. side: S or W makes it negative."""
    number = _number(value)
    whole, minutes = divmod(abs(number), 100)
    if minutes >= 60:
        raise ValueError("more than 59 minutes")
    degrees = whole + minutes / 60
    return -degrees if (number < 0) != (side[:1] in ("S", "s", "W", "w")) else degrees


def _bit(value: int, place: int) -> bool:
    """True when this bit is 1; bit 0 is the lowest."""
    return _bits(value, place, place) == 1


def _bits(value: int, low: int, high: int) -> int:
    """The integer in bits `low` to `high`."""
    if not isinstance(value, int) or not 0 <= low <= high < MAX_BITS * 2:
        raise ValueError("no bits of an integer")
    return value >> low & ((1 << (high - low + 1)) - 1)


def _signed(value: int, width: int) -> int:
    """The lowest `width` bits as two's complement."""
    whole = _bits(value, 0, width - 1)
    return whole - (1 << width) if whole >> (width - 1) else whole


def _numbers(values: tuple[Any, ...]) -> Iterator[float]:
    """All numbers among values and lists of them; missing ones are left out."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _numbers(tuple(value))
        elif isinstance(value, int | float):
            yield value
        elif value is not None:
            raise TypeError("only numbers can be added")


def _sum(*values: Any) -> float:
    return sum(_numbers(values))


def _mean(*values: Any) -> float:
    numbers = list(_numbers(values))
    return sum(numbers) / len(numbers)


def _item(items: Any, index: int, field: str = "") -> Any:
    """The item at this place, -1 being the last; with `field` a value of it. None where there is none."""
    if not isinstance(items, list | tuple | str) or not -len(items) <= index < len(items):
        return None
    found = items[index]
    found = found.get(field) if isinstance(found, dict) else found
    return None if isinstance(found, dict) else found


def _values(items: Any, field: str) -> list[Any]:
    """The values of a field in all items of a list that have one."""
    if not isinstance(items, list | tuple):
        raise TypeError("no list")
    found = [item.get(field) for item in items if isinstance(item, dict)]
    return [value for value in found if value is not None]


def _poly(x: float, *factors: float) -> float:
    """a + b x + c x^2 ..."""
    result: float = 0
    for factor in reversed(factors):
        result = result * x + factor
        if isinstance(result, int) and result.bit_length() > MAX_BITS * 4:
            raise OverflowError("number too large")
    return result


def _interpolate(x: float, *table: float) -> float:
    """y at x on the line through the points x1, y1, x2, y2 ...; the first or last y beyond them."""
    points = sorted(zip(table[::2], table[1::2], strict=True))
    if x <= points[0][0]:
        return points[0][1]
    for (x1, y1), (x2, y2) in pairwise(points):
        if x <= x2:
            return y2 if x == x2 else y1 + (y2 - y1) * (x - x1) / (x2 - x1)
    if x - x != 0:
        raise ValueError("no number")
    return points[-1][1]


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _words(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise TypeError("no text")
    return value


def _pad(value: Any, width: int) -> str:
    """A whole number or text with zeros in front."""
    if not 0 <= width <= _MAX_WIDTH:
        raise OverflowError("too wide")
    if isinstance(value, float):
        if value != int(value):
            raise ValueError("no whole number")
        value = int(value)
    return _to_text(value).zfill(width)


def _hex(value: int, digits: int = 0) -> str:
    """Hexadecimal digits, small letters, at least so many."""
    if not isinstance(value, int) or value < 0 or not 0 <= digits <= _MAX_WIDTH:
        raise ValueError("no positive integer")
    return f"{value:0{max(digits, 1)}x}"


def _unix(moment: str) -> float:
    """Seconds since 1970 of a time, which is a text within formulas."""
    if not isinstance(moment, str) or not _MOMENT.fullmatch(moment):
        raise ValueError("no time")
    milliseconds = unix_ms_from_iso(moment)
    return milliseconds / 1000 if milliseconds % 1000 else milliseconds // 1000


def _upper(value: str) -> str:
    return _words(value).upper()


def _lower(value: str) -> str:
    return _words(value).lower()


def _replace(value: str, old: str, new: str) -> str:
    text = _words(value)
    if not old or len(text) + text.count(old) * len(new) > _MAX_TEXT:
        raise OverflowError("too long")
    return text.replace(old, new)


def _split(value: str, separator: str, index: int) -> str:
    return _words(value).split(separator)[index]


def _contains(whole: Any, part: Any) -> bool:
    _there(part)
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    if not isinstance(whole, list | tuple | dict):
        raise TypeError("neither list nor text")
    return part in whole


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "clamp": _clamp,
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "sign": _sign,
    "sqrt": math.sqrt,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "exp": math.exp,
    "pow": _power,
    "sin": math.sin,
    "cos": math.cos,
    "atan2": math.atan2,
    "degrees": math.degrees,
    "radians": math.radians,
    "hypot": math.hypot,
    "poly": _poly,
    "interpolate": _interpolate,
    "ddmm": _ddmm,
    "bit": _bit,
    "bits": _bits,
    "signed": _signed,
    "int": _to_int,
    "number": _number,
    "text": _to_text,
    "hex": _hex,
    "pad": _pad,
    "part": _part,
    "split": _split,
    "upper": _upper,
    "lower": _lower,
    "replace": _replace,
    "strip": _strip,
    "strip_left": _strip_left,
    "strip_right": _strip_right,
    "luhn": _luhn,
    "unix": _unix,
    "unhex": _unhex,
    "join": _join,
    "first": _first,
    "count": _count,
    "given": _given,
    "contains": _contains,
    "sum": _sum,
    "mean": _mean,
    "item": _item,
    "values": _values,
}
"""Functions that every formula may call."""

_COUNTS: Mapping[str, tuple[int, int | None]] = {
    "min": (1, None),
    "max": (1, None),
    "hypot": (1, None),
    "log": (1, 2),
}
"""Fewest and most arguments of functions that Python does not say it of."""


@cache
def argument_counts(name: str) -> tuple[int, int | None]:
    """Fewest and most arguments of one of FUNCTIONS; None: any number."""
    if name in _COUNTS:
        return _COUNTS[name]
    given = inspect.signature(FUNCTIONS[name]).parameters.values()
    most = None if any(item.kind is item.VAR_POSITIONAL for item in given) else len(given)
    return sum(item.default is item.empty and item.kind is not item.VAR_POSITIONAL for item in given), most


_STRIPS = frozenset({"strip", "strip_left", "strip_right"})
GIVE_TEXT = _STRIPS | {"text", "luhn", "part", "unhex", "hex", "pad", "upper", "lower", "replace", "split"}
"""Functions that give a text whenever they give something."""

TOLERANT = frozenset({"join", "first", "count", "given"})
"""Functions that accept missing inputs: a formula that starts with one of them is never "failed"."""

NAMESPACE: Mapping[str, Any] = {
    "_power": _power,
    "_shift": _shift,
    "_times": _times,
    "_modulo": _modulo,
    "_there": _there,
    "_listed": _Listed,
    **{f"fn_{name}": function for name, function in FUNCTIONS.items()},
}
"""What a formula's source may refer to besides its own names."""
