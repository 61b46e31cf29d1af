"""Device clocks to RFC 3339 text (UTC, milliseconds) and back.

Readers return None for a date that does not exist: the record then has no device time and a `bad_time` flag.
"""

from __future__ import annotations

import datetime

_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
SINCE_2000_S = 946_684_800
_TWO = tuple(f"{n:02d}" for n in range(100))
_BCD = tuple((n >> 4) * 10 + (n & 15) if n >> 4 < 10 and n & 15 < 10 else 255 for n in range(256))
_MAX_DAY = datetime.date(9999, 12, 31).toordinal() - _EPOCH_ORDINAL

_days: dict[int, str] = {}  # day number -> "YYYY-MM-DDT"; emptied when it grows, since devices may say any date
_dates: dict[bytes, int | None] = {}  # two-digit year, month, day -> day number
_MAX_CACHE = 4096


def _day_text(day: int) -> str:
    text = _days.get(day)
    if text is None:
        if len(_days) >= _MAX_CACHE:
            _days.clear()
        text = _days[day] = datetime.date.fromordinal(day + _EPOCH_ORDINAL).isoformat() + "T"
    return text


def _day_number(date: bytes) -> int | None:
    try:
        number = datetime.date(2000 + date[0], date[1], date[2]).toordinal() - _EPOCH_ORDINAL if date[0] < 100 else None
    except ValueError:
        number = None
    if len(_dates) >= _MAX_CACHE:
        _dates.clear()
    _dates[date] = number
    return number


def iso_from_unix(seconds: int) -> str | None:
    """Seconds since 1970 UTC -> text."""
    day, rest = divmod(seconds, 86400)
    if not 0 <= day <= _MAX_DAY:
        return None
    minutes, second = divmod(rest, 60)
    return f"{_day_text(day)}{_TWO[minutes // 60]}:{_TWO[minutes % 60]}:{_TWO[second]}.000Z"


def iso_from_unix_ms(milliseconds: int) -> str | None:
    """Milliseconds since 1970 UTC -> text."""
    seconds, ms = divmod(milliseconds, 1000)
    text = iso_from_unix(seconds)
    return text if text is None or ms == 0 else f"{text[:-4]}{ms:03d}Z"


def iso_from_2000(seconds: int) -> str | None:
    """Seconds since 2000-01-01 UTC -> text."""
    return iso_from_unix(seconds + SINCE_2000_S)


def iso_from_six(raw: bytes, zone_s: int) -> str | None:
    """Year (2000 + n), month, day, hour, minute, second in one byte each, local time `zone_s` east of UTC -> text."""
    date = raw[:3]
    day = _dates.get(date)
    if day is None:
        day = _day_number(date)
        if day is None:
            return None
    hour, minute, second = raw[3], raw[4], raw[5]
    if hour > 23 or minute > 59 or second > 59:
        return None
    if zone_s:
        return iso_from_unix(day * 86400 + hour * 3600 + minute * 60 + second - zone_s)
    return f"{_day_text(day)}{_TWO[hour]}:{_TWO[minute]}:{_TWO[second]}.000Z"


def iso_from_bcd_six(raw: bytes, zone_s: int) -> str | None:
    """As `iso_from_six`, two BCD digits in each byte."""
    return iso_from_six(bytes([_BCD[byte] for byte in raw]), zone_s)


def unix_ms_from_iso(text: str) -> int:
    """The inverse, for building messages. Raises ValueError for text that is no RFC 3339 time."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1000)


def six_from_ms(unix_ms: int, zone_s: int) -> bytes:
    """Unix ms -> the six bytes of `iso_from_six`. Raises ValueError outside 2000-2099."""
    moment = datetime.datetime.fromtimestamp(unix_ms / 1000 + zone_s, datetime.UTC)
    if not 2000 <= moment.year <= 2099:
        raise ValueError(f"year {moment.year} does not fit into two digits")
    return bytes([moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute, moment.second])


def bcd_six_from_ms(unix_ms: int, zone_s: int) -> bytes:
    """Unix ms -> the six bytes of `iso_from_bcd_six`."""
    return bytes([byte // 10 << 4 | byte % 10 for byte in six_from_ms(unix_ms, zone_s)])


def format_ms(unix_ms: int, pattern: str, zone_s: int = 0) -> str:
    """Unix ms by a `strftime` pattern, in the zone."""
    return datetime.datetime.fromtimestamp(unix_ms / 1000 + zone_s, datetime.UTC).strftime(pattern)


def zone_seconds(text: str) -> int:
    """`UTC`, `Z` or `+08:00` -> seconds east of UTC. Raises ValueError for anything else."""
    if text in ("UTC", "Z"):
        return 0
    sign, body = text[:1], text[1:].replace(":", "")
    if sign not in "+-" or len(body) != 4 or not body.isdigit() or int(body[:2]) > 14 or int(body[2:]) > 59:
        raise ValueError("a zone is `UTC` or an offset such as `+08:00`")
    seconds = int(body[:2]) * 3600 + int(body[2:]) * 60
    return -seconds if sign == "-" else seconds
