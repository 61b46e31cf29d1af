"""Value -> raw value: the steps of `Convert` the other way round, for messages that are built."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from decoders import times
from decoders.clocks import clock_of
from decoders.convert import Convert
from decoders.errors import EncodeError
from decoders.solve import Unknown, solve
from decoders.times import Zone

_MOST_DECIMALS = 9
_MOST_RAW = 0xFFFF  # where a formula is no line, integers up to this are tried
__all__ = ["absent_raw", "to_raw", "word_raw"]


def to_raw(name: str, convert: Convert, value: Any, zone_s: Zone, *, fractions: bool = False) -> Any:
    """The inverse of `Convert`: value -> raw value. fractions: a raw value may have decimals though it is no float on
    the wire. Raises EncodeError when there is none."""
    if convert.plain:
        return value
    if value is None and convert.absent:
        return absent_raw(convert)
    try:
        if convert.enum is not None:
            value = _unnamed(name, convert, value)
        if convert.clock:
            value = _clock(convert, value, zone_s)
        if convert.formula is not None:
            value = _input(name, convert, value)
        if convert.linear is not None:
            step = convert.linear
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise EncodeError(name, f"{value!r} is no number")
            exact = (Fraction(str(value)) * step.denominator - step.add) / step.numerator
            value = float(exact) if convert.finite else _shortest(exact) if fractions else round(exact)
        if convert.boolean:
            return int(bool(value) != convert.invert)
        if convert.flags is not None:
            return sum(1 << bit for bit, word in convert.flags.items() if word in value) ^ convert.inverted
        if convert.signed_width and value < 0:
            half = 1 << (convert.signed_width - 1)
            return half - value if convert.magnitude else value + 2 * half
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(name, f"{value!r} cannot be written: {error}") from None
    return value


def _shortest(exact: Fraction) -> int | float:
    """The number as somebody would write it who has measured it."""
    found = round(float(exact), _MOST_DECIMALS)
    return int(found) if found.is_integer() else found


def absent_raw(convert: Convert) -> Any:
    """A raw value that means: not available; None where there is none."""
    return _first(convert.absent[0]) if convert.absent else None


def word_raw(convert: Convert, word: Any) -> Any:
    """The raw value of a sentinel that has this word; None where none has."""
    return next((_first(sentinel) for sentinel, known in convert.words if known == word), None)


def _first(sentinel: Any) -> Any:
    return sentinel[0] if isinstance(sentinel, tuple) else sentinel


def _unnamed(name: str, convert: Convert, value: Any) -> Any:
    """What has this name. A value that is none of the names is passed through, unless it is a text."""
    names = convert.enum or {}
    for raw, word in names.items():
        if word == value and isinstance(word, bool) is isinstance(value, bool):
            return raw
    if convert.has_other and convert.other == value:
        return next(number for number in range(len(names) + 1) if number not in names)
    if isinstance(value, str) and value not in names and convert.has_other | all(isinstance(raw, int) for raw in names):
        known = dict.fromkeys(str(word) for word in names.values() if word is not None)
        raise EncodeError(name, f"{value!r} is none of {', '.join(known)}")
    return value


def _input(name: str, convert: Convert, value: Any) -> Any:
    """The scaled value that the row's formula makes this of."""
    formula = convert.formula
    assert formula is not None
    off = 0.0 if convert.decimals is None else 0.5 * 10**-convert.decimals
    if formula.names == ("x",):
        likeliest = Unknown("x", fits=lambda found: isinstance(found, int | float) and found >= 0)
        for unknown in (likeliest, Unknown("x"), Unknown("x", now=""), Unknown("x", most=_MOST_RAW)):
            found = solve(formula, lambda _name: None, [unknown], value, off)
            if found is not None:
                return found["x"]
    raise EncodeError(name, f"`{formula.text}` cannot be turned round for {value!r}")


def _clock(convert: Convert, value: Any, zone_s: Zone) -> Any:
    """RFC 3339 text or Unix ms -> what the device's clock would show."""
    unix_ms = times.unix_ms_from_iso(value) if isinstance(value, str) else int(value)
    clock = clock_of(convert.clock)
    zone = convert.zone_s
    if zone is None:
        zone = zone_s if clock.local else 0
    return clock.write(unix_ms, zone)
