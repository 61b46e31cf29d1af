"""The items that the load is made of, numbered by their device time, and bodies of them.

Number n is measured at `START_MS` and n seconds of the device's clock, as in `loadtest.faults.fleet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtest.faults.fleet import START_MS

__all__ = ["CSV", "NDJSON", "PRODUCT", "Table", "array", "item", "pieces"]

PRODUCT = "example_thermo"
_DEVICES = 500
_BROKEN = "this line is broken"
_PIECE_LINES = 500


def item(number: int) -> bytes:
    """About 120 bytes of JSON."""
    return b'{"device_id":"load-%d","productId":"%b","device_timestamp":%d,"metrics":{"tempC":%d.%02d,"rpm":%d}}' % (
        number % _DEVICES,
        PRODUCT.encode(),
        START_MS + number * 1000,
        10 + number % 90,
        number % 100,
        1000 + number % 4000,
    )


def array(first: int, count: int) -> bytes:
    """A batch."""
    return b"[" + b",".join([item(number) for number in range(first, first + count)]) + b"]"


@dataclass(slots=True, frozen=True)
class Table:
    """A form of upload. head: its first line, or nothing. line: of an item, with its end."""

    name: str
    content_type: str
    head: bytes
    line: Callable[[int], bytes]


def _csv_line(number: int) -> bytes:
    return b"load-%d,%d,%d.%02d,%d\n" % (
        number % _DEVICES,
        START_MS + number * 1000,
        10 + number % 90,
        number % 100,
        1000 + number % 4000,
    )


NDJSON = Table("NDJSON", "application/x-ndjson", b"", lambda number: item(number) + b"\n")
CSV = Table("CSV", "text/csv", b"device_id,device_timestamp,tempC,rpm\n", _csv_line)


def pieces(table: Table, size: int, broken_every: int) -> Iterator[tuple[bytes, int, int]]:
    """A body of about `size` bytes: piece after piece, with how many items and how many broken lines each has.

    broken_every: one line in so many is none; 0: all are good.
    """
    number, sent = 0, 0
    if table.head:
        yield table.head, 0, 0
    while sent < size:
        lines, broken = [], 0
        for index in range(number, number + _PIECE_LINES):
            if broken_every and index % broken_every == broken_every - 1:
                lines.append(_BROKEN.encode() + b"\n")
                broken += 1
            else:
                lines.append(table.line(index))
        number += _PIECE_LINES
        piece = b"".join(lines)
        sent += len(piece)
        yield piece, _PIECE_LINES - broken, broken
