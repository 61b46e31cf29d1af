"""Check values by the names that device documents use. Specs name one; layouts compute and compare it.

Every function takes bytes (or any buffer of bytes) and gives the check value as an unsigned integer of `bits` bits.
CRC parameters are those of the CRC RevEng catalogue. A check value without a name is told by its parameters, which
`parameters` writes as a name of its own.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import accumulate

import anycrc
from fastcrc import crc8, crc16, crc32

_xor8: Callable[[bytes], int] = anycrc.CRC(8, 0x01, 0, False, False, 0).calc
# A CRC whose polynomial is x^8 + 1 shifts each byte onto itself: it is the XOR of all bytes, at the speed of C.


@dataclass(slots=True, frozen=True)
class Checksum:
    """One kind of check value. name: its first name; bits: 8, 16, 24 or 32."""

    name: str
    bits: int
    function: Callable[[bytes], int]


class UnknownChecksum(KeyError):
    """No check value has this name. nearest: the closest known name, or "". hint: what to write instead."""

    def __init__(self, name: str, nearest: str, hint: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.nearest = nearest
        self.hint = hint

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"no check value is called {self.name!r}{hint}"


def _sum(bits: int) -> Callable[[bytes], int]:
    mask = (1 << bits) - 1
    return lambda data: sum(data) & mask


def _sum8_ones_complement(data: bytes) -> int:
    return ~sum(data) & 0xFF


def _lrc8(data: bytes) -> int:
    """Two's complement of the byte sum (Modbus ASCII): sum and check value together give 0."""
    return -sum(data) & 0xFF


def _lrc16(data: bytes) -> int:
    """The same of 16 bits: 0x10000 less the byte sum, as battery management systems send it."""
    return -sum(data) & 0xFFFF


def _sum_words_big(data: bytes) -> int:
    """Words of 16 bits, higher byte first; a last single byte is the higher one of its word."""
    return (sum(data[::2]) << 8) + sum(data[1::2]) & 0xFFFF


def _sum_words_little(data: bytes) -> int:
    return sum(data[::2]) + (sum(data[1::2]) << 8) & 0xFFFF


def _rfc1071(data: bytes) -> int:
    """RFC 1071: ones' complement of the ones' complement sum of big-endian words."""
    total = (sum(data[::2]) << 8) + sum(data[1::2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _xor_words(data: bytes) -> int:
    """Words of 16 bits, higher byte first."""
    return _xor8(bytes(data[::2])) << 8 | _xor8(bytes(data[1::2]))


def _fletcher(bits: int) -> Callable[[bytes], int]:
    """RFC 1146's sums of bytes modulo 2^bits - 1, the second (sum of sums) in the higher half."""
    modulus = (1 << bits) - 1
    return lambda data: sum(accumulate(data)) % modulus << bits | sum(data) % modulus


def _fletcher32(data: bytes) -> int:
    """Sums of little-endian words modulo 65535, the second in the higher half."""
    even, odd = data[::2], bytes(data[1::2])
    words = [low | high << 8 for low, high in zip(even, odd.ljust(len(even), b"\0"), strict=True)]
    return sum(accumulate(words)) % 0xFFFF << 16 | sum(words) % 0xFFFF


def _crc16_hj212(data: bytes) -> int:
    """HJ 212-2017, appendix A: of the register only the higher byte meets the next byte, the lower one is dropped."""
    value = 0xFFFF
    for byte in data:
        value = _HJ212[value >> 8 ^ byte]
    return value


def _hj212_step(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_HJ212 = tuple(map(_hj212_step, range(256)))


def _ubx(data: bytes) -> int:
    """The 8-bit Fletcher algorithm of RFC 1145 as GNSS receivers use it: CK_A, then CK_B."""
    return (sum(data) & 0xFF) << 8 | sum(accumulate(data)) & 0xFF


def _adler32(data: bytes) -> int:
    return zlib.adler32(data)


_FAST: Mapping[int, object] = {8: crc8, 16: crc16, 32: crc32}
_CATALOGUE: Mapping[str, str] = {
    # our name -> the catalogue's
    "crc8": "smbus",
    "crc8_autosar": "autosar",
    "crc8_bluetooth": "bluetooth",
    "crc8_cdma2000": "cdma2000",
    "crc8_darc": "darc",
    "crc8_dvb_s2": "dvb_s2",
    "crc8_gsm_a": "gsm_a",
    "crc8_i_code": "i_code",
    "crc8_itu": "i_432_1",
    "crc8_j1850": "sae_j1850",
    "crc8_lte": "lte",
    "crc8_maxim": "maxim_dow",
    "crc8_mifare": "mifare_mad",
    "crc8_nrsc_5": "nrsc_5",
    "crc8_opensafety": "opensafety",
    "crc8_rohc": "rohc",
    "crc8_wcdma": "wcdma",
    "crc16_arc": "arc",
    "crc16_aug_ccitt": "spi_fujitsu",
    "crc16_ccitt_false": "ibm_3740",
    "crc16_cdma2000": "cdma2000",
    "crc16_cms": "cms",
    "crc16_dds_110": "dds_110",
    "crc16_dect_r": "dect_r",
    "crc16_dect_x": "dect_x",
    "crc16_dnp": "dnp",
    "crc16_en13757": "en_13757",
    "crc16_genibus": "genibus",
    "crc16_gsm": "gsm",
    "crc16_iso14443_3_a": "iso_iec_14443_3_a",
    "crc16_kermit": "kermit",
    "crc16_lj1200": "lj1200",
    "crc16_maxim": "maxim_dow",
    "crc16_mcrf4xx": "mcrf4xx",
    "crc16_modbus": "modbus",
    "crc16_nrsc_5": "nrsc_5",
    "crc16_opensafety_a": "opensafety_a",
    "crc16_opensafety_b": "opensafety_b",
    "crc16_profibus": "profibus",
    "crc16_riello": "riello",
    "crc16_t10_dif": "t10_dif",
    "crc16_teledisk": "teledisk",
    "crc16_tms37157": "tms37157",
    "crc16_umts": "umts",
    "crc16_usb": "usb",
    "crc16_x25": "ibm_sdlc",
    "crc16_xmodem": "xmodem",
    "crc32": "iso_hdlc",
    "crc32_aixm": "aixm",
    "crc32_autosar": "autosar",
    "crc32_bzip2": "bzip2",
    "crc32_cksum": "cksum",
    "crc32_jamcrc": "jamcrc",
    "crc32_mpeg2": "mpeg_2",
    "crc32_xfer": "xfer",
    "crc32c": "iscsi",
}
_CATALOGUE_24: Mapping[str, str] = {
    "crc24_ble": "CRC24-BLE",
    "crc24_flexray_a": "CRC24-FLEXRAY-A",
    "crc24_flexray_b": "CRC24-FLEXRAY-B",
    "crc24_interlaken": "CRC24-INTERLAKEN",
    "crc24_lte_a": "CRC24-LTE-A",
    "crc24_lte_b": "CRC24-LTE-B",
    "crc24_openpgp": "CRC24-OPENPGP",
    "crc24_os9": "CRC24-OS-9",
}
_WIDTH = re.compile(r"crc(8|16|32)")


def _catalogue() -> list[Checksum]:
    entries = []
    for name, word in _CATALOGUE.items():
        found = _WIDTH.match(name)
        assert found is not None
        entries.append(Checksum(name, int(found[1]), getattr(_FAST[int(found[1])], word)))
    return entries + [Checksum(name, 24, anycrc.Model(word).calc) for name, word in _CATALOGUE_24.items()]


_CHECKSUMS = {
    entry.name: entry
    for entry in (
        *_catalogue(),
        Checksum("adler32", 32, _adler32),
        Checksum("crc16_hj212", 16, _crc16_hj212),
        Checksum("fletcher8", 8, _fletcher(4)),
        Checksum("fletcher16", 16, _fletcher(8)),
        Checksum("fletcher32", 32, _fletcher32),
        Checksum("lrc8", 8, _lrc8),
        Checksum("lrc16", 16, _lrc16),
        Checksum("rfc1071", 16, _rfc1071),
        Checksum("sum8", 8, _sum(8)),
        Checksum("sum8_ones_complement", 8, _sum8_ones_complement),
        Checksum("sum16", 16, _sum(16)),
        Checksum("sum16_words_be", 16, _sum_words_big),
        Checksum("sum16_words_le", 16, _sum_words_little),
        Checksum("sum24", 24, _sum(24)),
        Checksum("sum32", 32, _sum(32)),
        Checksum("ubx", 16, _ubx),
        Checksum("xor8", 8, _xor8),
        Checksum("xor16", 16, _xor_words),
    )
}
_ALIASES = {
    "bcc": "xor8",
    "crc8_ccitt": "crc8",
    "crc8_smbus": "crc8",
    "crc8_dallas": "crc8_maxim",
    "crc16": "crc16_arc",
    "crc16_ansi": "crc16_arc",
    "crc16_buypass": "crc16_umts",
    "crc16_ibm": "crc16_arc",
    "crc16_ccitt_true": "crc16_kermit",
    "crc16_ccitt_zero": "crc16_xmodem",
    "crc16_hdlc": "crc16_x25",
    "crc16_ibm_3740": "crc16_ccitt_false",
    "crc16_ibm_sdlc": "crc16_x25",
    "crc16_spi_fujitsu": "crc16_aug_ccitt",
    "crc32_iso_hdlc": "crc32",
    "crc32_posix": "crc32_cksum",
    "nmea": "xor8",
    "sum8_twos_complement": "lrc8",
    "sum16_twos_complement": "lrc16",
}
_SEVERAL = {
    "crc16_ccitt": "documents mean `crc16_ccitt_false` (start value FFFF), `crc16_xmodem` (0000) or `crc16_kermit` "
    "(0000, reflected) by it",
}
_PARAMETERS = re.compile(r"(crc|sum|xor)(8|16|24|32)\(([0-9a-f]+),([0-9a-f]+),([01]),([0-9a-f]+)\)")


def parameters(bits: int, poly: int | None, kind: str, init: int, reflect: bool, xor_out: int) -> str:
    """The name of a check value that is told by its parameters. kind: `sum` or `xor` where there is no `poly`."""
    word = "crc" if poly is not None else kind
    return f"{word}{bits}({poly or 0:x},{init:x},{int(reflect)},{xor_out:x})"


@lru_cache(maxsize=256)
def _by_parameters(name: str) -> Checksum | None:
    found = _PARAMETERS.fullmatch(name)
    if found is None:
        return None
    kind, bits = found[1], int(found[2])
    poly, init, reflect, xor_out = (int(found[place], 16) for place in (3, 4, 5, 6))
    if kind == "crc":
        return Checksum(name, bits, anycrc.CRC(bits, poly, init, bool(reflect), bool(reflect), xor_out).calc)
    mask, size = (1 << bits) - 1, bits // 8

    def summed(data: bytes) -> int:
        return (init + sum(data) & mask) ^ xor_out

    def xored(data: bytes) -> int:
        """Of words as wide as the value, the higher byte first."""
        value = 0
        for place in range(size):
            value = value << 8 | _xor8(bytes(data[place::size]))
        return value ^ init ^ xor_out

    return Checksum(name, bits, summed if kind == "sum" else xored)


def checksum(name: str) -> Checksum:
    """The check value of this name or alias, or of these `parameters`; UnknownChecksum (a KeyError) otherwise."""
    found = _CHECKSUMS.get(_ALIASES.get(name, name)) or _by_parameters(name)
    if found is None:
        word = name.lower().replace("-", "_").replace("/", "_").replace(" ", "_")
        nearest = get_close_matches(word, names(), n=1)
        hint = _SEVERAL.get(word, "")
        raise UnknownChecksum(name, nearest[0] if nearest and not hint else "", hint)
    return found


def names() -> tuple[str, ...]:
    """Every name that `checksum` knows, aliases included, sorted."""
    return tuple(sorted([*_CHECKSUMS, *_ALIASES]))
