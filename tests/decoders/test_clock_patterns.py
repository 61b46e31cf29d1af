"""Patterns of times in digits: read, written, completed by the time of arrival; texts that are no pattern."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.clock_patterns import PatternError, compile_pattern
from decoders.times import format_ms, unix_ms_from_iso, zone_of

ARRIVAL = unix_ms_from_iso("2026-03-01T12:00:00Z")
SEASONS = "YYMMDDhhmmss{S:+02:00,W:+01:00}"


def read(pattern: str, raw: Any, zone: Any = 0, received_ms: int = ARRIVAL) -> str | None:
    return compile_pattern(pattern).read(raw, zone, received_ms)


@pytest.mark.parametrize(
    ("pattern", "raw", "text"),
    [
        ("DDMMYYhhmmss", "010326123005", "2026-03-01T12:30:05.000Z"),
        ("DDMMYYhhmmss", 10326123005, "2026-03-01T12:30:05.000Z"),
        ("DDMMYYhhmmss", 10326123005.0, "2026-03-01T12:30:05.000Z"),
        ("DDMMYYhhmmss", "0103261230", None),
        ("DDMMYYhhmmss", "310226123005", None),
        ("DDMMYYhhmmss", None, None),
        ("DDMMYYhhmmss", True, None),
        ("DDMMYYhhmmss", -1, None),
        ("DDMMYYhhmmss", float("inf"), None),
        ("YYYYMMDD", 20260301, "2026-03-01T00:00:00.000Z"),
        ("YYYY-MM-DD hh:mm:ss", "2026-03-01 12:30:05", "2026-03-01T12:30:05.000Z"),
        ("YYYY-MM-DD hh:mm:ss", "2026-3-1 2:30:05.250", "2026-03-01T02:30:05.250Z"),
        ("yyyy/MM/dd,HH:mm:ss", "2026/03/01,12:30:05", "2026-03-01T12:30:05.000Z"),
        ("YYYY-MM-DDThh:mm:ss.SSSZ", "2026-03-01T12:30:05.125Z", "2026-03-01T12:30:05.125Z"),
        ("YYYY-MM-DDThh:mm:ssZ", "2026-03-01T12:30:05+02:00", "2026-03-01T10:30:05.000Z"),
        ("YYYY-MM-DDThh:mm:ssZ", "2026-03-01T12:30:05", "2026-03-01T12:30:05.000Z"),
        ("YY/MM/DD,hh:mm:ss+hh:mm", "26/03/01,12:30:05+0130", "2026-03-01T11:00:05.000Z"),
        ("DD MMM YYYY hh:mm", "01 mar 2026 12:30", "2026-03-01T12:30:00.000Z"),
        ("hhmmss?DDMMYY", "123005A010326", "2026-03-01T12:30:05.000Z"),
        ("hhmmss.SS,DDMMYY", "123005.50,010326", "2026-03-01T12:30:05.500Z"),
        ("'at' hh:mm, DD.MM.YYYY", "at 12:30, 01.03.2026", "2026-03-01T12:30:00.000Z"),
        (SEASONS, "210204163628W", "2021-02-04T15:36:28.000Z"),
        (SEASONS, "210704163628S", "2021-07-04T14:36:28.000Z"),
        (SEASONS, "210704163628X", None),
        ("hhmmss", "123005", "2026-03-01T12:30:05.000Z"),
        ("hhmmss", 5, "2026-03-01T00:00:05.000Z"),
        ("hhmmss.SS", 123005.5, "2026-03-01T12:30:05.500Z"),
        ("MMDDhhmm", "12312359", "2025-12-31T23:59:00.000Z"),
        ("DDhhmm", "280000", "2026-02-28T00:00:00.000Z"),
        ("mmss", "5905", "2026-03-01T11:59:05.000Z"),
        ("hhmmss", "246060", None),
    ],
)
def test_readings(pattern: str, raw: Any, text: str | None) -> None:
    assert read(pattern, raw) == text


@pytest.mark.parametrize("pattern", ["hhmmss", "MMDDhhmmss", "mmss"])
def test_nothing_is_completed_without_an_arrival(pattern: str) -> None:
    assert read(pattern, "1010101010"[: len(pattern)], received_ms=0) is None


@given(st.integers(ARRIVAL, ARRIVAL + 86_400_000 * 400), st.integers(-43_199, 43_199), st.sampled_from([0, 28_800]))
def test_a_time_of_day_is_the_nearest_one(received_ms: int, off_s: int, zone: int) -> None:
    told_ms = (received_ms // 1000 + off_s) * 1000
    text = read("hhmmss", format_ms(told_ms, "%H%M%S", zone), zone, received_ms)
    assert text is not None
    assert unix_ms_from_iso(text) == told_ms


@given(st.integers(ARRIVAL, ARRIVAL + 86_400_000 * 400), st.sampled_from([0, -18_000, zone_of("Asia/Kolkata")]))
def test_written_and_read_again(unix_ms: int, zone: Any) -> None:
    for pattern in (
        "YYYYMMDDhhmmssSSS",
        "DD.MM.YY hh:mm:ss.SSS",
        "YYYY-MM-DDThh:mm:ss.SSS+hh:mm",
        "MMM DD YYYY hh:mm:ssZ",
    ):
        told_ms = unix_ms if "SSS" in pattern else unix_ms // 1000 * 1000
        text = compile_pattern(pattern).write(told_ms, zone)
        assert unix_ms_from_iso(read(pattern, text, zone) or "") == told_ms


def test_words_of_offsets_are_written() -> None:
    assert compile_pattern(SEASONS).write(ARRIVAL, zone_of("Europe/Amsterdam")) == "260301130000W"
    with pytest.raises(ValueError, match="no word"):
        compile_pattern(SEASONS).write(ARRIVAL, 0)
    with pytest.raises(ValueError, match="ignores"):
        compile_pattern("hhmmss?").write(ARRIVAL, 0)


@given(st.one_of(st.text(max_size=80), st.integers(), st.floats()))
def test_anything_is_a_time_or_none(raw: Any) -> None:
    for pattern in ("DDMMYYhhmmss", "YYYY-MM-DD hh:mm:ss.SSSZ", "hhmmss", SEASONS):
        text = read(pattern, raw)
        assert text is None or unix_ms_from_iso(text) is not None


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("", "no pattern", "YYYY-MM-DD"),
        ("DDMMYYHHMMSS", "has the month twice", "mm the minute"),
        ("YYYYDD", "has no month", "parts are"),
        ("---", "neither date nor time", "parts are"),
        ("hhSS", "without seconds", "`ss`"),
        ("hh:mm x", "`x` is no part", "in 'quotes'"),
        ("hhmm{S}", "no list of offsets", "{S:+02:00,W:+01:00}"),
        ("hhmm{S:x}", "no list of offsets", "{S:+02:00,W:+01:00}"),
    ],
)
def test_what_is_no_pattern(pattern: str, message: str, hint: str) -> None:
    with pytest.raises(PatternError, match=message) as caught:
        compile_pattern(pattern)
    assert hint in caught.value.hint


def test_a_number_has_digits_only() -> None:
    with pytest.raises(PatternError, match="does not fit a number"):
        compile_pattern("YYYY-MM-DD", number=True)
    assert compile_pattern("YYYYMMDD", number=True).width == 8
