"""The items that the load is made of, numbered by their device time, and bodies of them.

Number n is measured n milliseconds after the module was loaded: about now, as devices in the field send.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["CSV", "NDJSON", "PRODUCT", "Table", "array", "item", "pieces"]

PRODUCT = "example_thermo"
START_MS = round(time.time() * 1000)
_DEVICES = 500
_BROKEN = "this line is broken"
_PIECE_LINES = 500


def item(number: int) -> bytes:
    """About 120 bytes of JSON."""
    return b'{"device_id":"load-%d","productId":"%b","device_timestamp":%d,"metrics":{"tempC":%d.%02d,"rpm":%d}}' % (
        number % _DEVICES,
        PRODUCT.encode(),
        START_MS + number,
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


_REMARK = b"as old systems export it with a column that nobody has read for years " * 5
"""In each line of an upload, which so has about 500 bytes; no spec knows it, so that no record has it."""


def _json_line(number: int) -> bytes:
    return b'%b,"remark":"%b"}\n' % (item(number)[:-1], _REMARK)


def _csv_line(number: int) -> bytes:
    return b"load-%d,%d,%d.%02d,%d,%b\n" % (
        number % _DEVICES,
        START_MS + number,
        10 + number % 90,
        number % 100,
        1000 + number % 4000,
        _REMARK,
    )


NDJSON = Table("NDJSON", "application/x-ndjson", b"", _json_line)
CSV = Table("CSV", "text/csv", b"device_id,device_timestamp,tempC,rpm,remark\n", _csv_line)


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
