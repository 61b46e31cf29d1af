"""DIF/VIF records: every coding, the examples of the standard, and any bytes at all."""

from __future__ import annotations

import datetime
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.metering.mbus import known_word, nearest_words, parse
from decoders.metering.mbus_tables import quantities
from decoders.metering.records import Record, RecordWord


def records(text: str, most: int = 100) -> list[Record]:
    data = bytes.fromhex(text)
    found: list[Record] = []
    assert parse(data, 0, len(data), most, found) == len(data)
    return found


def one(text: str) -> tuple[str, Any]:
    (record,) = records(text)
    return record.name, record.value


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("0C13 27048502", "volume", 2850.427),  # EN 13757-3, example of a data record
        ("0B3B 270127", "flow", 270.127),
        ("0A5A 0015", "flow_temperature", 150.0),
        ("01FD08 F0", "access_number", 240),
        ("0413 FFFFFFFF", "volume", -0.001),
        ("0106 FB", "energy", -5),
        ("0206 FEFF", "energy", -2),
        ("0306 FDFFFF", "energy", -3),
        ("0606 FCFFFFFFFFFF", "energy", -4),
        ("0706 FBFFFFFFFFFFFFFF", "energy", -5),
        ("0106 80", "energy", None),  # the lowest integer says: no value
        ("0206 0080", "energy", None),
        ("0506 0000C03F", "energy", 1.5),
        ("0506 0000C07F", "energy", None),
        ("0906 12", "energy", 12),
        ("0A06 3412", "energy", 1234),
        ("0B06 563412", "energy", 123456),
        ("0C06 78563412", "energy", 12345678),
        ("0E06 120978563412", "energy", 123456780912),
        ("0A06 34F2", "energy", -234),  # a highest digit F is the minus
        ("0A06 3A12", "energy", None),  # digits that are none
        ("0A06 FFFF", "energy", None),
        ("0006", "energy", None),  # no data
        ("0806", "energy", None),  # selection for readout
        ("0D06 C23412", "energy", 1234),
        ("0D06 D23412", "energy", -1234),
        ("0D06 E23412", "energy", 0x1234),
        ("0DFD0E 03433241", "firmware_version", "A2C"),
        ("0DFD10 05" + b"olleH".hex(), "customer_location", "Hello"),
        ("0DFD3B E9010203040506070809", "data_container", "090807060504030201"),
        ("0DFD3B F0" + "00" * 15 + "01", "data_container", "01" + "00" * 15),
        ("0DFD3B F6" + "00" * 64, "data_container", "00" * 64),
        # times
        ("426C FF2C", "date_storage_1", "2023-12-31"),
        ("026C 2111", "date", "2009-01-01"),
        ("026C 0000", "date", None),
        ("026C FFFF", "date", None),
        ("026C A1B5", "date", "1993-05-01"),
        ("046D 0D30F62B", "date_time", datetime.datetime(2023, 11, 22, 16, 13, fold=1)),
        ("046D 0D90F62B", "date_time", datetime.datetime(2023, 11, 22, 16, 13, fold=0)),  # summer time
        ("046D 8D30F62B", "date_time", None),  # not valid
        ("066D 0E1015C82A00", "date_time", datetime.datetime(2022, 10, 8, 21, 16, 14, fold=1)),
        ("066D 4E1015C82A00", "date_time", datetime.datetime(2022, 10, 8, 21, 16, 14, fold=0)),
        ("066D 0E9015C82A00", "date_time", None),
        ("036D 0E1015", "date_time", "21:16:14"),
        ("036D FFFFFF", "date_time", None),
        # one unit for a quantity
        ("0403 E8030000", "energy", 1),
        ("040E 00000000", "energy", 0),
        ("0C0E 59600100", "energy", 16059 / 3.6),
        ("04FB00 0A000000", "energy", 1000),
        ("0413 E8030000", "volume", 1),
        ("042B 0A000000", "power", 10),
        ("042E 0A000000", "power", 10_000),
        ("0432 24000000", "power", 1),
        ("0440 E8030000", "flow", 0.006),
        ("0448 40420F00", "flow", 3.6),
        ("0424 3C000000", "operating_time", 60),
        ("0227 0200", "operating_time", 172_800),
        ("02FD46 610E", "voltage", 3.681),
        ("02FD59 E803", "current", 1.0),
        ("02FB1B 2C01", "humidity", 300),
        ("02FB5B D400", "flow_temperature", 100),
        ("0268 E803", "pressure", 1.0),
        # tariff, storage, subunit, function
        ("8C1013 01000000", "volume_tariff_1", 0.001),
        ("8CA01013 01000000", "volume_tariff_6", 0.001),
        ("8440FF2C 5E0F1100", "manufacturer_2c_subunit_1", 1118046),
        ("C4016D 3B37DF2C", "date_time_storage_3", datetime.datetime(2022, 12, 31, 23, 59, fold=1)),
        ("948001AE25 09000000", "power_per_month_max_storage_32", 9000),
        ("2259 E803", "flow_temperature_min", 10.0),
        ("3259 E803", "flow_temperature_error", 10.0),
        # combinable VIFEs
        ("0E833C 807400000000", "energy_backward", 7.48),
        ("0AFDC9FC01 3602", "voltage_phase_1", 236),
        ("04FB8275 3F000000", "reactive_energy", 6.3),
        ("04837D 01000000", "energy", 1),
        ("02D978 0100", "flow_temperature", 0.01001),
        ("02FD971D 0100", "error_flags", 1),
        ("049315 00000000", "volume", None),  # no data available
        ("04939518 00000000", "volume", None),
        ("04939F00 00000000", "volume_profile", "00000000"),
        ("019341 05", "volume_lower_limit_exceeds", 5),
        ("04934A 0D30F62B", "volume_upper_limit_first_begin", datetime.datetime(2023, 11, 22, 16, 13, fold=1)),
        ("049359 01000000", "volume_upper_limit_first_duration", 60),
        ("0493C0FF01 E8030000", "volume_lower_limit_manufacturer_01", 1),
        ("0493FF01 E8030000", "volume_manufacturer_01", 1),
        # text
        ("02FC0348522574 440D", "humidity", 33.96),
        ("02FC7403485225 440D", "humidity", 33.96),
        ("027C03 4D5050 0500", "text_ppm", 5),
        ("02FD7A 0500", "vif_fd7a", 5),
        ("02FDFD02 0100", "battery_remaining", 2_629_746),
    ],
)  # fmt: skip
def test_one_record(text: str, name: str, value: Any) -> None:
    found, got = one(text)
    assert found == name
    assert got == (pytest.approx(value) if isinstance(value, float) else value)


def test_the_key_is_the_whole_head() -> None:
    assert [record.words[0] for record in records("2F2F 0C13 27048502 8C010613000000 2F 02FC0348522574 440D")] == [
        "0C13",
        "8C0106",
        "02FC0348522574",
    ]


def test_raw_has_no_scale_and_data_their_place() -> None:
    (record,) = records("2F 02FD46 610E")
    assert (record.raw, record.size, record.start, record.stop) == (3681, 2, 4, 6)


@pytest.mark.parametrize("end", ["0F", "1F"])
def test_data_of_the_vendor_stay_unread(end: str) -> None:
    data = bytes.fromhex(f"0906 12 {end} 0906 13")
    found: list[Record] = []
    assert parse(data, 0, len(data), 10, found) == 4
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("0906 12 09", DecodeCode.TRUNCATED, 4),
        ("89", DecodeCode.TRUNCATED, 1),
        ("09 86", DecodeCode.TRUNCATED, 2),
        ("0C13 270485", DecodeCode.TRUNCATED, 2),
        ("0D13", DecodeCode.TRUNCATED, 2),
        ("0D13 054142", DecodeCode.TRUNCATED, 2),
        ("0D13 FF", DecodeCode.BAD_VALUE, 2),
        ("0D13 CA", DecodeCode.BAD_VALUE, 2),
        ("3F", DecodeCode.BAD_VALUE, 0),
        ("0906 12 8F", DecodeCode.BAD_VALUE, 3),
        ("84" + "80" * 11 + "06", DecodeCode.BAD_VALUE, 11),
        ("04" + "93" * 12 + "06", DecodeCode.BAD_VALUE, 12),
        ("04 7C 05 41", DecodeCode.TRUNCATED, 2),
        ("04 7C", DecodeCode.TRUNCATED, 2),
    ],
)
def test_faults_say_where(text: str, code: DecodeCode, offset: int) -> None:
    data = bytes.fromhex(text)
    with pytest.raises(DecodeError) as caught:
        parse(data, 0, len(data), 10, [])
    assert (caught.value.code, caught.value.offset) == (code, offset)


def test_records_before_the_fault_are_kept() -> None:
    data, found = bytes.fromhex("0906 12 0C13 2704"), list[Record]()
    with pytest.raises(DecodeError):
        parse(data, 0, len(data), 10, found)
    assert [record.name for record in found] == ["energy"]


def test_the_number_of_records_is_bounded() -> None:
    data = bytes.fromhex("0106 01") * 5
    with pytest.raises(DecodeError) as caught:
        parse(data, 0, len(data), 4, [])
    assert (caught.value.code, caught.value.offset) == (DecodeCode.TOO_MANY_ITEMS, 12)


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
    assert len(found) <= most
    for record in found:
        assert start < record.start <= record.stop <= len(data)
        assert record.value is None or record.value == record.value
        known = known_word(record.words[0])
        assert known is not None
        by_name = known_word(record.name)
        assert by_name is not None, record.name


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.sampled_from(["04", "44", "8410", "C401"]))
def test_integers_come_back(number: int, head: str) -> None:
    data = bytes.fromhex(head + "06") + struct.pack("<i", number)
    found: list[Record] = []
    parse(data, 0, len(data), 10, found)
    assert found[0].value == number


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("0413", RecordWord("m³")),
        ("8c01 06", RecordWord("kWh")),
        ("046D", RecordWord("", clock=True)),
        ("026D", RecordWord()),
        ("volume", RecordWord("m³")),
        ("volume_storage_3", RecordWord("m³")),
        ("power_max_storage_32_tariff_1", RecordWord("W")),
        ("volume_per_hour", RecordWord("m³/h")),
        ("date_time_storage_8", RecordWord("", clock=True)),
        ("date", RecordWord()),
        ("volume_lower_limit_exceeds", RecordWord()),
        ("manufacturer_a015", RecordWord()),
        ("vif_fd7a", RecordWord()),
        ("04", None),
        ("0493", None),
        ("041300", None),
        ("0F13", None),
        ("volum", None),
        ("volume_storage", None),
        ("", None),
    ],
)
def test_words_of_a_spec(word: str, known: RecordWord | None) -> None:
    assert known_word(word) == known


def test_nearest_words_are_known() -> None:
    assert all(known_word(word) is not None for word in nearest_words())
    assert {"volume", "energy_storage_1"} <= set(nearest_words())
    assert len(quantities()) > 80
