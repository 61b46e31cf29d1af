"""A-XDR data: lists as meters of several makers push them, every type, and any bytes at all."""

from __future__ import annotations

import datetime
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.metering.dlms import MAX_DEPTH, known_word, nearest_words, parse, spoken_word
from decoders.metering.records import Record, RecordWord

# A list without OBIS codes, as a meter in Sweden sent it (public forum, October 2023)
BY_PLACE = (
    "0f40000000 090c07e70a1405123a0fffffc400 0212 09074b464d5f303031 091037333430313537303330393034303435"
    "09074d413330344834 06000001a9 0600000000 0600000000 0600000004 0600000061 06000001ac 06000005c4 06000008fa"
    "06000008fe 060000090f 090c07e70a1405123a0fffffc400 0600074bb5 0600000000 060000643c 0600026ef6"
)
# A flat list of OBIS codes and values, as a meter in Norway sent it (public samples, October 2017)
BY_PAIRS = (
    "0f00000000 090c07e10a1405032b1eff800000 0219 0a0e4b616d73747275705f5630303031"
    "0906 0101000005ff 0a1035373036353637323734333839373032 0906 0101600101ff 0a1236383431313231424e323433313031303430"
    "0906 0101010700ff 06000005bc 0906 0101020700ff 0600000000 0906 0101030700ff 0600000000"
    "0906 0101040700ff 06000001ce 0906 01011f0700ff 0600000234 0906 0101330700ff 06000000ca"
    "0906 0101470700ff 06000001ff 0906 0101200700ff 1200e8 0906 0101340700ff 1200e4 0906 0101480700ff 1200e9"
)
# Structures of OBIS code, value, scaler and unit (built from the standard)
BY_STRUCTURES = (
    "0f40000000 00 0103"
    "0203 0906 0100010800ff 0600004e20 0202 0f01 161e"
    "0203 0906 0100200700ff 1208fc 0202 0fff 1623"
    "0202 0906 0000010000ff 090c07e70a1405123a0fff800000"
)
# A push: the capture objects, then their values; attribute 3 is the scaler and unit (built from the standard)
PUSH = (
    "0f00000001 00 0204 0104"
    "0204 120028 0906 0000190900ff 0f02 120000"
    "0204 120001 0906 0000600100ff 0f02 120000"
    "0204 120003 0906 0100010700ff 0f02 120000"
    "0204 120003 0906 0100010700ff 0f03 120000"
    "0904 41313233 0600000bb8 0202 0fff 161b"
)


def records(text: str, most: int = 100) -> list[Record]:
    data = bytes.fromhex(text)
    found: list[Record] = []
    assert parse(data, 0, len(data), most, found) == len(data)
    return found


def values(text: str) -> dict[str, Any]:
    return {record.name: record.value for record in records(text)}


def test_a_list_by_place() -> None:
    found = {record.words[0]: record.value for record in records(BY_PLACE)}
    assert found["date_time"] == "2023-10-20T17:58:15.000Z"
    assert [found[f"#{place}"] for place in (0, 1, 2, 3, 9, 10)] == [
        *("KFM_001", "7340157030904045", "MA304H4", 425, 1476, 2298)
    ]
    assert found["#13"] == "2023-10-20T17:58:15.000Z"
    assert found["#17"] == 159_478


def test_a_flat_list_of_codes_and_values() -> None:
    found = values(BY_PAIRS)
    assert found["date_time"] == datetime.datetime(2017, 10, 20, 3, 43, 30, fold=1)
    assert found["value_0"] == "Kamstrup_V0001"
    assert found["serial_number"] == "5706567274389702"
    assert found["meter_type"] == "6841121BN243101040"
    assert found["power_import_raw"] == 1468  # the meter sends no unit
    assert found["voltage_phase_3_raw"] == 233
    assert len(found) == 14
    (power,) = [record for record in records(BY_PAIRS) if record.raw == 1468]
    assert power.words == ("1.1.1.7.0.255", "1.7.0", "power_import_raw")


def test_structures_with_scaler_and_unit() -> None:
    assert values(BY_STRUCTURES) == {
        "energy_import": 200.0,
        "voltage_phase_1": pytest.approx(230),
        "date_time": datetime.datetime(2023, 10, 20, 18, 58, 15, fold=1),
    }
    assert records(BY_STRUCTURES)[0].raw == 20_000


def test_a_push_names_its_values_in_front() -> None:
    assert values(PUSH) == {"serial_number": "A123", "power_import": 300.0}


def test_llc_and_other_apdus() -> None:
    assert values("e6e700 0f00000001 00 0201 0600000001") == {"value_0": 1}
    assert values("c401c100 0600000001") == {"value_0": 1}
    assert values("c200 0003 0000600b00ff 02 11 05") == {"value_0": 5}
    assert (
        values("c2010c07e70a1405123a0fffffc400 0003 0000600b00ff 02 11 05")["date_time"] == "2023-10-20T17:58:15.000Z"
    )
    assert values("0203 11 01 0202 11 02 11 03 11 04") == {"value_0": 1, "value_1_0": 2, "value_1_1": 3, "value_2": 4}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00", None),
        ("0301", True),
        ("0300", False),
        ("040ba5c0", 0b10100101110),
        ("0448" + "01" * 9, "01" * 9),
        ("05ffffffff", -1),
        ("06ffffffff", 0xFFFFFFFF),
        ("09050102030405", "0102030405"),
        ("0903414243", "ABC"),
        ("0900", ""),
        ("0a03414220", "AB"),
        ("0c02c3a4", "ä"),
        ("0d021234", "1234"),
        ("0fff", -1),
        ("10fffe", -2),
        ("11ff", 255),
        ("12ffff", 65535),
        ("14fffffffffffffffe", -2),
        ("15fffffffffffffffe", 2**64 - 2),
        ("1607", 7),
        ("173fc00000", 1.5),
        ("177fc00000", None),
        ("183ff8000000000000", 1.5),
        ("1907e70a1405123a0fffffc400", "2023-10-20T17:58:15.000Z"),
        ("1907e7ffffffffffffff800000", None),
        ("1a07e70a1405", "2023-10-20"),
        ("1affffffffff", None),
        ("1b123a0fff", "18:58:15"),
        ("1b193a0fff", None),
        ("1cff", -1),
        ("1dfffe", -2),
        ("1efffffffd", -3),
        ("1fff", 255),
        ("20ffff", 65535),
        ("21ffffffff", 0xFFFFFFFF),
        ("ff", None),
        ("09820003414243", "ABC"),
        ("090c07e70a1405123a0fff8000ff", datetime.datetime(2023, 10, 20, 18, 58, 15, fold=1)),
        ("090c07e70a1405123a0fff800080", datetime.datetime(2023, 10, 20, 18, 58, 15, fold=0)),
        ("090c" + "41" * 12, "A" * 12),
    ],
)
def test_types(text: str, value: Any) -> None:
    (record,) = records(text)
    assert record.value == value
    assert type(record.value) is type(value)


@pytest.mark.parametrize("first", ["db08", "dc", "dd", "df", "c8", "d7"])
def test_what_is_encrypted_is_refused(first: str) -> None:
    with pytest.raises(DecodeError, match="encrypted") as caught:
        records(first + "00" * 12)
    assert caught.value.code is DecodeCode.BAD_VALUE


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("", DecodeCode.TRUNCATED, 0),
        ("06000001", DecodeCode.TRUNCATED, 1),
        ("0202 1101", DecodeCode.TRUNCATED, 4),
        ("020f 1101", DecodeCode.TRUNCATED, 0),
        ("0984ffffffff", DecodeCode.TRUNCATED, 6),
        ("0985", DecodeCode.BAD_VALUE, 1),
        ("13", DecodeCode.BAD_VALUE, 0),
        ("0f00000001 05 0000000000", DecodeCode.BAD_VALUE, 5),
        ("c402c100 00", DecodeCode.BAD_VALUE, 1),
        ("0201" * 20, DecodeCode.TOO_DEEP, 2 * (MAX_DEPTH + 1)),
    ],
)
def test_faults_say_where(text: str, code: DecodeCode, offset: int) -> None:
    data = bytes.fromhex(text)
    with pytest.raises(DecodeError) as caught:
        parse(data, 0, len(data), 10, [])
    assert (caught.value.code, caught.value.offset) == (code, offset)


def test_the_number_of_values_is_bounded() -> None:
    with pytest.raises(DecodeError) as caught:
        records("0208" + "1101" * 8, most=4)
    assert caught.value.code is DecodeCode.TOO_MANY_ITEMS
    with pytest.raises(DecodeError) as caught:
        records("0278" + "0100" * 0x78, most=4)
    assert caught.value.code is DecodeCode.TOO_MANY_ITEMS


@given(st.binary(max_size=120), st.integers(0, 10), st.integers(1, 30))
def test_any_bytes_give_records_or_a_decoding_error(data: bytes, start: int, most: int) -> None:
    found: list[Record] = []
    start = min(start, len(data))
    try:
        place: int | None = parse(data, start, len(data), most, found)
    except DecodeError as error:
        place = error.offset
    assert place is not None
    assert start <= place <= len(data)
    assert len(found) <= most + 1  # the time of a notification stands apart
    for record in found:
        assert start <= record.start <= record.stop <= len(data)
        assert record.value is None or record.value == record.value
        assert all(known_word(word) is not None for word in record.words), record.words


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-6, 6))
def test_scaled_numbers(number: int, scaler: int) -> None:
    text = f"0203 0906 0100200700ff 05 {struct.pack('>i', number).hex()} 0202 0f {scaler & 0xFF:02x} 1623"
    assert values(text)["voltage_phase_1"] == pytest.approx(number * 10.0**scaler)


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("1.8.0", RecordWord()),
        ("1.0.1.8.0.255", RecordWord()),
        ("0.0.1.0.0.255", RecordWord("", clock=True)),
        ("1.0.300.8.0.255", None),
        ("#3", RecordWord()),
        ("#3.1", RecordWord()),
        ("energy_import", RecordWord("kWh")),
        ("energy_import_raw", RecordWord()),
        ("voltage_phase_1", RecordWord("V")),
        ("date_time", RecordWord("", clock=True)),
        ("serial_number", RecordWord()),
        ("obis_1_0_96_1_1", RecordWord()),
        ("value_3", RecordWord()),
        ("energy_imported", None),
        ("3", None),
    ],
)
def test_words_of_a_spec(word: str, known: RecordWord | None) -> None:
    assert known_word(word) == known


def test_long_codes_are_spelled_in_two_ways() -> None:
    assert spoken_word("1-0:1.8.0*255") == spoken_word("1-0:1.8.0") == "1.0.1.8.0.255"
    assert spoken_word("1.8.0") == "1.8.0"


def test_nearest_words_are_known() -> None:
    assert all(known_word(word) is not None for word in nearest_words())
