"""The words of field types: `i16le`, `bcd`, `unix32` ... -> how the bytes are read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from decoders.clocks import byte_word
from decoders.layout import BytesWire, FloatWire, IntWire, Size, Wire

_INTEGER = re.compile(r"(u|i|sm)(8|16|24|32|40|48|56|64)(le|be)?")
_SIZED_INTEGER = re.compile(r"(u?)int(le|be)?")
_SIZED_OTHER = re.compile(r"(bits|bcdnumber)(le|be)?")
_FLOAT = re.compile(r"f(16|32|64)(le|be)?")
_MIXED = re.compile(r"(u|i|f)(32|64)(cdab|badc)")
_CLOCK_INT = re.compile(r"(unix|unixms|unixus|unixmin|since2000|gps)_?(16|24|32|40|48|56|64)?(le|be)?")
_CLOCK_KINDS: Mapping[str, tuple[str, int]] = {
    "unix": ("unix", 32),
    "unixms": ("unix_ms", 64),
    "unixus": ("unix_us", 64),
    "unixmin": ("unix_min", 32),
    "since2000": ("since2000", 32),
    "gps": ("gps", 32),
}
"""Word -> word of `decoders.clocks`, bits where the type says none."""
_SIGNS: Mapping[str, str] = {"u": "unsigned", "i": "twos", "sm": "magnitude"}
TEXT_NUMBERS = frozenset({"number", "hexnumber", "ddmm"})
"""Types of numbers that are written as text."""
TEXT_TYPES: Mapping[str, str] = {"text": "text", "hex": "text", "bcd": "text", "mac": "text"} | {
    word: word for word in sorted(TEXT_NUMBERS)
}
"""Types that the rows of text frames may have -> how the characters are read."""
FORMS_WITHOUT_SIZE = frozenset({"hex", "text", "bcd"}) | TEXT_NUMBERS
FORMS: Mapping[str, str] = {"hex": "hex", "text": "text", "bcd": "bcd", "mac": "mac"} | {
    word: word for word in sorted(TEXT_NUMBERS)
}
CLOCK_BYTES: Mapping[str, str] = {"ymdhms": "six", "bcd_ymdhms": "bcd_six"}

MAX_BITS_BYTES = 64
MAX_BCD_BYTES = 32

TYPES: Mapping[str, str] = {
    "u8 u16 u24 u32 u40 u48 u56 u64": "unsigned integer; `le` or `be` behind it overrides the spec's `endian`",
    "i8 … i64": "signed integer, two's complement",
    "sm8 … sm64": "signed integer, the top bit is the sign, the rest the magnitude",
    "uint int": "integer of 1 to 8 bytes, unsigned or signed; needs `bytes` or `prefix`, or takes a whole tag item",
    "bits": "unsigned integer of up to 64 bytes, to be split by `bits`; needs `bytes`",
    "f16 f32 f64": "IEEE 754 number; NaN and infinity have no value",
    "u32cdab i32cdab f32cdab u64cdab …": "number in words of two bytes, the lowest word first, as many Modbus meters "
    "send it; `u32badc` …: the highest word first, the lower byte of each word in front",
    "bcdnumber": "number of decimal digits, two in a byte (`bcdnumberle`: lowest byte first); needs `bytes`; bytes of "
    "nothing but F have no value",
    "bcd": "decimal digits, two in a byte, as text (filler nibbles F are dropped); needs `bytes`",
    "hex": "bytes as hex text; needs `bytes` or `prefix`",
    "text": "text; needs `bytes` or `prefix`; NUL and blanks around it are dropped",
    "number": "a decimal number written as text, such as `-12.50` or `1e3`; an integer without point and exponent",
    "hexnumber": "an unsigned integer written in hexadecimal digits",
    "ddmm": "degrees and minutes written as `ddmm.mmmm` or `dddmm.mmmm`, as degrees; with a sign, N, S, E, W if there",
    "mbus_manufacturer": "the three letters of an M-Bus manufacturer, in two bytes",
    "python:name": "what the registered Python function of this name makes of the bytes: the last resort",
    "mac": "six bytes as `aa:bb:cc:dd:ee:ff`",
    "unix32 unix64": "seconds since 1970 UTC",
    "unixms64 unixus64 unixmin32": "milliseconds, microseconds, minutes since 1970 UTC",
    "since2000_32 gps32": "seconds since 2000-01-01 UTC; since 1980-01-06, leap seconds not taken off",
    "unix24 unixms48 …": "each of these clocks in 16 to 64 bits",
    "ymdhms dmyhms hmsdmy ymd hms …": "a byte for each of year after 2000, month, day, hour, minute, second, in any "
    "order; `m` is the month beside y or d, the minute beside h or s; `yy` is a year of two bytes",
    "bcd_ymdhms bcd_dmyhms …": "the same, two BCD digits in each byte",
}
"""Type words for people; `spec schema` and the reference print this table."""


def known_words() -> list[str]:
    """All type words without byte order, for "nearest valid word"."""
    sizes = (8, 16, 24, 32, 40, 48, 56, 64)
    return [
        *(f"{sign}{size}" for sign in _SIGNS for size in sizes),
        *(
            "uint",
            "int",
            "bits",
            "bcdnumber",
            "mbus_manufacturer",
            "f16",
            "f32",
            "f64",
            "u32cdab",
            "f32cdab",
            *FORMS,
            *CLOCK_BYTES,
        ),
        *("unix32", "unix64", "unixms64", "unixus64", "unixmin32", "since2000_32", "gps32"),
        *("dmyhms", "hmsdmy", "yymdhms", "ymdhm", "dmyhm", "ymd", "hms", "bcd_dmyhms"),
    ]


_WHOLE = re.compile(r"[0-9]{1,18}")


def is_whole(text: str) -> bool:
    """True for the digits of a whole number."""
    return _WHOLE.fullmatch(text) is not None


_DASHED = re.compile(r"\s*(\w+)\s*-\s*(\w+)\s*")
_HEX = re.compile(r"[0-9A-Fa-f]{1,16}")


def whole_number_hint(text: str) -> str:
    """How the number or range was probably meant that is written as this text."""
    dashed = _DASHED.fullmatch(text)
    if dashed is not None and all(_HEX.fullmatch(part.removeprefix("0x")) for part in dashed.groups()):
        return f"a range is written {dashed[1]}..{dashed[2]}"
    if _HEX.fullmatch(text) is not None and any(sign.isdigit() for sign in text):
        return f"in hexadecimal: 0x{text}"
    return "a number, or a range such as 2..9"


def integer(word: str, big: bool) -> IntWire | None:
    """An integer type, or None when the word is no integer type."""
    found = _INTEGER.fullmatch(word)
    if found is None:
        return None
    sign, bits, order = found.groups()
    return IntWire(int(bits) // 8, _SIGNS[sign], big if order is None else order == "be")


_OF_C = re.compile(r"(u?)(?:int|integer)_?(8|16|24|32|40|48|56|64)_?(?:t_?)?(le|be)?")
_APART = re.compile(r"([uif](?:8|16|24|32|40|48|56|64))[_-](le|be)")
_OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("string", "str", "ascii", "char", "utf8", "utf-8"), "text"),
    **dict.fromkeys(("byte", "uchar", "unsigned", "bool", "boolean", "bit", "flag", "enum"), "u8"),
    **dict.fromkeys(("float", "float32", "single", "real"), "f32"),
    **dict.fromkeys(("double", "float64"), "f64"),
    **dict.fromkeys(("bytes", "raw", "binary"), "hex"),
    **dict.fromkeys(("word", "ushort"), "u16"),
    **dict.fromkeys(("dword", "ulong"), "u32"),
    **dict.fromkeys(("short",), "i16"),
    **dict.fromkeys(("long", "integer"), "i32"),
    **dict.fromkeys(("timestamp", "unix", "unixtime", "epoch", "datetime", "time"), "unix32"),
}
"""Types of other languages and documents -> ours."""


def usual_word(word: str) -> str:
    """Our word for a type of other languages, such as `uint16_t`; "" where none is known."""
    plain = word.strip().lower()
    of_c = _OF_C.fullmatch(plain)
    if of_c is not None:
        return f"{'u' if of_c[1] else 'i'}{of_c[2]}{of_c[3] or ''}"
    apart = _APART.fullmatch(plain)
    return apart[1] + apart[2] if apart is not None else _OTHER_WORDS.get(plain, "")


def without_size(word: str) -> bool:
    """True for the types whose size the row or the item says."""
    return word in FORMS_WITHOUT_SIZE or any(kind.fullmatch(word) for kind in (_SIZED_INTEGER, _SIZED_OTHER))


def wire_of(word: str, size: Size | None, big: bool) -> tuple[Wire, str] | None:
    """Type word -> how to read it and the kind of clock ("" for none); None for an unknown word or a missing size."""
    whole = integer(word, big)
    if whole is not None:
        return whole, ""
    found = _SIZED_INTEGER.fullmatch(word)
    if found is not None:
        sign, order = found.groups()
        return _sized_integer("unsigned" if sign else "twos", size, big if order is None else order == "be")
    found = _SIZED_OTHER.fullmatch(word)
    if found is not None:
        kind, order = found.groups()
        return _sized_other(kind, size, big if order is None else order == "be")
    found = _FLOAT.fullmatch(word)
    if found is not None:
        bits, order = found.groups()
        return FloatWire(int(bits) // 8, big if order is None else order == "be"), ""
    found = _MIXED.fullmatch(word)
    if found is not None:
        kind, bits, order = found.groups()
        return BytesWire(int(bits) // 8, f"{kind}_{order}"), ""
    in_bytes = byte_word(word, big=big)
    if in_bytes is not None:
        return BytesWire(in_bytes[1], "raw"), in_bytes[0]
    if word == "mbus_manufacturer":
        return BytesWire(2, "mbus_manufacturer"), ""
    if word == "mac":
        return BytesWire(6, "mac"), ""
    found = _CLOCK_INT.fullmatch(word)
    if found is not None:
        kind, bits, order = found.groups()
        clock, usual = _CLOCK_KINDS[kind]
        size_bytes = int(bits or usual) // 8
        return IntWire(size_bytes, "unsigned", big if order is None else order == "be"), clock
    if word in FORMS and size is not None:
        return BytesWire(size, FORMS[word]), ""
    return None


def _sized_other(kind: str, size: Size | None, big: bool) -> tuple[Wire, str] | None:
    if kind == "bits":
        return (IntWire(size, "unsigned", big), "") if isinstance(size, int) and 1 <= size <= MAX_BITS_BYTES else None
    if size is None or (isinstance(size, int) and not 1 <= size <= MAX_BCD_BYTES):
        return None
    return BytesWire(size, kind if big else kind + "le"), ""


def _sized_integer(sign: str, size: Size | None, big: bool) -> tuple[Wire, str] | None:
    if size is None or (isinstance(size, int) and not 1 <= size <= 8):
        return None
    if isinstance(size, int):
        return IntWire(size, sign, big), ""
    form = "int" if sign == "twos" else "uint"
    return BytesWire(size, form if big else form + "le"), ""
