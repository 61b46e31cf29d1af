"""`absent:` of a spec -> raw values as the reader gives them, whatever way the protocol document spells them."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

from decoders.convert import Sentinel
from decoders.layout import BytesWire, FloatWire, IntWire, Wire
from decoders.raw import MIXED_INTEGERS, is_number
from decoders.spec.model_conversion import Absent
from decoders.spec.notes import Path, Report
from decoders.spec.text_spans import texts_of
from decoders.text_forms import READERS

_FLOATS = {2: "<e", 4: "<f"}
_NUMBERS = re.compile(r"[+-]?(0[xX][0-9A-Fa-f]+|\d+\.?\d*|\.\d+)(\.\.[+-]?(0[xX][0-9A-Fa-f]+|\d+\.?\d*|\.\d+))?")
_MAX_SENTINELS = 64
_UNSIGNED = frozenset({"u_cdab", "u_badc"})
_MAX_TEXTS = 256


@dataclass(slots=True, frozen=True)
class Bits:
    """Raw values are the unsigned integers of so many bits. sign: `unsigned`, `twos` or `magnitude`."""

    width: int
    sign: str = "unsigned"


Kind = Wire | Bits | None
"""What the raw values are; None: numbers, or whatever a formula gives."""


def sentinels(
    given: Absent | None, kind: Kind, report: Report, path: Path
) -> tuple[tuple[Sentinel, ...], tuple[tuple[Sentinel, str], ...]]:
    """Raw values without a value, and the words that some of them have."""
    if given is None:
        return (), ()
    values = list(given) if isinstance(given, list | dict) else [given]
    if len(values) > _MAX_SENTINELS:
        report(path, f"{len(values)} sentinels, at most {_MAX_SENTINELS}", "use ranges such as `0xFFF0..0xFFFF`")
        return (), ()
    absent: list[Sentinel] = []
    words: list[tuple[Sentinel, str]] = []
    for value in values:
        try:
            found = _text(value, kind) if isinstance(kind, BytesWire) and not is_number(kind) else _number(value, kind)
        except ValueError as error:
            report(path, f"`{value}` is {error}", "such as 0xFFFF, or 0xFFF0..0xFFFF")
            continue
        absent += found
        if isinstance(given, dict):
            words += [(sentinel, given[value]) for sentinel in found]
    return tuple(absent), tuple(words)


def _number(value: Any, kind: Kind) -> list[Sentinel]:
    if not isinstance(value, str):
        return _spelled(value, value, kind)
    low, dots, high = value.partition("..")
    if kind is None and not dots:
        return [value]  # a formula may give a text
    if isinstance(kind, BytesWire) and kind.form in READERS and not _NUMBERS.fullmatch(value):
        return [value]  # a word in the place of a number
    return _spelled(_parsed(low), _parsed(high if dots else low), kind)


def _parsed(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError("no raw value of this type") from None


def _spelled(low: int | float, high: int | float, kind: Kind) -> list[Sentinel]:
    """A number or range. Signed numbers may be spelled as the unsigned number of the same bytes."""
    if low > high:
        raise ValueError("a range that ends before it begins")
    match kind:
        case FloatWire(size=size) if size in _FLOATS:
            low, high = _rounded(low, size), _rounded(high, size)
        case IntWire(size=size, sign=sign):
            return _single(_integers(_whole(low), _whole(high), size * 8, sign))
        case BytesWire(size=int(size)) if sign_of(kind):
            return _single(_integers(_whole(low), _whole(high), size * 8, "twos"))
        case Bits(width=width, sign=sign):
            low, high = _whole(low), _whole(high)
            if low < 0 <= high:
                raise ValueError("a range across zero, which has no order in the bits: write it as two")
            low, high = sorted((_unsigned(low, width, sign), _unsigned(high, width, sign)))
    return [low if low == high else (low, high)]


def sign_of(kind: Kind) -> tuple[int, str] | None:
    """Width in bits and sign (`twos`, `magnitude`) of signed integers; None for all others."""
    match kind:
        case IntWire(size=size, sign=sign) if sign != "unsigned":
            return 8 * size, sign
        case BytesWire(size=int(size), form=form) if form in ("int", "intle") or form in MIXED_INTEGERS - _UNSIGNED:
            return 8 * size, "twos"
        case Bits(width=width, sign=sign) if sign != "unsigned":
            return width, sign
    return None


def as_signed(low: int, high: int, sign: tuple[int, str]) -> list[tuple[int, int]]:
    """The same for what is no sentinel: names of raw values, cases of a switch."""
    return _integers(low, high, *sign) if low <= high < 1 << sign[0] else [(low, high)]


def _whole(value: int | float) -> int:
    if value != int(value):
        raise ValueError("no whole number")
    return int(value)


def _rounded(value: int | float, size: int) -> float:
    try:
        number: float = struct.unpack(_FLOATS[size], struct.pack(_FLOATS[size], value))[0]
    except OverflowError:
        raise ValueError(f"too large for a float of {size} bytes") from None
    return number


def _single(spans: list[tuple[int, int]]) -> list[Sentinel]:
    """Spans of one number as that number."""
    return [low if low == high else (low, high) for low, high in spans]


def _integers(low: int, high: int, bits: int, sign: str) -> list[tuple[int, int]]:
    half = 1 << (bits - 1)
    if sign == "unsigned" or high < half:
        return [(low, high)]
    found: list[tuple[int, int]] = []
    if low < half:
        found.append((low, half - 1))
        low = half
    first, last = sorted((_signed(low, bits, sign), _signed(high, bits, sign)))
    found.append((first, last))
    return found


def _signed(value: int, bits: int, sign: str) -> int:
    half = 1 << (bits - 1)
    return value if not half <= value < 2 * half else half - value if sign == "magnitude" else value - 2 * half


def _unsigned(value: int, bits: int, sign: str) -> int:
    if value >= 0:
        return value
    return (1 << (bits - 1)) - value if sign == "magnitude" else value + (1 << bits)


def _text(value: Any, wire: BytesWire) -> list[Sentinel]:
    """A raw value that is a text, or the bytes of a clock."""
    digits = 2 * wire.size if isinstance(wire.size, int) else 0
    text = str(value)
    if ".." in text and wire.form == "text":
        found = texts_of(text)
        if len(found) > _MAX_TEXTS:
            raise ValueError(f"a range of more than {_MAX_TEXTS} texts")
        return list(found)
    if wire.form in ("hex", "mac", "raw"):
        text = f"{value:x}" if isinstance(value, int) else re.sub(r"[ :-]", "", text).lower()
        text = text.rjust(max(digits, len(text) + len(text) % 2), "0")
        try:
            data = bytes.fromhex(text)
        except ValueError:
            raise ValueError("no bytes in hex") from None
        return [data if wire.form == "raw" else data.hex(":") if wire.form == "mac" else text]
    if wire.form == "bcd":
        text = f"{value:x}" if isinstance(value, int) and not f"{value:x}".isdigit() else text.lower()
        return [text.replace("f", "")] if not text.strip("0123456789f") else [text]
    return [text]
