"""Cuts a body into lines, piece by piece, in constant memory.

Place in the walk: between an expanded body and what its lines mean. No I/O: whoever reads the body feeds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.ingress.rest.charsets import BOM

__all__ = ["Cutter", "Line", "LineCutter"]

_EXTRA = len(BOM) + 1
"""What may stand around a line of full length: a BOM and a CR."""


@dataclass(slots=True)
class Line:
    """number: of its first line in the body, from 1. data: without its end; empty if it is `too_long` to be kept."""

    number: int
    data: bytes
    too_long: bool = False


class Cutter(Protocol):
    """Cuts one body. Lines come in order, those that are blank are left out."""

    @property
    def lines(self) -> int:
        """Lines that were read so far, blank ones too; none of a line or record that is not whole."""
        ...

    def feed(self, data: bytes) -> list[Line]:
        """The next piece of the body -> what it completes."""
        ...

    def end(self) -> list[Line]:
        """The body has ended -> what stood behind the last line end."""
        ...


class LineCutter:
    """Lines that end with LF or CR LF, the last one also with the body. Implements Cutter.

    max_bytes: of one line, its end left out. A longer one is told as such once, and reading goes on behind it. A BOM
    before the first line is skipped. keep_blank: lines without anything in them are given too.
    """

    __slots__ = ("_begun", "_keep_blank", "_max_bytes", "_overlong", "lines")

    def __init__(self, max_bytes: int, *, keep_blank: bool = False) -> None:
        self._keep_blank = keep_blank
        self.lines = 0
        self._max_bytes = max_bytes
        self._begun = bytearray()  # a line whose end has not come, as far as it can matter
        self._overlong = False  # of which more came

    def feed(self, data: bytes) -> list[Line]:
        first, *more = data.split(b"\n")
        self._add(first)
        found: list[Line] = []
        if not more:
            return found
        self._finish(found)
        rest = more.pop()
        number = self.lines
        max_bytes = self._max_bytes
        keep_blank = self._keep_blank
        for text in more:
            number += 1
            if text[-1:] == b"\r":
                text = text[:-1]
            if len(text) > max_bytes:
                found.append(Line(number, b"", too_long=True))
            elif keep_blank or (text and not text.isspace()):
                found.append(Line(number, text))
        self.lines = number
        self._add(rest)
        return found

    def end(self) -> list[Line]:
        found: list[Line] = []
        if self._begun:
            self._finish(found)
        return found

    def _add(self, data: bytes) -> None:
        room = self._max_bytes + _EXTRA - len(self._begun)
        self._overlong |= len(data) > room
        self._begun += data[:room]

    def _finish(self, found: list[Line]) -> None:
        text = bytes(self._begun)
        overlong, self._overlong = self._overlong, False
        self._begun.clear()
        if not self.lines:
            text = text.removeprefix(BOM)
        self.lines += 1
        text = text.removesuffix(b"\r")
        if overlong or len(text) > self._max_bytes:
            found.append(Line(self.lines, b"", too_long=True))
        elif self._keep_blank or (text and not text.isspace()):
            found.append(Line(self.lines, text))
