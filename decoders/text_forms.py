"""Numbers that are written as text <-> raw values: what both codecs share where a protocol writes digits.

Every reader takes the characters of one value and gives None where there are none. What is no number of the form is a
DecodeError(BAD_VALUE), unless it is one of `words`: texts that the spec knows, which come out as they are.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from decoders.errors import DecodeCode, DecodeError
from decoders.layout import MAX_RUN

BLANKS = "\0 \t\r\n"
"""Characters around a number that mean nothing."""
_MAX_DIGITS = 40
_MAX_HEAD = 5  # digits of degrees and minutes before the point, and
_MAX_TAIL = 20  # behind it
_POWERS: tuple[int, ...] = tuple(10**digits for digits in range(_MAX_TAIL + 1))
_NUMBER = re.compile(r"[+-]?(?:\d+(?P<broken>\.\d*)?|(?P<point>\.\d+))(?P<power>[eE][+-]?\d{1,3})?", re.ASCII)
_HEX = re.compile(r"(?:0[xX])?([0-9A-Fa-f]+)")
_DDMM = re.compile(r"([NSEW+-]?) *(\d{0,3}?)(\d{1,2})\.(\d*) *([NSEW]?)", re.ASCII)


def _text(raw: bytes, strip: str) -> str:
    return raw.decode("latin-1").strip(BLANKS + strip)


def _bad(text: str, what: str) -> DecodeError:
    return DecodeError(DecodeCode.BAD_VALUE, f"`{text[:40]}` is no {what}")


def number_of(raw: bytes, strip: str = "", words: tuple[str, ...] = ()) -> int | float | str | None:
    """A decimal number: an integer where it has neither point nor exponent."""
    if len(raw) <= _MAX_DIGITS:  # nearly all numbers are digits, perhaps with a point among them
        if raw.isdigit():
            return int(raw)
        head, point, tail = raw.partition(b".")
        if point and head.isdigit() and tail.isdigit():
            return float(raw)
    text = _text(raw, strip)
    if not text:
        return None
    if text in words:
        return text
    found = _NUMBER.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    if found is None:
        raise _bad(text, "number")
    if found["broken"] is None and found["point"] is None and found["power"] is None:
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise _bad(text, "number of a size that is known")
    return number


def whole_of(raw: bytes, strip: str = "", words: tuple[str, ...] = ()) -> int | str | None:
    """A decimal number without a broken part."""
    number = number_of(raw, strip, words)
    if isinstance(number, float):
        if not number.is_integer():
            raise _bad(_text(raw, strip), "whole number")
        return int(number)
    return number


def hexnumber_of(raw: bytes, strip: str = "", words: tuple[str, ...] = ()) -> int | str | None:
    """An unsigned integer in hexadecimal digits, with or without `0x`."""
    if not words and raw.isalnum() and len(raw) <= _MAX_DIGITS:
        try:
            return int(raw, 16)
        except ValueError:
            pass  # said below, in the same words as everything else
    text = _text(raw, strip)
    if not text:
        return None
    if text in words:
        return text
    found = _HEX.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    if found is None:
        raise _bad(text, "number in hexadecimal digits")
    return int(found[1], 16)


def ddmm_of(raw: bytes, strip: str = "", words: tuple[str, ...] = ()) -> float | str | None:
    """Degrees and minutes, `ddmm.mmmm` or `dddmm.mmmm` as in NMEA 0183, as degrees. A sign or the letter of the
    hemisphere may stand with it: south and west are negative."""
    head, _, tail = raw.partition(b".")
    if head.isdigit() and tail.isdigit() and len(head) <= _MAX_HEAD and len(tail) <= _MAX_TAIL:
        one = _POWERS[len(tail)]
        place: float = (int(head[:-2] or b"0") * 60 * one + int(head[-2:] + tail)) / (60 * one)
        return place
    text = _text(raw, strip)
    if not text:
        return None
    if text in words:
        return text
    found = _DDMM.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    if found is None or (found[1] and found[5]):
        raise _bad(text, "place in degrees and minutes (ddmm.mmmm)")
    one = 10 ** len(found[4])  # integers to the end, so that 3542.2043 is 35.703405
    degrees: float = (int(found[2] or 0) * 60 * one + int(found[3] + found[4])) / (60 * one)
    south_or_west = (found[1] or found[5]) in ("S", "W", "-")
    return -degrees if south_or_west else degrees


READERS: Mapping[str, Callable[..., Any]] = {
    "number": number_of,
    "whole": whole_of,
    "hexnumber": hexnumber_of,
    "ddmm": ddmm_of,
}
"""Form of a number written as text -> `(bytes, characters to strip, words) -> raw value`."""
WHOLE_FORMS = frozenset({"whole", "hexnumber"})
"""Forms whose raw values are integers."""


def run_end(chars: bytes) -> Callable[[bytes, int, int], int]:
    """`(data, start, end) -> end` of the longest run of these characters."""
    match = re.compile(b"[" + b"".join(b"\\x%02x" % char for char in chars) + b"]{0,%d}" % MAX_RUN).match

    def end_of(data: bytes, start: int, end: int) -> int:
        found = match(data, start, end) if start < end else None
        return start if found is None else found.end()

    return end_of


@lru_cache(maxsize=256)
def _each(encoded: str, back: int) -> bytes:
    """The table of `add:51` or `xor:90`. back: -1 to read, 1 to write."""
    kind, _, constant = encoded.partition(":")
    by = int(constant)
    return bytes(byte ^ by if kind == "xor" else (byte + back * by) & 0xFF for byte in range(256))


def decoded(data: bytes, encoded: str) -> bytes:
    """The bytes that others stand for: `hex` text, with or without blanks between bytes, `base64` text (RFC 4648), with
    or without padding, or bytes to each of which a number was added (`add:51`) or joined by XOR (`xor:90`). Raises
    DecodeError(BAD_VALUE)."""
    if ":" in encoded:
        return data.translate(_each(encoded, -1))
    try:
        if encoded == "hex":
            return bytes.fromhex(data.decode("ascii"))
        text = data.strip(BLANKS.encode()).rstrip(b"=")
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise _bad(data.decode("latin-1"), f"{encoded} text") from None


def encoded_text(data: bytes, encoded: str) -> bytes:
    """The inverse; hex digits are upper case."""
    if ":" in encoded:
        return data.translate(_each(encoded, 1))
    return data.hex().upper().encode() if encoded == "hex" else binascii.b2a_base64(data, newline=False)


def text_of_number(value: Any, form: str, size: int | None) -> bytes:
    """The inverse. size: characters to fill with zeros in front, or None. Raises ValueError, TypeError."""
    if isinstance(value, str):
        return value.encode()
    match form:
        case "hexnumber":
            text = f"{int(value):X}"
            if text.startswith("-"):
                raise ValueError("hexadecimal digits have no sign")
        case "ddmm":
            tenthousandths = round(abs(float(value)) * 600_000)
            degrees, minutes = divmod(tenthousandths, 600_000)
            text = f"{'-' if value < 0 else ''}{degrees:02d}{minutes / 10_000:07.4f}"
        case "whole":
            text = str(int(value))
        case _:
            text = f"{value:.15g}" if isinstance(value, float) else str(int(value))
    return text.zfill(size or 0).encode()
