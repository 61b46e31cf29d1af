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
            if data.count(b":") == _colons(document, 0):
                return document
        except (orjson.JSONDecodeError, _Unsure):
            pass
    return _read_strictly(data)


def _colons(document: Any, depth: int) -> int:
    """How many colons a text without escapes has that says this and no more: one for each key, and those within
    texts. A key that stood twice would have left one over. Raises _Unsure."""
    if depth >= MAX_DEPTH:
        raise _Unsure
    count = 0
    if document.__class__ is dict:
        count = len(document)
        for key, value in document.items():
            if ":" in key:
                count += key.count(":")
            kind = value.__class__
            if kind is int:
                continue
            if kind is float:
                if not -_LARGE < value < _LARGE:
                    raise _Unsure
            elif kind is str:
                if ":" in value:
                    count += value.count(":")
            elif kind is dict or kind is list:
                count += _colons(value, depth + 1)
    elif document.__class__ is list:
        for value in document:
            count += _colons(value, depth + 1)
    elif document.__class__ is str:
        count = document.count(":")
    elif document.__class__ is float and not -_LARGE < document < _LARGE:
        raise _Unsure
    return count


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
