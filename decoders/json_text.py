"""JSON text: read once, strictly, and fast where it is plain.

UTF-8, no NaN, no key twice in an object, nesting bounded. `orjson` reads most documents; it takes a key that stands
twice and makes floats of large integers, so whatever could be such a document is read by the standard library.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from decoders.errors import DecodeCode, DecodeError

__all__ = ["MAX_DEPTH", "read_json"]

MAX_DEPTH = 32
_NESTING = re.compile(rb"[\[\]{}]")
_LARGE = 9.2e18
"""Floats from here on may have been integers."""


class _Unsure(Exception):
    """Only the standard library can tell."""


def read_json(data: bytes) -> Any:
    """Bytes -> what JSON says. Raises DecodeError(bad_document, too_deep)."""
    if b"\\" not in data:
        try:
            document = orjson.loads(data)
            keys, colons = _keys(document, 0), data.count(b":")
            # A text without escapes has one colon for each key, and those within texts, which are rare. A key that
            # stood twice would have left one over.
            if keys == colons or keys + _in_texts(document) == colons:
                return document
        except (orjson.JSONDecodeError, _Unsure):
            pass
    return _read_strictly(data)


def _keys(document: Any, depth: int) -> int:
    """How many keys all of its objects have. Raises _Unsure for what is too deep or may have been an integer."""
    if depth >= MAX_DEPTH:
        raise _Unsure
    count = 0
    if document.__class__ is dict:
        count = len(document)
        document = document.values()
    elif document.__class__ is not list:
        document = (document,)
    for value in document:
        kind = value.__class__
        if kind is float:
            if not -_LARGE < value < _LARGE:
                raise _Unsure
        elif kind is dict or kind is list:
            count += _keys(value, depth + 1)
    return count


def _in_texts(document: Any) -> int:
    """How many colons stand in its texts and in the names of its keys."""
    if document.__class__ is dict:
        return sum(key.count(":") + _in_texts(value) for key, value in document.items())
    if document.__class__ is list:
        return sum(map(_in_texts, document))
    return document.count(":") if document.__class__ is str else 0


def _read_strictly(data: bytes) -> Any:
    depth = deepest = 0
    for match in _NESTING.finditer(data):
        depth += 1 if match[0] in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise DecodeError(DecodeCode.TOO_DEEP, f"JSON nests deeper than {MAX_DEPTH}")
    try:
        return json.loads(data, parse_constant=_refuse, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not JSON: {error.msg}", offset=error.pos) from None
    except (UnicodeDecodeError, ValueError) as error:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"not JSON: {error}") from None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice")
        found[key] = value
    return found
