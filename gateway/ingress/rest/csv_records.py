"""Cuts a CSV body into records: lines, of which several are one where quotes hold line ends (RFC 4180).

Place in the walk: like `lines`, for CSV; what a record says is for the product's CSV codec. A quote counts where a cell
begins, as RFC 4180 has it: one within plain text (`5" pipe`) is a character. A quote that is not closed as it should be
harms its own line only: what stands behind it is read again as lines of their own.
"""

from __future__ import annotations

import re
from collections import deque

from gateway.ingress.rest.lines import Line, LineCutter

__all__ = ["DELIMITERS", "CsvCutter", "says_delimiter"]

DELIMITERS = (",", ";", "\t", "|")
_SAYS_DELIMITER = re.compile(rb"sep=[,;|\t]", re.IGNORECASE)
_QUOTE = 0x22
_SPACE = 0x20
_CLOSED, _OPEN, _BROKEN = range(3)
_MAX_LINES = 100  # of one record: bounds what an open quote makes us read again


def says_delimiter(record: bytes) -> bool:
    """Whether it is the line that Excel writes before the header: `sep=;`."""
    return _SAYS_DELIMITER.fullmatch(record) is not None


class CsvCutter:
    """Records as lines, each with the number of its first line. Implements Cutter.

    max_bytes: of one record. delimiter: "" takes that of DELIMITERS that stands most often in the first line that is
    not blank, outside of quotes; a comma where there is none. `delimiter` tells it once that line has come.
    """

    __slots__ = ("_comma", "_lines", "_max_bytes", "_open", "_open_bytes", "delimiter")

    def __init__(self, max_bytes: int, delimiter: str = "") -> None:
        self.delimiter = delimiter
        self._comma = ord(delimiter) if delimiter else 0
        self._lines = LineCutter(max_bytes, keep_blank=True)
        self._max_bytes = max_bytes
        self._open: list[Line] = []  # lines of a record whose quotes are not closed
        self._open_bytes = 0

    @property
    def lines(self) -> int:
        return self._lines.lines - len(self._open)

    def feed(self, data: bytes) -> list[Line]:
        return self._join(self._lines.feed(data))

    def end(self) -> list[Line]:
        found = self._join(self._lines.end())
        while self._open:  # a quote that nobody closes
            first, *rest = self._take_open()
            found.append(first)
            found += self._join(rest)
        return found

    def _join(self, lines: list[Line]) -> list[Line]:
        if not self._open and not any(b'"' in line.data for line in lines) and self._comma:
            return [line for line in lines if line.too_long or (line.data and not line.data.isspace())]
        waiting = deque(lines)
        found: list[Line] = []
        while waiting:
            line = waiting.popleft()
            if not self._open and not line.too_long and (not line.data or line.data.isspace()):
                continue
            if not self._comma:
                self._choose_delimiter(line.data)
            size = self._open_bytes + len(line.data) + 1
            state = _BROKEN
            if not line.too_long and size <= self._max_bytes + 1 and len(self._open) < _MAX_LINES:
                state = self._scan(line.data)
            if state == _OPEN:
                self._open.append(line)
                self._open_bytes = size
            elif not self._open:
                found.append(line)
            elif state == _CLOSED:
                parts = [*self._take_open(), line]
                found.append(Line(parts[0].number, b"\n".join([part.data for part in parts])))
            else:
                first, *rest = self._take_open()
                found.append(first)
                waiting.extendleft(reversed([*rest, line]))
        return found

    def _scan(self, data: bytes) -> int:
        """How a line ends: within quotes, outside of them, or with quotes that no CSV has."""
        quoted = bool(self._open)
        if b'"' not in data:
            return _OPEN if quoted else _CLOSED
        comma = self._comma
        at, size = 0, len(data)
        while True:
            if not quoted:  # at the beginning of a cell
                while at < size and data[at] == _SPACE:
                    at += 1
                if at < size and data[at] == _QUOTE:
                    at += 1
                    quoted = True
                else:
                    at = data.find(comma, at) + 1
                    if not at:
                        return _CLOSED
                    continue
            at = data.find(_QUOTE, at) + 1
            if not at:
                return _OPEN
            if at < size and data[at] == _QUOTE:
                at += 1  # a quote that is meant as one
                continue
            while at < size and data[at] == _SPACE:
                at += 1
            if at == size:
                return _CLOSED
            if data[at] != comma:
                return _BROKEN
            at += 1
            quoted = False

    def _take_open(self) -> list[Line]:
        taken, self._open, self._open_bytes = self._open, [], 0
        return taken

    def _choose_delimiter(self, header: bytes) -> None:
        plain = b"".join(header.split(b'"')[::2])
        self.delimiter = max(DELIMITERS, key=lambda mark: plain.count(mark.encode()))
        self._comma = ord(self.delimiter)
