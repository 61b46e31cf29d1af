"""Bytes of one field <-> raw value: what both codecs share below `Convert`.

Readers raise DecodeError(BAD_VALUE) for bytes that are no value of their form.
"""

from __future__ import annotations

from typing import Any

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import BytesWire, Wire

INTEGER_FORMS = frozenset({"uint", "int", "uintle", "intle"})
MAY_FAIL = INTEGER_FORMS | {"bcd"}
"""Forms that not all bytes are a value of."""
_HALF = {size: 1 << (8 * size - 1) for size in range(1, 9)}


def bcd_text(raw: bytes, digits: int) -> str:
    """Two decimal digits a byte, high nibble first; filler nibbles F are dropped; the last `digits` (0: all) kept."""
    text = raw.hex()
    if not text.isdigit():
        text = text.replace("f", "")
        if text and not text.isdigit():
            raise DecodeError(DecodeCode.BAD_VALUE, f"{raw.hex()} is not BCD")
    return text[-digits:] if digits else text


def text_of(raw: bytes, encoding: str, trim: bool) -> str:
    """Text; bytes that the encoding does not know become U+FFFD, since one bad letter must not cost the frame."""
    text = raw.decode(encoding, "replace")
    return text.strip("\0 ") if trim else text


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


def is_number(wire: Wire) -> bool:
    """True when the raw value is an integer or float."""
    return not isinstance(wire, BytesWire) or wire.form in INTEGER_FORMS


def integer_of(raw: bytes, form: str) -> int:
    """An integer of as many bytes as there are, 1 to 8. form: uint, int, uintle, intle."""
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
            return text_of(raw, wire.encoding, wire.trim)
        case "bcd":
            return bcd_text(raw, wire.digits)
        case "mac":
            return mac_text(raw)
        case "uint" | "int" | "uintle" | "intle":
            return integer_of(raw, wire.form)
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
                digits = str(value)
                width = size * 2 if size is not None else len(digits) + len(digits) % 2
                data = bytes.fromhex(digits.rjust(width, "0"))
            case "mac":
                data = bytes.fromhex(str(value).replace(":", "").replace("-", ""))
            case "uint" | "int" | "uintle" | "intle":
                data = _integer_bytes(int(value), wire.form, size)
            case _:
                data = bytes(value)
    except (ValueError, TypeError, UnicodeError, OverflowError) as error:
        raise EncodeError(name, f"{value!r} cannot be written as {wire.form}: {error}") from None
    if size is None:
        return data
    if len(data) > size:
        raise EncodeError(name, f"{value!r} takes {len(data)} bytes, the field has {size}")
    return data.ljust(size, b"\0") if wire.form == "text" else data.rjust(size, b"\0")


def _integer_bytes(value: int, form: str, size: int | None) -> bytes:
    signed = form[0] == "i"
    if size is None:
        size = max(1, ((value if value >= 0 else ~value).bit_length() + signed + 7) // 8)
    return value.to_bytes(size, "little" if form.endswith("le") else "big", signed=signed)
