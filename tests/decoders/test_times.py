"""Device clocks: every reading against Python's own calendar, both ways, and dates that do not exist."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders import times

LAST_S = 253_402_300_799  # 9999-12-31T23:59:59Z
MOMENTS = st.integers(0, LAST_S)
ZONES = st.sampled_from([0, 8 * 3600, -5 * 3600, 19_800, -12_600])
THIS_CENTURY = st.integers(946_684_800 + 86_400, 4_102_444_799 - 86_400)


def text(unix_ms: int) -> str:
    moment = datetime.datetime.fromtimestamp(unix_ms // 1000, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


@given(MOMENTS)
def test_unix_seconds(seconds: int) -> None:
    assert times.iso_from_unix(seconds) == text(seconds * 1000)


@given(MOMENTS, st.integers(0, 999))
def test_unix_milliseconds_and_back(seconds: int, ms: int) -> None:
    unix_ms = seconds * 1000 + ms
    written = times.iso_from_unix_ms(unix_ms)
    assert written == text(unix_ms)
    assert times.unix_ms_from_iso(written) == unix_ms


@pytest.mark.parametrize("seconds", [-1, LAST_S + 1, 2**63, -(2**63)])
def test_outside_of_the_calendar(seconds: int) -> None:
    assert times.iso_from_unix(seconds) is None
    assert times.iso_from_unix_ms(seconds * 1000) is None


def test_since_2000() -> None:
    assert times.iso_from_2000(0) == "2000-01-01T00:00:00.000Z"
    assert times.iso_from_2000(2**32 - 1) == "2136-02-07T06:28:15.000Z"


@given(THIS_CENTURY, ZONES)
def test_six_bytes_both_ways(seconds: int, zone_s: int) -> None:
    six = times.six_from_ms(seconds * 1000, zone_s)
    assert times.iso_from_six(six, zone_s) == text(seconds * 1000)
    assert times.iso_from_six(six, 0) == text((seconds + zone_s) * 1000)
    bcd = times.bcd_six_from_ms(seconds * 1000, zone_s)
    assert bcd.hex() == "".join(f"{byte:02d}" for byte in six)
    assert times.iso_from_bcd_six(bcd, zone_s) == text(seconds * 1000)


@given(st.binary(min_size=6, max_size=6), ZONES)
def test_any_six_bytes_are_a_time_or_none(raw: bytes, zone_s: int) -> None:
    year, month, day, hour, minute, second = raw
    try:
        moment = datetime.datetime(2000 + year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        moment = None
    expected = None if moment is None or year > 99 else text((int(moment.timestamp()) - zone_s) * 1000)
    assert times.iso_from_six(raw, zone_s) == expected


@pytest.mark.parametrize(
    ("raw", "exists"),
    [
        ("18021d000000", True),
        ("19021d000000", False),
        ("00021d000000", True),
        ("630c1f173b3b", True),
        ("640101000000", False),
        ("190001000000", False),
        ("190100000000", False),
        ("190101180000", False),
        ("190101003c00", False),
        ("19010100003c", False),
    ],
)
def test_dates_that_exist(raw: str, exists: bool) -> None:
    for zone_s in (0, 3600):
        assert (times.iso_from_six(bytes.fromhex(raw), zone_s) is not None) is exists


def test_bytes_that_are_no_bcd_are_no_date() -> None:
    assert times.iso_from_bcd_six(bytes.fromhex("250615150640"), 0) == "2025-06-15T15:06:40.000Z"
    for place in range(6):
        raw = bytearray.fromhex("250615150640")
        raw[place] = 0x1A
        assert times.iso_from_bcd_six(bytes(raw), 0) is None


def test_more_different_times_than_the_caches_hold() -> None:
    for minute in range(0, 5000):
        assert times.iso_from_unix(minute * 60) == text(minute * 60_000)
    assert times.iso_from_unix(59) == text(59_000)


@pytest.mark.parametrize(
    ("written", "unix_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2025-06-15T17:06:40+02:00", 1_750_000_000_000),
        ("2025-06-15T15:06:40.250", 1_750_000_000_250),
        ("2025-06-15", 1_749_945_600_000),
    ],
)
def test_reading_rfc_3339(written: str, unix_ms: int) -> None:
    assert times.unix_ms_from_iso(written) == unix_ms


@pytest.mark.parametrize("written", ["", "yesterday", "2025-13-01T00:00:00Z", "2025-06-15T25:00:00Z"])
def test_what_is_no_time(written: str) -> None:
    with pytest.raises(ValueError):
        times.unix_ms_from_iso(written)


@pytest.mark.parametrize("unix_ms", [946_684_799_000, 4_102_444_800_000])
def test_two_digit_years_end(unix_ms: int) -> None:
    with pytest.raises(ValueError, match="two digits"):
        times.six_from_ms(unix_ms, 0)


def test_format() -> None:
    assert times.format_ms(1_750_000_000_999, "%Y%m%d%H%M%S") == "20250615150640"
    assert times.format_ms(1_750_000_000_000, "%H:%M", -3600) == "14:06"


@pytest.mark.parametrize(
    ("zone", "seconds"), [("UTC", 0), ("Z", 0), ("+08:00", 28_800), ("-0530", -19_800), ("+14:00", 50_400)]
)
def test_zones(zone: str, seconds: int) -> None:
    assert times.zone_seconds(zone) == seconds


@pytest.mark.parametrize("zone", ["", "08:00", "+8", "+15:00", "+08:60", "Europe/Rome", "+ab:cd", "utc"])
def test_what_is_no_zone(zone: str) -> None:
    with pytest.raises(ValueError, match=r"such as `\+08:00`"):
        times.zone_seconds(zone)
