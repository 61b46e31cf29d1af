"""Check values: the published ones, an independent implementation, and every kind of buffer."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import xor

import pytest
from crccheck import checksum as crccheck_sums
from crccheck import crc as crccheck_crcs
from hypothesis import given
from hypothesis import strategies as st

from decoders.checksum import UnknownChecksum, checksum, names

PUBLISHED = {  # of b"123456789": CRC RevEng catalogue for the CRCs, by hand for the sums
    "crc8": 0xF4,
    "crc8_maxim": 0xA1,
    "crc16_arc": 0xBB3D,
    "crc16_ibm": 0xBB3D,
    "crc16_aug_ccitt": 0xE5CC,
    "crc16_ccitt_false": 0x29B1,
    "crc16_dnp": 0xEA82,
    "crc16_en13757": 0xC2B7,
    "crc16_kermit": 0x2189,
    "crc16_modbus": 0x4B37,
    "crc16_x25": 0x906E,
    "crc16_xmodem": 0x31C3,
    "crc32": 0xCBF43926,
    "crc32c": 0xE3069283,
    "fletcher16": 0x1EDE,
    "lrc8": 0x23,
    "sum8": 0xDD,
    "sum8_ones_complement": 0x22,
    "sum16": 0x01DD,
    "xor8": 0x31,
}

ORACLES: dict[str, Callable[[bytes], int]] = {
    "crc8": crccheck_crcs.Crc8Smbus.calc,
    "crc8_maxim": crccheck_crcs.Crc8MaximDow.calc,
    "crc16_arc": crccheck_crcs.Crc16Arc.calc,
    "crc16_aug_ccitt": crccheck_crcs.Crc16AugCcitt.calc,
    "crc16_ccitt_false": crccheck_crcs.Crc16CcittFalse.calc,
    "crc16_dnp": crccheck_crcs.Crc16Dnp.calc,
    "crc16_en13757": crccheck_crcs.Crc16En13757.calc,
    "crc16_kermit": crccheck_crcs.Crc16Kermit.calc,
    "crc16_modbus": crccheck_crcs.Crc16Modbus.calc,
    "crc16_x25": crccheck_crcs.Crc16X25.calc,
    "crc16_xmodem": crccheck_crcs.Crc16Xmodem.calc,
    "crc32": crccheck_crcs.Crc32.calc,
    "crc32c": crccheck_crcs.Crc32C.calc,
    "sum8": crccheck_sums.Checksum8.calc,
    "xor8": crccheck_sums.ChecksumXor8.calc,
}


def fletcher16(data: bytes) -> int:
    low = high = 0
    for byte in data:
        low = (low + byte) % 255
        high = (high + low) % 255
    return high << 8 | low


def test_every_name_has_a_published_value() -> None:
    assert sorted(PUBLISHED) == list(names())


@pytest.mark.parametrize(("name", "value"), PUBLISHED.items())
@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_published_value(name: str, value: int, buffer: Callable[[bytes], bytes]) -> None:
    assert checksum(name).function(buffer(b"123456789")) == value


@pytest.mark.parametrize("name", ORACLES)
@given(data=st.binary(max_size=200))
def test_agrees_with_an_independent_implementation(name: str, data: bytes) -> None:
    assert checksum(name).function(data) == ORACLES[name](data)


@given(data=st.binary(max_size=1100))
def test_sums_agree_with_their_definitions(data: bytes) -> None:
    assert checksum("xor8").function(data) == reduce(xor, data, 0)
    assert checksum("fletcher16").function(data) == fletcher16(data)
    assert checksum("sum16").function(data) == sum(data) % 65536
    assert (sum(data) + checksum("lrc8").function(data)) % 256 == 0
    assert checksum("sum8").function(data) + checksum("sum8_ones_complement").function(data) == 255


@pytest.mark.parametrize(("text", "value"), [(b"abcde", 0xC8F0), (b"abcdef", 0x2057), (b"abcdefgh", 0x0627)])
def test_fletcher16_of_known_texts(text: bytes, value: int) -> None:
    assert checksum("fletcher16").function(text) == value


@pytest.mark.parametrize("name", names())
def test_fits_its_width(name: str) -> None:
    entry = checksum(name)
    for data in (b"", b"\x00", b"\xff" * 1000, bytes(range(256))):
        assert 0 <= entry.function(data) < 1 << entry.bits


def test_alias_is_the_same_check_value() -> None:
    assert checksum("crc16_ibm") is checksum("crc16_arc")


@pytest.mark.parametrize(
    ("name", "nearest"), [("crc16_x52", "crc16_x25"), ("CRC16-Modbus", "crc16_modbus"), ("qqqqqqqq", "")]
)
def test_unknown_name_says_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownChecksum) as caught:
        checksum(name)
    assert isinstance(caught.value, KeyError)
    assert caught.value.nearest == nearest
    assert repr(name) in str(caught.value)
    assert not nearest or nearest in str(caught.value)
