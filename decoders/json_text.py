"""JSON text: read once, strictly, and fast where it is plain.

UTF-8, no NaN, no key twice in an object, nesting bounded, integers of 64 bits. `orjson` reads most documents; it takes
a key that stands twice and makes floats of large integers, so whatever could be such a document is read by the standard
library.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

from decoders.errors import DecodeCode, DecodeError

__all__ = ["LARGE", "MAX_DEPTH", "read_json", "read_plain"]

MAX_DEPTH = 32
_NESTING = re.compile(rb"[\[\]{}]")
_BACKSLASH, _BRACKET = 0x5C, 0x5B  # an integer is looked for four times as fast as bytes
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DIGITS = 20  # of an integer of 64 bits, with its sign
_SHOWN = 24
LARGE = 9.2e18
"""Floats from here on may have been integers."""


class _Unsure(Exception):
    """Only the standard library can tell."""


def read_json(data: bytes) -> Any:
    """Bytes -> what JSON says. Raises DecodeError(bad_document, too_deep)."""
    if _BACKSLASH not in data:
        try:
            document = orjson.loads(data)
            missing = data.count(b":") - _colons(document, 0)
            # A text without escapes has one colon for each key, and those within texts. A key that stood twice would
            # have left one over.
            if not missing or missing == _in_keys(document):
                return document
        except (orjson.JSONDecodeError, _Unsure):
            pass
    return _read_strictly(data)


def read_plain(data: bytes) -> tuple[dict[str, Any], int] | None:
    """An object, and how many colons its text has; None for anything else, and for one with lists or escapes.

    It is what `read_json` makes of the text if these colons are one for each of its keys, and those within texts, and
    no float is `LARGE`: whoever knows the keys of a document need not look for these.
    """
    if _BACKSLASH in data or _BRACKET in data:
        return None
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return (document, data.count(b":")) if document.__class__ is dict else None


def _colons(document: Any, depth: int) -> int:
    """One for each key, and those within texts that are values. Raises _Unsure for what is too deep, or a float that
    may have been an integer."""
    count = 0
    if document.__class__ is dict:
        count = len(document)
        document = document.values()
    elif document.__class__ is not list:
        document = (document,)
    for value in document:
        kind = value.__class__
        if kind is float:
            if not -LARGE < value < LARGE:
                raise _Unsure
        elif kind is str:
            if ":" in value:
                count += value.count(":")
        elif kind is dict or kind is list:
            if depth == MAX_DEPTH - 1:
                raise _Unsure
            count += _colons(value, depth + 1)
    return count


def _in_keys(document: Any) -> int:
    """Colons within the names of its keys, which are rare."""
    if document.__class__ is dict:
        return sum(key.count(":") + _in_keys(value) for key, value in document.items())
    return sum(map(_in_keys, document)) if document.__class__ is list else 0


def _read_strictly(data: bytes) -> Any:
    depth = deepest = 0
    for match in _NESTING.finditer(data):
        depth += 1 if match[0] in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise DecodeError(DecodeCode.TOO_DEEP, f"JSON nests deeper than {MAX_DEPTH}")
    try:
        document = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse,
            parse_int=_integer,
            parse_float=_number,
            object_pairs_hook=_unique,
        )
        if _SURROGATE.search(data):
            _check_pairs(document)
        return document
    except json.JSONDecodeError as error:
        if not data.strip():
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "not JSON: there is nothing", offset=0) from None
        detail = f"not JSON: {error.msg}: line {error.lineno}, column {error.colno}"
        raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, offset=error.pos) from None
    except UnicodeDecodeError as error:
        detail = f"not JSON: byte {error.start + 1} is not UTF-8"
        raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, offset=error.start) from None
    except ValueError as error:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not JSON: {error}") from None


def _check_pairs(document: Any) -> None:
    """A half of a surrogate pair is no character, and UTF-8 cannot carry it."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise ValueError(f"\\u{code:04x} is half of a surrogate pair, and no text") from None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _integer(text: str) -> int:
    if len(text) <= _DIGITS and -(1 << 63) <= (value := int(text)) < 1 << 64:
        return value
    raise ValueError(f"the integer {_short(text)} has more than 64 bits")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {_short(text)} is too large")
    return value


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice")
        found[key] = value
    return found
