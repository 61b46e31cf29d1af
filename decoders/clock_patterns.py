"""Patterns of times written in digits: `DDMMYYhhmmss`, `YYYY-MM-DD hh:mm:ss.SSS`.

A pattern is read from left to right. Letters: YYYY YY (year), MM M, MMM (Jan), DD D, hh h, mm m, ss s, S to SSSSSS
(fraction of a second), Z or +hh:mm (offset from UTC, which may be missing), ? (any character, ignored), T (itself).
`{S:+02:00,W:+01:00}` is one of these texts and the offset that it stands for. Other letters stand between quotes,
everything else stands for itself. Small y and d and a large H mean the same as Y, D and h.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from decoders.clock_fields import gap_in, unix_ms_of
from decoders.times import Zone, iso_from_unix_ms, moment_to_write, zone_seconds

MAX_TEXT = 64
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {word.lower(): number for number, word in enumerate(_MONTHS, 1)}
_TOKEN = re.compile(
    r"[Yy]{4}|[Yy]{2}|MMM|MM?|[Dd]{1,2}|[Hh]{1,2}|mm?|ss?|S{1,6}|Z|\+[Hh]{2}:?mm|\?|T|\{[^{}]*\}|'[^']+'|[^A-Za-z{}']"
)
_DIGITS: Mapping[str, tuple[str, int]] = {
    "YYYY": ("year", 4),
    "YY": ("year", 2),
    "MM": ("month", 2),
    "M": ("month", 1),
    "DD": ("day", 2),
    "D": ("day", 1),
    "hh": ("hour", 2),
    "h": ("hour", 1),
    "mm": ("minute", 2),
    "m": ("minute", 1),
    "ss": ("second", 2),
    "s": ("second", 1),
}
_WORDS = "YYYY MM DD hh mm ss SSS MMM Z ?"


class PatternError(ValueError):
    """The text is no pattern. `hint` says what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(slots=True, frozen=True)
class Pattern:
    """A compiled pattern. width: characters of a number in it, 0 where other things than digits stand in it.
    fraction: digits behind the point that end it, 0 for none."""

    text: str
    tokens: tuple[str, ...]
    expression: re.Pattern[str]
    offsets: Mapping[str, int]
    width: int
    fraction: int

    def read(self, raw: Any, zone: Zone, received_ms: int) -> str | None:
        """Text, or a number without its leading zeros -> RFC 3339 UTC; None for what is no time of this pattern."""
        if isinstance(raw, str):
            text = raw.strip(" \0\t\r\n")
        elif raw.__class__ in (int, float):
            text = self._digits(raw)
        else:
            return None
        found = self.expression.fullmatch(text) if len(text) <= MAX_TEXT else None
        if found is None:
            return None
        parts = found.groupdict()
        fields = {unit: int(digits) for unit, digits in parts.items() if digits and unit in _UNITS}
        if parts.get("monthname"):
            fields["month"] = _MONTH_NUMBERS[parts["monthname"].lower()]
        ms = int((parts.get("fraction") or "0").ljust(3, "0")[:3])
        if parts.get("word"):
            zone = self.offsets[parts["word"]]
        elif parts.get("offset"):
            try:
                zone = zone_seconds(parts["offset"])
            except ValueError:
                return None
        unix_ms = unix_ms_of(fields, ms, zone, received_ms)
        return None if unix_ms is None else iso_from_unix_ms(unix_ms)

    def _digits(self, number: float) -> str:
        if number < 0 or not self.width or number - number != 0 or number >= 1e18:
            return ""
        if self.fraction:
            return f"{number:0{self.width}.{self.fraction}f}"
        return str(int(number)).zfill(self.width)

    def write(self, unix_ms: int, zone: Zone) -> str:
        """The inverse. Raises ValueError for a pattern that ignores something, and for years that do not fit."""
        moment = moment_to_write(unix_ms, zone)
        offset = (moment - moment_to_write(unix_ms, 0)) // datetime.timedelta(seconds=1)
        return "".join(self._written(token, moment, offset) for token in self.tokens)

    def _written(self, token: str, moment: datetime.datetime, offset: int) -> str:
        if token in _DIGITS:
            unit, width = _DIGITS[token]
            number = getattr(moment, unit)
            return f"{number % 100 if token == 'YY' else number:0{width}d}"
        if token == "MMM":
            return _MONTHS[moment.month - 1]
        if token[0] == "S":
            return f"{moment.microsecond:06d}"[: len(token)]
        if token == "Z" or (token[0] == "+" and len(token) > 1):
            sign, minutes = "-" if offset < 0 else "+", abs(offset) // 60
            colon = "" if token[0] == "+" and ":" not in token else ":"
            return "Z" if token == "Z" and not offset else f"{sign}{minutes // 60:02d}{colon}{minutes % 60:02d}"
        if token[0] == "{":
            for word, seconds in self.offsets.items():
                if seconds == offset:
                    return word
            raise ValueError(f"no word of `{token}` stands for this offset")
        if token == "?":
            raise ValueError(f"`{self.text}` ignores a character")
        return token.strip("'") if len(token) > 1 else token


_UNITS = frozenset(unit for unit, _ in _DIGITS.values())


def compile_pattern(text: str, *, number: bool = False) -> Pattern:
    """number: the pattern is for numbers, which have digits only. Raises PatternError."""
    if not text or len(text) > MAX_TEXT:
        raise PatternError(f"`{text}` is no pattern of a time", "such as `YYYY-MM-DD hh:mm:ss`")
    tokens = _tokens(text)
    parts: list[str] = []
    offsets: dict[str, int] = {}
    units: list[str] = []
    for index, token in enumerate(tokens):
        unit = _unit(token)
        if unit in units:
            raise PatternError(
                f"`{text}` has the {unit} twice", "MM is the month and mm the minute, ss seconds and S their fraction"
            )
        units += [unit] if unit else []
        if token[0] == "{":
            offsets = _offsets(token)
        around = tokens[max(index - 1, 0) : index] + tokens[index + 1 : index + 2]
        loose = token in _DIGITS and not any(_is_digits(other) for other in around)
        parts.append(_expression(token, offsets, loose=loose))
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if unit == "second" and not (following and (following == "." or _is_digits(following))):
            parts.append(r"(?:\.(?P<fraction>[0-9]{1,9}))?")  # more exact than the document says
    dated = [unit for unit in units if unit in _UNITS]
    gap = gap_in(dated)
    if gap or not dated:
        missing = f"has no {gap}" if gap else "has neither date nor time"
        raise PatternError(f"`{text}` {missing}", f"parts are {_WORDS}")
    if "fraction" in units and "second" not in units:
        raise PatternError(f"`{text}` has a fraction without seconds", "seconds are `ss`, S is their fraction")
    width, fraction = _numeric(tokens)
    if number and not width:
        raise PatternError(f"`{text}` does not fit a number", "a number has digits only: read it as `type: text`")
    return Pattern(text, tuple(tokens), re.compile("".join(parts)), offsets, width, fraction)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise PatternError(
                f"`{text}`: `{text[place]}` is no part of a time", f"parts are {_WORDS}; other letters in 'quotes'"
            )
        token = found[0]
        if token[0] in "YyDd":
            token = token.upper()
        elif token[0] in "Hh":
            token = token.lower()
        tokens.append(token)
        place = found.end()
    return tokens


def _unit(token: str) -> str:
    if token in _DIGITS:
        return _DIGITS[token][0]
    if token == "MMM":
        return "month"
    if token[0] == "S":
        return "fraction"
    return "offset" if token == "Z" or token[0] == "{" or (token[0] == "+" and len(token) > 1) else ""


def _is_digits(token: str) -> bool:
    return token in _DIGITS or token[0] == "S" or (len(token) == 1 and token.isdigit())


def _expression(token: str, offsets: Mapping[str, int], *, loose: bool) -> str:
    """loose: nothing but digits of this unit stand here, so that a leading zero may be missing."""
    if token in _DIGITS:
        unit, width = _DIGITS[token]
        digits = "1,2" if loose and unit != "year" else str(width)
        return f"(?P<{unit}>[0-9]{{{digits}}})"
    if token == "MMM":
        return f"(?P<monthname>(?i:{'|'.join(_MONTHS)}))"
    if token[0] == "S":
        return f"(?P<fraction>[0-9]{{{len(token)}}})"
    if token == "Z" or (token[0] == "+" and len(token) > 1):
        return r"(?: ?(?:(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})))?"
    if token[0] == "{":
        return f"(?P<word>{'|'.join(map(re.escape, offsets))})"
    if token == "?":
        return "."
    return re.escape(token[1:-1] if token[0] == "'" and len(token) > 1 else token)


def _offsets(token: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in token[1:-1].split(","):
        word, colon, zone = part.partition(":")
        try:
            if not colon or not word:
                raise ValueError
            found[word] = zone_seconds(zone.strip())
        except ValueError:
            raise PatternError(f"`{token}` is no list of offsets", "such as `{S:+02:00,W:+01:00}`") from None
    return found


def _numeric(tokens: list[str]) -> tuple[int, int]:
    """Characters of a number of this pattern and its digits behind the point; 0, 0 for one that is no number."""
    width = 0
    for index, token in enumerate(tokens):
        if token == "." and len(tokens) == index + 2 and tokens[-1][0] == "S":
            return width + 1 + len(tokens[-1]), len(tokens[-1])
        if not _is_digits(token) or (token[0] == "S" and token not in _DIGITS and index == 0):
            return 0, 0
        width += _DIGITS[token][1] if token in _DIGITS else len(token)
    return width, 0


def nearest_word(text: str, words: list[str]) -> str:
    """A hint for a clock that is neither a word nor a pattern."""
    near = difflib.get_close_matches(text, words, 1, 0.6)
    return f"did you mean `{near[0]}`?" if near else ""
