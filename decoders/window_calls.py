"""Functions of layout formulas over bytes: `starts('BP05')`, `has(',')`, `tokens(',')` over what comes next and is not
read yet; `u8(6)`, `u16(-2)` over the body of the message at that place, read or not.

A formula has no access to bytes. So a call with a text becomes a name that no field can have (it begins with an
underscore), which the codecs give a value like `next_u8`. Used by formulas, by both codecs and by the spec's compiler.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

CALLS: Mapping[str, str] = {
    "starts": "true when the unread bytes of the window start with this text",
    "has": "true when this text stands somewhere in the unread bytes of the window (in the next 16384 of them)",
    "tokens": "number of values left that are parted by this text (in the next 16384 bytes); 0 when nothing is left",
}
BODY_CALLS: Mapping[str, tuple[int, bool]] = {
    f"u{8 * size}{order}": (size, not order) for size in (1, 2, 3, 4) for order in (("", "le") if size > 1 else ("",))
}
"""Unsigned integers of the body: function -> bytes, and whether big-endian. A negative place counts from the end; there
is no value where the body has no such bytes."""
_MAX_TEXT = 64
MAX_SEEN = 1 << 14
"""Bytes that `has` and `tokens` look at: they may be asked before each item of a long list."""
_MAX_PLACE = 65_535


def call_name(function: str, text: str) -> str:
    """The name that stands for the call. Raises ValueError for a text that is empty or too long."""
    data = text.encode()
    if not 0 < len(data) <= _MAX_TEXT:
        raise ValueError(f"the text of `{function}` has 1 to {_MAX_TEXT} characters")
    return f"_{function}_{data.hex()}"


def called(name: str) -> tuple[str, bytes] | None:
    """Function and text of such a name; None for every other name."""
    if not name.startswith("_") or name.startswith(_BODY):
        return None
    _, function, text = name.split("_")
    return function, bytes.fromhex(text)


def call_value(name: str, data: bytes, start: int, end: int) -> bool | int | None:
    """The value of such a name where data[start:end] is what is left of the window. None for every other name."""
    found = called(name)
    if found is None:
        return None
    function, text = found
    if function == "starts":
        return data.startswith(text, start, end)
    end = min(end, start + MAX_SEEN)
    if function == "has":
        return data.find(text, start, end) >= 0
    return data.count(text, start, end) + 1 if start < end else 0


def call_source(name: str, data: str, start: str, end: str) -> str:
    """The same as source."""
    found = called(name)
    assert found is not None
    function, text = found
    if function == "starts":
        return f"{data}.startswith({text!r}, {start}, {end})"
    place = f"({text!r}, {start}, min({end}, {start} + {MAX_SEEN}))"
    if function == "has":
        return f"({data}.find{place} >= 0)"
    return f"({data}.count{place} + 1 if {start} < {end} else 0)"


_BODY = "_body_"


def body_call_name(function: str, place: int) -> str:
    """The name that stands for a call of one of BODY_CALLS. Raises ValueError for a place that no body has."""
    if abs(place) > _MAX_PLACE:
        raise ValueError(f"a body has at most {_MAX_PLACE} bytes")
    return f"{_BODY}{function}_{place}"


def body_called(name: str) -> tuple[int, bool, int] | None:
    """Bytes, byte order (true: big) and place of such a name; None for every other name."""
    if not name.startswith(_BODY):
        return None
    function, place = name.removeprefix(_BODY).split("_")
    return *BODY_CALLS[function], int(place)


def body_value(name: str, body: bytes) -> int | None:
    """The value of such a name."""
    found = body_called(name)
    assert found is not None
    size, big, place = found
    start = place if place >= 0 else len(body) + place
    if start < 0 or start + size > len(body):
        return None
    return int.from_bytes(body[start : start + size], "big" if big else "little")


def body_source(name: str, data: str, start: str, length: str, known: int | None) -> tuple[str, bool]:
    """The same as source, and whether it surely has a value. length: source of the body's size; known: the size."""
    found = body_called(name)
    assert found is not None
    size, big, place = found
    if place < 0:
        first, least = f"{start} + {length} - {-place}", -place
    else:
        first, least = str(int(start) + place) if start.isdigit() else f"{start} + {place}", place + size
    if size > -place > 0 or (known is not None and known < least):
        return "None", False
    order = "big" if big else "little"
    text = f"{data}[{first}]" if size == 1 else f"from_bytes({data}[{first}:{first} + {size}], {order!r})"
    return (text, True) if known is not None else (f"({text} if {length} >= {least} else None)", False)


def without_calls(names: Collection[str]) -> list[str]:
    """The names that are names of fields."""
    return [name for name in names if not name.startswith("_")]


def looks_ahead(names: Collection[str]) -> bool:
    """True when one of the names stands for bytes that are not read yet, which may not be there."""
    return any(name in ("next_u8", "next_u16") or body_called(name) is not None for name in names)
