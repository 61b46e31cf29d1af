"""The data of M-Bus records: integers, reals, BCD, texts, times (EN 13757-3:2018, tables 4 and 5 and annex A).

Below `decoders.metering.mbus`, which reads what stands around them.
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable, Mapping
from typing import Any

from decoders.metering.records import local_moment

__all__ = ["FIRST_BCD", "REAL", "TIMES", "number_of", "variable_of"]

REAL, FIRST_BCD = 5, 9
"""Codings by the data field of a DIF: a real of 32 bits; from 9 on BCD digits."""
_CENTURY = 80  # two digits up to this are of this century


def number_of(data: bytes, coding: int, kind: str) -> Any:
    """An integer, float or BCD number; None for none, for an invalid one and for NaN."""
    if not data:
        return None
    if coding == REAL:
        number = struct.unpack("<f", data)[0]
        return number if number - number == 0 else None
    if coding >= FIRST_BCD:
        return _bcd(data)
    if kind == "bits":
        return int.from_bytes(data, "little")
    number = int.from_bytes(data, "little", signed=True)
    return None if number == -1 << (8 * len(data) - 1) else number


def _bcd(data: bytes) -> int | None:
    """Lowest digits first. A highest digit F is a minus; other digits than 0 to 9 are no number."""
    digits = data[::-1].hex()
    if digits.isdigit():
        return int(digits)
    return -int(digits[1:]) if digits[0] == "f" and digits[1:].isdigit() else None


def variable_of(data: bytes) -> Any:
    """Text, BCD number or binary number of variable length; longer ones than eight bytes as hex text."""
    lvar, body = data[0], data[1:]
    if lvar <= 0xBF:
        return body[::-1].decode("latin-1").strip("\0 ")
    if lvar <= 0xD9:
        digits = body[::-1].hex()
        if not digits.isdigit():
            return None
        return -int(digits) if lvar >= 0xD0 else int(digits)
    return int.from_bytes(body, "little") if 0 < len(body) <= 8 else body[::-1].hex()


# Times (annex A)


def _year(low: int, high: int) -> int:
    return low >> 5 & 7 | (high >> 4 & 0x0F) << 3


def _type_g(data: bytes) -> str | None:
    """A date."""
    year = _year(data[0], data[1])
    try:
        date = datetime.date(year + (2000 if year <= _CENTURY else 1900), data[1] & 0x0F, data[0] & 0x1F)
    except ValueError:
        return None
    return date.isoformat() if year < 100 else None


def _type_f(data: bytes) -> Any:
    """Minute, hour, day, month, year; a bit says that it is not valid, another that it is summer time."""
    minute, hour, day, month = data
    year, hundreds = _year(day, month), hour >> 5 & 3
    year += 1900 + 100 * hundreds if hundreds else 2000 if year <= _CENTURY else 1900
    if minute & 0x80:
        return None
    return local_moment(year, month & 0x0F, day & 0x1F, hour & 0x1F, minute & 0x3F, 0, summer=bool(hour & 0x80))


def _type_i(data: bytes) -> Any:
    """The same with seconds."""
    second, minute, hour, day, month, _week = data
    year = _year(day, month)
    if minute & 0x80:
        return None
    year += 2000 if year <= _CENTURY else 1900
    summer = bool(second & 0x40)
    return local_moment(year, month & 0x0F, day & 0x1F, hour & 0x1F, minute & 0x3F, second & 0x3F, summer=summer)


def _type_j(data: bytes) -> str | None:
    """A time of day."""
    second, minute, hour = data[0] & 0x3F, data[1] & 0x3F, data[2] & 0x1F
    return f"{hour:02d}:{minute:02d}:{second:02d}" if hour < 24 and minute < 60 and second < 60 else None


TIMES: Mapping[int, Callable[[bytes], Any]] = {2: _type_g, 3: _type_j, 4: _type_f, 6: _type_i}
"""Time of so many bytes (annex A): types G, J, F, I."""
