"""CSV of a product: one line is one message, its columns are the message's values (RFC 4180, without line breaks in
quotes).

Where the spec does not list the columns, the first line that comes names them; the session's context keeps them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.document import COMMON_NAMES, JsonCodec, JsonMessage
from decoders.document_kinds import WRONG, is_bad_time, number_of, take
from decoders.document_values import DocumentFields
from decoders.errors import DecodeCode, DecodeError
from decoders.times import Zone
from decoders.types import SessionContext

__all__ = ["HEADER", "SKIPPED", "CsvCodec", "CsvLines", "lines_of"]

HEADER = "csv header"
"""Name of what a line is that names columns, or is empty: it makes no record."""
SKIPPED = "-"
_BOM = "\ufeff"


@dataclass(slots=True, frozen=True)
class CsvLines:
    """How lines read. columns: value of each column, `-` for one that means nothing; () when the first line says.
    titles: value -> what the first line calls its column. header: the first line is no data, though columns are known.
    """

    columns: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"
    titles: Mapping[str, str] = field(default_factory=dict)
    header: bool = False


class CsvCodec:
    """Decodes the CSV form of one message."""

    format = "csv"

    def __init__(self, message: str, fields: DocumentFields, lines: CsvLines) -> None:
        self.message = message
        self.fields = fields
        self.lines = lines
        self._names = {*fields.cells, *COMMON_NAMES}
        self._loose = {name for name, kind in fields.kinds.items() if kind.word != "number"}
        words = ("any", "number", "scalar")
        self._numbers = {name for name, kind in fields.kinds.items() if kind.word in words and not kind.form}
        self._values = JsonCodec([JsonMessage(message, fields)])
        self._titled = {_title(title): name for name, title in lines.titles.items()}

    def decode(self, data: bytes, context: SessionContext, zone: Zone) -> tuple[str, dict[str, Any]]:
        """One line without its end -> message name and values; HEADER and {} for one that names columns, which the
        context then holds, and for an empty one. Raises DecodeError(bad_document)."""
        cells = self._cells(data)
        if not cells:
            return HEADER, {}
        columns = self.lines.columns or context.columns
        first = self.lines.header and not context.columns
        if first:
            context.columns = columns
        if not columns or self._names_columns(cells, columns) or (first and not self._is_data(cells, columns, zone)):
            if not self.lines.columns:
                context.columns = self._header(cells)
            return HEADER, {}
        if len(cells) != len(columns):
            detail = f"the line has {len(cells)} columns, {len(columns)} are expected"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail)
        row: dict[str, Any] = {}
        for name, text in zip(columns, cells, strict=True):
            if text and name != SKIPPED:
                row[name] = self._value(name, text)
        return self.message, self._values.read_row(row, context, zone)

    def _value(self, name: str, text: str) -> Any:
        """Numbers as numbers; with another delimiter the comma may be the decimal one."""
        if name in self._numbers:
            point = text.replace(",", ".") if self.lines.delimiter != "," and text.count(",") == 1 else text
            found = number_of(point, plain=name in self._loose)
            return text if isinstance(found, str) else found
        return text

    def _cells(self, data: bytes) -> list[str]:
        try:
            text = data.decode(self.lines.encoding)
        except UnicodeDecodeError as error:
            detail = f"not {self.lines.encoding} text: {error.reason}"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, offset=error.start) from None
        line = text.removeprefix(_BOM).rstrip("\r\n")
        if not line.strip():
            return []
        try:
            rows = list(csv.reader([line], delimiter=self.lines.delimiter, strict=True, skipinitialspace=True))
        except csv.Error as error:
            raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not CSV: {error}") from None
        return [cell.strip() for cell in rows[0]] if rows else []

    def _names_columns(self, cells: Sequence[str], columns: Sequence[str]) -> bool:
        """A line that names the columns once more."""
        named = [(self._named(cell), name) for cell, name in zip(cells, columns, strict=False) if name != SKIPPED]
        return len(cells) == len(columns) and bool(named) and all(cell == name for cell, name in named)

    def _named(self, cell: str) -> str:
        """The value whose column is called so."""
        return self._titled.get(_title(cell), cell if cell in self._names else SKIPPED)

    def _is_data(self, cells: Sequence[str], columns: Sequence[str], zone: Zone) -> bool:
        """True for a line that has a number or time, or what stands for none, where one has to be."""
        for name, cell in zip(columns, cells, strict=False):
            kind = self.fields.kinds.get(name)
            if cell and kind is not None and kind.word in ("number", "clock"):
                found = take(kind, self._value(name, cell), zone)
                if (found is not None or not is_bad_time(kind, cell)) and found is not WRONG:
                    return True
        return False

    def _header(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Columns whose names the spec does not know mean nothing."""
        columns = tuple(map(self._named, cells))
        named = [name for name in columns if name != SKIPPED]
        if not named:
            known = ", ".join(sorted({*self.lines.titles.values(), *self.fields.kinds})[:12])
            detail = f"the first line names the columns, and none of these is a value of the message: {known}"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail)
        if len(set(named)) != len(named):
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "the first line names a column twice")
        return columns


def lines_of(payload: bytes) -> list[bytes]:
    """The lines of a payload that have something in them."""
    return [line for line in payload.splitlines() if line.strip()]


def _title(text: str) -> str:
    """What a column is called, however it is written."""
    return " ".join(text.casefold().split())
