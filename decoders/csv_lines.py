"""CSV of a product: one line is one message, its columns are the message's values (RFC 4180, without line breaks in
quotes).

Where the spec does not list the columns, the first line that comes names them; the session's context keeps them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decoders.document import COMMON_NAMES, JsonCodec, JsonMessage
from decoders.document_values import DocumentFields, number_of
from decoders.errors import DecodeCode, DecodeError
from decoders.times import Zone
from decoders.types import SessionContext

__all__ = ["HEADER", "SKIPPED", "CsvCodec", "CsvLines"]

HEADER = "csv header"
"""Name of what a line is that names columns, or is empty: it makes no record."""
SKIPPED = "-"
_BOM = "\ufeff"


@dataclass(slots=True, frozen=True)
class CsvLines:
    """How lines read. columns: value of each column, `-` for one that means nothing; () when the first line says."""

    columns: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"


class CsvCodec:
    """Decodes the CSV form of one message."""

    format = "csv"

    def __init__(self, message: str, fields: DocumentFields, lines: CsvLines) -> None:
        self.message = message
        self.fields = fields
        self.lines = lines
        self._names = {*fields.kinds, *COMMON_NAMES}
        self._loose = {name for name, kind in fields.kinds.items() if kind.word == "any"}
        self._numbers = {name for name, kind in fields.kinds.items() if kind.word in ("any", "number")}
        self._values = JsonCodec([JsonMessage(message, fields)])

    def decode(self, data: bytes, context: SessionContext, zone: Zone) -> tuple[str, dict[str, Any]]:
        """One line without its end -> message name and values; HEADER and {} for one that names columns, which the
        context then holds, and for an empty one. Raises DecodeError(bad_document)."""
        cells = self._cells(data)
        if not cells:
            return HEADER, {}
        columns = self.lines.columns or context.columns
        if not columns or self._names_columns(cells, columns):
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
        named = [(cell, name) for cell, name in zip(cells, columns, strict=False) if name != SKIPPED]
        return len(cells) == len(columns) and bool(named) and all(cell == name for cell, name in named)

    def _header(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Columns whose names the spec does not know mean nothing."""
        columns = tuple(cell if cell in self._names else SKIPPED for cell in cells)
        named = [name for name in columns if name != SKIPPED]
        if not named:
            known = ", ".join(sorted(self.fields.kinds)[:12])
            detail = f"the first line names the columns, and none of these is a value of the message: {known}"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail)
        if len(set(named)) != len(named):
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "the first line names a column twice")
        return columns
