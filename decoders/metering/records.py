"""Record: one value of a meter with the words that name it. What the parsers make, and both codecs read."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from decoders.errors import DecodeCode, DecodeError

__all__ = ["Parser", "Record", "RecordWord", "fail", "field_of"]


@dataclass(slots=True)
class Record:
    """One value.

    words: what it answers to, the most exact first: an M-Bus key in hex, an OBIS code, a place, the readable name.
    name: the readable name. value: number in the base unit, text, a naive `datetime` (a local time; `fold` is 0 while
    it is summer time), or None when there is none. raw: the number or text as it was sent, without scale. size: bytes
    of an integer (0: none), so that `FFFF` and -1 are known for the same. start, stop: where its data stand.
    """

    words: tuple[str, ...]
    name: str
    value: Any
    raw: Any
    size: int
    start: int
    stop: int


@dataclass(slots=True, frozen=True)
class RecordWord:
    """What is known of all records that a word names. unit: of their values, "" for none. clock: they are times of day
    and date."""

    unit: str = ""
    clock: bool = False


Parser: TypeAlias = Callable[[bytes, int, int, int, list[Record]], int]
"""`(data, start, end, most, found)` -> where the records end. Adds at most `most` records to `found`; raises
DecodeError with an offset in `data`, the records before the fault being in `found`."""


def fail(code: DecodeCode, detail: str, offset: int) -> NoReturn:
    raise DecodeError(code, detail, offset=offset)


def field_of(record: Record, part: str, absent: tuple[Any, ...]) -> Any:
    """What a row of the spec reads of a record: its `value`, or its `raw` number or text. None for a record without a
    value and for a raw value that is one of `absent` (numbers, texts, or spans as pairs)."""
    raw = record.raw
    unsigned = raw + (1 << 8 * record.size) if raw.__class__ is int and raw < 0 and record.size else raw
    for sentinel in absent:
        if sentinel.__class__ is tuple:
            low, high = sentinel
            if raw.__class__ in (int, float) and low <= raw <= high:
                return None
        elif sentinel in (raw, unsigned):
            return None
    return raw if part == "raw" else record.value


def local_moment(year: int, month: int, day: int, hour: int, minute: int, second: int, *, summer: bool) -> Any:
    """A local time as a naive `datetime`; None for one that does not exist."""
    try:
        return datetime.datetime(year, month, day, hour, minute, second, fold=0 if summer else 1)
    except ValueError:
        return None
