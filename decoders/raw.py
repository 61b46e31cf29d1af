"""Bytes of one field <-> raw value: what both codecs share below `Convert`.

Readers raise DecodeError(BAD_VALUE) for bytes that are no value of their form.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import Bit, BytesWire, Wire
from decoders.text_forms import READERS, text_of_number

BCD_NUMBERS = frozenset({"bcdnumber", "bcdnumberle"})
MIXED = frozenset(f"{kind}_{order}" for kind in "uif" for order in ("cdab", "badc"))
"""Numbers in words of two bytes, as Modbus meters send them: `cdab` is the lowest word first, `badc` the highest one
first and the lower byte of each word in front. u, i: integers; f: IEEE 754."""
MIXED_INTEGERS = frozenset(form for form in MIXED if not form.startswith("f"))
INTEGER_FORMS = frozenset({"uint", "int", "uintle", "intle"}) | BCD_NUMBERS
MAY_FAIL = INTEGER_FORMS | {"bcd"} | READERS.keys()
"""Forms that not all bytes are a value of."""
_MAX_DIGITS = 64
_HALF = {size: 1 << (8 * size - 1) for size in range(1, 9)}


class FilledDigits(str):
    """BCD digits beside which filler stood. wire: hex digits of all of it, for a message that repeats the field."""

    __slots__ = ("wire",)
    wire: str

    def __new__(cls, digits: str, wire: str) -> FilledDigits:
        made = super().__new__(cls, digits)
        made.wire = wire
        return made

    def __reduce__(self) -> tuple[Any, ...]:  # copies keep the filler
        return FilledDigits, (str(self), self.wire)


def bcd_text(raw: bytes, digits: int) -> str:
    """Two decimal digits a byte, high nibble first; filler nibbles F are dropped; the last `digits` (0: all) kept."""
    text = raw.hex()
    if text.isdigit():
        return text[-digits:] if digits else text
    found = text.replace("f", "")
    if found and not found.isdigit():
        raise DecodeError(DecodeCode.BAD_VALUE, f"{text} is not BCD")
    return FilledDigits(found[-digits:] if digits else found, text)


def bcd_bytes(text: str, size: int | None) -> bytes:
    """The inverse: zeros in front of what is too short; what was filled up where it was read is so again in a field of
    the same size. size: bytes to fill, or None. Raises ValueError."""
    if isinstance(text, FilledDigits) and size in (None, len(text.wire) // 2):
        return bytes.fromhex(text.wire)
    return bytes.fromhex(text.rjust(size * 2 if size is not None else len(text) + len(text) % 2, "0"))


def text_of(raw: bytes, encoding: str, trim: bool) -> str:
    """Text; bytes that the encoding does not know become U+FFFD, since one bad letter must not cost the frame."""
    text = raw.decode(encoding, "replace")
    return text.strip("\0 ") if trim else text


def as_size(value: Any) -> Any:
    """A whole number that a division gave (6 / 2) as the integer that it is; all else as it is."""
    return int(value) if value.__class__ is float and value.is_integer() else value


def find_mark(data: bytes, mark: bytes, start: int, end: int, unit: int) -> int:
    """Where the mark begins, at a whole number of units of so many bytes; -1 for nowhere."""
    found = data.find(mark, start, end)
    while found >= 0 and (found - start) % unit:
        found = data.find(mark, found + 1, end)
    return found


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


def bcd_number(raw: bytes, form: str) -> int | None:
    """The number of two decimal digits a byte, high nibble first (form `bcdnumberle`: lowest byte first). None where
    all nibbles are the filler F."""
    text = (raw[::-1] if form == "bcdnumberle" else raw).hex()
    if not text.isdigit():
        if text and not text.strip("f"):
            return None
        raise DecodeError(DecodeCode.BAD_VALUE, f"{raw.hex() or 'nothing'} is no BCD number")
    if len(text) > _MAX_DIGITS:
        raise DecodeError(DecodeCode.BAD_VALUE, f"a BCD number of {len(text)} digits, at most {_MAX_DIGITS}")
    return int(text)


def bcd_bits(raw: int, digits: int) -> int | None:
    """The same of the digits within an integer, the topmost of which may have fewer than four bits."""
    text = f"{raw:0{digits}x}"
    if not text.isdigit():
        if not text.strip("f"):
            return None
        raise DecodeError(DecodeCode.BAD_VALUE, f"0x{text} is no BCD number")
    return int(text)


def read_bits(raw: Any, bit: Bit) -> int | None:
    """The raw value of part of an integer; None of what is none. Raises DecodeError for digits that are no BCD."""
    if raw.__class__ is not int:
        return None
    if bit.parts:
        number = 0
        for low, width in bit.parts:
            number = number << width | raw >> low & ((1 << width) - 1)
    else:
        number = raw >> bit.at & ((1 << bit.width) - 1)
    return bcd_bits(number, -(-bit.width // 4)) if bit.bcd else number


def write_bits(value: int, bit: Bit) -> int:
    """An integer of which only this part is set; what is too large is cut off."""
    if bit.bcd:
        value = int(str(abs(value))[-(bit.width // 4) :], 16)
    value &= (1 << bit.width) - 1
    if not bit.parts:
        return value << bit.at
    number, left = 0, bit.width
    for low, width in bit.parts:
        left -= width
        number |= (value >> left & ((1 << width) - 1)) << low
    return number


def bits_source(variable: str, bit: Bit) -> str:
    """`read_bits` of a variable as source, BCD digits aside."""
    if bit.parts:
        text, left = "", bit.width
        for low, width in bit.parts:
            left -= width
            part = f"({variable} >> {low} & {(1 << width) - 1})" if low else f"({variable} & {(1 << width) - 1})"
            text += f"{' | ' if text else ''}{part}{f' << {left}' if left else ''}"
        return f"({text})"
    mask = (1 << bit.width) - 1
    return f"({variable} >> {bit.at} & {mask})" if bit.at else f"({variable} & {mask})"


def manufacturer_text(raw: bytes) -> str:
    """Two bytes, the lower one first, with three letters of five bits each (EN 13757-7): `42 04` is ABB."""
    code = raw[1] << 8 | raw[0]
    return bytes((code >> shift & 31) + 64 for shift in (10, 5, 0)).decode("ascii")


def manufacturer_bytes(text: str) -> bytes:
    """The inverse. Raises ValueError for anything but three capital letters."""
    if len(text) != 3 or not all("@" <= letter <= "_" for letter in text):
        raise ValueError("a manufacturer has three capital letters")
    first, second, third = (ord(letter) - 64 for letter in text)
    return (first << 10 | second << 5 | third).to_bytes(2, "little")


def mixed_bytes(raw: bytes, form: str) -> bytes:
    """The bytes of one of MIXED, highest one first, and back."""
    if form.endswith("cdab"):
        return b"".join(raw[place : place + 2] for place in range(len(raw) - 2, -1, -2))
    return b"".join(raw[place : place + 2][::-1] for place in range(0, len(raw), 2))


def mixed_number(raw: bytes, form: str) -> int | float | None:
    """A number in one of the MIXED orders; None for NaN and infinity."""
    data = mixed_bytes(raw, form)
    if form[0] != "f":
        return int.from_bytes(data, "big", signed=form[0] == "i")
    number: float = struct.unpack(">f" if len(data) == 4 else ">d", data)[0]
    return number if math.isfinite(number) else None


def is_number(wire: Wire) -> bool:
    """True when the raw value is an integer or float."""
    return not isinstance(wire, BytesWire) or wire.form in INTEGER_FORMS | MIXED or wire.form in READERS


def integer_of(raw: bytes, form: str) -> int | None:
    """An integer of as many bytes as there are, 1 to 8, or a BCD number. form: one of INTEGER_FORMS."""
    if form in BCD_NUMBERS:
        return bcd_number(raw, form)
    if not 1 <= len(raw) <= 8:
        raise DecodeError(DecodeCode.BAD_VALUE, f"{len(raw)} bytes are no integer")
    return int.from_bytes(raw, "little" if form.endswith("le") else "big", signed=form[0] == "i")


def magnitude(raw: int, size: int) -> int:
    """Sign and magnitude: the top bit is the sign."""
    half = _HALF[size]
    return half - raw if raw >= half else raw


def read_form(raw: bytes, wire: BytesWire) -> Any:
    """Bytes -> raw value by the wire's form."""
    match wire.form:
        case "hex":
            return raw.hex()
        case "text":
            text = text_of(raw, wire.encoding, wire.trim)
            if wire.strip:
                text = text.strip("\0 " + wire.strip)
            return text or (None if wire.blank else text)
        case "bcd":
            return bcd_text(raw, wire.digits)
        case "mac":
            return mac_text(raw)
        case "mbus_manufacturer":
            return manufacturer_text(raw)
        case form if form in INTEGER_FORMS:
            return integer_of(raw, form)
        case form if form in MIXED:
            return mixed_number(raw, form)
        case form if form in READERS:
            return READERS[form](raw, wire.strip, wire.words)
    return raw


def write_form(value: Any, wire: BytesWire, size: int | None, name: str) -> bytes:
    """Raw value -> bytes. size: bytes to fill, or None for as many as it takes. Raises EncodeError."""
    try:
        match wire.form:
            case "hex":
                data = bytes.fromhex(str(value))
            case "text":
                data = str(value).encode(wire.encoding)
            case "bcd":
                data = bcd_bytes(value if isinstance(value, str) else str(value), size)
            case "bcdnumber" | "bcdnumberle":
                data = _bcd_bytes(int(value), wire.form, size)
            case "mbus_manufacturer":
                data = manufacturer_bytes(str(value))
            case "mac":
                data = bytes.fromhex(str(value).replace(":", "").replace("-", ""))
            case "uint" | "int" | "uintle" | "intle":
                data = _integer_bytes(int(value), wire.form, size)
            case form if form in MIXED:
                data = _mixed_write(value, form, size or 4)
            case form if form in READERS:
                data = text_of_number(value, form, size)
            case _:
                data = bytes(value)
    except (ValueError, TypeError, UnicodeError, OverflowError, struct.error) as error:
        why = "hexadecimal digits are needed, two for each byte" if "fromhex" in str(error) else str(error)
        raise EncodeError(name, f"{value!r} cannot be written as {wire.form}: {why}") from None
    if size is None:
        return data
    if len(data) > size:
        raise EncodeError(name, f"{value!r} takes {len(data)} bytes, the field has {size}")
    return data.ljust(size, b"\0") if wire.form == "text" else data.rjust(size, b"\0")


def _mixed_write(value: Any, form: str, size: int) -> bytes:
    if form[0] == "f":
        return mixed_bytes(struct.pack(">f" if size == 4 else ">d", value), form)
    whole, half = int(value), 1 << 8 * size - 1
    if form[0] == "i" and half <= whole < 2 * half:  # as its bits say it
        whole -= 2 * half
    return mixed_bytes(whole.to_bytes(size, "big", signed=form[0] == "i"), form)


def _bcd_bytes(value: int, form: str, size: int | None) -> bytes:
    digits = f"{value:d}"
    if value < 0:
        raise ValueError("BCD digits have no sign")
    data = bytes.fromhex(digits.rjust(size * 2 if size is not None else len(digits) + len(digits) % 2, "0"))
    return data[::-1] if form == "bcdnumberle" else data


def _integer_bytes(value: int, form: str, size: int | None) -> bytes:
    signed = form[0] == "i"
    if size is None:
        size = max(1, ((value if value >= 0 else ~value).bit_length() + signed + 7) // 8)
    return value.to_bytes(size, "little" if form.endswith("le") else "big", signed=signed)
