"""Clocks: how a raw value is a time. One word names a clock, in the spec or made by the compiler from the spec:

`unix`, `unix_ms`, `since2000`   an integer since an epoch, UTC
`since 2013-01-01`, `minutes since 2000-01-01`   the same in general; digits as text and fractions too
`seconds of day`                 the same since midnight (`decoders.clock_of_day`)
`six`, `bcd_six`                 year to second in six bytes
`bytes dmyhms`, `bcd hmsdmy`     other orders and parts; `yy` is a year of two bytes, `... le` its lower byte first
`DDMMYYhhmmss`, `number DDMMYY`  digits by a pattern (`decoders.clock_patterns`), as a text or as a number
`meter`                          the local time of a self-describing record; what is no time stays as it is
`list`, `list hs`                [year, month, day, hour, minute, second, millisecond], from three of them on; those of
                                 the letters `dhms` may be beyond their range and are carried
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from decoders import times
from decoders.clock_fields import UNITS, gap_in, unix_ms_of
from decoders.clock_of_day import of_day
from decoders.clock_patterns import Pattern, PatternError, compile_pattern, nearest_word
from decoders.times import Zone

_US = 1_000_000
_GPS_S = 315_964_800
_UNITS_US: Mapping[str, int] = {
    "us": 1,
    "ms": 1000,
    "milliseconds": 1000,
    "seconds": _US,
    "minutes": 60 * _US,
    "hours": 3600 * _US,
    "days": 86_400 * _US,
}
COUNTERS: Mapping[str, tuple[int, int]] = {
    "unix": (0, _US),
    "unix_ms": (0, 1000),
    "unix_us": (0, 1),
    "unix_min": (0, 60 * _US),
    "since2000": (times.SINCE_2000_S, _US),
    "gps": (_GPS_S, _US),
}
"""Word -> Unix seconds of the epoch, length of one count in microseconds. GPS time without its leap seconds."""
_SINCE = re.compile(r"(?:([a-z]+) )?since (\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?)Z?")
_MAX_COUNT = 1e18  # no unit of a clock makes a date of more
_MAX_DIGITS = 20
_MAX_SHIFT = 1e9  # of a number that is carried
_MOST_MS = 65_535  # what two bytes hold
_BYTES = re.compile(r"(?:yy|[ymdhs]){2,7}")
_LETTERS = {"y": "year", "yy": "year", "d": "day", "h": "hour", "s": "second"}


class Clock(Protocol):
    """local: the value is of a local clock: the row's zone counts, else the session's, else the spec's. Of the others,
    which are UTC, only the row's."""

    @property
    def local(self) -> bool: ...

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        """The reading of variable `x` as an expression that gives RFC 3339 UTC or None."""

    def write(self, unix_ms: int, zone: Zone) -> Any:
        """The raw value of a time. Raises ValueError where there is none."""


@dataclass(slots=True, frozen=True)
class Integer:
    """An integer since an epoch, the fast way: no zone, nothing but integers."""

    function: str
    epoch_s: int
    unit_us: int
    local: bool = False

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{self.function}({x})"

    def write(self, unix_ms: int, zone: Zone) -> int:
        return (unix_ms - self.epoch_s * 1000) * 1000 // self.unit_us


@dataclass(slots=True, frozen=True)
class Counter:
    """Counts since an epoch: a number, or digits as text."""

    epoch_s: int
    unit_us: int
    local: bool = False

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{bind(self.read)}({x}, {zone})"

    def read(self, raw: Any, zone: Zone) -> str | None:
        if isinstance(raw, str):
            raw = raw.strip(" \0")
            if len(raw) > _MAX_DIGITS or not raw.replace(".", "", 1).isdecimal() or not raw.isascii():
                return None
            raw = float(raw) if "." in raw else int(raw)
        if raw.__class__ is float:
            if not abs(raw) < _MAX_COUNT:
                return None
            unix_ms = self.epoch_s * 1000 + round(raw * self.unit_us) // 1000
        elif raw.__class__ is int:
            unix_ms = self.epoch_s * 1000 + raw * self.unit_us // 1000
        else:
            return None
        if zone.__class__ is int:
            return times.iso_from_unix_ms(unix_ms - zone * 1000)
        moment = times.local_moment(unix_ms, 0)
        return None if moment is None else times.iso_from_unix_ms(times.unix_ms_of_local(moment, zone))

    def write(self, unix_ms: int, zone: Zone) -> int:
        moment = times.moment_to_write(unix_ms, zone)
        return (times.unix_ms_of_local(moment, 0) - self.epoch_s * 1000) * 1000 // self.unit_us


@dataclass(slots=True, frozen=True)
class Six:
    """Year after 2000 to second, one byte each."""

    function: str
    written: Callable[[int, Zone], bytes]
    local: bool = True

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{self.function}({x}, {zone})"

    def write(self, unix_ms: int, zone: Zone) -> bytes:
        return self.written(unix_ms, zone)


@dataclass(slots=True, frozen=True)
class Bytes:
    """Parts of a time in bytes of their own. units: (unit, bytes) in order."""

    units: tuple[tuple[str, int], ...]
    bcd: bool
    big: bool = True
    local: bool = True

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{bind(self.read)}({x}, {zone}, {session}.received_ms)"

    def read(self, raw: bytes, zone: Zone, received_ms: int) -> str | None:
        if self.bcd:
            raw = times.bcd_bytes(raw)
        fields: dict[str, int] = {}
        place = 0
        for unit, size in self.units:
            if unit == "year" and size == 2:
                high, low = raw[place : place + 2] if self.big else raw[place : place + 2][::-1]
                if self.bcd and (high > 99 or low > 99):
                    return None
                fields[unit] = high * (100 if self.bcd else 256) + low
                if fields[unit] < 100:
                    return None
            else:
                fields[unit] = raw[place]
                if fields[unit] > 99:
                    return None
            place += size
        unix_ms = unix_ms_of(fields, 0, zone, received_ms)
        return None if unix_ms is None else times.iso_from_unix_ms(unix_ms)

    def write(self, unix_ms: int, zone: Zone) -> bytes:
        moment = times.moment_to_write(unix_ms, zone)
        if not 2000 <= moment.year <= 2099:
            raise ValueError(f"year {moment.year} does not fit into two digits")
        data = bytearray()
        for unit, size in self.units:
            number = getattr(moment, unit)
            if size == 2:
                part = bytes(divmod(number, 100)) if self.bcd else number.to_bytes(2, "big")
                data += part if self.big else part[::-1]
            else:
                data.append(number % 100)
        return bytes(byte // 10 << 4 | byte % 10 for byte in data) if self.bcd else bytes(data)


@dataclass(slots=True, frozen=True)
class Digits:
    """Digits by a pattern. number: the raw value is an integer."""

    pattern: Pattern
    number: bool
    local: bool = True

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{bind(self.pattern.read)}({x}, {zone}, {session}.received_ms)"

    def write(self, unix_ms: int, zone: Zone) -> int | str:
        text = self.pattern.write(unix_ms, zone)
        return int(text) if self.number and "." not in text else text


@dataclass(slots=True, frozen=True)
class Listed:
    """A list of numbers: year, month, day, hour, minute, second, millisecond. carried: letters of the units that may be
    beyond their range."""

    carried: str = ""
    local: bool = True

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{bind(read_list)}({x}, {zone}{f', {self.carried!r}' if self.carried else ''})"

    def write(self, unix_ms: int, zone: Zone) -> list[int]:
        moment = times.moment_to_write(unix_ms, zone)
        return [*(getattr(moment, unit) for unit in UNITS), moment.microsecond // 1000]


@dataclass(slots=True, frozen=True)
class Meter:
    """A naive `datetime`, whose `fold` is 0 in summer time, as meters say it in self-describing records."""

    local: bool = True

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{bind(read_meter)}({x}, {zone})"

    def write(self, unix_ms: int, zone: Zone) -> Any:
        raise ValueError("records of meters are only read")


def read_meter(raw: Any, zone: Zone) -> Any:
    """A local time -> RFC 3339 UTC; anything else as it is. In a zone without seasons (but not in UTC) the clock of a
    meter that says summer time is an hour ahead."""
    if raw.__class__ is not datetime.datetime:
        return raw
    unix_ms = times.unix_ms_of_local(raw, zone)
    if zone.__class__ is int and zone and not raw.fold:
        unix_ms -= 3_600_000
    return times.iso_from_unix_ms(unix_ms)


def read_list(raw: Any, zone: Zone, carried: str = "") -> str | None:
    """[year, month, day ...] -> RFC 3339 UTC. Seconds may have a fraction, and so may milliseconds, which may be more
    than 999: what is rounded up to a whole second, or more than one, is carried. All others are whole numbers. carried:
    letters of `dhms` whose numbers may be any, of the local clock."""
    if raw.__class__ is not list or not 3 <= len(raw) <= 7:
        return None
    if carried:
        raw = _carry(raw, carried)
        if raw is None:
            return None
    fields: dict[str, int] = {}
    ms = 0
    for unit, number in zip((*UNITS, "ms"), raw, strict=False):
        if number.__class__ is float and unit == "second" and 0 <= number < 60:
            ms, number = int(number * 1000 + 0.5), 0
        elif number.__class__ is float and unit == "ms" and 0 <= number < _MOST_MS:
            number = int(number + 0.5)
        elif _is_whole(number):
            number = int(number)
        if number.__class__ is not int or not 0 <= number <= (_MOST_MS if unit == "ms" else 9999):
            return None
        if unit == "ms":
            ms += number
        else:
            fields[unit] = number
    unix_ms = unix_ms_of(fields, 0, zone, 0)
    return None if unix_ms is None else times.iso_from_unix_ms(unix_ms + ms)


def _carry(raw: list[Any], carried: str) -> list[Any] | None:
    """The same moment with the numbers of these units within their ranges; None for what is no time."""
    given, shift = list(raw), datetime.timedelta()
    for letter in carried:
        unit = _LETTERS.get(letter, "minute")
        place = UNITS.index(unit)
        number = given[place]
        if number.__class__ not in (int, float) or not abs(number) < _MAX_SHIFT:
            return None
        if number.__class__ is float and unit != "second" and number != int(number):
            return None
        lowest = 1 if unit == "day" else 0
        shift += datetime.timedelta(**{f"{unit}s": number - lowest})
        given[place] = lowest
    numbers: list[Any] = [int(number) if _is_whole(number) else number for number in given[:6]]
    if any(number.__class__ is not int for number in numbers) or not 0 <= numbers[0] <= 9999:
        return None
    numbers[0] += 2000 if numbers[0] < 100 else 0
    try:
        moment = datetime.datetime(*numbers) + shift
    except (ValueError, OverflowError):
        return None
    parts = [getattr(moment, unit) for unit in UNITS[: len(numbers)]]
    if len(parts) == len(UNITS):
        parts[5] += moment.microsecond / 1_000_000 if moment.microsecond else 0
    return [*parts, *given[6:]]


def _is_whole(number: Any) -> bool:
    """True for digits, and for a float without a fraction."""
    if number.__class__ is str:
        return number.isdecimal() and len(number) <= 4
    return number.__class__ is float and -1e9 < number < 1e9 and number == int(number)


_FIXED: Mapping[str, Clock] = {
    "unix": Integer("iso_from_unix", 0, _US),
    "unix_ms": Integer("iso_from_unix_ms", 0, 1000),
    "since2000": Integer("iso_from_2000", times.SINCE_2000_S, _US),
    "six": Six("iso_from_six", times.six_from_ms),
    "bcd_six": Six("iso_from_bcd_six", times.bcd_six_from_ms),
    "list": Listed(),
    "meter": Meter(),
}


@lru_cache(maxsize=1024)
def clock_of(word: str) -> Clock:
    """The clock of a word. Raises PatternError for a text that is none."""
    fixed = _FIXED.get(word)
    if fixed is not None:
        return fixed
    counted = of_day(word)
    if counted is not None:
        return counted
    kind, _, rest = word.partition(" ")
    if kind == "list":
        return Listed(rest)
    if kind in ("bytes", "bcd"):
        letters, _, order = rest.partition(" ")
        return Bytes(byte_units(letters), kind == "bcd", order != "le")
    counter = _counter(word)
    if counter is not None:
        return counter
    number = kind == "number" and bool(rest)
    return Digits(compile_pattern(rest if number else word, number=number), number)


def _counter(word: str) -> Counter | None:
    known = COUNTERS.get(word)
    if known is not None:
        return Counter(*known)
    found = _SINCE.fullmatch(word)
    if found is None:
        return None
    unit = _UNITS_US.get(found[1] or "seconds")
    if unit is None:
        raise PatternError(f"`{found[1]}` is no unit", f"units are {', '.join(_UNITS_US)}")
    try:
        epoch = datetime.datetime.fromisoformat(found[2])
    except ValueError:
        raise PatternError(f"`{found[2]}` is no date", "such as `since 2013-01-01`") from None
    return Counter(times.unix_ms_of_local(epoch, 0) // 1000, unit)


def byte_units(letters: str) -> tuple[tuple[str, int], ...]:
    """`dmyhms` -> units with their bytes, in order. `m` is the month beside y or d and the minute beside h or s; `yy` a
    year of two bytes. Raises PatternError."""
    words = re.findall("yy|[ymdhs]", letters)
    units: list[str] = []
    for index, word in enumerate(words):
        units.append(_LETTERS.get(word) or _m_of(words, index))
    told = "hour" in units or "day" in units
    if not _BYTES.fullmatch(letters) or not told or len(set(units)) < len(units) or gap_in(units):
        raise PatternError(f"`{letters}` is no time in bytes", "such as `ymdhms`, `dmyhms`, `hmsdmy`, `ymd`, `hms`")
    return tuple((unit, len(word)) for unit, word in zip(units, words, strict=True))


def _m_of(words: Sequence[str], index: int) -> str:
    beside = [*words[max(index - 1, 0) : index], *words[index + 1 : index + 2]]
    for word in beside:
        if word in ("y", "yy", "d"):
            return "month"
        if word in ("h", "s"):
            return "minute"
    return "month"


def byte_word(word: str, *, big: bool) -> tuple[str, int] | None:
    """A type word such as `bcd_dmyhms` -> the clock's word and its bytes; None for other words."""
    found = re.fullmatch(r"(bcd_)?([ymdhs]{2,7}?)(le|be)?", word)
    if found is None:
        return None
    bcd, letters, order = found.groups()
    try:
        units = byte_units(letters)
    except PatternError:
        return None
    size = sum(width for _, width in units)
    if letters == "ymdhms":
        return ("bcd_six" if bcd else "six"), size
    little = order == "le" or (order is None and not big and not bcd)
    return f"{'bcd' if bcd else 'bytes'} {letters}{' le' if little and 'yy' in letters else ''}", size


def spoken_clock(text: str, *, number: bool, integer: bool) -> str:
    """The word of what a spec says under `clock:`.

    number: the value is a number, not a text. integer: it is an integer as read, so that the fast form will do. Raises
    PatternError.
    """
    if text in COUNTERS:
        epoch_s, unit_us = COUNTERS[text]
        if integer and text in _FIXED:
            return text
        unit = next(word for word, length in _UNITS_US.items() if length == unit_us)
        return f"{unit} since {times.format_ms(epoch_s * 1000, '%Y-%m-%d')}"
    if _SINCE.fullmatch(text):
        clock_of(text)
        return text
    if of_day(text) is not None:
        return text
    if re.fullmatch("[a-z_0-9]+", text) and not re.search("hh|mm|ss", text):
        words = [*COUNTERS, "since 2000-01-01", "minutes since 2000-01-01"]
        hint = nearest_word(text, words) or f"{', '.join(words)}, or a pattern such as `DDMMYYhhmmss`"
        raise PatternError(f"`{text}` is no clock", hint)
    word = f"number {text}" if number else text
    clock_of(word)
    return word
