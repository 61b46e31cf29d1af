"""CSV bodies: the header row says the columns, each record behind it is an item.

Place in the walk: between records that were cut from a body and the topic reader. Columns are those of the product's
spec where it has a CSV form; else the names of the header are those of a JSON item (`device_id`, `ts`, `tempC`).

A column that the spec does not name is left out, as in JSON: files grow columns. But one that is nearly the name of a
value, which has no column, is a slip of the pen, and so is a header without any value: these are refused.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Collection, Sequence
from typing import Any

from decoders.document_values import may_be_extra
from decoders.errors import DecodeCode, DecodeError
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from gateway.domain.topic_message import Item
from gateway.ingress.rest.charsets import Charset
from gateway.ingress.rest.csv_records import says_delimiter
from gateway.observe.problems import Problem, ProblemCode

__all__ = ["CsvItems"]

_COMMA = ","
_DEVICE_COLUMNS = ("device_id", "device_uuid")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_BEGIN_NUMBERS = frozenset("-0123456789")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,15},[0-9]{1,15}", re.ASCII)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_COLUMNS = 1_000
_NEARLY = 0.75
_MAX_NAMED = 20
_MAX_COMPARED, _MAX_COMPARED_LENGTH = 100, 64
"""Comparing names takes time: of more columns, or longer names, none is looked at."""


class CsvItems:
    """The records of one body, in their order. product: None takes JSON's names."""

    def __init__(self, product: CompiledProduct | None, charset: Charset) -> None:
        self._product = product if product is not None and product.csv is not None else None
        self._values = _values_of(product) if product is not None and product.csv is None else None
        self._charset = charset
        self._names: tuple[str, ...] = ()  # the header's
        self._columns: tuple[str, ...] = ()  # in the words of the product's spec
        self._device_at = -1
        self._unnamed = False  # the last column of the header has no name

    @property
    def has_header(self) -> bool:
        return bool(self._names)

    @staticmethod
    def header_too_long() -> Problem:
        return _no_header("it is longer than is taken")

    def open(self, record: bytes, delimiter: str) -> tuple[bytes, Item | dict[str, Any]] | None:
        """A record -> payload, and the item or the document that it is; None for the header, and for what Excel says of
        the delimiter before it. Raises DecodeError, and Problem for a header that cannot be used: nothing behind it can
        be read."""
        if not self._names:
            if not says_delimiter(record):
                self._take_header(self._header(record, delimiter))
            return None
        cells = self._cells(record, delimiter)
        if self._unnamed and len(cells) == len(self._names) + 1 and not cells[-1]:
            del cells[-1]
        if len(cells) != len(self._names):
            detail = f"the record has {len(cells)} columns, {len(self._names)} are expected"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail)
        device_id = cells[self._device_at] if self._device_at >= 0 else ""
        if self._product is None:
            return record, self._document(cells, delimiter)
        if delimiter != _COMMA:
            cells = [_with_point(cell) for cell in cells]
        return _line(cells), Item(columns=self._columns, device_id=device_id)

    def _cells(self, record: bytes, delimiter: str) -> list[str]:
        text = self._charset.decode(record)
        if text is None:
            charset = self._charset.name or "utf-8 or cp949"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not text in the charset of the body ({charset})")
        if '"' not in text and "\r" not in text:
            return [cell.strip() for cell in text.split(delimiter)]
        try:
            rows = list(csv.reader(io.StringIO(text, ""), delimiter=delimiter, strict=True, skipinitialspace=True))
        except csv.Error as error:
            raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not CSV: {error}") from None
        if len(rows) > 1:
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "lines end with LF or CR LF, not with CR alone")
        return [cell.strip() for cell in rows[0]] if rows else []

    def _header(self, record: bytes, delimiter: str) -> list[str]:
        if record.startswith(_UTF_16):
            detail = "the body is UTF-16: utf-8 or cp949 is expected"
            raise Problem(415, ProblemCode.UNSUPPORTED_CHARSET, detail)
        try:
            return self._cells(record, delimiter)
        except DecodeError as error:
            raise _no_header(error.detail) from None

    def _take_header(self, names: list[str]) -> None:
        if len(names) > _MAX_COLUMNS:
            raise _no_header(f"it has {len(names)} columns, at most {_MAX_COLUMNS} are taken")
        if len(names) > 1 and not names[-1]:  # each line ends with a delimiter
            self._unnamed = True
            del names[-1]
        product = self._product
        if product is not None:
            context = SessionContext()
            try:
                product.decode_csv(_line(names), context)
            except DecodeError as error:
                raise _no_header(error.detail) from None
            self._columns = context.columns
        else:
            _check_names(names, self._values)
        self._names = tuple(names)
        known = self._columns or self._names
        self._device_at = next((known.index(name) for name in _DEVICE_COLUMNS if name in known), -1)

    def _document(self, cells: Sequence[str], delimiter: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, cell in zip(self._names, cells, strict=True):
            if cell:
                found[name] = cell if name in _DEVICE_COLUMNS else _value(cell, delimiter)
        return found


def _values_of(product: CompiledProduct) -> Collection[str] | None:
    """Names of all values of its JSON; None where any name may be one, or where values stand deeper in documents."""
    messages = product.json.messages.values() if product.json is not None else ()
    if not messages or product.variants or any(one.keeps or one.when or one.values or one.records for one in messages):
        return None
    return {name for message in messages for name in message.fields.cells}


def _check_names(names: Sequence[str], values: Collection[str] | None) -> None:
    """Of a header in JSON's names. values: of the product; None: any."""
    if not all(names):
        raise _no_header(f"column {names.index('') + 1} has no name")
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise _no_header(f"`{twice[:_MAX_COMPARED_LENGTH]}` stands there twice")
    if values is None:
        return
    missing = sorted({*values} - {*names})
    folded = {name.casefold(): name for name in missing}
    unknown = [name for name in names if name not in values and may_be_extra(name)]
    for name in [name for name in unknown if len(name) <= _MAX_COMPARED_LENGTH][:_MAX_COMPARED]:
        near = difflib.get_close_matches(name.casefold(), folded, 1, _NEARLY)
        if near:
            raise _no_header(f"the product has no value `{name}` (did you mean `{folded[near[0]]}`?)")
    if len(missing) == len(values) and unknown:
        listed = ", ".join(missing[:_MAX_NAMED])
        raise _no_header(f"none of the columns is a value of the product: {listed}")


def _value(cell: str, delimiter: str) -> Any:
    """Numbers as numbers; a text of digits that begins with 0 is one."""
    if cell[0] not in _BEGIN_NUMBERS:
        return cell
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
