"""CSV bodies: the header row says the columns, each record behind it is an item.

Place in the walk: between records that were cut from a body and the topic reader. Columns are those of the product's
spec where it has a CSV form; else the names of the header are those of a JSON item (`device_id`, `ts`, `tempC`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from decoders.errors import DecodeCode, DecodeError
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from gateway.domain.topic_message import Item
from gateway.ingress.rest.charsets import Charset
from gateway.observe.problems import Problem, ProblemCode

__all__ = ["CsvItems"]

_COMMA = ","
_DEVICE_COLUMNS = ("device_id", "device_uuid")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,15},[0-9]{1,15}", re.ASCII)
_MAX_COLUMNS = 1_000


class CsvItems:
    """The records of one body, in their order. product: None takes JSON's names."""

    def __init__(self, product: CompiledProduct | None, charset: Charset) -> None:
        self._product = product if product is not None and product.csv is not None else None
        self._charset = charset
        self._names: tuple[str, ...] = ()  # the header's
        self._columns: tuple[str, ...] = ()  # in the words of the product's spec
        self._device_at = -1

    def open(self, record: bytes, delimiter: str) -> tuple[bytes, Item] | None:
        """A record -> payload and item; None for the header. Raises DecodeError, and Problem for a header that cannot
        be used: nothing behind it can be read."""
        cells = self._cells(record, delimiter)
        if not self._names:
            self._take_header(cells)
            return None
        if len(cells) != len(self._names):
            detail = f"the record has {len(cells)} columns, {len(self._names)} are expected"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail)
        device_id = cells[self._device_at] if self._device_at >= 0 else ""
        if self._product is None:
            return record, Item(self._document(cells, delimiter))
        if delimiter != _COMMA:
            cells = [_with_point(cell) for cell in cells]
        return _line(cells), Item(columns=self._columns, device_id=device_id)

    def _cells(self, record: bytes, delimiter: str) -> list[str]:
        text = self._charset.decode(record)
        if text is None:
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "not text in the charset of the body")
        try:
            rows = list(csv.reader(io.StringIO(text, ""), delimiter=delimiter, strict=True, skipinitialspace=True))
        except csv.Error as error:
            raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not CSV: {error}") from None
        return [cell.strip() for cell in rows[0]] if rows else []

    def _take_header(self, names: Sequence[str]) -> None:
        if len(names) > _MAX_COLUMNS:
            raise _no_header(f"it has {len(names)} columns, at most {_MAX_COLUMNS} are taken")
        product = self._product
        if product is not None:
            context = SessionContext()
            try:
                product.decode_csv(_line(names), context)
            except DecodeError as error:
                raise _no_header(error.detail) from None
            self._columns = context.columns
        elif len({*names}) != len(names) or not all(names):
            raise _no_header("a column has no name, or two have the same one")
        self._names = tuple(names)
        known = self._columns or self._names
        self._device_at = next((known.index(name) for name in _DEVICE_COLUMNS if name in known), -1)

    def _document(self, cells: Sequence[str], delimiter: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, cell in zip(self._names, cells, strict=True):
            if cell:
                found[name] = cell if name in _DEVICE_COLUMNS else _value(cell, delimiter)
        return found


def _value(cell: str, delimiter: str) -> Any:
    """Numbers as numbers; a text of digits that begins with 0 is one."""
    point = cell if delimiter == _COMMA else _with_point(cell)
    if not _NUMBER.fullmatch(point):
        return cell
    return int(point) if point.lstrip("-").isdigit() else float(point)


def _with_point(cell: str) -> str:
    """With another delimiter the comma may be the decimal one."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


def _line(cells: Sequence[str]) -> bytes:
    """The same record as the products' codecs have it: commas, UTF-8, one line."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([cell.replace("\r", " ").replace("\n", " ") for cell in cells])
    return out.getvalue().encode("utf-8", "replace")


def _no_header(why: str) -> Problem:
    return Problem(422, ProblemCode.BAD_HEADER, f"the first record must name the columns: {why}")
