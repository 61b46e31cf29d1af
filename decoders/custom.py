"""Registered Python types: the last resort of the spec language, for payloads that only code can read.

A spec names a function that was registered before the spec is compiled. As a row's type (`type: "python:acme_huffman"`)
it makes a value of the row's bytes; as a group's encoding (`encoded: "python:acme_cipher"`) it makes other bytes, which
the group's rows read. Place in the walk: below both codecs, which call the function in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from decoders.errors import DecodeCode, DecodeError
from decoders.metering.prios import prios_content

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "PREFIX",
    "UNSEEN_BY_PYTHON",
    "Function",
    "bytes_by",
    "names",
    "register",
    "unavailable",
    "value_by",
    "why_unavailable",
]

PREFIX = "python:"
MAX_DEPTH = 8  # of a result
MAX_NODES = 10_000  # values and keys of a result
MAX_BYTES = 1 << 20  # of all texts of a result, and of decoded bytes
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_INTEGER = 1 << 63

Function: TypeAlias = Callable[[bytes, Mapping[str, int | str]], Any]
"""`(data, values) -> result`. values: raw integers and texts of the rows before. The result of a type is plain (dict
with text keys, list, number, text, bool; None: no value), that of an encoding is bytes. Must be pure: the same input
gives the same result."""

UNSEEN_BY_PYTHON = frozenset({"key", "length"})
"""Raw values that are no rows: functions do not get them."""
_functions: dict[str, Function] = {"diehl_prios": prios_content}
_unavailable: dict[str, str] = {}


def register(name: str, function: Function) -> None:
    """Makes `python:name` known. A name that is taken gets the new function. Raises ValueError for a text that is no
    name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{name}` is no name: small letters, digits and underscores, at most 64, a letter first")
    _functions[name] = function
    _unavailable.pop(name, None)


def unavailable(name: str, why: str) -> None:
    """Remembers why a function could not be loaded, for whoever uses its name in a spec."""
    _unavailable[name] = why


def why_unavailable(name: str) -> str:
    """Why the function of this name could not be loaded; "" when nobody tried."""
    return _unavailable.get(name, "")


def names() -> tuple[str, ...]:
    """All registered names, in order."""
    return tuple(sorted(_functions))


def value_by(name: str, data: bytes, values: Mapping[str, Any]) -> Any:
    """What the type makes of the bytes. Raises DecodeError: bad_value when the function raises anything, wrong_answer
    for a result that is not plain, too deep or too large."""
    result = _call(name, data, values)
    _check(name, result)
    return result


def bytes_by(name: str, data: bytes, values: Mapping[str, Any]) -> bytes:
    """The bytes that these stand for. Raises DecodeError as `value_by` does."""
    result = _call(name, data, values)
    if not isinstance(result, bytes | bytearray | memoryview):
        raise _wrong(name, f"{type(result).__name__} instead of bytes")
    if len(result) > MAX_BYTES:
        raise _wrong(name, f"more than {MAX_BYTES} bytes")
    return bytes(result)


def _call(name: str, data: bytes, values: Mapping[str, Any]) -> Any:
    known = {key: value for key, value in values.items() if value.__class__ is int or isinstance(value, str)}
    try:
        return _functions[name](bytes(data), known)
    except Exception as error:
        detail = f"python:{name}: {type(error).__name__}: {error}"
        raise DecodeError(DecodeCode.BAD_VALUE, detail[:200]) from error


def _wrong(name: str, what: str) -> DecodeError:
    return DecodeError(DecodeCode.WRONG_ANSWER, f"python:{name} gave {what}")


def _check(name: str, result: Any) -> None:
    """Everything in the result is plain, and there is not too much of it."""
    nodes, size = 0, 0
    waiting = [(result, 0)]
    while waiting:
        value, depth = waiting.pop()
        nodes += 1
        kind = value.__class__
        if nodes + len(waiting) > MAX_NODES:
            raise _wrong(name, f"more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            raise _wrong(name, f"values nested deeper than {MAX_DEPTH}")
        if kind is dict:
            if len(value) > MAX_NODES:
                raise _wrong(name, f"more than {MAX_NODES} values")
            for key, inner in value.items():
                if key.__class__ is not str:
                    raise _wrong(name, f"a key that is {type(key).__name__}")
                size += len(key)
                waiting.append((inner, depth + 1))
        elif kind is list:
            if len(value) > MAX_NODES:
                raise _wrong(name, f"more than {MAX_NODES} values")
            waiting += [(inner, depth + 1) for inner in value]
        elif kind is str:
            size += len(value)
        elif kind is int:
            if not -_MAX_INTEGER <= value < 2 * _MAX_INTEGER:
                raise _wrong(name, "an integer of more than 64 bits")
        elif kind is float:
            if value - value != 0:
                raise _wrong(name, "a number that is not finite")
        elif value is not None and kind is not bool:
            raise _wrong(name, kind.__name__)
        if size > MAX_BYTES:
            raise _wrong(name, f"more than {MAX_BYTES} characters")
