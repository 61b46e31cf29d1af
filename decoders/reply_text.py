"""Texts that a reply is made of: `*HQ,{device_id},{n:04d},{now:%H%M%S}#`.

Behind a name stands how its value is written: a pattern of a time (of `strftime`, with `%`), or a part of Python's
format of numbers: fill and alignment, sign, `#`, `0`, width, digits behind the point, and one of d x X b o f.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from decoders import times
from decoders.errors import EncodeError
from decoders.fused_encoder import ZONE_OF_SESSION
from decoders.times import Zone

__all__ = ["Render", "number_fault", "placeholders", "text_reply", "time_fault"]

_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(?::([^{}]*))?\}")
_DIRECTIVE = re.compile(r"%-?(.?)")
_DIRECTIVES = frozenset("aAbBcdfGHIjmMpSuUVwWxXyYzZ%")  # of `datetime.strftime`
_FORMAT = re.compile(
    r"(?:(?P<fill>[^{}%])?(?P<align>[<>^=]))?(?P<sign>[-+ ])?#?(?P<zero>0)?(?P<width>[1-9][0-9]?)?"
    r"(?P<point>\.[0-9])?(?P<type>[dxXbof])?"
)

Render = Callable[[Mapping[str, Any]], bytes]
"""Values of the request, with `now` (Unix ms) and `device_id` among them -> wire bytes. Raises EncodeError."""


def text_reply(template: str, zone: Zone = 0) -> Render:
    """Names of values; times with a strftime pattern, in the session's zone; numbers with a format. zone: where the
    session has none."""
    parts = _PLACEHOLDER.split(template)

    def render(values: Mapping[str, Any]) -> bytes:
        text = [parts[0]]
        for index in range(1, len(parts), 3):
            name, pattern, following = parts[index], parts[index + 1], parts[index + 2]
            value = values.get(name)
            if value is None:
                raise EncodeError(name, "has no value for this reply")
            text.append(_written(name, value, pattern or "", values.get(ZONE_OF_SESSION, zone)))
            text.append(following)
        return "".join(text).encode()

    return render


def _written(name: str, value: Any, pattern: str, zone: Zone) -> str:
    if not pattern:
        return str(value)
    try:
        return _time(value, pattern, zone) if "%" in pattern else _number(value, pattern)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(name, f"{value!r} cannot be written as `{pattern}`: {error}") from None


def _time(value: Any, pattern: str, zone: Zone) -> str:
    """Unix ms, or RFC 3339 text, as the pattern says."""
    return times.format_ms(times.unix_ms_from_iso(value) if isinstance(value, str) else value, pattern, zone)


def _number(value: Any, pattern: str) -> str:
    """d, x, X, b, o write whole numbers: others are rounded. Digits as text are numbers where a type asks for one; else
    a text is filled up, with zeros in front where the format begins with 0."""
    found = _FORMAT.fullmatch(pattern)
    if found is None:
        raise ValueError("no format of numbers")
    kind = found["type"]
    if kind == "f":
        return format(float(value), pattern)
    if kind is not None:
        return format(round(value) if isinstance(value, float) else int(value), pattern)
    if isinstance(value, str):
        width, fill = int(found["width"] or 0), found["fill"] or ("0" if found["zero"] else " ")
        align = found["align"] or (">" if found["zero"] else "<")
        return format(value, f"{fill}{'>' if align == '=' else align}{width}")
    return format(value, pattern)


def placeholders(template: str) -> list[tuple[str, str]]:
    """Names that a text reply reads, each with its format, "" for none."""
    return [(match[1], match[2] or "") for match in _PLACEHOLDER.finditer(template)]


def time_fault(pattern: str) -> tuple[str, str] | None:
    """What is wrong with the format of a time, and what to write; None where it is good."""
    hint = "such as %Y %m %d %H %M %S"
    if "%" not in pattern:
        return f"`{pattern}` is no pattern of a time", hint
    wrong = next((word for word in _DIRECTIVE.findall(pattern) if word not in _DIRECTIVES), None)
    return None if wrong is None else (f"`%{wrong}` is no part of a time", hint)


def number_fault(pattern: str) -> tuple[str, str] | None:
    """The same of a value that is no time."""
    if "%" in pattern:
        return f"`{pattern}` is a pattern of a time", "a row with `clock`, or `now`; numbers are written `04d`, `.1f`"
    found = _FORMAT.fullmatch(pattern)
    if found is None:
        return f"`{pattern}` is no format", "such as `d` `04d` `+d` `x` `04X` `.1f` `07.2f` `>5` `<8`"
    if found["point"] and found["type"] != "f":
        return f"`{pattern}` has digits behind a point", f"`{found['point']}f`"
    return None
