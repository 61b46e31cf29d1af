"""Year to second of a device's local clock -> Unix ms. What the device leaves out comes from the time of arrival.

Between the readers of `decoders.clocks` and the calendar of `decoders.times`. Nothing here raises: a date that does not
exist is None.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from decoders.times import Zone, local_moment, unix_ms_of_local

UNITS = ("year", "month", "day", "hour", "minute", "second")


def gap_in(units: Sequence[str]) -> str:
    """The unit that is missing between others, or "" when the given ones follow each other."""
    places = sorted(UNITS.index(unit) for unit in units)
    missing = [place for place in range(places[0], places[-1]) if place not in places] if places else []
    return UNITS[missing[0]] if missing else ""


def unix_ms_of(fields: Mapping[str, int], ms: int, zone: Zone, received_ms: int) -> int | None:
    """Fields of `UNITS` that follow each other -> Unix ms, or None for a time that does not exist.

    A year below 100 is in this century. What is missing behind the last field is its lowest value. What is missing
    before the first one is chosen so that the time is as near to the arrival (`received_ms`, Unix ms) as possible:
    for a time of day within 12 hours of it. None when the arrival is not known (0).
    """
    first = next((unit for unit in UNITS if unit in fields), "")
    given = dict(fields)
    if first == "year":
        if given["year"] < 100:
            given["year"] += 2000
        moment = _moment(given, ms)
        return None if moment is None else unix_ms_of_local(moment, zone)
    arrival = local_moment(received_ms, zone) if received_ms > 0 and first else None
    if arrival is None:
        return None
    # For example without a year: in the year of arrival, before it, after it.
    around = [_moment(_before(first, arrival, step) | given, ms) for step in (0, -1, 1)]
    near = min((moment for moment in around if moment is not None), key=lambda at: abs(at - arrival), default=None)
    return None if near is None else unix_ms_of_local(near, zone)


def _moment(fields: Mapping[str, int], ms: int) -> datetime.datetime | None:
    try:
        return datetime.datetime(
            fields["year"],
            fields.get("month", 1),
            fields.get("day", 1),
            fields.get("hour", 0),
            fields.get("minute", 0),
            fields.get("second", 0),
            ms * 1000,
        )
    except (ValueError, OverflowError):
        return None


def _before(first: str, arrival: datetime.datetime, step: int) -> dict[str, int]:
    """The fields before `first` at the arrival, the last of them `step` away."""
    moment = arrival
    try:
        match first:
            case "month":
                return {"year": arrival.year + step}
            case "day":
                months = arrival.year * 12 + arrival.month - 1 + step
                return {"year": months // 12, "month": months % 12 + 1}
            case "hour":
                moment = arrival + datetime.timedelta(days=step)
            case "minute":
                moment = arrival + datetime.timedelta(hours=step)
            case _:
                moment = arrival + datetime.timedelta(minutes=step)
    except OverflowError:
        return {"year": 0}  # which does not exist
    return {unit: getattr(moment, unit) for unit in UNITS[: UNITS.index(first)]}
