"""Words of clocks: every reading against Python's calendar, both ways; words that are none, with a hint."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.clock_patterns import PatternError
from decoders.clocks import byte_word, clock_of, read_list, spoken_clock
from decoders.convert import Convert
from decoders.times import unix_ms_from_iso, zone_of
from decoders.types import SessionContext

ARRIVAL = SessionContext(received_ms=1_772_366_400_000)  # 2026-03-01T12:00:00Z
SECONDS = st.integers(946_684_800 + 86_400, 4_102_444_799 - 86_400)
ZONES = st.sampled_from([0, 28_800, -12_600, zone_of("Europe/Amsterdam")])


def read(word: str, raw: Any, zone: Any = 0, own: Any = None) -> Any:
    return Convert(clock=word, zone_s=own).function()(raw, zone, ARRIVAL)


@pytest.mark.parametrize(
    ("word", "raw", "text"),
    [
        ("unix", 1_000_000_000, "2001-09-09T01:46:40.000Z"),
        ("unix_ms", 1, "1970-01-01T00:00:00.001Z"),
        ("unix_us", 1_500_000, "1970-01-01T00:00:01.500Z"),
        ("unix_min", 3, "1970-01-01T00:03:00.000Z"),
        ("gps", 0, "1980-01-06T00:00:00.000Z"),
        ("seconds since 1970-01-01", 1.5, "1970-01-01T00:00:01.500Z"),
        ("since 2013-01-01", "60", "2013-01-01T00:01:00.000Z"),
        ("since 2013-01-01 12:30", 1, "2013-01-01T12:30:01.000Z"),
        ("minutes since 2000-01-01", 60, "2000-01-01T01:00:00.000Z"),
        ("days since 1899-12-30", 45_000.5, "2023-03-15T12:00:00.000Z"),
        ("ms since 2000-01-01", "1.5", "2000-01-01T00:00:00.001Z"),
        ("six", bytes([26, 3, 1, 12, 0, 5]), "2026-03-01T12:00:05.000Z"),
        ("bytes dmyhms", bytes([1, 3, 26, 12, 0, 5]), "2026-03-01T12:00:05.000Z"),
        ("bytes hmsdmy", bytes([12, 0, 5, 1, 3, 26]), "2026-03-01T12:00:05.000Z"),
        ("bytes yymdhms", bytes.fromhex("07ea03010c0005"), "2026-03-01T12:00:05.000Z"),
        ("bytes yymdhms le", bytes.fromhex("ea0703010c0005"), "2026-03-01T12:00:05.000Z"),
        ("bcd yymdhms", bytes.fromhex("20260301120005"), "2026-03-01T12:00:05.000Z"),
        ("bcd hms", bytes.fromhex("235959"), "2026-03-01T23:59:59.000Z"),
        ("bytes mdhm", bytes([12, 31, 23, 59]), "2025-12-31T23:59:00.000Z"),
        ("bytes ymd", bytes([26, 2, 29]), None),
        ("bcd ymd", bytes.fromhex("26021a"), None),
        ("bytes yymdhms", bytes.fromhex("000003010c0005"), None),
        ("since 2013-01-01", "12a", None),
        ("since 2013-01-01", None, None),
        ("since 2013-01-01", [1], None),
        ("since 2013-01-01", float("nan"), None),
        ("days since 2000-01-01", 2**70, None),
        ("list", [26, 3, 1], "2026-03-01T00:00:00.000Z"),
        ("list", [2026, 3, 1, 12, 30, 5, 250], "2026-03-01T12:30:05.250Z"),
        ("list", ["26", 3.0, 1, 12, 30, 5.5], "2026-03-01T12:30:05.500Z"),
        ("list", [26, 3, 1, 12, 30, 59.9999], "2026-03-01T12:31:00.000Z"),
        ("list", [26, 2, 28, 23, 59, 59.9996], "2026-03-01T00:00:00.000Z"),
        ("list", [26, 3, 1, 12, 30, 59.9994], "2026-03-01T12:30:59.999Z"),
        ("list", [26, 3, 1, 12, 30, 60.0], None),
        ("list", [26, None, 1], None),
        ("list", [26, 13, 1], None),
        ("list", [26, 1], None),
        ("list", [26, 1, 1.5], None),
        ("list", [26, 1, 1, 0, 0, 0, 1000], "2026-01-01T00:00:01.000Z"),
        ("list", [26, 1, 1, 0, 0, 59, 999.6], "2026-01-01T00:01:00.000Z"),
        ("list", [26, 1, 1, 0, 0, 0, 65536], None),
        ("list", 26, None),
    ],
)
def test_readings(word: str, raw: Any, text: str | None) -> None:
    assert read(word, raw) == text


@given(SECONDS, ZONES, st.sampled_from(["six", "bcd_six", "bytes smhdmy", "bcd dmyhms", "bytes yymdhms le"]))
def test_bytes_both_ways(seconds: int, zone: Any, word: str) -> None:
    raw = clock_of(word).write(seconds * 1000, zone)
    back = unix_ms_from_iso(read(word, raw, zone)) // 1000
    assert back in (seconds, seconds - 3600)  # an hour that a named zone has twice


@given(SECONDS, ZONES, st.sampled_from(["unix", "unix_min", "gps", "since2000", "minutes since 2013-01-01"]))
def test_counters_both_ways(seconds: int, zone: Any, word: str) -> None:
    """Counters are UTC, whatever the zone of the session; only the row's own zone makes them local."""
    whole = seconds - seconds % 60
    assert unix_ms_from_iso(read(word, clock_of(word).write(whole * 1000, 0), zone)) == whole * 1000
    local = spoken_clock(word, number=True, integer=False)
    back = unix_ms_from_iso(read(local, clock_of(local).write(whole * 1000, zone), 0, zone)) // 1000
    assert back in (whole, whole - 3600)


@given(st.binary(min_size=6, max_size=6), st.sampled_from(["bytes dmyhms", "bcd dmyhms", "bytes yymdhm"]))
def test_any_bytes_are_a_time_or_none(raw: bytes, word: str) -> None:
    text = read(word, raw)
    assert text is None or unix_ms_from_iso(text)


@given(st.lists(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()), max_size=8))
def test_any_list_is_a_time_or_none(raw: list[Any]) -> None:
    text = read_list(raw, 0)
    assert text is None or unix_ms_from_iso(text) is not None


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans(), st.lists(st.integers())))
def test_any_count_is_a_time_or_none(raw: Any) -> None:
    text = read("minutes since 2000-01-01", raw)
    assert text is None or unix_ms_from_iso(text) is not None


def test_summer_time_of_a_named_zone() -> None:
    zone = zone_of("Europe/Amsterdam")
    assert read("six", bytes([26, 7, 1, 12, 0, 0]), zone) == "2026-07-01T10:00:00.000Z"
    assert read("six", bytes([26, 1, 1, 12, 0, 0]), zone) == "2026-01-01T11:00:00.000Z"
    moment = datetime.datetime(2026, 7, 1, 10, tzinfo=datetime.UTC)
    assert clock_of("six").write(int(moment.timestamp()) * 1000, zone) == bytes([26, 7, 1, 12, 0, 0])


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("ymdhms", ("six", 6)),
        ("bcd_ymdhms", ("bcd_six", 6)),
        ("dmyhm", ("bytes dmyhm", 5)),
        ("smhdmy", ("bytes smhdmy", 6)),
        ("hm", ("bytes hm", 2)),
        ("yymdhms", ("bytes yymdhms", 7)),
        ("yymdhmsle", ("bytes yymdhms le", 7)),
        ("mmdd", None),
        ("yyhms", None),
        ("ms", None),
        ("u8", None),
    ],
)
def test_type_words(word: str, found: tuple[str, int] | None) -> None:
    assert byte_word(word, big=True) == found


def test_a_year_of_two_bytes_has_the_byte_order_of_its_row() -> None:
    assert byte_word("yymdhms", big=False) == ("bytes yymdhms le", 7)
    assert byte_word("bcd_yymdhms", big=False) == ("bcd yymdhms", 7)  # digits are written as they are read


@pytest.mark.parametrize(
    ("text", "integer", "word"),
    [
        ("unix", True, "unix"),
        ("unix", False, "seconds since 1970-01-01"),
        ("gps", True, "seconds since 1980-01-06"),
        ("unix_min", True, "minutes since 1970-01-01"),
        ("since 2013-01-01", True, "since 2013-01-01"),
        ("DDMMYYhhmmss", True, "number DDMMYYhhmmss"),
    ],
)
def test_spoken(text: str, integer: bool, word: str) -> None:
    assert spoken_clock(text, number=True, integer=integer) == word


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("unx", "did you mean `unix`?"),
        ("unixms", "did you mean `unix_ms`?"),
        ("excel", "DDMMYYhhmmss"),
        ("weeks since 2000-01-01", "units are us, ms"),
        ("since 2000-13-01", "such as `since 2013-01-01`"),
        ("DDMMYYHHMMSS", "MM is the month"),
        ("YYYY-MM-DD", "read it as `type: text`"),
    ],
)
def test_what_is_no_clock(text: str, hint: str) -> None:
    with pytest.raises(PatternError) as caught:
        spoken_clock(text, number=True, integer=True)
    assert hint in caught.value.hint


def test_a_listed_time_is_written_as_its_parts() -> None:
    assert clock_of("list").write(1_772_368_205_250, 3600) == [2026, 3, 1, 13, 30, 5, 250]


def test_years_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="two digits"):
        clock_of("bytes dmyhms").write(0, 0)
