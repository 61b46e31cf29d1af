"""Check values: the published ones, an independent implementation, and every kind of buffer."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import reduce
from operator import xor

import pytest
from crccheck import checksum as crccheck_sums
from crccheck import crc as crccheck_crcs
from hypothesis import given
from hypothesis import strategies as st

from decoders.checksum import UnknownChecksum, checksum, names, parameters

PUBLISHED = {  # of b"123456789": CRC RevEng catalogue for the CRCs, by hand for the sums
    "adler32": 0x091E01DE,
    "crc16_arc": 0xBB3D,
    "crc16_aug_ccitt": 0xE5CC,
    "crc16_ccitt_false": 0x29B1,
    "crc16_cdma2000": 0x4C06,
    "crc16_cms": 0xAEE7,
    "crc16_dds_110": 0x9ECF,
    "crc16_dect_r": 0x7E,
    "crc16_dect_x": 0x7F,
    "crc16_dnp": 0xEA82,
    "crc16_en13757": 0xC2B7,
    "crc16_genibus": 0xD64E,
    "crc16_gsm": 0xCE3C,
    "crc16_hj212": 0x2F80,
    "crc16_iso14443_3_a": 0xBF05,
    "crc16_kermit": 0x2189,
    "crc16_lj1200": 0xBDF4,
    "crc16_maxim": 0x44C2,
    "crc16_mcrf4xx": 0x6F91,
    "crc16_modbus": 0x4B37,
    "crc16_nrsc_5": 0xA066,
    "crc16_opensafety_a": 0x5D38,
    "crc16_opensafety_b": 0x20FE,
    "crc16_profibus": 0xA819,
    "crc16_riello": 0x63D0,
    "crc16_t10_dif": 0xD0DB,
    "crc16_teledisk": 0x0FB3,
    "crc16_tms37157": 0x26B1,
    "crc16_umts": 0xFEE8,
    "crc16_usb": 0xB4C8,
    "crc16_x25": 0x906E,
    "crc16_xmodem": 0x31C3,
    "crc24_ble": 0xC25A56,
    "crc24_flexray_a": 0x7979BD,
    "crc24_flexray_b": 0x1F23B8,
    "crc24_interlaken": 0xB4F3E6,
    "crc24_lte_a": 0xCDE703,
    "crc24_lte_b": 0x23EF52,
    "crc24_openpgp": 0x21CF02,
    "crc24_os9": 0x200FA5,
    "crc32": 0xCBF43926,
    "crc32_aixm": 0x3010BF7F,
    "crc32_autosar": 0x1697D06A,
    "crc32_bzip2": 0xFC891918,
    "crc32_cksum": 0x765E7680,
    "crc32_jamcrc": 0x340BC6D9,
    "crc32_mpeg2": 0x0376E6E7,
    "crc32_xfer": 0xBD0BE338,
    "crc32c": 0xE3069283,
    "crc8": 0xF4,
    "crc8_autosar": 0xDF,
    "crc8_bluetooth": 0x26,
    "crc8_cdma2000": 0xDA,
    "crc8_darc": 0x15,
    "crc8_dvb_s2": 0xBC,
    "crc8_gsm_a": 0x37,
    "crc8_i_code": 0x7E,
    "crc8_itu": 0xA1,
    "crc8_j1850": 0x4B,
    "crc8_lte": 0xEA,
    "crc8_maxim": 0xA1,
    "crc8_mifare": 0x99,
    "crc8_nrsc_5": 0xF7,
    "crc8_opensafety": 0x3E,
    "crc8_rohc": 0xD0,
    "crc8_wcdma": 0x25,
    "fletcher16": 0x1EDE,
    "fletcher32": 0xDF09D509,
    "fletcher8": 0x0C,
    "lrc8": 0x23,
    "lrc16": 0xFE23,
    "rfc1071": 0xF62A,
    "sum16": 0x01DD,
    "sum16_words_be": 0x09D4,
    "sum16_words_le": 0xD509,
    "sum24": 0x01DD,
    "sum32": 0x01DD,
    "sum8": 0xDD,
    "sum8_ones_complement": 0x22,
    "ubx": 0xDD15,
    "xor16": 0x3908,
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
    "crc8_autosar": crccheck_crcs.Crc8Autosar.calc,
    "crc8_itu": crccheck_crcs.Crc8Itu.calc,
    "crc8_rohc": crccheck_crcs.Crc8Rohc.calc,
    "crc16_genibus": crccheck_crcs.Crc16Genibus.calc,
    "crc16_mcrf4xx": crccheck_crcs.Crc16Mcrf4XX.calc,
    "crc16_usb": crccheck_crcs.Crc16Usb.calc,
    "crc24_openpgp": crccheck_crcs.Crc24.calc,
    "crc32_bzip2": crccheck_crcs.Crc32Bzip2.calc,
    "crc32_mpeg2": crccheck_crcs.Crc32Mpeg2.calc,
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
    assert {checksum(name).name for name in names()} == set(PUBLISHED)
    assert set(PUBLISHED) <= set(names())


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
    assert (sum(data) + checksum("sum16_twos_complement").function(data)) % 65536 == 0
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


@given(data=st.binary(max_size=300))
def test_sums_of_words_agree_with_their_definitions(data: bytes) -> None:
    padded = data + b"\0" * (len(data) % 2)
    big = [int.from_bytes(padded[place : place + 2], "big") for place in range(0, len(padded), 2)]
    little = [int.from_bytes(padded[place : place + 2], "little") for place in range(0, len(padded), 2)]
    assert checksum("sum16_words_be").function(data) == sum(big) % 65536
    assert checksum("sum16_words_le").function(data) == sum(little) % 65536
    assert checksum("xor16").function(data) == reduce(xor, big, 0)
    assert checksum("adler32").function(data) == zlib.adler32(data)
    one = two = 0
    for word in little:
        one, two = (one + word) % 65535, (two + one + word) % 65535
    assert checksum("fletcher32").function(data) == two << 16 | one
    first = second = 0
    for byte in data:
        first = first + byte & 0xFF
        second = second + first & 0xFF
    assert checksum("ubx").function(data) == first << 8 | second


@pytest.mark.parametrize(("text", "value"), [(b"abcde", 0xF04FC729), (b"abcdef", 0x56502D2A)])
def test_fletcher32_of_known_texts(text: bytes, value: int) -> None:
    assert checksum("fletcher32").function(text) == value


@given(data=st.binary(max_size=100))
def test_parameters_describe_what_has_a_name_too(data: bytes) -> None:
    for name, told in (
        ("crc16_modbus", parameters(16, 0x8005, "", 0xFFFF, True, 0)),
        ("crc16_aug_ccitt", parameters(16, 0x1021, "", 0x1D0F, False, 0)),
        ("crc24_openpgp", parameters(24, 0x864CFB, "", 0xB704CE, False, 0)),
        ("crc32", parameters(32, 0x04C11DB7, "", 0xFFFFFFFF, True, 0xFFFFFFFF)),
        ("sum8_ones_complement", parameters(8, None, "sum", 0, False, 0xFF)),
        ("xor16", parameters(16, None, "xor", 0, False, 0)),
    ):
        assert checksum(told).function(data) == checksum(name).function(data)
    assert checksum(parameters(24, None, "sum", 5, False, 0)).function(data) == 5 + sum(data)


def test_a_name_that_means_several_says_which() -> None:
    with pytest.raises(UnknownChecksum) as caught:
        checksum("CRC16-CCITT")
    assert "crc16_xmodem" in caught.value.hint


def test_the_example_of_hj_212() -> None:
    """HJ 212-2017, appendix A: the check value 1C80."""
    sent = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
    assert checksum("crc16_hj212").function(sent) == 0x1C80
