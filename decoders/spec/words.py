"""The words of field types: `i16le`, `bcd`, `unix32` ... -> how the bytes are read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from decoders.layout import BytesWire, FloatWire, IntWire, Size, Wire

_INTEGER = re.compile(r"(u|i|sm)(8|16|24|32|40|48|56|64)(le|be)?")
_SIZED_INTEGER = re.compile(r"(u?)int(le|be)?")
_FLOAT = re.compile(r"f(32|64)(le|be)?")
_CLOCK_INT = re.compile(r"(unix|unixms|since2000_|since2000)(32|64)?(le|be)?")
_SIGNS: Mapping[str, str] = {"u": "unsigned", "i": "twos", "sm": "magnitude"}
FORMS_WITHOUT_SIZE = frozenset({"hex", "text", "bcd"})
FORMS: Mapping[str, str] = {"hex": "hex", "text": "text", "bcd": "bcd", "mac": "mac"}
CLOCK_BYTES: Mapping[str, str] = {"ymdhms": "six", "bcd_ymdhms": "bcd_six"}

TYPES: Mapping[str, str] = {
    "u8 u16 u24 u32 u40 u48 u56 u64": "unsigned integer; `le` or `be` behind it overrides the spec's `endian`",
    "i8 … i64": "signed integer, two's complement",
    "sm8 … sm64": "signed integer, the top bit is the sign, the rest the magnitude",
    "uint int": "integer of 1 to 8 bytes, unsigned or signed; needs `bytes` or `prefix`, or takes a whole tag item",
    "f32 f64": "IEEE 754 number; NaN and infinity have no value",
    "bcd": "decimal digits, two in a byte, as text (filler nibbles F are dropped); needs `bytes`",
    "hex": "bytes as hex text; needs `bytes` or `prefix`",
    "text": "text; needs `bytes` or `prefix`; NUL and blanks around it are dropped",
    "mac": "six bytes as `aa:bb:cc:dd:ee:ff`",
    "unix32 unix64": "seconds since 1970 UTC",
    "unixms64": "milliseconds since 1970 UTC",
    "since2000_32": "seconds since 2000-01-01 UTC",
    "ymdhms": "six bytes: year after 2000, month, day, hour, minute, second",
    "bcd_ymdhms": "the same, two BCD digits in each byte",
}
"""Type words for people; `spec schema` and the reference print this table."""


def known_words() -> list[str]:
    """All type words without byte order, for "nearest valid word"."""
    sizes = (8, 16, 24, 32, 40, 48, 56, 64)
    return [
        *(f"{sign}{size}" for sign in _SIGNS for size in sizes),
        *("uint", "int", "f32", "f64", *FORMS, *CLOCK_BYTES, "unix32", "unix64", "unixms64", "since2000_32"),
    ]


def integer(word: str, big: bool) -> IntWire | None:
    """An integer type, or None when the word is no integer type."""
    found = _INTEGER.fullmatch(word)
    if found is None:
        return None
    sign, bits, order = found.groups()
    return IntWire(int(bits) // 8, _SIGNS[sign], big if order is None else order == "be")


def without_size(word: str) -> bool:
    """True for the types whose size the row or the item says."""
    return word in FORMS_WITHOUT_SIZE or _SIZED_INTEGER.fullmatch(word) is not None


def wire_of(word: str, size: Size | None, big: bool) -> tuple[Wire, str] | None:
    """Type word -> how to read it and the kind of clock ("" for none); None for an unknown word or a missing size."""
    whole = integer(word, big)
    if whole is not None:
        return whole, ""
    found = _SIZED_INTEGER.fullmatch(word)
    if found is not None:
        sign, order = found.groups()
        return _sized_integer("unsigned" if sign else "twos", size, big if order is None else order == "be")
    found = _FLOAT.fullmatch(word)
    if found is not None:
        bits, order = found.groups()
        return FloatWire(int(bits) // 8, big if order is None else order == "be"), ""
    if word in CLOCK_BYTES:
        return BytesWire(6, "raw"), CLOCK_BYTES[word]
    if word == "mac":
        return BytesWire(6, "mac"), ""
    found = _CLOCK_INT.fullmatch(word)
    if found is not None:
        kind, bits, order = found.groups()
        clock = {"unix": "unix", "unixms": "unix_ms"}.get(kind, "since2000")
        size_bytes = int(bits or (64 if kind == "unixms" else 32)) // 8
        return IntWire(size_bytes, "unsigned", big if order is None else order == "be"), clock
    if word in FORMS and size is not None:
        return BytesWire(size, FORMS[word]), ""
    return None


def _sized_integer(sign: str, size: Size | None, big: bool) -> tuple[Wire, str] | None:
    if size is None or (isinstance(size, int) and not 1 <= size <= 8):
        return None
    if isinstance(size, int):
        return IntWire(size, sign, big), ""
    form = "int" if sign == "twos" else "uint"
    return BytesWire(size, form if big else form + "le"), ""
