"""Check values by the names that device documents use. Specs name one; layouts compute and compare it.

Every function takes bytes (or any buffer of bytes) and gives the check value as an unsigned integer of `bits` bits.
CRC parameters are those of the CRC RevEng catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import accumulate

import anycrc
from fastcrc import crc8, crc16, crc32

_xor8: Callable[[bytes], int] = anycrc.CRC(8, 0x01, 0, False, False, 0).calc
# A CRC whose polynomial is x^8 + 1 shifts each byte onto itself: it is the XOR of all bytes, at the speed of C.


@dataclass(slots=True, frozen=True)
class Checksum:
    """One kind of check value. name: its first name; bits: 8, 16 or 32."""

    name: str
    bits: int
    function: Callable[[bytes], int]


class UnknownChecksum(KeyError):
    """No check value has this name. nearest: the closest known name, or ""."""

    def __init__(self, name: str, nearest: str) -> None:
        super().__init__(name)
        self.name = name
        self.nearest = nearest

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"no check value is called {self.name!r}{hint}"


def _sum8(data: bytes) -> int:
    return sum(data) & 0xFF


def _sum16(data: bytes) -> int:
    return sum(data) & 0xFFFF


def _sum8_ones_complement(data: bytes) -> int:
    return ~sum(data) & 0xFF


def _lrc8(data: bytes) -> int:
    """Two's complement of the byte sum (Modbus ASCII): sum and check value together give 0."""
    return -sum(data) & 0xFF


def _fletcher16(data: bytes) -> int:
    """RFC 1146's sums modulo 255, the second (sum of sums) in the high byte."""
    return sum(accumulate(data)) % 255 << 8 | sum(data) % 255


_CHECKSUMS = {
    entry.name: entry
    for entry in (
        Checksum("crc8", 8, crc8.smbus),
        Checksum("crc8_maxim", 8, crc8.maxim_dow),
        Checksum("crc16_arc", 16, crc16.arc),
        Checksum("crc16_aug_ccitt", 16, crc16.spi_fujitsu),
        Checksum("crc16_ccitt_false", 16, crc16.ibm_3740),
        Checksum("crc16_dnp", 16, crc16.dnp),
        Checksum("crc16_en13757", 16, crc16.en_13757),
        Checksum("crc16_kermit", 16, crc16.kermit),
        Checksum("crc16_modbus", 16, crc16.modbus),
        Checksum("crc16_x25", 16, crc16.ibm_sdlc),
        Checksum("crc16_xmodem", 16, crc16.xmodem),
        Checksum("crc32", 32, crc32.iso_hdlc),
        Checksum("crc32c", 32, crc32.iscsi),
        Checksum("fletcher16", 16, _fletcher16),
        Checksum("lrc8", 8, _lrc8),
        Checksum("sum8", 8, _sum8),
        Checksum("sum8_ones_complement", 8, _sum8_ones_complement),
        Checksum("sum16", 16, _sum16),
        Checksum("xor8", 8, _xor8),
    )
}
_ALIASES = {"crc16_ibm": "crc16_arc"}


def checksum(name: str) -> Checksum:
    """The check value of this name or alias; UnknownChecksum (a KeyError) with the nearest name otherwise."""
    found = _CHECKSUMS.get(_ALIASES.get(name, name))
    if found is None:
        nearest = get_close_matches(name.lower().replace("-", "_"), names(), n=1)
        raise UnknownChecksum(name, nearest[0] if nearest else "")
    return found


def names() -> tuple[str, ...]:
    """Every name that `checksum` knows, aliases included, sorted."""
    return tuple(sorted([*_CHECKSUMS, *_ALIASES]))
