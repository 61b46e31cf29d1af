"""Device clocks to RFC 3339 text (UTC, milliseconds) and back.

Readers return None for a date that does not exist: the record then has no device time and a `bad_time` flag.
"""

from __future__ import annotations

import datetime
import difflib
import re
import zoneinfo
from typing import TypeAlias

Zone: TypeAlias = int | datetime.tzinfo
"""Of a local clock: seconds east of UTC, or a named zone, whose offset changes with the season."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LOCAL_EPOCH = datetime.datetime(1970, 1, 1)  # of local times, which carry no zone
_MILLISECOND = datetime.timedelta(milliseconds=1)
SINCE_2000_S = 946_684_800
_BCD = bytes((n >> 4) * 10 + (n & 15) if n >> 4 < 10 and n & 15 < 10 else 255 for n in range(256))
_SECONDS = tuple(f"{n:02d}.000Z" for n in range(60))
_WHOLE_SECONDS = tuple(f"{n:02d}." for n in range(60))
_MILLISECONDS = tuple(f"{n:03d}Z" for n in range(1000))
_MAX_MINUTE = 253_402_300_800 // 60  # the year 10000

# What stands before the seconds, by minute. Devices may say any time: a full cache is emptied.
_minutes: dict[int, str] = {}
_six_minutes: dict[tuple[bytes, Zone], str] = {}  # by year to minute of the device's clock, and its zone
_MAX_CACHE = 4096


def _minute_text(minute: int) -> str:
    if len(_minutes) >= _MAX_CACHE:
        _minutes.clear()
    moment = _EPOCH + datetime.timedelta(minutes=minute)
    text = _minutes[minute] = moment.strftime("%Y-%m-%dT%H:%M:") if moment.year > 999 else ""
    return text


def iso_from_unix(seconds: int) -> str | None:
    """Seconds since 1970 UTC -> text."""
    minute, second = divmod(seconds, 60)
    text = _minutes.get(minute)
    if text is None:
        if not 0 <= minute < _MAX_MINUTE:
            return None
        text = _minute_text(minute)
    return text + _SECONDS[second]


def iso_from_unix_ms(milliseconds: int) -> str | None:
    """Milliseconds since 1970 UTC -> text."""
    minute = milliseconds // 60_000
    text = _minutes.get(minute)
    if text is None:
        if not 0 <= minute < _MAX_MINUTE:
            return None
        text = _minute_text(minute)
    return f"{text}{_WHOLE_SECONDS[milliseconds // 1000 % 60]}{_MILLISECONDS[milliseconds % 1000]}"


def iso_from_2000(seconds: int) -> str | None:
    """Seconds since 2000-01-01 UTC -> text."""
    return iso_from_unix(seconds + SINCE_2000_S)


def iso_from_six(raw: bytes, zone: Zone) -> str | None:
    """Year (2000 + n), month, day, hour, minute, second in one byte each, local time in `zone` -> text."""
    second = raw[5]
    if second > 59:
        return None
    key = (raw[:5], zone)
    text = _six_minutes.get(key)
    if text is None:
        moment = _six_moment(raw)
        if moment is None:
            return None
        unix_s = unix_ms_of_local(moment, zone) // 1000
        if unix_s % 60:  # a zone that is not of whole minutes
            return iso_from_unix(unix_s + second)
        if len(_six_minutes) >= _MAX_CACHE:
            _six_minutes.clear()
        text = _six_minutes[key] = _minute_text(unix_s // 60)
    return text + _SECONDS[second]


def _six_moment(raw: bytes) -> datetime.datetime | None:
    """The local time of the first five bytes, or None for one that does not exist."""
    if raw[0] > 99:
        return None
    try:
        return datetime.datetime(2000 + raw[0], raw[1], raw[2], raw[3], raw[4])
    except ValueError:
        return None


def iso_from_bcd_six(raw: bytes, zone: Zone) -> str | None:
    """As `iso_from_six`, two BCD digits in each byte."""
    return iso_from_six(raw.translate(_BCD), zone)


def bcd_bytes(raw: bytes) -> bytes:
    """Each byte of two decimal digits as their number; 255 for what is no BCD."""
    return raw.translate(_BCD)


def unix_ms_of_local(moment: datetime.datetime, zone: Zone) -> int:
    """A local time without zone -> Unix ms. Of an hour that a named zone has twice, the first one counts."""
    if isinstance(zone, int):
        return (moment - _LOCAL_EPOCH) // _MILLISECOND - zone * 1000
    return (moment.replace(tzinfo=zone) - _EPOCH) // _MILLISECOND


def local_moment(unix_ms: int, zone: Zone) -> datetime.datetime | None:
    """Unix ms -> the local time, without zone; None outside of the calendar."""
    try:
        if isinstance(zone, int):
            return _LOCAL_EPOCH + datetime.timedelta(milliseconds=unix_ms + zone * 1000)
        moment = _EPOCH + datetime.timedelta(milliseconds=unix_ms)
        return moment.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return None


def unix_ms_from_iso(text: str) -> int:
    """The inverse, for building messages. Raises ValueError for text that is no RFC 3339 time."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1000)


def six_from_ms(unix_ms: int, zone: Zone) -> bytes:
    """Unix ms -> the six bytes of `iso_from_six`. Raises ValueError outside 2000-2099."""
    moment = moment_to_write(unix_ms, zone)
    if not 2000 <= moment.year <= 2099:
        raise ValueError(f"year {moment.year} does not fit into two digits")
    return bytes([moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute, moment.second])


def moment_to_write(unix_ms: int, zone: Zone) -> datetime.datetime:
    """As `local_moment`. Raises ValueError outside of the calendar."""
    moment = local_moment(unix_ms, zone)
    if moment is None:
        raise ValueError(f"{unix_ms} ms is outside of the calendar")
    return moment


def bcd_six_from_ms(unix_ms: int, zone: Zone) -> bytes:
    """Unix ms -> the six bytes of `iso_from_bcd_six`."""
    return bytes([byte // 10 << 4 | byte % 10 for byte in six_from_ms(unix_ms, zone)])


def format_ms(unix_ms: int, pattern: str, zone: Zone = 0) -> str:
    """Unix ms by a `strftime` pattern, in the zone. Raises ValueError outside of the calendar."""
    return moment_to_write(unix_ms, zone).strftime(pattern)


def zone_seconds(text: str) -> int:
    """`UTC`, `Z` or `+08:00` -> seconds east of UTC. Raises ValueError for anything else."""
    if text in ("UTC", "Z"):
        return 0
    sign, body = text[:1], text[1:].replace(":", "")
    if sign not in "+-" or len(body) != 4 or not body.isdigit() or int(body[:2]) > 14 or int(body[2:]) > 59:
        raise ValueError("a zone is `UTC` or an offset such as `+08:00`")
    seconds = int(body[:2]) * 3600 + int(body[2:]) * 60
    return -seconds if sign == "-" else seconds


_NAMED_ZONE = re.compile(r"(?:[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+){1,2}|CET|EET|WET|MET|EST|MST|HST)")


def zone_of(text: str) -> Zone:
    """`UTC`, `+08:00`, or a name of the IANA time zone database such as `Europe/Amsterdam`. Raises ValueError with
    what is possible."""
    if not _NAMED_ZONE.fullmatch(text):
        try:
            return zone_seconds(text)
        except ValueError:
            raise ValueError("a zone is `UTC`, an offset such as `+08:00`, or a name such as `Europe/Paris`") from None
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(text, sorted(zoneinfo.available_timezones()), 1, 0.6)
        hint = f"did you mean `{near[0]}`?" if near else "a name of the IANA time zone database"
        raise ValueError(hint) from None
