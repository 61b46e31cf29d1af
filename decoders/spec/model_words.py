"""Words of the spec language that the data model is made of: names, ids, formulas, bytes in hex.

Each validator says what it expects; what was there is added by `decoders.spec.problems`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from decoders.spec.source import Hexadecimal

__all__ = ["NAME", "Encoded", "Expression", "HexBytes", "HexPayload", "Id", "Mark", "Name", "NamePath", "NameTemplate"]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_NOT_OF_NAMES = re.compile(r"[^A-Za-z0-9_]+")
_TEMPLATE = re.compile(r"(?=.{1,96}$)[A-Za-z](?:[A-Za-z0-9_]|\{[^{}]+\})*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ENCODED = re.compile(r"text|hex|base64|python:[a-z][a-z0-9_]*")


def _expected(what: str, hint: str = "") -> PydanticCustomError:
    """The error of a validator that wants something else; it is completed with what was there."""
    return PydanticCustomError("expected", what, {"hint": hint})


def _name(value: Any) -> Any:
    if isinstance(value, str) and not NAME.fullmatch(value):
        near = _NOT_OF_NAMES.sub("_", value).strip("_")
        hint = f"such as `{near}`" if NAME.fullmatch(near) else ""
        if "{" in value:
            hint = "only values that are read from bytes, and groups, have names built from numbers"
        raise _expected("a name of a letter and then at most 63 letters, digits and underscores", hint)
    return value


def _path(value: Any) -> Any:
    for step in value.split(".") if isinstance(value, str) else ():
        _name(step)
    return value


def _template(value: Any) -> Any:
    if isinstance(value, str) and "{" in value:
        if not _TEMPLATE.fullmatch(value):
            raise _expected("a name of letters, digits, underscores and formulas in braces", "such as `chn_{k}`")
        return value
    return _name(value)


Name = Annotated[str, BeforeValidator(_name)]
NamePath = Annotated[str, BeforeValidator(_path)]
"""A name, or one in a group: `position.speed`."""
NameTemplate = Annotated[str, BeforeValidator(_template)]
"""A name, or one that is built from raw integers: `chn_{k}`."""


def _expression(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return str(value)
    return value


Expression = Annotated[str, BeforeValidator(_expression, json_schema_input_type=str | int | float | bool)]
"""A formula over raw integers of earlier fields (layout) or over values (`formula`)."""


def _hex_bytes(value: Any) -> Any:
    hint = 'such as "0D 0A"'
    if isinstance(value, Hexadecimal):
        return value.digits.zfill(len(value.digits) + len(value.digits) % 2).lower()
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = "digits without quotes are a number, which may be another one than it looks: write them in quotes"
    if isinstance(value, str):
        compact = value.replace(" ", "")
        if len(compact) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]*", compact):
            return compact.lower()
        if not re.fullmatch(r"[0-9A-Fa-f]*", compact):
            hint = f'this text in hex is "{value.encode().hex().upper()}"'
    raise _expected("bytes in hex", hint)


def _some_bytes(value: Any) -> Any:
    found = _hex_bytes(value)
    if not found:
        raise _expected("bytes in hex", 'such as "0D 0A"')
    return found


def _mark(value: Any) -> Any:
    try:
        return _some_bytes(value)
    except PydanticCustomError as error:
        hint = str((error.context or {}).get("hint", ""))
        raise _expected("bytes in hex", f"{hint}; with `format: text` marks are text") from None


HexBytes = Annotated[str, BeforeValidator(_some_bytes, json_schema_input_type=str | int)]
"""Bytes in hex, blanks allowed."""
HexPayload = Annotated[str, BeforeValidator(_hex_bytes, json_schema_input_type=str | int)]
"""The same; there may be none."""
Mark = Annotated[str, BeforeValidator(_mark, json_schema_input_type=str | int)]
"""Bytes that frames start or end with, in hex."""


def _id(value: Any) -> Any:
    if isinstance(value, str) and not _ID.fullmatch(value):
        raise _expected("an id of at most 64 letters, digits and `_`, `.`, `-`")
    return value


Id = Annotated[str, BeforeValidator(_id), WithJsonSchema({"type": "string", "pattern": f"^{_ID.pattern}$"})]
"""Of a product or variant."""


def _encoded(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= {"add", "xor"}:
        (kind, by), *_ = value.items()
        if isinstance(by, int) and not isinstance(by, bool) and 0 < by < 256:
            return f"{kind}:{int(by)}"
        raise _expected(f"a number from 1 to 255 behind `{kind}`", "such as `{add: 0x33}`")
    if not isinstance(value, str) or not _ENCODED.fullmatch(value):
        raise _expected("`text`, `hex`, `base64`, `{add: 0x33}`, `{xor: 0x5A}` or `python:name`")
    return value


_BYTE = {"type": "integer", "minimum": 1, "maximum": 255}
Encoded = Annotated[
    str,
    BeforeValidator(_encoded),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^({_ENCODED.pattern})$"},
                *(
                    {"type": "object", "properties": {key: _BYTE}, "required": [key], "additionalProperties": False}
                    for key in ("add", "xor")
                ),
            ]
        }
    ),
]
"""What the bytes of a group stand for; what was done to each byte as `add:51` or `xor:90`."""
