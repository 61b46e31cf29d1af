"""The clock of devices that count from midnight: seconds, ms or minutes of the day. The date comes from the arrival."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from decoders import times
from decoders.clock_fields import unix_ms_of
from decoders.times import Zone

__all__ = ["OfDay", "of_day"]

_UNITS_MS: Mapping[str, int] = {"ms": 1, "milliseconds": 1, "seconds": 1000, "minutes": 60_000}
_WORD = re.compile(r"([a-z]+) of day")
_DAY_MS = 86_400_000
_MAX_DIGITS = 20


@dataclass(slots=True, frozen=True)
class OfDay:
    """Counts since midnight of the local clock: a number, or digits as text. 24:00 is the midnight at its end."""

    unit_ms: int
    local: bool = True

    def source(self, x: str, zone: str, session: str, bind: Callable[[Any], str]) -> str:
        return f"{bind(self.read)}({x}, {zone}, {session}.received_ms)"

    def read(self, raw: Any, zone: Zone, received_ms: int) -> str | None:
        """RFC 3339 UTC of the time within 12 hours of the arrival; None for what is no time of day, and where the
        arrival is not known."""
        if isinstance(raw, str):
            raw = raw.strip(" \0")
            if len(raw) > _MAX_DIGITS or not raw.replace(".", "", 1).isdecimal() or not raw.isascii():
                return None
            raw = float(raw)
        if raw.__class__ not in (int, float) or not 0 <= raw <= _DAY_MS:
            return None
        ms = round(raw * self.unit_ms)
        if ms > _DAY_MS:
            return None
        minutes, rest = divmod(ms % _DAY_MS, 60_000)
        fields = {"hour": minutes // 60, "minute": minutes % 60, "second": rest // 1000}
        unix_ms = unix_ms_of(fields, rest % 1000, zone, received_ms)
        return None if unix_ms is None else times.iso_from_unix_ms(unix_ms)

    def write(self, unix_ms: int, zone: Zone) -> int | float:
        moment = times.moment_to_write(unix_ms, zone)
        ms = ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000
        return ms // self.unit_ms if ms % self.unit_ms == 0 else ms / self.unit_ms


def of_day(word: str) -> OfDay | None:
    """The clock of `seconds of day`, `ms of day`, `minutes of day`; None for other words."""
    found = _WORD.fullmatch(word)
    unit = _UNITS_MS.get(found[1]) if found is not None else None
    return None if unit is None else OfDay(unit)
